# Fills the demo's objects with the references of a run.
# shellcheck shell=bash

# fill_all FOLDER REPOSITORY APP MODEL PUBLIC_KEY [ALTERED SWAPPED]: writes each file of e2e/demo into FOLDER. References are
# by digest; ALTERED and SWAPPED are further models.
fill_all() {
  local folder=$1 repository=$2 app=$3 model=$4 key=$5 altered=${6:-} swapped=${7:-} registry=${2%%/*} plain=false file
  case $registry in 198.18.* | 127.* | localhost*) plain=true ;; esac
  for file in "$repo"/e2e/demo/*.yaml; do
    awk -v registry="$registry" -v repository="$repository" -v plain="$plain" -v app="$app" -v tag="${app%%@*}:1" -v model="$model" \
      -v digest="${model##*@}" -v altered="$altered" -v altered_digest="${altered##*@}" -v swapped="$swapped" -v swapped_digest="${swapped##*@}" \
      -v keyfile="$key" -v today="$(date -u +%F)" '
      /^\$\{KEY\}$/ { while ((getline line <keyfile) > 0) print "        " line; next }
      { gsub(/\$\{REGISTRY\}/, registry); gsub(/\$\{REPOSITORY\}/, repository); gsub(/\$\{PLAIN\}/, plain); gsub(/\$\{APP\}/, app)
        gsub(/\$\{APP_TAG\}/, tag); gsub(/\$\{MODEL\}/, model); gsub(/\$\{MODEL_DIGEST\}/, digest); gsub(/\$\{TODAY\}/, today)
        gsub(/\$\{ALTERED\}/, altered); gsub(/\$\{ALTERED_DIGEST\}/, altered_digest)
        gsub(/\$\{SWAPPED\}/, swapped); gsub(/\$\{SWAPPED_DIGEST\}/, swapped_digest); print }' "$file" >"$folder/${file##*/}"
  done
}
