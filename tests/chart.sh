#!/usr/bin/env bash
# The chart without a cluster: lint, every branch of its values rendered and asked what it holds, values that must be refused.
#
#   tests/chart.sh          needs helm, kubectl (reads YAML, talks to nobody) and jq
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
. "$repo/e2e/expect.sh"
cd "$repo"
chart=charts/portcullis
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
export KUBECONFIG=/dev/null

template() { helm template portcullis "$chart" --namespace portcullis-system --set image.repository=registry.example/portcullis "$@"; }
render() { # NAME FLAGS...: what the next questions are about
  branch=$1; shift
  template "$@" >"$work/objects.yaml"
  kubectl annotate --local -f "$work/objects.yaml" -o json read-by-tests=yes | jq -s . >"$work/objects.json"
}
holds() { # WHAT JQ: the expression is true of the list of objects
  local said
  said=$(jq "$prelude $2" "$work/objects.json" 2>&1) || true
  if [ "$said" = true ]; then passed "$branch: $1"; else failed "$branch: $1" "$2
$said"; fi
}
# shellcheck disable=SC2016
prelude='
  def every(k): map(select(.kind == k));
  def one(k; names): . as $all | names as $n | $all | map(select(.kind == k and .metadata.name == $n)) | if length == 1 then .[0] else error("\(length) of \(k) \($n)") end;
  def absent(k): every(k) | length == 0;
  def pod(n): one("Deployment"; n).spec.template.spec;
  def hooks: one("ValidatingWebhookConfiguration"; "portcullis").webhooks;
  def hook(names): hooks as $h | names as $n | $h[] | select(.name == $n);
  def resources(n): [hook(n).rules[] | .resources[]];
  def rules: map(select(.kind == "ClusterRole" or .kind == "Role") | .rules[]);
  def both: ["portcullis-webhook", "portcullis-controller"];
'

expect 'lint' '0 chart(s) failed' helm lint --strict "$chart" --set image.repository=registry.example/portcullis
if charts/render.sh --check 2>"$work/said"; then passed 'the rendered files are up to date'; else failed 'the rendered files are up to date' "$(tail -n 20 "$work/said")"; fi

render defaults
holds 'two Deployments, 3 and 2 replicas' '[both[] as $n | one("Deployment"; $n).spec.replicas] == [3, 2]'
holds 'the image by tag' 'pod("portcullis-webhook").containers[0].image == "registry.example/portcullis:" + (one("Deployment"; "portcullis-webhook").metadata.labels["app.kubernetes.io/version"])'
holds 'a restricted pod' '. as $all | both | all(. as $n | $all | pod($n).securityContext | .runAsNonRoot and .runAsUser == 65532 and .seccompProfile.type == "RuntimeDefault")'
holds 'a restricted container' '. as $all | both | all(. as $n | $all | pod($n).containers | length == 1 and (.[0].securityContext
  | .allowPrivilegeEscalation == false and .readOnlyRootFilesystem and .capabilities == {drop: ["ALL"]} and .privileged == false and .seccompProfile.type == "RuntimeDefault"))'
holds 'bounds on cpu and memory' '. as $all | both | all(. as $n | $all | pod($n).containers[0].resources | [.requests, .limits] | all(has("cpu") and has("memory")))'
holds 'probes on 8080' '. as $all | both | all(. as $n | $all | pod($n).containers[0] | (.ports[] | select(.name == "http").containerPort == 8080)
  and .livenessProbe.httpGet == {path: "/healthz", port: "http"} and .readinessProbe.httpGet == {path: "/readyz", port: "http"})'
