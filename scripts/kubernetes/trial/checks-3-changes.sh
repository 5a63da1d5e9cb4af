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
  kubectl get events --field-selector involvedObject.name=federated
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
  pod last left-session
  in_pod last 'echo before >/session/there; sync /session/there'
  stop_service
  in_pod last 'echo waits >/session/left'
  delete_pod last 180
  wait_for 30 'no mount left' count_is 0 mounts
  start_service
  local state
  state=$(dirname "$(grep -l left-session "$work"/state/*/state/mount-session/sessions/*/session.json)")
  XDG_STATE_HOME=${state%/mount-session/*} NODE_EXTRA_CA_CERTS=$work/service/tls/certificate.pem MOUNT_SESSION_TOKEN=$service_token \
    FOUNDRY_PROJECT_ENDPOINT=$endpoint "$root/scripts/mount-session" recover triage/left-session
  grep -x waits "$(files_of left-session)/left"
}
