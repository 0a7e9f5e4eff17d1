//! Who made a signature for certain, and what it says of the digest.
//!
//! Three questions with an answer each: who made it, whatever it says (proofs); what it says (the claim); and whether
//! that is of our digest. A signature that was copied from another image is not unsigned, and people are told so.
//! What the verifier crate does and lacks stands beside each step; it is asked for any identity at all, since whom it
//! may be is for the policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use sigstore_types::{MessageSignature, SignatureContent};

use crate::evidence::scan::format::read_attested;
use crate::fact::attached::{Claim, Flaw, FlawKind, Proof, Signature};
use crate::fact::report::Subject;
use crate::image::Digest;
use crate::policy::trust::Examination;

use super::bundle::{self, Sealed};
use super::find::{Item, Material};
use super::key::Over;
use super::simple;
use super::statement::{self, Statement};
use super::trust::Roots;
use envelope::Content;
#[cfg(test)]
pub(super) use envelope::hashed;
use flaw::flaw;

pub(super) mod blob;
mod envelope;
pub(super) mod flaw;
mod keyed;
mod keyless;
#[cfg(test)]
mod tests;

/// Verifies one thing that was found with every key and root of the examination. Pure CPU, up to a millisecond for each
/// of them; never fails: what does not verify is returned with its flaw.
#[must_use]
pub(super) fn examine(item: &Item, digest: &Digest, examination: &Examination, roots: &Roots) -> Signature {
    let about = About { bytes: None, digests: vec![digest.clone()] };
    let (layout, (claim, proofs, flaw)) = match &item.material {
        Material::Flawed(flaw) => (item.layout, useless(flaw.clone())),
        Material::Bundle(json) => match bundle::read(json) {
            Ok((layout, read)) => (layout, sealed(&read, &about, examination, roots)),
            Err((layout, flaw)) => (layout.unwrap_or(item.layout), useless(flaw)),
        },
        Material::Simple { payload, annotations } => {
            let outcome = match simple::simple(annotations) {
                Ok(sealed) => {
                    let content = Content::Message(Over::Bytes(payload));
                    finished(simple::claim(payload, digest), &sealed, &content, examination, roots)
                }
                Err(flaw) => (simple::claim(payload, digest), Vec::new(), Some(flaw)),
            };
            (item.layout, outcome)
        }
        Material::Envelope { envelope, annotations } => {
            let outcome = match simple::envelope(envelope, annotations) {
                Ok(read) => sealed(&read, &about, examination, roots),
                Err(flaw) => useless(flaw),
            };
            (item.layout, outcome)
        }
    };
    Signature { layout, claim, proofs, flaw }
}

/// What it should be about: an artifact by its digests, and its bytes where they are known.
struct About<'a> {
    bytes: Option<&'a [u8]>,
    digests: Vec<Digest>,
}

type Outcome = (Claim, Vec<Proof>, Option<Flaw>);

fn useless(flaw: Flaw) -> Outcome {
    (Claim::Unreadable(flaw.words.clone()), Vec::new(), Some(flaw))
}

/// Of a signature that says by itself what it is about.
fn sealed(sealed: &Sealed, about: &About<'_>, examination: &Examination, roots: &Roots) -> Outcome {
    match &sealed.bundle.content {
        SignatureContent::MessageSignature(signature) => message(sealed, signature, about, examination, roots),
        SignatureContent::DsseEnvelope(envelope) => {
            let statement = Statement::read(&envelope.payload_type, envelope.payload.as_bytes());
            // Verified with a digest that the statement names, it is known who signed it even if it is of another image.
            let named =
                statement.as_ref().ok().and_then(|its| its.about(&about.digests).cloned().or_else(|| its.named()));
            let claim = match &statement {
                Ok(statement) => statement.claim(&about.digests, &examination.predicates),
                Err(words) => Claim::Unreadable((*words).into()),
            };
            let content = Content::of_envelope(envelope, named);
            let (mut claim, proofs, flaw) = finished(claim, sealed, &content, examination, roots);
            if examination.reports && !proofs.is_empty() {
                attach_report(&mut claim, envelope.payload.as_bytes(), statement.as_ref().ok(), &about.digests);
            }
            let unread = statement.err();
            (claim, proofs, flaw.map(|flaw| unread.map_or(flaw.clone(), |words| unverified(flaw, words))))
        }
        _ => useless(flaw(FlawKind::Unsupported, "its bundle is of a kind that cannot be verified here")),
    }
}

