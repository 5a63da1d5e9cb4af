# Sourced by the scripts beside it: `choose_engine` sets $engine to what builds and runs images here.
# Invariant: an engine that is installed and does not answer is passed over.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
local_base=localhost/mount-session-base

fail() {
  printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
  exit 1
}

choose_engine() {
  for engine in ${CONTAINER_ENGINE:-podman docker}; do
    if "$engine" info >/dev/null 2>&1; then return; fi
  done
  fail 'neither podman nor docker answers: install podman, or start the daemon of docker'
}
