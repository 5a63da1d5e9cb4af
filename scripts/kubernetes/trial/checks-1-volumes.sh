# Sourced by `try`: what is documented installs, and volumes are what they are documented to be.

check_manifests() { # the API server takes every manifest and example as it is
  kubectl apply -f "$here/namespace.yaml"
  kubectl apply --dry-run=server --validate=strict -k "$here"
  kubectl apply --dry-run=server --validate=strict -k "$here/controller"
  # a Pod is refused while its service account is not there
  kubectl create serviceaccount triage --dry-run=client -o yaml | kubectl apply -f -
  local example
  for example in "$here"/example-*.yaml; do kubectl apply --dry-run=server --validate=strict -f "$example"; done
  kubectl delete serviceaccount triage
}

check_install() { # the driver runs and is registered with the kubelet
  driver_manifests | kubectl apply -f -
  driver_ready
}

skip_admission() { [ -n "$in_process" ] && echo 'there are no mount Pods'; }

check_admission() { # a driver's token makes mount Pods of its own node, and neither others nor privileged ones
  local made=$work/made.json
  pod admitted demo-session
  # what the driver has made, as it would make another
  kubectl -n $namespace get pods -l $daemon_label -o json | jq '.items[0] | del(.status, .metadata.uid, .metadata.resourceVersion) |
    .metadata.name = "mount-another" | .spec.containers[].volumeMounts |= map(select(.name | startswith("kube-api") | not))' >"$made"
  as_driver "$made" '.' | grep mount-another
  as_driver "$made" '.spec.containers[0].securityContext = { privileged: true }' | grep 'has no privileges'
  as_driver "$made" '.spec.securityContext.runAsUser = 0' | grep 'has no privileges'
  as_driver "$made" '.spec.hostPID = true' | grep 'has no privileges'
  as_driver "$made" '.spec.volumes[0].hostPath.path = "/etc"' | grep 'directories of its volume'
  as_driver "$made" '.spec.nodeName = "node2"' | grep 'of its own node'
  as_driver "$made" '.metadata.labels = {}' | grep 'mount Pods alone'
}

# as_driver FILE CHANGE: asks whether a Pod might be made, by the token of the driver's Pod, and prints the answer's message or name
as_driver() {
  local token driver
  driver=$(kubectl -n $namespace get pods -l $driver_label -o 'jsonpath={.items[0].metadata.name}')
  token=$(kubectl -n $namespace create token mount-session-driver --bound-object-kind Pod --bound-object-name "$driver")
  jq "$2" "$1" | curl -sS --noproxy '*' --cacert "$K8S_DIR/pki/ca.crt" -H "authorization: Bearer $token" -H 'content-type: application/json' \
    --data @- "$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')/api/v1/namespaces/$namespace/pods?dryRun=All" |
    jq -r '.message // .metadata.name'
}

check_inline() { # a Pod reads, writes and fsyncs in an inline volume, and the service has it
  echo 'from the agent' >"$(files_of demo-session)/of-the-agent"
  pod inline demo-session
  [ "$(in_pod inline 'cat /session/of-the-agent')" = 'from the agent' ]
  in_pod inline 'mkdir -p /session/made && head -c 100000 /dev/urandom >/tmp/block &&
    dd if=/tmp/block of=/session/made/file conv=fsync && cmp /tmp/block /session/made/file'
  in_pod inline 'cat /tmp/block' | cmp - "$(files_of demo-session)/made/file"
  in_pod inline 'mv /session/made/file /session/made/renamed && sync /session/made/renamed && rm -r /session/of-the-agent'
  wait_for 20 'the new name at the service' test -e "$(files_of demo-session)/made/renamed"
  wait_for 20 'no file of the agent at the service' test ! -e "$(files_of demo-session)/of-the-agent"
  delete_pod inline
  wait_for 30 'no mount left' count_is 0 mounts
  wait_for 30 'no mount Pod left' count_is 0 mount_pods
}

check_shared() { # Pods of one service account see each other's changes at once; those of another within seconds
  kubectl create serviceaccount other --dry-run=client -o yaml | kubectl apply -f -
  pod one demo-session
  pod two demo-session
  pod three demo-session account=other
  count_is 2 mount_pods || [ -n "$in_process" ]
  in_pod three 'ls /session'
  in_pod one 'echo hello >/session/shared'
  [ "$(in_pod two 'cat /session/shared')" = hello ]
  wait_for 20 'the file in the Pod of another service account' in_pod three 'grep -x hello /session/shared'
  # the mount stays as long as one of them uses it
  delete_pod one
  in_pod two 'echo again >/session/shared && sync /session/shared'
}

