//! A certificate of our own, for trying out and for clusters without an issuer.
//!
//! A CA signs one leaf, and its key is dropped at once, so that the bundle can never vouch for anybody else. ECDSA P-256, because API servers open a new connection for every call above 25 at once.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::server::tls::TlsError;
use crate::server::tls::files::{Flaw, Pair};

/// The names that the shipped manifests and a local trial use.
const NAMES: [&str; 5] =
    ["pratique.pratique-system.svc", "pratique.pratique-system.svc.cluster.local", "localhost", "127.0.0.1", "::1"];

/// How long both are valid: they come and go together, and a Pod that is a year old has missed a year of fixes.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How far the beginning lies back, for API servers whose clock is behind ours.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// The certificate of the CA: what an API server needs to believe us. Public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaBundle(String);

impl CaBundle {
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// As `clientConfig.caBundle` wants it: base64 over PEM.
    #[must_use]
    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.0)
    }
}

pub(super) fn self_made(names: &[String]) -> Result<(Pair, CaBundle), TlsError> {
    let not_made = |error: rcgen::Error| TlsError::NotMade { why: error.to_string() };
    let (leaf, key, authority) = issue(names, SystemTime::now()).map_err(not_made)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let pair = Pair::new(vec![leaf.der().clone()], key).map_err(|flaw| TlsError::NotMade {
        why: match flaw {
            Flaw::Certificate(why) | Flaw::Key(why) => why,
            Flaw::Mismatch => "the key is not that of the certificate".to_owned(),
        },
    })?;
    Ok((pair, CaBundle(authority.pem())))
}

fn issue(names: &[String], now: SystemTime) -> Result<(Certificate, KeyPair, Certificate), rcgen::Error> {
    let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name = called("Pratique self-made CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];

    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut all = NAMES.map(str::to_owned).to_vec();
    all.extend(names.iter().filter(|name| !NAMES.contains(&name.as_str())).cloned());
    let mut leaf = CertificateParams::new(all)?;
    leaf.distinguished_name = called("pratique");
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;

    for params in [&mut authority, &mut leaf] {
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + LIFETIME).into();
    }
    let authority_certificate = authority.self_signed(&authority_key)?;
    let leaf = leaf.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
    Ok((leaf, key, authority_certificate))
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
