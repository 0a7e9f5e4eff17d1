#!/usr/bin/env bash
# A release from beginning to end, with keys that are thrown away and a registry on loopback: nothing leaves the machine.
#
#   release/rehearse.sh                       for amd64: builds, starts, packs, pushes, signs, scans, and has Pratique judge itself
#   release/rehearse.sh amd64 arm64 again     for both, and builds amd64 again in another folder to compare
#
# Needs what build.sh needs; and curl, openssl and readelf, and for arm64 on another machine qemu-aarch64-static. The real
# programs that publish, verify and scan are those of tests/real-parts/build.sh.
#
#   PRATIQUE_REAL_PARTS=DIR      where those are (`tests/real-parts/build.sh scanners` prints it)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the binary may weigh, in bytes: 25 MB.
readonly limit=25000000
readonly reals=${PRATIQUE_REAL_PARTS:?say where the real programs are: tests/real-parts/build.sh scanners prints it}
output=${CARGO_TARGET_DIR:-$PWD/target}
readonly output parts=$output/release-rehearsal
version=$(sed -n 's/^version = "\(.*\)"$/\1/p; T; q' Cargo.toml)
readonly version

# Of this state of the sources where git knows it, as who releases says it.
PRATIQUE_REVISION=$(git rev-parse --short=7 HEAD 2> /dev/null || true)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null || echo 0)
export PRATIQUE_REVISION SOURCE_DATE_EPOCH

scratch=$(mktemp -d)
running=()
trap '((${#running[@]} == 0)) || kill "${running[@]}" 2> /dev/null; rm -rf "$scratch"' EXIT

fail() {
    printf 'rehearse.sh: %s\n' "$1" >&2
    exit 1
}

say() {
    printf '  %s\n' "$1"
}

# Until the file $1 has a line that the expression $2 finds something in, which is printed: a minute, because an emulator is slow.
wait_for() {
    local found=
    for _ in {1..600}; do
        # Who writes it was only just started.
        [[ ! -e $1 ]] || found=$(sed -n "$2" "$1")
        [[ -z $found ]] || { printf '%s\n' "$found"; return; }
        sleep 0.1
    done
    fail "not there within a minute: $2 in $(cat "$1")"
}

# What is said of the file itself: it runs without anything else, is small enough, and does not tell where it was built.
static() {
    local binary=$1 size place
    readelf --program-headers "$binary" > "$scratch/headers"
    ! grep --quiet INTERP "$scratch/headers" || fail "$binary wants a loader: it is not static"
    size=$(stat --format %s "$binary")
    ((size <= limit)) || fail "$binary has $size bytes, more than $limit"
    for place in "$PWD" "$output" "${CARGO_HOME:-$HOME/.cargo}" "$HOME/."; do
        ! grep --quiet --text --fixed-strings "$place" "$binary" || fail "$binary names $place, a path of this machine"
        ! grep --quiet --fixed-strings "$place" "$(dirname "$binary")"/{pratique.cdx.json,THIRD-PARTY} || fail "a path of this machine: $place"
    done
    say "$(basename "$(dirname "$binary")"): static, $size bytes, no path of this machine; sha256 $(sha256sum "$binary" | cut -d' ' -f1)"
}

# The binary starts, judges, and answers a review over TLS. "$@" is how it is started: the file, or an emulator and the file.
starts() {
    local said port status=0 log=$scratch/log
    said=$("$@" --version)
    [[ $said = "pratique $version${PRATIQUE_REVISION:+ ($PRATIQUE_REVISION)}" ]] || fail "it says it is: $said"
    "$@" check --policy baseline docker.io/library/nginx:latest > "$scratch/said" || status=$?
    [[ $status = 1 && $(< "$scratch/said") = *tag-mutable* ]] || fail "check left with $status and said: $(cat "$scratch/said")"
    "$@" serve --config manifests/base/settings/pratique.yaml --manifests examples/objects --listen 127.0.0.1:0 --admin 127.0.0.1:0 \
        --tls-cert "$scratch/certs/issued/tls.crt" --tls-key "$scratch/certs/issued/tls.key" 2> "$log" &
    local served=$! name=pratique.pratique-system.svc
    running+=("$served")
    port=$(wait_for "$log" 's/.*"message":"ready","webhook":"127.0.0.1:\([0-9]*\)".*/\1/p')
    curl --silent --show-error --fail --cacert "$scratch/certs/issued/ca.crt" --resolve "$name:$port:127.0.0.1" \
        --header "Content-Type: application/json" --data-binary @tests/fixtures/reviews/captured-reviews/pod-create.json \
        "https://$name:$port/validate?timeout=10s" > "$scratch/answer"
    grep --quiet '"allowed":true' "$scratch/answer" || fail "it answered: $(cat "$scratch/answer")"
    curl --silent --show-error --fail "http://$(sed -n 's/.*"message":"ready".*"admin":"\([0-9.:]*\)".*/\1/p' "$log")/metrics" |
        grep "^pratique_build_info{revision=\"$PRATIQUE_REVISION\",version=\"$version\"} 1\$" > "$scratch/info" ||
        fail "the metrics do not tell its version"
    kill "$served"
    wait "$served" || fail "it was told to stop and left with $?"
    running=()
    say "started: $said; refused nginx:latest; answered a review over TLS; stopped with status 0"
}

