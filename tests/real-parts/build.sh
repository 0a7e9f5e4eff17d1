#!/usr/bin/env bash
# The real programs that our tests run against, ready to be started: registries, crane, cosign and the services of a
# private Sigstore built from their Go modules, docker-registry and skopeo as Debian packages them. Prints the folder of
# what was built, and nothing else on stdout.
#
#   tests/real-parts/build.sh         builds what is not there yet (about five minutes once, then nothing)
#
# The files are called NAME-VERSION, with the version in NAME/go.mod: another version is built beside the old one. Needs go
# and Go's module proxy for what is not built yet; docker-registry and skopeo have to be on the PATH, or are installed by
# apt-get where CI is set and we are root or may become root by sudo.
#
#   PRATIQUE_REAL_PARTS=DIR           where they are kept (default: ~/.cache/pratique-real-parts)
#
# Another one: a folder NAME with go.mod and tools.go like those of crane, or with a main.go where a program has no setting
# for what a test must have, and a line at the end of this file. Each has a module of its own, because their dependencies
# do not agree.
set -euo pipefail

folder=${PRATIQUE_REAL_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/pratique-real-parts}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
readonly folder
cd "$(dirname "${BASH_SOURCE[0]}")"

say() {
    printf 'real-parts: %s\n' "$1" >&2
}

fail() {
    say "$1"
    exit 1
}

has() {
    command -v "$1" > /dev/null
}

# Builds the program of the module in folder $1, under a name of its own first: whoever looks sees all of it or nothing.
build() {
    local name=$1 version target package
    version=$(sed -n 's/^require [^ ]* v\([0-9.]*\)$/\1/p; T; q' "$name/go.mod")
    target=$folder/$name-$version
    [[ ! -x $target ]] || return 0
    has go || fail "$name $version is not built yet, and there is no go here (Go 1.26 or newer) to build it"
    # Ours where there is one, else theirs.
    package=.
    [[ -e $name/main.go ]] || package=$(sed -n 's/^import _ "\(.*\)"$/\1/p' "$name/tools.go")
    say "building $name $version in $folder"
    (cd "$name" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags '-s -w' -o "$target.$$" "$package") >&2 ||
        fail "$name $version could not be built: see above"
    mv "$target.$$" "$target"
}

# Debian's programs $@: on the PATH, or installed in CI.
install() {
    local name missing=() root=()
    for name in "$@"; do
        has "$name" || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    [[ -n ${CI:-} ]] || fail "not on the PATH: ${missing[*]} (apt-get install ${missing[*]})"
    has apt-get || fail "not on the PATH: ${missing[*]}, and there is no apt-get here to install it"
    [[ $EUID = 0 ]] || root=(sudo -n)
    {
        "${root[@]}" apt-get update --quiet=2 || say "no newer package lists to be had, going on with those that are here"
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
    } >&2 || fail "apt-get could not install ${missing[*]}: see above"
}

install docker-registry skopeo
build registry
build crane
build referrers-registry
build cosign
build fulcio
build rekor-server
build timestamp-authority
printf '%s\n' "$folder"
