#!/usr/bin/env bash
# What holds while no pod of ours runs: installs the chart on an API server without nodes, so that the webhook never answers,
# and tries what a tenant, an administrator and the system's controllers would do. Numbers in names are cases of the threat list.
#
#   e2e/cluster/with-control-plane.sh --with-controllers tests/guards.sh
#
# Needs KUBECONFIG of a cluster administrator on a cluster of its own, and kubectl, helm, jq.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ns=portcullis-system
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0 passed=0
: "${KUBECONFIG:?the kubeconfig of a throwaway cluster}"

ok() { passed=$((passed + 1)); printf 'ok    %s\n' "$1"; }
bad() { failed=$((failed + 1)); printf 'FAIL  %s\n%s\n' "$1" "$(sed 's/^/      /' "$work/said")"; }
section() { printf '\n%s\n' "$1"; }
allowed() { # NAME COMMAND...
  local name=$1; shift
  if "$@" >"$work/said" 2>&1; then ok "$name"; else bad "$name: refused, should pass"; fi
}
refused() { # NAME TEXT COMMAND...
  local name=$1 text=$2; shift 2
  if "$@" >"$work/said" 2>&1; then bad "$name: passed, should be refused"
  elif grep -qF -- "$text" "$work/said"; then ok "$name"
  else bad "$name: refused, but not with: $text"; fi
}
equal() { # NAME EXPECTED ACTUAL
  printf 'expected: %s\nactual:   %s\n' "$2" "$3" >"$work/said"
  if [ "$2" = "$3" ]; then ok "$1"; else bad "$1"; fi
}
eventually() { # NAME COMMAND...: within a minute
  local name=$1 end=$((SECONDS + 60)); shift
  until "$@" >"$work/said" 2>&1; do [ $SECONDS -lt $end ] || { bad "$name: not within 60 s"; return; }; sleep 0.2; done
  ok "$name"
}
not() { ! "$@"; }
as() { local who=$1; shift; kubectl --as "$who" "$@"; }
as_account() { # NAMESPACE NAME kubectl-arguments
  local account="$1:$2" space=$1; shift 2
  kubectl --as "system:serviceaccount:$account" --as-group system:serviceaccounts --as-group "system:serviceaccounts:$space" --as-group system:authenticated "$@"
}
controller() { as_account $ns portcullis-controller "$@"; }
webhook() { as_account $ns portcullis-webhook "$@"; }
collector() { as_account kube-system generic-garbage-collector "$@"; }
tenant() { as tenant "$@"; }
chart() { # install|upgrade [FLAGS]
  local act=$1; shift
  helm "$act" portcullis "$root/charts/portcullis" -n $ns --set image.repository=registry.example/portcullis "$@" >"$work/said" 2>&1
}
raw_namespace() { # NAME JQ > file
  kubectl get namespace "$1" -o json | jq "$2" >"$work/namespace.json"
}

section 'a governed namespace, from before'
kubectl create namespace team-a >/dev/null
kubectl label namespace team-a portcullis.dev/environment=production portcullis.dev/sensitivity=confidential pod-security.kubernetes.io/enforce=baseline >/dev/null
kubectl create namespace elsewhere >/dev/null
# a tenant who is admin of his namespace, may write namespaces, webhook configurations and, by some mistake, every status
kubectl create rolebinding tenant -n team-a --clusterrole=admin --user=tenant >/dev/null
kubectl create clusterrole careless --verb='get,list,watch,create,update,patch,delete,deletecollection' \
  --resource='namespaces,namespaces/status,namespaces/finalize,validatingwebhookconfigurations.admissionregistration.k8s.io' >/dev/null
kubectl create clusterrolebinding careless --clusterrole=careless --user=tenant --user=classifier --user=glass-breaker >/dev/null
kubectl create serviceaccount -n team-a app >/dev/null
kubectl apply -f - >/dev/null <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: team-a}
spec:
  replicas: 1
  selector: {matchLabels: {app: old}}
  template:
    metadata: {labels: {app: old}, finalizers: [example.org/held]}
    spec: {containers: [{name: c, image: registry.example/c}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: old, namespace: team-a}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: registry.example/c, resources: {requests: {cpu: 1m}}}]}}}
