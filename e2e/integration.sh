#!/usr/bin/env bash
# Tests against a real API server without a node: the definitions, then the cargo tests that need an API server.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
cd "$repo"
[ -d crds ] || { echo "there are no definitions yet"; exit 0; }
if [ -z "${PORTCULLIS_INTEGRATION:-}" ]; then
  PORTCULLIS_INTEGRATION=1 exec e2e/cluster/with-control-plane.sh --with-controllers "$0"
fi
. e2e/expect.sh

program=$(build_program)
definitions=$(mktemp); trap 'rm -f "$definitions"' EXIT
"$program" crds >"$definitions"
expect "the API server takes every definition" "customresourcedefinition.apiextensions.k8s.io/aiworkloads.portcullis.dev serverside-applied" \
  kubectl apply --server-side -f "$definitions"
expect "each is established" "condition met" kubectl wait --for condition=Established --timeout 30s -f "$definitions"
for kind in aiworkload aimodel aidataset aiprompt aievidence aisupplier aigovernance aitrustpolicy aiprofile aiexemption aicompliance; do
  expect "kubectl explain $kind reads as documentation" "DESCRIPTION:" eventually kubectl explain "$kind"
done
# Test targets with `test = false` in Cargo.toml: left out of a plain `cargo test`, as they need this API server.
if [ -e tests/api_server.rs ]; then count_cargo cargo test --locked --no-fail-fast --test api_server || expectations_failed=$((expectations_failed + 1)); fi
expectations_end
