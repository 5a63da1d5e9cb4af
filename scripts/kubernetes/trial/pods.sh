# Sourced by `try`: Pods with volumes, and what can be asked about them.

# pod NAME SESSION [PART=VALUE…]: makes a Pod that shows the session at /session, and waits until it runs.
# Parts: account, secret, attributes (YAML of a map's inside), security (of the Pod), readonly, command, wait (no: do not)
pod() {
  local name=$1 session=$2 account=default secret=token attributes='' security='' readonly=false command='sleep 100000' wait=yes
  shift 2
  while [ $# -gt 0 ]; do local "${1?}" && shift; done
  kubectl apply -f - <<END
apiVersion: v1
kind: Pod
metadata: { name: $name, labels: { trial: pod } }
spec:
  serviceAccountName: $account
  terminationGracePeriodSeconds: 1
  securityContext: { $security }
  containers:
    - name: shell
      image: $shell_image
      imagePullPolicy: Never
      command: [sh, -c, 'trap "exit 0" TERM; $command & wait']
      volumeMounts: [{ name: session, mountPath: /session }]
  volumes:
    - name: session
      csi:
        driver: csi.mount-session
        readOnly: $readonly
        $([ -z "$secret" ] || echo "nodePublishSecretRef: { name: $secret }")
        volumeAttributes: { endpoint: "$endpoint", agent: triage, session: $session${attributes:+, $attributes} }
END
  [ "$wait" = no ] || wait_pod "$name"
}

wait_pod() { kubectl wait --for=condition=Ready "pod/$1" --timeout="${2:-90}s"; }

# secret NAME TOKEN
secret() { kubectl create secret generic "$1" --from-literal="token=$2" --dry-run=client -o yaml | kubectl apply -f -; }

# in_pod NAME SCRIPT
in_pod() { kubectl exec "$1" -- sh -c "$2"; }

delete_pod() { kubectl delete pod "$1" --wait=true --timeout="${2:-120}s"; }

# has_event POD PATTERN: one of its events says so
has_event() {
  kubectl get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' |
    grep -E -- "$2"
}

# The mount Pods that run, one a line.
mount_pods() {
  kubectl -n $namespace get pods -l $daemon_label -o 'jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\n"}{end}'
}
count_is() { [ "$("${@:2}" | wc -l)" -eq "$1" ]; }

# Process ids on this machine: of the daemons, of the driver.
daemon_pids() { pgrep -f "csi-volume $work/run/" || true; }
driver_pid() {
  local id
  id=$(kubectl -n $namespace get pods -l $driver_label -o 'jsonpath={.items[0].status.containerStatuses[0].containerID}')
  ctr --address "$CONTAINERD_ADDRESS" --namespace k8s.io tasks ls | awk -v id="${id##*/}" '$1 == id { print $2 }'
}

driver_ready() {
  kubectl -n $namespace rollout status daemonset/mount-session-driver --timeout=90s
  wait_for 60 'registration of the driver' registered
}
registered() { kubectl get csinode "$NODE_NAME" -o 'jsonpath={.spec.drivers[*].name}' | grep -w csi.mount-session; }

# What is mounted of the driver on this machine.
mounts() { awk -v directory="$KUBELET_DIR/" 'index($5, directory) == 1 && / fuse/ { print $5 }' /proc/self/mountinfo; }

# A program that writes, fsyncs and reads back files with other contents each time: `error` in its log for whatever goes
# wrong, a line with its number for each round.
load='n=0; mkdir -p /session/load; while :; do n=$((n + 1)); f=/session/load/file-$((n % 7));
  head -c 30000 /dev/urandom >/tmp/block; if [ $((n % 3)) -eq 0 ]; then sync=,fsync; else sync=; fi;
  dd if=/tmp/block of=$f bs=10000 conv=notrunc$sync 2>/tmp/said || { echo error: write $f; cat /tmp/said; };
  cmp /tmp/block $f || echo error: read $f; ls /session/load >/dev/null || echo error: list; echo round $n; usleep 50000; done'
rounds() { kubectl logs "$1" --tail=50 | sed -n 's/^round //p' | tail -n 1; }
# goes_on POD [ROUNDS]: so many more are done, and no error was met by any
goes_on() {
  local begun
  begun=$(rounds "$1")
  wait_for 120 "more rounds of $1" reached "$1" $((begun + ${2:-20}))
  no_errors "$1"
}
reached() { [ "$(rounds "$1")" -ge "$2" ]; }
no_errors() { ! kubectl logs "$1" | grep -A 3 error; }

# Every file of the load is on the service as the Pod reads it.
same_as_service() {
  in_pod "$1" 'cd /session/load && sha256sum *' >"$work/in-pod"
  (cd "$(files_of "$2")/load" && sha256sum -- *) | diff "$work/in-pod" -
}

clear_pods() {
  kubectl delete pod -l trial=pod --wait=true --timeout=150s
  wait_for 60 'no mounts left' count_is 0 mounts
}

describe_failure() {
  kubectl get pods -A -o wide
  kubectl get events -A --sort-by=.lastTimestamp | tail -n 15
  kubectl -n $namespace logs -l $driver_label --tail=40
  kubectl -n $namespace logs -l $daemon_label --tail=10 --prefix
}