certificates() {
    cp -R certs manifests "$scratch/"
    "$scratch/certs/issue.sh" > "$scratch/said" 2>&1
}

# What a Dockerfile's COPY would see, in another folder, with another name for cargo's own: what differs then is a path that
# got in, or something that the context lacks.
again() {
    local copy="$scratch/another place, with a longer name" home=${CARGO_HOME:-$HOME/.cargo} file context
    mkdir -p "$copy" "$scratch/cargo"
    mapfile -t context < <(sed -n 's/^!//p' .dockerignore)
    tar --create "${context[@]}" | tar --extract --directory "$copy"
    cp rust-toolchain.toml "$copy"
    for file in registry config.toml config; do
        [[ ! -e $home/$file ]] || ln -s "$home/$file" "$scratch/cargo/$file"
    done
    (cd "$copy" && unset CARGO_TARGET_DIR && CARGO_HOME=$scratch/cargo release/build.sh amd64 "$scratch/again")
    for file in pratique pratique.cdx.json THIRD-PARTY; do
        cmp "$parts/amd64/$file" "$scratch/again/$file" || fail "$file is another one where it is built in another folder"
    done
    say "built again in another folder: the same bytes"
}

# Names of others' programs without their versions, and a home where they find no settings but ours.
others() {
    local name file
    mkdir "$scratch/bin" "$scratch/home" "$scratch/reports"
    for name in crane cosign trivy grype referrers-registry trivy-database grype-database; do
        file=$(compgen -G "$reals/$name-[0-9]*" | head -n 1) || fail "no $name in $reals"
        ln -s "$file" "$scratch/bin/$name"
    done
    export PATH=$scratch/bin:$PATH
}

# Another's program "$@", without network but loopback.
theirs() {
    env HOME="$scratch/home" DOCKER_CONFIG="$scratch/home" COSIGN_PASSWORD= TRIVY_CACHE_DIR="$scratch/trivy" \
        TRIVY_SKIP_DB_UPDATE=true TRIVY_SKIP_JAVA_DB_UPDATE=true TRIVY_OFFLINE_SCAN=true TRIVY_SKIP_VERSION_CHECK=true \
        TRIVY_DISABLE_TELEMETRY=true GRYPE_DB_CACHE_DIR="$scratch/grype" GRYPE_DB_AUTO_UPDATE=false \
        GRYPE_CHECK_FOR_APP_UPDATE=false "$@"
}

# The image twice, because it must be the same; and its digest.
pack() {
    digest=$(release/build.sh image "$parts" "$scratch/layout")
    [[ $(release/build.sh image "$parts" "$scratch/layout.again") = "$digest" ]] || fail "the image is another one each time"
    say "image: $digest"
}

publish() {
    referrers-registry 2> "$scratch/registry.log" &
    running+=("$!")
    repository=$(wait_for "$scratch/registry.log" 's/.*listening on \(.*\)/\1/p')/pratique-dev/pratique
    theirs cosign signing-config create --out "$scratch/no-services.json"
    theirs cosign trusted-root create --out "$scratch/no-root.json"
    (cd "$scratch" && theirs cosign generate-key-pair --output-key-prefix release && theirs cosign generate-key-pair --output-key-prefix other) 2> "$scratch/said"
    release_policy release.pub > "$scratch/release.yaml"
    release_policy other.pub > "$scratch/other.yaml"
    crane push --index "$scratch/layout" "$repository:$version" > "$scratch/said" 2>&1
    # Before it is signed, and by whom it is not signed: the policy is one that refuses.
    judged "$scratch/release.yaml" unsigned
    theirs release/publish.sh "$repository:$version" "$parts" "$scratch/layout" --key "$scratch/release.key" \
        --signing-config "$scratch/no-services.json" --trusted-root "$scratch/no-root.json" > "$scratch/published" 2> "$scratch/said" ||
        fail "publish.sh: $(cat "$scratch/said")"
    sed 's/^/  /' "$scratch/published"
    grep --quiet "^$repository@$digest\$" "$scratch/published" || fail "what was pushed is not what was packed"
}

