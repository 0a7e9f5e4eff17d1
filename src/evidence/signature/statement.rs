//! In-toto statements: about which digests, of which predicate type, and what the demanded paths lead to.
//!
//! [Statement v0.1](https://github.com/in-toto/attestation/blob/main/spec/v0.1.0/statement.md) and
//! [v1](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md). The predicate type is compared as it is
//! written, byte for byte. A statement of `cosign sign` claims no more than that this is the image; its annotations
//! (`cosign sign -a`) stand at the subject.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use serde_json::{Map, Value};
use sigstore_types::{ArtifactDigest, DigestBytes, HashAlgorithm};

use crate::fact::attached::{Claim, Field};
use crate::image::{Algorithm, Digest};
use crate::request::printable;

use super::json::{self, Parts};

#[cfg(test)]
mod tests;

/// What the payload of an envelope must be.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The predicate type of an image signature: `cosign sign` since v3.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
/// Statements about more are made by nobody; a release of everything has a few hundred.
const SUBJECTS: usize = 4096;
/// Bytes of a predicate type, which is a URI.
const TYPE: usize = 1024;
/// Bytes of a text that a policy can compare. What is longer is no name, and facts are kept in memory.
const TEXT: usize = 4096;
/// Beyond it a floating-point number stands for several that are written differently.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Hex digits of a digest in a message, as everywhere.
const SHORT: usize = 12;

/// The paths that are asked for, by predicate type.
pub(super) type Predicates = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// A statement that can be read in one way.
#[derive(Debug)]
pub(super) struct Statement<'p> {
    predicate_type: Arc<str>,
    /// Never empty.
    subjects: Vec<Subject>,
    /// All of it: the predicate is read for what is asked of it, since an SBOM takes ten times as much when it is read.
    payload: &'p [u8],
}

#[derive(Debug)]
struct Subject {
    /// By algorithm, as written.
    digests: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl<'p> Statement<'p> {
    /// Reads the payload of an envelope; the error is a clause.
    pub(super) fn read(payload_type: &str, payload: &'p [u8]) -> Result<Self, &'static str> {
        if payload_type != PAYLOAD_TYPE {
            return Err("its payload is not an in-toto statement");
        }
        let mut parts = Parts::default();
        for name in ["_type", "predicateType"] {
            parts.add(iter::once(name));
        }
        parts.add(iter::once("subject")).whole = true;
        let Value::Object(fields) = json::read_parts(payload, &parts)? else {
            return Err("its statement is no JSON object");
        };
        match fields.get("_type") {
            Some(Value::String(its)) if TYPES.contains(&its.as_str()) => {}
            _ => return Err("its statement is not of in-toto's version 0.1 or 1"),
        }
        let predicate_type = match fields.get("predicateType") {
            Some(Value::String(its)) if !its.is_empty() && its.len() <= TYPE => its.as_str().into(),
            _ => return Err("its statement has no predicate type, or one of more than 1024 bytes"),
        };
        let subjects = match fields.get("subject") {
            Some(Value::Array(list)) if list.len() > SUBJECTS => {
                return Err("its statement has more than 4096 subjects");
            }
            Some(Value::Array(list)) if !list.is_empty() => list.iter().map(subject).collect::<Option<_>>(),
            _ => None,
        };
        let subjects = subjects.ok_or("its statement has no subject with digests")?;
        Ok(Self { predicate_type, subjects, payload })
    }

    /// The first of these digests that it is about.
    pub(super) fn about<'a>(&self, digests: &'a [Digest]) -> Option<&'a Digest> {
        digests.iter().find(|digest| self.subjects.iter().any(|subject| subject.is(digest)))
    }

    /// A digest that it names itself: whoever signed it signed that.
    pub(super) fn named(&self) -> Option<Digest> {
        let first = |algorithm: Algorithm| {
            let named = self.subjects.iter().find_map(|subject| subject.digests.get(algorithm.name()))?;
            Digest::parse(&format!("{algorithm}:{named}")).ok()
        };
        first(Algorithm::Sha256).or_else(|| first(Algorithm::Sha512))
    }