holds 'no host, no secret and no writable mount' '. as $all | both | all(. as $n | $all | pod($n) | (has("hostNetwork") or has("hostPID")) == false and ([.volumes[]? | has("secret") or has("hostPath") or has("emptyDir")] | any | not))'
holds 'soft spread and anti-affinity' 'pod("portcullis-webhook") | (.topologySpreadConstraints | length == 2 and all(.whenUnsatisfiable == "ScheduleAnyway")) and (.affinity.podAntiAffinity | has("preferredDuringSchedulingIgnoredDuringExecution"))'
holds 'critical, with 30 s to drain' '. as $all | both | all(. as $n | $all | pod($n) | .priorityClassName == "system-cluster-critical" and .terminationGracePeriodSeconds == 30)'
holds 'never fewer replicas during a rollout' 'one("Deployment"; "portcullis-webhook").spec.strategy.rollingUpdate.maxUnavailable == 0'
holds 'selectors meet their pods' '. as $all | both | all(. as $n | $all | one("Deployment"; $n).spec | .selector.matchLabels as $s | .template.metadata.labels | contains($s))'
holds 'selectors tell them apart' '[both[] as $n | one("Deployment"; $n).spec.selector.matchLabels] | .[0] != .[1]'
holds 'budgets for disruption' '[every("PodDisruptionBudget")[].metadata.name] == ["portcullis-controller", "portcullis-webhook"]'
holds 'the Service reaches the webhook' 'one("Service"; "portcullis-webhook").spec | .ports == [{name: "https", port: 443, protocol: "TCP", targetPort: "https"}] and .selector["app.kubernetes.io/component"] == "webhook"'
holds 'network policies for both, in both directions' '[every("NetworkPolicy")[] | .spec.policyTypes] == [["Ingress", "Egress"], ["Ingress", "Egress"]]'
holds 'no hook of helm' '[.[].metadata.annotations | keys[] | select(startswith("helm.sh/hook"))] == []'
holds 'every namespaced object in the namespace of the release' '[.[] | select(.metadata.namespace != null and .metadata.namespace != "portcullis-system")] == []'
holds 'no Secret of its own' 'absent("Secret")'

holds 'eleven definitions that outlive the release' 'every("CustomResourceDefinition") | length == 11 and all(.metadata.annotations["helm.sh/resource-policy"] == "keep")'
for crd in crds/*.yaml; do
  # the escaped words come out as they went in
  if diff -q <(kubectl annotate --local -f "$crd" -o json read-by-tests=yes | jq -S .spec) \
    <(jq -S --arg n "$(basename "$crd" .yaml).portcullis.dev" '.[] | select(.kind == "CustomResourceDefinition" and .metadata.name == $n).spec' "$work/objects.json") >"$work/said"; then passed "$crd is in the chart"
  else failed "$crd is in the chart" "$(cat "$work/said")"; fi
done

holds 'the webhooks' '[hooks[].name] == ["pods.portcullis.dev", "workloads.portcullis.dev", "namespaces.portcullis.dev", "environment.portcullis.dev", "configmaps.portcullis.dev", "kinds.portcullis.dev", "rbac.portcullis.dev"]'
holds 'case 73: a short timeout' 'hooks | all(.timeoutSeconds == 3)'
holds 'closed when nobody answers, texts and RBAC aside' '[hooks[] | select(.failurePolicy != "Fail").name] == ["configmaps.portcullis.dev", "rbac.portcullis.dev"]'
holds 'texts never wait for us' '[hooks[] | select(any(.rules[].resources[]; . == "configmaps")).name] == ["configmaps.portcullis.dev"]'
holds 'case 12: every version, equivalents too' 'hooks | all(.matchPolicy == "Equivalent" and (.rules | all(.apiVersions == ["*"])))'
holds 'case 78: no side effects of dry runs' 'hooks | all(.sideEffects == "NoneOnDryRun")'
holds 'case 35: no selector on objects' 'hooks | all(.objectSelector == {})'
holds 'the CA is left to the controller' 'hooks | all(.clientConfig | has("caBundle") | not)'
holds 'our Service' 'hooks | all(.clientConfig.service == {name: "portcullis-webhook", namespace: "portcullis-system", path: "/validate", port: 443})'
holds 'case 72: excluded by name' '[hook("pods.portcullis.dev", "workloads.portcullis.dev", "environment.portcullis.dev", "configmaps.portcullis.dev").namespaceSelector] | unique == [{matchExpressions: [{key: "portcullis.dev/environment", operator: "Exists"},
  {key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-node-lease", "kube-system", "portcullis-system"]}]}]'
holds 'case 30: no selector where labels are guarded' '[hook("namespaces.portcullis.dev", "kinds.portcullis.dev", "rbac.portcullis.dev").namespaceSelector] == [{}, {}, {}]'
holds 'cases 1, 4, 5, 7: what changes or enters pods' 'resources("pods.portcullis.dev") | contains(["pods", "pods/ephemeralcontainers", "pods/resize", "pods/binding", "bindings", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy"])'
holds 'never what keeps a node or a leader alive' '[hooks[].rules[].resources[]] | any(. == "pods/status" or . == "pods/eviction" or . == "leases" or . == "endpoints" or . == "endpointslices" or . == "nodes" or . == "*/*" or . == "deployments/scale") | not'
holds 'pods are never asked for on DELETE' '[hook("pods.portcullis.dev").rules[].operations[]] | any(. == "DELETE") | not'
holds 'case 13: kinds that carry pods' 'resources("workloads.portcullis.dev") | sort == (["deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "replicationcontrollers", "inferenceservices", "llminferenceservices", "rayclusters", "rayjobs", "rayservices", "jobsets", "leaderworkersets", "pytorchjobs", "trainjobs", "workflows"] | sort)'
holds 'case 32: namespaces through every subresource' 'resources("namespaces.portcullis.dev") == ["namespaces", "namespaces/*"]'
holds 'not the status of our kinds' 'resources("kinds.portcullis.dev") == ["*"]'
holds 'the ConfigMap has the list' '(one("ConfigMap"; "portcullis-webhooks").data["webhooks.yaml"] | contains("pods.portcullis.dev") and contains("rbac.portcullis.dev") and (contains("caBundle") | not))'
holds 'and the controller mounts it' 'pod("portcullis-controller") | .containers[0].volumeMounts == [{mountPath: "/etc/portcullis", name: "webhooks", readOnly: true}] and .volumes == [{configMap: {name: "portcullis-webhooks"}, name: "webhooks"}]'

