//! Whom a policy trusts: issuer and subject, thresholds, periods, logs; and each thing that can be wrong with a proof.

use pratique_testkit::signer::{KeyKind, Wrong};

use super::*;

/// A webhook that demands a keyless signature, with a registry that holds this one.
async fn keyless_scene(
    sigstore: &PrivateSigstore,
    authority: String,
    layers: impl Fn(&Registry, &str) -> Vec<(Layer, Place)>,
) -> Answer {
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let policy = spec("signatures: {authorities: [release]}", &[authority]);
    let (setup, _root) =
        trusting(Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme"), sigstore);
    let webhook = setup.start().await;
    for (layer, place) in layers(&registry, &digest) {
        layer.attach(&registry, "acme/web", &digest, place);
    }
    ask(&webhook, &registry).await
}

#[tokio::test]
async fn issuer_and_subject_both_count() {
    let sigstore = PrivateSigstore::new();
    for (issuer, subject, admitted) in [
        (ISSUER, RELEASE, true),
        ("https://token.actions.githubusercontent.com.evil.example", RELEASE, false),
        (ISSUER, "https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1/../../evil", false),
        (ISSUER, "https://evil.example/https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1", false),
    ] {
        let signer = Signer::keyless(&sigstore, issuer, subject);
        let pattern = "https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*";
        let authority = keyless("release", ISSUER, pattern);
        let answer =
            keyless_scene(&sigstore, authority, |registry, digest| both(&signer, registry, digest).into()).await;
        assert_eq!(answer.allowed, admitted, "{issuer} {subject}: {}", answer.message);
        if !admitted {
            assert_eq!(reason(&answer), "signature-untrusted", "{}", answer.message);
        }
    }
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_proof_refuses_in_both_layouts() {
    let sigstore = PrivateSigstore::new();
    for wrong in Wrong::ALL {
        for index in 0..2 {
            // Each proves it alone in one of the two, and may be missing from the other.
            if matches!(
                (wrong, index),
                (Wrong::NoPromise, 1) | (Wrong::NoProof | Wrong::CheckpointOfOtherKey | Wrong::ProofInvalid, 0)
            ) {
                continue;
            }
            let signer = Signer::keyless(&sigstore, ISSUER, RELEASE).but(wrong);
            let authority = keyless("release", ISSUER, RELEASE);
            let one = |registry: &Registry, digest: &str| {
                both(&signer, registry, digest).into_iter().skip(index).take(1).collect()
            };
            let answer = keyless_scene(&sigstore, authority, one).await;
            assert!(!answer.allowed, "{wrong:?} {index}");
            assert_eq!(reason(&answer), "signature-invalid", "{wrong:?} {index}: {}", answer.message);
        }
    }
}

#[tokio::test]
async fn a_key_needs_no_log_unless_the_authority_says_so() {
    let (key, sigstore) = (Key::generate(KeyKind::P256), PrivateSigstore::new());
    let authority = |log: &str| {
        let keys = serde_json::json!([{"pem": key.public_pem()}]);
        serde_json::json!({"name": "release", "keys": keys, "trust": "private", "log": log}).to_string()
    };
    for (log, logged, admitted) in
        [("optional", false, true), ("optional", true, true), ("required", false, false), ("required", true, true)]
    {
        let signer = if logged { Signer::key(&key).logged(&sigstore) } else { Signer::key(&key) };
        for index in 0..2 {
            let one = |registry: &Registry, digest: &str| {
                both(&signer, registry, digest).into_iter().skip(index).take(1).collect()
            };
            let answer = keyless_scene(&sigstore, authority(log), one).await;
            assert_eq!(answer.allowed, admitted, "{log} {logged} {index}: {}", answer.message);
        }
    }
}

#[tokio::test]
async fn two_signatures_by_one_signer_are_one() {
    let (dev, ops) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    for (signers, admitted) in [(vec![&dev, &dev], false), (vec![&dev, &ops], true), (vec![&ops, &dev], true)] {
        let registry = Registry::setup().start().await;
        let digest = pushed(&registry);
        let authorities = [keys("any", &[&dev, &ops]), keys("dev", &[&dev])];
        let policy = spec("signatures: {authorities: [any, dev], threshold: 2}", &authorities);
        let webhook = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme").start().await;
        for key in signers {
            let layer = Signer::key(key).simple(&payload(&registry, &digest));
            layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
        }
        assert_eq!(ask(&webhook, &registry).await.allowed, admitted);
    }
}

#[tokio::test]
async fn annotations_and_the_reference_are_demanded_where_the_rule_says_so() {
    let key = Key::generate(KeyKind::P256);
    let cases: [(&str, &dyn Fn(&Registry, &str) -> Payload, bool); 5] = [
        ("annotations: {env: prod}", &|_, digest| Payload::annotated(digest, "x/y", &[("env", "prod")]), true),
        ("annotations: {env: prod}", &|_, digest| Payload::annotated(digest, "x/y", &[("env", "dev")]), false),
        ("annotations: {env: prod}", &|_, digest| Payload::of(digest, "x/y"), false),
        ("identity: required", &|registry, digest| payload(registry, digest), true),
        ("identity: required", &|_, digest| Payload::of(digest, "ghcr.io/acme/other"), false),
    ];
    for (demand, made, admitted) in cases {
        let registry = Registry::setup().start().await;
        let digest = pushed(&registry);
        let policy = spec(&format!("signatures: {{authorities: [release], {demand}}}"), &[keys("release", &[&key])]);
        let webhook = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme").start().await;
        let layer = Signer::key(&key).simple(&made(&registry, &digest));
        layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
        let answer = ask(&webhook, &registry).await;
        assert_eq!(answer.allowed, admitted, "{demand}: {}", answer.message);
        if !admitted {
            assert_eq!(reason(&answer), "signature-mismatch", "{}", answer.message);
        }
    }
}

#[tokio::test]
async fn a_signature_that_was_copied_under_another_images_tag_is_its_own_denial() {
    let key = Key::generate(KeyKind::P256);
    let (registry, digest, webhook) = signed_by(&key).await;
    let other = registry.push("acme/web", "other", &Image::single().label("other"));
    for place in [Place::SignatureTag, Place::Referrer] {
        let layer = Signer::key(&key).simple(&payload(&registry, &other));
        layer.attach(&registry, "acme/web", &digest, place);
    }
    let answer = ask(&webhook, &registry).await;
    assert_eq!(reason(&answer), "signature-mismatch", "{}", answer.message);
}
