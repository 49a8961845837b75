#!/usr/bin/env bash
# Builds the program and pushes its image; prints REGISTRY/NAME@sha256:...
#
#   [PROFILE=release] hack/image.sh REGISTRY/NAME:TAG
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
program=$(build_program)
# A development build carries line tables that a container has no use for.
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
if command -v strip >/dev/null; then strip --strip-debug -o "$work/portcullis" "$program"; program=$work/portcullis; fi
"$repo/e2e/images/portcullis.sh" "$program" "${1:?usage: image.sh REGISTRY/NAME:TAG}"
