# Fills the demo's objects with the references of a run.
# shellcheck shell=bash

# fill_all FOLDER REPOSITORY APP MODEL PUBLIC_KEY: writes each file of e2e/demo into FOLDER. APP and MODEL are by digest.
fill_all() {
  local folder=$1 repository=$2 app=$3 model=$4 key=$5 registry=${2%%/*} plain=false file
  case $registry in 198.18.* | 127.* | localhost*) plain=true ;; esac
  for file in "$repo"/e2e/demo/*.yaml; do
    awk -v registry="$registry" -v repository="$repository" -v plain="$plain" -v app="$app" -v tag="${app%%@*}:1" -v model="$model" \
      -v digest="${model##*@}" -v keyfile="$key" -v today="$(date -u +%F)" '
      /^\$\{KEY\}$/ { while ((getline line <keyfile) > 0) print "        " line; next }
      { gsub(/\$\{REGISTRY\}/, registry); gsub(/\$\{REPOSITORY\}/, repository); gsub(/\$\{PLAIN\}/, plain); gsub(/\$\{APP\}/, app)
        gsub(/\$\{APP_TAG\}/, tag); gsub(/\$\{MODEL\}/, model); gsub(/\$\{MODEL_DIGEST\}/, digest); gsub(/\$\{TODAY\}/, today); print }' "$file" >"$folder/${file##*/}"
  done
}
