//! Authority and log together, and the trusted root that vouches for them.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Wrong;
use super::certificate::{Authority, Holder};
use super::key::{Key, pem, sha256};
use super::log::Log;
use super::timestamp::TimestampAuthority;

/// The beginning of everything in the root.
const BEGINNING: &str = "2020-01-01T00:00:00Z";

/// A Sigstore of our own: certificate authority, log of certificates, transparency log and
/// timestamp authority. A clone is the same one.
#[derive(Clone)]
pub struct PrivateSigstore(Arc<Parts>);

struct Parts {
    authority: Authority,
    /// Calls itself the same.
    impostor: Authority,
    log: Log,
    stamps: TimestampAuthority,
}

impl fmt::Debug for PrivateSigstore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateSigstore").finish_non_exhaustive()
    }
}

impl Default for PrivateSigstore {
    fn default() -> Self {
        Self::new()
    }
}

impl PrivateSigstore {
    /// A new one, with new keys.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Authority::new())
    }

    /// The same, and its intermediate certificate is valid until then.
    #[must_use]
    pub fn with_intermediate_until(end: Timestamp) -> Self {
        Self::of(Authority::with_intermediate_until(Some(end)))
    }

    fn of(authority: Authority) -> Self {
        let (impostor, log, stamps) = (Authority::new(), Log::new(), TimestampAuthority::new());
        Self(Arc::new(Parts { authority, impostor, log, stamps }))
    }

    /// Its `trusted_root.json`.
    #[must_use]
    pub fn trusted_root_json(&self) -> String {
        self.trusted_root().to_string()
    }

    /// The same as a value, to change something.
    #[must_use]
    pub fn trusted_root(&self) -> Value {
        let Parts { authority, log, stamps, impostor: _ } = self.0.as_ref();
        let raw = |der: &[u8]| json!({"rawBytes": BASE64_STANDARD.encode(der)});
        let (certificates, stamps) = (authority.chain().map(raw), stamps.chain().map(raw));
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log_entry("https://rekor.test", &log.spki())],
            "certificateAuthorities": [{
                "subject": {"organization": "testkit", "commonName": "testkit"},
                "uri": "https://fulcio.test",
                "certChain": {"certificates": certificates},
                "validFor": {"start": BEGINNING},
            }],
            "ctlogs": [log_entry("https://ct.test", &authority.certificate_log())],
            "timestampAuthorities": [{
                "subject": {"organization": "testkit", "commonName": "testkit"},
                "uri": "https://timestamp.test",
                "certChain": {"certificates": stamps},
                "validFor": {"start": BEGINNING},
            }],
        })
    }

    /// The same without a log of certificates: no SCT is asked for.
    #[must_use]
    pub fn trusted_root_without_certificate_log(&self) -> String {
        let mut root = self.trusted_root();
        root["ctlogs"] = json!([]);
        root.to_string()
    }

    pub(super) fn log(&self) -> &Log {
        &self.0.log
    }

    pub(super) fn stamps(&self) -> &TimestampAuthority {
        &self.0.stamps
    }

    pub(super) fn issue(&self, holder: &Holder, key: &Key, from: Timestamp, wrong: Option<Wrong>) -> Vec<u8> {
        let authority = if wrong == Some(Wrong::OtherAuthority) { &self.0.impostor } else { &self.0.authority };
        authority.issue(holder, key, from, wrong)
    }

    /// Intermediate and root.
    pub(super) fn chain_pem(&self) -> String {
        self.0.authority.chain().map(|der| pem("CERTIFICATE", der)).concat()
    }
}

fn log_entry(url: &str, spki: &[u8]) -> Value {
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": BASE64_STANDARD.encode(spki),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": BEGINNING},
        },
        "logId": {"keyId": BASE64_STANDARD.encode(sha256(spki))},
    })
}
