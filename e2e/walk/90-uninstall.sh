# Uninstall, even with all pods dead, leaves nothing that blocks; the definitions and objects stay.
# shellcheck shell=bash
system scale deployment portcullis-webhook portcullis-controller --replicas 0 >/dev/null
system wait --for delete pod -l app.kubernetes.io/name=portcullis --timeout 60s >/dev/null
refused "with every pod dead a governed namespace takes no pod" "failed calling webhook" undeclared
begun=$SECONDS
expect "a governed namespace is deleted all the same" "deleted" kubectl delete namespace portcullis-demo-chat --timeout 60s
echo "        after $((SECONDS - begun)) s"
expect "helm uninstall with all pods dead" "uninstalled" release uninstall portcullis --wait --timeout 60s
expect_not "no admission configuration stays" "portcullis" kubectl get validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings -o name
expect_not "no cluster role stays" "portcullis" kubectl get clusterroles,clusterrolebindings -o name
expect "the definitions stay" "aiworkloads.portcullis.dev" kubectl get customresourcedefinitions -o name
expect "installing again works" "STATUS: deployed" release install portcullis charts/portcullis --wait --timeout 90s "${values[@]}"
