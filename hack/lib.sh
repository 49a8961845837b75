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
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then echo "not found on this machine: ${missing[*]}" >&2; return 1; fi
  echo "installing Debian's packages ${missing[*]}"
  apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
}

# room_for GIGABYTES: warns where the cache's disk has less left, before something half written says it in other words.
room_for() {
  local free
  mkdir -p "$PORTCULLIS_CACHE"
  free=$(df -Pk "$PORTCULLIS_CACHE" | awk 'NR == 2 {print int($4 / 1048576)}')
  [ "$free" -ge "$1" ] || echo "warning: $free GB are left on the disk of $PORTCULLIS_CACHE; a first run takes up to $1 GB" >&2
}

# build_program: builds it with the profile $PROFILE and prints where the portcullis program lies.
build_program() {
  local profile=${PROFILE:-dev} folder
  case $profile in dev) folder=debug ;; *) folder=$profile ;; esac
  (cd "$repo" && cargo build --locked --bin portcullis --profile "$profile") >&2
  # build.target is the machine's own triple, which then names a folder.
  echo "$CARGO_TARGET_DIR/$(rustc -vV | sed -n 's/^host: //p')/$folder/portcullis"
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
