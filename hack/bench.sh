#!/usr/bin/env bash
# Runs the benchmarks with a fresh API server of their own; prints tables in Markdown on standard output.
#
#   BENCH=pure,through hack/bench.sh       only these parts: pure start through straight signatures scale audit models
#   AUDIT_WORKLOADS=1000 AUDIT_MINUTES=5   a smaller cluster for the audit, and how long its pods may take to be written
#
# docs/benchmarks.md says what is measured and how to read it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
parts=${BENCH:-pure,start,through,straight,signatures,scale,audit,models}
audit='' admission='' models=''
for part in ${parts//,/ }; do
  case $part in audit) audit=1 ;; models) models=1 ;; *) admission=1 ;; esac
done
# First everything is built, so that no compiler takes time from what is measured: the program as it is shipped.
if [ -n "$admission$audit" ]; then
  PORTCULLIS_PROGRAM=$(PROFILE=release build_program)
  export PORTCULLIS_PROGRAM
fi
cargo bench --locked --bench admission --bench audit --bench models --no-run
if [ -n "$admission" ]; then
  heading "measuring admission: uses two cores for about ten minutes" >&2
  BENCH=$parts e2e/cluster/with-control-plane.sh cargo bench --locked --bench admission
fi
if [ -n "$audit" ]; then
  heading "measuring the audit of a large cluster: uses two cores for about twenty minutes, and 3 GB of disk" >&2
  # Pods come before the controller makes their identities.
  API_SERVER_FLAGS=--disable-admission-plugins=ServiceAccount e2e/cluster/with-control-plane.sh cargo bench --locked --bench audit
fi
if [ -n "$models" ]; then
  heading "measuring the hashing of models: two minutes, and 2 GB of disk" >&2
  cargo bench --locked --bench models
fi
