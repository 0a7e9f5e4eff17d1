//! That what is made is what it says, by the library that verifies it; the program under test has no part in it.

use sigstore_crypto::{SigningScheme, VerificationKey};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{Bundle, DerPublicKey, Sha256Hash, SignatureBytes};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, Verifier};

use super::*;
use crate::DIGEST;

const ISSUER: &str = "https://issuer.test";
const SUBJECT: &str = "https://ci.test/build@main";
const MANIFEST: &[u8] = b"{\"schemaVersion\": 2}";

fn verifier(sigstore: &PrivateSigstore) -> Verifier {
    let root = TrustedRoot::from_json(&sigstore.trusted_root_json()).expect("the root can be read");
    Verifier::new(&root).expect("and used")
}

fn bundle(layer: &Layer) -> Bundle {
    Bundle::from_json(std::str::from_utf8(&layer.bytes).expect("it is text")).expect("it is a bundle")
}

fn digest() -> Sha256Hash {
    Sha256Hash::from_hex(DIGEST.strip_prefix("sha256:").expect("it is SHA-256")).expect("and hexadecimal")
}

fn keyless() -> VerificationPolicy {
    VerificationPolicy::new(SUBJECT, ISSUER)
}

/// Simple signing as a bundle v0.1, as `examine` makes one of annotations.
fn as_bundle(layer: &Layer) -> Option<Bundle> {
    let log: Value = serde_json::from_str(layer.annotations.get("dev.sigstore.cosign/bundle")?).expect("it is JSON");
    let certificate = &layer.annotations["dev.sigstore.cosign/certificate"];
    let der: String = certificate.lines().filter(|line| !line.starts_with('-')).collect();
    let id = log["Payload"]["logID"].as_str().expect("a text");
    let id: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect();
    let json = json!({
        "mediaType": Version::V01.media_type(),
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": [{"rawBytes": der}]},
            "tlogEntries": [{
                "logIndex": log["Payload"]["logIndex"].to_string(),
                "logId": {"keyId": BASE64_STANDARD.encode(id)},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
                "integratedTime": log["Payload"]["integratedTime"].to_string(),
                "inclusionPromise": {"signedEntryTimestamp": log["SignedEntryTimestamp"]},
                "canonicalizedBody": log["Payload"]["body"],
            }],
        },
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": BASE64_STANDARD.encode(key::sha256(&layer.bytes))},
            "signature": layer.annotations["dev.cosignproject.cosign/signature"],
        },
    });
    Some(Bundle::from_json(&json.to_string()).expect("it is a bundle"))
}

#[test]
fn every_kind_of_key_signs_what_its_scheme_verifies() {
    for kind in KeyKind::ALL {
        let key = Key::generate(kind);
        let spki = DerPublicKey::from_pem(&key.public_pem()).expect("the PEM can be read");
        assert_eq!(spki.as_bytes(), key.spki());
        let scheme = match kind {
            KeyKind::P256 => SigningScheme::EcdsaP256Sha256,
            KeyKind::P384Sha256 => SigningScheme::EcdsaP384Sha256,
            KeyKind::P384Sha384 => SigningScheme::EcdsaP384Sha384,
            KeyKind::RsaPkcs1 => SigningScheme::RsaPkcs1Sha256,
            KeyKind::RsaPss => SigningScheme::RsaPssSha256,
            KeyKind::Ed25519 => SigningScheme::Ed25519,
        };
        let verification = VerificationKey::from_spki_with_scheme(&spki, scheme).expect("the key can be used");
        let layer = Signer::key(&key).simple(&Payload::of(DIGEST, "registry.test/image"));
        let signature = BASE64_STANDARD.decode(&layer.annotations["dev.cosignproject.cosign/signature"]);
        let signature = SignatureBytes::from_bytes(&signature.expect("base64"));
        verification.verify(&layer.bytes, &signature).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        verification.verify(b"another", &signature).expect_err("another payload is not signed");
    }
}

#[test]
fn keyless_bundles_of_every_version_verify() {
    let sigstore = PrivateSigstore::new();
    let signer =
        Signer::keyless(&sigstore, ISSUER, SUBJECT).extension(5, "owner/it").extension(12, "https://ci.test/it");
    for version in Version::ALL {
        let statement = Statement::signature_of(DIGEST);
        let result = verifier(&sigstore).verify(digest(), &bundle(&signer.bundle(version, &statement)), &keyless());
        let result = result.unwrap_or_else(|error| panic!("{version:?}: {error}"));
        assert!(result.sct_verified() && result.tlog_verified() && result.certificate_verified());
        let claims = &result.certificate().expect("it has one").ci_claims;
        assert_eq!(claims.source_repository_uri.as_deref(), Some("https://ci.test/it"));
        assert_eq!(claims.deprecated_github.workflow_repository.as_deref(), Some("owner/it"));
        let message = bundle(&signer.message_bundle(version, MANIFEST));
        verifier(&sigstore)
            .verify(MANIFEST, &message, &keyless())
            .unwrap_or_else(|error| panic!("{version:?}: {error}"));
    }
    let signer = Signer::keyless(&sigstore, ISSUER, "someone@example.test");
    let message = bundle(&signer.message_bundle(Version::V03, MANIFEST));
    let policy = VerificationPolicy::new("someone@example.test", ISSUER);
    verifier(&sigstore).verify(MANIFEST, &message, &policy).expect("a mail address is a subject too");
}

