# The life of a workload and of its assets: what is seen of it, quarantine and the way back, an end with evidence.
# shellcheck shell=bash
life=portcullis-demo-chat
within() { kubectl -n "$life" "$@"; }
of_chat() { within get aiworkload chat -o "jsonpath=$1"; }
becomes() { within patch aiworkload chat --type merge -p "{\"spec\": {\"lifecycle\": {\"state\": \"$1\"}}}" >/dev/null; }
expect "what runs and keeps what is enforced is known to be good" "@sha256:" eventually_says "@sha256:" of_chat '{.status.knownGood.parts}'
PATIENCE=70
expect "the figures of its pod were read" "serves what is required" eventually_says "serves what is required" of_chat '{.status.conditions[?(@.type=="MonitoringObserved")].message}'
unset PATIENCE

within --as of-duty --as-group system:masters patch aiworkload chat --type merge -p '{"spec": {"lifecycle": {"state": "Quarantined"}}}' >/dev/null
expect "quarantine takes every way in and out" "open=" eventually_says "open=." within get networkpolicy chat -o 'jsonpath=open={.spec.egress}{.spec.ingress}.'
within scale deployment chat --replicas 2 >/dev/null
expect "no new pod comes in" "lets no new pods in" eventually_says "lets no new pods in" within get events
expect "the one that runs stays" "Running" within get pods -l app=chat --field-selector status.phase=Running
expect "the history tells of it" "Active -> Quarantined" eventually_says "Active -> Quarantined" of_chat '{.status.history.entries[*].change}'
becomes Active
expect "back to work" "successfully rolled out" within rollout status deployment/chat --timeout 60s
within scale deployment chat --replicas 1 >/dev/null

manages() { within patch aiworkload chat --type merge -p "{\"spec\": {\"manage\": \"$1\"}}" >/dev/null; }
whose() { within get serviceaccount/chat networkpolicy/chat -o 'jsonpath={range .items[*]}of={.metadata.labels.portcullis\.dev/workload}.{end}'; }
manages Observe
expect "what was generated becomes the team's own" "of=.of=." eventually_says "of=.of=." whose
why_generated() { of_chat '{.status.conditions[?(@.type=="Generated")].reason}'; }
expect "and the status does not call it generated" "Observed" eventually_says "Observed" why_generated
manages Generate
expect "and is taken back as it stands" "of=chat.of=chat." eventually_says "of=chat.of=chat." whose
expect "all of it" "Applied" eventually_says "Applied" why_generated

user=$(kubectl auth whoami -o 'jsonpath={.status.userInfo.username}')
expect "its status names who declared it" "$user" eventually_says "$user" of_chat '{.status.authors[*]}'
# as_other COMMAND...: kubectl as another person.
as_other() { within --as m.author --as-group system:masters "$@"; }
as_other patch aiworkload chat --type merge -p '{"spec": {"purpose": {"intendedUse": "Answers questions about our products"}}}' >/dev/null
expect "and who changed it since" "m.author" eventually_says "m.author" of_chat '{.status.authors[*]}'
expect_not "who only stopped it for a while did not write it" "of-duty" of_chat '{.status.authors[*]}'
assessed() { # assessed USER: evidence that USER attests of the declaration
  cat <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIEvidence
metadata: {name: assessed-$1, namespace: $life}
spec:
  type: SecurityAssessment
  subject: {kind: AIWorkload, name: chat}
  ref: https://documents.example/assessed
  digest: sha256:5555555555555555555555555555555555555555555555555555555555555555
  issuedAt: "$(date -u +%F)"
  attestedBy: $1
  result: pass
  facts: {techniques: [prompt-injection-direct]}
YAML
}
assessed m.author | as_other apply -f - >/dev/null
why_idle() { within get aievidence assessed-m.author -o 'jsonpath={.status.conditions[*].message}'; }
expect "what its author attests counts for nothing" 'who wrote AIWorkload "chat"' eventually_says 'who wrote AIWorkload "chat"' why_idle
kubectl apply -f - >/dev/null <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIProfile
metadata: {name: walk-ends}
spec:
  base: core
  appliesTo: {namespaces: [$life]}
  controls: {model-signature-trusted: {production: audit}, disposal-evidenced: {production: enforce}, audit-trail-kept: {production: enforce}}
---
apiVersion: portcullis.dev/v1alpha1
kind: AIModel
metadata: {name: spare, namespace: $life}
spec:
  source: {kind: pvc, claimName: spare-v1}
  digest: sha256:7777777777777777777777777777777777777777777777777777777777777777
  version: "1"
  format: safetensors
  origin: internal
  acquisition: trained
  owners: {owner: {user: j.doe}}
YAML
deletion() { within delete aimodel "$1" --dry-run=server; }
expect "a model in use does not go" "is still declared by AIWorkload chat" eventually_says "is still declared by" deletion numbers
refused "a model does not go without a record of its copies" "no record says what became of its copies at spare-v1" deletion spare
kubectl apply -f - >/dev/null <<YAML
apiVersion: portcullis.dev/v1alpha1
kind: AIEvidence
metadata: {name: spare-erased, namespace: $life}
spec:
  type: DisposalRecord
  subject: {kind: AIModel, name: spare, digest: "sha256:7777777777777777777777777777777777777777777777777777777777777777"}
  ref: https://documents.example/spare-erased
  digest: sha256:5555555555555555555555555555555555555555555555555555555555555555
  issuedAt: "$(date -u +%F)"
  attestedBy: $user
  facts: {copies: [spare-v1]}
YAML
expect "with the record it goes" 'aimodel.portcullis.dev "spare" deleted' eventually_says 'deleted' within delete aimodel spare
expect "and a tombstone stays" 'spare by spare-erased' eventually_says 'spare by spare-erased' kubectl get aicompliance "$life" -o 'jsonpath={range .status.tombstones[*]}{.name} by {.record}{"\n"}{end}'
expect "the history says who deleted it" "deleted AIModel/spare" eventually_says "deleted AIModel/spare" kubectl get aicompliance "$life" -o 'jsonpath={.status.history.entries[*].change}'
refused "its record stays" "is gone, and this record is all that tells what became of it" within delete aievidence spare-erased --dry-run=server
kubectl delete aiprofile walk-ends >/dev/null
