//! Payloads of simple signing, and annotations, that differ in one thing from good ones.

use serde_json::json;

use super::*;

const HEX: &str = "31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee";

fn digest() -> Digest {
    Digest::parse(&format!("sha256:{HEX}")).unwrap()
}

fn payload() -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": "ghcr.io/acme/shop"},
            "image": {"docker-manifest-digest": format!("sha256:{HEX}")},
            "type": TYPE,
        },
        "optional": {"env": "prod", "n": 1, "x": null},
    })
}

fn with(pointer: &str, value: Value) -> Claim {
    let mut payload = payload();
    *payload.pointer_mut(pointer).unwrap() = value;
    claim(payload.to_string().as_bytes(), &digest())
}

fn unreadable(words: &str) -> Claim {
    Claim::Unreadable(words.into())
}

#[test]
fn the_payload_names_image_reference_and_annotations() {
    let annotations =
        [("env", "prod"), ("n", "1"), ("x", "null")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let expected = Claim::Image { reference: Some("ghcr.io/acme/shop".into()), annotations: annotations.into() };
    assert_eq!(claim(payload().to_string().as_bytes(), &digest()), expected);
    let bare = Claim::Image { reference: Some("ghcr.io/acme/shop".into()), annotations: BTreeMap::new() };
    assert_eq!(with("/optional", Value::Null), bare);
    assert!(matches!(with("/critical/identity", Value::Null), Claim::Image { reference: None, .. }));
}

#[test]
fn a_payload_of_another_image_is_one_of_elsewhere() {
    for (named, names) in [
        (format!("sha256:{}", HEX.replace("31dc", "31dd")), "sha256:31dd72a13a0c"),
        (format!("sha256:{}", HEX.to_uppercase()), &*format!("sha256:{}...", &HEX.to_uppercase()[..57])),
        (HEX.to_owned(), HEX),
        ("\u{1b}]0;".to_owned(), "\\u{1b}]0;"),
    ] {
        let elsewhere = Claim::Elsewhere { predicate_type: None, names: names.into() };
        assert_eq!(with("/critical/image/docker-manifest-digest", named.into()), elsewhere);
    }
}

#[test]
fn a_payload_that_is_not_simple_signing_is_unreadable() {
    let kind = "its payload is not of the type \"cosign container image signature\"";
    for (found, words) in [
        (with("/critical/type", "atomic container signature".into()), kind),
        (with("/critical/type", json!([TYPE])), kind),
        (with("/critical", Value::Null), kind),
        (with("/critical/image", Value::Null), "its payload names no digest"),
        (with("/critical/identity/docker-reference", 1.into()), "the docker-reference in its payload is no text"),
        (with("/optional", json!([])), "the annotations in its payload are no object"),
    ] {
        assert_eq!(found, unreadable(words));
    }
    let twice = payload().to_string().replacen('{', "{\"optional\":{},", 1);
    assert_eq!(claim(twice.as_bytes(), &digest()), unreadable("a field stands twice in its JSON"));
    assert_eq!(claim(b"", &digest()), unreadable("it is no JSON, or nested too deeply"));
}

fn annotations() -> Annotations {
    let manifest = include_str!(
        "../../../../tests/fixtures/signatures/cosign/legacy/manifests/sha256-31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee.sig.json"
    );
    let manifest: Value = serde_json::from_str(manifest).unwrap();
    let text = |name: &str| manifest["layers"][0]["annotations"][name].as_str().map(str::to_owned);
    Annotations {
        signature: text("dev.cosignproject.cosign/signature"),
        certificate: text("dev.sigstore.cosign/certificate"),
        chain: text("dev.sigstore.cosign/chain"),
        log: text("dev.sigstore.cosign/bundle"),
        timestamp: None,
    }
}

#[test]
fn annotations_become_a_bundle_without_the_root() {
    let sealed = simple(&annotations()).unwrap();
    assert_eq!(sealed.bundle.media_type(), sigstore_types::MediaType::Bundle0_1);
    assert_eq!(sealed.bundle.verification_material.tlog_entries.len(), 1);
    assert!(sealed.unverifiable.is_none() && sealed.keys_too && sealed.has_certificate_material());
    let sigstore_types::bundle::VerificationMaterialContent::X509CertificateChain { certificates } =
        &sealed.bundle.verification_material.content
    else {
        panic!("a chain")
    };
    assert_eq!(certificates.len(), 2, "leaf and intermediate");
}

#[test]
fn annotations_that_cannot_be_read_are_flaws() {
    let certificate = "its certificate cannot be read";
    let stamp = "its RFC 3161 timestamp cannot be read";
    let changed = |change: fn(&mut Annotations)| {
        let mut annotations = annotations();
        change(&mut annotations);
        let flaw = simple(&annotations).unwrap_err();
        (flaw.kind, flaw.words.to_string())
    };
    for (found, (kind, words)) in [
        (changed(|a| a.signature = None), (FlawKind::Malformed, "its layer has no signature annotation")),
        (
            changed(|a| a.signature = Some(String::new())),
            (FlawKind::Malformed, "its layer has no signature annotation"),
        ),
        (changed(|a| a.signature = Some("-".to_owned())), (FlawKind::Malformed, "its signature is no base64")),
        (changed(|a| a.certificate = Some(String::new())), (FlawKind::CertificateUntrusted, certificate)),
        (
            changed(|a| a.certificate = a.certificate.as_ref().map(|pem| pem.repeat(2))),
            (FlawKind::CertificateUntrusted, certificate),
        ),
        (
            changed(|a| a.certificate = a.certificate.as_ref().map(|pem| pem.replace("CERTIFICATE", "PUBLIC KEY"))),
            (FlawKind::CertificateUntrusted, certificate),
        ),
        (
            changed(|a| a.chain = a.chain.as_ref().map(|pem| pem.repeat(6))),
            (FlawKind::CertificateUntrusted, certificate),
        ),
        (changed(|a| a.timestamp = Some("{}".to_owned())), (FlawKind::TimeUnproved, stamp)),
        (
            changed(|a| a.timestamp = Some(r#"{"SignedRFC3161Timestamp":"-"}"#.to_owned())),
            (FlawKind::TimeUnproved, stamp),
        ),
    ] {
        assert_eq!((found.0, found.1.as_str()), (kind, words));
    }
}

#[test]
fn a_log_annotation_that_cannot_be_read_is_never_as_if_there_were_none() {
    let log = annotations().log.unwrap();
    let intoto = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"intoto"}"#);
    let unknown = format!(
        r#"{{"SignedEntryTimestamp":"","Payload":{{"body":"{intoto}","integratedTime":1,"logIndex":1,"logID":"c0"}}}}"#
    );
    for (log, kind) in [
        (String::new(), FlawKind::NotLogged),
        (log.replace("\"body\"", "\"corpus\""), FlawKind::NotLogged),
        (log.replace("98235800", "-1"), FlawKind::NotLogged),
        (log.replace("98235800", "98235800,\"logIndex\":1"), FlawKind::NotLogged),
        (log.replace("c0d23d", "zzd23d"), FlawKind::NotLogged),
        (log.replace("1717082297", "99999999999999"), FlawKind::NotLogged),
        (unknown, FlawKind::Unsupported),
    ] {
        let sealed = simple(&Annotations { log: Some(log), ..annotations() }).unwrap();
        assert_eq!(sealed.unverifiable.unwrap().kind, kind);
        assert!(sealed.bundle.verification_material.tlog_entries.is_empty());
    }
}