#[test]
fn keyless_simple_signing_verifies() {
    let sigstore = PrivateSigstore::new();
    let layer = Signer::keyless(&sigstore, ISSUER, SUBJECT).simple(&Payload::of(DIGEST, "registry.test/image"));
    let bundle = as_bundle(&layer).expect("it is logged");
    verifier(&sigstore).verify(layer.bytes.as_slice(), &bundle, &keyless()).expect("it verifies");
}

#[test]
fn bundles_of_keys_verify_with_a_log_entry() {
    let sigstore = PrivateSigstore::new();
    for kind in [KeyKind::P256, KeyKind::P384Sha384, KeyKind::RsaPkcs1, KeyKind::Ed25519] {
        let key = Key::generate(kind);
        let signer = Signer::key(&key).logged(&sigstore);
        let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.spki()));
        let statement = Statement::about(DIGEST, "https://slsa.dev/provenance/v1").v01().predicate(json!({"a": 1}));
        for version in Version::ALL {
            let bundle = bundle(&signer.bundle(version, &statement));
            let verified = verifier(&sigstore).verify(digest(), &bundle, &policy);
            verified.unwrap_or_else(|error| panic!("{kind:?} {version:?}: {error}"));
        }
        let message = bundle(&signer.message_bundle(Version::V03, MANIFEST));
        verifier(&sigstore).verify(MANIFEST, &message, &policy).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

#[test]
fn a_timestamp_is_enough_where_no_log_is_asked_for_and_each_wrong_one_is_complained_of() {
    let sigstore = PrivateSigstore::new();
    let signer = Signer::keyless(&sigstore, ISSUER, SUBJECT).stamped(&sigstore);
    let statement = Statement::signature_of(DIGEST);
    let logged = bundle(&signer.bundle(Version::V03, &statement));
    let result = verifier(&sigstore).verify(digest(), &logged, &keyless()).expect("beside a log");
    assert_eq!(result.verified_timestamps().len(), 2);
    let policy = keyless().skip_tlog_unsafe();
    let alone = bundle(&signer.but(Wrong::NotLogged).bundle(Version::V03, &statement));
    verifier(&sigstore).verify(digest(), &alone, &policy).expect("alone");
    for (wrong, words) in Wrong::STAMPS.into_iter().zip([
        "message hash mismatch",
        "TSA timestamp verification failed",
        "certificate chain validation failed",
    ]) {
        let bundle = bundle(&signer.but(wrong).bundle(Version::V03, &statement));
        let error = verifier(&sigstore).verify(digest(), &bundle, &policy).expect_err("it is wrong").to_string();
        assert!(error.contains(words), "{wrong:?}: {error}");
    }
}

/// What the library says of each wrong thing, in a bundle v0.3 and in simple signing; none where it is not wrong there.
fn complaints(wrong: Wrong) -> (Option<&'static str>, Option<&'static str>) {
    let both = |words| (Some(words), Some(words));
    match wrong {
        Wrong::Signature | Wrong::OtherKey => both("signature verification failed"),
        Wrong::OtherAuthority | Wrong::NotForCodeSigning | Wrong::LoggedTooLate | Wrong::LoggedTooEarly => {
            both("certificate chain validation failed")
        }
        Wrong::NoCertificateLog => both("missing SCT extension"),
        Wrong::OtherCertificateLog => both("SCT signature verification failed"),
        Wrong::EntryOfAnotherArtifact => (Some("hash mismatch"), Some("hash mismatch")),
        Wrong::EntryOfAnotherSigner => both("does not match"),
        Wrong::OtherLog => both("No log key valid"),
        Wrong::PromiseOfOtherKey | Wrong::TimeChanged => both("SET verification failed"),
        Wrong::CheckpointOfOtherKey => (Some("No valid Rekor signature"), None),
        Wrong::ProofInvalid => (Some("inclusion proof verification failed"), None),
        Wrong::NoPromise => (Some("No verified timestamp found"), Some("SET verification failed")),
        Wrong::StampOfAnother | Wrong::StampOfOtherAuthority | Wrong::StampedTooLate => panic!("not stamped here"),
        Wrong::NoProof | Wrong::NotLogged => (Some("must have an inclusion proof"), None),
    }
}

#[test]
fn each_wrong_thing_is_the_one_that_the_library_complains_of() {
    let sigstore = PrivateSigstore::new();
    let signer = Signer::keyless(&sigstore, ISSUER, SUBJECT);
    for wrong in Wrong::ALL {
        let (in_bundle, in_annotations) = complaints(wrong);
        let signer = signer.but(wrong);
        let statement = bundle(&signer.bundle(Version::V03, &Statement::signature_of(DIGEST)));
        let message = bundle(&signer.message_bundle(Version::V03, MANIFEST));
        let words = in_bundle.expect("everything is wrong in a bundle");
        for result in [
            verifier(&sigstore).verify(digest(), &statement, &keyless()),
            verifier(&sigstore).verify(MANIFEST, &message, &keyless()),
        ] {
            let error = result.expect_err("it is wrong").to_string();
            assert!(error.contains(words), "{wrong:?}: {error}");
        }
        let layer = signer.simple(&Payload::of(DIGEST, "registry.test/image"));
        let Some(simple) = as_bundle(&layer) else { continue };
        // v0.1 needs no proof, and annotations have none.
        let policy = keyless().skip_tlog_unsafe();
        match (verifier(&sigstore).verify(layer.bytes.as_slice(), &simple, &policy), in_annotations) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{wrong:?}: {error}"),
            (result, words) => panic!("{wrong:?}: {result:?} and not {words:?}"),
        }
    }
}
