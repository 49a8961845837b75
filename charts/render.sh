#!/usr/bin/env bash
# Writes what follows from the chart and from crds/: charts/portcullis/templates/crds/*.yaml and manifests/install.yaml.
#
#   charts/render.sh            write
#   charts/render.sh --check    write nothing; fail when something is missing, stale or extra
#
# helm: $HELM, else PATH, else the one that e2e/tools/build.sh keeps. Without any, manifests/install.yaml is left as it is.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
chart=$root/charts/portcullis
check=''
case ${1:-} in
  '') ;;
  --check) check=1 ;;
  *) echo "unknown argument: $1" >&2; exit 2 ;;
esac
helm=${HELM:-$(command -v helm || echo "${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}/tools/bin/helm")}

out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
cp -r "$chart" "$out/chart"
rm -rf "$out/chart/templates/crds"; mkdir -p "$out/chart/templates/crds" "$out/manifests"

# A definition as a template: braces in its words are escaped, a value turns it off, and it outlives the release.
as_template() {
  echo '{{- if .Values.crds.install }}'
  # shellcheck disable=SC2016
  sed -e 's/{{/\x01/g' -e 's/}}/{{ "}}" }}/g' -e 's/\x01/{{ "{{" }}/g' "$1" | awk '
    /^metadata:/ && !seen { print; seen = 1; inside = 1; next }
    inside && /^  annotations:/ { print; print "    helm.sh/resource-policy: keep"; done = 1; inside = 0; next }
    inside && /^[^ ]/ { if (!done) print "  annotations:\n    helm.sh/resource-policy: keep"; inside = 0 }
    { print }'
  echo '{{- end }}'
}
for crd in "$root"/crds/*.yaml; do
  [ -e "$crd" ] || continue
  as_template "$crd" >"$out/chart/templates/crds/${crd##*/}"
done

if [ -x "$helm" ]; then
  {
    echo '# The chart, rendered with its defaults by charts/render.sh. Replace the image by yours, then:'
    echo '#   kubectl apply --server-side -f install.yaml'
    echo 'apiVersion: v1'
    echo 'kind: Namespace'
    echo 'metadata:'
    echo '  name: portcullis-system'
    echo '  labels:'
    echo '    pod-security.kubernetes.io/enforce: restricted'
    "$helm" template portcullis "$out/chart" --namespace portcullis-system --set image.repository=registry.example/portcullis/portcullis
  } >"$out/manifests/install.yaml"
elif [ -e "$root/manifests/install.yaml" ]; then
  echo "no helm: manifests/install.yaml is not rendered" >&2
  cp "$root/manifests/install.yaml" "$out/manifests/"
fi

if [ -n "$check" ]; then
  mkdir -p "$chart/templates/crds" 2>/dev/null || true
  if diff -r "$out/chart/templates/crds" "$chart/templates/crds" >&2 && { [ ! -e "$out/manifests/install.yaml" ] || diff "$out/manifests/install.yaml" "$root/manifests/install.yaml" >&2; }; then exit 0; fi
  echo "generated files are not up to date: run charts/render.sh" >&2
  exit 1
fi
mkdir -p "$chart/templates/crds" "$root/manifests"
rm -f "$chart"/templates/crds/*.yaml
find "$out/chart/templates/crds" -name '*.yaml' -exec cp {} "$chart/templates/crds/" \;
[ ! -e "$out/manifests/install.yaml" ] || cp "$out/manifests/install.yaml" "$root/manifests/install.yaml"
