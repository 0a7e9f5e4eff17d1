//! Certificates that we issue ourselves: a CA, the leaves that it signs, and whether somebody who trusts a CA believes one.
//!
//! ECDSA P-256, because API servers open a new connection for every call above 25 at once. No two CAs have one subject, so
//! that a verifier that trusts several never takes one for another, and a leaf never outlives its CA (RFC 5280).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::server::tls::files::{Pair, instant};
use crate::server::tls::{TlsError, provider};

/// How far the beginning lies back, for API servers whose clock is behind ours.
pub(crate) const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
/// RFC 5280 allows 20 bytes; 16 are more than anybody can guess.
const SERIAL_BYTES: usize = 16;
/// RFC 7468.
const PEM_LINE: usize = 64;

/// A CA, with its key where it may still issue.
#[derive(Clone)]
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    key: Option<Arc<KeyPair>>,
    name: String,
    from: Timestamp,
    until: Timestamp,
}

/// A certificate for a server and its key.
#[derive(Clone)]
pub(crate) struct Leaf {
    pair: Arc<Pair>,
    certificate: String,
    key: String,
}

impl Authority {
    /// A new one, named after the moment in which it was made.
    pub(crate) fn make(now: Timestamp, lifetime: SignedDuration) -> Result<Self, TlsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| not_made(&error))?;
        let [first, second, third, ..] = random()?;
        let name = format!("Pratique CA {now:.0} {first:02x}{second:02x}{third:02x}");
        let mut params = CertificateParams::default();
        params.distinguished_name = called(&name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, now, now + lifetime)?;
        let certificate = params.self_signed(&key).map_err(|error| not_made(&error))?;
        let made = Self::read(certificate.der().clone()).map_err(|why| TlsError::NotMade { why })?;
        Ok(Self { key: Some(Arc::new(key)), ..made })
    }

    /// One that may be trusted, without its key.
    pub(crate) fn read(certificate: CertificateDer<'static>) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("something follows the certificate".to_owned());
        }
        if !parsed.is_ca() {
            return Err("it is not the certificate of a CA".to_owned());
        }
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let name = name.unwrap_or_default().to_owned();
        let (from, until) = (instant(parsed.validity().not_before)?, instant(parsed.validity().not_after)?);
        Ok(Self { certificate, key: None, name, from, until })
    }

    /// Takes the key if it is this CA's.
    pub(crate) fn give(&mut self, key: &Arc<KeyPair>) -> bool {
        let ours = X509Certificate::from_der(&self.certificate)
            .is_ok_and(|(_, parsed)| parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw());
        if ours {
            self.key = Some(Arc::clone(key));
        }
        ours
    }

    pub(crate) fn forget_key(&mut self) {
        self.key = None;
    }

    pub(crate) fn can_issue(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn pem(&self) -> String {
        let lines = BASE64_STANDARD.encode(&self.certificate);
        let lines = lines.as_bytes().chunks(PEM_LINE).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
    }

    pub(crate) fn key_pem(&self) -> Option<String> {
        self.key.as_ref().map(|key| key.serialize_pem())
    }

    /// When it was made.
    pub(crate) fn made(&self) -> Timestamp {
        self.from + BACKDATED
    }

    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    /// A leaf for `names` that ends at `until`, or with this CA.
    pub(crate) fn issue(&self, names: &[String], now: Timestamp, until: Timestamp) -> Result<Leaf, TlsError> {
        let Some(own) = &self.key else {
            return Err(TlsError::NotMade { why: "the key of the CA is gone".to_owned() });
        };
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = called(&self.name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| not_made(&error))?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(|error| not_made(&error))?;
        params.distinguished_name = called("pratique");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, until.min(self.until))?;
        let issuer = Issuer::from_params(&issuer, own.as_ref());
        let certificate = params.signed_by(&key, &issuer).map_err(|error| not_made(&error))?;
        Leaf::read(certificate.pem(), key.serialize_pem()).map_err(|why| TlsError::NotMade { why })
    }
}

impl Leaf {
    /// From two PEM texts. The error quotes nothing of them.
    pub(crate) fn read(certificate: String, key: String) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| "the certificate is no PEM".to_owned())?;
        if chain.is_empty() {
            return Err("there is no certificate".to_owned());
        }
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "there is no key in PEM".to_owned())?;
        let pair = Pair::new(chain, private).map_err(|flaw| flaw.to_string())?;
        Ok(Self { pair: Arc::new(pair), certificate, key })
    }

    pub(crate) fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    pub(crate) fn key_pem(&self) -> &str {
        &self.key
    }

    /// When it was issued.
    pub(crate) fn made(&self) -> Timestamp {
        self.pair.not_before + BACKDATED
    }

    pub(crate) fn until(&self) -> Timestamp {
        self.pair.expiry
    }

    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.pair.not_before <= now && now < self.pair.expiry
    }

    /// Whether somebody who trusts these CAs, and no other, goes on when it is shown to them as `host`.
    pub(crate) fn is_believed<'a>(
        &self,
        trusted: impl IntoIterator<Item = &'a Authority>,
        host: &str,
        now: Timestamp,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            // Verifiers in Go want the CA itself to be valid too; those in Rust do not look.
            if authority.from <= now && now < authority.until {
                let _ = roots.add(authority.certificate.clone());
            }
        }
        let Ok(host) = ServerName::try_from(host) else { return false };
        let Ok(since_epoch) = now.duration_since(Timestamp::UNIX_EPOCH).try_into() else { return false };
        let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build() else {
            return false;
        };
        let Some((leaf, rest)) = self.pair.key.cert.split_first() else { return false };
        verifier.verify_server_cert(leaf, rest, &host, &[], UnixTime::since_unix_epoch(since_epoch)).is_ok()
    }
}

fn valid(params: &mut CertificateParams, now: Timestamp, until: Timestamp) -> Result<(), TlsError> {
    params.not_before = SystemTime::from(now - BACKDATED).into();
    params.not_after = SystemTime::from(until).into();
    params.serial_number = Some(SerialNumber::from_slice(&random()?));
    Ok(())
}

/// Bytes that nobody can guess, and that as a number are positive and of full length.
fn random() -> Result<[u8; SERIAL_BYTES], TlsError> {
    let mut bytes = [0; SERIAL_BYTES];
    let none = |_| TlsError::NotMade { why: "there is no randomness".to_owned() };
    aws_lc_rs::rand::fill(&mut bytes).map_err(none)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(bytes)
}

fn not_made(error: &rcgen::Error) -> TlsError {
    TlsError::NotMade { why: error.to_string() }
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Two are the same CA where their certificates are.
impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.certificate == other.certificate
    }
}

impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        self.pair.key.cert == other.pair.key.cert
    }
}

/// Without the key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .field("from", &self.from)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pair { not_before, expiry, .. } = self.pair.as_ref();
        f.debug_struct("Leaf").field("from", not_before).field("until", expiry).finish_non_exhaustive()
    }
}
