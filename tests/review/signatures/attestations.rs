//! Attestations: of this type, by these, of this image, and what their fields must hold.

use pratique_testkit::signer::KeyKind;
use serde_json::json;

use super::*;

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const BUILDER: &str = "https://github.com/actions/runner";

fn provenance(digest: &str, builder: &str) -> Statement {
    Statement::about(digest, PROVENANCE).predicate(json!({"runDetails": {"builder": {"id": builder}}}))
}

async fn attested_by(key: &Key) -> (Registry, String, Webhook) {
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let demand = format!(
        "attestations:\n- predicateType: {PROVENANCE}\n  authorities: [release]\n  where:\n  \
         - {{path: runDetails.builder.id, equals: \"{BUILDER}\"}}"
    );
    let policy = spec(&demand, &[keys("release", &[key])]);
    let webhook = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme").start().await;
    (registry, digest, webhook)
}

#[tokio::test]
async fn an_attestation_is_found_under_its_tag_and_as_a_bundle() {
    let key = Key::generate(KeyKind::P256);
    for place in [Place::AttestationTag, Place::Referrer, Place::UntypedFallbackTag] {
        let (registry, digest, webhook) = attested_by(&key).await;
        let signer = Signer::key(&key);
        let statement = provenance(&digest, BUILDER);
        let layer = if place == Place::AttestationTag {
            signer.envelope(&statement)
        } else {
            signer.bundle(Version::V03, &statement)
        };
        layer.attach(&registry, "acme/web", &digest, place);
        let answer = ask(&webhook, &registry).await;
        assert!(answer.allowed, "{place:?}: {}", answer.message);
    }
}

#[tokio::test]
async fn what_is_not_the_demanded_attestation_has_its_own_reason() {
    let (key, stranger) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let other = format!("sha256:{}", "b".repeat(64));
    let of = |digest: &str| -> Vec<(Layer, &'static str)> {
        let signer = Signer::key(&key);
        let typed = |predicate_type: &str| {
            let builder = json!({"runDetails": {"builder": {"id": BUILDER}}});
            Statement::about(digest, predicate_type).predicate(builder)
        };
        vec![
            (signer.envelope(&provenance(digest, "https://evil.example")), "attestation-condition"),
            (signer.envelope(&Statement::about(digest, PROVENANCE)), "attestation-condition"),
            (signer.envelope(&provenance(&other, BUILDER)), "attestation-mismatch"),
            (signer.envelope(&typed("https://spdx.dev/Document")), "attestation-wrong-type"),
            (signer.envelope(&typed("https://slsa.dev/provenance/v1/")), "attestation-wrong-type"),
            (
                signer.envelope(&Statement::raw(b"{\"predicateType\": \"https://slsa".to_vec())),
                "attestation-unreadable",
            ),
            (Signer::key(&stranger).envelope(&provenance(digest, BUILDER)), "attestation-untrusted"),
            (signer.simple(&Payload::of(digest, "x/y")), "attestation-missing"),
        ]
    };
    for index in 0..8 {
        let (registry, digest, webhook) = attested_by(&key).await;
        let (layer, expected) = of(&digest).swap_remove(index);
        let place = if expected == "attestation-missing" { Place::Referrer } else { Place::AttestationTag };
        layer.attach(&registry, "acme/web", &digest, place);
        let answer = ask(&webhook, &registry).await;
        assert_eq!((answer.allowed, reason(&answer)), (false, expected), "{}", answer.message);
    }
    let (registry, _, webhook) = attested_by(&key).await;
    assert_eq!(reason(&ask(&webhook, &registry).await), "attestation-missing");
}

#[tokio::test]
async fn an_attestation_is_no_signature_and_a_signature_no_attestation() {
    let key = Key::generate(KeyKind::P256);
    let (registry, digest, webhook) = signed_by(&key).await;
    let bundle = Signer::key(&key).bundle(Version::V03, &provenance(&digest, BUILDER));
    bundle.attach(&registry, "acme/web", &digest, Place::Referrer);
    let answer = ask(&webhook, &registry).await;
    assert_eq!(reason(&answer), "unsigned");
    assert!(answer.message.contains("an attestation (\"https://slsa.dev/provenance/v1\")"), "{}", answer.message);
}
