#!/usr/bin/env bash
# Makes the images of samples and tests and pushes them to a registry; prints a line NAME=REFERENCE@sha256:... for each.
#
#   e2e/images/build.sh REGISTRY [NAME...]      for example 198.18.0.1:5000; names: pause demo-app demo-model
#                                            demo-model-altered demo-model-swapped (default: the first three)
#
# demo-model is a small file as an OCI artifact, to be mounted as an image volume; demo-model-altered is the same but for
# one byte, so that its digest differs; demo-model-swapped is another one, whose stored bytes somebody may swap later.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
registry=${1:?usage: build.sh REGISTRY [NAME...]}; shift
names=("$@"); [ $# -gt 0 ] || names=(pause demo-app demo-model)

program() { # a static program of this folder
  mkdir -p "$work/$1"
  (cd "$images_dir" && CGO_ENABLED=0 GOFLAGS=-trimpath go build -buildvcs=false -ldflags '-s -w' -o "$work/$1/$1" "./$1")
}

for name in "${names[@]}"; do
  case $name in
    pause)
      program pause
      reference=$(push_folder "$work/pause" "$registry/pause:1" --entrypoint /pause --user 65535:65535) ;;
    demo-app)
      program demo-app
      reference=$(push_folder "$work/demo-app" "$registry/demo-app:1" --entrypoint /demo-app --user 65532:65532 --exposed-ports 8080/tcp) ;;
    demo-model)
      mkdir -p "$work/model"
      seq 1 20000 >"$work/model/model.bin"
      printf 'a stand-in for weights: the numbers from 1 to 20000\n' >"$work/model/README"
      reference=$(push_folder "$work/model" "$registry/demo-model:1") ;;
    demo-model-altered)
      mkdir -p "$work/altered"
      seq 1 20000 | sed '12345s/5$/6/' >"$work/altered/model.bin"
      printf 'a stand-in for weights: the numbers from 1 to 20000\n' >"$work/altered/README"
      reference=$(push_folder "$work/altered" "$registry/demo-model:2") ;;
    demo-model-swapped)
      mkdir -p "$work/swapped"
      seq 1 20001 >"$work/swapped/model.bin"
      reference=$(push_folder "$work/swapped" "$registry/demo-model:3") ;;
    *) echo "unknown image $name: one of pause demo-app demo-model demo-model-altered demo-model-swapped" >&2; exit 2 ;;
  esac
  echo "$name=$reference"
done
