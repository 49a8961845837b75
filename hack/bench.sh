#!/usr/bin/env bash
# Runs the benchmarks with a fresh API server of their own; prints tables in Markdown on standard output.
#
#   BENCH=pure,through hack/bench.sh       only these parts: pure start through straight signatures scale
#
# docs/benchmarks.md says what is measured and how to read it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
# First everything is built, so that no compiler takes time from what is measured.
cargo bench --locked --bench admission --no-run
heading "measuring: uses two cores for about ten minutes" >&2
e2e/cluster/with-control-plane.sh cargo bench --locked --bench admission
