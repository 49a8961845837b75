#!/usr/bin/env bash
# Puts the portcullis program into an image FROM scratch and pushes it; prints REGISTRY/NAME@sha256:...
#
#   e2e/images/portcullis.sh BINARY REGISTRY/NAME:TAG
#
# The image holds the program, Debian's CA certificates and nothing else; it runs as user 65532.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
binary=${1:?usage: portcullis.sh BINARY REGISTRY/NAME:TAG} reference=${2:?usage: portcullis.sh BINARY REGISTRY/NAME:TAG}
certificates=/etc/ssl/certs/ca-certificates.crt
[ -r "$certificates" ] || { echo "$certificates is missing: apt-get install ca-certificates" >&2; exit 1; }
# A program that wants a loader would not start in an empty image: two answers here that a static one gives.
if LC_ALL=C ldd "$binary" 2>&1 | grep -q '=>'; then echo "$binary is not static" >&2; exit 1; fi
mkdir -p "$work/root/etc/ssl/certs"
install -m 755 "$binary" "$work/root/portcullis"
install -m 644 "$certificates" "$work/root$certificates"
push_folder "$work/root" "$reference" --entrypoint /portcullis --user 65532:65532
