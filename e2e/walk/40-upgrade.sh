# An upgrade while pods are admitted: nobody notices.
# shellcheck shell=bash
( failures=0
  for _ in $(seq 100); do
    answer=$(undeclared 2>&1) || true
    case $answer in *declared-workloads-only*) ;; *) failures=$((failures + 1)); echo "$answer" >>"$walk_work/upgrade.answers" ;; esac
    sleep 0.1
  done
  echo "failures: $failures." >"$walk_work/upgrade.failures" ) &
asking=$!
expect "helm upgrade, every pod ready" "STATUS: deployed" release upgrade portcullis charts/portcullis --wait --timeout 120s "${values[@]}" --set log.level=debug
wait "$asking"
expect "during the upgrade every wrong pod was refused for its reason" "failures: 0." cat "$walk_work/upgrade.failures"
[ ! -s "$walk_work/upgrade.answers" ] || sort "$walk_work/upgrade.answers" | uniq -c | head -n 5
