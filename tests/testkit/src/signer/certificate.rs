//! A Fulcio of our own: a root, an intermediate, certificates for moments, and the log of certificates.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};

use super::Wrong;
use super::der::{OCTETS, TEXT, element, first_element};
use super::key::{Key, KeyKind, sha256};

/// 1.3.6.1.4.1.57264.1
const FULCIO: [u64; 8] = [1, 3, 6, 1, 4, 1, 57264, 1];

/// Up to this number Fulcio's extensions are bare text, beyond it a DER `UTF8String`.
const LAST_BARE: u64 = 6;

/// Embedded promises of certificate logs, RFC 6962.
const SCT_LIST: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

/// How long Fulcio's certificates are valid.
const LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// Whom a certificate names.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) issuer: String,
    pub(super) subject: String,
    /// By their number below Fulcio's arc.
    pub(super) extensions: Vec<(u64, String)>,
}

/// Root and intermediate.
pub(super) struct Authority {
    root: Vec<u8>,
    intermediate: Vec<u8>,
    intermediate_spki: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    /// Of the log of certificates.
    log: Key,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::with_intermediate_until(None)
    }

    /// With an intermediate that is valid until then.
    pub(super) fn with_intermediate_until(end: Option<Timestamp>) -> Self {
        let root_key = KeyPair::generate().expect("a key can be made");
        let mut root = authority_params("testkit root");
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        let root_certificate = root.self_signed(&root_key).expect("and signed with");
        let root_issuer = Issuer::new(root, root_key);

        let key = KeyPair::generate().expect("a key can be made");
        let mut params = authority_params("testkit intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        if let Some(end) = end {
            params.not_after = std::time::SystemTime::from(end).into();
        }
        let certificate = params.signed_by(&key, &root_issuer).expect("and signed");
        Self {
            root: root_certificate.der().to_vec(),
            intermediate: certificate.der().to_vec(),
            intermediate_spki: key.subject_public_key_info(),
            issuer: Issuer::new(params, key),
            log: Key::generate(KeyKind::P256),
        }
    }

    /// The intermediate and the root, DER.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.intermediate, &self.root]
    }

    /// `SubjectPublicKeyInfo` of the log of certificates.
    pub(super) fn certificate_log(&self) -> Vec<u8> {
        self.log.spki()
    }

    /// A certificate from this moment on, DER.
    pub(super) fn issue(&self, holder: &Holder, key: &Key, from: Timestamp, wrong: Option<Wrong>) -> Vec<u8> {
        let mut params = leaf_params(holder, from);
        if wrong == Some(Wrong::NotForCodeSigning) {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        let sign =
            |params: &CertificateParams| params.signed_by(key, &self.issuer).expect("it can be signed").der().to_vec();
        if wrong == Some(Wrong::NoCertificateLog) {
            return sign(&params);
        }
        // The same certificate without the promise is what the log promises.
        let precertificate = sign(&params);
        let other = Key::generate(KeyKind::P256);
        let log = if wrong == Some(Wrong::OtherCertificateLog) { &other } else { &self.log };
        let promise = self.promise(log, first_element(&precertificate), from);
        params.custom_extensions.push(CustomExtension::from_oid_content(&SCT_LIST, promise));
        sign(&params)
    }

    /// RFC 6962, sections 3.2 and 3.3: a list of one promise.
    fn promise(&self, log: &Key, certificate: &[u8], at: Timestamp) -> Vec<u8> {
        let time = u64::try_from(at.as_millisecond()).expect("after 1970").to_be_bytes();
        let mut signed = vec![0, 0];
        signed.extend(time);
        signed.extend([0, 1]);
        signed.extend(sha256(&self.intermediate_spki));
        signed.extend(&u32::try_from(certificate.len()).expect("small").to_be_bytes()[1..]);
        signed.extend(certificate);
        signed.extend([0, 0]);
        let signature = log.sign(&signed);

        let mut promise = vec![0];
        promise.extend(sha256(&log.spki()));
        promise.extend(time);
        promise.extend([0, 0, 4, 3]);
        promise.extend(long(&signature));
        element(OCTETS, &long(&long(&promise)))
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf_params(holder: &Holder, from: Timestamp) -> CertificateParams {
    let Holder { issuer, subject, extensions } = holder;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&sha256(&Key::generate(KeyKind::P256).spki())[..16]));
    params.not_before = std::time::SystemTime::from(from).into();
    params.not_after = std::time::SystemTime::from(from + LIFETIME).into();
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let name = subject.clone().try_into().expect("a subject is ASCII");
    params.subject_alt_names =
        vec![if subject.contains("://") { SanType::URI(name) } else { SanType::Rfc822Name(name) }];
    let named = [(1, issuer), (8, issuer)].into_iter();
    for (number, value) in named.chain(extensions.iter().map(|(number, value)| (*number, value))) {
        let content = if number <= LAST_BARE { value.clone().into_bytes() } else { element(TEXT, value.as_bytes()) };
        let oid: Vec<u64> = FULCIO.iter().copied().chain([number]).collect();
        params.custom_extensions.push(CustomExtension::from_oid_content(&oid, content));
    }
    params
}

/// With two bytes of length before it.
fn long(bytes: &[u8]) -> Vec<u8> {
    let mut all = u16::try_from(bytes.len()).expect("small").to_be_bytes().to_vec();
    all.extend(bytes);
    all
}
