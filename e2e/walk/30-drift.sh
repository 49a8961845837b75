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
