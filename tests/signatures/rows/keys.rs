//! Keys of each type, signed by cosign, or by hand and attached by cosign.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pratique_testkit::run_with_input;

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{ED25519, P384, RSA_2048, RSA_4096};

pub(super) fn rows() -> Vec<Row> {
    const SHA_384: &str = "cosign signs P-384 with SHA-384 and verifies with SHA-256, unless it is told";
    let mut rows = Vec::new();
    for (how, layout) in [(How::Bundle, "bundle-v0.3"), (How::Tag, "sig-tag")] {
        for key in [RSA_2048, RSA_4096] {
            let write = move |scene: &mut Scene<'_>| scene.sign(Who::Key(key), how, &[]);
            rows.push(Row::yes("signed", Ask::signature(Who::Key(key), how), layout, write));
        }
        let ask = Ask::signature(Who::Key(P384), how);
        let write = move |scene: &mut Scene<'_>| scene.sign(Who::Key(P384), how, &[]);
        rows.push(Row::yes("signed", Ask { hash: Some("sha384"), ..ask }, layout, write));
        rows.push(Row::no("signed", ask, "", write).but(Said::Admitted(layout), SHA_384));
    }
    // What cosign writes with this key, nobody verifies: neither Ed25519 nor Ed25519ph of the payload.
    let write = |scene: &mut Scene<'_>| scene.sign(Who::Key(ED25519), How::Tag, &[]);
    let ask = Ask::signature(Who::Key(ED25519), How::Tag);
    rows.push(Row::no("signed by cosign with a key that it cannot use", ask, "signature-untrusted", write));
    rows.extend(attached());
    rows
}

fn attached() -> Vec<Row> {
    const PSS: &str = "cosign verifies RSA with PKCS #1 v1.5 alone";
    let row = |key, sign: fn(&Scene<'_>, &[u8]) -> Vec<u8>| {
        let write = move |scene: &mut Scene<'_>| attach(scene, sign);
        Row::yes("signed by hand", Ask::signature(Who::Key(key), How::Tag), "sig-tag", write)
    };
    let mut pss =
        row(RSA_2048, |scene, payload| rsa(scene, &RSA_PSS_SHA256, payload)).but(Said::Admitted("sig-tag"), PSS);
    pss.cosign_says(Some(false));
    vec![
        row(ED25519, |scene, payload| {
            Ed25519KeyPair::from_pkcs8(&private_key(scene, ED25519)).expect("its key").sign(payload).as_ref().to_vec()
        }),
        row(P384, with_sha256),
        row(RSA_2048, |scene, payload| rsa(scene, &RSA_PKCS1_SHA256, payload)),
        pss,
    ]
}

/// Signs the payload that cosign generates, and has cosign attach it.
fn attach(scene: &Scene<'_>, sign: fn(&Scene<'_>, &[u8]) -> Vec<u8>) {
    let cosign = &scene.world.cosign;
    let payload = cosign.succeeds(&["generate", &scene.image()], &[]);
    let signature = sign(scene, payload.as_bytes());
    let name = scene.row();
    let files = [format!("{name}.payload"), format!("{name}.signature")];
    cosign.write(&files[0], &payload);
    cosign.write(&files[1], &STANDARD.encode(signature));
    let [payload, signature] = files.map(|file| cosign.file(&file));
    let command = ["attach", "signature", "--payload", &payload, "--signature", &signature, &scene.image()];
    cosign.succeeds(&command, &[]);
}

/// In DER (PKCS #8).
fn private_key(scene: &Scene<'_>, key: &str) -> Vec<u8> {
    let pem = std::fs::read_to_string(scene.world.key_file(key, "pem")).expect("an imported key has it");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).expect("it is in base64")
}

fn rsa(scene: &Scene<'_>, encoding: &'static dyn RsaEncoding, payload: &[u8]) -> Vec<u8> {
    let key = RsaKeyPair::from_pkcs8(&private_key(scene, RSA_2048)).expect("its key");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), payload, &mut signature).expect("it signs");
    signature
}

/// P-384 with SHA-256, as cosign before its third version signed.
fn with_sha256(scene: &Scene<'_>, payload: &[u8]) -> Vec<u8> {
    let key = scene.world.key_file(P384, "pem");
    let text = std::str::from_utf8(payload).expect("a payload is JSON");
    let command = ["dgst", "-sha256", "-sign", &key, "-hex"];
    let outcome = run_with_input("openssl", &command, text);
    let hex = outcome.stdout.rsplit(' ').next().unwrap_or_default().trim().to_owned();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16);
    (0..hex.len()).step_by(2).map(byte).collect::<Result<_, _>>().unwrap_or_else(|_| panic!("openssl: {outcome:?}"))
}