holds 'seven guards with their bindings, all refusing' '([every("ValidatingAdmissionPolicy")[].metadata.name] | length == 7) and ([every("ValidatingAdmissionPolicyBinding")[].spec.policyName] | sort) == ([every("ValidatingAdmissionPolicy")[].metadata.name] | sort)
  and (every("ValidatingAdmissionPolicyBinding") | all(.spec.validationActions == ["Deny", "Audit"])) and (every("ValidatingAdmissionPolicy") | all(.spec.failurePolicy == "Fail"))'
holds 'words for every refusal' '[every("ValidatingAdmissionPolicy")[].spec.validations[].messageExpression] | all(contains("why: ") and contains("fix: "))'

holds 'no wildcard in any role' '[rules[] | .verbs[], .resources[], .apiGroups[]] | any(. == "*") | not'
holds 'no way around RBAC' '[rules[] | .verbs[]] | any(. == "escalate" or . == "bind" or . == "impersonate") | not'
holds 'Secrets by name, read nowhere else' '[rules[] | select((.resources | index("secrets")) and (.resourceNames == null))] == [{apiGroups: [""], resources: ["secrets"], verbs: ["create"]}]'
holds 'no ClusterRole holds Secrets' '[every("ClusterRole")[].rules[] | select(.resources | index("secrets"))] == []'
holds 'the webhook writes Events and asks, no more' '[one("ClusterRole"; "portcullis-webhook").rules[] | select(.verbs - ["get", "list", "watch"] != []) | .resources[]] == ["events", "subjectaccessreviews", "aicompliances/status"]'
holds 'no user role holds a status' '[every("ClusterRole")[] | select(.metadata.name | IN("portcullis-webhook", "portcullis-controller") | not) | .rules[].resources[] | select(contains("/status"))] == []'
holds 'what is aggregated' '[every("ClusterRole")[] | select([.metadata.labels | keys[] | select(startswith("rbac.authorization.k8s.io/aggregate"))] != []).metadata.name] == ["portcullis-view", "portcullis-edit"]'
holds 'the verb of each role that is not aggregated' '[one("ClusterRole"; "portcullis-approver", "portcullis-classifier", "portcullis-trust-admin", "portcullis-break-glass").rules[].verbs[]] | contains(["approve", "classify", "trust", "guard"])'
holds 'the ceiling is bound to the controller' 'one("ClusterRoleBinding"; "portcullis-identity-ceiling") | .roleRef.name == "portcullis-identity-ceiling" and .subjects == [{kind: "ServiceAccount", name: "portcullis-controller", namespace: "portcullis-system"}]'

