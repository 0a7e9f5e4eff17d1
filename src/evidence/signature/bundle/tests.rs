//! Bundles that differ in one thing from a good one.

use serde_json::json;

use super::*;

fn good() -> Value {
    serde_json::from_str(include_str!(
        "../../../../tests/fixtures/signatures/sigstore-bundles/happy-path-v0.1/bundle.sigstore.json"
    ))
    .unwrap()
}

fn refused(change: impl Fn(&mut Value)) -> (FlawKind, String) {
    let mut bundle = good();
    change(&mut bundle);
    let (_, flaw) = read(bundle.to_string().as_bytes()).unwrap_err();
    (flaw.kind, flaw.words.to_string())
}

fn is((found, found_words): (FlawKind, String), kind: FlawKind, words: &str) {
    assert_eq!((found, found_words), (kind, words.to_owned()));
}

#[test]
fn the_media_type_is_the_layout() {
    for (media_type, layout) in [
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", Layout::Bundle01),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", Layout::Bundle02),
        ("application/vnd.dev.sigstore.bundle+json;version=0.3", Layout::Bundle03),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", Layout::Bundle03),
    ] {
        let mut bundle = good();
        bundle["mediaType"] = media_type.into();
        assert_eq!(read(bundle.to_string().as_bytes()).unwrap().0, layout);
    }
    let words = "it is no Sigstore bundle of version 0.1, 0.2 or 0.3";
    is(
        refused(|bundle| bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json".into()),
        FlawKind::Malformed,
        words,
    );
    is(refused(|bundle| drop(bundle.as_object_mut().unwrap().remove("mediaType"))), FlawKind::Malformed, words);
}

#[test]
fn counts_are_bounded_before_anything_is_verified() {
    let many = |pointer: &'static str, count: usize| {
        move |bundle: &mut Value| {
            let list = bundle.pointer_mut(pointer).unwrap().as_array_mut().unwrap();
            *list = vec![list[0].clone(); count];
        }
    };
    let entries = "/verificationMaterial/tlogEntries";
    is(refused(many(entries, 33)), FlawKind::BeyondBounds, "it has more than 32 log entries");
    let certificates = "/verificationMaterial/x509CertificateChain/certificates";
    is(refused(many(certificates, 11)), FlawKind::BeyondBounds, "it has more than 10 certificates");
    let stamps = |bundle: &mut Value| {
        let stamps = vec![json!({"signedTimestamp": ""}); 33];
        bundle["verificationMaterial"]["timestampVerificationData"] = json!({"rfc3161Timestamps": stamps});
    };
    is(refused(stamps), FlawKind::BeyondBounds, "it has more than 32 timestamps");
}

#[test]
fn of_two_contents_or_two_materials_none_is_chosen() {
    let words = "its bundle names neither a certificate nor a key, or both";
    is(refused(|bundle| bundle["verificationMaterial"]["publicKey"] = json!({"hint": ""})), FlawKind::Malformed, words);
    let none = |bundle: &mut Value| {
        drop(bundle["verificationMaterial"].as_object_mut().unwrap().remove("x509CertificateChain"));
    };
    is(refused(none), FlawKind::Malformed, words);
    let two = |bundle: &mut Value| {
        bundle["dsseEnvelope"] = json!({"payloadType": "", "payload": "", "signatures": [{"sig": ""}]});
    };
    is(refused(two), FlawKind::Malformed, "its bundle has no signature, or two");
    let twice = good().to_string().replacen('{', "{\"messageSignature\":{},", 1);
    let (_, flaw) = read(twice.as_bytes()).unwrap_err();
    assert_eq!(&*flaw.words, "a field stands twice in its JSON");
}

#[test]
fn an_envelope_has_exactly_one_signature() {
    let with = |count: usize| {
        move |bundle: &mut Value| {
            bundle.as_object_mut().unwrap().remove("messageSignature");
            let signatures = vec![json!({"sig": "AAAA"}); count];
            bundle["dsseEnvelope"] = json!({"payloadType": "x", "payload": "", "signatures": signatures});
        }
    };
    let words = "its envelope has several signatures, and exactly one can be verified";
    is(refused(with(2)), FlawKind::Unsupported, words);
    is(refused(with(0)), FlawKind::Malformed, "its bundle has no signature");
}

#[test]
fn an_entry_that_cannot_be_verified_is_taken_out_and_remembered() {
    for (pointer, value, kind, words) in [
        (
            "/kindVersion",
            json!({"kind": "intoto", "version": "0.0.1"}),
            FlawKind::Unsupported,
            "its log entry is of the kind intoto 0.0.1, which cannot be verified here; sign it again with a newer cosign",
        ),
        ("/kindVersion", json!({}), FlawKind::NotLogged, "its log entry does not say of which kind it is"),
        ("/logIndex", json!("-1"), FlawKind::NotLogged, "its log entry, or the checkpoint in it, cannot be read"),
        (
            "/inclusionProof/checkpoint/envelope",
            json!("x"),
            FlawKind::NotLogged,
            "its log entry, or the checkpoint in it, cannot be read",
        ),
    ] {
        let mut bundle = good();
        *bundle.pointer_mut(&format!("/verificationMaterial/tlogEntries/0{pointer}")).unwrap() = value;
        let (_, sealed) = read(bundle.to_string().as_bytes()).unwrap();
        assert!(sealed.bundle.verification_material.tlog_entries.is_empty());
        is(sealed.unverifiable.map(|flaw| (flaw.kind, flaw.words.to_string())).unwrap(), kind, words);
    }
}
