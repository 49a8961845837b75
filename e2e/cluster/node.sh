# The node: namespaces of its own, registry, containerd, kubelet, kube-proxy around the control plane.
# shellcheck shell=bash
# Everything runs below one "holder", the first process of a network, mount and process namespace. Ending the holder ends
# every daemon, shim and container and drops every mount and interface, so that nothing can be left behind. Inside, /run,
# /var/lib and /var/log are the cluster's own: a container engine on the machine is neither seen nor disturbed.

run() { # run NAME PROGRAM ARGS...: a program inside the node
  local name=$1; shift
  launch "$name" nsenter --target "$holder" --net --mount --pid -- "$@"
}
inside() { nsenter --target "$holder" --net --mount --pid -- "$@"; }
kubectl() { "$tools/kubectl" --kubeconfig "$state/kubeconfig" "$@"; }

start_node_cluster() {
  [ "$(id -u)" = 0 ] || die "a cluster with a node needs root (a control plane alone does not: --control-plane-only)"
  case $state/ in /run/* | /var/run/* | /var/lib/* | /var/log/*) die "the state folder may not lie in /run, /var/lib or /var/log" ;; esac
  PATH=$PATH:/usr/sbin:/sbin
  install_packages
  tools=$("$repo/e2e/tools/build.sh" etcd kubernetes oci containerd)
  ! ip -o address show to "$host_ip" 2>/dev/null | grep -q . ||
    die "$host_ip is taken: another cluster with a node is up; take it down, or set PORTCULLIS_NET (now $net) for a second one"
  touch "$state/node"
  make_holder
  make_network
  make_cgroups
  make_keys "$node_ip" 6443
  issue "node" "/O=system:nodes/CN=system:node:$node_name" "DNS:$node_name,IP:$node_ip"
  issue kube-proxy /CN=system:kube-proxy
  write_kubeconfig "$state/kubelet.kubeconfig" "https://$node_ip:6443" node
  write_kubeconfig "$state/kube-proxy.kubeconfig" "https://$node_ip:6443" kube-proxy
  say "the node has its namespaces and keys"

  mkdir -p "$state/registry"
  run registry "$tools/crane" registry serve --address "$registry" --disk "$state/registry"
  start_containerd
  start_api "$node_ip" 6443 2379 2380 --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-certificate-authority "$pki/ca.crt" "${api_flags[@]}"
  start_scheduler
  start_kubelet
  start_kube_proxy
  push_pause
  start_controllers 10257
  await containerd 30 containerd "$tools/ctr" --address "$state/containerd.sock" version
  await kubelet 120 "the node" node_ready
  say "node $node_name is Ready"
}

install_packages() {
  local missing=() pair
  for pair in runc:runc ip:iproute2 nft:nftables iptables:iptables conntrack:conntrack openssl:openssl; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  cni_bin=/usr/lib/cni
  [ -x $cni_bin/ptp ] || { [ ! -x /opt/cni/bin/ptp ] || cni_bin=/opt/cni/bin; }
  [ -x $cni_bin/ptp ] || missing+=(containernetworking-plugins)
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "not found on this machine: ${missing[*]} (names of Debian's packages)"
  say "installing Debian's packages ${missing[*]}"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
    >"$logs/apt.log" 2>&1 || { failed_log=$logs/apt.log; die "apt-get could not install ${missing[*]}"; }
}

make_holder() {
  mkdir -p "$state/var/lib/kubelet" "$state/var/log"
  # kubelet sets these for the whole machine; the values of before come back with `down`.
  (cd /proc/sys && grep -H '' vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes) \
    >"$state/sysctl" 2>/dev/null || true
  # The shell stays as process 1: it waits for orphans, as an init does.
  # shellcheck disable=SC2016 # for the inner shell
  launch holder unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private bash -c '
    set -e
    mount --make-rshared /
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir -p /run/netns /run/lock
    mount --bind "$1/var/lib" /var/lib
    mount --bind "$1/var/log" /var/log
    touch "$1/holder-ready"
    trap "exit 0" TERM
    while :; do sleep 3600 & wait $!; done' holder "$state"
  await holder 20 "the namespaces" test -e "$state/holder-ready"
  local outer; outer=$(recorded holder)
  holder=$(tr -d ' ' <"/proc/$outer/task/$outer/children") # its only child, process 1 of the namespace
  record init "$holder"
}

make_network() {
  # One link between the machine and the node. Default route: kubelet and kube-proxy want one; it leads nowhere.
  ip link add "$tag" type veth peer name eth0 netns "$holder"
  ip address add "$host_ip/24" dev "$tag"
  ip link set "$tag" up
  # shellcheck disable=SC2016 # for the inner shell
  inside sh -ec '
    ip link set lo up
    ip address add "$1/24" dev eth0
    ip link set eth0 up
    ip route add default via "$2"
    echo 1 >/proc/sys/net/ipv4/ip_forward' sh "$node_ip" "$nowhere_ip"
  mkdir -p "$state/cni"
  # ptp gives each pod a link of its own: replies cannot take a short cut past the translation of Services, as they do
  # on a bridge where the module br_netfilter is missing.
  cat >"$state/cni/10-portcullis.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "portcullis", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {"type": "host-local", "dataDir": "/run/cni-addresses",
    "ranges": [[{"subnet": "$pod_cidr"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}, "snat": true}]}
JSON
}

cgroup_folders() { # the control group of the cluster in every hierarchy of the machine
  awk -v name="$cgroup" '/ - cgroup2? / {print $5 "/" name}' /proc/self/mountinfo | sort -u
}

make_cgroups() {
  local folder controller
  for folder in $(cgroup_folders); do
    # In the second version a group has the controllers that its parent hands down, and kubelet wants them all.
    if [ -e "${folder%/*}/cgroup.subtree_control" ]; then
      for controller in $(cat "${folder%/*}/cgroup.controllers"); do
        echo "+$controller" 2>/dev/null >"${folder%/*}/cgroup.subtree_control" || true
      done
    fi
    mkdir -p "$folder"
    # The first version wants processors and memory nodes written before a process may enter.
    if [ -e "$folder/cpuset.mems" ] && [ -e "$folder/cgroup.clone_children" ]; then
      cat "${folder%/*}/cpuset.cpus" >"$folder/cpuset.cpus"; cat "${folder%/*}/cpuset.mems" >"$folder/cpuset.mems"
    fi
  done
}

start_containerd() {
  mkdir -p "$state/certs.d/$registry"
  printf 'server = "http://%s"\n[host."http://%s"]\ncapabilities = ["pull", "resolve"]\n' "$registry" "$registry" >"$state/certs.d/$registry/hosts.toml"
  cat >"$state/containerd.toml" <<TOML
version = 3
root = "$state/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs"]
[grpc]
  address = "$state/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "$registry/pause:1"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "$state/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$cni_bin"]
    conf_dir = "$state/cni"
TOML
  # The shim is looked up on PATH.
  run containerd env PATH="$tools:$PATH" "$tools/containerd" --config "$state/containerd.toml"
}

start_kubelet() {
  : >"$state/resolv.conf"
  cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failSwapOn: false
address: 0.0.0.0
containerRuntimeEndpoint: unix://$state/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node.crt
tlsPrivateKeyFile: $pki/node.key
# There is no DNS; the address says so at once (refused) instead of asking the machine's resolver.
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: $state/resolv.conf
# A full disk of the machine is not this cluster's matter.
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
YAML
  run kubelet "$tools/kubelet" --config "$state/kubelet.yaml" --kubeconfig "$state/kubelet.kubeconfig" \
    --hostname-override "$node_name" --node-ip "$node_ip"
}

start_kube_proxy() {
  cat >"$state/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $state/kube-proxy.kubeconfig}
clusterCIDR: $pod_cidr
conntrack: {maxPerCore: 0}
nftables: {minSyncPeriod: 100ms}
YAML
  run kube-proxy "$tools/kube-proxy" --config "$state/kube-proxy.yaml" --hostname-override "$node_name"
}

push_pause() {
  await registry 20 "the registry" "$tools/crane" catalog --insecure "$registry"
  "$repo/e2e/images/build.sh" "$registry" pause >"$logs/images.log" 2>&1 || { failed_log=$logs/images.log; die "the pause image could not be made"; }
}

node_ready() {
  [ "$(kubectl get node "$node_name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]
}

# The whole node at once, containers and control plane included: the kernel ends what lives in the holder's namespace.
stop_node() {
  halt init 0
  halt holder 1
  rm -f "$pids"/*
}

remove_node() {
  local folder path value
  ip link delete "$tag" 2>/dev/null || true
  for folder in $(cgroup_folders); do
    [ -d "$folder" ] || continue
    # A control group can be removed once its last process is reaped, deepest first.
    for _ in $(seq 50); do
      find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$folder" ] || break
      sleep 0.1
    done
    [ ! -d "$folder" ] || say "left behind: control group $folder"
  done
  if [ -e "$state/sysctl" ]; then
    while IFS=: read -r path value; do printf '%s' "$value" 2>/dev/null >"/proc/sys/$path" || true; done <"$state/sysctl"
  fi
}
