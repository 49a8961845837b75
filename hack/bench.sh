#!/usr/bin/env bash
# Runs the benchmarks with a fresh API server of their own.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
e2e/cluster/with-control-plane.sh cargo bench --locked