YAML
eventually 'the pods are there' sh -c '[ "$(kubectl get pods -n team-a -o name | wc -l)" = 2 ]'
pod=$(kubectl get pods -n team-a -l app=old -o name)

section 'installation by a cluster administrator, no hook, no pod that runs'
allowed 'helm install' chart install --create-namespace
kubectl create clusterrolebinding classifiers --clusterrole=portcullis-classifier --user=classifier >/dev/null
kubectl create clusterrolebinding breakers --clusterrole=portcullis-break-glass --user=glass-breaker >/dev/null
eventually 'the guards hold' sh -c 'kubectl label namespace team-a portcullis.dev/environment- --as tenant --dry-run=server 2>&1 | grep -q "namespace-classified"'
equal 'the policies have no type errors' '' "$(kubectl get validatingadmissionpolicies -o json | jq -r '.items[] | select(.status.typeChecking.expressionWarnings) | .metadata.name')"
equal 'the controller knows the same list' "$(kubectl get validatingwebhookconfiguration portcullis -o json | jq -S '[.webhooks[].name]')" \
  "$(kubectl get configmap portcullis-webhooks -n $ns -o jsonpath='{.data.webhooks\.yaml}' | sed 's/^/  /; 1i webhooks:' | sed '1i apiVersion: x/v1\nkind: X\nmetadata: {name: x}' | kubectl annotate --local -f - -o json x=y | jq -S '[.webhooks[].name]')"

section 'nothing else is held up while the webhook does not answer'
allowed 'a pod in a namespace that is not governed' kubectl run free --image=registry.example/c -n elsewhere
allowed 'case 72: a pod in kube-system' kubectl run system --image=registry.example/c -n kube-system
allowed 'case 72: a pod in our own namespace' kubectl run own --image=registry.example/c -n $ns
allowed 'a Pod Security label elsewhere' kubectl label namespace elsewhere pod-security.kubernetes.io/enforce=baseline
allowed 'an ordinary label on a governed namespace' kubectl label namespace team-a team=a
allowed 'RBAC (failurePolicy Ignore)' kubectl create role reader -n team-a --verb=get --resource=pods
allowed 'scaling' kubectl scale deployment old -n team-a --replicas=0
allowed 'a label of a Deployment' kubectl label deployment old -n team-a x=y
allowed 'the status of a pod' kubectl patch "$pod" -n team-a --subresource status --type=merge -p '{"status":{"message":"seen"}}'
refused 'labels of a pod through its status' '[declared-workloads-only] Pod team-a/old' kubectl patch "$pod" -n team-a --subresource status --type=merge -p '{"metadata":{"labels":{"app":"other"}}}'
allowed 'removing a finalizer from a pod' kubectl patch "$pod" -n team-a --type=json -p '[{"op":"remove","path":"/metadata/finalizers"}]'
allowed 'an annotation of a pod' kubectl annotate pods -n team-a --all x=y
kubectl delete pods system -n kube-system --now >/dev/null; kubectl delete pods own -n $ns --now >/dev/null

section 'and what must wait for it, waits'
refused 'a pod in a governed namespace' 'failed calling webhook "pods.portcullis.dev"' as tenant run p --image=registry.example/c -n team-a
refused 'case 2: a new image in a running pod' 'failed calling webhook "pods.portcullis.dev"' as tenant set image pods -l job-name=old '*=registry.example/d' -n team-a
refused 'case 1: an ephemeral container' 'failed calling webhook "pods.portcullis.dev"' \
  kubectl patch "$(kubectl get pods -n team-a -l job-name=old -o name)" -n team-a --subresource=ephemeralcontainers -p '{"spec":{"ephemeralContainers":[{"name":"d","image":"registry.example/d","targetContainerName":"c"}]}}'
refused 'case 4: resize' 'failed calling webhook "pods.portcullis.dev"' \
  kubectl patch "$(kubectl get pods -n team-a -l job-name=old -o name)" -n team-a --subresource=resize -p '{"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"2"}}}]}}'
