# Sourced by `try`: whatever ends under the programs of a Pod, they go on.

skip_driver_killed() { [ -n "$in_process" ] && echo 'the daemons end with the driver'; }

check_driver_killed() { # the driver is killed, and deleted, under load: no program meets an error
  pod busy demo-session "command=$load"
  wait_for 60 'the first rounds' rounds_begun busy
  kill -9 "$(driver_pid)"
  goes_on busy
  driver_ready
  kubectl -n $namespace delete pod -l $driver_label --wait=true
  driver_ready
  goes_on busy
  kubectl -n $namespace rollout restart daemonset/mount-session-driver
  driver_ready
  goes_on busy
  # what the new driver did not mount itself, it unmounts
  delete_pod busy
  wait_for 60 'no mount left' count_is 0 mounts
  wait_for 60 'no mount Pod left' count_is 0 mount_pods
}
rounds_begun() { [ -n "$(rounds "$1")" ]; }

check_daemon_killed() { # a mount Pod is killed, and deleted by force, under load: programs see a pause
  pod busy demo-session "command=$load"
  wait_for 60 'the first rounds' rounds_begun busy
  local begun pid
  for _ in 1 2 3; do
    pid=$(daemon_pids | head -n 1)
    kill -9 "$pid"
    begun=$(date +%s%3N)
    goes_on busy 1
    echo "# a killed daemon: $(($(date +%s%3N) - begun)) ms until the next round was seen"
    goes_on busy
  done
  if [ -z "$in_process" ]; then
    kubectl -n $namespace delete pod -l $daemon_label --force --grace-period=0
    goes_on busy
    kubectl -n $namespace delete pod -l $daemon_label
    goes_on busy
  fi
  in_pod busy 'sync /session/load/*'
}

check_both_killed() { # driver and mount Pod are killed at once: the Pod has an event MountLost, and its next container has the volume again
  pod busy demo-session "command=$load"
  wait_for 60 'the first rounds' rounds_begun busy
  kill -9 "$(driver_pid)" $(daemon_pids)
  driver_ready
  wait_for 60 'an event MountLost' has_event busy MountLost
  # the kubelet publishes it anew, and the container that is started again has it
  wait_for 60 'a mount' count_is 2 mounts
  in_pod busy 'kill 1' || true
  wait_for 60 'the volume in the next container' in_pod busy 'test -d /session/load && echo hello >/session/after'
  in_pod busy 'sync /session/after'
}

check_drain() { # a node is drained while a volume is written to: what was written is on the service, no mount is left
  pod busy demo-session "command=$load"
  wait_for 60 'the first rounds' rounds_begun busy
  kubectl drain "$NODE_NAME" --ignore-daemonsets --force --delete-emptydir-data --timeout=120s
  kubectl uncordon "$NODE_NAME"
  wait_for 60 'no mount left' count_is 0 mounts
  wait_for 60 'no mount Pod left' count_is 0 mount_pods
  has_event busy ChangesKept && return 1
  ls "$(files_of demo-session)/load"
}

check_node_restart() { # kubelet and containerd end and come again: running Pods go on
  pod busy demo-session "command=$load"
  wait_for 60 'the first rounds' rounds_begun busy
  local name
  for name in kubelet containerd; do kill -9 "$(cut -d ' ' -f 1 "$K8S_DIR/pid/$name")"; done
  start_nodes
  wait_for 60 'an answer of the Pod' in_pod busy true
  driver_ready
  goes_on busy
  in_pod busy 'sync /session/load/*'
}
