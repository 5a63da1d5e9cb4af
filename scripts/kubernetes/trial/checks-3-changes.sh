# Sourced by `try`: tokens that change, a service that is down, and what is left on the node.

check_rotation() { # a new token comes with the changed secret, the old one is refused, and no write is lost
  pod rotating demo-session
  in_pod rotating 'echo before >/session/rotated; sync /session/rotated'
  service PUT token '{"token":"second-token"}'
  in_pod rotating 'echo meanwhile >/session/rotated'
  secret token second-token
  wait_for 120 'the write at the service, by the new token' grep -x meanwhile "$(files_of demo-session)/rotated"
  in_pod rotating 'cat /session/rotated; echo after >/session/rotated; sync /session/rotated'
  grep -x after "$(files_of demo-session)/rotated"
  first_token
}
first_token() {
  service PUT token "{\"token\":\"$service_token\"}"
  secret token "$service_token"
}

check_workload_identity() { # with clientId and tenantId the daemon has the token of the Pod's own service account
  kubectl create serviceaccount triage --dry-run=client -o yaml | kubectl apply -f -
  pod federated demo-session account=triage secret= 'attributes=clientId: client, tenantId: tenant' wait=no
  wait_for 60 'the token of the service account' has_assertion
  claims | grep -F '"sub":"system:serviceaccount:default:triage"'
  claims | grep -F '"aud":["api://AzureADTokenExchange"]'
  wait_for 60 'an event that says whom Entra should trust' has_event federated 'FailedMount.*system:serviceaccount:default:triage'
}
has_assertion() { [ -e "$work"/run/*/assertion ]; }
claims() { cut -d . -f 2 "$work"/run/*/assertion | tr '_-' '/+' | { base64 -d 2>/dev/null || true; }; }

check_changes_kept() { # a Pod ends while the service is down: an event names what waits, and the next Pod uploads it
  pod first demo-session
  in_pod first 'mkdir -p /session/kept; echo before >/session/kept/there; sync /session/kept/there; ls /session/kept'
  stop_service
  in_pod first 'echo waits >/session/kept/new'
  delete_pod first 180
  wait_for 30 'an event ChangesKept' has_event first 'ChangesKept.*kept/new'
  has_event first ChangesKept
  wait_for 30 'no mount left' count_is 0 mounts
  start_service
  pod next demo-session
  [ "$(in_pod next 'cat /session/kept/new')" = waits ]
  wait_for 60 'the write at the service' grep -x waits "$(files_of demo-session)/kept/new"
}

check_recover() { # what no Pod comes for is found on the node and uploaded by hand, as README.md says
  session left-session
  rm -f "$(files_of left-session)/left"
  pod last left-session
  in_pod last 'echo before >/session/there; sync /session/there'
  stop_service
  in_pod last 'echo waits >/session/left'
  delete_pod last 180
  wait_for 30 'no mount left' count_is 0 mounts
  start_service
  local key
  key=$(has_event last ChangesKept | sed -n "s,.*on the node in $work/state/\([0-9a-f]*\).*,\1,p" | tail -n 1)
  kubectl -n $namespace create secret generic session-token --from-literal=token="$service_token" --dry-run=client -o yaml | kubectl apply -f -
  # the documented example, with the names of this cluster
  sed -e "s,node-1$,$NODE_NAME," -e "s,/var/lib/mount-session/KEY,$work/state/$key," -e "s,https://ACCOUNT[^ }]*,$endpoint," \
    -e 's,AGENT/SESSION,triage/left-session,' -e "s,mount-session:0.1.0,$driver_image," \
    -e 's,^      env:,&\n        - { name: NODE_EXTRA_CA_CERTS\, value: /ca/ca.pem },' \
    -e 's,^      volumeMounts:,&\n        - { name: ca\, mountPath: /ca },' \
    -e 's,^  volumes:,&\n    - { name: ca\, configMap: { name: mount-session-ca } },' "$here/example-recover.yaml" | kubectl apply -f -
  wait_for 60 'the end of the Pod' recover_phase_is Succeeded
  kubectl -n $namespace logs recover
  kubectl -n $namespace delete pod recover
  grep -x waits "$(files_of left-session)/left"
}
recover_phase_is() { [ "$(kubectl -n $namespace get pod recover -o 'jsonpath={.status.phase}')" = "$1" ]; }
