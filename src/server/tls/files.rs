//! From PEM files to a certificate and key that fit each other and are valid now, or the reason why not.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::server::tls::TlsError;

/// Bytes of one PEM file: the largest Secret that Kubernetes stores.
const FILE_LIMIT: u64 = 1 << 20;

/// Where certificate and key are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What stands in them. No `Debug`: one of them is a private key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// The pair that the contents make, if it could serve at `now`.
    pub(super) fn pair(&self, contents: &Contents, now: Timestamp) -> Result<Pair, TlsError> {
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let pair = Pair::new(chain, self.key(&contents.key)?).map_err(|flaw| match flaw {
            Flaw::Certificate(why) => TlsError::BrokenCertificate { path: self.certificate.clone(), why },
            Flaw::Key(why) => TlsError::BrokenKey { path: self.key.clone(), why },
            Flaw::Mismatch => TlsError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() },
        })?;
        if now < pair.not_before {
            return Err(TlsError::NotYetValid { path: self.certificate.clone(), from: pair.not_before });
        }
        if now >= pair.expiry {
            return Err(TlsError::Expired { path: self.certificate.clone(), at: pair.expiry });
        }
        Ok(pair)
    }

    fn key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
            let path = self.key.clone();
            // "BEGIN ENCRYPTED PRIVATE KEY" (PKCS#8) and "Proc-Type: 4,ENCRYPTED" (the old way of OpenSSL).
            if pem.windows(9).any(|words| words == b"ENCRYPTED") {
                return TlsError::EncryptedKey { path };
            }
            if matches!(error, rustls::pki_types::pem::Error::NoItemsFound) {
                return TlsError::NoKey { path };
            }
            TlsError::BrokenKey { path, why: error.to_string() }
        })
    }
}

/// All of a file, within the limit.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    let mut contents = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut contents).map_err(unreadable)?;
    if u64::try_from(contents.len()).is_ok_and(|length| length <= FILE_LIMIT) {
        Ok(contents)
    } else {
        Err(TlsError::TooLarge { path: path.to_owned(), limit: FILE_LIMIT })
    }
}

/// The certificates in a PEM file: one at least.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|why| TlsError::BrokenCertificate { path: path.to_owned(), why: why.to_string() })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

/// A certificate chain with the key of its first certificate.
pub(crate) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_before: Timestamp,
    /// When the first certificate of the chain to do so expires.
    pub(super) expiry: Timestamp,
}

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the certificate is broken ({0})")]
    Certificate(String),
    #[error("the key cannot be used ({0})")]
    Key(String),
    #[error("the key is not that of the certificate")]
    Mismatch,
}

impl Pair {
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Flaw> {
        let (not_before, expiry) = validity(&chain)?;
        let key = aws_lc_rs::default_provider()
            .key_provider
            .load_private_key(key)
            .map_err(|error| Flaw::Key(error.to_string()))?;
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                Flaw::Mismatch
            } else {
                Flaw::Certificate(error.to_string())
            }
        })?;
        Ok(Self { key: Arc::new(key), not_before, expiry })
    }
}

/// When all of the chain is valid: from the latest beginning to the earliest end.
fn validity(chain: &[CertificateDer<'static>]) -> Result<(Timestamp, Timestamp), Flaw> {
    let (mut not_before, mut expiry) = (Timestamp::MIN, Timestamp::MAX);
    for certificate in chain {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|error| Flaw::Certificate(error.to_string()))?;
        not_before = not_before.max(instant(certificate.validity().not_before).map_err(Flaw::Certificate)?);
        expiry = expiry.min(instant(certificate.validity().not_after).map_err(Flaw::Certificate)?);
    }
    Ok((not_before, expiry))
}

pub(super) fn instant(time: ASN1Time) -> Result<Timestamp, String> {
    Timestamp::from_second(time.timestamp()).map_err(|error| error.to_string())
}
