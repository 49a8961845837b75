# The newer controls, on the samples of the part before: what a careless or hostile tenant tries, and beside each what passes.
# shellcheck shell=bash
home=support-chat
export PATIENCE=20
kubectl apply -f e2e/gateway.yaml >/dev/null
kubectl -n $home create rolebinding insider --clusterrole admin --user insider >/dev/null
kubectl create clusterrole insider --verb '*' --resource httproutes.gateway.networking.k8s.io,backendtrafficpolicies.gateway.envoyproxy.io,pods/ephemeralcontainers >/dev/null
kubectl create clusterrolebinding insider --clusterrole insider --user insider >/dev/null
insider() { kubectl --as insider -n $home "$@"; }
given() { insider apply -f - <<<"$1"; }

# Ways in.
service() { echo "{apiVersion: v1, kind: Service, metadata: {name: $1}, spec: {type: $2, selector: {app: chat}, ports: [{port: 80, targetPort: $3}]}}"; }
refused "a Service of type LoadBalancer that nobody declared" '[exposure-declared' given "$(service open LoadBalancer 8080)"
refused "a NodePort to a port that nobody declared" 'leads to a port of the pods that AIWorkload support-chat/chat does not declare' given "$(service open NodePort 9999)"
refused "the declared Service turned outwards" 'Service support-chat/chat is reached from outside by NodePort' given "$(service chat NodePort 8080)"
expect "a Service to other pods is nobody's matter" "service/other created" insider create service clusterip other --tcp 80:80
refused "an Ingress to callers who are not asked who they are" 'Ingress support-chat/in leads to it' insider create ingress in --rule 'chat.example/*=chat:80,tls=chat'
route() { echo "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: $1}, spec: {parentRefs: [{name: front}], rules: [{backendRefs: [{name: $2, port: 80}]}]}}"; }
kubectl wait --for condition=Established -f e2e/gateway.yaml --timeout 20s >/dev/null
refused "a route to the same" 'HTTPRoute support-chat/in leads to it' given "$(route in chat)"
expect "a route to other pods passes" "httproute.gateway.networking.k8s.io/other created" given "$(route other other)"
expect "callers are to sign in, with a warning that tests have lapsed" 'aiworkload.portcullis.dev/chat patched' insider patch aiworkload chat --type json -p \
  '[{"op": "add", "path": "/spec/exposure/0/authn", "value": "oidc"}, {"op": "replace", "path": "/spec/exposure/0/configuredBy", "value": "HTTPRoute/in"}]'
expect "then the route passes" "httproute.gateway.networking.k8s.io/in created" eventually_says "created" given "$(route in chat)"
refused "an Ingress in the clear" 'so callers can come in the clear' insider create ingress in --rule 'chat.example/*=chat:80'
expect "one with TLS passes" "ingress.networking.k8s.io/in created" insider create ingress in --rule 'chat.example/*=chat:80,tls=chat'

# Limits that a gateway keeps.
verdicts() { kubectl -n $home get aiworkload chat -o 'jsonpath={.status.rows[*].message}'; }
limit() { echo "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: BackendTrafficPolicy, metadata: {name: in}, spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: in}], rateLimit: {local: {rules: [{limit: {requests: $1, unit: Minute}}]}}}}"; }
expect "a route without limits turns the verdict" 'HTTPRoute support-chat/in: has no BackendTrafficPolicy' eventually_says 'has no BackendTrafficPolicy' verdicts
given "$(limit 6000)" >/dev/null
expect "and so does a limit above the declared one" 'lets more through' eventually_says 'lets more through' verdicts
given "$(limit 60)" >/dev/null
without() { verdicts | grep -q BackendTrafficPolicy || echo "kept"; }
expect "the declared limit is enough" "kept" eventually_says "kept" without
refused "an exposure without a limit" '[rate-limit-set' insider patch aiworkload chat --type json -p '[{"op": "remove", "path": "/spec/exposure/0/rateLimit"}]'
refused "a chatbot without guards" '[io-guardrails' insider patch aiworkload chat --type json -p '[{"op": "remove", "path": "/spec/guardrails"}]'

