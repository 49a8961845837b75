#!/usr/bin/env bash
# Builds the program and pushes its image; prints REGISTRY/NAME@sha256:...
#
#   [PROFILE=release | PROGRAM=FILE] hack/image.sh REGISTRY/NAME:TAG      PROGRAM: one that is built already
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
program=${PROGRAM:-$(build_program)}
# A development build carries line tables that a container has no use for.
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
if command -v strip >/dev/null; then strip --strip-debug -o "$work/portcullis" "$program"; program=$work/portcullis; fi
"$repo/e2e/images/portcullis.sh" "$program" "${1:?usage: image.sh REGISTRY/NAME:TAG}"
