#!/usr/bin/env bash
# Asks a cluster with a node for everything that the tests need of it, so that a failure of theirs is not the cluster's.
#
#   e2e/cluster/probe.sh      uses PORTCULLIS_STATE as up.sh does
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
use_state "${PORTCULLIS_STATE:-/var/tmp/portcullis-cluster}"
tools=$("$repo/e2e/tools/build.sh" etcd kubernetes oci)
failed=0
kubectl() { "$tools/kubectl" --kubeconfig "$state/kubeconfig" -n probe "$@"; }
expect() { # expect WHAT TEXT COMMAND...: COMMAND's output holds TEXT
  local what=$1 text=$2 output; shift 2
  output=$("$@" 2>&1) || true
  if grep -qF -- "$text" <<<"$output"; then say "ok: $what"; else say "FAILED: $what; wanted \"$text\", got: $output"; failed=$((failed + 1)); fi
}

images=$("$repo/e2e/images/build.sh" "$registry")
app=$(sed -n 's/^demo-app=//p' <<<"$images") model=$(sed -n 's/^demo-model=//p' <<<"$images")
kubectl create namespace probe >/dev/null
trap 'kubectl delete validatingwebhookconfiguration portcullis-probe --ignore-not-found >/dev/null 2>&1; kubectl delete namespace probe --wait=false >/dev/null 2>&1' EXIT
kubectl apply -f - >/dev/null <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: app
        image: $app
        env: [{name: MODEL_PATH, value: /model/model.bin}]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 200m, memory: 64Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: model, mountPath: /model, readOnly: true}]
      volumes:
      - {name: model, image: {reference: "$model", pullPolicy: IfNotPresent}}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 80, targetPort: 8080}]}
YAML
expect "two restricted pods run" "successfully rolled out" kubectl rollout status deployment/app --timeout 90s
address=$(kubectl get service app -o 'jsonpath={.spec.clusterIP}')
expect "logs; a model in an OCI artifact, mounted by digest, was read" "model /model/model.bin: 108894 bytes" kubectl logs deployment/app
expect "exec" "a stand-in for weights" kubectl exec deployment/app -- /demo-app cat /model/README
expect "a pod reaches a Service" "hello from a model" kubectl exec deployment/app -- /demo-app get "http://$address/"
expect "a pod reaches the API server's Service" "certificate signed by unknown authority" kubectl exec deployment/app -- /demo-app get https://10.96.0.1/healthz
kubectl apply -f - >/dev/null <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: portcullis-probe}
webhooks:
- name: probe.portcullis.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {name: app, namespace: probe, port: 80, path: /}}
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: probe}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
YAML
# The app speaks plain http: this answer shows that the API server came through to the pod behind the Service.
refused() {
  local answer
  for _ in $(seq 50); do
    answer=$(kubectl create configmap probe --dry-run=server 2>&1) || true
    case $answer in *webhook*) echo "$answer"; return ;; esac
    sleep 0.1
  done
}
expect "the API server reaches a webhook behind a Service" "server gave HTTP response to HTTPS client" refused
[ "$failed" -eq 0 ] || die "$failed answers were wrong"
