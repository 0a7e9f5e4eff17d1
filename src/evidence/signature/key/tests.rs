//! Keys of every kind, made here, and signatures of every scheme.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{
    self as made, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sigstore_types::HashAlgorithm;

use super::super::examine::hashed;
use super::*;

const P384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEJlQvSQaOiPnidqgk2G0B9uLib+vQZVzg
uN5qWlaYXWvs5fu/NTOCtvGhHKggJIj8asPB+kTjqF0rKkYQx77zPEgCedSqI8cr
xhnEgcD+GiljJhAJXch1X/PmJ88A+WAh
-----END PUBLIC KEY-----
";
const P384_SHA256: &str = "MGQCME7eEeVeDz3iy2vQuNZUBq7yyCFMh0/HsID6zeq24AkJwPWMyp7soW6qvJPBH9yH1gIwewrmqvWIH+tvBF6QUfsOdSxZV+9Hq71yH3qM7FkP+NxzUalg0wmR81rgin/CVLzR";

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn public(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::generate(algorithm).unwrap()
}

fn read(spki: &[u8]) -> Result<PublicKey, String> {
    read_public_key(&pem("PUBLIC KEY", spki))
}

/// DER of an `RSAPublicKey` with a modulus of so many bits.
fn rsa_of(bits: usize) -> Vec<u8> {
    let modulus = [&[0, 0x80][..], &vec![0x11; bits / 8 - 1]].concat();
    tagged(0x30, &[tagged(2, &modulus), tagged(2, &[1, 0, 1])].concat())
}

#[test]
fn the_fingerprint_is_that_of_the_subject_public_key_info() {
    for (file, fingerprint) in [
        (
            include_str!("../../../../tests/fixtures/signatures/cosign/legacy/keys/alice.pub"),
            "32b0bd6e29fb7d0d6a3ca9cda2fc71636b1bd40a91b503f9a1bd698803b34f56",
        ),
        (
            include_str!("../../../../tests/fixtures/signatures/cosign/legacy/keys/bob.pub"),
            "6127c492d8950ecd1917d712ab5d560c9e293f0b2117d3ee57ba84fc3cb31460",
        ),
        (
            include_str!("../../../../tests/fixtures/signatures/cosign/legacy/keys/charlie.pub"),
            "eb1de821fbb1deea55e8b462bae2531ee943bf7758606216133eb5d4f9e74abc",
        ),
        (
            include_str!("../../../../tests/fixtures/signatures/cosign/legacy/keys/default.pub"),
            "2b66d837d76310ebc9963a9eed03a7106b085797949d4865f4244da75828eb2d",
        ),
        (
            include_str!("../../../../tests/fixtures/signatures/cosign/keys/release-cosign.pub"),
            "adb808ab071482427b7a135b99f640580553757c46454b49d6daf227c19aef8f",
        ),
    ] {
        assert_eq!(read_public_key(file).unwrap().fingerprint.to_string(), format!("SHA256:{fingerprint}"));
    }
}

#[test]
fn a_key_of_every_kind_is_read_and_verifies_every_scheme_of_its_kind() {
    let random = SystemRandom::new();
    let message = b"what is signed";
    let mut seen = Vec::new();
    let mut check = |spki: &[u8], signature: &[u8], scheme: SigningScheme| {
        let key = read(spki).unwrap();
        let signature = SignatureBytes::from_bytes(signature);
        assert_eq!(verify(&key.spki, &Over::Bytes(message), &signature), Some(scheme));
        assert_eq!(verify(&key.spki, &Over::Bytes(b"what is not"), &signature), None, "{scheme:?}");
        let digest =
            |algorithm| Over::Digest(ArtifactDigest::new(algorithm, hashed(algorithm, message).unwrap()).unwrap());
        match scheme.hash_algorithm() {
            Some(algorithm) => {
                assert_eq!(verify(&key.spki, &digest(algorithm), &signature), Some(scheme));
                let wrong =
                    if algorithm == HashAlgorithm::Sha2256 { HashAlgorithm::Sha2384 } else { HashAlgorithm::Sha2256 };
                assert_eq!(verify(&key.spki, &digest(wrong), &signature), None);
                assert!(works_on_digests(&key.spki));
            }
            None => {
                assert_eq!(verify(&key.spki, &digest(HashAlgorithm::Sha2256), &signature), None);
                assert!(!works_on_digests(&key.spki));
            }
        }
        let mut broken = signature.as_bytes().to_vec();
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(verify(&key.spki, &Over::Bytes(message), &SignatureBytes::new(broken)), None);
        seen.push((key, signature));
    };
    for (algorithm, scheme) in [
        (&ECDSA_P256_SHA256_ASN1_SIGNING, SigningScheme::EcdsaP256Sha256),
        (&ECDSA_P384_SHA384_ASN1_SIGNING, SigningScheme::EcdsaP384Sha384),
    ] {
        let key = ecdsa(algorithm);
        check(&public(key.public_key()), key.sign(&random, message).unwrap().as_ref(), scheme);
    }
    // Ours signs with the curve's own hash alone; this is `openssl dgst -sha256 -sign`.
    let key = read_public_key(P384).unwrap();
    check(&key.spki, &STANDARD.decode(P384_SHA256).unwrap(), SigningScheme::EcdsaP384Sha256);
    let key = Ed25519KeyPair::generate().unwrap();
    check(&public(key.public_key()), key.sign(message).as_ref(), SigningScheme::Ed25519);
    let schemes: [(&dyn made::RsaEncoding, SigningScheme); 6] = [
        (&made::RSA_PKCS1_SHA256, SigningScheme::RsaPkcs1Sha256),
        (&made::RSA_PKCS1_SHA384, SigningScheme::RsaPkcs1Sha384),
        (&made::RSA_PKCS1_SHA512, SigningScheme::RsaPkcs1Sha512),
        (&made::RSA_PSS_SHA256, SigningScheme::RsaPssSha256),
        (&made::RSA_PSS_SHA384, SigningScheme::RsaPssSha384),
        (&made::RSA_PSS_SHA512, SigningScheme::RsaPssSha512),
    ];
    for size in [KeySize::Rsa2048, KeySize::Rsa3072] {
        let key = RsaPair::generate(size).unwrap();
        for (encoding, scheme) in schemes {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(encoding, &random, message, &mut signature).unwrap();
            check(&public(key.public_key()), &signature, scheme);
        }
    }
    for (at, (key, _)) in seen.iter().enumerate() {
        for (other, signature) in &seen {
            let same = key.fingerprint == other.fingerprint;
            assert_eq!(verify(&key.spki, &Over::Bytes(message), signature).is_some(), same, "key {at}");
        }
    }
}

