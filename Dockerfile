# The image of Pratique: one static binary, the roots of public certificate authorities, and nothing else.
#
#   docker build -t ghcr.io/pratique-dev/pratique:0.1.0 .
#
# Needs BuildKit (Docker 23 and later have it on) or buildah 1.24 and later, for the cache mounts. The base is pinned by
# tag so that this file reads; for a reproducible build pin it by digest too, `rust:1.95-alpine@sha256:...`, as
# `docker buildx imagetools inspect rust:1.95-alpine` prints it.

# Alpine's own target is musl, so the binary needs no libc, and the same file builds for amd64 and arm64.
FROM rust:1.95-alpine AS builder
WORKDIR /build
COPY . .
# Dependencies and their build output are kept in cache mounts: a change in src/ builds our own crate alone, and there
# is no second, pretended Cargo.toml to keep in step. rust-toolchain.toml is not copied: this image is the toolchain.
# aws-lc-sys compiles C and assembly; gcc and musl-dev come with the image, and it needs neither cmake nor go.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin pratique \
    && cp target/release/pratique /pratique

# No shell, no package manager, no libc, no file that could be written to: run it with a read-only root.
FROM scratch
LABEL org.opencontainers.image.title="Pratique" \
      org.opencontainers.image.description="A Kubernetes validating admission webhook that decides which container images may run" \
      org.opencontainers.image.source="https://github.com/pratique-dev/pratique" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder --chown=0:0 --chmod=0555 /pratique /pratique
# Whom registries' certificates are checked against; SSL_CERT_FILE names another file, hosts.toml adds to it.
COPY --from=builder --chown=0:0 --chmod=0444 /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=0:0 --chmod=0444 LICENSE /LICENSE
# By number, because runAsNonRoot cannot judge a name.
USER 65532:65532
# 8443: HTTPS, the webhook. 9090: HTTP, probes and metrics.
EXPOSE 8443 9090
ENTRYPOINT ["/pratique"]
CMD ["serve"]
