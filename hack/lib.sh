# Shared by the scripts of this folder and of e2e: where builds go, headings with elapsed time, a truthful tally.
# shellcheck shell=bash

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PORTCULLIS_CACHE=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PORTCULLIS_CACHE/target}
# Nobody edits between these builds, and what cargo keeps for that grows by gigabytes.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
# Counts of passed and failed tests, a line "PASSED FAILED" from each step; set by the outermost script.
tally=${PORTCULLIS_TALLY:-/dev/null}

heading() { printf '\n==> [%4ds] %s\n' "$SECONDS" "$*"; }

# need PROGRAM...: each is on PATH; what is missing is installed from Debian's package of the same name.
need() {
  local missing=() name
  for name in "$@"; do command -v "$name" >/dev/null || missing+=("$name"); done
  [ ${#missing[@]} -eq 0 ] || from_debian "${missing[@]}"
}

# from_debian PACKAGE...: from Debian's packages.
from_debian() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then echo "not found on this machine: $*" >&2; return 1; fi
  echo "installing Debian's packages $*"
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

# room_for GIGABYTES: warns where the cache's disk has less left, before something half written says it in other words.
room_for() {
  local free
  mkdir -p "$PORTCULLIS_CACHE"
  free=$(df -Pk "$PORTCULLIS_CACHE" | awk 'NR == 2 {print int($4 / 1048576)}')
  [ "$free" -ge "$1" ] || echo "warning: $free GB are left on the disk of $PORTCULLIS_CACHE; a first run takes up to $1 GB" >&2
}

# host: the machine's own triple, which names a folder, because build.target is it.
host() { rustc -vV | sed -n 's/^host: //p'; }

# learned: the file of what hack/profile.sh has learned for this compiler.
learned() { echo "$PORTCULLIS_CACHE/profile/$(rustc -vV | sed -n 's/^commit-hash: //p').profdata"; }

# build_program: builds it with the profile $PROFILE and prints where the portcullis program lies.
build_program() {
  local profile=${PROFILE:-dev} folder command=build flags=() link=()
  case $profile in dev) folder=debug ;; *) folder=$profile ;; esac
  if [ "$profile" = release ]; then
    # A program that finds its own place at start keeps the list of what to adjust in memory: written shortly, it is a mebibyte less.
    command=rustc link=(-- -C link-arg=-Wl,-z,pack-relative-relocs)
    if [ -f "$(learned)" ]; then
      flags=(--config "target.'cfg(all(target_os = \"linux\", target_env = \"gnu\"))'.rustflags = ['-Cprofile-use=$(learned)', '-Cllvm-args=--no-pgo-warn-mismatch']")
    else
      echo "note: built without knowing what it does at work, so it needs more time and memory; make profile finds out" >&2
    fi
  fi
  (cd "$repo" && cargo "$command" --locked --bin portcullis --profile "$profile" "${flags[@]}" "${link[@]}") >&2
  echo "$CARGO_TARGET_DIR/$(host)/$folder/portcullis"
}

# count_cargo COMMAND...: shows a test run as it is and adds what cargo says of each test binary to the tally.
count_cargo() {
  local log status=0
  log=$(mktemp)
  "$@" 2>&1 | tee "$log" || status=$?
  sed -n 's/^test result: [A-Za-z]*\. \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log" >>"$tally"
  rm -f "$log"
  return "$status"
}