# Signed, with a bill of materials, and scanned by both: what we would have others ask of an image.
release_policy() {
    cat << END
apiVersion: pratique.dev/v1alpha1
kind: ImagePolicy
metadata: {name: release}
spec:
  rules:
  - name: ours
    images: ["$repository"]
    tags: {requireDigest: true}
    signatures: {authorities: [release]}
    attestations: [{predicateType: "https://cyclonedx.org/bom", authorities: [release]}]
    vulnerabilities: {threshold: medium, fixable: false, missing: deny, stale: deny, scanners: [trivy, grype]}
  authorities:
  - name: release
    keys: [{file: $1}]
END
}

# What our own program says of our own image, by the policy $1: $2, a reason, or nothing where it is admitted.
judged() {
    local status=0
    "${judge[@]}" check --config "$scratch/settings.yaml" --manifests "$1" --scans "$scratch/reports" --policy release \
        "$repository@$digest" > "$scratch/said" 2>&1 || status=$?
    if [[ -z $2 ]]; then
        ((status == 0)) || fail "our own image is not admitted: $(cat "$scratch/said")"
    else
        [[ $status = 1 && $(< "$scratch/said") = *"$2"* ]] || fail "not refused for $2 but ($status): $(cat "$scratch/said")"
    fi
}

# Both scanners, of every platform, with a database that knows the advisories in the file $1.
scan() {
    local architecture platform
    {
        theirs trivy-database "$1" "$scratch/trivy/db"
        theirs grype-database "$1" "$scratch/grype/6"
    } > "$scratch/said"
    for architecture in "${architectures[@]}"; do
        platform=$repository@$(crane digest --platform "linux/$architecture" "$repository@$digest")
        theirs trivy image --quiet --scanners vuln --list-all-pkgs --format json --output "$scratch/reports/trivy-$architecture.json" "$platform"
        theirs grype -q -o json --file "$scratch/reports/grype-$architecture.json" "registry:$platform"
    done
}

# Scanners read the crates out of the binary, by the list that build.sh puts there: an advisory for one of them is found.
scanned() {
    local file found
    cat > "$scratch/one.json" << 'END'
{"vulns": [{"id": "CVE-2026-0001", "vendor": {}, "nvd": "HIGH", "detail": true, "title": "invented", "description": "invented",
            "score": 7.5, "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
            "published": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z", "cwe": []}],
 "advisories": [{"kind": "lang", "eco": "cargo", "pkg": "rustls", "id": "CVE-2026-0001", "vuln": "<99.0.0", "patched": ["99.0.0"],
                 "t": "HIGH", "g": "High", "ghsa": "GHSA-aaaa-bbbb-cccc", "via": "ghsa", "fixes": ["99.0.0"],
                 "date": "2026-01-01", "only": ""}]}
END
    # The same of versions that nobody has: a database of nothing cannot be made.
    sed 's/99[.]0[.]0/0.0.1/g' "$scratch/one.json" > "$scratch/none.json"
    scan "$scratch/one.json"
    judged "$scratch/release.yaml" CVE-2026-0001
    for file in "$scratch"/reports/*.json; do
        found=$(grep --count CVE-2026-0001 "$file" || true)
        ((found > 0)) || fail "$(basename "$file") does not know that rustls is in the binary"
    done
    scan "$scratch/none.json"
    judged "$scratch/release.yaml" ""
    judged "$scratch/other.yaml" signature-untrusted
    say "our own program admits our own image: signed, attested and scanned by both; not with another key, nor with a finding"
}

again=
architectures=()
(($#)) || set -- amd64
for word in "$@"; do
    case $word in
        amd64 | arm64) architectures+=("$word") ;;
        again) again=yes ;;
        *) fail "amd64, arm64 and again are what can be said, not $word" ;;
    esac
done

rm -rf "$parts"
certificates
judge=()
for architecture in "${architectures[@]}"; do
    release/build.sh "$architecture" "$parts/$architecture"
    static "$parts/$architecture/pratique"
    emulator=()
    [[ $architecture/$(uname --machine) != arm64/x86_64 ]] || emulator=(qemu-aarch64-static)
    [[ $architecture/$(uname --machine) != amd64/aarch64 ]] || emulator=(qemu-x86_64-static)
    starts "${emulator[@]}" "$parts/$architecture/pratique"
    ((${#judge[@]})) || judge=("${emulator[@]}" "$parts/$architecture/pratique")
done
[[ -z $again ]] || again
printf 'platforms: [%s]\n' "$(printf 'linux/%s,' "${architectures[@]}")" > "$scratch/settings.yaml"
others
pack
publish
scanned
