//! Public keys: P-256, P-384, RSA of 2048 to 4096 bits, Ed25519; and whether one of them made a signature.
//!
//! A key is read once, here, when a policy is loaded: what [`read_public_key`] lets through can be verified with. Which
//! hash a signature was made with is nowhere written in Cosign's layouts, so all that the kind of key can have are tried.

use aws_lc_rs::digest as hash;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ParsedPublicKey};
use sigstore_crypto::{KeyAlgorithm, SigningScheme, VerificationKey};
use sigstore_types::{ArtifactDigest, DerPublicKey, SignatureBytes};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::fact::attached::{Fingerprint, PublicKey};

pub(super) mod pem;
#[cfg(test)]
mod tests;

/// Below, a key can be broken; above, verifying one costs more than a review may take, and no signer makes any.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// What is signed: bytes, or bytes of which only the digest is known.
#[derive(Debug, Clone)]
pub(super) enum Over<'a> {
    Bytes(&'a [u8]),
    Digest(ArtifactDigest),
}

/// Reads one `PUBLIC KEY` block; the error is a clause that tells what is wrong with it, and never quotes it.
pub fn read_public_key(pem: &str) -> Result<PublicKey, String> {
    let spki = spki(pem)?;
    accept(&spki)?;
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hash::digest(&hash::SHA256, &spki).as_ref());
    Ok(PublicKey { fingerprint: Fingerprint(fingerprint), spki: spki.into() })
}

fn spki(pem: &str) -> Result<Vec<u8>, String> {
    if pem.contains("PRIVATE KEY-----") {
        return Err("this is a private key: give the public key, and keep this one where nobody reads it".to_owned());
    }
    let blocks = pem::blocks(pem, 2).ok_or_else(|| {
        "this is no PEM text: give one \"-----BEGIN PUBLIC KEY-----\" block and nothing else".to_owned()
    })?;
    let [block] = <[pem::Block; 1]>::try_from(blocks).map_err(|blocks| {
        let found = if blocks.is_empty() { "no key" } else { "more than one key" };
        format!("there is {found} in the PEM text: give exactly one, and list several keys one by one")
    })?;
    match block.label.as_str() {
        "PUBLIC KEY" => Ok(block.der),
        "RSA PUBLIC KEY" => Ok(from_pkcs1(&block.der)),
        "CERTIFICATE" => Err("this is a certificate: give the public key in it".to_owned()),
        _ => Err("the PEM block is no public key: give a \"PUBLIC KEY\" block".to_owned()),
    }
}

/// `SubjectPublicKeyInfo` around a bare `RSAPublicKey` (RFC 8017, A.1), as RFC 3279 writes it.
fn from_pkcs1(key: &[u8]) -> Vec<u8> {
    const RSA_ENCRYPTION: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = [&[0][..], key].concat();
    tagged(0x30, &[&RSA_ENCRYPTION[..], &tagged(0x03, &bits)].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let used = length.iter().position(|byte| *byte != 0).map_or(&length[length.len() - 1..], |first| &length[first..]);
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.extend(u8::try_from(0x80 + used.len()));
    }
    out.extend_from_slice(used);
    out.extend_from_slice(content);
    out
}

/// Whether it is a key that can be verified with.
fn accept(spki: &[u8]) -> Result<(), String> {
    let broken = || "the public key cannot be read: export it again".to_owned();
    let (rest, info) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| broken())?;
    if !rest.is_empty() {
        return Err(broken());
    }
    let point = info.subject_public_key.data.as_ref();
    match KeyAlgorithm::from_spki(&DerPublicKey::from_bytes(spki)) {
        Ok(KeyAlgorithm::EcdsaP256) => on_curve(&ECDSA_P256_SHA256_ASN1, point),
        Ok(KeyAlgorithm::EcdsaP384) => on_curve(&ECDSA_P384_SHA384_ASN1, point),
        Ok(KeyAlgorithm::Ed25519) if point.len() == 32 => Ok(()),
        Ok(KeyAlgorithm::Ed25519) => Err(broken()),
        Ok(KeyAlgorithm::Rsa) => match info.parsed() {
            Ok(Parsed::RSA(key)) if RSA_BITS.contains(&key.key_size()) => Ok(()),
            Ok(Parsed::RSA(key)) => {
                Err(format!("the RSA key has {} bits: use one of {} to {}", key.key_size(), RSA_BITS.start(), RSA_BITS.end()))
            }
            _ => Err(broken()),
        },
        Ok(_) | Err(_) => Err(
            "the public key is of a kind that cannot be verified with: use P-256, P-384, RSA of 2048 to 4096 bits, or Ed25519"
                .to_owned(),
        ),
    }
}

fn on_curve(curve: &'static aws_lc_rs::signature::EcdsaVerificationAlgorithm, point: &[u8]) -> Result<(), String> {
    if point.first() != Some(&4) {
        return Err("the public key's point is compressed: export it uncompressed".to_owned());
    }
    ParsedPublicKey::new(curve, point)
        .map(drop)
        .map_err(|_| "the public key is no point of its curve: export it again".to_owned())
}

/// The scheme in which the key made the signature; none if it did not.
pub(super) fn verify(spki: &[u8], over: &Over<'_>, signature: &SignatureBytes) -> Option<SigningScheme> {
    let spki = DerPublicKey::from_bytes(spki);
    let algorithm = KeyAlgorithm::from_spki(&spki).ok()?;
    schemes(algorithm).iter().copied().find(|scheme| {
        let Ok(key) = VerificationKey::from_spki_with_scheme(&spki, *scheme) else { return false };
        match over {
            Over::Bytes(bytes) => key.verify(bytes, signature).is_ok(),
            Over::Digest(digest) => {
                scheme.hash_algorithm() == Some(digest.algorithm())
                    && key.verify_prehashed(digest.as_bytes(), signature).is_ok()
            }
        }
    })
}

/// Whether signatures of this key can be verified where only a digest is known.
pub(super) fn works_on_digests(spki: &[u8]) -> bool {
    match KeyAlgorithm::from_spki(&DerPublicKey::from_bytes(spki)) {
        Ok(algorithm) => schemes(algorithm).iter().any(|scheme| scheme.supports_prehashed()),
        Err(_) => false,
    }
}

/// In which schemes a key of a kind signs, the usual one first.
fn schemes(algorithm: KeyAlgorithm) -> &'static [SigningScheme] {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => &[SigningScheme::EcdsaP256Sha256, SigningScheme::EcdsaP256Sha384],
        KeyAlgorithm::EcdsaP384 => &[SigningScheme::EcdsaP384Sha384, SigningScheme::EcdsaP384Sha256],
        KeyAlgorithm::Rsa => &[
            SigningScheme::RsaPkcs1Sha256,
            SigningScheme::RsaPssSha256,
            SigningScheme::RsaPkcs1Sha384,
            SigningScheme::RsaPkcs1Sha512,
            SigningScheme::RsaPssSha384,
            SigningScheme::RsaPssSha512,
        ],
        KeyAlgorithm::Ed25519 => &[SigningScheme::Ed25519],
        // What `read_public_key` refuses.
        KeyAlgorithm::MlDsa44 | KeyAlgorithm::MlDsa65 | KeyAlgorithm::MlDsa87 | _ => &[],
    }
}
