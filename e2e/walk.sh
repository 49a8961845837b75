#!/usr/bin/env bash
# The walk: a real cluster with a node, the image, the chart, and what a user meets. Needs root.
#
#   e2e/walk.sh          KEEP=1 leaves the cluster up (e2e/cluster/down.sh takes it away)
#
# It has a state folder and a network of its own, so that a cluster of `make cluster-up` or of the demo is not in its way.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
. "$repo/e2e/expect.sh"
cd "$repo"
export PORTCULLIS_STATE=${PORTCULLIS_STATE:-/var/tmp/portcullis-walk} PORTCULLIS_NET=${PORTCULLIS_NET:-198.18.1}

finish() { [ -n "${KEEP:-}" ] || e2e/cluster/down.sh; }
trap finish EXIT
trap 'exit 130' INT TERM HUP
KUBECONFIG=$(e2e/cluster/up.sh); export KUBECONFIG
PATH=$(e2e/tools/build.sh etcd kubernetes oci):$PATH
if e2e/cluster/probe.sh; then passed "the cluster does what the tests need of it"; else failed "the cluster does what the tests need of it" ""; fi
expectations_end
