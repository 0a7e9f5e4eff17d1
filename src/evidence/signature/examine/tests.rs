//! What real signers left in registries, and what differs from it in one thing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::fact::attached::{Layout, Logged, PublicKey, Signer};

use super::super::find::Annotations;
use super::super::key::read_public_key;
use super::super::trust::{PUBLIC, Root, Trust};
use super::*;

mod by_certificate;
mod by_key;
mod conformance;
mod hostile;
mod reports;

fn fixture(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: &str) -> String {
    String::from_utf8(fixture(path)).unwrap()
}

fn value(path: &str) -> Value {
    serde_json::from_slice(&fixture(path)).unwrap()
}

fn sha256(hex: &str) -> Digest {
    Digest::parse(&format!("sha256:{hex}")).unwrap()
}

/// The built-in root as `public`, and another one as `private`.
fn roots() -> Roots {
    let public = Trust::built_in().unwrap().in_force().by_name[PUBLIC].clone();
    let private = Root::from_json(&text("sigstore-bundles/sigstore-go/scaffolding-trusted-root.json")).unwrap();
    Roots { by_name: BTreeMap::from([(PUBLIC.into(), public), ("private".into(), Arc::new(private))]), generation: 0 }
}

fn keyless(roots: &[&str]) -> Examination {
    Examination {
        signatures: true,
        roots: roots.iter().map(|root| Arc::from(*root)).collect(),
        ..Examination::default()
    }
}

fn keys(keys: &[&PublicKey]) -> Examination {
    let keys = keys.iter().map(|key| ((*key).clone(), Arc::from(PUBLIC))).collect();
    Examination { signatures: true, keys, ..Examination::default() }
}

fn item(layout: Layout, material: Material) -> Item {
    Item { layout, material }
}

fn bundle(value: &Value) -> Item {
    item(Layout::Unknown, Material::Bundle(value.to_string().into_bytes().into()))
}

/// The first layer of a manifest that Cosign wrote.
fn annotations(manifest: &str) -> Annotations {
    let manifest = value(manifest);
    let text = |name: &str| manifest["layers"][0]["annotations"][name].as_str().map(str::to_owned);
    Annotations {
        signature: text("dev.cosignproject.cosign/signature"),
        certificate: text("dev.sigstore.cosign/certificate"),
        chain: text("dev.sigstore.cosign/chain"),
        log: text("dev.sigstore.cosign/bundle"),
        timestamp: text("dev.sigstore.cosign/rfc3161timestamp"),
    }
}

fn simple(payload: &[u8], annotations: Annotations) -> Item {
    item(Layout::SignatureTag, Material::Simple { payload: payload.into(), annotations })
}

fn envelope(envelope: &[u8], annotations: Annotations) -> Item {
    item(Layout::AttestationTag, Material::Envelope { envelope: envelope.into(), annotations })
}

fn run(item: &Item, digest: &Digest, examination: &Examination) -> Signature {
    examine(item, digest, examination, &roots())
}

/// Who made it, as words.
fn signers(signature: &Signature) -> Vec<String> {
    let signer = |proof: &Proof| match &proof.signer {
        Signer::Key(fingerprint) => format!("{fingerprint} ({})", proof.root),
        Signer::Identity(identity) => format!("{} {} ({})", identity.issuer, identity.subject, proof.root),
    };
    signature.proofs.iter().map(signer).collect()
}

fn flawed(signature: &Signature) -> (FlawKind, String) {
    assert_eq!(signature.proofs, Vec::new());
    let flaw = signature.flaw.as_ref().expect("a flaw where there is no proof");
    (flaw.kind, flaw.words.to_string())
}

fn is_flawed(signature: &Signature, kind: FlawKind, words: &str) {
    let found = flawed(signature);
    assert!(found.0 == kind && found.1.contains(words), "{found:?}");
}
