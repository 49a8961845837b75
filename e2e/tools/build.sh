#!/usr/bin/env bash
# Finds or builds the programs of the throwaway cluster and prints the folder that holds them all.
#
#   e2e/tools/build.sh [GROUP...]      groups: kubernetes etcd containerd oci cosign (default: all but cosign)
#
# Order: a program on PATH of the right version (PORTCULLIS_TOOLS_FROM_PATH=1 only), the KUBEBUILDER_ASSETS folder,
# the cache, a build from the pinned Go modules in this folder. The cache lies outside the checkout and is keyed by
# go.sum and the Go version, so nothing is built twice.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}/tools
groups=("$@"); [ $# -gt 0 ] || groups=(etcd kubernetes oci containerd)
say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
kube_version() { awk '$1=="require" && $2=="k8s.io/kubernetes"{print $3} $1=="k8s.io/kubernetes"{print $2}' "$here/kubernetes/go.mod" | head -n 1; }

programs_of() { # the names a group provides
  case $1 in
    kubernetes) echo kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl ;;
    etcd) echo etcd ;;
    containerd) echo containerd containerd-shim-runc-v2 ctr ;;
    oci) echo crane helm ;;
    cosign) echo cosign ;;
    *) echo "unknown group $1: one of kubernetes etcd containerd oci cosign" >&2; exit 2 ;;
  esac
}

store_of() { # the folder a group is kept in
  echo "$cache/$1-$(cat "$here/$1/go.mod" "$here/$1/go.sum" <(go version 2>/dev/null || true) | sha256sum | cut -c1-16)"
}
linked() { # whether the folder of all programs leads to this group as it is pinned now
  local name store=$1; shift
  for name in "$@"; do [ "$(readlink "$bin/$name")" = "$store/$name" ] || return 1; done
}

bin=$cache/bin
mkdir -p "$bin"
wanted=()
for group in "${groups[@]}"; do
  # shellcheck disable=SC2046 # names without spaces
  if store=$(store_of "$group") && [ -e "$store/.done" ] && linked "$store" $(programs_of "$group"); then continue; fi
  wanted+=("$group")
done
# What is there already needs no lock, so that nobody waits for the build of a group that he does not use.
if [ ${#wanted[@]} -eq 0 ]; then echo "$bin"; exit 0; fi
exec 9>"$cache/lock"
flock -n 9 || { say "waiting for another build of tools"; flock 9; }

for group in "${wanted[@]}"; do
  names=$(programs_of "$group")
  store=$(store_of "$group")
  if [ ! -e "$store/.done" ]; then
    mkdir -p "$store"
    missing=()
    for name in $names; do
      if [ -x "$store/$name" ]; then :
      elif [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ]; then
        ln -sf "$KUBEBUILDER_ASSETS/$name" "$store/$name"; say "$name: taken from KUBEBUILDER_ASSETS"
      elif [ -n "${PORTCULLIS_TOOLS_FROM_PATH:-}" ] && command -v "$name" >/dev/null; then
        ln -sf "$(command -v "$name")" "$store/$name"; say "$name: taken from PATH"
      else missing+=("$name"); fi
    done
    for name in "${missing[@]}"; do
      say "building $name (group $group, once; the result is kept in $cache)"
      started=$SECONDS
      pkg=$(cd "$here/$group" && go list -f '{{.ImportPath}}' tool | awk -v n="$name" '
        { split($0, p, "/"); last=p[length(p)]; if (last ~ /^v[0-9]+$/) last=p[length(p)-1]; if (last==n || (n=="etcd" && last=="server")) print }' | head -n 1)
      [ -n "$pkg" ] || { echo "no tool directive for $name in $here/$group/go.mod" >&2; exit 1; }
      ldflags="-s -w" tags=""
      case $group in
        kubernetes)
          v=$(kube_version); major=${v#v}; major=${major%%.*}; minor=${v#v*.}; minor=${minor%%.*}
          for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
            ldflags="$ldflags -X $p.gitVersion=$v -X $p.gitMajor=$major -X $p.gitMinor=$minor"
          done ;;
        containerd) tags="no_btrfs,no_devmapper,no_zfs" ;;
      esac
      (cd "$here/$group" && CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false" \
        nice -n "${PORTCULLIS_BUILD_NICE:-5}" go build -tags "$tags" -ldflags "$ldflags" -o "$store/$name.part" "$pkg")
      mv "$store/$name.part" "$store/$name"
      say "built $name in $((SECONDS - started)) s"
    done
    touch "$store/.done"
  fi
  for name in $names; do ln -sfn "$store/$name" "$bin/$name"; done
done
echo "$bin"
