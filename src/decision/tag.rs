//! The demands on a name alone, in words: denied and allowed tags, and the digest.

use std::sync::Arc;

use crate::image::Reference;
use crate::policy::plan::StaticRefusal;
use crate::policy::{Demands, TagDemands};

use super::verdict::Reason;

/// What the demands have against the name of the image.
pub(super) fn words(refusals: &[StaticRefusal], demands: &Demands, reference: &Reference) -> Vec<(Reason, String)> {
    let Demands { tags, signatures: _, attestations: _, scan: _, examination: _ } = demands;
    refusals.iter().map(|refusal| one(*refusal, reference.tag(), tags.as_ref())).collect()
}

fn one(refusal: StaticRefusal, tag: Option<&str>, demands: Option<&TagDemands>) -> (Reason, String) {
    let tag = tag.unwrap_or("latest");
    match refusal {
        StaticRefusal::TagDenied { missing: true } => {
            (Reason::TagMutable, format!("no tag means \"{tag}\", which can change under you; pin a digest"))
        }
        StaticRefusal::TagDenied { missing: false } => {
            (Reason::TagMutable, format!("\"{tag}\" can change under you; pin a digest"))
        }
        StaticRefusal::TagNotAllowed { missing } => {
            let what = if missing { format!("no tag means \"{tag}\", which") } else { format!("\"{tag}\"") };
            let allowed = allowed(demands);
            (
                Reason::TagNotAllowed,
                format!("{what} is not among the allowed tags ({allowed}); use one or pin a digest"),
            )
        }
        StaticRefusal::NoDigest => {
            (Reason::DigestMissing, "the name has no digest; pin one as name@sha256:...".to_owned())
        }
    }
}

/// At most three patterns: the sentence must stay one.
fn allowed(demands: Option<&TagDemands>) -> Arc<str> {
    let patterns = demands.map_or(&[][..], |demands| &demands.allow);
    let mut shown: Vec<&str> = patterns.iter().take(3).map(crate::image::TagPattern::as_str).collect();
    if patterns.len() > shown.len() {
        shown.push("...");
    }
    shown.join(", ").into()
}