# Into running pods.
pod=$(kubectl -n $home get pods -l app=chat -o name | head -n 1)
kubectl create clusterrolebinding responder --clusterrole portcullis-pod-access --user responder >/dev/null
kubectl -n $home create rolebinding responder --clusterrole admin --user responder >/dev/null
responder() { kubectl --as responder -n $home "$@"; }
refused "a command in a pod" 'user "insider" may not run a command in it' insider exec "$pod" -c guard -- /demo-app cat /rules/text
refused "a terminal" 'may not attach to it' insider attach "$pod" -c guard
refused "a port" 'may not forward a port of it' insider port-forward "$pod" 18080:8080
refused "the API server as a way round" 'may not call it past its network policies' insider get --raw "/api/v1/namespaces/$home/pods/${pod#pod/}/proxy/"
refused "a debug container" 'spec.ephemeralContainers[0]' insider debug "$pod" --image "$app" --attach=false --profile restricted
refused "who may break the glass says why first" 'has not said why' responder exec "$pod" -c guard -- /demo-app cat /rules/text
responder annotate "$pod" portcullis.dev/break-glass='INC-7 the guard answers nothing' >/dev/null
expect "then the glass breaks" "deny topics" responder exec "$pod" -c guard -- /demo-app cat /rules/text
glass() { kubectl -n $home get events --field-selector reason=BreakGlass -o 'jsonpath={.items[*].message}'; }
expect "and who entered, and why, is on record" 'user "responder" entered Pod' eventually_says "INC-7" glass

# Storage, retention, disposal.
job() { kubectl create --dry-run=client -o json -f "$filled/fine-tuning/6-job.yaml" | jq -c 'select(.kind == "Job") | .metadata.name = "again"' | jq "$1" | kubectl apply --dry-run=server -f -; }
expect "a second run of the job passes" "job.batch/again created" job .
refused "confidential scratch data on the node's disk" '[storage-encrypted' job '(.spec.template.spec.volumes[] | select(.name == "scratch") | .emptyDir) = {}'
kubectl -n fine-tuning apply -f - >/dev/null <<<'{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: plain}, spec: {accessModes: [ReadWriteOnce], storageClassName: standard, resources: {requests: {storage: 1Gi}}}}'
expect "results on a class that does not encrypt" 'PersistentVolumeClaim fine-tuning/plain spec.storageClassName "standard"' eventually_says '[storage-encrypted' \
  job '(.spec.template.spec.volumes[] | select(.name == "adapter") | .persistentVolumeClaim.claimName) = "plain"'
refused "data past its day" '[retention-enforced' kubectl -n batch-scoring patch aidataset claims --type merge -p '{"spec": {"retention": {"until": "2020-01-31"}}}'
expect "its owner keeps it longer" "patched" kubectl -n batch-scoring patch aidataset claims --type merge -p "{\"spec\": {\"retention\": {\"until\": \"$(date -u -d '+3 years' +%F)\"}}}"
prompt=$(kubectl -n $home get aiprompt chat-system -o json | jq '{apiVersion, kind, metadata: {name: "old", namespace: .metadata.namespace}, spec}')
kubectl apply -f - <<<"$prompt" >/dev/null
refused "an asset that goes without a record of its copies" 'no record says what became of its copies at chat-system-v1' kubectl -n $home delete aiprompt old
kubectl apply -f - >/dev/null <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIEvidence
metadata: {name: old-is-gone, namespace: $home}
spec:
  type: DisposalRecord
  subject: {kind: AIPrompt, name: old, digest: "$(jq -r .spec.digest <<<"$prompt")"}
  ref: https://documents.acme.example/gone
  digest: sha256:$(printf '5%.0s' {1..64})
  issuedAt: "$(date -u +%F)"
  facts: {copies: [chat-system-v1]}
YAML
expect "with one it goes" 'aiprompt.portcullis.dev "old" deleted' eventually_says deleted kubectl -n $home delete aiprompt old

# The namespace itself.
row() { kubectl get aicompliance $home -o 'jsonpath={.status.findings[*].message}'; }
kubectl -n $home delete resourcequota bounds >/dev/null
expect "a namespace without a quota" 'has no ResourceQuota' eventually_says 'has no ResourceQuota' row
kubectl apply -f "$filled/$home/1-namespace.yaml" >/dev/null
has_quota() { row | grep -q ResourceQuota || echo "bounded"; }
expect "and with one again" "bounded" eventually_says "bounded" has_quota
refused "lower Pod Security" 'namespace-classified' kubectl label namespace $home pod-security.kubernetes.io/enforce=baseline --overwrite

unset PATIENCE
kubectl delete namespace "${samples[@]}" --wait=false >/dev/null
kubectl delete -f "$filled/common" -f e2e/gateway.yaml -f "$walk_work/storage.yaml" --wait=false >/dev/null
kubectl delete clusterrolebinding insider responder >/dev/null
kubectl delete clusterrole insider >/dev/null
