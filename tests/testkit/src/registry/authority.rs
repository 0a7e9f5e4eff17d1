//! The registry's own CA, made for the test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::client::install_provider;

/// What the registry answers to.
const NAMES: [&str; 2] = ["127.0.0.1", "localhost"];

/// A CA.
pub(super) struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, "testkit registry CA");
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("and signed with").pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// In PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Certificate and key in PEM.
    fn issue(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("the names are valid");
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("and signed").pem();
        (certificate, key.serialize_pem())
    }

    /// A client that [`Self::server`] lets in.
    pub(super) fn client(&self) -> (String, String) {
        self.issue(&["client.test"], ExtendedKeyUsagePurpose::ClientAuth)
    }

    pub(super) fn server(&self, client_certificate: bool) -> Arc<ServerConfig> {
        install_provider();
        let (certificate, key) = self.issue(&NAMES, ExtendedKeyUsagePurpose::ServerAuth);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it was made as PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it was made as PEM");
        let builder = ServerConfig::builder();
        let builder = if client_certificate {
            let mut roots = RootCertStore::empty();
            let root = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("it was made as PEM");
            roots.add(root).expect("it is a CA");
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("it has a root");
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).expect("the key is the certificate's");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}
