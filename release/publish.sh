#!/usr/bin/env bash
# Pushes an image that build.sh put together, signs it, and attests to each platform what it is made of. Prints the digest,
# and where it goes.
#
#   release/publish.sh IMAGE PARTS LAYOUT [FLAGS OF COSIGN]
#   release/publish.sh ghcr.io/pratique-dev/pratique:0.1.0 target/parts target/layout
#
# FLAGS are given to `cosign sign` and `cosign attest` alike: `--key cosign.key`; without any, cosign signs keyless as whoever
# runs this, in GitHub Actions the workflow. Needs crane and cosign on the PATH, both logged in (`crane auth login`).
set -euo pipefail

if (($# < 3)); then
    echo "publish.sh: say IMAGE PARTS LAYOUT, and what cosign is to be told" >&2
    exit 2
fi
readonly image=$1 parts=$2 layout=$3
shift 3

# Without the tag; the port of a registry is no tag.
repository=$image
[[ ${image##*/} != *:* ]] || repository=${image%:*}
pushed=$(crane push --index "$layout" "$image")
readonly repository digest=${pushed##*@}

# The index and every platform: a policy may ask for either.
cosign sign --yes --recursive "$@" "$repository@$digest"
for architecture in amd64 arm64; do
    [[ -d $parts/$architecture ]] || continue
    # Of the platform and not of the index, because the crates of one are not those of the other.
    cosign attest --yes --type cyclonedx --predicate "$parts/$architecture/pratique.cdx.json" "$@" \
        "$repository@$(crane digest --platform "linux/$architecture" "$repository@$digest")"
done

cat << END
$repository@$digest
  manifests: an overlay's kustomization.yaml says   images: [{name: ghcr.io/pratique-dev/pratique, digest: "$digest"}]
  chart:     values say                             image.digest: "$digest"
END
[[ $repository = ghcr.io/pratique-dev/pratique ]] || echo "  and newName: $repository, or image.repository, as it is not where ours is"