refused 'case 5: exec' 'failed calling webhook "pods.portcullis.dev"' kubectl exec "$(kubectl get pods -n team-a -l job-name=old -o name)" -n team-a -- true
binding() { # PATH
  echo '{"apiVersion":"v1","kind":"Binding","metadata":{"name":"'"${pod#pod/}"'","labels":{"forged":"yes"}},"target":{"kind":"Node","name":"n"}}' | kubectl create --raw "$1" -f -
}
job_pod=$(kubectl get pods -n team-a -l job-name=old -o jsonpath='{.items[0].metadata.name}'); pod=pod/$job_pod
refused 'case 7: binding' 'failed calling webhook "pods.portcullis.dev"' binding "/api/v1/namespaces/team-a/pods/$job_pod/binding"
refused 'case 7: binding by the old way' 'failed calling webhook "pods.portcullis.dev"' binding /api/v1/namespaces/team-a/bindings
refused 'case 10: a new template' 'failed calling webhook "workloads.portcullis.dev"' as tenant set image deployment/old '*=registry.example/d' -n team-a
refused 'case 40: a NetworkPolicy beside ours' 'failed calling webhook "environment.portcullis.dev"' \
  sh -c 'echo "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"open\",\"namespace\":\"team-a\"},\"spec\":{\"podSelector\":{}}}" | kubectl create --as tenant -f -'
refused 'case 30: governing a namespace' 'failed calling webhook "namespaces.portcullis.dev"' kubectl label namespace elsewhere portcullis.dev/environment=research portcullis.dev/sensitivity=public

declaration=$work/declaration.yaml
cat >"$declaration" <<'YAML'
apiVersion: portcullis.dev/v1alpha1
kind: AIWorkload
metadata: {name: chat, namespace: team-a}
spec: {type: supporting, selector: {matchLabels: {app: chat}}, owners: {accountable: {user: j.doe}, systemOperator: {group: ops}}}
YAML
refused 'a declaration' 'failed calling webhook "kinds.portcullis.dev"' kubectl create -f "$declaration"

section 'the labels of namespaces'
classified='[namespace-classified] Namespace "team-a": tenant may not change its labels'
refused 'case 31: removal' "$classified" as tenant label namespace team-a portcullis.dev/environment- portcullis.dev/sensitivity-
refused 'the missing permission' 'enforce: that needs the verb classify on namespaces (ClusterRole portcullis-classifier); why: they decide what its pods may do; fix: keep the old values' \
  as tenant label namespace team-a portcullis.dev/environment-
refused 'case 31: weakening' "$classified" as tenant label namespace team-a portcullis.dev/sensitivity=public --overwrite
refused 'case 33: Pod Security' "$classified" as tenant label namespace team-a pod-security.kubernetes.io/enforce=privileged --overwrite
raw_namespace team-a 'del(.metadata.labels["portcullis.dev/environment"], .metadata.labels["portcullis.dev/sensitivity"])'
refused 'case 32: by status' "$classified" as tenant replace --raw /api/v1/namespaces/team-a/status -f "$work/namespace.json"
refused 'case 32: by finalize' "$classified" as tenant replace --raw /api/v1/namespaces/team-a/finalize -f "$work/namespace.json"
refused 'case 32: by replacement' "$classified" as tenant replace -f "$work/namespace.json"
raw_namespace team-a '.metadata.labels["pod-security.kubernetes.io/enforce"] = "privileged"'
refused 'case 33: by finalize' "$classified" as tenant replace --raw /api/v1/namespaces/team-a/finalize -f "$work/namespace.json"
refused 'half a classification' 'do not classify it; why: a namespace is governed by both labels' kubectl label namespace team-a portcullis.dev/sensitivity-
refused 'an unknown word' 'portcullis.dev/environment="prod"' kubectl label namespace team-a portcullis.dev/environment=prod --overwrite
kubectl create namespace cluster >/dev/null
refused 'a namespace called cluster' 'Namespace "cluster": a namespace of this name cannot be governed' kubectl label namespace cluster portcullis.dev/environment=research portcullis.dev/sensitivity=public
refused 'case 34: a system namespace' 'Namespace "kube-system": a system namespace cannot be governed' kubectl label namespace kube-system portcullis.dev/environment=research portcullis.dev/sensitivity=public
refused 'a tenant may not classify a new one' 'Namespace "mine": tenant may not change its labels' \
  sh -c 'echo "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"mine\",\"labels\":{\"portcullis.dev/environment\":\"research\",\"portcullis.dev/sensitivity\":\"public\"}}}" | kubectl create --as tenant -f -'

