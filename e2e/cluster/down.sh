#!/usr/bin/env bash
# Takes a throwaway cluster down and leaves nothing of it: no process, mount, namespace, control group or file.
#
#   e2e/cluster/down.sh [FOLDER]      FOLDER: the cluster's state, by default $PORTCULLIS_STATE or /var/tmp/portcullis-cluster
#
# Processes are ended by the pid that `up` recorded, never by name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
use_state "${1:-${PORTCULLIS_STATE:-/var/tmp/portcullis-cluster}}"

if [ ! -d "$state" ]; then say "no cluster in $state"; rm -f "$state.lock"; exit 0; fi
if [ ! -d "$pids" ] && [ -n "$(ls -A "$state")" ]; then die "$state is no cluster of ours: it holds no pids"; fi
if [ -z "${PORTCULLIS_LOCKED:-}" ]; then
  exec 9>"$state.lock"
  flock -w 300 9 || die "another up or down of $state does not end"
fi

if [ -e "$state/node" ]; then . "$cluster_dir/node.sh"; stop_node; fi
for name in kube-scheduler kube-controller-manager kube-apiserver etcd; do halt "$name" 1; done
if [ -e "$state/node" ]; then remove_node; fi
rm -rf --one-file-system "$state"
if [ -z "${PORTCULLIS_LOCKED:-}" ]; then rm -f "$state.lock"; fi
say "down: $state is gone"
