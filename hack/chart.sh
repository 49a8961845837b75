#!/usr/bin/env bash
# Lints the chart and renders it with its defaults and with each file of charts/portcullis/ci/.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
PATH=$(e2e/tools/build.sh oci):$PATH
chart=charts/portcullis
[ -e "$chart/Chart.yaml" ] || { echo "there is no chart yet"; exit 0; }
helm lint --strict --quiet "$chart"
image=(--set image.repository=registry.example/portcullis)
for values in '' "$chart"/ci/*.yaml; do
  [ -z "$values" ] || [ -e "$values" ] || continue
  objects=$(helm template portcullis "$chart" --namespace portcullis-system "${image[@]}" ${values:+--values "$values"} | grep -c '^kind:')
  echo "${values:-default values}: $objects objects"
done
