# Makes images of one layer FROM scratch with crane alone; the same files give the same digest.
# shellcheck shell=bash

images_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$("$images_dir/../tools/build.sh" oci)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

platform=linux/$(case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac)

crane() { "$tools/crane" "$@" --insecure; }

# push_folder FOLDER REFERENCE [FLAGS OF `crane mutate`]: prints REGISTRY/NAME@sha256:...
push_folder() {
  local folder=$1 reference=$2 layer; shift 2
  layer=$(mktemp -p "$work" layer.XXXXXX.tar)
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a+rX,go-w -cf "$layer" -C "$folder" .
  crane append --oci-empty-base --new_layer "$layer" --new_tag "$reference" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
  crane mutate "$reference" --set-platform "$platform" --tag "$reference" "$@" 2>"$work/log" || { cat "$work/log" >&2; return 1; }
}
