#!/usr/bin/env bash
# Learns what the program does at work, for the compiler: builds it so that it counts what it executes, lets the benchmarks
# work it (admission in every way, the audits of 1,000 workloads), and keeps the counts in the cache, where release builds
# find them (build_program in lib.sh). They hold for one compiler; functions that have changed since are built without them.
#
# Takes half an hour of two cores after the tools of the cluster are built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$repo"
room_for 12

# The counts are merged by the tool of the compiler's own LLVM: that of rustup's component, or Debian's.
profdata=$(rustc --print sysroot)/lib/rustlib/$(host)/bin/llvm-profdata
if [ ! -x "$profdata" ]; then
  major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  profdata=llvm-profdata-$major
  command -v "$profdata" >/dev/null || from_debian "llvm-$major"
fi

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
counting=$CARGO_TARGET_DIR/counting
heading "building the program so that it counts (fifteen minutes)"
# Whole-program optimisation comes after what is counted, and the names of functions are the same without it.
RUSTFLAGS="-C target-feature=+crt-static -C profile-generate -C lto=off -C linker-plugin-lto=no -C embed-bitcode=no" \
  CARGO_TARGET_DIR=$counting cargo build --release --locked --bin portcullis
heading "building what works it"
cargo bench --locked --bench admission --bench audit --no-run
heading "working it (four minutes)"
export PORTCULLIS_PROGRAM=$counting/$(host)/release/portcullis LLVM_PROFILE_FILE=$work/%p.profraw
BENCH=start,through,straight,signatures e2e/cluster/with-control-plane.sh cargo bench --locked --bench admission >/dev/null
AUDIT_WORKLOADS=1000 API_SERVER_FLAGS=--disable-admission-plugins=ServiceAccount \
  e2e/cluster/with-control-plane.sh cargo bench --locked --bench audit >/dev/null
mkdir -p "$(dirname "$(learned)")"
"$profdata" merge -o "$work/merged" "$work"/*.profraw
mv "$work/merged" "$(learned)"
rm -rf "$counting"
heading "release builds are made with $(learned)"
