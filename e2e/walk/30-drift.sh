# The webhook configuration is altered, emptied, deleted: it comes back as it was.
# shellcheck shell=bash
configuration() { kubectl get validatingwebhookconfiguration portcullis "$@"; }
bundle() { configuration -o 'jsonpath=policy={.webhooks[0].failurePolicy} ca={.webhooks[0].clientConfig.caBundle}'; }
expect "the configuration carries the CA" "ca=LS0t" bundle
kubectl patch validatingwebhookconfiguration portcullis --type json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]' >/dev/null
expect "a weakened failure policy is put right" "policy=Fail" eventually_says "policy=Fail" bundle
told() { kubectl get aicompliance cluster -o 'jsonpath={range .status.findings[*]}{.object}: {.message}{"\n"}{end}'; }
expect "the row of the cluster tells of it" 'and repaired: webhook' eventually_says 'ValidatingWebhookConfiguration/portcullis' told
kubectl patch validatingwebhookconfiguration portcullis --type json -p '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]' >/dev/null
expect "a removed CA comes back" "ca=LS0t" eventually_says "ca=LS0t" bundle
configuration -o name >/dev/null && kubectl delete validatingwebhookconfiguration portcullis >/dev/null
expect "a deleted configuration comes back" "ca=LS0t" eventually_says "ca=LS0t" bundle
PATIENCE=10
expect "and refuses again" "declared-workloads-only" eventually_says "declared-workloads-only" undeclared
unset PATIENCE
# A guard that goes is told of, not put back: an uninstall has to be able to end.
guard=validatingadmissionpolicybinding/portcullis-status-guard kept=$(mktemp)
kubectl get "$guard" -o json | jq 'del(.metadata.uid, .metadata.resourceVersion, .metadata.generation, .metadata.creationTimestamp)' >"$kept"
kubectl delete "$guard" >/dev/null
PATIENCE=40
expect "a guard that is gone shows on the row of the cluster" 'is missing' eventually_says 'ValidatingAdmissionPolicyBinding/portcullis-status-guard: ' told
kubectl create -f "$kept" >/dev/null
gone() { if told | grep -q 'portcullis-status-guard'; then echo still; else echo "no word of it"; fi; }
expect "and once it is back, no more" 'no word of it' eventually_says 'no word of it' gone
unset PATIENCE
