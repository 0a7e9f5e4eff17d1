//! Who may call: a certificate of the operator's CA, and one of the names that the operator gave.
//!
//! Checked in the handshake, so that strangers never reach HTTP. A CA alone is not enough: clusters have CAs that sign for
//! every Pod that asks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::server::admin::PartStatus;
use crate::server::tls::files::{certificates, read};
use crate::server::tls::{TlsError, chain_of_causes, provider};

type Chains = Arc<dyn ClientCertVerifier>;

/// The check of callers' certificates.
pub struct ClientAuthentication {
    path: PathBuf,
    names: Vec<String>,
    chains: ArcSwap<Chains>,
    seen: Mutex<Seen>,
}

/// What the last look at the file found.
struct Seen {
    contents: Option<Vec<u8>>,
    trouble: Option<String>,
}

impl ClientAuthentication {
    /// Callers need a certificate by one of the CAs in the PEM file whose common name or DNS name is, letter by letter, one
    /// of `names`.
    pub fn from_file(authorities: &Path, names: Vec<String>) -> Result<Self, TlsError> {
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(TlsError::NoClientNames);
        }
        let contents = read(authorities)?;
        let chains = chains(authorities, &contents)?;
        let seen = Mutex::new(Seen { contents: Some(contents), trouble: None });
        Ok(Self { path: authorities.to_owned(), names, chains: ArcSwap::from_pointee(chains), seen })
    }

    /// For `/readyz`.
    pub fn status(&self) -> PartStatus {
        match &self.seen.lock().unwrap_or_else(PoisonError::into_inner).trouble {
            Some(trouble) => PartStatus::Degraded(format!("the old CAs are kept: {trouble}")),
            None => PartStatus::Ready,
        }
    }

    /// Looks at the file again and again, and takes over what is new and valid. Never returns.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let authentication = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || authentication.look()).await {
                tracing::error!(%error, "looking at the client CA file ended in a panic; please report it as a bug");
            }
        }
    }

    fn look(&self) {
        // Before the lock, which `status` wants too: a read may hang.
        let contents = read(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.as_ref().is_ok_and(|contents| seen.contents.as_ref() == Some(contents)) {
            return;
        }
        let taken = contents.and_then(|contents| {
            let chains = chains(&self.path, &contents);
            seen.contents = Some(contents);
            chains
        });
        match taken {
            Ok(chains) => {
                tracing::info!(path = %self.path.display(), "new client CAs in use");
                self.chains.store(Arc::new(chains));
                seen.trouble = None;
            }
            Err(error) => {
                let trouble = chain_of_causes(&error);
                if seen.trouble.as_ref() != Some(&trouble) {
                    tracing::error!(%trouble, "the new client CAs are not usable and the old ones are kept");
                }
                seen.trouble = Some(trouble);
            }
        }
    }

    /// The names by which the certificate could be meant.
    fn named(&self, certificate: &CertificateDer<'_>) -> Result<bool, rustls::Error> {
        let broken = |_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(broken)?;
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let alternative = certificate.subject_alternative_name();
        let alternative = alternative.map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let general = alternative.iter().flat_map(|extension| extension.value.general_names.iter());
        let dns = general.filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None });
        Ok(common.chain(dns).any(|name| self.names.iter().any(|known| known == name)))
    }
}

fn chains(path: &Path, pem: &[u8]) -> Result<Chains, TlsError> {
    let broken = |why: String| TlsError::BrokenAuthority { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    verifier.build().map_err(|error| broken(error.to_string()))
}

impl ClientCertVerifier for ClientAuthentication {
    /// None: the CAs may change, and callers with one certificate need no hint.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chains.load().verify_client_cert(certificate, intermediates, now)?;
        if self.named(certificate)? {
            Ok(verified)
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.load().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.load().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.load().supported_verify_schemes()
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthentication")
            .field("path", &self.path)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