check_readonly() { # a volume that is read-only refuses writes, while another of the same session takes them
  pod reader demo-session readonly=true
  pod writer demo-session
  in_pod writer 'echo hello >/session/written'
  [ "$(in_pod reader 'cat /session/written')" = hello ]
  in_pod reader 'echo no >/session/refused; true' 2>&1 | grep -i 'read-only'
  in_pod writer 'test ! -e /session/refused'
}

check_fsgroup() { # a Pod with fsGroup writes as a user of that group, whose files they are
  pod grouped demo-session 'security=runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000' 'attributes=cache-size: "50M"'
  in_pod grouped 'echo hello >/session/of-the-group'
  [ "$(in_pod grouped 'stat -c "%g %a" /session')" = '2000 775' ]
  in_pod grouped 'id' | grep 2000
}

check_subpath() { # a volume may be a directory of a session, of which it shows nothing else
  mkdir -p "$(files_of demo-session)/deep/er"
  echo hello >"$(files_of demo-session)/deep/er/file"
  pod below demo-session 'attributes=subPath: deep/er'
  [ "$(in_pod below 'ls /session && cat /session/file')" = "file
hello" ]
}

check_wrong() { # a wrong attribute, a session that is not there and a token that is refused are events that name them
  pod wrong demo-session 'attributes=cache-sise: "5G"' wait=no
  wait_for 60 'an event that names the attribute' has_event wrong 'FailedMount.*cache-sise'
  pod missing no-such-session wait=no
  wait_for 90 'an event that names the session' has_event missing 'FailedMount.*no-such-session'
  pod unsigned demo-session secret= wait=no
  wait_for 60 'an event that says what is missing' has_event unsigned 'FailedMount.*nothing to sign in with'
  secret stale no-such-token
  pod stale demo-session secret=stale wait=no
  wait_for 60 'an event that names the secret' has_event stale 'FailedMount.*token is refused.*nodePublishSecretRef'
  kubectl get events | grep -E 'wrong|missing|unsigned|stale'
}

check_twenty() { # twenty Pods at once have twenty sessions
  local n begun=$SECONDS
  for n in $(seq 20); do
    session "twenty-session-$n"
    echo "content $n" >"$(files_of "twenty-session-$n")/file"
  done
  for n in $(seq 20); do pod "twenty-$n" "twenty-session-$n" wait=no >/dev/null; done
  for n in $(seq 20); do wait_pod "twenty-$n" 300; done
  echo "# twenty Pods ready in $((SECONDS - begun)) s"
  for n in $(seq 20); do
    [ "$(in_pod "twenty-$n" 'cat /session/file; echo written >/session/new; sync /session/new')" = "content $n" ]
  done
  for n in $(seq 20); do grep -x written "$(files_of "twenty-session-$n")/new"; done
  memory
  kubectl delete pod -l trial=pod --wait=true --timeout=300s
  wait_for 60 'no mount Pods left' count_is 0 mount_pods
}

check_memory() { # what a daemon takes is measured, idle and after five hundred files
  pod measured demo-session
  in_pod measured 'ls /session' >/dev/null
  sleep 5
  memory idle
  in_pod measured 'mkdir -p /session/many; cd /session/many; head -c 10000 /dev/urandom >/tmp/block;
    n=0; while [ $n -lt 500 ]; do n=$((n + 1)); cp /tmp/block $n; done; sync *; cat * | wc -c; rm -r /session/many'
  memory 'after 500 files'
  echo "# the driver: $(resident "$(driver_pid)") MB (RSS)"
}

resident() { awk '/^Rss:/ { print int($2 / 1024) }' "/proc/$1/smaps_rollup"; }

# What the daemons take, in MB: PSS counts what several of them share once.
memory() {
  local pid rss=0 pss=0 count=0
  for pid in $(daemon_pids); do
    rss=$((rss + $(awk '/^Rss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
    pss=$((pss + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
    count=$((count + 1))
  done
  [ "$count" -gt 0 ] || return 0
  echo "# $count daemons, ${1:-at work}: $((rss / count / 1024)) MB each (RSS), $((pss / count / 1024)) MB each (PSS), $((pss / 1024)) MB together"
}