section 'the webhook configuration'
guard='[enforcement-integrity] ValidatingWebhookConfiguration "portcullis": tenant may not'
refused 'case 71: failurePolicy' "$guard update it" as tenant patch validatingwebhookconfiguration portcullis --type=json -p '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]'
refused 'case 71: delete' "$guard delete it" as tenant delete validatingwebhookconfiguration portcullis
refused 'case 71: delete the collection' "$guard delete it" as tenant delete validatingwebhookconfigurations --all
refused 'case 71: delete the collection, raw' "$guard delete it" as tenant delete --raw /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations
allowed 'somebody else'\''s configuration' as tenant delete validatingwebhookconfiguration other --ignore-not-found
allowed 'case 76: the controller sets caBundle' controller apply --server-side --field-manager=portcullis --force-conflicts -f - <<'YAML'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: portcullis}
webhooks:
  - name: pods.portcullis.dev
    clientConfig: {caBundle: dGVzdA==}
YAML
refused 'case 79: another CA' "$guard update it" as tenant patch validatingwebhookconfiguration portcullis --type=json -p '[{"op":"replace","path":"/webhooks/0/clientConfig/caBundle","value":"b3RoZXI="}]'
allowed 'an upgrade keeps caBundle' chart upgrade --set webhook.replicas=4
equal 'case 74: caBundle after the upgrade' dGVzdA== "$(kubectl get validatingwebhookconfiguration portcullis -o jsonpath='{.webhooks[?(@.name=="pods.portcullis.dev")].clientConfig.caBundle}')"
allowed 'an upgrade of the list itself' chart upgrade --set webhook.timeoutSeconds=2
equal 'the new list is there' '2 2 2 2 2 2 2' "$(kubectl get validatingwebhookconfiguration portcullis -o jsonpath='{.webhooks[*].timeoutSeconds}')"
equal 'with caBundle' dGVzdA== "$(kubectl get validatingwebhookconfiguration portcullis -o jsonpath='{.webhooks[?(@.name=="pods.portcullis.dev")].clientConfig.caBundle}')"

