#!/usr/bin/env bash
# Asks cargo-deny about the dependencies: licences, sources, forbidden crates (deny.toml).
#
#   hack/deny.sh [CHECK...]      default: licenses bans sources; `advisories` fetches the RustSec database
#
# It is not built here because that takes minutes: without it nothing is checked, and this says so.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
PATH=$PATH:$PORTCULLIS_CACHE/tools/bin
checks=("$@"); [ $# -gt 0 ] || checks=(licenses bans sources)
if ! command -v cargo-deny >/dev/null; then
  echo "cargo-deny is not installed: ${checks[*]} were not checked (cargo install cargo-deny --locked)"; exit 0
fi
cargo deny --locked check --hide-inclusion-graph --allow duplicate "${checks[@]}"
