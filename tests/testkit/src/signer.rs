//! Signatures in every form that Cosign has left in registries, made with throw-away keys and a Sigstore of our own.
//!
//! Everything that is made here is valid, but for the one thing that [`Signer::but`] makes wrong. Nothing here checks
//! anything, and nothing asks a network. There is no Rekor v2: for that there are real vectors.
//!
//! ```
//! use pratique_testkit::signer::{Key, KeyKind, Payload, PrivateSigstore, Signer, Statement, Version, Wrong};
//!
//! let digest = pratique_testkit::DIGEST;
//! let key = Key::generate(KeyKind::P256);
//! let sigstore = PrivateSigstore::new(); // its root for Pratique: sigstore.trusted_root_json()
//!
//! // `cosign sign --key`, as a layer below the tag `sha256-HEX.sig`:
//! let layer = Signer::key(&key).simple(&Payload::of(digest, "registry.test/image"));
//! assert!(layer.annotations.contains_key("dev.cosignproject.cosign/signature"));
//!
//! // Keyless, as a bundle of Cosign v3; and one with the log entry of another artifact:
//! let signer = Signer::keyless(&sigstore, "https://issuer.test", "https://ci.test/build@main").extension(12, "https://ci.test/x");
//! let bundle = signer.bundle(Version::V03, &Statement::signature_of(digest));
//! let wrong = signer.but(Wrong::EntryOfAnotherArtifact).bundle(Version::V03, &Statement::signature_of(digest));
//! assert_ne!(bundle.bytes, wrong.bytes);
//!
//! // Into a registry: layer.attach(&registry, "team/app", digest, Place::SignatureTag)
//! ```

mod certificate;
mod content;
mod der;
mod key;
mod log;
mod sigstore;
mod timestamp;
mod wrong;

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use content::{COSIGN_SIGN, Payload, Statement};
pub use key::{Key, KeyKind};
pub use sigstore::PrivateSigstore;
pub use wrong::Wrong;

use certificate::Holder;
use key::pem;
use log::{Entry, envelope_record, hashed_record};

use crate::{Place, Registry};

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// How long after the certificate's beginning a timestamp is made.
const STAMPED_AFTER: SignedDuration = SignedDuration::from_secs(3);

/// How long after the certificate's beginning the log takes an entry in.
const LOGGED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// A layer, or the whole of a bundle: what a registry keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    pub annotations: BTreeMap<String, String>,
}

/// What [`Registry::attach_layers`] takes.
impl From<&Layer> for crate::Layer {
    fn from(layer: &Layer) -> Self {
        let new = Self::new(layer.media_type, &layer.bytes);
        layer.annotations.iter().fold(new, |layer, (key, value)| layer.annotated(key, value))
    }
}

impl Layer {
    /// Attaches it to a digest (`sha256:...`) of a repository: the digest of the manifest that holds it.
    pub fn attach(&self, registry: &Registry, repository: &str, digest: &str, place: Place) -> String {
        registry.attach_layers(repository, digest, place, &[self.into()])
    }
}

/// Of a Sigstore bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V01,
    V02,
    V03,
}

impl Version {
    pub const ALL: [Self; 3] = [Self::V01, Self::V02, Self::V03];

    fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

/// Who signs, and what is wrong with it. Used any number of times; a certificate is a new one each time.
#[derive(Debug, Clone)]
#[must_use]
pub struct Signer {
    key: Key,
    holder: Option<Holder>,
    sigstore: Option<PrivateSigstore>,
    stamped: Option<PrivateSigstore>,
    at: Timestamp,
    wrong: Option<Wrong>,
}

impl Signer {
    /// With a key, and no log.
    pub fn key(key: &Key) -> Self {
        let at = Timestamp::now() - SignedDuration::from_hours(1);
        Self { key: key.clone(), holder: None, sigstore: None, stamped: None, at, wrong: None }
    }

    /// A key's signature enters this log.
    pub fn logged(self, sigstore: &PrivateSigstore) -> Self {
        Self { sigstore: Some(sigstore.clone()), ..self }
    }

    /// With a certificate to this issuer and subject, which is a URI if it has `://` and else an email address.
    pub fn keyless(sigstore: &PrivateSigstore, issuer: &str, subject: &str) -> Self {
        let holder = Holder { issuer: issuer.to_owned(), subject: subject.to_owned(), extensions: Vec::new() };
        Self { holder: Some(holder), ..Self::key(&Key::generate(KeyKind::P256)).logged(sigstore) }
    }

    /// With an RFC 3161 timestamp of this Sigstore's authority; with `but(Wrong::NotLogged)` it is all there is.
    pub fn stamped(self, sigstore: &PrivateSigstore) -> Self {
        Self { stamped: Some(sigstore.clone()), ..self }
    }

    /// One more extension in the certificate, by its number below `1.3.6.1.4.1.57264.1`: 5 is the deprecated
    /// `githubWorkflowRepository`, 12 the source repository's URI.
    pub fn extension(mut self, number: u64, value: &str) -> Self {
        let holder = self.holder.as_mut().expect("a key has no certificate");
        holder.extensions.push((number, value.to_owned()));
        self
    }

