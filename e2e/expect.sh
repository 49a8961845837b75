# Expectations of the scripts here: each prints a line with the elapsed seconds, all are counted, a failure ends nothing.
# shellcheck shell=bash

expectations_passed=0 expectations_failed=0

passed() { expectations_passed=$((expectations_passed + 1)); printf '[%4ds] ok: %s\n' "$SECONDS" "$1"; }
failed() { # failed WHAT DETAILS
  expectations_failed=$((expectations_failed + 1))
  printf '[%4ds] FAILED: %s\n' "$SECONDS" "$1"; printf '%s\n' "$2" | tail -n 30 | sed 's/^/          | /'
}

# expect WHAT TEXT COMMAND...: what COMMAND prints holds TEXT, whatever its status. The output stays in $output.
expect() {
  local what=$1 text=$2; shift 2
  output=$("$@" 2>&1) || true
  if grep -qF -- "$text" <<<"$output"; then passed "$what"; else failed "$what" "wanted: $text
$output"; fi
}

# expect_not WHAT TEXT COMMAND...: COMMAND succeeds and what it prints does not hold TEXT.
expect_not() {
  local what=$1 text=$2 status=0; shift 2
  output=$("$@" 2>&1) || status=$?
  if [ "$status" -eq 0 ] && ! grep -qF -- "$text" <<<"$output"; then passed "$what"; else failed "$what" "not wanted: $text (exit status $status)
$output"; fi
}

# refused WHAT TEXT COMMAND...: COMMAND fails and says TEXT.
refused() {
  local what=$1 text=$2 status=0; shift 2
  output=$("$@" 2>&1) || status=$?
  if [ "$status" -ne 0 ] && grep -qF -- "$text" <<<"$output"; then passed "$what"; else failed "$what" "wanted a refusal with: $text (exit status $status)
$output"; fi
}

# eventually COMMAND...: repeats a failing COMMAND for up to $PATIENCE seconds (30).
eventually() {
  local deadline=$((SECONDS + ${PATIENCE:-30}))
  until "$@"; do [ "$SECONDS" -lt "$deadline" ] || return 1; sleep 0.2; done
}

# eventually_says TEXT COMMAND...: repeats COMMAND until it prints TEXT, for up to $PATIENCE seconds (30); prints its last output.
eventually_says() {
  local text=$1 deadline=$((SECONDS + ${PATIENCE:-30})) said; shift
  while :; do
    said=$("$@" 2>&1) || true
    if grep -qF -- "$text" <<<"$said" || [ "$SECONDS" -ge "$deadline" ]; then printf '%s\n' "$said"; return; fi
    sleep 0.2
  done
}

# Adds the counts to the tally; fails when an expectation did.
expectations_end() {
  echo "$expectations_passed $expectations_failed" >>"${PORTCULLIS_TALLY:-/dev/null}"
  [ "$expectations_failed" -eq 0 ] || { echo "$expectations_failed of $((expectations_passed + expectations_failed)) expectations failed"; return 1; }
}