section 'what is generated'
cat >"$work/generated.yaml" <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: chat, namespace: team-a, labels: {app.kubernetes.io/managed-by: portcullis, portcullis.dev/workload: chat}}
spec: {podSelector: {matchLabels: {app: chat}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: chat, namespace: team-a, labels: {app.kubernetes.io/managed-by: portcullis, portcullis.dev/workload: chat}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: chat, namespace: team-a, labels: {app.kubernetes.io/managed-by: portcullis, portcullis.dev/workload: chat}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: chat, namespace: team-a, labels: {app.kubernetes.io/managed-by: portcullis, portcullis.dev/workload: chat}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: chat}
subjects: [{kind: ServiceAccount, name: chat, namespace: team-a}]
YAML
sed 's/name: chat,/name: forged,/' "$work/generated.yaml" >"$work/forged.yaml"
mine='[enforcement-integrity] NetworkPolicy team-a/chat: tenant may not'
fix='fix: keep it as it is, and declare what you need: kubectl edit aiworkload chat -n team-a'
allowed 'the operator writes it, the webhook being away' controller apply --server-side --field-manager=portcullis -f "$work/generated.yaml"
for kind in networkpolicy serviceaccount role rolebinding; do
  refused "update of a $kind" "$fix" as tenant annotate "$kind" chat -n team-a x=y
  refused "taking the label off a $kind" "$fix" as tenant label "$kind" chat -n team-a app.kubernetes.io/managed-by-
  refused "deletion of a $kind" "$fix" as tenant delete "$kind" chat -n team-a
done
refused 'the words' "$mine update it: no permission allows it, only the operator does; why: the label app.kubernetes.io/managed-by=portcullis says that it is generated; $fix" as tenant annotate networkpolicy chat -n team-a x=y
refused 'deletion of the collection' "$mine delete it: that needs the verb guard on validatingwebhookconfigurations/portcullis (ClusterRole portcullis-break-glass);" as tenant delete --raw /apis/networking.k8s.io/v1/namespaces/team-a/networkpolicies
refused 'a forged label' 'fix: leave the label out' as tenant create -f "$work/forged.yaml"
refused 'a label put on what exists' 'says that it is generated; fix: leave the label out' as tenant label serviceaccount app -n team-a app.kubernetes.io/managed-by=portcullis
refused 'an administrator may not change it' 'kubernetes-admin may not update it' kubectl --as kubernetes-admin --as-group system:masters annotate networkpolicy chat -n team-a x=y
allowed 'an administrator may delete it' kubectl delete rolebinding chat -n team-a
allowed 'the tokens controller writes into ServiceAccounts' sh -c 'kubectl get serviceaccount chat -n team-a -o json | jq ".secrets = [{name: \"legacy\"}]" | kubectl replace --as system:kube-controller-manager -f -'
allowed 'a token for it' kubectl create token chat -n team-a
owner=$(kubectl create secret generic owner -n team-a -o json | jq -c '{apiVersion, kind, name: .metadata.name, uid: .metadata.uid}')
allowed 'an owner' controller patch serviceaccount chat -n team-a --type=merge -p "{\"metadata\":{\"ownerReferences\":[$owner]}}"
kubectl delete secret owner -n team-a >/dev/null
eventually 'the garbage collector collects it' not kubectl get serviceaccount chat -n team-a

section 'what the accounts may do'
# can WHO VERB GROUP RESOURCE[/SUBRESOURCE] [NAME] [NAMESPACE]: a dash stands for nothing
can() {
  local resource=${4%%/*} sub=''; [ "$resource" = "$4" ] || sub=${4#*/}
  jq -n --arg v "$2" --arg g "${3#-}" --arg r "$resource" --arg s "$sub" --arg n "${5:--}" --arg ns "${6:--}" '
    {apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview",
     spec: {resourceAttributes: {verb: $v, group: $g, resource: $r, subresource: $s, name: ($n | ltrimstr("-")), namespace: ($ns | ltrimstr("-"))}}}' |
    "$1" create --validate=false -f - -o jsonpath='{.status.allowed}'
}
a=admissionregistration.k8s.io r=rbac.authorization.k8s.io p=portcullis.dev
while read -r answer question; do
  # shellcheck disable=SC2086
  equal "$question: $answer" "$answer" "$(can $question)"
done <<TABLE
false webhook list - secrets
false webhook list - secrets - $ns
true webhook watch - secrets portcullis-webhook-tls $ns
false webhook get - secrets portcullis-ca $ns
true webhook list - pods
false webhook get - pods
false webhook watch - pods
false webhook create - pods - team-a
true webhook create authorization.k8s.io subjectaccessreviews
true webhook list networking.k8s.io networkpolicies
true webhook watch $p aitrustpolicies
false webhook patch $p aiworkloads/status - team-a
true webhook patch $p aicompliances/status cluster
false webhook patch $p aicompliances/status team-a
false webhook patch $p aicompliances cluster
false webhook patch $a validatingwebhookconfigurations portcullis
true controller get - secrets portcullis-ca $ns
false controller get - secrets other $ns
false controller list - secrets - $ns
false controller get - secrets - team-a
true controller patch $p aiworkloads/status chat team-a
false controller patch $p aiworkloads chat team-a
true controller create $p aicompliances
true controller patch $a validatingwebhookconfigurations portcullis
true controller create $a validatingwebhookconfigurations portcullis
false controller create $a validatingwebhookconfigurations other
false controller patch $a validatingwebhookconfigurations other
false controller delete $a validatingwebhookconfigurations portcullis
false controller escalate $r roles - team-a
false controller bind $r clusterroles
false controller impersonate - users
false controller create $r clusterrolebindings
true controller create $r roles - team-a
false controller patch - namespaces team-a
false controller create - pods - team-a
false controller update - pods - team-a
false controller create - pods/exec - team-a
true tenant create $p aiworkloads - team-a
true tenant create $p aiexemptions - team-a
true tenant get $p aimodels - team-a
false tenant approve $p aiexemptions - team-a
false tenant patch $p aiworkloads/status - team-a
false tenant create $p aitrustpolicies
false tenant trust $p aitrustpolicies
true controller list apps replicasets - team-a
false webhook list apps replicasets - team-a
false webhook create - secrets - $ns
false tenant classify - namespaces team-a team-a
false tenant guard $a validatingwebhookconfigurations portcullis
TABLE

section 'Roles stay below the ceiling'
sed 's/resources: \[pods\]/resources: [secrets]/' "$work/generated.yaml" >"$work/wide.yaml"
refused 'a Role beyond it' 'is attempting to grant RBAC permissions not currently held' controller apply --server-side --field-manager=portcullis -f "$work/wide.yaml"
refused 'a binding beyond it' 'is attempting to grant RBAC permissions not currently held' controller create rolebinding wide -n team-a --clusterrole=admin --serviceaccount=team-a:chat

section 'names bind a create by server-side apply'
apply_configuration() { # NAME
  echo '{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"'"$1"'"}}' |
    controller apply --server-side --field-manager=portcullis --force-conflicts --dry-run=server -f -
}
refused 'another configuration' 'forbidden' apply_configuration another

section 'with the configuration gone, as in an emergency'
refused 'an administrator'\''s hands too, while it does not answer' 'failed calling webhook "environment.portcullis.dev"' kubectl delete networkpolicy chat -n team-a
allowed 'break-glass: the controller steps aside' as glass-breaker patch deployment portcullis-controller -n $ns --subresource=scale --type=merge -p '{"spec":{"replicas":0}}'
refused 'and no other Deployment' 'cannot' as glass-breaker patch deployment portcullis-webhook -n $ns --subresource=scale --type=merge -p '{"spec":{"replicas":0}}'
allowed 'break-glass deletes it' as glass-breaker delete validatingwebhookconfiguration portcullis
allowed 'an administrator may take a generated policy away' kubectl delete networkpolicy chat -n team-a
allowed 'pods start at once' as tenant run emergency --image=registry.example/c -n team-a
refused 'the labels still hold' "$classified" as tenant label namespace team-a portcullis.dev/environment- portcullis.dev/sensitivity-
allowed 'who holds classify may change them' as classifier label namespace team-a portcullis.dev/environment=staging --overwrite
allowed 'and a Pod Security label' as classifier label namespace team-a pod-security.kubernetes.io/enforce-
allowed 'and govern one' as classifier label namespace elsewhere portcullis.dev/environment=research portcullis.dev/sensitivity=public
allowed 'and let it go' as classifier label namespace elsewhere portcullis.dev/environment- portcullis.dev/sensitivity-
refused 'a tenant may not put a weaker one in its place' "$guard create it" as tenant create -f - <<'YAML'
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: portcullis}}
YAML
allowed 'the controller recreates it, named as it is' apply_configuration portcullis

