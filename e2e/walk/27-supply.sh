# The supply chain: models signed over their files or by an identity with a trust root of one's own, a registry that wants
# credentials, what is revoked, a key that cannot be read, a registry that is down. The layouts are those of tests/signed.
# shellcheck shell=bash
registry=${repository%%/*} private=$PORTCULLIS_NET.1:5001 nobody=$PORTCULLIS_NET.1:5999
push() { e2e/images/push-layout.sh "tests/signed/$1" "$registry/models/$1"; }
packed=$(push model-image) altered=$(push model-image-altered) identity=$(push model-keyless)
mkdir -p "$walk_work/private-registry"
(cd e2e/images && CGO_ENABLED=0 GOFLAGS=-trimpath go build -buildvcs=false -o "$walk_work/private-registry/" ./private-registry)
# Beside the registry, where pods reach it.
nsenter --target "$(cut -d ' ' -f 1 "$PORTCULLIS_STATE/pids/init")" --net -- "$walk_work/private-registry/private-registry" "$private" "$registry" puller secret &
private_registry=$!

kubectl -n portcullis-system create configmap walk-root --from-file=trusted_root.json=tests/signed/keyless-root.json >/dev/null
expect "the chart lets trust roots and pull Secrets of these names be read" "STATUS: deployed" release upgrade portcullis charts/portcullis --reuse-values --wait --timeout 90s \
  --set registry.readPullSecrets=true --set 'registry.pullSecretNames={walk-pull}' --set 'registry.trustRootConfigMaps={walk-root}'
trusts() { # trusts NAME HOST...: a trust policy over these registries; authorities and rules come by standard input
  { printf 'apiVersion: portcullis.dev/v1alpha1\nkind: AITrustPolicy\nmetadata: {name: %s}\nspec:\n  registries:\n' "$1"
    printf '  - {host: "%s", plainHTTP: true, allowPrivateAddresses: true}\n' "${@:2}"
    cat; } | kubectl apply -f -
}
pem() { awk '{printf "%s\\n", $0}'; } # a key in one line of YAML
supply() { # supply REVOKED: the policy of this part
  trusts walk-supply "$registry" "$private" "$nobody" <<YAML
  authorities:
  - {name: model-team, owner: {group: g}, notAfter: "2035-12-31", key: {pem: "$(pem <tests/signed/model.pub)"}}
  - name: identity
    owner: {group: g}
    keyless:
      issuer: https://issuer.example
      subject: https://ci.example/team/app/build@main
      trustRoot: {configMapRef: {name: walk-root}}
  rules:
  - {match: {artifact: model, repositories: ["$registry/models/model-image", "$registry/models/model-image-altered", "$private/models/*", "$nobody/*"]}, authorities: [model-team]}
  - {match: {artifact: model, repositories: ["$registry/models/model-keyless"]}, authorities: [identity]}
  revoked: [$1]
YAML
}
expect "a policy by key and by identity is taken" "aitrustpolicy.portcullis.dev/walk-supply created" supply ''
declared() { # declared NAME REFERENCE [FIELDS]
  kubectl apply -f - <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIModel
metadata: {name: $1, namespace: $chat}
spec:
  source: {kind: oci, reference: "$2"}
  digest: "${2##*@}"
  version: "1"
  stage: released
  format: safetensors
  origin: internal
  owners: {owner: {user: j.doe}}
  ${3:-}
YAML
}
declared packed "$packed" 'supplierRef: walk-acme' >/dev/null
declared altered "$altered" >/dev/null
declared identity "$identity" >/dev/null
declared private "$private/models/model-image@${packed##*@}" >/dev/null
declared unreachable "$nobody/models/m@${packed##*@}" >/dev/null
signed() { kubectl -n "$chat" get aimodel "$1" -o 'jsonpath={range .status.conditions[?(@.type=="SignatureVerified")]}{.status} {.message}{end}'; }
says() { expect "$1" "$3" eventually_says "$3" signed "$2"; }
says "a model whose files are signed is verified ahead of any pod" packed "True signed by model-team"
says "one whose layer is another is not" altered "layer 0, \"layer_000.tar.gz\", has other bytes than the file that it lists"
says "an identity counts by the trust root of a ConfigMap" identity "True signed by identity"
says "a registry that is down is unknown, and why" unreachable "Unknown registry \"$nobody\" cannot be reached"
says "a registry that wants credentials is unknown without any" private "Unknown registry \"$private\" refuses to answer without credentials"

kubectl -n "$chat" create secret docker-registry walk-pull --docker-server "$private" --docker-username puller --docker-password secret >/dev/null
kubectl -n "$chat" patch serviceaccount default -p '{"imagePullSecrets": [{"name": "walk-pull"}]}' >/dev/null
PATIENCE=60 says "the pull Secret of the ServiceAccount opens it" private "True signed by model-team"

uses() { kubectl -n "$chat" patch aiworkload chat --type merge -p "{\"spec\": {\"models\": [{\"name\": \"numbers\"}, {\"name\": \"$1\"}]}}" >/dev/null; }
mounting() { try ".spec.volumes += [{name: \"more\", image: {reference: \"$1\"}}]"; }
uses packed
expect "a pod that mounts the signed model passes" "pod/hostile created" eventually_says "pod/hostile created" mounting "$packed"
uses altered
refused "with the altered one it does not" "layer 0, \"layer_000.tar.gz\", has other bytes than the file that it lists" mounting "$altered"
uses unreachable
refused "with one that nobody can look up it does not" "registry \"$nobody\" cannot be reached" mounting "$nobody/models/m@${packed##*@}"
by_secret() { try ".spec.imagePullSecrets = [{name: \"walk-pull\"}] | .spec.volumes += [{name: \"more\", image: {reference: \"$private/models/model-image@${packed##*@}\"}}]"; }
uses private
expect "a pod is let in by its own pull Secret" "pod/hostile created" eventually_says "pod/hostile created" by_secret
uses packed

supply "{kind: digest, value: \"${packed##*@}\", reason: leaked}" >/dev/null
says "a revoked digest turns the model" packed "False digest ${packed##*@} is revoked: leaked"
refused "and refuses the next pod" "is revoked: leaked" mounting "$packed"
kubectl apply -f - >/dev/null <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AISupplier
metadata: {name: walk-acme}
spec: {kind: modelProvider, sources: ["$registry/models/model-image"]}
YAML
supply '{kind: supplier, value: walk-acme, reason: broken into}' >/dev/null
says "a revoked supplier does too" packed "False supplier \"walk-acme\" is revoked: broken into"
refused "and refuses the next pod" "supplier \"walk-acme\" is revoked: broken into" mounting "$packed"
supply '' >/dev/null
says "what is no more revoked counts again" packed "True signed by model-team"

verdict() { kubectl -n "$chat" get aiworkload chat -o 'jsonpath=verdict={.status.verdict} {.status.rows[*].control}'; }
supply "{kind: digest, value: \"${model##*@}\", reason: leaked}" >/dev/null
expect "the verdict of what runs turns with a revocation" "verdict=fail" eventually_says "verdict=fail" verdict
expect "because of its signature" "image-signature-trusted" verdict
supply '' >/dev/null

flawed() { # flawed PROOF: a policy with one authority
  trusts walk-flawed "$registry" <<YAML
  authorities: [{name: flawed, owner: {group: g}, notAfter: "2035-12-31", $1}]
  rules: [{match: {artifact: image, repositories: ["$registry/flawed/*"]}, authorities: [flawed]}]
YAML
}
refused "a key that cannot be read is refused where it is written" "spec.authorities[0]: the key is no valid public key" \
  flawed 'key: {pem: "-----BEGIN PUBLIC KEY-----\nTm8ga2V5IGF0IGFsbA==\n-----END PUBLIC KEY-----\n"}'
flawed 'keyless: {issuer: "https://i.example", subject: s, trustRoot: {configMapRef: {name: nowhere}}}' >/dev/null
trouble() { kubectl get aitrustpolicy walk-flawed -o 'jsonpath={.status.conditions}'; }
expect "a trust root that may not be read shows on its policy" 'spec.authorities[0]: ConfigMap' eventually_says 'spec.authorities[0]: ConfigMap' trouble
expect "and other policies keep working" "pod/hostile created" try .
refused "what it would have to sign is refused, and why" "no authority of rule walk-flawed[0] can be used" try "$c.image = \"$registry/flawed/app@${app##*@}\""

# The weights on a claim: what was verified counts only while all that it rests on is the same.
mkdir -p "$walk_work/weights"; cp -r tests/models/signed/good "$walk_work/weights/good"; cp -r tests/models/signed/changed-byte "$walk_work/weights/other"
chmod -R a+rX "$walk_work"
weights() { # weights VOLUME FOLDER: a claim of that volume
  kubectl apply -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: $1}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadOnlyMany], storageClassName: "", claimRef: {namespace: $chat, name: weights}, hostPath: {path: "$2"}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: weights, namespace: $chat}
spec: {accessModes: [ReadOnlyMany], storageClassName: "", volumeName: $1, resources: {requests: {storage: 1Gi}}}
YAML
}
weights walk-weights "$walk_work/weights" >/dev/null
files() { # files REVOKED: who signs models on volumes
  trusts walk-files "$registry" <<YAML
  authorities:
  - {name: acme, owner: {group: g}, notAfter: "2035-12-31", key: {pem: "$(sed -n '/BEGIN/,/END/{s/^ *//;p;/END/q}' tests/models/signed/trust.yaml | pem)"}}
  rules: [{match: {artifact: model}, authorities: [acme]}]
  revoked: [$1]
