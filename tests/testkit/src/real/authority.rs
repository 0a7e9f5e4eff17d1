//! Whom the registries of a test have their certificates from.

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority that is made for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are well-formed");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let pem = params.self_signed(&key).expect("an authority can be made").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// What to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for 127.0.0.1, and its key.
    pub fn issue(&self) -> (Certificate, KeyPair) {
        self.sign(&CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name"))
    }

    /// A certificate of any kind, and its key.
    pub fn sign(&self, params: &CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key can be made");
        (params.signed_by(&key, &self.issuer).expect("a certificate can be issued"), key)
    }
}
