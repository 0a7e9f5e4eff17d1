//! A timestamp authority of our own: RFC 3161 answers, in the CMS of RFC 5652.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};

use super::der::{FIRST, INTEGER, OCTETS, SEQUENCE, SET, TEXT, TIME, around, element, object};
use super::key::{Key, KeyKind, sha256};

const ROOT_NAME: &str = "testkit timestamp root";
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const SHA256: [u64; 9] = [2, 16, 840, 1, 101, 3, 4, 2, 1];
const ECDSA_SHA256: [u64; 7] = [1, 2, 840, 10045, 4, 3, 2];
const SIGNED_DATA: [u64; 7] = [1, 2, 840, 113_549, 1, 7, 2];
const CONTENT_TYPE: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: [u64; 7] = [1, 2, 840, 113_549, 1, 9, 4];
const TIMESTAMP_INFO: [u64; 9] = [1, 2, 840, 113_549, 1, 9, 16, 1, 4];
/// Of nobody.
const POLICY: [u64; 6] = [1, 3, 6, 1, 4, 1];
/// Of its only certificate.
const SERIAL: u8 = 7;

/// Root, certificate and its key.
pub(super) struct TimestampAuthority {
    root: Vec<u8>,
    certificate: Vec<u8>,
    key: Key,
}

impl TimestampAuthority {
    pub(super) fn new() -> Self {
        let root_key = KeyPair::generate().expect("a key can be made");
        let mut root = named(ROOT_NAME);
        root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_certificate = root.self_signed(&root_key).expect("and signed with").der().to_vec();
        let mut leaf = named("testkit timestamps");
        leaf.serial_number = Some(SerialNumber::from_slice(&[SERIAL]));
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        let key = Key::generate(KeyKind::P256);
        let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key)).expect("and signed").der().to_vec();
        Self { root: root_certificate, certificate, key }
    }

    /// Its certificate and the root, DER.
    pub(super) fn chain(&self) -> [&[u8]; 2] {
        [&self.certificate, &self.root]
    }

    /// A `TimeStampResp` that says that this signature existed then.
    pub(super) fn stamp(&self, signature: &[u8], at: Timestamp) -> Vec<u8> {
        let hash = |bytes: &[u8]| element(OCTETS, &sha256(bytes));
        let sha256 = around(SEQUENCE, &[&object(&SHA256)]);
        let imprint = around(SEQUENCE, &[&sha256, &hash(signature)]);
        let time = element(TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes());
        let info = around(SEQUENCE, &[&number(1), &object(&POLICY), &imprint, &number(1), &time]);
        let kind = object(&TIMESTAMP_INFO);
        let content = around(SEQUENCE, &[&kind, &element(FIRST, &element(OCTETS, &info))]);

        let attribute = |kind: &[u64], value: &[u8]| around(SEQUENCE, &[&object(kind), &element(SET, value)]);
        let attributes = [attribute(&CONTENT_TYPE, &kind), attribute(&MESSAGE_DIGEST, &hash(&info))].concat();
        // Signed as a SET, and written as [0].
        let signed = self.key.sign(&element(SET, &attributes));
        let name = around(SEQUENCE, &[&object(&COMMON_NAME), &element(TEXT, ROOT_NAME.as_bytes())]);
        let name = element(SEQUENCE, &element(SET, &name));
        let who = around(SEQUENCE, &[&name, &number(SERIAL)]);
        let how = around(SEQUENCE, &[&object(&ECDSA_SHA256)]);
        let (attributes, signed) = (element(FIRST, &attributes), element(OCTETS, &signed));
        let author = around(SEQUENCE, &[&number(1), &who, &sha256, &attributes, &how, &signed]);

        let data = around(SEQUENCE, &[&number(3), &element(SET, &sha256), &content, &element(SET, &author)]);
        let token = around(SEQUENCE, &[&object(&SIGNED_DATA), &element(FIRST, &data)]);
        around(SEQUENCE, &[&element(SEQUENCE, &number(0)), &token])
    }
}

fn number(value: u8) -> Vec<u8> {
    element(INTEGER, &[value])
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
