//! What stands in the place of a certificate, and what stands twice.

use super::*;

/// The public key in the place of the certificate, in every layout, with a signature by it.
fn bare_keys(key: &Key, sigstore: Option<&PrivateSigstore>, registry: &Registry, digest: &str) -> Attachments {
    let signer = Signer::key(key);
    let signer = sigstore.map_or(signer.clone(), |sigstore| signer.logged(sigstore));
    let bundle = |version: Version| {
        changed(signer.bundle(version, &Statement::signature_of(digest)), |bundle| {
            let entries = bundle["verificationMaterial"]["tlogEntries"].clone();
            let raw = json!({"rawBytes": base64(key.spki())});
            let mut material = match version {
                Version::V03 => json!({"certificate": raw}),
                Version::V01 | Version::V02 => json!({"x509CertificateChain": {"certificates": [raw]}}),
            };
            material["tlogEntries"] = entries;
            bundle["verificationMaterial"] = material;
        })
    };
    let mut all: Attachments = Version::ALL.map(|version| (bundle(version), Place::Referrer)).into();
    for place in [Place::SignatureTag, Place::Referrer] {
        let mut layer = signer.simple(&payload(registry, digest));
        layer.annotations.insert("dev.sigstore.cosign/certificate".to_owned(), key.public_pem());
        all.push((layer, place));
        let as_certificate = key.public_pem().replace("PUBLIC KEY", "CERTIFICATE");
        let mut layer = signer.simple(&payload(registry, digest));
        layer.annotations.insert("dev.sigstore.cosign/certificate".to_owned(), as_certificate);
        all.push((layer, place));
    }
    all
}

#[tokio::test]
async fn ghsa_fx35_mq7g_6g98_a_bare_public_key_in_the_certificate_field() {
    let (ours, theirs, sigstore) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256), PrivateSigstore::new());
    let authorities =
        [[keys("release", &[&ours])], [keyless("release", ISSUER, RELEASE)], [keyless("release", ISSUER, "**/**")]];
    for authorities in &authorities {
        for index in 0..7 {
            for logged in [None, Some(&sigstore)] {
                let answer = asked((SIGNED, authorities), Some(&sigstore), |registry, digest| {
                    vec![bare_keys(&theirs, logged, registry, digest).swap_remove(index)]
                })
                .await;
                assert!(!answer.allowed, "{index} {authorities:?}");
                let told = ["signature-invalid", "signature-untrusted"];
                assert!(told.contains(&reason(&answer)), "{index}: {}", answer.message);
            }
        }
    }
}

#[tokio::test]
async fn ghsa_fx35_mq7g_6g98_a_bundle_with_a_certificate_and_a_key_is_neither() {
    let (ours, sigstore) = (Key::generate(KeyKind::P256), PrivateSigstore::new());
    let authorities = [keyless("release", ISSUER, RELEASE)];
    let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
    let answer = asked((SIGNED, &authorities), Some(&sigstore), |_, digest| {
        let bundle = changed(signer.bundle(Version::V03, &Statement::signature_of(digest)), |bundle| {
            bundle["verificationMaterial"]["publicKey"] = json!({"hint": base64(ours.spki())});
        });
        vec![(bundle, Place::Referrer)]
    })
    .await;
    assert_refused(&answer, "signature-invalid", "names neither a certificate nor a key, or both");
}

#[tokio::test]
async fn tob_sigstore_9_an_envelope_with_several_signatures_is_refused() {
    let (ours, theirs) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let authorities = [keys("release", &[&ours])];
    for ours_first in [true, false] {
        let answer = asked((SIGNED, &authorities), None, |_, digest| {
            let of = |key: &Key| Signer::key(key).bundle(Version::V03, &Statement::signature_of(digest));
            let other: Value = serde_json::from_slice(&of(&theirs).bytes).unwrap();
            let bundle = changed(of(&ours), |bundle| {
                let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
                signatures.insert(usize::from(ours_first), other["dsseEnvelope"]["signatures"][0].clone());
            });
            vec![(bundle, Place::Referrer)]
        })
        .await;
        assert_refused(&answer, "signature-invalid", "several signatures");
    }
}

#[tokio::test]
async fn sigstore_rs_an_ed25519_key_over_a_digest_is_refused_and_no_panic() {
    let key = Key::generate(KeyKind::Ed25519);
    let authorities = [keys("release", &[&key])];
    let answer = asked((SIGNED, &authorities), None, |_, _| {
        let bytes = Image::single().bytes();
        vec![(Signer::key(&key).message_bundle(Version::V03, &bytes), Place::Referrer)]
    })
    .await;
    assert_refused(&answer, "signature-invalid", "an Ed25519 key signs bytes");
}

#[tokio::test]
async fn a_hint_of_a_key_chooses_no_key() {
    // A signer chooses it: with a stranger's, ours is tried all the same, and with ours a stranger's is not trusted.
    let (ours, theirs) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::P256));
    let authorities = [keys("release", &[&ours])];
    for (signs, hinted, admitted) in [(&ours, &theirs, true), (&theirs, &ours, false)] {
        let answer = asked((SIGNED, &authorities), None, |_, digest| {
            let bundle = Signer::key(signs).bundle(Version::V03, &Statement::signature_of(digest));
            let bundle = changed(bundle, |bundle| {
                bundle["verificationMaterial"]["publicKey"] = json!({"hint": hinted.fingerprint()});
            });
            vec![(bundle, Place::Referrer)]
        })
        .await;
        assert_eq!(answer.allowed, admitted, "{}", answer.message);
        if !admitted {
            assert_refused(&answer, "signature-untrusted", "no key that is trusted made it");
        }
    }
}