section 'our own kinds'
administrator() { kubectl --as kubernetes-admin --as-group system:masters "$@"; }
row=$work/row.yaml
echo '{apiVersion: portcullis.dev/v1alpha1, kind: AICompliance, metadata: {name: team-a}, spec: {scope: Namespace}}' >"$row"
refused 'case 84: a row of the audit, by an administrator' '[enforcement-integrity] AICompliance team-a: kubernetes-admin may not write the audit; why:' administrator create -f "$row"
allowed 'by the operator' controller apply --server-side --field-manager=portcullis -f "$row"
refused 'case 84: the status of a row' '[enforcement-integrity] AICompliance team-a: kubernetes-admin may not write the audit' \
  administrator patch aicompliance team-a --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
refused 'case 84: a label of a row' 'kubernetes-admin may not write the audit' administrator label aicompliance team-a x=y
allowed 'case 84: the status of a row, by the operator' controller patch aicompliance team-a --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
echo '{apiVersion: portcullis.dev/v1alpha1, kind: AICompliance, metadata: {name: cluster}, spec: {scope: Cluster}}' | controller apply --server-side --field-manager=portcullis -f - >/dev/null
controller patch aicompliance cluster --subresource=status --type=merge -p '{"status":{"verdict":"fail"}}' >/dev/null
condition() { echo '{"status":{"conditions":[{"type":"'"$1"'","status":"'"$2"'","reason":"Stale","message":"m","lastTransitionTime":"2026-01-01T00:00:00Z"}]'"${3-}"'}}'; }
mark() { webhook patch aicompliance cluster --subresource=status --type=merge -p "$1"; }
allowed 'the webhook says that the audit has stopped' mark "$(condition Fresh False)"
refused 'and not that it runs' 'may not write the audit' mark "$(condition Fresh True)"
refused 'nor any verdict' 'may not write the audit' mark "$(condition Fresh False ',"verdict":"pass"')"
refused 'case 84: a tenant deletes it' 'cannot delete resource "aicompliances"' tenant delete aicompliance team-a
allowed 'an administrator deletes a stale row' administrator delete aicompliance team-a
kubectl create -f - >/dev/null <<'YAML'
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: writer}, rules: [{apiGroups: [portcullis.dev], resources: ["*"], verbs: [get, create, update, patch, delete]}]}
YAML
kubectl create clusterrolebinding writer --clusterrole=writer --user=writer >/dev/null
kubectl create clusterrolebinding trusted --clusterrole=portcullis-trust-admin --user=trusted >/dev/null
echo '{apiVersion: portcullis.dev/v1alpha1, kind: AIProfile, metadata: {name: lax}, spec: {}}' >"$work/profile.yaml"
refused 'trust is not a matter of plain rights' '[trust-roots-managed] AIProfile "lax": writer may not create it; why: it decides for every namespace' as writer create --validate=false -f "$work/profile.yaml"
allowed 'but of the verb' as trusted create --validate=false -f "$work/profile.yaml"
refused 'nor is taking it away' '[trust-roots-managed] AIProfile "lax": writer may not delete it' as writer delete aiprofile lax
allowed 'which the verb allows' as trusted delete aiprofile lax
allowed 'a tenant declares' tenant create --validate=false -f "$declaration"
refused 'case 84: the status of a declaration, by the tenant' 'resource "aiworkloads/status"' \
  tenant patch aiworkload chat -n team-a --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
