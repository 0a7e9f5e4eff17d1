//! Controllers: what is asked of a registry twice, conditions that are skipped, and verdicts that overwrite each other.

use pratique_testkit::{Behaviour, Route};

use super::*;

/// A registry with a signed image `acme/web` and one that is not; their digests.
async fn signed_and_not(key: &Key) -> (Registry, String, String, Webhook) {
    let registry = Registry::setup().start().await;
    let [signed, unsigned] =
        ["signed", "unsigned"].map(|tag| registry.push("acme/web", tag, &Image::single().label(tag)));
    let layer = Signer::key(key).simple(&payload(&registry, &signed));
    layer.attach(&registry, "acme/web", &signed, Place::SignatureTag);
    let policy = spec(SIGNED, &[keys("release", &[key])]);
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
    (registry, signed, unsigned, webhook)
}

#[tokio::test]
async fn cve_2022_47633_and_cve_2023_47630_the_registry_answers_another_manifest_later() {
    let key = Key::generate(KeyKind::P256);
    let (registry, signed, unsigned, webhook) = signed_and_not(&key).await;
    let (mut admitted, mut refused) = (0, 0);
    for round in 0..60 {
        // Now one, now the other; and every third time the header says the one while the body is the other.
        let points_to = if round % 2 == 0 { &signed } else { &unsigned };
        registry.point("acme/web", "v1", points_to);
        registry.calm();
        if round % 3 == 0 {
            registry.on(Route::Manifest, Behaviour::LyingDigestHeader(signed.clone()));
        }
        let answer = ask(&webhook, &registry).await;
        if answer.allowed {
            admitted += 1;
            let told = &answer.annotations["digests"];
            assert!(told.contains(&signed) && !told.contains(&unsigned), "{told}");
        } else {
            refused += 1;
        }
    }
    assert!(admitted > 0 && refused > 0, "{admitted} {refused}");
    registry.calm();
    // By its digest nothing but the image itself can be had.
    let named = format!("{}/acme/web@{unsigned}", registry.host());
    let answer = webhook.review(&review(&pod("web").container("web", &named))).await;
    assert_refused(&answer, "unsigned", "no signature by release");
}

#[tokio::test]
async fn cve_2023_33959_the_signed_manifest_is_sent_for_another_digest() {
    let key = Key::generate(KeyKind::P256);
    let (registry, signed, unsigned, webhook) = signed_and_not(&key).await;
    registry.point("acme/web", "v1", &unsigned);
    let layer = Signer::key(&key).simple(&payload(&registry, &signed));
    // Cosign's tag of the unsigned image holds the signature of the signed one.
    layer.attach(&registry, "acme/web", &unsigned, Place::SignatureTag);
    for image in ["acme/web:v1".to_owned(), format!("acme/web@{unsigned}")] {
        let named = format!("{}/{image}", registry.host());
        let answer = webhook.review(&review(&pod("web").container("web", &named))).await;
        assert_refused(&answer, "signature-mismatch", &signed[..19]);
    }
    // Whatever is asked for, the signed image is sent.
    let image = Image::single().label("signed");
    let body = Behaviour::Status {
        code: 200,
        headers: vec![
            ("Content-Type".to_owned(), image.media_type()),
            ("Docker-Content-Digest".to_owned(), unsigned.clone()),
        ],
        body: image.bytes(),
    };
    registry.on(Route::Manifest, body);
    let fresh = registry.push("acme/web", "other", &Image::single().label("a third"));
    let named = format!("{}/acme/web@{fresh}", registry.host());
    let answer = webhook.review(&review(&pod("web").container("web", &named))).await;
    assert!(!answer.allowed && answer.message.contains("digest-mismatch"), "{}", answer.message);
}

#[tokio::test]
async fn cve_2025_29778_expressions_for_issuer_and_subject_both_count_and_are_anchored() {
    let sigstore = PrivateSigstore::new();
    let authority = |issuer: &str, subject: &str| {
        let keyless = json!({"issuerRegExp": issuer, "subjectRegExp": subject});
        json!({"name": "release", "keyless": keyless, "trust": "private"}).to_string()
    };
    let ours = r"https://github\.com/acme/web/.+";
    for (issuer, subject, admitted) in [
        (r"https://token\.actions\..+", ours, true),
        // Neither is a part of what the certificate says.
        (r"https://token\.actions", ours, false),
        (r"https://token\.actions\..+", r"github\.com/acme/web", false),
        (r"https://token\.actions\..+", r"https://github\.com/other/.+", false),
        (r"https://accounts\.google\..+", ours, false),
        // An alternative is as anchored as all of it.
        (r"https://token\.actions\..+", r"https://github\.com/other|/web/", false),
    ] {
        for index in 0..2 {
            let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
            let authorities = [authority(issuer, subject)];
            let answer = asked((SIGNED, &authorities), Some(&sigstore), |registry, digest| {
                vec![both(&signer, registry, digest).into_iter().nth(index).unwrap()]
            })
            .await;
            assert_eq!(answer.allowed, admitted, "{issuer} {subject}: {}", answer.message);
            if !admitted {
                assert_refused(&answer, "signature-untrusted", ", not ");
            }
        }
    }
}

