#!/usr/bin/env bash
# The program under its own ServiceAccounts: installs the chart on an API server without nodes and runs the controller and the
# webhook beside it with their tokens, so that a right that is missing shows, and so does every fight over the configuration.
#
#   e2e/cluster/with-control-plane.sh --with-controllers tests/accounts.sh [PROGRAM]
#
# Needs KUBECONFIG of a cluster administrator on a cluster of its own, and kubectl, helm, jq, curl. Without PROGRAM it builds one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
. "$repo/e2e/expect.sh"
. "$repo/e2e/ports.sh"
program=${1:-$(build_program)}
ns=portcullis-system
work=$(mktemp -d)
pids=()
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$work"; }
trap finish EXIT

chart() { local act=$1; shift; helm "$act" portcullis "$repo/charts/portcullis" -n $ns --set image.repository=registry.example/portcullis "$@" 2>&1; }
webhooks() { kubectl get validatingwebhookconfiguration portcullis -o json --show-managed-fields | jq -c "$1"; }
account() { # NAME: a kubeconfig with its token
  kubectl config view --raw --minify -o json >"$work/admin.json"
  jq --arg token "$(kubectl create token "portcullis-$1" -n $ns)" '.users[0].user = {token: $token}' "$work/admin.json" >"$work/$1.kubeconfig"
}
start() { # NAME PORT ARGUMENTS...
  local name=$1 port=$2; shift 2
  account "$name"
  env -u HTTPS_PROXY -u https_proxy -u HTTP_PROXY -u http_proxy KUBECONFIG="$work/$name.kubeconfig" POD_NAME="$name-0" POD_NAMESPACE=$ns POD_IP=127.0.0.1 \
    PORTCULLIS_HTTP_LISTEN="127.0.0.1:$port" PORTCULLIS_LOG_FORMAT=text "$program" "$name" "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
}
answers() { [ "$(curl --noproxy '*' -s -o /dev/null -w '%{http_code}' "$1")" = 200 ]; }
logged() { tail -n 15 "$work/$1.log"; }
check() { # WHAT COMMAND...
  local what=$1; shift
  if eventually "$@" >"$work/said" 2>&1; then passed "$what"; else failed "$what" "$(tail -n 3 "$work/said"; tail -n 10 "$work"/*.log)"; fi
}
is() { local said; said=$(webhooks "$1"); [ "$said" = "$2" ] || { echo "$1 is $said, not $2"; return 1; }; }

expect 'the chart is installed' 'STATUS: deployed' chart install --create-namespace
# Nobody can reach the webhook here, so what it would judge is made before its configuration is there.
kubectl delete validatingwebhookconfiguration portcullis >/dev/null
kubectl create namespace team-a >/dev/null
kubectl label namespace team-a portcullis.dev/environment=production portcullis.dev/sensitivity=confidential >/dev/null
kubectl create -f - >/dev/null <<'YAML'
apiVersion: portcullis.dev/v1alpha1
kind: AIWorkload
metadata: {name: chat, namespace: team-a}
spec:
  type: supporting
  selector: {matchLabels: {app: chat}}
  owners: {accountable: {user: j.doe}, systemOperator: {group: ops}}
  identity: {permissions: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]}
YAML
expect 'the configuration is there' 'STATUS: deployed' chart upgrade
# The file stays as it was, as a mounted one does for a while after an upgrade.
kubectl get configmap portcullis-webhooks -n $ns -o jsonpath='{.data.webhooks\.yaml}' >"$work/webhooks.yaml"
controller_port=$(free_port) webhook_port=$(free_port)
start controller "$controller_port" --webhooks-file "$work/webhooks.yaml"
start webhook "$webhook_port" --listen "127.0.0.1:$(free_port)"
check 'the controller is alive' answers "http://127.0.0.1:$controller_port/healthz"
check 'it leads' kubectl get lease portcullis-controller -n $ns
check 'it publishes its authority in every entry' is '[.webhooks[].clientConfig.caBundle] | unique | length == 1 and .[0] != null' true
check 'and owns nothing else of them' is '[.metadata.managedFields[] | select(.manager == "portcullis").fieldsV1["f:webhooks"][] | keys[]] | unique' '[".","f:clientConfig","f:name"]'
check 'the webhook has its certificate and its caches' answers "http://127.0.0.1:$webhook_port/readyz"