render 'image by digest' --set image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000 --set 'imagePullSecrets[0].name=login'
holds 'the digest stands alone' '. as $all | both | all(. as $n | $all | pod($n).containers[0].image == "registry.example/portcullis@sha256:" + ("0" * 64))'
holds 'pull secrets' '. as $all | both | all(. as $n | $all | pod($n).imagePullSecrets == [{name: "login"}])'
render 'another namespace' --namespace gate
holds 'excluded by its name' 'hook("pods.portcullis.dev").namespaceSelector.matchExpressions[1].values | index("gate") != null'
holds 'the operator by its name' '[.. | strings | select(contains("system:serviceaccount:portcullis-system"))] == []'
render 'no definitions' --set crds.install=false
holds 'none' 'absent("CustomResourceDefinition")'
render 'no guards' --set guards.enabled=false
holds 'none' 'absent("ValidatingAdmissionPolicy") and absent("ValidatingAdmissionPolicyBinding")'
render 'no network policies' --set networkPolicy.enabled=false
holds 'none' 'absent("NetworkPolicy")'
render 'known addresses' --set 'networkPolicy.apiServerCIDRs={10.0.0.1/32}' --set 'networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}' --set 'networkPolicy.egress.registries.cidrs={10.9.0.0/16}' --set-json 'networkPolicy.metricsNamespaces=[]'
holds 'in: the API server and the controller' 'one("NetworkPolicy"; "portcullis-webhook").spec.ingress == [{ports: [{port: "https", protocol: "TCP"}], from: [{podSelector: {matchLabels: {"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "controller"}}}, {ipBlock: {cidr: "10.0.0.1/32"}}]}, {ports: [{port: "probe", protocol: "TCP"}], from: [{podSelector: {matchLabels: {"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "controller"}}}]}]'
holds 'in: nobody reaches the controller' 'one("NetworkPolicy"; "portcullis-controller").spec.ingress == []'
holds 'out: nowhere without an address' '[every("NetworkPolicy")[].spec.egress[] | has("to")] | all'
render 'no budgets, no metrics Services' --set webhook.podDisruptionBudget.enabled=false --set controller.podDisruptionBudget.enabled=false --set metrics.service.enabled=false
holds 'none' 'absent("PodDisruptionBudget") and ([every("Service")[].metadata.name] == ["portcullis-webhook"])'
render 'monitoring' --set metrics.serviceMonitor.enabled=true --set metrics.prometheusRule.enabled=true --set metrics.dashboard.enabled=true
holds 'the ServiceMonitor selects the Services' '. as $all | one("ServiceMonitor"; "portcullis").spec.selector.matchLabels as $s | [$all | every("Service")[] | select(.metadata.labels | contains($s)).metadata.name] == ["portcullis-controller-metrics", "portcullis-webhook-metrics"]'
holds 'alerts have words' '[one("PrometheusRule"; "portcullis").spec.groups[].rules[] | .annotations.summary | length > 10] | length > 5 and all'
# every metric that the alerts and the dashboard name is one that the program registers
for metric in $(grep -ho 'portcullis_[a-z_]*' "$work/objects.yaml" | sort -u); do
  name=${metric#portcullis_}
  for ending in _total _bucket _seconds _bytes; do name=${name%"$ending"}; done
  if grep -rqE "\"$name\"" src/telemetry; then passed "metric $metric exists"; else failed "metric $metric exists" "no \"$name\" in src/telemetry"; fi
done
holds 'the dashboard is JSON' 'one("ConfigMap"; "portcullis-dashboard").data["portcullis.json"] | fromjson | .panels | length > 5'
render 'mTLS from the API server' --set webhook.clientCA.configMapName=front-proxy --set 'webhook.clientCA.names={kube-apiserver,apiserver}'
holds 'the file and the names' 'pod("portcullis-webhook") | (.containers[0].env | from_entries | .PORTCULLIS_CLIENT_CA_FILE == "/etc/portcullis/client-ca/ca.crt" and .PORTCULLIS_CLIENT_NAME == "kube-apiserver,apiserver") and .volumes == [{name: "client-ca", configMap: {name: "front-proxy"}}]'
render 'pull secrets read' --set registry.readPullSecrets=true --set 'registry.pullSecretNames={login}'
holds 'by name only' '[one("ClusterRole"; both[]).rules[] | select(.resources == ["secrets"])] | unique == [{apiGroups: [""], resources: ["secrets"], resourceNames: ["login"], verbs: ["get"]}]'
render 'no waking' --set controller.wakeOwners=false
holds 'no patch of what tenants wrote' '[one("ClusterRole"; "portcullis-controller").rules[] | select(.apiGroups == ["apps"] or .apiGroups == ["batch"]) | .verbs[] | select(. == "patch" or . == "update")] == []'
render 'no aggregation' --set rbac.aggregateToDefaultRoles=false
holds 'none' '[every("ClusterRole")[].metadata.labels | keys[] | select(startswith("rbac.authorization.k8s.io"))] == []'
render 'placement' --set priorityClassName= --set 'nodeSelector.pool=system' --set 'tolerations[0].operator=Exists' --set 'webhook.affinity.nodeAffinity.x=y' --set 'extraEnv[0].name=A' --set 'extraEnv[0].value=b' --set podLabels.a=b --set podAnnotations.c=d \
  --set 'extraVolumes[0].name=ca' --set 'extraVolumes[0].configMap.name=ca' --set 'extraVolumeMounts[0].name=ca' --set 'extraVolumeMounts[0].mountPath=/ca'
holds 'as asked' '. as $all | both | all(. as $n | $all | pod($n) | (has("priorityClassName") | not) and .nodeSelector == {pool: "system"} and .tolerations == [{operator: "Exists"}] and ([.containers[0].env[] | select(.name == "A").value] == ["b"])
  and ([.volumes[].name] | index("ca") != null) and ([.containers[0].volumeMounts[].name] | index("ca") != null))'
