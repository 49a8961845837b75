# A hostile tenant: cases of the threat list, by number, with what has to refuse each. The tenant is the one of the part
# before: every right of an administrator in the namespace, and some that nobody should have given him.
# shellcheck shell=bash
kubectl patch clusterrole careless --type json -p '[
  {"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["namespaces/status", "namespaces/finalize"], "verbs": ["get", "update", "patch"]}},
  {"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["pods/binding"], "verbs": ["create"]}},
  {"op": "add", "path": "/rules/-", "value": {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"], "verbs": ["get", "update", "patch", "delete"]}},
  {"op": "add", "path": "/rules/-", "value": {"apiGroups": ["portcullis.dev"], "resources": ["*"], "verbs": ["get", "create", "update", "patch", "delete"]}}]' >/dev/null

abuse() { refused "abuse $1: $2" "${@:3}"; } # abuse NUMBER WHAT TEXT COMMAND...
chat_pod=$(kubectl create --dry-run=client -o json -f "$walk_work/corrected.yaml" |
  jq '{apiVersion: "v1", kind: "Pod", metadata: (.spec.template.metadata + {name: "hostile", namespace: .metadata.namespace}), spec: .spec.template.spec}')
try() { jq "$1" <<<"$chat_pod" | tenant create --dry-run=server -f -; } # try CHANGE: the workload's own pod with one change
c='.spec.containers[0]' unsigned="$repository/demo-app@sha256:$(printf 'f%.0s' {1..64})"
second="($c * {name: \"helper\", image: \"$unsigned\"} | del(.readinessProbe))"
expect "the pod without any change passes, so each refusal is that of the change" "pod/hostile created" try .

abuse 001 "a debug container with an image of one's own" '[image-signature-trusted' tenant debug "$pod" --image "$unsigned" --attach=false
abuse 002 "the image of a running pod is patched" '[image-signature-trusted' tenant patch "$pod" -p "{\"spec\": {\"containers\": [{\"name\": \"chat\", \"image\": \"$unsigned\"}]}}"
binding() {
  tenant create --raw "/api/v1/namespaces/$chat/pods/${pod#pod/}/binding" -f - <<JSON
{"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "${pod#pod/}", "labels": {"app": "other"}}, "target": {"kind": "Node", "name": "portcullis-node"}}
JSON
}
abuse 007 "labels come with a binding" 'Binding' binding
abuse 010 "image swapped and replicas lowered in one update" '[image-signature-trusted' tenant patch deployment chat --type json -p \
  "[{\"op\": \"replace\", \"path\": \"/spec/replicas\", \"value\": 0}, {\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/image\", \"value\": \"$unsigned\"}]"
abuse 014 "a name like that of a good pod" '[declared-workloads-only' try 'del(.metadata.name) | .metadata.generateName = "chat-" | .metadata.labels = {app: "other"}'
abuse 016 "an init container" 'spec.initContainers[0].image' try ".spec.initContainers = [$second]"
abuse 016 "a sidecar" 'spec.initContainers[0].image' try ".spec.initContainers = [$second + {restartPolicy: \"Always\"}]"
abuse 017 "code by an image volume" 'spec.volumes[1].image.reference' try ".spec.volumes += [{name: \"code\", image: {reference: \"$unsigned\"}}]"
expect "abuse 020: a program from a ConfigMap over that of the image" 'that may be run, by their mode' \
  try ".spec.volumes += [{name: \"evil\", configMap: {name: \"evil\", defaultMode: 493}}] | $c.volumeMounts += [{name: \"evil\", mountPath: \"/demo-app\", subPath: \"app\"}]"
abuse 022 "the account says no token, the pod says yes" '[dedicated-service-account' try '.spec.automountServiceAccountToken = true'
abuse 023 "a token by projection" '[dedicated-service-account' try '.spec.volumes += [{name: "token", projected: {sources: [{serviceAccountToken: {path: "token"}}]}}]'
abuse 023 "a token for a year" '[dedicated-service-account' tenant create token chat --duration 8760h
abuse 023 "a Secret that is not declared" '[secrets-not-inline' try "$c.envFrom = [{secretRef: {name: \"chat-token\"}}]"
abuse 024 "more rights for the identity" '[least-privilege-rbac' tenant create rolebinding more --clusterrole edit --serviceaccount "$chat:chat" --dry-run=server
abuse 025 "the node's files" '[pod-hardened' try '.spec.volumes += [{name: "root", hostPath: {path: "/"}}]'
abuse 025 "the node's processes" '[pod-hardened' try '.spec.hostPID = true'
abuse 025 "the node's network" '[pod-hardened' try '.spec.hostNetwork = true'
abuse 025 "privileged" '[pod-hardened' try "$c.securityContext |= (.privileged = true | del(.allowPrivilegeEscalation))"
abuse 025 "an unmasked /proc" '[pod-hardened' try ".spec.hostUsers = false | $c.securityContext.procMount = \"Unmasked\""
abuse 029 "a mirror pod" '[pod-hardened' try '.metadata.annotations["kubernetes.io/config.mirror"] = "x" | .spec.nodeName = "portcullis-node" | del(.spec.serviceAccountName)'
abuse 030 "a label that takes the namespace out" 'namespace-classified' tenant label namespace "$chat" portcullis.dev/environment=none --overwrite
abuse 031 "the label removed" 'namespace-classified' tenant label namespace "$chat" portcullis.dev/environment-
by_way_of() { kubectl get namespace "$chat" -o json | jq 'del(.metadata.labels["portcullis.dev/environment"])' | tenant replace --raw "/api/v1/namespaces/$chat/$1" -f -; }
abuse 032 "the label removed by way of status" 'namespace-classified' by_way_of status
abuse 032 "the label removed by way of finalize" 'namespace-classified' by_way_of finalize
abuse 033 "Pod Security lowered" 'namespace-classified' tenant label namespace "$chat" pod-security.kubernetes.io/enforce=privileged --overwrite
abuse 034 "a system namespace is labelled" 'namespace-classified' tenant label namespace kube-system portcullis.dev/environment=research
abuse 035 "a label that skips other gates" '[declared-workloads-only' try '.metadata.labels = {"portcullis.dev/ignore": "true", "admission.gatekeeper.sh/ignore": "true"}'
abuse 037 "a forged owner" '[declared-workloads-only' try '.metadata.labels = {app: "x"} | .metadata.ownerReferences = [{apiVersion: "apps/v1", kind: "ReplicaSet", name: "chat", uid: "0b7c2a3e-0000-4000-8000-000000000000", controller: true}]'
abuse 038 "no label at all" '[declared-workloads-only' try 'del(.metadata.labels)'
abuse 039 "a container named like a checker" 'spec.initContainers[0].image' try ".spec.initContainers = [$second + {name: \"model-validation\"}]"
opened() {
  tenant create --dry-run=server -f - <<YAML
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: $chat}
spec: {podSelector: {}, ingress: [{}], egress: [{}], policyTypes: [Ingress, Egress]}
YAML
}
abuse 040 "a policy that allows all, beside the one that denies all" '[network-default-deny' opened
abuse 044 "a registry's name with a port" '[image-digest-pinned' try "$c.image = \"registry.example:443/chat\""
abuse 044 "a tag and no digest" '[image-digest-pinned' try "$c.image = \"$repository/demo-app:1\""
abuse 044 "a repository that begins like a trusted one" '[image-signature-trusted' try "$c.image = \"${repository}x/demo-app@${app##*@}\""
abuse 044 "a host with a dot at its end" '[image-' try "$c.image = \"docker.io./library/chat@${app##*@}\""
copied() { # the image and its signature, both to a repository that no rule covers
  local to=${repository%%/*}/elsewhere/demo-app
  crane copy --insecure "$app" "$to:1" 2>/dev/null
  crane copy --insecure "${app%%@*}:sha256-${app##*sha256:}.sig" "$to:sha256-${app##*sha256:}.sig" 2>/dev/null
  try "$c.image = \"$to@${app##*@}\""
}
abuse 053 "an image and its signature in a repository that no rule covers" '[image-signature-trusted' copied
abuse 060 "a declaration that selects other pods" 'immutable' tenant patch aiworkload chat --type merge -p '{"spec": {"selector": {"matchLabels": {"app": "other"}}}}'
many() { jq ".metadata.labels = {app: \"x\"} | $c.env = [range(10000) | {name: \"V\\(.)\", value: \"x\"}]" <<<"$chat_pod" | tenant create --dry-run=server -f -; }
abuse 068 "ten thousand variables" '[declared-workloads-only' many
padded() { jq --rawfile pad <(head -c 400000 /dev/zero | tr '\0' '<') ".metadata.labels = {app: \"x\"} | $c.env = [{name: \"PAD\", value: \$pad}]" <<<"$chat_pod" | tenant create --dry-run=server -f -; }
abuse 089 "a pod padded with what encodes badly" '[declared-workloads-only' padded
trusted() {
  tenant create -f - <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AITrustPolicy
metadata: {name: hostile}
spec: {registries: [{host: registry.hostile.example}], authorities: [], rules: []}
YAML
}
abuse 046 "a trust policy of one's own" '[trust-roots-managed]' trusted
lenient() {
  tenant create -f - <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIProfile
metadata: {name: hostile}
spec: {base: core, controls: {image-signature-trusted: {production: audit}}}
YAML
}
abuse 045 "a profile that only audits" '[trust-roots-managed]' lenient
# A pod that is being deleted is judged as before; only its finalizers may go.
jq '.metadata.name = "held" | .metadata.finalizers = ["example.org/held"]' <<<"$chat_pod" | tenant create -f - >/dev/null
tenant delete pod held --wait=false >/dev/null
abuse 011 "an image is patched after the deletion" '[image-signature-trusted' tenant patch pod held -p "{\"spec\": {\"containers\": [{\"name\": \"chat\", \"image\": \"$unsigned\"}]}}"
expect "and its finalizer goes" "pod/held patched" tenant patch pod held --type merge -p '{"metadata": {"finalizers": null}}'
exempted() { # exempted APPROVER
  tenant create -f - <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIExemption
metadata: {name: hostile}
spec:
  controls: [image-signature-trusted]
  subject: {kind: AIWorkload, name: chat, digest: "${unsigned##*@}"}
  reason: because I say so
  requestedBy: tenant
  expiresAt: "$(date -u -d '+30 days' +%F)"
  $1
YAML
}
abuse 045 "an exemption that approves itself" 'approvedBy' exempted 'approvedBy: tenant'
elsewhere() {
  kubectl create namespace portcullis-demo-other >/dev/null
  tenant patch aiworkload chat --dry-run=server --type merge -p '{"spec": {"models": [{"name": "portcullis-demo-other/numbers"}]}}'
}
abuse 041 "a model of another namespace" 'spec.models[0].name' elsewhere
before=$(kubectl get events -A -o name | wc -l)
try '.spec.hostNetwork = true' >/dev/null 2>&1 || true
expect "abuse 078: a dry run leaves no Event" "events: $before" sh -c 'echo "events: $(kubectl get events -A -o name | wc -l)"'
abuse 071 "the webhook is told to fail open" 'enforcement-integrity' tenant patch validatingwebhookconfiguration portcullis --type json -p '[{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]'
abuse 071 "the webhook is deleted" 'enforcement-integrity' tenant delete validatingwebhookconfiguration portcullis
kubectl delete namespace portcullis-demo-other --wait=false >/dev/null
