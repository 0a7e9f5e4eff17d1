//! TLS: whom we believe, and who we are to them.
//!
//! The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured) and those that `hosts.toml` adds for one
//! host. The provider is named in every configuration: nothing depends on what else in the process installed one.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::TlsOptions;

const NO_AUTHORITY: &str = "no authority is known that could have signed a certificate: install the system's \
                            certificates (ca-certificates), set SSL_CERT_FILE, or give `ca` in hosts.toml";

/// What is the same for every client: read once.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    system: RootCertStore,
}

impl Trust {
    /// None found is no mistake: all registries may have a `ca` of their own, or be asked over plain HTTP.
    pub(super) fn of_system() -> Self {
        Self::of(&rustls_native_certs::load_native_certs().certs)
    }

    pub(super) fn of(certificates: &[CertificateDer<'static>]) -> Self {
        let mut system = RootCertStore::empty();
        // One that cannot be read signs nothing; the others still do.
        let _ = system.add_parsable_certificates(certificates.iter().cloned());
        Self { provider: Arc::new(aws_lc_rs::default_provider()), system }
    }

    pub(super) fn config(&self, options: TlsOptions) -> Result<ClientConfig, String> {
        let TlsOptions { authorities, client, skip_verify } = options;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(authorities, skip_verify)?);
        let mut config = match client {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| format!("the client certificate cannot be used with its key: {error}"))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        authorities: Vec<CertificateDer<'static>>,
        skip_verify: bool,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if skip_verify {
            return Ok(Arc::new(Unexamined { provider: Arc::clone(&self.provider), refusal: None }));
        }
        let mut roots = self.system.clone();
        for authority in authorities {
            roots.add(authority).map_err(|error| format!("the certificate of an authority is unusable: {error}"))?;
        }
        if roots.is_empty() {
            return Ok(Arc::new(Unexamined { provider: Arc::clone(&self.provider), refusal: Some(NO_AUTHORITY) }));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        Ok(verifier.map_err(|error| format!("certificates cannot be verified: {error}"))?)
    }
}

/// Says the same of every certificate. That the other end holds its key is checked all the same.
#[derive(Debug)]
struct Unexamined {
    provider: Arc<CryptoProvider>,
    /// The reason why nobody is believed; without one, everybody is: `skip_verify`.
    refusal: Option<&'static str>,
}

impl ServerCertVerifier for Unexamined {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.refusal {
            Some(why) => Err(rustls::Error::General(why.to_owned())),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Why the other end was not believed, if that is why the request failed: in our own words, since a certificate says
/// what its owner likes.
pub(super) fn distrust_in(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let error = find::<rustls::Error>(error)?;
    if matches!(error, rustls::Error::General(words) if words == NO_AUTHORITY) {
        return Some(NO_AUTHORITY);
    }
    // All else is trouble of the connection.
    let rustls::Error::InvalidCertificate(flaw) = error else { return None };
    #[expect(clippy::wildcard_enum_match_arm, reason = "not ours; the rest is said in general words")]
    Some(match flaw {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        // The latter where another authority has the name of one that we trust.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by no authority that we trust: give `ca` for it in hosts.toml"
        }
        CertificateError::Revoked => "its certificate is revoked",
        _ => "its certificate is not valid",
    })
}

/// The cause of this type, wherever in the chain; also within an [`io::Error`], whose source is its content's.
pub(super) fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        let within = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match within {
            Some(content) => Some(content),
            None => cause.source(),
        };
    }
    None
}
