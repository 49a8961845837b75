#!/usr/bin/env bash
# Pushes a committed OCI layout with everything in it, tags included; prints REPOSITORY@sha256:... of what is tagged v1.
#
#   e2e/images/push-layout.sh FOLDER REPOSITORY      for example tests/signed/model-image 198.18.0.1:5000/models/packed
set -euo pipefail
folder=${1:?usage: push-layout.sh FOLDER REPOSITORY} to=${2:?usage: push-layout.sh FOLDER REPOSITORY}
base=http://${to%%/*}/v2/${to#*/}
send() { curl -fsS --noproxy '*' -o /dev/null "$@"; }
for blob in "$folder"/blobs/sha256/*; do
  at=$(curl -fsS --noproxy '*' -o /dev/null -D - -X POST "$base/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  case $at in http*) ;; *) at=http://${to%%/*}$at ;; esac
  case $at in *\?*) at="$at&" ;; *) at="$at?" ;; esac
  send -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$blob" "${at}digest=sha256:${blob##*/}"
done
manifest() { # manifest DIGEST TYPE [TAG]: what it lists goes first
  local blob=$folder/blobs/${1/://} digest=$1 type=$2 tag=${3:-} child
  while IFS=' ' read -r child kind; do
    [ -z "$child" ] || manifest "$child" "$kind"
  done < <(jq -r '.manifests // [] | .[] | "\(.digest) \(.mediaType)"' "$blob")
  send -X PUT -H "Content-Type: $type" --data-binary "@$blob" "$base/manifests/$digest"
  [ -z "$tag" ] || send -X PUT -H "Content-Type: $type" --data-binary "@$blob" "$base/manifests/$tag"
}
while IFS=' ' read -r digest type tag; do
  manifest "$digest" "$type" "$tag"
  [ "$tag" != v1 ] || echo "$to@$digest"
done < <(jq -r '.manifests[] | "\(.digest) \(.mediaType) \(.annotations["org.opencontainers.image.ref.name"] | split(":")[-1])"' "$folder/index.json")
