#!/usr/bin/env bash
# Shows Portcullis at work on a real cluster: what is refused and how, what the audit sees, what a user reads.
#
#   e2e/demo.sh                                a throwaway cluster, gone at the end (KEEP=1 keeps it); root on Debian 12
#   KUBECONFIG=FILE IMAGE=REF e2e/demo.sh      on a cluster that exists: IMAGE is our image where that cluster can pull it
#   e2e/demo.sh down                           takes away what KEEP=1 left
#
# On a cluster of yours: the chart is installed unless a release `portcullis` is there already; the images of the demo are
# pushed beside IMAGE unless APP and MODEL (both by digest) name them; KEY names the private key that signs them (made anew
# when unset). It works in the namespaces portcullis-demo-chat and portcullis-demo-legacy.
# Every step checks what it shows; the exit status is 1 when something did not come out as said.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
. "$repo/e2e/expect.sh"
. "$repo/e2e/fill.sh"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
room_for 4
own_state=/var/tmp/portcullis-demo
chat=portcullis-demo-chat legacy=portcullis-demo-legacy
tools=$("$repo/e2e/tools/build.sh" etcd kubernetes oci)
PATH=$tools:$PATH

if [ -n "${IMAGE:-}" ] && [ -z "${KUBECONFIG:-}" ]; then echo "IMAGE is set but KUBECONFIG is not: on which cluster?" >&2; exit 2; fi
if [ -n "${KUBECONFIG:-}" ] && [ -z "${IMAGE:-}" ] && [ "${1:-}" != down ]; then
  # Nobody's cluster is touched because a variable happened to be set.
  echo "KUBECONFIG is set: give IMAGE=REF too to use that cluster, or unset it for a throwaway one" >&2; exit 2
fi
own=''; [ -n "${IMAGE:-}" ] || own=1
work=$(mktemp -d)

take_away() { # what the demo made in a cluster that stays; the chart only if the demo installed it, or with "all"
  kubectl delete namespace "$chat" "$legacy" --ignore-not-found --timeout 90s
  kubectl delete aitrustpolicies.portcullis.dev portcullis-demo --ignore-not-found 2>/dev/null || true
  if [ -e "$work/installed" ] || [ "${1:-}" = all ]; then
    helm uninstall portcullis --namespace portcullis-system --ignore-not-found --wait --timeout 90s
    kubectl delete namespace portcullis-system --ignore-not-found --timeout 90s
  fi
}
if [ "${1:-}" = down ]; then
  if [ -n "${KUBECONFIG:-}" ]; then take_away all; else PORTCULLIS_STATE=$own_state "$repo/e2e/cluster/down.sh"; fi
  rm -rf "$work"; exit 0
fi

