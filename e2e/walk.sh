#!/usr/bin/env bash
# The walk: a real cluster with a node, the image, the chart, and what users, tenants and accidents do to it. Needs root.
#
#   e2e/walk.sh          KEEP=1 leaves the cluster up (e2e/cluster/down.sh FOLDER takes it away)
#
# It has a state folder and a network of its own, so that a cluster of `make cluster-up` or of the demo is not in its way.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
. "$repo/e2e/expect.sh"
cd "$repo"
export PORTCULLIS_STATE=/var/tmp/portcullis-walk PORTCULLIS_NET=${PORTCULLIS_NET:-198.18.1}
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

finish() { # the logs stay where a person looks after a failure
  local status=$?
  trap - EXIT
  [ -z "${walk_work:-}" ] || rm -rf "$walk_work"
  if [ "$status" -ne 0 ] && [ -n "${KUBECONFIG:-}" ]; then
    kubectl -n portcullis-system logs -l app.kubernetes.io/name=portcullis --all-containers --tail 40 --prefix 2>/dev/null | grep -E '"level":"(WARN|ERROR)"' | tail -n 30 || true
  fi
  [ -n "${KEEP:-}" ] || e2e/cluster/down.sh
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP
KUBECONFIG=$(e2e/cluster/up.sh); export KUBECONFIG
PATH=$(e2e/tools/build.sh etcd kubernetes oci):$PATH
walk_work=$(mktemp -d)
if e2e/cluster/probe.sh; then passed "the cluster does what the tests need of it"; else failed "the cluster does what the tests need of it" ""; fi

heading "e2e: the chart is installed"
IMAGE=$(hack/image.sh "$PORTCULLIS_NET.1:5000/portcullis/portcullis:walk"); export IMAGE
values=(--set "image.repository=${IMAGE%@*}" --set "image.digest=${IMAGE#*@}")
system() { kubectl -n portcullis-system "$@"; }
release() { helm "$@" --namespace portcullis-system; }
begun=$SECONDS
expect "helm install, every pod ready" "STATUS: deployed" release install portcullis charts/portcullis --create-namespace --wait --timeout 90s "${values[@]}"
if [ "$expectations_failed" -gt 0 ]; then system get pods; expectations_end; fi
echo "        ready after $((SECONDS - begun)) s"

heading "e2e: the demo, on a cluster that exists"
demo=0
KEEP='' PORTCULLIS_TALLY=$walk_work/tally e2e/demo.sh || demo=$?
while read -r p f; do expectations_passed=$((expectations_passed + p)); expectations_failed=$((expectations_failed + f)); done <"$walk_work/tally"
if [ "$demo" -eq 0 ]; then passed "the demo shows what it says"; else failed "the demo shows what it says" ""; fi

for part in e2e/walk/*.sh; do
  name=${part##*/[0-9][0-9]-} name=${name%.sh}
  heading "e2e: ${name//-/ }"
  # shellcheck disable=SC1090 # each reads what is set here
  . "$part"
done
expectations_end
