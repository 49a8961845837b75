#!/usr/bin/env bash
# Lints the chart and asks what it holds with every branch of its values; no cluster.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
PATH=$(e2e/tools/build.sh oci kubernetes):$PATH
tests/chart.sh
