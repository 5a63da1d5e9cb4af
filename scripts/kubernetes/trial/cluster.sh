# Sourced by `try`: the cluster, the service, the driver. Uses $kit, $work, $log, $root, $image, $in_process, $keep.

# Of the network of the kit's node: what Pods reach the machine by.
service_host=10.229.0.1
service_port=8443
service_token=first-token
namespace=mount-session
shell_image=localhost/mount-session-trial/shell:1
driver_image=localhost/mount-session:trial
provisioner_image=localhost/mount-session-trial/provisioner:1
daemon_label=app.kubernetes.io/name=mount-session-volume
driver_label=app.kubernetes.io/name=mount-session-driver

kubectl() { "$kit/kubectl" "$@"; }

# wait_for SECONDS WHAT COMMAND…: until the command succeeds
wait_for() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "not within the time: $what"
      return 1
    fi
    sleep 0.3
  done
}

# Starts, or starts again, what of the cluster does not run.
start_nodes() {
  export K8S_DIR=$work/cluster
  # the kubelet republishes at each sync of a Pod
  K8S_SYNC=10s "$kit/up" >"$work/environment" 2>>"$log/kit"
  . "$work/environment"
}

start_cluster() {
  start_nodes
  start_service
  make_images
  secret token "$service_token" >/dev/null
}

end_cluster() {
  [ -n "$is_started" ] || tail -n 20 "$log"/*
  if [ -n "$keep" ]; then
    cat <<END
left running; to look at it, to run checks on it, and to end it:
  export K8S_DIR=$work/cluster TRIAL_NETWORK=$TRIAL_NETWORK TRIAL_DIRECTORY=$work
  nsenter --net=/run/netns/$TRIAL_NETWORK $kit/kubectl get pods -A
  nsenter --net=/run/netns/$TRIAL_NETWORK $here/try --kit $kit --keep CHECK…
  nsenter --net=/run/netns/$TRIAL_NETWORK $kit/down; kill $(cat "$work/service.pid"); ip netns del $TRIAL_NETWORK; rm -rf $work
END
    return
  fi
  K8S_DIR=$work/cluster "$kit/down" >>"$log/kit" 2>&1 || { tail -n 5 "$log/kit"; return 0; }
  stop_service
}

start_service() {
  if service GET counts >/dev/null 2>&1; then return; fi
  node "$root/src/cli/main.ts" emulator --data "$work/service" --host "$service_host" --port "$service_port" --tls \
    --token "$service_token" --seed triage/demo-session --empty --json >"$log/service" 2>&1 &
  echo $! >"$work/service.pid"
  wait_for 30 'an answer of the service' service GET counts
}

stop_service() {
  local pid
  pid=$(cat "$work/service.pid" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# service VERB PATH [BODY]: what only the holder of the service can do
service() {
  curl -fsS --noproxy '*' --max-time 10 --cacert "$work/service/tls/certificate.pem" -X "$1" \
    -H "authorization: Bearer $service_token" -H 'content-type: application/json' ${3:+--data "$3"} \
    "https://$service_host:$service_port/__emulator/$2"
}

# session NAME: made where there is none
session() {
  [ ! -e "$(files_of "$1")" ] || return 0
  curl -fsS --noproxy '*' --max-time 10 --cacert "$work/service/tls/certificate.pem" -X POST \
    -H "authorization: Bearer $service_token" -H 'content-type: application/json' \
    --data "{\"agent_session_id\":\"$1\"}" "$endpoint/agents/triage/endpoint/sessions?api-version=v1" >/dev/null
}
endpoint=https://$service_host:$service_port/api/projects/demo

# Where the service keeps the files of a session.
files_of() { echo "$work/service/agents/triage/sessions/$1/home"; }

make_images() {
  local shell=$work/shell-image name
  mkdir -p "$shell/bin" "$shell/tmp"
  cp "$(command -v busybox)" "$shell/bin/"
  for name in $(busybox --list | grep -vx busybox); do ln -s busybox "$shell/bin/$name"; done
  "$kit/image" "$shell_image" "$shell" >/dev/null
  if [ -n "$image" ]; then
    "$kit/image" "$driver_image" "$image" >/dev/null
  elif [ -d "$work/driver-image" ]; then
    "$kit/image" "$driver_image" "$work/driver-image" \
      '{"Entrypoint":["mount-session"],"Cmd":["--help"],"User":"65532:65532","WorkingDir":"/","Env":["PATH=/usr/bin","XDG_STATE_HOME=/state","XDG_CACHE_HOME=/cache"]}' >/dev/null
  fi
  rm -rf "$work/driver-image" "$shell"
}

# manifests DIRECTORY KIND [OPTION OF THE DRIVER…]: what is documented, with this cluster's images, paths and certificate.
manifests() {
  local base=$1 kind=$2 overlay=$work/overlay option
  shift 2
  rm -rf "$overlay" && mkdir "$overlay"
  cp "$work/service/tls/certificate.pem" "$overlay/ca.pem"
  cat >"$overlay/kustomization.yaml" <<END
namespace: $namespace
resources: [$(realpath --relative-to="$overlay" "$base")] # no absolute path is taken
images:
  - { name: mount-session, newName: ${driver_image%:*}, newTag: ${driver_image##*:} }
  - { name: registry.k8s.io/sig-storage/csi-provisioner, newName: ${provisioner_image%:*}, newTag: "${provisioner_image##*:}" }
configMapGenerator: [{ name: mount-session-ca, files: [ca.pem] }]
generatorOptions: { disableNameSuffixHash: true }
patches:
  - target: { kind: $kind }
    patch: |
      - { op: add, path: /spec/template/spec/containers/0/volumeMounts/-, value: { name: ca, mountPath: /etc/mount-session } }
      - { op: add, path: /spec/template/spec/volumes/-, value: { name: ca, configMap: { name: mount-session-ca } } }
$(for option in --ca-file=/etc/mount-session/ca.pem "$@"; do
    echo "      - { op: add, path: /spec/template/spec/containers/0/args/-, value: $option }"
  done)
END
  kubectl kustomize "$overlay"
}

driver_manifests() {
  manifests "$here" DaemonSet --kubelet-dir="$KUBELET_DIR" --run-dir="$work/run" --state-dir="$work/state" --log-level=debug --drain=15s \
    ${in_process:+--in-process} | sed -e "s,ath: /var/lib/kubelet$,ath: $KUBELET_DIR," \
    -e "s,'/run/mount-session/','$work/run/'," -e "s,'/var/lib/mount-session/','$work/state/'," \
    -e "s,ath: /run/mount-session$,ath: $work/run," -e "s,ath: /var/lib/mount-session$,ath: $work/state,"
}
