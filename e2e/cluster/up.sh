#!/usr/bin/env bash
# Brings up a throwaway Kubernetes cluster without any image registry of the outside world.
#
#   e2e/cluster/up.sh                                        one real node; root on Debian 12; about 30 s
#   e2e/cluster/up.sh --control-plane-only [--with-controllers]
#                                                            etcd and API server on 127.0.0.1 at free ports; any user; about 8 s
#
# Prints the path of the kubeconfig on standard output, all else on standard error:
#
#   KUBECONFIG=$(e2e/cluster/up.sh --control-plane-only); export KUBECONFIG
#   ...                                       # kubectl is in e2e/tools/build.sh's folder: PATH=$(e2e/tools/build.sh):$PATH
#   e2e/cluster/down.sh "${KUBECONFIG%/*}"
#
# or in one go:  e2e/cluster/with-control-plane.sh [--with-controllers] COMMAND...
#
# PORTCULLIS_STATE names the cluster's folder: keys, logs/, pids/, kubeconfig. With a node it is /var/tmp/portcullis-cluster
# unless set; a control plane gets a new folder each time unless set, so that several may run side by side. A second `up`
# on a running cluster says so and changes nothing. After a failure everything is taken down again and the logs stay in
# FOLDER-failed. API_SERVER_FLAGS are added to the API server's own (several words, no spaces inside one).
#
# With a node: the API server is https://198.18.0.1:6443, from the host and from pods alike, the registry is
# 198.18.0.1:5000 (plain http; push from the host with `crane --insecure`; empty after each `up`). A webhook on the host is
# reached at 198.18.0.254. There is no cluster DNS and no network policy agent. The version of Kubernetes is the one in
# e2e/tools/kubernetes/go.mod.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$cluster_dir/pki.sh"
. "$cluster_dir/control-plane.sh"

node=1 controllers=''
for word in "$@"; do
  case $word in
    --control-plane-only) node='' ;;
    --with-controllers) controllers=1 ;;
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown argument: $word" ;;
  esac
done
if [ -n "$node" ]; then use_state "${PORTCULLIS_STATE:-/var/tmp/portcullis-cluster}"
else use_state "${PORTCULLIS_STATE:-$(mktemp -d /var/tmp/portcullis-cp.XXXXXX)}"; fi

mkdir -p "$state"
exec 9>"$state.lock"
flock -w 300 9 || die "another up or down of $state does not end"

if [ -e "$state/ready" ]; then
  if recorded kube-apiserver >/dev/null; then say "the cluster in $state is already up"; echo "$state/kubeconfig"; exit 0; fi
  say "the cluster in $state is dead (a restart of the machine?): taking its remains away first"
fi
if [ -d "$pids" ]; then PORTCULLIS_LOCKED=1 "$cluster_dir/down.sh" "$state"; fi

failed_log=''
undo() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    if [ -n "$failed_log" ] && [ -s "$failed_log" ]; then say "the end of $failed_log:"; tail -n 20 "$failed_log" >&2; fi
    rm -rf "$state-failed"; [ ! -d "$logs" ] || cp -r "$logs" "$state-failed"
    say "taking it down again; the logs stay in $state-failed"
    PORTCULLIS_LOCKED=1 "$cluster_dir/down.sh" "$state" || true
    rm -f "$state.lock"
  fi
  exit "$status"
}
trap undo EXIT
trap 'exit 130' INT TERM HUP
mkdir -p "$state" "$logs" "$pids"

read -ra api_flags <<<"${API_SERVER_FLAGS:-}"
if [ -n "$node" ]; then
  . "$cluster_dir/node.sh"
  start_node_cluster
else
  command -v openssl >/dev/null || die "openssl is missing: apt-get install openssl"
  tools=$("$repo/e2e/tools/build.sh" etcd kubernetes)
  run() { launch "$@"; }
  port=$(free_port)
  make_keys 127.0.0.1 "$port"
  # Without a node nothing may be written into the endpoints of the Service `kubernetes`.
  start_api 127.0.0.1 "$port" "$(free_port)" "$(free_port)" --endpoint-reconciler-type=none "${api_flags[@]}"
  if [ -n "$controllers" ]; then start_controllers "$(free_port)"; fi
fi
rm -rf "$state-failed"
touch "$state/ready"
say "up: KUBECONFIG=$state/kubeconfig"
echo "$state/kubeconfig"
