//! Throw-away keys of every kind that Cosign signs with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Digest, SHA256, SHA384, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a key is, and how it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    /// P-384 with SHA-256, as `cosign sign --key` does.
    P384Sha256,
    P384Sha384,
    /// 2048 bits, PKCS#1 v1.5 with SHA-256.
    RsaPkcs1,
    /// 2048 bits, PSS with SHA-256.
    RsaPss,
    Ed25519,
}

impl KeyKind {
    pub const ALL: [Self; 6] =
        [Self::P256, Self::P384Sha256, Self::P384Sha384, Self::RsaPkcs1, Self::RsaPss, Self::Ed25519];
}

/// A key pair; a clone is the same key.
#[derive(Clone)]
pub struct Key {
    kind: KeyKind,
    pair: Arc<Pair>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Key {
    /// A new one.
    #[must_use]
    pub fn generate(kind: KeyKind) -> Self {
        let ecdsa = |algorithm| Pair::Ecdsa(EcdsaKeyPair::generate(algorithm).expect("a key can be made"));
        let pair = match kind {
            KeyKind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
            KeyKind::P384Sha256 | KeyKind::P384Sha384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
            KeyKind::RsaPkcs1 | KeyKind::RsaPss => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"))
            }
            KeyKind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().expect("a key can be made")),
        };
        Self { kind, pair: Arc::new(pair) }
    }

    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self.pair.as_ref() {
            Pair::Ecdsa(pair) => pair.public_key().as_der(),
            Pair::Rsa(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        };
        der.expect("a public key can be written").as_ref().to_vec()
    }

    /// `-----BEGIN PUBLIC KEY-----`
    #[must_use]
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// `SHA256:1f3a...`, in full: as Pratique names it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", hex(&sha256(&self.spki())))
    }

    /// Signs bytes as its kind says; ECDSA in ASN.1.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (self.pair.as_ref(), self.kind) {
            (Pair::Ecdsa(pair), KeyKind::P384Sha256) => {
                // ECDSA signs a number; with zeros before it a short hash is the same number as long as a long one.
                let mut long = vec![0; SHA384.output_len() - SHA256.output_len()];
                long.extend(sha256(message));
                let hash = Digest::import_less_safe(&long, &SHA384).expect("it is as long");
                pair.sign_digest(&hash).expect("it can be signed").as_ref().to_vec()
            }
            (Pair::Ecdsa(pair), _) => pair.sign(&random, message).expect("it can be signed").as_ref().to_vec(),
            (Pair::Rsa(pair), kind) => {
                let encoding: &'static dyn RsaEncoding =
                    if kind == KeyKind::RsaPss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).expect("it can be signed");
                signature
            }
            (Pair::Ed25519(pair), _) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The hash that it signs, by the name that bundles use for it; and the message's.
    pub(super) fn hash(&self, message: &[u8]) -> (&'static str, Vec<u8>) {
        match self.kind {
            KeyKind::P384Sha384 => ("SHA2_384", digest(&SHA384, message).as_ref().to_vec()),
            KeyKind::P256 | KeyKind::P384Sha256 | KeyKind::RsaPkcs1 | KeyKind::RsaPss | KeyKind::Ed25519 => {
                ("SHA2_256", sha256(message).to_vec())
            }
        }
    }
}

/// For certificates.
impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        match self.pair.as_ref() {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.kind {
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384Sha256 | KeyKind::P384Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::RsaPkcs1 | KeyKind::RsaPss => &rcgen::PKCS_RSA_SHA256,
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// As RFC 7468 has it: lines of 64.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