    /// When it is signed: the certificate begins then, and ends ten minutes later. By default an hour ago.
    pub fn at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    /// With one thing wrong.
    pub fn but(&self, wrong: Wrong) -> Self {
        Self { wrong: Some(wrong), ..self.clone() }
    }

    /// Simple signing: a layer below the tag `sha256-HEX.sig`, or of a manifest that refers to the digest.
    #[must_use]
    pub fn simple(&self, payload: &Payload) -> Layer {
        let signed = self.sign(payload.bytes());
        let entry = self.entry(|another| {
            let (bytes, signature) = signed.logged(another, payload.bytes());
            ("hashedrekord", hashed_record(&bytes, &signature.bytes, &signature.verifier))
        });
        let mut annotations = signed.annotations(self.sigstore.as_ref(), entry.as_ref());
        self.annotate_stamp(&signed, &mut annotations);
        let signature = BASE64_STANDARD.encode(&signed.signature.bytes);
        annotations.insert("dev.cosignproject.cosign/signature".to_owned(), signature);
        Layer { media_type: SIMPLE_SIGNING, bytes: payload.bytes().to_vec(), annotations }
    }

    /// A bare DSSE envelope: a layer below the tag `sha256-HEX.att`, or of a manifest that refers to the digest.
    #[must_use]
    pub fn envelope(&self, statement: &Statement) -> Layer {
        let signed = self.sign(&statement.signed_bytes());
        let envelope = signed.envelope(statement);
        let entry = self.entry(|another| signed.envelope_entry(another, statement, &envelope));
        let mut annotations = signed.annotations(self.sigstore.as_ref(), entry.as_ref());
        self.annotate_stamp(&signed, &mut annotations);
        annotations.insert("dev.cosignproject.cosign/signature".to_owned(), String::new());
        Layer { media_type: ENVELOPE, bytes: envelope.to_string().into_bytes(), annotations }
    }

    /// A bundle with an in-toto statement.
    #[must_use]
    pub fn bundle(&self, version: Version, statement: &Statement) -> Layer {
        let signed = self.sign(&statement.signed_bytes());
        let envelope = signed.envelope(statement);
        let entry = self.entry(|another| signed.envelope_entry(another, statement, &envelope));
        self.bundle_of(version, &signed, entry.as_ref(), ("dsseEnvelope", envelope))
    }

    /// A bundle with a signature of these bytes, such as those of a manifest.
    #[must_use]
    pub fn message_bundle(&self, version: Version, message: &[u8]) -> Layer {
        let signed = self.sign(message);
        let entry = self.entry(|another| {
            let (bytes, signature) = signed.logged(another, message);
            ("hashedrekord", hashed_record(&bytes, &signature.bytes, &signature.verifier))
        });
        let (algorithm, hash) = self.key.hash(message);
        let content = json!({
            "messageDigest": {"algorithm": algorithm, "digest": BASE64_STANDARD.encode(hash)},
            "signature": BASE64_STANDARD.encode(&signed.signature.bytes),
        });
        self.bundle_of(version, &signed, entry.as_ref(), ("messageSignature", content))
    }

    fn bundle_of(&self, version: Version, signed: &Signed, entry: Option<&Entry>, content: (&str, Value)) -> Layer {
        let mut material = match (&signed.certificate, version) {
            (None, _) => {
                json!({"publicKey": {"hint": BASE64_STANDARD.encode(key::sha256(&self.key.spki()))}})
            }
            (Some(certificate), Version::V03) => {
                json!({"certificate": {"rawBytes": BASE64_STANDARD.encode(certificate)}})
            }
            (Some(certificate), Version::V01 | Version::V02) => {
                json!({"x509CertificateChain": {"certificates": [{"rawBytes": BASE64_STANDARD.encode(certificate)}]}})
            }
        };
        material["tlogEntries"] = entry.map_or(json!([]), |entry| json!([entry.in_bundle()]));
        if let Some(stamp) = self.stamp(&signed.signature.bytes) {
            material["timestampVerificationData"] = json!({"rfc3161Timestamps": [{"signedTimestamp": stamp}]});
        }
        let mut bundle = json!({"mediaType": version.media_type(), "verificationMaterial": material});
        bundle[content.0] = content.1;
        Layer { media_type: version.media_type(), bytes: bundle.to_string().into_bytes(), annotations: BTreeMap::new() }
    }