#[test]
fn a_bare_rsa_key_is_the_same_key() {
    let key = RsaPair::generate(KeySize::Rsa2048).unwrap();
    let bare = read_public_key(&pem("RSA PUBLIC KEY", key.public_key().as_ref())).unwrap();
    assert_eq!(bare, read(&public(key.public_key())).unwrap());
}

#[test]
fn a_key_that_cannot_be_verified_with_is_refused_with_the_reason() {
    let p521 = ecdsa(&ECDSA_P521_SHA512_ASN1_SIGNING);
    let kinds = "the public key is of a kind that cannot be verified with: use P-256, P-384, RSA of 2048 to 4096 bits, or Ed25519";
    assert_eq!(read(&public(p521.public_key())), Err(kinds.to_owned()));
    for (bits, words) in [
        (1024, "the RSA key has 1024 bits: use one of 2048 to 4096"),
        (2040, "the RSA key has 2040 bits: use one of 2048 to 4096"),
        (4104, "the RSA key has 4104 bits: use one of 2048 to 4096"),
    ] {
        assert_eq!(read(&from_pkcs1(&rsa_of(bits))), Err(words.to_owned()));
    }
    assert!(read(&from_pkcs1(&rsa_of(2048))).is_ok());
    assert!(read(&from_pkcs1(&rsa_of(4096))).is_ok());
    let good = public(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING).public_key());
    let at = good.len() - 65;
    let mut off = good.clone();
    off[at + 40] ^= 1;
    assert_eq!(read(&off), Err("the public key is no point of its curve: export it again".to_owned()));
    let mut compressed = good.clone();
    compressed[at] = 2;
    assert_eq!(read(&compressed), Err("the public key's point is compressed: export it uncompressed".to_owned()));
    let longer = [&good[..], &[0]].concat();
    assert_eq!(read(&longer), Err("the public key cannot be read: export it again".to_owned()));
}

#[test]
fn exactly_one_public_key_is_read_and_nothing_is_quoted() {
    let good = pem("PUBLIC KEY", &public(ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING).public_key()));
    assert!(read_public_key(&format!("\n{good}\n")).is_ok());
    for (text, words) in [
        (
            good.replace("PUBLIC", "PRIVATE"),
            "this is a private key: give the public key, and keep this one where nobody reads it",
        ),
        (
            good.replace("PUBLIC", "ENCRYPTED SIGSTORE PRIVATE"),
            "this is a private key: give the public key, and keep this one where nobody reads it",
        ),
        (
            good.repeat(2),
            "there is more than one key in the PEM text: give exactly one, and list several keys one by one",
        ),
        (String::new(), "there is no key in the PEM text: give exactly one, and list several keys one by one"),
        (good.replace("PUBLIC KEY", "CERTIFICATE"), "this is a certificate: give the public key in it"),
        (good.replace("PUBLIC KEY", "EC PARAMETERS"), "the PEM block is no public key: give a \"PUBLIC KEY\" block"),
        (
            format!("secret {good}"),
            "this is no PEM text: give one \"-----BEGIN PUBLIC KEY-----\" block and nothing else",
        ),
        (
            good.replace("MF", "M-"),
            "this is no PEM text: give one \"-----BEGIN PUBLIC KEY-----\" block and nothing else",
        ),
        (good.repeat(3), "this is no PEM text: give one \"-----BEGIN PUBLIC KEY-----\" block and nothing else"),
    ] {
        assert_eq!(read_public_key(&text).unwrap_err(), words);
    }
}
