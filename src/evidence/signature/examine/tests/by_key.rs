//! Signatures by keys, in every layout.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
};
use sigstore_types::pae;

use super::*;

pub(super) const HEX: &str = "271e41677dbfdbd010d161a60bdac386093f2c8a392687122c04555e651c7e1d";
const NO_ENTRY: &str = "it has no entry of a transparency log";
/// `openssl dgst -sha256 -sign` of [`statement`] with a P-384 key, as `cosign attest --key` of v2 signs.
const P384: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJlQvSQaOiPnidqgk2G0B9uLib+vQZVzguN5qWlaYXWvs5fu/NTOCtvGhHKggJIj8asPB+kTjqF0rKkYQx77zPEgCedSqI8crxhnEgcD+GiljJhAJXch1X/PmJ88A+WAh";
const P384_SHA256: &str = "MGYCMQDsIr1Y6Ws2hLL19QOCoWKW4+ohNZMejdfCr54TMurTEywKi+c8doNWD2cBSQzwx94CMQDdKRn05ilQ8ykTDUOc3SExWaAp4iZq+tI7s6X3uxucS2xPn14pvFK4IY+OqTHZvFg=";

pub(super) fn statement() -> String {
    format!(
        "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{{\"digest\":{{\"sha256\":\"{HEX}\"}}}}],\
         \"predicateType\":\"https://slsa.dev/provenance/v1\",\"predicate\":{{}}}}"
    )
}

pub(super) fn pem(spki: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki))
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn read(spki: &impl AsDer<PublicKeyX509Der<'static>>) -> PublicKey {
    read_public_key(&pem(spki.as_der().unwrap().as_ref())).unwrap()
}

/// A key of each kind, and how it signs.
fn kinds() -> Vec<(PublicKey, Sign)> {
    let mut kinds: Vec<(PublicKey, Sign)> = Vec::new();
    for algorithm in [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let key = read(pair.public_key());
        kinds.push((key, Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())));
    }
    let encodings: [&'static dyn RsaEncoding; 2] = [&RSA_PKCS1_SHA256, &RSA_PSS_SHA256];
    for encoding in encodings {
        let pair = RsaPair::generate(KeySize::Rsa2048).unwrap();
        let key = read(pair.public_key());
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        kinds.push((key, Box::new(sign)));
    }
    let pair = Ed25519KeyPair::generate().unwrap();
    kinds.push((read(pair.public_key()), Box::new(move |message| pair.sign(message).as_ref().to_vec())));
    kinds
}

fn dsse(payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> Value {
    let payload_type = "application/vnd.in-toto+json";
    let signature = STANDARD.encode(sign(&pae(payload_type, payload.as_bytes())));
    json!({"payloadType": payload_type, "payload": STANDARD.encode(payload), "signatures": [{"sig": signature}]})
}

fn v03(envelope: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "whatever"}},
        "dsseEnvelope": envelope,
    })
}

/// A bundle of a payload by a P-256 key.
pub(super) fn signed(payload: &str) -> (PublicKey, Value) {
    let (key, sign) = kinds().swap_remove(0);
    (key, v03(&dsse(payload, sign)))
}

fn alone(signature: &Signature, key: &PublicKey) {
    assert_eq!(signers(signature), [format!("{} (public)", key.fingerprint)], "{:?}", signature.flaw);
    assert_eq!(signature.proofs[0].logged, Logged::Unproved(NO_ENTRY.into()));
    assert_eq!((signature.proofs[0].made, &signature.flaw), (None, &None));
}

#[test]
fn a_key_of_every_kind_signs_bundles_envelopes_and_payloads_without_log_or_timestamp() {
    let kinds = kinds();
    let all: Vec<_> = kinds.iter().map(|(key, _)| key).collect();
    let payload = json!({"critical": {"type": "cosign container image signature", "image": {"docker-manifest-digest": format!("sha256:{HEX}")}}});
    for (key, sign) in &kinds {
        let envelope = dsse(&statement(), sign);
        let items = [
            bundle(&v03(&envelope)),
            super::envelope(envelope.to_string().as_bytes(), Annotations::default()),
            simple(
                payload.to_string().as_bytes(),
                Annotations {
                    signature: Some(STANDARD.encode(sign(payload.to_string().as_bytes()))),
                    ..Annotations::default()
                },
            ),
        ];
        let others: Vec<_> = all.iter().copied().filter(|other| *other != key).collect();
        for item in items {
            alone(&run(&item, &sha256(HEX), &keys(&all)), key);
            is_flawed(&run(&item, &sha256(HEX), &keys(&others)), FlawKind::OtherKey, "no key that is trusted made it");
            is_flawed(
                &run(&item, &sha256(HEX), &keyless(&[PUBLIC])),
                FlawKind::OtherKey,
                "certificates alone are trusted",
            );
        }
    }
}

