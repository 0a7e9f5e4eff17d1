//! Signatures and attestations of one digest: what was found, who made it for certain, and what is wrong with the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::Trouble;
use super::report::{Report, Unusable};

/// What was found attached to one digest. What counts is for the policy to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attached {
    /// Verified and not, in the order in which they were found.
    pub signatures: Vec<Signature>,
    /// A place or a part that could not be read: what is here counts all the same, what is missing may be there.
    pub unread: Option<Trouble>,
    /// So many were found beyond what is tried.
    pub untried: usize,
}

/// One signature, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub layout: Layout,
    /// What is signed. Only as good as `proofs` are.
    pub claim: Claim,
    /// Who made it for certain: one for each key, or trusted root, of the examination that verifies it. Empty: nobody.
    pub proofs: Vec<Proof>,
    /// Why nobody made it for certain; none where somebody did.
    pub flaw: Option<Flaw>,
}

/// Where and in what form it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layout {
    /// Simple signing under the tag `sha256-HEX.sig`.
    SignatureTag,
    /// A DSSE envelope under the tag `sha256-HEX.att`.
    AttestationTag,
    /// Simple signing in a manifest that refers to the digest.
    SimpleReferrer,
    /// A bare DSSE envelope in a manifest that refers to the digest.
    EnvelopeReferrer,
    /// A Sigstore bundle: v0.1, v0.2 and v0.3.
    Bundle01,
    Bundle02,
    Bundle03,
    /// What holds it could not be read so far.
    Unknown,
}

impl Layout {
    /// As in the JSON of `check`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SignatureTag => "sig-tag",
            Self::AttestationTag => "att-tag",
            Self::SimpleReferrer => "referrer-simple-signing",
            Self::EnvelopeReferrer => "referrer-dsse",
            Self::Bundle01 => "bundle-v0.1",
            Self::Bundle02 => "bundle-v0.2",
            Self::Bundle03 => "bundle-v0.3",
            Self::Unknown => "unknown",
        }
    }
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// That this is the image: `cosign sign`. The docker-reference and the annotations are those inside of the payload.
    Image { reference: Option<Arc<str>>, annotations: BTreeMap<String, String> },
    /// An in-toto statement about this image: `cosign attest`. The fields that the examination asks for of its
    /// predicate type, each with what it holds; and where reports are asked for and it is of a type that carries one, what
    /// it says of the scan.
    Statement { predicate_type: Arc<str>, fields: Vec<(Arc<str>, Field)>, report: Option<AttestedReport> },
    /// The same of another digest, which is named, shortened: a signature that was copied here.
    Elsewhere { predicate_type: Option<Arc<str>>, names: Arc<str> },
    /// The payload is not what it must be; a clause says in what way.
    Unreadable(Arc<str>),
}

/// A scan report that somebody attested.
pub type AttestedReport = Result<Arc<Report>, Arc<Unusable>>;

/// What a path of a predicate leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// A string as it is; a number or a truth value as JSON writes it.
    Text(Arc<str>),
    /// There is no such field.
    Missing,
    /// An object, a list, null, or a text too long to compare.
    NotScalar,
}

/// That a signer made a signature, verified with one trusted root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub signer: Signer,
    /// The trusted root that vouches for the certificate, or (with a key) for the log.
    pub root: Arc<str>,
    pub logged: Logged,
    /// The earliest proved time at which it existed: of the log, or of an RFC 3161 timestamp.
    pub made: Option<Timestamp>,
}

/// Whether a transparency log of the root proves a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Logged {
    /// By a promise (SET) or an inclusion proof with its checkpoint, for exactly this signature.
    Proved,
    /// It does not; a clause says why.
    Unproved(Arc<str>),
}

/// Who made a signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    Key(Fingerprint),
    Identity(Arc<Identity>),
}

/// Whom a certificate was issued to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The OIDC issuer.
    pub issuer: String,
    /// The subject alternative name.
    pub subject: String,
    /// Fulcio's further extensions, by the names that policies use.
    pub extensions: BTreeMap<&'static str, String>,
}

/// SHA-256 of a public key (`SubjectPublicKeyInfo`, DER).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// `SHA256:1f3a...`, in full.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At once: it stands in the log line of every signed image.
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
        let hex: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        f.write_str("SHA256:")?;
        f.write_str(&hex)
    }
}

/// A public key that verified signatures can be traced to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey {
    pub fingerprint: Fingerprint,
    /// `SubjectPublicKeyInfo`, DER; of a kind that can be verified with.
    pub spki: Arc<[u8]>,
}

/// Why nobody is known to have made a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub kind: FlawKind,
    /// A clause without a full stop, in our own words where the signature's author could have chosen them.
    pub words: Arc<str>,
    /// Whom its certificate names, issuer and subject: unproved, for people alone.
    pub claimed: Option<(Arc<str>, Arc<str>)>,
}

/// Kinds of flaws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlawKind {
    /// No key of the examination verifies it.
    OtherKey,
    /// The bytes are not those that the certificate's key signed.
    SignatureInvalid,
    /// The certificate's chain, usage, SCT or syntax.
    CertificateUntrusted,
    /// The certificate was not valid at the proved time.
    CertificateExpired,
    /// The transparency log does not prove it, or proves another.
    NotLogged,
    /// No trusted time, or an RFC 3161 timestamp that proves nothing.
    TimeUnproved,
    /// Not of the form that it must have.
    Malformed,
    /// A kind of key, entry or content that cannot be verified here.
    Unsupported,
    /// Too large, or more than is tried.
    BeyondBounds,
    /// The manifest or blob that it names is not there.
    Missing,
}