holds 'labels and annotations' '. as $all | both | all(. as $n | $all | one("Deployment"; $n).spec.template.metadata | .labels.a == "b" and .annotations.c == "d")'
holds 'affinity replaced' 'pod("portcullis-webhook").affinity == {nodeAffinity: {x: "y"}}'

branch='refused'
refused 'no image' 'set image.repository' helm template portcullis "$chart"
refused 'a misspelt value' "additional properties 'replica' not allowed" template --set webhook.replica=2
refused 'a timeout that starves leases' '/webhook/timeoutSeconds' template --set webhook.timeoutSeconds=10
refused 'kube-system judged' '/webhook/excludedNamespaces' template --set 'webhook.excludedNamespaces={kube-node-lease}'
refused 'a digest that is none' '/image/digest' template --set image.digest=latest
refused 'every pull secret' 'registry.readPullSecrets needs registry.pullSecretNames' template --set registry.readPullSecrets=true
refused 'a ceiling without end' 'would let a generated Role hold anything' template --set 'identityCeiling.rules[0].apiGroups={*},identityCeiling.rules[0].resources={pods},identityCeiling.rules[0].verbs={get}'
refused 'a ceiling that can be climbed' 'would let a workload exceed the ceiling' template --set 'identityCeiling.rules[0].apiGroups={rbac.authorization.k8s.io},identityCeiling.rules[0].resources={roles},identityCeiling.rules[0].verbs={escalate}'
refused 'Secrets for identities' 'is never granted to a generated identity' template --set-json 'identityCeiling.rules=[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]'
refused 'a monitor of nothing' 'needs metrics.service.enabled' template --set metrics.serviceMonitor.enabled=true --set metrics.service.enabled=false
refused 'an old cluster' 'chart requires kubeVersion' template --kube-version 1.29.0

expectations_end && echo "$expectations_passed expectations of the chart hold"
