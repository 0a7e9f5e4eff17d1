//! Whether a digest has the attestation that a rule demands.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::attached::{Attached, Claim, Field, Signature};

use super::accept::printable_clause;
use super::{AttestationDemand, Condition, Test, shown, written};

/// What in an attestation does not meet a demand, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It is no attestation: a signature of an image.
    NoStatement,
    /// Of another predicate type.
    OtherType(Arc<str>),
    /// Of the type, and about another digest, which is named.
    Elsewhere(Arc<str>),
    /// The payload is not what it must be: a clause.
    Unreadable(Arc<str>),
    /// A condition, in words, and what was found there.
    Condition { words: String, found: Field },
}

impl AttestationDemand {
    /// Whether one digest has a statement of the type, by one of the authorities, that meets every condition.
    #[must_use]
    pub fn met_by(&self, attached: &Attached, now: Timestamp) -> bool {
        attached.signatures.iter().any(|signature| self.counts(signature, now))
    }

    /// Whether this one alone is enough: what is signed and who signed it must be of the same statement.
    #[must_use]
    pub fn counts(&self, signature: &Signature, now: Timestamp) -> bool {
        let accepted = |proof| self.authorities.iter().any(|authority| authority.accepts(proof, now).is_ok());
        signature.proofs.iter().any(accepted) && self.objection(signature).is_none()
    }

    /// What in the statement does not meet the demand, whoever made it. None: it is met.
    #[must_use]
    pub fn objection(&self, signature: &Signature) -> Option<Objection> {
        match &signature.claim {
            Claim::Image { .. } | Claim::Elsewhere { predicate_type: None, .. } => Some(Objection::NoStatement),
            Claim::Statement { predicate_type, .. } | Claim::Elsewhere { predicate_type: Some(predicate_type), .. }
                if *predicate_type != self.predicate_type =>
            {
                Some(Objection::OtherType(Arc::clone(predicate_type)))
            }
            Claim::Statement { predicate_type: _, fields, report: _ } => {
                let unmet = self.conditions.iter().find(|condition| !condition.met_by(fields))?;
                let found = unmet.field(fields).cloned().unwrap_or(Field::Missing);
                Some(Objection::Condition { words: unmet.words(), found })
            }
            Claim::Elsewhere { predicate_type: Some(_), names } => Some(Objection::Elsewhere(Arc::clone(names))),
            Claim::Unreadable(why) => Some(Objection::Unreadable(Arc::clone(why))),
        }
    }
}

impl Condition {
    /// `runDetails.builder.id must be "..."`, as the policy demands it, for people.
    #[must_use]
    pub fn words(&self) -> String {
        let path = printable_clause(&self.path);
        match &self.test {
            Test::Equals(text) => format!("{path} must be {}", shown(text)),
            Test::Matches(expression) => format!("{path} must match {}", shown(written(expression))),
            Test::OneOf(texts) => {
                let first: Vec<String> = texts.iter().take(SHOWN_TEXTS).map(|text| shown(text)).collect();
                let more = texts.len() - first.len();
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                format!("{path} must be one of {}{more}", first.join(", "))
            }
        }
    }

    /// What is not there, or is no text, meets nothing: not even an expression that matches everything.
    #[must_use]
    pub fn met_by(&self, fields: &[(Arc<str>, Field)]) -> bool {
        let Some(Field::Text(found)) = self.field(fields) else { return false };
        match &self.test {
            Test::Equals(text) => **found == **text,
            Test::Matches(expression) => expression.is_match(found),
            Test::OneOf(texts) => texts.iter().any(|text| **found == **text),
        }
    }

    fn field<'f>(&self, fields: &'f [(Arc<str>, Field)]) -> Option<&'f Field> {
        fields.iter().find(|(path, _)| *path == self.path).map(|(_, field)| field)
    }
}

/// So many of `in` are repeated in a message.
const SHOWN_TEXTS: usize = 3;

impl Objection {
    /// A clause about an attestation, short and printable.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NoStatement => "a signature of the image, no attestation".to_owned(),
            Self::OtherType(found) => format!("of another type, {}", shown(found)),
            Self::Elsewhere(names) => format!("it is of another image, {}", printable_clause(names)),
            Self::Unreadable(why) => format!("what it says cannot be read: {}", printable_clause(why)),
            Self::Condition { words, found } => {
                let found = match found {
                    Field::Text(text) => format!("it is {}", shown(text)),
                    Field::Missing => "there is no such field".to_owned(),
                    Field::NotScalar => "what stands there is no text, number or truth value".to_owned(),
                };
                format!("{words}; {found}")
            }
        }
    }
}
