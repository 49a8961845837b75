# Fills the samples with what a cluster has: its registry, images and key, dates of today, and the digests that follow.
# shellcheck shell=bash

# fill_samples FOLDER REPOSITORY APP MODEL DATA PUBLIC_KEY PROGRAM: writes manifests/samples into FOLDER. APP stands for every
# image, MODEL for every model and DATA for every dataset; PROGRAM says the digests that documents have to name.
fill_samples() {
  local folder=$1 repository=$2 app=$3 model=$4 data=$5 key=$6 program=$7 registry=${2%%/*} days date sample
  local ones twos fours; ones=$(printf '1%.0s' {1..64}) twos=${ones//1/2} fours=${ones//1/4}
  mkdir -p "$folder"; cp -r "$repo/manifests/samples/." "$folder"
  # The samples were written on this day; every date moves with it.
  days=$((($(date -u +%s) - $(date -u -d 2026-11-21 +%s)) / 86400))
  local moves=()
  for date in $(grep -rhoE '20[0-9]{2}-[01][0-9]-[0-3][0-9]' "$folder" --include '*.yaml' | sort -u); do
    moves+=(-e "s/\"$date\"/\"@$(date -u -d "$date $days days" +%F)\"/g")
  done
  find "$folder" -name '*.yaml' -exec sed -i "${moves[@]}" -e 's/"@\(20[0-9-]*\)"/"\1"/g' \
    -e "s#registry\.example/[a-z0-9./-]*@sha256:$ones#$app#g" -e "s#registry\.example/[a-z0-9./-]*@sha256:$twos#$model#g" \
    -e "s#registry\.example/[a-z0-9./-]*@sha256:$fours#$data#g" -e "s#sha256:$ones#${app##*@}#g" -e "s#sha256:$twos#${model##*@}#g" \
    -e "s#sha256:$fours#${data##*@}#g" -e "s#registry\.example/models/\*#$repository/*#g" {} +
  awk -v registry="$registry" -v keyfile="$key" '
    /- host: registry.example/ { print "  - {host: \"" registry "\", plainHTTP: true, allowPrivateAddresses: true}"; next }
    /BEGIN PUBLIC KEY/ { while ((getline line <keyfile) > 0) print "        " line; skip = 1 }
    !skip { print }
    /END PUBLIC KEY/ { skip = 0 }' "$repo/manifests/samples/common/4-trust-policy.yaml" | sed "${moves[@]}" -e 's/"@\(20[0-9-]*\)"/"\1"/g' \
    >"$folder/common/4-trust-policy.yaml"
  for sample in "$folder"/*/; do
    sample=${sample%/} sample=${sample##*/}
    [ -d "$folder/$sample/by-k.lee" ] || continue
    paste -d ' ' <(compositions "$program" "$repo/manifests/samples" "$sample") <(compositions "$program" "$folder" "$sample") |
      while read -r before after; do [ "$before" = "$after" ] || sed -i "s/$before/$after/g" "$folder/$sample"/*.yaml "$folder/$sample"/*/*.yaml; done
  done
}

# The composition digests of a sample, in order.
compositions() {
  "$1" check -f "$2/common" "$2/$3" -o json | jq -r '.objects[].compositionDigest // empty' || true
}

# sample_storage FOLDER: prints the storage class that the samples name, and volumes below FOLDER for their claims. Nothing is
# encrypted by it: that is what the administrator of a cluster vouches for in the profile.
sample_storage() {
  local folder=$1 claim
  printf 'apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: encrypted}\nprovisioner: kubernetes.io/no-provisioner\n'
  for claim in batch-scoring/scores fine-tuning/adapter fine-tuning/train-log; do
    mkdir -p "$folder/${claim/\//-}"; chmod 777 "$folder/${claim/\//-}" # pods run as a user that the node does not know
    cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: ${claim/\//-}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce, ReadOnlyMany]
  storageClassName: encrypted
  claimRef: {namespace: ${claim%/*}, name: ${claim#*/}}
  hostPath: {path: "$folder/${claim/\//-}"}
YAML
  done
}
