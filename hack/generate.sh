#!/usr/bin/env bash
# Writes the generated files again: crds/, docs/, the chart's definitions, manifests/install.yaml.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
PATH=$(e2e/tools/build.sh oci):$PATH
cargo run --locked --quiet -- generate
charts/render.sh
