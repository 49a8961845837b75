# What somebody with every right of a tenant in the namespace may not do.
# shellcheck shell=bash
chat=portcullis-demo-chat
kubectl -n $chat create rolebinding tenant --clusterrole admin --user tenant >/dev/null
# And, by some administrator's mistake, writes what a tenant should not reach at all.
kubectl create clusterrole careless --verb get,patch,update --resource namespaces,pods/ephemeralcontainers,aiworkloads.portcullis.dev/status >/dev/null
kubectl create clusterrolebinding careless --clusterrole careless --user tenant >/dev/null
tenant() { kubectl --as tenant -n $chat "$@"; }
refused "a tenant cannot write the verdict" "[enforcement-integrity]" tenant patch aiworkload chat --subresource status --type merge -p '{"status": {"verdict": "pass"}}'
refused "a tenant cannot alter a generated object" "[enforcement-integrity]" tenant patch networkpolicy portcullis-default-deny --type merge -p '{"spec": {"policyTypes": ["Ingress"]}}'
refused "a tenant cannot delete the default deny" "[enforcement-integrity]" tenant delete networkpolicy portcullis-default-deny
refused "a tenant cannot take the namespace out of government" "namespace-classified" tenant label namespace $chat portcullis.dev/environment-
pod=$(kubectl -n $chat get pods -l app=chat -o name | head -n 1)
refused "a debug container that breaks the Code is refused" "spec.ephemeralContainers[0]" tenant debug "$pod" --image "$app" --attach=false
undeclared() {
  tenant apply --dry-run=server -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: undeclared}
spec: {containers: [{name: a, image: "$app"}]}
YAML
}
refused "a pod that nothing declares is refused" "declared-workloads-only" undeclared
direct() {
  tenant create --dry-run=server -f - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: direct, labels: {app: chat}}
spec: {hostNetwork: true, nodeName: portcullis-node, containers: [{name: a, image: "$app"}]}
YAML
}
refused "a pod with the host's network is refused" "pod-hardened" direct
