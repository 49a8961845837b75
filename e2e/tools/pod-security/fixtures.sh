#!/usr/bin/env bash
# Prints the path of a file with the fixtures of Kubernetes' Pod Security admission and its own verdicts on them.
#
# They come from the Go module pinned here and lie in the cache, outside the checkout; after the first call it is enough
# that the file is there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=v1.35
cache=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}/pod-security
key=$(cat "$here"/go.mod "$here"/go.sum "$here"/main.go "$here"/fixtures.sh | sha256sum | cut -c1-16)
file=$cache/$version-$key.json
if [ ! -s "$file" ]; then
  command -v go >/dev/null || { echo "the fixtures of Pod Security need Go, once: see README.md" >&2; exit 1; }
  mkdir -p "$cache"
  cd "$here"
  export GOFLAGS="-mod=readonly"
  go mod download k8s.io/pod-security-admission
  module=$(go list -m -f '{{.Dir}}' k8s.io/pod-security-admission)
  part=$(mktemp "$cache/part-XXXXXX")
  go run . "$module/test/testdata" "$version" >"$part"
  mv "$part" "$file"
fi
echo "$file"
