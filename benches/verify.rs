//! What it costs to verify a signature that nobody has seen before, JSON included, beside the one operation that no
//! verifier can do without.
//!
//! `cargo bench --bench verify`

#![expect(clippy::print_stdout, reason = "the bench's result")]

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use pratique::evidence::signature::trust::{PUBLIC, Root, Trust};
use pratique::evidence::signature::{Artifact, Signatory, read_public_key, verify_bundle};
use pratique_testkit::measure::{Sample, figure, ratio};

const RUNS: usize = 1_000;

const SUBJECT: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const ARTIFACT: &[u8] = include_bytes!("../tests/fixtures/signatures/sigstore-bundles/a.txt");

macro_rules! suite {
    ($file:literal) => {
        include_str!(concat!("../tests/fixtures/signatures/sigstore-bundles/", $file))
    };
}

fn main() {
    let bare = bare();
    println!("{:<44} {bare}", "one P-256 signature, nothing else");
    let public = Trust::built_in().ok().and_then(|trust| trust.in_force().by_name.get(PUBLIC).cloned());
    let public = public.expect("the built-in root");
    let staging = suite!("rekor2-timestamp-with-embedded-cert/trusted_root.json");
    let staging = Arc::new(Root::from_json(staging).expect("a trusted root"));
    let key = read_public_key(suite!("managed-key-happy-path/key.pub")).expect("a public key");
    let keyless = Signatory::Identity { issuer: ISSUER, subject: SUBJECT };
    // How many signatures each has to verify: its own, the certificate's and its intermediate's, the certificate log's
    // promise, the log's promise and checkpoint, the timestamp's with its chain. P-384 ones cost three to five times.
    let cases = [
        (
            "key, log and timestamp",
            suite!("managed-key-happy-path/bundle.sigstore.json"),
            Signatory::Key(&key),
            &public,
            15.0,
        ),
        ("keyless v0.3, Rekor v1", suite!("happy-path-v0.3/bundle.sigstore.json"), keyless, &public, 15.0),
        (
            "keyless v0.3, Rekor v2 and timestamp",
            suite!("rekor2-timestamp-with-embedded-cert/bundle.sigstore.json"),
            keyless,
            &staging,
            20.0,
        ),
    ];
    let mut met = true;
    for (name, bundle, by, root, limit) in cases {
        let verify = || verify_bundle(bundle.as_bytes(), Artifact::Bytes(ARTIFACT), by, Arc::clone(root));
        assert_eq!(verify(), Ok(()), "{name}");
        let cold = Sample::of(RUNS, || drop(black_box(verify())));
        println!("{name:<44} {cold}");
        met &= figure(&format!("{name} / one P-256 signature"), ratio(cold.p50(), bare.p50()), "x", limit, true);
    }
    assert!(met || !pratique_testkit::measure::asserting(), "a figure was missed");
}

/// One verification of a P-256 signature, as the libraries below do it.
fn bare() -> Sample {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
    let signature = pair.sign(&SystemRandom::new(), ARTIFACT).expect("a signature");
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref().to_vec());
    Sample::of(RUNS, || {
        let _ = black_box(key.verify(ARTIFACT, signature.as_ref()));
    })
}