#[tokio::test]
async fn kyverno_4668_a_wrong_subject_or_a_wrong_issuer_alone_is_enough_to_refuse() {
    let sigstore = PrivateSigstore::new();
    let evil = "https://github.com/evil/web/.github/workflows/release.yaml@refs/tags/v1";
    for (issuer, subject, words) in [
        (ISSUER, evil, "issued to"),
        ("https://gitlab.com", RELEASE, "vouched for by the issuer"),
        ("https://gitlab.com", evil, "vouched for by the issuer"),
    ] {
        let signer = Signer::keyless(&sigstore, issuer, subject);
        let authorities = [keyless("release", ISSUER, RELEASE)];
        let attach = |registry: &Registry, digest: &str| both(&signer, registry, digest).into();
        let answer = asked((SIGNED, &authorities), Some(&sigstore), attach).await;
        assert_refused(&answer, "signature-untrusted", words);
    }
}

#[tokio::test]
async fn policy_controller_28_authorities_are_alternatives_so_that_keys_can_be_rotated() {
    let (old, new) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let demand = "signatures: {authorities: [old, new]}";
    let authorities = [keys("old", &[&old]), keys("new", &[&new])];
    for key in [&old, &new] {
        let answer = asked((demand, &authorities), None, |registry, digest| {
            vec![(Signer::key(key).simple(&payload(registry, digest)), Place::SignatureTag)]
        })
        .await;
        assert_admitted(&answer);
    }
}

#[tokio::test]
async fn an_empty_list_of_signatures_is_no_signature() {
    // The class of NVIDIA/cluster-readiness-engine#334 and kyverno#15705: all of nothing is well.
    let key = Key::generate(KeyKind::P256);
    let (registry, digest, webhook) = signed_by(&key).await;
    let nothing: [pratique_testkit::Layer; 0] = [];
    for place in [Place::Referrer, Place::FallbackTag, Place::SignatureTag] {
        registry.attach_layers("acme/web", &digest, place, &nothing);
        let answer = ask(&webhook, &registry).await;
        assert!(!answer.allowed, "{place:?}");
        let expected = if place == Place::SignatureTag { "signature-invalid" } else { "unsigned" };
        assert_eq!(reason(&answer), expected, "{place:?}: {}", answer.message);
    }
}

#[tokio::test]
async fn kyverno_1_12_5_the_verdict_of_one_image_does_not_overwrite_that_of_another() {
    let key = Key::generate(KeyKind::P256);
    let (registry, ..) = signed_and_not(&key).await;
    let images = ["signed", "unsigned"].map(|tag| format!("{}/acme/web:{tag}", registry.host()));
    for round in 0..20 {
        let policy = spec(SIGNED, &[keys("release", &[&key])]);
        let webhook = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme").start().await;
        let (first, second) = (round % 2, 1 - round % 2);
        let both = pod("web").container("a", &images[first]).container("b", &images[second]);
        let answer = webhook.review(&review(&both)).await;
        assert!(!answer.allowed && answer.message.contains("unsigned"), "{round}: {}", answer.message);
        let alone = webhook.review(&review(&pod("web").container("a", &images[0]))).await;
        assert_admitted(&alone);
    }
}

#[tokio::test]
async fn kyverno_16336_what_the_object_says_of_itself_proves_nothing() {
    let key = Key::generate(KeyKind::P256);
    let (registry, signed, _, webhook) = signed_and_not(&key).await;
    let named = |tag: &str| format!("{}/acme/web:{tag}", registry.host());
    let admitted = webhook.review(&review(&pod("web").container("web", &named("signed")))).await;
    assert_admitted(&admitted);
    let mut forged = pod("web").container("web", &named("unsigned"));
    for (name, value) in &admitted.annotations {
        for prefix in ["", "pratique.dev/", "images.pratique.dev/"] {
            forged = forged.annotation(&format!("{prefix}{name}"), value);
        }
    }
    let verified = format!(r#"{{"{}":"pass","{signed}":"pass"}}"#, named("unsigned"));
    forged = forged.annotation("kyverno.io/verify-images", &verified);
    assert_refused(&webhook.review(&review(&forged)).await, "unsigned", "no signature by release");
}
