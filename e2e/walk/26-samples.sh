# The samples on a cluster under profile strict: applied in any order their pods run and their jobs end, each is compliant, and
# what is taken away afterwards turns the verdict.
# shellcheck shell=bash
. e2e/samples.sh
# By the mistake of the parts before somebody may put debug containers into every pod, which the rows of these samples would say.
kubectl delete clusterrolebinding careless >/dev/null
samples=(support-chat batch-scoring fine-tuning ops-agent translation)
e2e/images/build.sh "$repository" demo-model-altered >>"$walk_work/images"
data=$(sed -n 's/^demo-model-altered=//p' "$walk_work/images")
e2e/images/sign.sh "$key" -attest "$app" "$model" "$data"
filled=$walk_work/samples
fill_samples "$filled" "$repository" "$app" "$model" "$data" "$key.pub" "${PROGRAM:-$(build_program)}"
# Whoever writes what trains a model is on the roster.
for course in SecureCodingTraining MLCharacteristicsTraining; do
  sed -i "s/^    roster:/&\n    - {subject: {user: portcullis-admin}, course: $course, completedAt: \"$(date -u +%F)\"}/" "$filled/common/1-organisation.yaml"
done
sample_storage "$PORTCULLIS_STATE/volumes" >"$walk_work/storage.yaml"
kubectl apply -f "$walk_work/storage.yaml" >/dev/null
expect "what an organisation says once is taken" "aiprofile.portcullis.dev/samples created" kubectl apply -f "$filled/common"
kubectl apply -f "$filled/support-chat" >/dev/null 2>&1
refused "nobody vouches in the name of another" 'is not "portcullis-admin", who records it' kubectl apply -f "$filled/support-chat/by-a.smith"
# One sample in the order of its files, the others backwards: the pods come before what they need.
for sample in "${samples[@]}"; do
  kubectl apply -f "$filled/$sample/1-namespace.yaml" >/dev/null
  [ "$sample" != translation ] || kubectl -n translation create secret generic translate-api --from-literal=key=none >/dev/null
  [ "$sample" = support-chat ] || for file in $(printf '%s\n' "$filled/$sample"/[2-9]*.yaml | sort -r); do kubectl apply -f "$file" >/dev/null 2>&1; done
  for person in k.lee a.smith; do
    [ ! -d "$filled/$sample/by-$person" ] || kubectl --as "$person" apply -f "$filled/$sample/by-$person" >/dev/null
  done
done
export PATIENCE=40
for sample in support-chat/chat ops-agent/agent ops-agent/tickets translation/translate; do
  expect "$sample runs" "successfully rolled out" kubectl -n "${sample%/*}" rollout status "deployment/${sample#*/}" --timeout 40s
done
for sample in batch-scoring/score fine-tuning/finetune; do
  expect "$sample ends" "condition met" kubectl -n "${sample%/*}" wait --for condition=complete "job/${sample#*/}" --timeout 40s
done
expect "the job wrote its result" "done" cat "$PORTCULLIS_STATE/volumes/batch-scoring-scores/score.txt"
verdict() { kubectl -n "$1" get aiworkload "$2" -o 'jsonpath={.status.verdict}: {.status.topReason} {.status.rows[*].message}'; }
for sample in support-chat/chat batch-scoring/score fine-tuning/finetune ops-agent/agent ops-agent/tickets translation/translate; do
  expect "$sample is compliant" "pass: " eventually_says "pass: " verdict "${sample%/*}" "${sample#*/}"
done
expect "and the row of its namespace tells of nothing but the network, whose policies nothing keeps on this node" "[network-default-deny egress-declared]" \
  eventually_says "[network-default-deny egress-declared]" kubectl get aicompliance support-chat -o 'jsonpath=[{.status.findings[*].control}]'

turns() { # turns NAMESPACE WORKLOAD WHAT WORDS: the verdict has turned, and says why
  expect "$3" "$4" eventually_says "$4" verdict "$1" "$2"
}
kubectl -n support-chat delete aievidence threatmodel-chat >/dev/null
turns support-chat chat "a threat model that is gone turns the verdict" 'fail: threat-model-current AIWorkload support-chat/chat: no ThreatModel of AIWorkload "chat" is recorded'
kubectl patch aisupplier translate-inc --type merge -p '{"spec": {"status": "suspended"}}' >/dev/null
turns translation translate "and so does a supplier that is suspended" 'names AISupplier translate-inc, which is suspended'
kubectl -n ops-agent delete service tickets >/dev/null
turns ops-agent agent "and an agent whose safeguard is gone" 'no Service "tickets" is in namespace "ops-agent"'
kubectl -n fine-tuning delete aievidence datacontrollerreview-finetune >/dev/null
turns fine-tuning finetune "and data whose use nobody approves any more" 'no DataControllerReview of AIWorkload "finetune" is recorded'
refused "a dataset in use does not go" 'is still declared by AIWorkload score' kubectl -n batch-scoring delete aidataset claims
kubectl apply -f "$filled/support-chat" >/dev/null
expect "what is recorded again turns it back" "pass: " eventually_says "pass: " verdict support-chat chat
unset PATIENCE
