//! What other admission controllers, verifiers and registry clients admitted, one test each, through the real server.
//!
//! A test is named after the advisory or the issue. What another test guards is not repeated:
//!
//! | Known hole | Guarded by |
//! |---|---|
//! | cosign CVE-2022-36056, CVE-2022-23649 (a log entry of something else) | `trust::each_thing_that_is_wrong_with_a_proof_refuses_in_both_layouts` |
//! | Cosign takes any attestation by the key for a signature | `attestations::an_attestation_is_no_signature_and_a_signature_no_attestation` |
//! | policy-controller CVE-2022-35930, the layout of tags | `attestations::what_is_not_the_demanded_attestation_has_its_own_reason` |
//! | kyverno#16664, #16854, cosign#4641, NVIDIA/aicr#1957 (GHCR's untyped lists) | `layouts::registries_without_the_referrers_api_are_understood_however_they_say_so` |
//! | seichi_infra#5006, nuts-node#4555, policy-controller#1958 (Cosign v3 writes other layouts) | `layouts::a_signature_is_found_wherever_clients_put_it` |
//! | go-containerregistry#2205 (a list that lost a signature: "none" is not final) | the same |
//! | kyverno#17363 (bundles of keys fail), sigstore-rs (Ed25519 panics) | `layouts::keys_of_every_kind_sign`, and below |
//! | kyverno#9967 (one place of signatures is out) | `outages::what_is_enough_is_enough_although_another_place_is_out` |
//! | sigstore-go CVE-2026-49834 (threshold), keys | `trust::two_signatures_by_one_signer_are_one`; certificates below |
//! | policy-controller#354, kyverno#16298 (keys without any Sigstore) | every test of `signed_by` |
//! | timestamp-authority CVE-2026-39984, TOB-SIGSTORE-11, sigstore-conformance#403 (timestamps) | `sigstore_vectors`: `rekor2-timestamp-*`, `trust-root-tsa-*` |
//! | TOB-SIGSTORE-6 (keys are parsed in two ways) | `sigstore_vectors`: `managed-key-*`; `key::read_public_key` is the one reader |
//! | notation-go CVE-2023-33959, by digest without signatures | `registries::hostile::by_digest` |
//! | oras-go CVE-2026-48978, go-containerregistry#2193, #2243, #2292 (realms, redirects) | `registries::hostile::realms`, `registries::hostile::redirects` |
//! | Crossplane, Kyverno CVE-2022-47633 for tags alone | `registries::hostile::alternating` |
//! | cosign CVE-2023-46737, CVE-2024-29902, CVE-2024-29903, CVE-2026-48702; sigstore-go CVE-2024-45395; notation CVE-2023-33957, CVE-2023-33958, CVE-2023-25656; cosign 3.0.5's crashes; CVE-2024-3727 | `signatures::hostile` |
//!
//! No concern of signatures here: namespaces, exceptions, finalizers, owners, replicas, ephemeral containers, image
//! volumes (`labels_and_modes`, `workloads`), user-supplied URLs and host callbacks (there are none), Notation's
//! revocation and its permissive policies (CVE-2024-23332, CVE-2024-51491, CVE-2024-56138: no Notation),
//! Rekor's own endless uploads (CVE-2023-30551: no Rekor is asked), TUF (go-tuf and sigstore CVE-2026-24137: the
//! metadata is verified by `sigstore-tuf`, and what it names is written to no path of its choosing), scanners.

use pratique_testkit::signer::{KeyKind, Wrong};
use serde_json::{Value, json};

use super::*;

mod attested;
mod bundles;
mod controllers;
mod logs;

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// What is attached to the image, and where.
type Attachments = Vec<(Layer, Place)>;

/// Asks for an image with these attachments three times: the second and the third are from memory, and the verdict is
/// the same (kyverno#17105).
async fn asked(
    (demand, authorities): (&str, &[String]),
    sigstore: Option<&PrivateSigstore>,
    attachments: impl Fn(&Registry, &str) -> Attachments,
) -> Answer {
    let root = sigstore.map(PrivateSigstore::trusted_root_json);
    asked_with_root((demand, authorities), root.as_deref(), attachments).await
}

async fn asked_with_root(
    (demand, authorities): (&str, &[String]),
    root: Option<&str>,
    attachments: impl Fn(&Registry, &str) -> Attachments,
) -> Answer {
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let folder = Directory::new();
    let mut setup = Webhook::setup().registry(&registry).policy("acme", &spec(demand, authorities)).enforce("acme");
    if let Some(root) = root {
        folder.write("trusted_root.json", root);
        let path = folder.path().join("trusted_root.json");
        let root = pratique::config::TrustedRoot { name: "private".to_owned(), trusted_root: path, tuf: None };
        setup = setup.configure(move |config| config.trust.push(root));
    }
    let webhook = setup.start().await;
    for (layer, place) in attachments(&registry, &digest) {
        layer.attach(&registry, "acme/web", &digest, place);
    }
    let first = ask(&webhook, &registry).await;
    for _ in 0..2 {
        let again = ask(&webhook, &registry).await;
        assert_eq!((again.allowed, reason(&again)), (first.allowed, reason(&first)), "from memory: {}", again.message);
    }
    assert_eq!(webhook.metric("pratique_panics_total").await, Some(0.0));
    first
}

/// Demands a signature by one authority.
const SIGNED: &str = "signatures: {authorities: [release]}";

#[track_caller]
fn assert_refused(answer: &Answer, expected: &str, words: &str) {
    assert!(!answer.allowed, "it is admitted");
    assert_eq!(reason(answer), expected, "{}", answer.message);
    assert!(answer.message.contains(words), "it does not say {words:?}: {}", answer.message);
}

#[track_caller]
fn assert_admitted(answer: &Answer) {
    assert!(answer.allowed, "{}", answer.message);
}

/// The same bundle with something else in its JSON.
fn changed(layer: Layer, change: impl FnOnce(&mut Value)) -> Layer {
    let mut bundle: Value = serde_json::from_slice(&layer.bytes).unwrap();
    change(&mut bundle);
    Layer { bytes: bundle.to_string().into_bytes(), ..layer }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