YAML
}
files '' >/dev/null
kubectl apply -f - >/dev/null <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIModel
metadata: {name: stored, namespace: $chat}
spec:
  source: {kind: pvc, claimName: weights, path: good}
  signature: {kind: oms}
  digest: sha256:e514a7ca7aed04e394164d39fec86763b026ec276ba942db610b49b51b378c7c
  version: "1"
  stage: released
  format: safetensors
  origin: internal
  owners: {owner: {user: j.doe}}
YAML
PATIENCE=90 says "a model on a claim is verified by a Job" stored "True signed by acme"
files '{kind: key, value: acme, reason: leaked}' >/dev/null
PATIENCE=60 says "it falls with the key" stored "False"
files '' >/dev/null
PATIENCE=60 says "and stands with it" stored "True signed by acme"
bytes() { kubectl -n "$chat" get aimodel stored -o 'jsonpath={range .status.conditions[?(@.type=="BytesVerified")]}{.status} {.message}{end}'; }
kubectl -n "$chat" patch aimodel stored --type merge -p '{"spec": {"source": {"path": "other"}}}' >/dev/null
expect "another folder is another model" "has other bytes than the manifest says" eventually_says "has other bytes than the manifest says" bytes
kubectl -n "$chat" patch aimodel stored --type merge -p '{"spec": {"source": {"path": "good"}}}' >/dev/null
PATIENCE=60 says "the right one counts again" stored "True signed by acme"
kubectl -n "$chat" delete aimodel stored >/dev/null
kubectl -n "$chat" delete pvc weights --wait=false >/dev/null
kubectl delete pv walk-weights --wait=false >/dev/null
kubectl delete aitrustpolicy walk-files >/dev/null

kill "$private_registry"
kubectl delete aitrustpolicy walk-flawed walk-supply >/dev/null
kubectl delete aisupplier walk-acme >/dev/null
kubectl -n "$chat" patch aiworkload chat --type merge -p '{"spec": {"models": [{"name": "numbers"}]}}' >/dev/null
kubectl -n "$chat" delete aimodel packed altered identity private unreachable >/dev/null
kubectl -n "$chat" delete secret walk-pull >/dev/null
kubectl -n portcullis-system delete configmap walk-root >/dev/null
kubectl -n "$chat" patch serviceaccount default -p '{"imagePullSecrets": null}' >/dev/null