/// Reads the report that a statement carries; only once somebody is known to have made it, since no other counts. Where
/// the report names no digest itself, it is about the one that the statement was asked for.
fn attach_report(claim: &mut Claim, payload: &[u8], statement: Option<&Statement<'_>>, digests: &[Digest]) {
    let Claim::Statement { predicate_type, fields: _, report } = claim else { return };
    let asked = statement.and_then(|statement| statement.about(digests));
    let name = |subject: &mut Subject| {
        if subject.digests().next().is_none() {
            subject.manifests.extend(asked.cloned());
        }
    };
    *report = read_attested(predicate_type, payload).map(|read| match read {
        Ok(mut its) => {
            name(&mut its.outline.subject);
            Ok(Arc::new(its))
        }
        Err(mut unusable) => {
            if let Some(outline) = &mut unusable.outline {
                name(&mut outline.subject);
            }
            Err(Arc::new(unusable))
        }
    });
}

/// Where the verifier would have had to read a statement that cannot be read, that is what is wrong with it.
fn unverified(found: Flaw, words: &str) -> Flaw {
    if found.kind == FlawKind::Unsupported {
        Flaw { claimed: found.claimed, ..flaw(FlawKind::Malformed, words) }
    } else {
        found
    }
}

/// A signature over the bytes of the artifact.
fn message(
    sealed: &Sealed,
    signature: &MessageSignature,
    about: &About<'_>,
    examination: &Examination,
    roots: &Roots,
) -> Outcome {
    let named = match envelope::named(signature) {
        Ok(named) => named,
        Err(flaw) => return useless(flaw),
    };
    // None: whoever verifies it with our own digest learns whether it is ours.
    let other =
        named.as_ref().filter(|named| !statement::digest(named).is_some_and(|its| about.digests.contains(&its)));
    let claim = match other {
        None => Claim::Image { reference: None, annotations: BTreeMap::new() },
        Some(other) => {
            let shortened = statement::digest(other).map_or_else(Arc::default, |digest| statement::shortened(&digest));
            Claim::Elsewhere { predicate_type: None, names: shortened }
        }
    };
    let over = match (about.bytes, other, named.clone()) {
        (Some(bytes), None, _) => Some(Over::Bytes(bytes)),
        (_, _, Some(named)) => Some(Over::Digest(named)),
        (None, _, None) | (_, Some(_), None) => about.digests.first().and_then(statement::artifact).map(Over::Digest),
    };
    let Some(over) = over else {
        return useless(flaw(FlawKind::Unsupported, "it signs bytes of which no digest is known"));
    };
    finished(claim, sealed, &Content::Message(over), examination, roots)
}

/// Who made it.
fn finished(claim: Claim, sealed: &Sealed, content: &Content<'_>, examination: &Examination, roots: &Roots) -> Outcome {
    if !sealed.is_modest() {
        let words = "its certificate or timestamp has more elements than any real one";
        return (claim, Vec::new(), Some(flaw(FlawKind::BeyondBounds, words)));
    }
    let (mut proofs, mut flaws) = (Vec::new(), Vec::new());
    // Never a key where a certificate belongs, and the other way round (GHSA-fx35-mq7g-6g98): material is one or the
    // other, and only the layouts before bundles are tried with both.
    if sealed.has_certificate_material() {
        let (its, flaw) = keyless::proofs(sealed, content, examination, roots);
        proofs.extend(its);
        flaws.extend(flaw);
    }
    if sealed.is_for_keys() {
        let (its, flaw) = keyed::proofs(sealed, content, examination, roots);
        proofs.extend(its);
        flaws.extend(flaw);
    }
    if !proofs.is_empty() {
        return (claim, proofs, None);
    }
    (claim, proofs, flaws.into_iter().next())
}
