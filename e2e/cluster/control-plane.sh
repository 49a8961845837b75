# Starts etcd, kube-apiserver and, where wanted, controller-manager and scheduler.
# shellcheck shell=bash
# Uses of lib.sh and pki.sh; $tools is the folder of programs; `run` starts a program where it belongs (host or node).

# make_keys ADDRESS PORT: certificates and kubeconfigs for an API server at that address.
make_keys() {
  local server=https://$1:$2 name
  make_ca
  issue apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:10.96.0.1,IP:$1"
  issue admin /O=system:masters/CN=portcullis-admin
  issue kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  issue controller-manager /CN=system:kube-controller-manager
  issue scheduler /CN=system:kube-scheduler
  for name in controller-manager scheduler; do write_kubeconfig "$state/$name.kubeconfig" "$server" "$name"; done
  write_kubeconfig "$state/kubeconfig" "$server" admin
}

# start_api ADDRESS PORT ETCD_PORT ETCD_PEER_PORT [EXTRA FLAGS OF THE API SERVER]
start_api() {
  local address=$1 port=$2 etcd_port=$3 peer_port=$4; shift 4
  # --unsafe-no-fsync: the data is thrown away with the cluster, a disk's flushes would be most of the latency.
  run etcd "$tools/etcd" --name default --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
    --listen-peer-urls "http://127.0.0.1:$peer_port" --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" \
    --initial-cluster "default=http://127.0.0.1:$peer_port" --auto-compaction-retention 5m
  # The API server waits for etcd by itself.
  run kube-apiserver "$tools/kube-apiserver" --bind-address "$address" --advertise-address "$address" --secure-port "$port" \
    --etcd-servers "http://127.0.0.1:$etcd_port" --service-cluster-ip-range "$service_cidr" --authorization-mode Node,RBAC \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --allow-privileged --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" "$@"
  await kube-apiserver 120 "the API server" "$tools/kubectl" --kubeconfig "$state/kubeconfig" --request-timeout 2s get --raw /readyz
  say "API server $("$tools/kube-apiserver" --version | cut -d ' ' -f 2) is ready at https://$address:$port"
}

# start_controllers PORT: the controller-manager, its own port at PORT.
start_controllers() {
  run kube-controller-manager "$tools/kube-controller-manager" --kubeconfig "$state/controller-manager.kubeconfig" \
    --authentication-kubeconfig "$state/controller-manager.kubeconfig" --authorization-kubeconfig "$state/controller-manager.kubeconfig" \
    --bind-address 127.0.0.1 --secure-port "$1" --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --cert-dir "$pki" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
  # Pods are refused until a namespace has its ServiceAccount, so that is what "started" means.
  await kube-controller-manager 60 "the default ServiceAccount" "$tools/kubectl" --kubeconfig "$state/kubeconfig" -n default get serviceaccount default
  say "the controller-manager is at work"
}

start_scheduler() {
  run kube-scheduler "$tools/kube-scheduler" --kubeconfig "$state/scheduler.kubeconfig" \
    --authentication-kubeconfig "$state/scheduler.kubeconfig" --authorization-kubeconfig "$state/scheduler.kubeconfig" \
    --bind-address 127.0.0.1 --secure-port 10259 --leader-elect=false
}
