#!/usr/bin/env bash
# Makes a CA and, signed by it, the certificate that the API server meets: ECDSA P-256, for the names of our Service.
#
#   certs/issue.sh                        for the Service pratique in pratique-system
#   certs/issue.sh -n NAMESPACE -s NAME   for another one
#   certs/issue.sh -d DAYS                how long the certificate is good (default 397; the CA: ten years)
#   certs/issue.sh -o OVERLAY             to go with that one of manifests/overlays (default audit-only)
#   certs/issue.sh -r                     renew: a new certificate and key by the same CA, so caBundle stays good
#
# Everything goes to certs/issued/, beside this script, which git ignores:
#
#   tls.crt tls.key      what Pratique serves with
#   ca.crt ca.key        who signed it; keep ca.key out of the cluster, it is for -r alone
#   kustomization.yaml   an overlay on that overlay, with the Secret and the caBundles: kubectl apply -k certs/issued
#
# It prints the caBundle. Without -r it never overwrites: to begin anew, move certs/issued/ away. Needs openssl 1.1.1.
set -euo pipefail

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
}

fail() {
    printf 'issue.sh: %s\n' "$1" >&2
    exit 1
}

namespace=pratique-system service=pratique days=397 overlay='' renew=no
while getopts 'n:s:d:o:rh' option; do
    case "$option" in
        n) namespace=$OPTARG ;;
        s) service=$OPTARG ;;
        d) days=$OPTARG ;;
        o) overlay=$OPTARG ;;
        r) renew=yes ;;
        h) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[[ $# -eq 0 ]] || fail "unexpected argument '$1' (see -h)"

# They become DNS names in a certificate and words in YAML: only what Kubernetes itself allows.
label='^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'
[[ $namespace =~ $label ]] || fail "'$namespace' is no name of a namespace"
[[ $service =~ $label ]] || fail "'$service' is no name of a Service"
[[ $days =~ ^[1-9][0-9]{0,3}$ ]] || fail "-d takes a number of days from 1 to 9999, not '$days'"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -z $overlay || $overlay =~ $label && -f $here/../manifests/overlays/$overlay/kustomization.yaml ]] ||
    fail "there is no manifests/overlays/$overlay"
command -v openssl > /dev/null || fail "openssl is needed and was not found"

issued=$here/issued
if [[ $renew = yes ]]; then
    [[ -f $issued/ca.key ]] || fail "there is no $issued/ca.key to renew with; without -r a new CA is made"
    [[ -z $overlay ]] || fail "-r changes nothing but the certificate: name another overlay in $issued/kustomization.yaml"
elif [[ -e $issued ]]; then
    fail "$issued is there already; -r renews its certificate, or move it away to begin anew"
fi

# Made beside its place and moved there whole, so that a failure leaves nothing half made.
umask 077
work=$(mktemp -d "$here/.issued.XXXXXX")
trap 'rm -rf "$work"' EXIT

host=$service.$namespace.svc
cat > "$work/openssl.conf" << CONF
[req]
distinguished_name = name
prompt = no
[name]
CN = pratique
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:$host, DNS:$host.cluster.local
CONF

run() {
    openssl "$@" 2> "$work/errors" || { cat "$work/errors" >&2; fail "openssl $1 failed"; }
}

# P-256, not RSA: above 25 calls at once the API server makes a new handshake for each.
if [[ $renew = yes ]]; then
    cp "$issued/ca.crt" "$issued/ca.key" "$work/"
else
    run ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
    run req -new -x509 -sha256 -days 3650 -key "$work/ca.key" -subj "/CN=pratique-ca" \
        -config "$work/openssl.conf" -extensions authority -out "$work/ca.crt"
fi
run ecparam -name prime256v1 -genkey -noout -out "$work/sec1.key"
run pkcs8 -topk8 -nocrypt -in "$work/sec1.key" -out "$work/tls.key"
run req -new -sha256 -key "$work/tls.key" -config "$work/openssl.conf" -out "$work/tls.csr"
run x509 -req -sha256 -days "$days" -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$work/openssl.conf" -extensions server -out "$work/tls.crt"
run verify -CAfile "$work/ca.crt" -purpose sslserver -verify_hostname "$host" "$work/tls.crt" > "$work/verified"

bundle=$(openssl base64 -A -in "$work/ca.crt")
cat > "$work/kustomization.yaml" << KUSTOMIZATION
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../manifests/overlays/${overlay:-audit-only}
components:
# Pratique takes the certificate of the Secret in place of making one.
- ../../manifests/components/tls-files
secretGenerator:
- name: pratique-tls
  namespace: $namespace
  type: kubernetes.io/tls
  files:
  - tls.crt
  - tls.key
generatorOptions:
  # A renewed certificate is taken up by the running pods, so the Secret keeps its name.
  disableNameSuffixHash: true
patches:
- target:
    kind: ValidatingWebhookConfiguration
  patch: |-
    - {op: add, path: /webhooks/0/clientConfig/caBundle, value: $bundle}
    - {op: add, path: /webhooks/1/clientConfig/caBundle, value: $bundle}
    - {op: add, path: /webhooks/2/clientConfig/caBundle, value: $bundle}
KUSTOMIZATION

next="put tls.crt and tls.key into the Secret, and the caBundle into the webhook configuration"
if [[ $host = pratique.pratique-system.svc ]]; then
    next="kubectl apply -k $issued"
else
    # The base is for our own names; for others the overlay is yours to write.
    rm "$work/kustomization.yaml"
fi
if [[ $renew = yes ]]; then
    mv "$work/tls.key" "$work/tls.crt" "$issued/"
else
    rm -f "$work/sec1.key" "$work/tls.csr" "$work/openssl.conf" "$work/errors" "$work/verified"
    mv "$work" "$issued"
fi

printf 'Issued for %s, good for %s days, in %s\nNext: %s\nThe caBundle:\n' "$host" "$days" "$issued" "$next" >&2
printf '%s\n' "$bundle"
