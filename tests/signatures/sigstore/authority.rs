//! The certificate authority that Fulcio issues by, and certificates of other times than now.

use std::time::{Duration, SystemTime};

use pratique_testkit::Directory;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::certificate_log::{promised, written};
use super::key::Key;

/// Fulcio's extensions for the OIDC issuer, and what the second holds: a `UTF8String`.
const ISSUER_RAW: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 1];
const ISSUER: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
const TEXT: u8 = 0x0c;
/// As Fulcio has it.
const LIFE: Duration = Duration::from_secs(600);

pub(super) struct Authority {
    key: Key,
    params: CertificateParams,
}

impl Authority {
    /// Its key and certificate are written down for Fulcio.
    pub(super) fn new(files: &Directory) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are well-formed");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.distinguished_name.push(DnType::CommonName, "certificates of the tests");
        let key = Key::new();
        let certificate = params.self_signed(key.pair()).expect("an authority can be made");
        files.write("authority.pem", &certificate.pem());
        files.write("authority.key", &key.pair().serialize_pem());
        Self { key, params }
    }

    /// A certificate of ten minutes that began so long ago, as Fulcio would have issued it; in PEM.
    pub(super) fn issue(&self, log: &Key, (issuer, mail): (&str, &str), pair: &KeyPair, ago: Duration) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name(mail.try_into().expect("a mail address is ASCII"))];
        let begin = SystemTime::now() - ago;
        (params.not_before, params.not_after) = (begin.into(), (begin + LIFE).into());
        params.serial_number = Some(SerialNumber::from(7));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        // As it is, which was the first way, and as DER's.
        params.custom_extensions = vec![
            CustomExtension::from_oid_content(&ISSUER_RAW, issuer.as_bytes().to_vec()),
            CustomExtension::from_oid_content(&ISSUER, written(TEXT, issuer.as_bytes())),
        ];
        let authority = Issuer::from_params(&self.params, self.key.pair());
        let sign = |params: &CertificateParams| -> Certificate {
            params.signed_by(pair, &authority).expect("a certificate can be issued")
        };
        // The promise is of all of it but the promise.
        let before = sign(&params);
        let (_, parsed) = X509Certificate::from_der(before.der()).expect("our own certificate");
        let public = self.key.pair().subject_public_key_info();
        params.custom_extensions.push(promised(log, parsed.tbs_certificate.as_ref(), &public));
        sign(&params).pem()
    }
}
