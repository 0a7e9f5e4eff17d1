# The image of Pratique: one static binary, the roots of public certificate authorities, two texts, and nothing else.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t ghcr.io/pratique-dev/pratique:0.1.0 .
#
# Needs BuildKit (Docker 23 and later have it on) or buildah 1.24 and later, for the cache mounts. The base is pinned by
# tag so that this file reads; pin it by digest too, `rust:1.95.0-bookworm@sha256:...`, as
# `docker buildx imagetools inspect rust:1.95.0-bookworm` prints it.
# Releases are made by release/README.md, with the same script and without a container engine; the binary is the same.

# On the machine's own processor, whatever the image is for: zig compiles and links for the other one, nothing is emulated. The
# version is that of rust-toolchain.toml, which is not copied: this image is the toolchain.
FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS builder
# For what pip fetches below. Debian keeps no older version that could be pinned.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
ENV PRATIQUE_RELEASE_TOOLS=/tools
WORKDIR /pratique
# In a layer of its own: what it builds with is fetched once, and not again when src/ changes.
COPY release/build.sh release/requirements.txt release/
RUN release/build.sh tools
COPY . .
ARG TARGETARCH
# What `pratique --version` shows behind the version: --build-arg PRATIQUE_REVISION="$(git rev-parse --short=7 HEAD)".
ARG PRATIQUE_REVISION=
# Dependencies and their build output are kept in cache mounts: a change in src/ builds our own crate alone, and there
# is no second, pretended Cargo.toml to keep in step. aws-lc-sys compiles C and assembly, and needs neither cmake nor go.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/pratique/target \
    release/build.sh "$TARGETARCH" /parts && release/build.sh roots /parts/ca-certificates.crt

# No shell, no package manager, no libc, no file that could be written to: run it with a read-only root.
FROM scratch
ARG PRATIQUE_REVISION=
LABEL org.opencontainers.image.title="Pratique" \
      org.opencontainers.image.description="A Kubernetes validating admission webhook that decides which container images may run" \
      org.opencontainers.image.source="https://github.com/pratique-dev/pratique" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$PRATIQUE_REVISION"
COPY --from=builder --chown=0:0 --chmod=0555 /parts/pratique /pratique
# Whom registries' certificates are checked against; SSL_CERT_FILE names another file, hosts.toml adds to it.
COPY --from=builder --chown=0:0 --chmod=0444 /parts/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=0:0 --chmod=0444 LICENSE /LICENSE
# The licences of what the binary is made of.
COPY --from=builder --chown=0:0 --chmod=0444 /parts/THIRD-PARTY /THIRD-PARTY
# By number, because runAsNonRoot cannot judge a name.
USER 65532:65532
# 8443: HTTPS, the webhook. 9090: HTTP, probes and metrics.
EXPOSE 8443 9090
ENTRYPOINT ["/pratique"]
CMD ["serve"]