refused 'case 84: by an administrator' '[enforcement-integrity] AIWorkload team-a/chat: kubernetes-admin may not write its status; why: a verdict that anybody could write would prove nothing; fix:' \
  administrator patch aiworkload chat -n team-a --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
allowed 'by the operator' controller patch aiworkload chat -n team-a --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
refused 'the operator does not declare' 'cannot patch resource "aiworkloads"' controller label aiworkload chat -n team-a x=y

section 'the end of a namespace, with everything in it and nobody there to judge'
allowed 'helm upgrade restores the configuration' chart upgrade
allowed 'and it is there' kubectl get validatingwebhookconfiguration portcullis
eventually 'it is in force' sh -c 'kubectl run canary --image=registry.example/c -n team-a --dry-run=server 2>&1 | grep -q "failed calling webhook"'
allowed 'generated objects once more' controller apply --server-side --field-manager=portcullis --force-conflicts -f "$work/generated.yaml"
refused 'a declaration cannot go' 'failed calling webhook "kinds.portcullis.dev"' kubectl delete aiworkload chat -n team-a
allowed 'a Deployment goes in the foreground' kubectl delete deployment old -n team-a --cascade=foreground --timeout=60s
allowed 'the namespace goes' kubectl delete namespace team-a --timeout=90s

section 'uninstall, all pods dead'
kubectl create namespace team-b >/dev/null
controller apply --server-side --field-manager=portcullis -f - >/dev/null <<'YAML'
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: portcullis-default-deny, namespace: team-b, labels: {app.kubernetes.io/managed-by: portcullis}}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
YAML
allowed 'helm uninstall' helm uninstall portcullis -n $ns
left() { kubectl get validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings -o name | grep portcullis || true; }
equal 'nothing of it is left' '' "$(left)"
equal 'nor in its namespace' '' "$(kubectl get deployments,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets -n $ns -o name | grep portcullis || true)"
eventually 'what it generated can go' kubectl delete networkpolicy portcullis-default-deny -n team-b
eventually 'labels are anybody'\''s again' kubectl label namespace team-b portcullis.dev/environment=research
equal 'the definitions are kept' 11 "$(kubectl get crds -o name | grep -c portcullis.dev)"
allowed 'a second installation adopts them' chart install
allowed 'and goes again' helm uninstall portcullis -n $ns
allowed 'the definitions can go' sh -c 'kubectl get crds -o name | grep portcullis.dev | xargs kubectl delete --timeout=60s'
allowed 'its namespace goes' kubectl delete namespace $ns --timeout=90s
kubectl delete namespace team-b elsewhere cluster --wait=false >/dev/null
kubectl delete clusterrolebinding careless classifiers breakers writer trusted >/dev/null; kubectl delete clusterrole careless writer >/dev/null

printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ -z "${PORTCULLIS_TALLY:-}" ] || echo "$passed $failed" >>"$PORTCULLIS_TALLY"
[ "$failed" = 0 ]
