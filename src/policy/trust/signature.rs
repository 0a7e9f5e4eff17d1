//! Whether the signatures of a digest are enough: what they say, and how many different signers made them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::fact::attached::{Attached, Claim, Fingerprint, Signature, Signer};
use crate::image::Reference;

use super::accept::printable_clause;
use super::{SignatureDemand, matching, shown};

/// Somebody who counts once, however many signatures, certificates and trusted roots there are of him.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Person<'a> {
    Key(&'a Fingerprint),
    Identity { issuer: &'a str, subject: &'a str },
}

impl<'a> Person<'a> {
    fn of(signer: &'a Signer) -> Self {
        match signer {
            Signer::Key(fingerprint) => Self::Key(fingerprint),
            Signer::Identity(identity) => Self::Identity { issuer: &identity.issuer, subject: &identity.subject },
        }
    }
}

impl SignatureDemand {
    /// How many distinct signers of one digest's signatures can be matched one to one with authorities. `image`: whose
    /// repository the docker-reference must name where that is demanded.
    #[must_use]
    pub fn signers(&self, attached: &Attached, image: &Reference, now: Timestamp) -> usize {
        let mut people: BTreeMap<Person<'_>, BTreeSet<usize>> = BTreeMap::new();
        for signature in &attached.signatures {
            if self.objection(signature, image).is_some() {
                continue;
            }
            for proof in &signature.proofs {
                let accepting = self.authorities.iter().enumerate();
                let accepting = accepting.filter(|(_, authority)| authority.accepts(proof, now).is_ok());
                people.entry(Person::of(&proof.signer)).or_default().extend(accepting.map(|(index, _)| index));
            }
        }
        let edges: Vec<Vec<usize>> = people.into_values().map(|stands_for| stands_for.into_iter().collect()).collect();
        matching::most(&edges, self.authorities.len())
    }

    /// What in the payload of an image signature does not meet the demand, whoever made it: a clause. None: it is met,
    /// and it is a signature of the image.
    #[must_use]
    pub fn objection(&self, signature: &Signature, image: &Reference) -> Option<String> {
        match &signature.claim {
            Claim::Image { reference, annotations } => {
                let identity = if self.identity_required { names_another(reference.as_deref(), image) } else { None };
                identity.or_else(|| self.lacks_annotation(annotations))
            }
            Claim::Statement { predicate_type, .. } => {
                Some(format!("an attestation ({}), no signature of the image", shown(predicate_type)))
            }
            Claim::Elsewhere { names, .. } => Some(format!("it is of another image, {}", printable_clause(names))),
            Claim::Unreadable(why) => Some(format!("what it signs cannot be read: {}", printable_clause(why))),
        }
    }

    /// Whether one digest's signatures are enough.
    #[must_use]
    pub fn met_by(&self, attached: &Attached, image: &Reference, now: Timestamp) -> bool {
        // One is enough in most policies, and then it does not matter who stands for whom. Nobody is never enough.
        if self.threshold <= 1 {
            return attached.signatures.iter().any(|signature| self.counts(signature, image, now));
        }
        self.signers(attached, image, now) >= self.threshold
    }

    /// Whether one of the authorities has made this signature, of this image.
    #[must_use]
    pub fn counts(&self, signature: &Signature, image: &Reference, now: Timestamp) -> bool {
        let accepted = |proof| self.authorities.iter().any(|authority| authority.accepts(proof, now).is_ok());
        signature.proofs.iter().any(accepted) && self.objection(signature, image).is_none()
    }

    fn lacks_annotation(&self, found: &BTreeMap<String, String>) -> Option<String> {
        self.annotations.iter().find_map(|(name, expected)| match found.get(name) {
            Some(value) if value == expected => None,
            Some(value) => Some(format!("its annotation {} is {}, not {}", shown(name), shown(value), shown(expected))),
            None => Some(format!("it has no annotation {}, and it must be {}", shown(name), shown(expected))),
        })
    }
}

/// Why the docker-reference of a payload does not name the image's repository; tag and digest do not matter, and
/// neither does the way in which Docker Hub is spelt.
fn names_another(reference: Option<&str>, image: &Reference) -> Option<String> {
    let Some(written) = reference else {
        return Some(format!("it names no repository, and must name {}", shown(image.name())));
    };
    match Reference::parse(written) {
        Ok(reference) if reference.name() == image.name() => None,
        Ok(_) => Some(format!("it is for {}, not for {}", shown(written), shown(image.name()))),
        Err(_) => {
            Some(format!("it is for {}, which is no image, and must be for {}", shown(written), shown(image.name())))
        }
    }
}
