//! A key of a stand-in: ECDSA on P-256 with SHA-256, made for the test.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rcgen::{KeyPair, PublicKeyData};

pub(super) struct Key {
    pair: KeyPair,
    signing: EcdsaKeyPair,
}

impl Key {
    pub(super) fn new() -> Self {
        let pair = KeyPair::generate().expect("a key can be made");
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pair.serialize_der());
        Self { signing: signing.expect("its own key"), pair }
    }

    /// In DER, as ECDSA signatures are sent.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.signing.sign(&SystemRandom::new(), message).expect("our own key signs").as_ref().to_vec()
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }

    pub(super) fn public_pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// `x` and `y`.
    pub(super) fn point(&self) -> (&[u8], &[u8]) {
        let raw = self.pair.public_key_raw();
        raw[1..].split_at(32)
    }

    /// What logs are known by: SHA-256 of the public key.
    pub(super) fn identifier(&self) -> [u8; 32] {
        sha256(&self.pair.subject_public_key_info())
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
