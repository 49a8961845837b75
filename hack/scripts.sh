#!/usr/bin/env bash
# Checks the shell and Go code beside the product: bash reads every script, shellcheck where it is installed, go vet, gofmt.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  # Files that are read into others use names of theirs (SC2034, SC2154) and are not followed (SC1091).
  shellcheck -S warning -e SC1091,SC2034,SC2154 "${scripts[@]}"
else echo "shellcheck is not installed: scripts were only parsed"; fi
for module in e2e/images e2e/tools/pod-security; do
  cd "$repo/$module"
  unformatted=$(gofmt -l .)
  [ -z "$unformatted" ] || { echo "gofmt -w $module: $unformatted"; exit 1; }
  go vet ./...
done
echo "${#scripts[@]} scripts and the Go programs beside the product are in order"