written() { [ "$(kubectl get "$@" -o jsonpath='{.metadata.labels.app\.kubernetes\.io/managed-by}' 2>&1)" = portcullis ] || { kubectl get "$@"; return 1; }; }
for object in serviceaccount/chat role/chat rolebinding/chat networkpolicy/portcullis-default-deny; do check "it generates $object" written "$object" -n team-a; done
verdict() { [ -n "$(kubectl get "$@" -o jsonpath='{.status.verdict}')" ]; }
check 'it writes the status of the AIWorkload' verdict aiworkload chat -n team-a
check 'and the row of the namespace' verdict aicompliance team-a
check 'and the row of the cluster' verdict aicompliance cluster
kubectl delete networkpolicy portcullis-default-deny -n team-a --as system:serviceaccount:portcullis-system:portcullis-controller >/dev/null
check 'a generated policy that vanished comes back' written networkpolicy/portcullis-default-deny -n team-a

kubectl patch validatingwebhookconfiguration portcullis --type=json --field-manager=somebody -p '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"},{"op":"remove","path":"/webhooks/3"}]' >/dev/null
check 'case 71: a weakened configuration is repaired' is '[.webhooks[] | [.name, .failurePolicy] | join(" ")]' '["pods.portcullis.dev Fail","workloads.portcullis.dev Fail","namespaces.portcullis.dev Fail","environment.portcullis.dev Fail","configmaps.portcullis.dev Ignore","kinds.portcullis.dev Fail","rbac.portcullis.dev Ignore"]'
check 'its labels stay' is '.metadata.labels["app.kubernetes.io/managed-by"]' '"Helm"'
check 'an Event tells who' sh -c 'kubectl get events -A -o json | jq -e ".items[] | select(.reason == \"WebhookConfigurationRepaired\") | .message | contains(\"somebody\")"'
expect 'case 74: an upgrade of the list meets no conflict after a repair' 'STATUS: deployed' chart upgrade --set webhook.timeoutSeconds=2
sleep 3 # long enough for a controller with the old file to undo it
is '[.webhooks[].timeoutSeconds] | unique' '[2]' >"$work/said" && passed 'and is not undone by a controller with the old file' || failed 'and is not undone by a controller with the old file' "$(cat "$work/said"; logged controller)"
check 'the caBundle is still there' is '[.webhooks[].clientConfig.caBundle] | unique | length == 1 and .[0] != null' true

kubectl delete validatingwebhookconfiguration portcullis >/dev/null
check 'a deleted configuration comes back, owned by what an uninstall takes away' is '[.metadata.ownerReferences[0].name, ([.webhooks[].timeoutSeconds] | unique)]' '["portcullis-controller",[2]]'
expect 'an upgrade after that meets no conflict either' 'STATUS: deployed' chart upgrade --set webhook.timeoutSeconds=1
check 'the list is the new one' is '[.webhooks[].timeoutSeconds] | unique' '[1]'

for name in controller webhook; do
  if grep -iE 'forbidden|cannot (get|list|watch|create|patch|update)' "$work/$name.log" >"$work/said"; then failed "the $name lacks no right" "$(cut -c1-400 "$work/said")"; else passed "the $name lacks no right"; fi
  if grep -E 'ERROR|panicked' "$work/$name.log" >"$work/said"; then failed "the $name has no errors" "$(cut -c1-400 "$work/said")"; else passed "the $name has no errors"; fi
done
expect 'uninstall, while the controller runs' 'uninstalled' helm uninstall portcullis -n $ns
sleep 12 # it would be recreated after 10 s
expect_not 'the configuration stays away' portcullis kubectl get validatingwebhookconfigurations -o name
expectations_end
