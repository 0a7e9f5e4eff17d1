//! Real registries and real clients: what crane and skopeo pushed to the CNCF registry and to Debian's docker-registry,
//! `pratique check` resolves to the digest that they name, with the credentials and through the hosts that a node has.
//!
//! Nothing leaves 127.0.0.1. `tests/real-parts/build.sh` provides the programs; `.ci/run registries` does all of it.
//!
//! What the two were seen to answer (`GET` and `HEAD` below `/v2/<name>/`), beyond the distribution specification:
//!
//! | asked for | CNCF registry 3.1.2 | Debian's docker-registry 2.8.2 |
//! | --- | --- | --- |
//! | a manifest, by tag or digest | `Docker-Content-Digest`, and the same digest quoted as `Etag`; `HEAD` too, with the length | the same |
//! | with `If-None-Match: "<digest>"` | 304, without `Docker-Content-Digest` | the same |
//! | `referrers/<digest>` | 404 `text/plain`, `404 page not found`: there is no such API | the same |
//! | a tag or a digest that it does not have | 404 JSON `MANIFEST_UNKNOWN`, `detail` a text; `HEAD` with the length of the body that it does not send | `detail` an object |
//! | anything of a repository that it does not have, or that cannot be (upper case) | 404 `MANIFEST_UNKNOWN`, never `NAME_UNKNOWN` | the same |
//! | an OCI manifest, without its type in `Accept` | 404 `MANIFEST_UNKNOWN`, `OCI manifest found, but accept header does not support OCI manifests` | the same |
//! | an OCI index, without its type in `Accept` | the index | 404 `MANIFEST_UNKNOWN`, `OCI index found, but ...` |
//! | a docker manifest list, with `Accept` for docker manifests alone | 404 where it has no linux/amd64, else that child instead of the list | the same |
//! | a malformed digest (`sha512:00`) | 400 `DIGEST_INVALID` | 500 `UNKNOWN`, with a path of its storage |
//! | with `?ns=<registry>` | the answer without it | the same |
//! | with `Accept-Encoding: gzip` | the plain bytes | the same |
//! | without a credential, with a wrong one, or with a bearer token, where htpasswd is on | 401 JSON `UNAUTHORIZED`, `Www-Authenticate: Basic realm="..."`; a missing repository too | the same |
//! | the same, where tokens are on | 401 JSON `UNAUTHORIZED`, `Www-Authenticate: Bearer realm="...",service="...",scope="repository:<name>:pull"`, with `,error="invalid_token"` after a malformed token; the scope is not there for `/v2/` | the same |
//! | over HTTP where it speaks TLS | HTTP/1.0 400 in plain text, `Client sent an HTTP request to an HTTPS server.` | the same |
//! | over TLS | HTTP/2 where the client offers it | the same |
//!
//! crane (`index append`) adds entries without `platform` where the image's configuration states none, and states an
//! `artifactType` for each entry. It asks no token service at an address of the machine that it runs on.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod anonymous;
mod cluster;
mod mirrors;
mod missing;
mod private;
mod tokens;

/// The real program under test.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");