#[test]
fn p_384_with_sha_256_is_tried_too() {
    let key = read_public_key(&pem(&STANDARD.decode(P384).unwrap())).unwrap();
    let envelope = dsse(&statement(), |_| STANDARD.decode(P384_SHA256).unwrap());
    alone(&run(&bundle(&v03(&envelope)), &sha256(HEX), &keys(&[&key])), &key);
}

#[test]
fn what_cosign_3_signed_is_a_signature_with_its_annotations() {
    let key = read_public_key(&text("made/cosign-3.1.3-key.pub")).unwrap();
    let signature = run(&bundle(&value("made/cosign-3.1.3-key.sigstore.json")), &sha256(HEX), &keys(&[&key]));
    alone(&signature, &key);
    let annotations = [("env", "prod"), ("who", "me")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(signature.claim, Claim::Image { reference: None, annotations: annotations.into() });
    assert_eq!(signature.layout, Layout::Bundle03);
}

#[test]
fn alice_signed_and_nobody_else() {
    let [alice, bob, charlie] = ["alice", "bob", "charlie"]
        .map(|name| read_public_key(&text(&format!("cosign/legacy/keys/{name}.pub"))).unwrap());
    let image = "071bf7a986f1ca9cb2a1f0bc8392822a7777f90d58f2d2c6f271913e08de7c81";
    let item = simple(
        &fixture("cosign/legacy/blobs/sha256-d8ee807d96efe7441b132967ad94eaffbc0172a763e69f2cd8df8f583f0ba0d4.json"),
        annotations(&format!("cosign/legacy/manifests/sha256-{image}.sig.json")),
    );
    let signature = run(&item, &sha256(image), &keys(&[&alice, &bob, &charlie]));
    alone(&signature, &alice);
    let reference = Some("index.docker.io/securesystemsengineering/testimage".into());
    assert_eq!(signature.claim, Claim::Image { reference, annotations: BTreeMap::new() });
    is_flawed(
        &run(&item, &sha256(image), &keys(&[&bob, &charlie])),
        FlawKind::OtherKey,
        "no key that is trusted made it",
    );
}

#[test]
fn grypes_attestation_verifies_and_the_tampered_one_does_not() {
    let key = read_public_key(&text("cosign/attestations/grype/cosign.pub")).unwrap();
    let digest = sha256("6af1b11bbb17f4c311e269db6530e4da2738262af5fd9064ccdf109b765860fb");
    let item = envelope(&fixture("cosign/attestations/grype/alpine.att.json"), Annotations::default());
    let signature = run(&item, &digest, &keys(&[&key]));
    alone(&signature, &key);
    let Claim::Statement { predicate_type, .. } = &signature.claim else { panic!("{:?}", signature.claim) };
    assert_eq!(&**predicate_type, "https://syft.dev/bom");
    let item = envelope(&fixture("cosign/attestations/grype/alpine-tampered.cdx.att.json"), Annotations::default());
    let signature = run(&item, &digest, &keys(&[&key]));
    is_flawed(&signature, FlawKind::OtherKey, "no key that is trusted made it");
    assert!(matches!(signature.claim, Claim::Unreadable(_)));
}

#[test]
fn a_payload_that_does_not_parse_is_by_somebody_all_the_same() {
    for (payload, words) in [
        ("no JSON".to_owned(), "it is no JSON, or nested too deeply"),
        (statement().replacen('{', "{\"predicateType\":\"x\",", 1), "a field stands twice in its JSON"),
        (statement().replace("Statement/v1", "Statement/v2"), "its statement is not of in-toto's version 0.1 or 1"),
    ] {
        let (key, sealed) = signed(&payload);
        let signature = run(&bundle(&sealed), &sha256(HEX), &keys(&[&key]));
        alone(&signature, &key);
        assert_eq!(signature.claim, Claim::Unreadable(words.into()));
    }
}

#[test]
fn an_ed25519_signature_of_a_digest_cannot_be_verified_and_says_so() {
    let (key, sign) = kinds().pop().unwrap();
    let image = STANDARD.encode(hex_bytes(HEX));
    let message = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {}},
        "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": image}, "signature": STANDARD.encode(sign(b"x"))},
    });
    is_flawed(
        &run(&bundle(&message), &sha256(HEX), &keys(&[&key])),
        FlawKind::Unsupported,
        "an Ed25519 key signs bytes",
    );
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A key's bundle with an entry of the public log.
fn logged() -> (PublicKey, Value, Digest) {
    let key = read_public_key(&text("sigstore-bundles/managed-key-happy-path/key.pub")).unwrap();
    let bundle = value("sigstore-bundles/managed-key-happy-path/bundle.sigstore.json");
    (key, bundle, sha256("a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"))
}

