#!/usr/bin/env bash
# Tests against a real API server without a node: the definitions, the chart's objects, then the cargo tests that need one.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../hack/lib.sh"
cd "$repo"
if [ -z "${PORTCULLIS_INTEGRATION:-}" ]; then
  PORTCULLIS_INTEGRATION=1 exec e2e/cluster/with-control-plane.sh --with-controllers "$0"
fi
. e2e/expect.sh
chart=charts/portcullis

if [ -d crds ]; then
  expect "the API server takes every definition" "aiworkloads.portcullis.dev serverside-applied" kubectl apply --server-side -f crds
  expect "each is established" "condition met" kubectl wait --for condition=Established --timeout 30s -f crds
  for kind in aiworkload aimodel aidataset aiprompt aievidence aisupplier aigovernance aitrustpolicy aiprofile aiexemption aicompliance; do
    expect "kubectl explain $kind reads as documentation" "DESCRIPTION:" eventually kubectl explain "$kind"
  done
  kubectl delete -f crds >/dev/null
fi

release() { helm "$@" --namespace portcullis-system; }
expect "the API server takes every object of the chart" "STATUS: deployed" \
  release install portcullis "$chart" --create-namespace --set image.repository=registry.example/portcullis
expect "an upgrade changes nothing that it may not" "STATUS: deployed" \
  release upgrade portcullis "$chart" --set image.repository=registry.example/portcullis --set webhook.replicas=2
expect "uninstall removes the release" "uninstalled" release uninstall portcullis
expect_not "and no admission configuration stays behind" "portcullis" \
  kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings -o name
expect_not "nor a cluster role" "portcullis" kubectl get clusterroles,clusterrolebindings -o name

# Test targets with `test = false` in Cargo.toml: left out of a plain `cargo test`, as they need this API server.
if [ -e tests/api_server.rs ]; then
  if count_cargo cargo test --locked --no-fail-fast --test api_server; then :; else cargo_failed=1; fi
fi
expectations_end
[ -z "${cargo_failed:-}" ]
