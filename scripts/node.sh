# Sourced by the other scripts: sets $root, and puts a Node that can run the sources first on the PATH when
# there is one. Invariant: nothing is installed here, and nothing outside the project is looked for.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
local_node=$root/.node/node_modules/node/bin

# Whether the first `node` on the PATH is new enough to strip types by itself.
has_node() {
  local version
  version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge 24 ] 2>/dev/null
}

has_node || { [ -x "$local_node/node" ] && PATH=$local_node:$PATH; }

# What a change of dependencies shows in; `scripts/setup` keeps a copy of what it installed.
installed_stamp=$root/node_modules/.installed
is_installed() { cat "$root/package-lock.json" "$root/.taprc" | cmp -s - "$installed_stamp"; }

fail() {
  printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
  exit 1
}
