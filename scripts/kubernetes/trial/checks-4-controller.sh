# Sourced by `try`: volumes that are made on demand. Uses $provisioner.

skip_claim() { [ -z "$provisioner" ] && echo 'no csi-provisioner: give --provisioner PROGRAM'; }

check_claim() { # a claim is a new session, a Pod uses it by the claim's name, and it goes with the claim
  local root_directory=$work/provisioner-image session
  mkdir -p "$root_directory/bin"
  cp "$provisioner" "$root_directory/bin/csi-provisioner"
  "$kit/image" "$provisioner_image" "$root_directory" '{"Entrypoint":["/bin/csi-provisioner"]}'
  manifests "$here/controller" Deployment | kubectl apply -f -
  kubectl -n $namespace create secret generic session-token --from-literal=token="$service_token" --dry-run=client -o yaml | kubectl apply -f -
  secret session-token "$service_token"
  kubectl -n $namespace rollout status deployment/mount-session-controller --timeout=90s
  example | kubectl apply -f -
  kubectl label pod worker trial=pod
  wait_pod worker
  in_pod worker 'echo hello >/session/file; sync /session/file'
  session=$(basename "$(dirname "$(dirname "$(grep -lrx hello "$work"/service/agents/triage/sessions/pvc-*/home/file)")")")
  echo "# the session of the claim is $session"
  delete_pod worker
  kubectl delete pvc workspace --wait=true --timeout=60s
  wait_for 60 'no session left' test ! -e "$work/service/agents/triage/sessions/$session"
  wait_for 30 'no volume left' count_is 0 kubectl get pv -o name
}

# The documented example, with the names of this cluster.
example() {
  sed -e "s,https://ACCOUNT.*,$endpoint," -e 's,AGENT$,triage,' -e "s,docker.io/library/busybox:.*,$shell_image," "$here/example-storage-class.yaml"
}
