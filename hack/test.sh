#!/usr/bin/env bash
# The ladder of tests, cheap steps first; stops at the first step that fails.
#
#   hack/test.sh [STEP...]      default: all, in this order
#
#   format       cargo fmt --check
#   clippy       every target, warnings are errors
#   unit         cargo test: controls and their fixtures, generated files, the webhook's router in process
#   deny         licences, sources and forbidden crates among the dependencies, where cargo-deny is installed
#   scripts      shell and Go code beside the product
#   chart        helm lint and template, every branch of the values
#   integration  against a real API server without a node
#   e2e          the installed chart on a real cluster with a node; needs root
#
# The last line of a full run is "N passed, M failed": the sum of what cargo and the cluster steps counted themselves.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
steps=("$@"); [ $# -gt 0 ] || steps=(format deny clippy unit scripts chart integration e2e)

tally=$(mktemp)
export PORTCULLIS_TALLY=$tally
finish() {
  local status=$?
  # shellcheck disable=SC2154 # set by lib.sh
  if [ "$status" -ne 0 ]; then heading "FAILED: ${step:-}"; else heading "done: ${steps[*]}"; fi
  if [ -s "$tally" ]; then awk '{p+=$1; f+=$2} END {printf "%d passed, %d failed\n", p, f}' "$tally"; fi
  rm -f "$tally"
  exit "$status"
}
trap finish EXIT

need openssl jq
room_for 8
command -v go >/dev/null || { echo "Go is not installed: https://go.dev/dl/" >&2; exit 1; }
for step in "${steps[@]}"; do
  heading "$step"
  case $step in
    format) cargo fmt --check ;;
    # Targets that a plain `cargo test` leaves out are left out of --all-targets too, and names beside it count for nothing.
    clippy)
      cargo clippy --locked --all-targets -- -D warnings
      cargo clippy --locked --test api_server --test gate --test server --test trail -- -D warnings
      ;;
    unit) count_cargo cargo test --locked --no-fail-fast ;;
    deny) hack/deny.sh ;;
    scripts) hack/scripts.sh ;;
    chart) hack/chart.sh ;;
    integration) e2e/integration.sh ;;
    e2e) e2e/walk.sh ;;
    *) echo "unknown step $step: one of format deny clippy unit scripts chart integration e2e" >&2; exit 2 ;;
  esac
done
