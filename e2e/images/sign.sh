#!/usr/bin/env bash
# Signs images in a throwaway registry with a key, in cosign's format (see sign/main.go).
#
#   e2e/images/sign.sh KEY.pem [-attest] REGISTRY/NAME@sha256:HEX...      makes KEY.pem and KEY.pem.pub when there is none
#
# -attest states a bill of materials and a provenance too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
key=$(realpath -m "${1:?usage: sign.sh KEY.pem REFERENCE...}"); shift
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
if [ ! -e "$key" ]; then
  (umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$key" 2>/dev/null)
  openssl pkey -in "$key" -pubout -out "$key.pub"
fi
attest=(); if [ "${1:-}" = -attest ]; then attest=(-attest); shift; fi
[ $# -eq 0 ] || (cd "$here" && GOFLAGS=-trimpath go run -buildvcs=false ./sign "${attest[@]}" "$key" "$@")
