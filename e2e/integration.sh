#!/usr/bin/env bash
# Tests against a real API server without a node: the definitions, the chart's objects, then the cargo tests that need one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
cd "$repo"
if [ -z "${PORTCULLIS_INTEGRATION:-}" ]; then
  # The fixtures go to an API server whose own answers would come before ours: Pod Security and quotas are off.
  API_SERVER_FLAGS=--disable-admission-plugins=PodSecurity,ResourceQuota PORTCULLIS_INTEGRATION=fixtures e2e/cluster/with-control-plane.sh "$0" || fixtures_failed=1
  PORTCULLIS_INTEGRATION=1 e2e/cluster/with-control-plane.sh --with-controllers "$0"
  [ -z "${fixtures_failed:-}" ]; exit
fi
if [ "$PORTCULLIS_INTEGRATION" = fixtures ]; then count_cargo cargo test --locked --test server; exit; fi
. e2e/expect.sh

if [ -d crds ]; then
  expect "the API server takes every definition" "aiworkloads.portcullis.dev serverside-applied" kubectl apply --server-side -f crds
  expect "each is established" "condition met" kubectl wait --for condition=Established --timeout 30s -f crds
  for kind in aiworkload aimodel aidataset aiprompt aievidence aisupplier aigovernance aitrustpolicy aiprofile aiexemption aicompliance; do
    expect "kubectl explain $kind reads as documentation" "DESCRIPTION:" eventually kubectl explain "$kind"
    # A definition that goes before its storage is ready waits for minutes until the API server tries again.
    expect "its objects can be listed" "No resources found" eventually kubectl get "$kind" -A
  done
  kubectl delete -f crds >/dev/null
fi

# The chart, its guards, tenants and administrators, upgrade and uninstall; it counts for itself.
tests/guards.sh || guards_failed=1
tests/accounts.sh || guards_failed=1

# Test targets with `test = false` in Cargo.toml: left out of a plain `cargo test`, as they need this API server.
if [ -e tests/api_server.rs ]; then
  if count_cargo cargo test --locked --no-fail-fast --test api_server --test gate --test trail; then :; else cargo_failed=1; fi
fi
expectations_end
[ -z "${cargo_failed:-}${guards_failed:-}" ]
