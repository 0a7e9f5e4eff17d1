#!/usr/bin/env bash
# The binary of a release: static (musl), for the processor that is named, on whatever Linux machine it is built.
#
#   release/build.sh tools                fetches what it builds with, and nothing else (the Dockerfile's first layer)
#   release/build.sh amd64 FOLDER         builds for x86-64 and fills the folder; arm64 likewise
#   release/build.sh roots FILE           writes the roots of public certificate authorities, for the image
#   release/build.sh image PARTS LAYOUT   puts what is in PARTS/amd64 and PARTS/arm64 into an image, and prints its digest
#
# In FOLDER are then the binary `pratique`, `pratique.cdx.json`, which lists what it is made of (CycloneDX), and
# `THIRD-PARTY`, the licences of that.
#
# The Dockerfile and release/README.md run this same script, so that what is tested is what is shipped. The same sources give
# the same bytes in whatever folder they lie: README.md beside this file says under which conditions.
# Needs: rustup with the toolchain of rust-toolchain.toml, python3 with venv, PyPI and crates.io.
#
#   PRATIQUE_REVISION=TEXT       what `pratique --version` shows behind the version; nothing where it is not set
#   PRATIQUE_RELEASE_TOOLS=DIR   where cargo-zigbuild, zig and certifi are kept (default: ~/.cache/pratique-release)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly tools=${PRATIQUE_RELEASE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/pratique-release}
readonly targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)

fetch() {
    # A folder for each set of versions: another one is fetched beside the old one.
    local venv
    venv=$tools/venv-$(sha256sum release/requirements.txt | cut -c1-12)
    if [[ ! -x $venv/bin/cargo-zigbuild ]]; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: --require-hashes \
            --requirement release/requirements.txt
    fi
    if command -v rustup > /dev/null; then
        rustup --quiet target add "${targets[@]}"
    fi
    PATH=$venv/bin:$PATH
}

compile() {
    local target=$1 folder=$2 home=${CARGO_HOME:-$HOME/.cargo} output=${CARGO_TARGET_DIR:-$PWD/target} flags
    mkdir -p "$output/$target" "$home/registry"
    # Neither this machine's paths in the binary (they are in the places that panics name), nor what somebody has set for
    # other builds. Separated by 0x1f, as cargo wants it: a path may have a space.
    printf -v flags '%s\x1f' --remap-path-prefix="$PWD"=/pratique --remap-path-prefix="$home"=/cargo \
        --remap-path-prefix="$(realpath "$home/registry")"=/cargo/registry --remap-path-prefix="$output"=/target
    env -u RUSTFLAGS -u CFLAGS -u CXXFLAGS -u CPPFLAGS -u LDFLAGS -u CC -u AR CARGO_ENCODED_RUSTFLAGS="${flags%?}" CARGO_INCREMENTAL=0 \
        cargo zigbuild --release --locked --bin pratique --target "$target" \
        --message-format json-render-diagnostics > "$output/$target/release.json"
    mkdir -p "$folder"
    python3 release/sbom.py "$output/$target/release/pratique" "$output/$target/release.json" "$target" "$folder"
}

case ${1:-},${2:+folder} in
    tools,) fetch ;;
    amd64,folder) fetch && compile "${targets[0]}" "$2" ;;
    arm64,folder) fetch && compile "${targets[1]}" "$2" ;;
    roots,folder) fetch && install -m 0444 "$(python3 -m certifi)" "$2" ;;
    image,folder) fetch > /dev/null && python3 release/image.py "$2" "$3" ;;
    *)
        echo "build.sh: say tools, amd64 FOLDER, arm64 FOLDER, roots FILE, or image PARTS LAYOUT" >&2
        exit 2
        ;;
esac
