# One `kubectl apply` of everything, the Deployment first: ends with a running pod and no second apply.
# shellcheck shell=bash
repository=${IMAGE%@*} repository=${repository%/*}
key=$walk_work/ci.pem
e2e/images/build.sh "$repository" demo-app demo-model >"$walk_work/images"
app=$(sed -n 's/^demo-app=//p' "$walk_work/images") model=$(sed -n 's/^demo-model=//p' "$walk_work/images")
e2e/images/sign.sh "$key" "$app" "$model"
. e2e/fill.sh
fill_all "$walk_work" "$repository" "$app" "$model" "$key.pub"
kubectl apply -f "$walk_work/trust.yaml" >/dev/null
kubectl create namespace portcullis-demo-chat >/dev/null
kubectl label namespace portcullis-demo-chat portcullis.dev/environment=production portcullis.dev/sensitivity=internal >/dev/null
expect "the Deployment is taken before its declaration, with a warning" "deployment.apps/chat created" kubectl apply -f "$walk_work/corrected.yaml"
expect "the ReplicaSet is refused meanwhile" "FailedCreate" eventually_says "FailedCreate" kubectl -n portcullis-demo-chat get events
expect "the declaration comes later" "aiworkload.portcullis.dev/chat created" kubectl apply -f "$walk_work/workload.yaml"
expect "its pods run without a second apply" "successfully rolled out" kubectl -n portcullis-demo-chat rollout status deployment/chat --timeout 30s
