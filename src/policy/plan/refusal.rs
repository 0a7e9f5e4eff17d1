//! What can be said of an image by its name alone.

use crate::image::Reference;

use super::super::{Demands, Repointed};

/// A demand that fails whatever anybody could look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticRefusal {
    /// The tag is denied; `missing`: none was written, and none means `latest`.
    TagDenied { missing: bool },
    /// The tag is not among those allowed.
    TagNotAllowed { missing: bool },
    /// `requireDigest`, and there is none.
    NoDigest,
}

impl Demands {
    /// What is asked about the record of the tag; a digest makes the tag irrelevant.
    #[must_use]
    pub fn compares(&self, reference: &Reference) -> Repointed {
        match (&self.tags, reference.digest()) {
            (Some(tags), None) => tags.repointed,
            (None, _) | (Some(_), Some(_)) => Repointed::Allow,
        }
    }

    /// The demands that need no look-up, in the order in which they are told.
    #[must_use]
    pub fn refuses_statically(&self, reference: &Reference) -> Vec<StaticRefusal> {
        let Self { tags, signatures: _, attestations: _, scan: _, examination: _ } = self;
        let (Some(tags), None) = (tags, reference.digest()) else {
            return Vec::new();
        };
        let (tag, missing) = reference.tag().map_or(("latest", true), |tag| (tag, false));
        let mut refusals = Vec::new();
        if tags.deny.iter().any(|pattern| pattern.matches(tag)) {
            refusals.push(StaticRefusal::TagDenied { missing });
        } else if !tags.allow.is_empty() && !tags.allow.iter().any(|pattern| pattern.matches(tag)) {
            refusals.push(StaticRefusal::TagNotAllowed { missing });
        }
        if tags.require_digest {
            refusals.push(StaticRefusal::NoDigest);
        }
        refusals
    }
}