finish() {
  local status=$?
  trap - EXIT
  if [ -n "${KEEP:-}" ]; then
    heading "kept; look around with:  export KUBECONFIG=${KUBECONFIG:-} PATH=$tools:\$PATH      and then:  make demo-down"
  else
    heading "cleaning up"
    if [ -n "$own" ]; then PORTCULLIS_STATE=$own_state "$repo/e2e/cluster/down.sh"
    else take_away >"$work/down.log" 2>&1 || { cat "$work/down.log"; status=1; }; fi
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# shell COMMAND...: shows a command as a user would type it, and what it prints; its status is kept in $status.
shell() {
  printf '\n$ %s\n' "$*"
  status=0; output=$("$@" 2>&1) || status=$?
  printf '%s\n' "$output"
}
holds() { # holds WHAT TEXT: the last output has it
  if grep -qF -- "$2" <<<"$output"; then passed "$1"; else failed "$1" "wanted: $2"; fi
}
seconds_until() { # seconds_until TEXT COMMAND...: how long it takes until COMMAND has printed TEXT, itself included; fails after 30 s
  local text=$1 begun took; shift
  begun=$(date +%s%N)
  while :; do
    if "$@" 2>/dev/null | grep -qF -- "$text"; then
      took=$((($(date +%s%N) - begun) / 100000000))
      echo "$((took / 10)).$((took % 10))"; return
    fi
    [ $(($(date +%s%N) - begun)) -lt 30000000000 ] || return 1
    sleep 0.1
  done
}
heading "a cluster, images and the chart"
if [ -n "$own" ]; then
  program=${PROGRAM:-$(build_program)}
  if [ -d "$own_state" ]; then PORTCULLIS_STATE=$own_state "$repo/e2e/cluster/down.sh"; fi # what KEEP=1 left
  KUBECONFIG=$(PORTCULLIS_STATE=$own_state PORTCULLIS_NET=${PORTCULLIS_NET:-198.18.2} "$repo/e2e/cluster/up.sh"); export KUBECONFIG
  IMAGE=$(PROGRAM=$program "$repo/hack/image.sh" "${PORTCULLIS_NET:-198.18.2}.1:5000/portcullis/portcullis:demo")
  printf '[%4ds] our image: %s\n' "$SECONDS" "$IMAGE"
else
  export KUBECONFIG
fi
repository=${IMAGE%%@*} repository=${repository%/*}
key=${KEY:-$work/demo-ci.pem}
if [ -z "${APP:-}" ] || [ -z "${MODEL:-}" ]; then
  "$repo/e2e/images/build.sh" "$repository" demo-app demo-model demo-model-altered demo-model-swapped >"$work/images"
  built() { sed -n "s/^$1=//p" "$work/images"; }
  APP=$(built demo-app) MODEL=$(built demo-model) altered=$(built demo-model-altered) swapped=$(built demo-model-swapped)
  "$repo/e2e/images/sign.sh" "$key" "$APP" "$MODEL" "$swapped"
  printf '[%4ds] signed with a key made now: %s and %s\n' "$SECONDS" "$APP" "$MODEL"
fi
mkdir "$work/objects"
fill_all "$work/objects" "$repository" "$APP" "$MODEL" "$key.pub" "${altered:-}" "${swapped:-}"

if helm status portcullis --namespace portcullis-system >/dev/null 2>&1; then printf '[%4ds] the chart is installed already\n' "$SECONDS"
else
  values=(--set "image.repository=${IMAGE%%@*}")
  case $IMAGE in
    *@*) values=(--set "image.repository=$(sed 's/@.*//; s/:[^:\/]*$//' <<<"$IMAGE")" --set "image.digest=${IMAGE##*@}") ;;
    *:*) values=(--set "image.repository=${IMAGE%:*}" --set-string "image.tag=${IMAGE##*:}") ;;
  esac
  touch "$work/installed"
  shell helm install portcullis "$repo/charts/portcullis" --namespace portcullis-system --create-namespace --wait --timeout 90s "${values[@]}"
  if [ "$status" -ne 0 ]; then
    kubectl -n portcullis-system get pods
    kubectl -n portcullis-system get events --field-selector type=Warning
    for part in webhook controller; do kubectl -n portcullis-system logs "deployment/portcullis-$part" --tail 5 | cut -c 1-400; done
    failed "the chart is installed" "$output"; exit 1
  fi
  passed "the chart is installed and its pods are ready"
fi
shell kubectl -n portcullis-system get pods
cd "$work/objects" # shown commands name files as a user would

heading "before anybody governs it, a namespace holds whatever came"
shell kubectl create namespace "$legacy"
shell kubectl apply -f legacy.yaml
shell kubectl -n "$legacy" rollout status deployment/legacy-chat --timeout 90s
holds "a pod runs that nobody judged" "successfully rolled out"

heading "(a) a Deployment that breaks the Code is refused at kubectl apply"
shell kubectl apply -f trust.yaml
shell kubectl create namespace "$chat"
shell kubectl label namespace "$chat" portcullis.dev/environment=production portcullis.dev/sensitivity=internal
shell kubectl apply -f workload.yaml
shell kubectl apply -f broken.yaml
if [ "$status" -ne 0 ]; then passed "kubectl apply failed"; else failed "kubectl apply failed" "it was accepted"; fi
for control in image-digest-pinned secrets-not-inline pod-hardened resource-bounds; do holds "the message names $control" "[$control"; done
holds "and how to put it right" "fix:"

heading "(b) what was there before stays, but its next pod is refused"
shell kubectl label namespace "$legacy" portcullis.dev/environment=production portcullis.dev/sensitivity=internal
shell kubectl apply -f legacy-workload.yaml
shell kubectl -n "$legacy" get pods
holds "the running pod stays" "Running"
shell kubectl -n "$legacy" delete pod -l app=legacy-chat
if took=$(seconds_until "image-digest-pinned" kubectl -n "$legacy" describe deployment legacy-chat); then
  passed "the Deployment says why after $took s"
else failed "the Deployment says why" "$(kubectl -n "$legacy" get events 2>&1)"; fi
shell kubectl -n "$legacy" describe deployment legacy-chat
output=$(PATIENCE=10 eventually_says "image-digest-pinned" kubectl -n "$legacy" describe aiworkload legacy-chat)
printf '\n$ kubectl -n %s describe aiworkload legacy-chat\n%s\n' "$legacy" "$(sed -n '/^Events:/,$p' <<<"$output")"
holds "and so does the AIWorkload" "image-digest-pinned"

heading "(c) the corrected Deployment runs"
shell kubectl apply -f corrected.yaml
shell kubectl -n "$chat" rollout status deployment/chat --timeout 90s
holds "it is rolled out" "successfully rolled out"
shell kubectl -n "$chat" get pods,networkpolicies,serviceaccounts

if [ -n "${altered:-}" ]; then
  heading "(d) the weights: what was signed runs, one byte more or less does not"
  shell kubectl -n "$chat" get aimodels
  sum=$(seq 1 20000 | sha256sum | cut -d ' ' -f 1)
  output=$(eventually_says "$sum" kubectl -n "$chat" logs deployment/chat)
  printf '\n$ kubectl -n %s logs deployment/chat\n%s\n' "$chat" "$output"
  holds "the pod read the signed bytes from its image volume" "$sum"
  shell kubectl replace -f altered.yaml
  if [ "$status" -ne 0 ]; then passed "the same Deployment with one byte of the weights altered is refused"; else failed "one altered byte is refused" "it was accepted"; fi
  holds "because nobody signed them" "[image-signature-trusted"
  holds "and nobody declared them" "[declared-workloads-only"
  shell kubectl apply -f altered-model.yaml
  shell kubectl -n "$chat" patch aiworkload chat --type merge -p '{"spec": {"models": [{"name": "numbers"}, {"name": "numbers-2"}]}}'
  shell kubectl replace -f altered.yaml
  if [ "$status" -ne 0 ]; then passed "a declaration is no signature: it is refused again"; else failed "declared, but not signed: refused" "it was accepted"; fi
  holds "because nobody signed them" "[image-signature-trusted"
fi
# Where the registry is ours, its own bytes can be swapped: what is signed is the digest. This registry notices and hands
# nothing out; of one that does not, a node checks what it pulls.
stored=${KUBECONFIG%/*}/registry/sha256
if [ -n "${swapped:-}" ] && [ -d "$stored" ]; then
  layer=$("$tools/crane" manifest --insecure "$swapped" | jq -r '.layers[-1].digest')
  printf '\n[%4ds] swapping a byte of %s in the registry\n' "$SECONDS" "$layer"
  printf 9 | dd of="$stored/${layer#sha256:}" bs=1 seek=600 conv=notrunc status=none
  shell kubectl -n "$chat" patch aiworkload chat --type merge -p '{"spec": {"models": [{"name": "numbers"}, {"name": "numbers-3"}]}}'
  shell kubectl apply -f swapped.yaml
  output=$(eventually_says "Failed" kubectl -n "$chat" describe pod chat-swapped)
  printf '\n$ kubectl -n %s describe pod chat-swapped\n%s\n' "$chat" "$(sed -n '/^Events:/,$p' <<<"$output")"
  holds "bytes that were swapped under the signed digest come to no node" "Failed to pull image \"$swapped\""
  shell kubectl -n "$chat" get pod chat-swapped -o 'jsonpath={.status.phase}'
  holds "so the pod never starts" "Pending"
  shell kubectl -n "$chat" delete -f swapped.yaml --wait=false
  shell kubectl -n "$chat" patch aiworkload chat --type merge -p '{"spec": {"models": [{"name": "numbers"}]}}'
fi

heading "(e) a running workload goes bad"
shell kubectl apply -f tools-role.yaml
if took=$(seconds_until fail=0 kubectl -n "$chat" get aiworkload chat -o 'jsonpath=fail={.status.counters.fail}'); then passed "nothing fails for the workload"
else failed "nothing fails for the workload" "$(kubectl -n "$chat" get aiworkload chat -o yaml 2>&1)"; fi
shell kubectl -n "$chat" get aiworkload chat
shell kubectl -n "$chat" patch role chat-tools --type json -p '[{"op": "add", "path": "/rules/-", "value": {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}}]'
if took=$(seconds_until least-privilege-rbac kubectl -n "$chat" get aiworkload chat -o 'jsonpath={.status.topReason} {.status.rows[*].control}'); then
  passed "the widened role turned the verdict after $took s"
else failed "the widened role turned the verdict" "$(kubectl -n "$chat" get aiworkload chat -o yaml 2>&1)"; fi
shell kubectl -n "$chat" get aiworkload chat
shell kubectl -n "$chat" create rolebinding oops --clusterrole admin --serviceaccount "$chat:chat"
if [ "$status" -ne 0 ]; then passed "a direct over-wide binding is refused"; else failed "a direct over-wide binding is refused" "$output"; fi
holds "because of least-privilege-rbac" "least-privilege-rbac"

heading "(f) the audit"
shell kubectl get aicompliance
holds "a row for the cluster" "cluster"
holds "a row for the namespace" "$chat"
shell kubectl get aiworkloads -A
holds "each workload with its verdict" "legacy-chat"

heading "the end"
expectations_end
printf 'all %d expectations held\n' "$expectations_passed"