    /// What it says of one of these digests.
    pub(super) fn claim(&self, digests: &[Digest], predicates: &Predicates) -> Claim {
        let ours = self.subjects.iter().find(|subject| digests.iter().any(|digest| subject.is(digest)));
        let Some(subject) = ours else {
            let names = self.named().map_or_else(|| "no digest of an image".into(), |digest| shortened(&digest));
            return Claim::Elsewhere { predicate_type: Some(self.predicate_type.clone()), names };
        };
        if &*self.predicate_type == SIGN {
            return Claim::Image { reference: None, annotations: subject.annotations.clone() };
        }
        let asked = predicates.get(&self.predicate_type);
        match asked.filter(|asked| !asked.is_empty()).map_or_else(|| Ok(Vec::new()), |asked| self.fields(asked)) {
            Ok(fields) => Claim::Statement { predicate_type: self.predicate_type.clone(), fields, report: None },
            Err(words) => Claim::Unreadable(words.into()),
        }
    }

    /// What the paths lead to in the predicate.
    fn fields(&self, paths: &BTreeSet<Arc<str>>) -> Result<Vec<(Arc<str>, Field)>, &'static str> {
        const PREDICATE: &str = "predicate";
        let mut parts = Parts::default();
        for path in paths {
            parts.add(iter::once(PREDICATE).chain(path.split('.')));
        }
        let statement = json::read_parts(self.payload, &parts)?;
        let predicate = statement.get(PREDICATE).unwrap_or(&Value::Null);
        Ok(paths.iter().map(|path| (path.clone(), field(predicate, path))).collect())
    }
}

impl Subject {
    fn is(&self, digest: &Digest) -> bool {
        self.digests.get(digest.algorithm().name()).is_some_and(|hex| hex == digest.hex())
    }
}

fn subject(value: &Value) -> Option<Subject> {
    let fields = value.as_object()?;
    let digests = fields.get("digest")?.as_object()?;
    let digests: BTreeMap<_, _> =
        digests.iter().map(|(name, hex)| Some((name.clone(), text(hex)?))).collect::<Option<_>>()?;
    let annotations = match fields.get("annotations") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(annotations)) => texts(annotations),
        Some(_) => return None,
    };
    (!digests.is_empty()).then_some(Subject { digests, annotations })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Strings as they are, everything else as JSON.
pub(super) fn texts(fields: &Map<String, Value>) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| (name.clone(), text(value).unwrap_or_else(|| value.to_string()))).collect()
}

/// What a path leads to: names of fields between dots, and in a list the number of an item.
fn field(predicate: &Value, path: &str) -> Field {
    let mut value = predicate;
    for name in path.split('.') {
        let next = match value {
            Value::Object(fields) => fields.get(name),
            Value::Array(items) => json::index(name).and_then(|index| items.get(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        match next {
            Some(next) => value = next,
            None => return Field::Missing,
        }
    }
    scalar(value)
}

fn scalar(value: &Value) -> Field {
    match value {
        Value::String(text) if text.len() <= TEXT => Field::Text(text.as_str().into()),
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|float| float.abs() >= EXACT) => {
            Field::NotScalar
        }
        Value::Bool(_) | Value::Number(_) => Field::Text(value.to_string().into()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => Field::NotScalar,
    }
}

/// `sha256:0123456789ab`.
pub(super) fn shortened(digest: &Digest) -> Arc<str> {
    let hex = digest.hex();
    format!("{}:{}", digest.algorithm(), hex.get(..SHORT).unwrap_or(hex)).into()
}

/// What somebody wrote where a digest belongs, shortened.
pub(super) fn shortened_text(text: &str) -> Arc<str> {
    Digest::parse(text).map_or_else(|_| printable(text, 64).into(), |digest| shortened(&digest))
}

/// A digest for the verifier.
pub(super) fn artifact(digest: &Digest) -> Option<ArtifactDigest> {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => HashAlgorithm::Sha2256,
        Algorithm::Sha384 => HashAlgorithm::Sha2384,
        Algorithm::Sha512 => HashAlgorithm::Sha2512,
    };
    ArtifactDigest::new(algorithm, DigestBytes::from_hex(digest.hex()).ok()?).ok()
}

/// And back.
pub(super) fn digest(artifact: &ArtifactDigest) -> Option<Digest> {
    Digest::parse(&format!("{}:{}", artifact.algorithm().as_rekor_str(), artifact.value().to_hex())).ok()
}