#[test]
fn the_log_proves_a_keys_signature_and_its_time() {
    let (key, sealed, digest) = logged();
    let signature = run(&bundle(&sealed), &digest, &keys(&[&key]));
    assert_eq!(signers(&signature), [format!("{} (public)", key.fingerprint)]);
    assert_eq!(signature.proofs[0].logged, Logged::Proved);
    assert!(signature.proofs[0].made.is_some());
    assert_eq!(signature.claim, Claim::Image { reference: None, annotations: BTreeMap::new() });
}

#[test]
fn a_log_that_does_not_prove_it_takes_nothing_from_the_key() {
    let (key, sealed, digest) = logged();
    let entry = "/verificationMaterial/tlogEntries/0";
    let one = |change: &dyn Fn(&mut Value)| {
        let mut sealed = sealed.clone();
        change(sealed.pointer_mut(entry).unwrap());
        run(&bundle(&sealed), &digest, &keys(&[&key]))
    };
    let flip = |value: &mut Value| {
        let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        *value = STANDARD.encode(bytes).into();
    };
    for (signature, words) in [
        (
            one(&|entry| flip(&mut entry["inclusionPromise"]["signedEntryTimestamp"])),
            "the log's promise (SET) of its entry is not signed by a log of the trusted root \"public\"",
        ),
        (
            one(&|entry| flip(&mut entry["inclusionProof"]["hashes"][0])),
            "its inclusion proof does not lead to the log's tree",
        ),
        (
            one(&|entry| entry["kindVersion"] = json!({"kind": "intoto", "version": "0.0.1"})),
            "its log entry is of the kind intoto 0.0.1, which cannot be verified here; sign it again with a newer cosign",
        ),
        (
            one(&|entry| entry.as_object_mut().unwrap().retain(|name, _| !name.starts_with("inclusion"))),
            "its log entry has neither a promise (SET) of the log nor an inclusion proof",
        ),
        (one(&|entry| entry["logIndex"] = "-1".into()), "its log entry, or the checkpoint in it, cannot be read"),
    ] {
        assert_eq!(signature.proofs.len(), 1, "{:?}", signature.flaw);
        assert_eq!(signature.proofs[0].logged, Logged::Unproved(words.into()));
        assert!(signature.proofs[0].made.is_some(), "its RFC 3161 timestamp still proves when it was made");
    }
}

#[test]
fn each_root_is_asked_of_its_own_log() {
    let (key, sealed, digest) = logged();
    let mut examination = keys(&[&key]);
    examination.keys.extend([(key.clone(), "private".into()), (key.clone(), "gone".into())]);
    let signature = run(&bundle(&sealed), &digest, &examination);
    let proved: Vec<_> = signature.proofs.iter().map(|proof| (&*proof.root, proof.logged == Logged::Proved)).collect();
    assert_eq!(proved, [("gone", false), ("private", false), (PUBLIC, true)]);
}

#[test]
fn an_entry_of_another_signature_proves_nothing_cve_2022_36056() {
    let (_, other, _) = logged();
    let (key, mut sealed) = signed(&statement());
    sealed["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    let signature = run(&bundle(&sealed), &sha256(HEX), &keys(&[&key]));
    assert_eq!(signature.proofs.len(), 1);
    let words = "its content or its log entry is of a kind that cannot be verified here";
    assert_eq!(signature.proofs[0].logged, Logged::Unproved(words.into()));
    let (key, message, digest) = logged();
    let mut message = message;
    message["verificationMaterial"]["tlogEntries"] =
        value("cosign/bundles/cosign-v3-blob.sigstore.json")["verificationMaterial"]["tlogEntries"].clone();
    let signature = run(&bundle(&message), &digest, &keys(&[&key]));
    assert_eq!(signature.proofs[0].logged, Logged::Unproved("its log entry is one of something else".into()));
}

#[test]
fn a_bundle_is_not_verified_by_what_its_hint_says() {
    let (key, mut sealed) = signed(&statement());
    sealed["verificationMaterial"]["publicKey"]["hint"] = STANDARD.encode(key.fingerprint.0).into();
    let other = kinds().swap_remove(1).0;
    is_flawed(
        &run(&bundle(&sealed), &sha256(HEX), &keys(&[&other])),
        FlawKind::OtherKey,
        "no key that is trusted made it",
    );
}
