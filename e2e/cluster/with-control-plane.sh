#!/usr/bin/env bash
# Runs COMMAND with KUBECONFIG pointing at a fresh API server of its own, which is gone afterwards.
#
#   e2e/cluster/with-control-plane.sh [--with-controllers] COMMAND [ARGS...]
#
# kubectl and helm are on COMMAND's PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flags=(--control-plane-only)
while [ "${1:-}" = --with-controllers ]; do flags+=("$1"); shift; done
[ $# -gt 0 ] || { echo "usage: $0 [--with-controllers] COMMAND [ARGS...]" >&2; exit 2; }
tools=$("$here/../tools/build.sh" etcd kubernetes oci)
KUBECONFIG=$("$here/up.sh" "${flags[@]}")
export KUBECONFIG PATH="$tools:$PATH"
trap '"$here/down.sh" "${KUBECONFIG%/*}"' EXIT
trap 'exit 130' INT TERM HUP
"$@"
