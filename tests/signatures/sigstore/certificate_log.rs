//! Stands in for a log of certificates (RFC 6962): it promises everything (SCT) and keeps nothing.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::CustomExtension;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::{Key, sha256};
use super::service::{Answer, Request, serve};

/// An extension that makes a certificate useless until the log has promised it: RFC 6962, 3.1.
const POISON: [u8; 21] = [
    0x30, 0x13, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x03, 0x01, 0x01, 0xff, 0x04, 0x02,
    0x05, 0x00,
];
/// DER's tags of a sequence, of a certificate's extensions, and of bytes.
const SEQUENCE: u8 = 0x30;
const EXTENSIONS: u8 = 0xa3;
const OCTET_STRING: u8 = 0x04;
/// RFC 6962, 3.3.
const PROMISES: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];

pub(super) struct CertificateLog {
    pub(super) url: String,
    pub(super) key: Arc<Key>,
}

impl CertificateLog {
    pub(super) fn new() -> Self {
        let key = Arc::new(Key::new());
        let served = Arc::clone(&key);
        let url = serve(|_| {
            move |request: &Request| {
                let known = request.path.ends_with("/ct/v1/add-pre-chain");
                known.then(|| Answer { status: 200, tag: String::new(), json: answer(&served, &request.body) })
            }
        });
        Self { url, key }
    }
}

/// `AddChainResponse`.
fn answer(key: &Key, body: &[u8]) -> Value {
    let request: Value = serde_json::from_slice(body).expect("Fulcio sends JSON");
    let chain: Vec<Vec<u8>> = request["chain"].as_array().expect("with a chain").iter().map(decoded).collect();
    let (_, leaf) = X509Certificate::from_der(&chain[0]).expect("of certificates");
    let (_, issuer) = X509Certificate::from_der(&chain[1]).expect("of certificates");
    let certificate = without_poison(leaf.tbs_certificate.as_ref());
    let promise = promise(key, &certificate, issuer.tbs_certificate.subject_pki.raw);
    json!({"sct_version": 0, "id": STANDARD.encode(key.identifier()), "timestamp": promise.time, "extensions": "",
        "signature": STANDARD.encode(promise.signature)})
}

/// What a promise (SCT) says.
struct Promise {
    /// In milliseconds.
    time: u64,
    /// With its algorithm before it.
    signature: Vec<u8>,
}

/// Promises a certificate: `TBSCertificate` as it will be issued, without promises; and its issuer's public key.
fn promise(key: &Key, certificate: &[u8], issuer: &[u8]) -> Promise {
    let time = u64::try_from(Timestamp::now().as_millisecond()).expect("it is after 1970");
    // Version 1, a certificate's timestamp; a precertificate.
    let mut signed = vec![0, 0];
    signed.extend(time.to_be_bytes());
    signed.extend(1_u16.to_be_bytes());
    signed.extend(sha256(issuer));
    let length = u32::try_from(certificate.len()).expect("a certificate is small").to_be_bytes();
    signed.extend(&length[1..]);
    signed.extend(certificate);
    // No extensions.
    signed.extend([0, 0]);
    // SHA-256 and ECDSA.
    let signature = [vec![4, 3], counted(&key.sign(&signed))].concat();
    Promise { time, signature }
}

/// The extension of a certificate that holds one promise of it.
pub(super) fn promised(key: &Key, certificate: &[u8], issuer: &[u8]) -> CustomExtension {
    let Promise { time, signature } = promise(key, certificate, issuer);
    // Version 1 before, and no extensions between.
    let promise = [&[0], &key.identifier()[..], &time.to_be_bytes(), &[0, 0], &signature].concat();
    let list = written(OCTET_STRING, &counted(&counted(&promise)));
    CustomExtension::from_oid_content(&PROMISES, list)
}

/// With its length before it, in two bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("it is small").to_be_bytes();
    [&length, bytes].concat()
}

fn decoded(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("a text")).expect("in base64")
}

/// What the issued certificate will be, without its promise.
fn without_poison(certificate: &[u8]) -> Vec<u8> {
    let (_, fields, _) = read(certificate);
    let mut before = fields;
    let extensions = loop {
        let (tag, content, rest) = read(before);
        if tag == EXTENSIONS {
            break content;
        }
        before = rest;
    };
    let before = &fields[..fields.len() - before.len()];
    let (_, extensions, _) = read(extensions);
    let at = extensions.windows(POISON.len()).position(|window| window == POISON).expect("a precertificate has it");
    let kept = [&extensions[..at], &extensions[at + POISON.len()..]].concat();
    let extensions = written(EXTENSIONS, &written(SEQUENCE, &kept));
    written(SEQUENCE, &[before, &extensions].concat())
}

/// The first element of DER: its tag, its content, and what follows it.
fn read(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (head, length) = match der[1] {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            let length = der[2..2 + count].iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            (2 + count, length)
        }
    };
    (der[0], &der[head..head + length], &der[head + length..])
}

pub(super) fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
    let head = if content.len() < 0x80 {
        vec![tag, content.len().to_be_bytes()[7]]
    } else {
        [&[tag, 0x80 | length.len().to_be_bytes()[7]], length].concat()
    };
    [&head, content].concat()
}