    fn annotate_stamp(&self, signed: &Signed, annotations: &mut BTreeMap<String, String>) {
        if let Some(stamp) = self.stamp(&signed.signature.bytes) {
            let stamp = json!({"SignedRFC3161Timestamp": stamp}).to_string();
            annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), stamp);
        }
    }

    /// A timestamp of the signature, base64.
    fn stamp(&self, signature: &[u8]) -> Option<String> {
        let sigstore = self.stamped.as_ref()?;
        let other = PrivateSigstore::new();
        let sigstore = if self.wrong == Some(Wrong::StampOfOtherAuthority) { &other } else { sigstore };
        let signature = if self.wrong == Some(Wrong::StampOfAnother) { b"another" } else { signature };
        let late = self.wrong == Some(Wrong::StampedTooLate);
        let after = if late { SignedDuration::from_mins(30) } else { STAMPED_AFTER };
        Some(BASE64_STANDARD.encode(sigstore.stamps().stamp(signature, self.at + after)))
    }

    /// The log's entry with the body that `body` makes for this (false) or another artifact or signer.
    fn entry(&self, body: impl Fn(Option<&Another>) -> (&'static str, Vec<u8>)) -> Option<Entry> {
        let sigstore = self.sigstore.as_ref().filter(|_| self.wrong != Some(Wrong::NotLogged))?;
        let moved = match self.wrong {
            Some(Wrong::LoggedTooLate) => SignedDuration::from_mins(30),
            Some(Wrong::LoggedTooEarly) => SignedDuration::from_mins(-30),
            _ => LOGGED_AFTER,
        };
        let another = match self.wrong {
            Some(Wrong::EntryOfAnotherArtifact) => Some(Another { signer: self.right(), bytes: Some(b"another") }),
            Some(Wrong::EntryOfAnotherSigner) => {
                let signer = Self { key: Key::generate(self.key.kind()), ..self.right() };
                Some(Another { signer, bytes: None })
            }
            _ => None,
        };
        let (kind, body) = body(another.as_ref());
        Some(sigstore.log().enter(kind, body, self.at + moved, self.wrong))
    }

    fn right(&self) -> Self {
        Self { wrong: None, ..self.clone() }
    }

    fn sign(&self, bytes: &[u8]) -> Signed {
        let certificate = self.holder.as_ref().map(|holder| {
            let sigstore = self.sigstore.as_ref().expect("who has a certificate has it from a Sigstore");
            sigstore.issue(holder, &self.key, self.at, self.wrong)
        });
        let bytes = match self.wrong {
            Some(Wrong::Signature) => Key::generate(self.key.kind()).spki(),
            _ => bytes.to_vec(),
        };
        let signature = match self.wrong {
            Some(Wrong::OtherKey) => Key::generate(self.key.kind()).sign(&bytes),
            _ => self.key.sign(&bytes),
        };
        let verifier =
            certificate.as_ref().map_or_else(|| self.key.public_pem(), |certificate| pem("CERTIFICATE", certificate));
        Signed { certificate, signature: Signature { bytes: signature, verifier } }
    }
}

/// Whose entry stands in the log instead, and of which bytes if of others.
struct Another {
    signer: Signer,
    bytes: Option<&'static [u8]>,
}

struct Signature {
    bytes: Vec<u8>,
    /// The certificate, or the key: PEM.
    verifier: String,
}

/// A signature, and whose.
struct Signed {
    certificate: Option<Vec<u8>>,
    signature: Signature,
}

impl Signed {
    /// What the log gets to see.
    fn logged(&self, another: Option<&Another>, bytes: &[u8]) -> (Vec<u8>, Signature) {
        let Signature { bytes: signature, verifier } = &self.signature;
        let Some(Another { signer, bytes: others }) = another else {
            return (bytes.to_vec(), Signature { bytes: signature.clone(), verifier: verifier.clone() });
        };
        let bytes = others.map_or_else(|| bytes.to_vec(), <[u8]>::to_vec);
        let mut signature = signer.sign(&bytes).signature;
        if others.is_some() {
            signature.verifier.clone_from(verifier);
        }
        (bytes, signature)
    }

    fn envelope_entry(
        &self,
        another: Option<&Another>,
        statement: &Statement,
        envelope: &Value,
    ) -> (&'static str, Vec<u8>) {
        let statement = match another {
            Some(Another { bytes: Some(bytes), .. }) => Statement::raw(*bytes),
            _ => statement.clone(),
        };
        let (_, signature) = match another {
            None => self.logged(None, &[]),
            Some(Another { signer, .. }) => {
                let other = signer.sign(&statement.signed_bytes()).signature;
                (Vec::new(), other)
            }
        };
        let verifier = match another {
            Some(Another { bytes: Some(_), .. }) => &self.signature.verifier,
            _ => &signature.verifier,
        };
        let envelope = envelope.to_string();
        ("dsse", envelope_record(envelope.as_bytes(), &statement.bytes(), &signature.bytes, verifier))
    }

    fn envelope(&self, statement: &Statement) -> Value {
        json!({
            "payload": BASE64_STANDARD.encode(statement.bytes()),
            "payloadType": statement.envelope_type(),
            "signatures": [{"sig": BASE64_STANDARD.encode(&self.signature.bytes)}],
        })
    }

    fn annotations(&self, sigstore: Option<&PrivateSigstore>, entry: Option<&Entry>) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        if let (Some(certificate), Some(sigstore)) = (&self.certificate, sigstore) {
            annotations.insert("dev.sigstore.cosign/certificate".to_owned(), pem("CERTIFICATE", certificate));
            annotations.insert("dev.sigstore.cosign/chain".to_owned(), sigstore.chain_pem());
        }
        if let Some(entry) = entry {
            annotations.insert("dev.sigstore.cosign/bundle".to_owned(), entry.in_annotation());
        }
        annotations
    }
}

#[cfg(test)]
mod tests;
