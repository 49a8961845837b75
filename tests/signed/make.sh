#!/usr/bin/env bash
# Makes the signed OCI layouts in this folder anew: needs crane, cosign (v3) and openssl on PATH, uses loopback only.
# Private keys live in a temporary folder and are gone afterwards, so a signature can never be made twice.
set -euo pipefail
# A network of its own, so that nothing is asked of the world.
[ -n "${ALONE:-}" ] || ALONE=1 exec unshare -rn bash -c 'ip link set lo up && exec "$0"' "$0"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry"; rm -rf "$work"' EXIT
cd "$work"
export COSIGN_PASSWORD='' HOME="$work" COSIGN_YES=true

crane registry serve --address 127.0.0.1:0 >serve.log 2>&1 &
registry=$!
until port=$(grep -oE 'serving on port [0-9]+|:[0-9]+$' serve.log | grep -oE '[0-9]+$' | head -1) && [ -n "$port" ]; do sleep 0.1; done
host=127.0.0.1:$port
echo '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}' >none.json

import() { # name, openssl arguments
  openssl genpkey "${@:2}" -out "$1.pem" 2>/dev/null
  cosign import-key-pair --key "$1.pem" --output-key-prefix "$1" >/dev/null
  cp "$1.pub" "$here/$1.pub"
}
import ecdsa-p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
import ecdsa-p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
import ed25519 -algorithm ED25519
import rsa-3072 -algorithm RSA -pkeyopt rsa_keygen_bits:3072
import other -algorithm EC -pkeyopt ec_paramgen_curve:P-256

v2() { cosign sign --key "$1.key" --new-bundle-format=false --use-signing-config=false --tlog-upload=false --allow-http-registry "$2" 2>>cosign.log; }
v3() { cosign sign --key "$1.key" --signing-config none.json --allow-http-registry "$2" 2>>cosign.log; }
attest() { cosign attest --key "$1.key" --signing-config none.json --allow-http-registry --type "$3" --predicate "$4" "$2" 2>>cosign.log; }

# repository, then a command with the reference behind it
layout() {
  name=$1 repository=$host/team/$1
  echo "$name" >content && tar --owner=0 --group=0 --mtime=@0 -cf layer.tar content
  crane append --insecure --oci-empty-base -f layer.tar -t "$repository:v1" >/dev/null 2>&1
  reference=$repository@$(crane digest --insecure "$repository:v1")
  shift
  while [ $# -gt 0 ]; do $1; shift; done
  rm -rf "${here:?}/$name"
  for tag in $(crane ls --insecure "$repository"); do
    crane pull --insecure --format=oci --annotate-ref "$repository:$tag" "$here/$name" >/dev/null
  done
}
key=; by_v2() { v2 "$key" "$reference"; }; by_v3() { v3 "$key" "$reference"; }
other_v3() { v3 other "$reference"; }; other_v2() { v2 other "$reference"; }
sbom() { echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}' >bom.json; attest "$key" "$reference" cyclonedx bom.json; }

for key in ecdsa-p256 ecdsa-p384 ed25519 rsa-3072; do
  layout "v2-$key" by_v2
  layout "v3-$key" by_v3
done
attest_v2() { cosign attest --key "$1.key" --new-bundle-format=false --use-signing-config=false --tlog-upload=false --allow-http-registry --type "$3" --predicate "$4" "$2" 2>>cosign.log; }
# Statements of every kind: provenance of both versions, both bills of materials, a vulnerability report
builder=https://builder.example/ci
echo '{"builder":{"id":"'$builder'"},"buildType":"x","metadata":{"buildFinishedOn":"2026-01-02T03:04:05Z"}}' >provenance02.json
echo '{"buildDefinition":{"buildType":"x","externalParameters":{},"resolvedDependencies":[]},"runDetails":{"builder":{"id":"'$builder'"},"metadata":{"invocationId":"1","finishedOn":"2026-01-02T03:04:05Z"}}}' >provenance1.json
echo '{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","name":"x","packages":[]}' >spdx.json
echo '{"invocation":{},"scanner":{"uri":"https://scanner.example","version":"1","db":{},"result":{}},"metadata":{"scanStartedOn":"2026-01-02T03:04:05Z","scanFinishedOn":"2026-01-02T03:04:05Z"}}' >vuln.json
echo '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}' >bom.json
statements() {
  $1 "$key" "$reference" slsaprovenance provenance02.json
  $1 "$key" "$reference" slsaprovenance1 provenance1.json
  $1 "$key" "$reference" cyclonedx bom.json
  $1 "$key" "$reference" spdxjson spdx.json
  $1 "$key" "$reference" vuln vuln.json
}
stated_v2() { statements attest_v2; }; stated_v3() { statements attest; }

# An index of two platforms; signed by itself, or one of its platforms only
index() {
  name=$1 repository=$host/team/$1 what=$2
  for arch in amd64 arm64; do
    echo "$name $arch" >content && tar --owner=0 --group=0 --mtime=@0 -cf layer.tar content
    crane append --insecure --oci-empty-base --platform "linux/$arch" -f layer.tar -t "$repository:$arch" >/dev/null 2>&1
  done
  crane index append --insecure -m "$repository:amd64" -m "$repository:arm64" -t "$repository:v1" >/dev/null 2>&1
  reference=$repository@$(crane digest --insecure "$repository:$what")
  by_v3
  rm -rf "${here:?}/$name"
  for tag in $(crane ls --insecure "$repository"); do
    crane pull --insecure --format=oci --annotate-ref "$repository:$tag" "$here/$name" >/dev/null
  done
}

key=ecdsa-p256
index index-signed v1
index platform-signed amd64
layout stated-v2 by_v2 stated_v2
layout stated-v3 by_v3 stated_v3
layout unsigned
layout attested sbom
layout attested-and-signed sbom by_v3
all_v3() { for each in ecdsa-p256 ecdsa-p384 ed25519 rsa-3072 other; do v3 "$each" "$reference"; done; }
layout five-signers all_v3
layout two-signers other_v2 other_v3 by_v3
echo "made with $(cosign version 2>/dev/null | grep GitVersion)"
