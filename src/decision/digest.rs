//! The demand that a tag still names what is on record for it.

use crate::fact::{Fact, ImageFacts};
use crate::image::{Digest, Reference};
use crate::policy::plan::{Judgement, Wait};
use crate::policy::{Demands, Mode, Repointed};

use super::doubt::{self, short};
use super::verdict::Reason;
use super::{Finding, Found};

/// What the record of the tag has against the image. `asked`: how the digest was looked up.
pub(super) fn check(
    judgement: &Judgement,
    demands: &Demands,
    reference: &Reference,
    facts: &ImageFacts,
    asked: Wait,
) -> Found {
    let ImageFacts { resolved: _, recorded, admitted, examined: _, scanned: _ } = facts;
    let gravest = match demands.compares(reference) {
        Repointed::Allow => return Found::met(),
        // Without a record there is nothing that could have changed.
        Repointed::Warn if !matches!(recorded, Fact::Known(_)) => return Found::met(),
        Repointed::Warn => Mode::Warn,
        Repointed::Deny => Mode::Enforce,
    };
    let seen = match doubt::resolved(judgement, reference, facts, asked, gravest) {
        Ok(seen) => seen,
        Err(found) => return found,
    };
    match recorded {
        Fact::Known(record) if seen.value.digest != record.value.digest => {
            let message = repointed(reference, &record.value.digest, &seen.value.digest);
            Found::one(Finding { gravest, reason: Reason::TagRepointed, message })
        }
        Fact::Known(_) | Fact::Absent(_) => Found::on(doubt::basis(seen.source)),
        Fact::Unavailable(trouble) => doubt::cannot_tell(judgement, trouble, admitted, gravest),
        Fact::Pending => doubt::pending(judgement, reference, admitted, gravest),
    }
}

fn repointed(reference: &Reference, before: &Digest, now: &Digest) -> String {
    let tag = reference.tag().unwrap_or("latest");
    let (before, now) = (short(before), short(now));
    format!("\"{tag}\" was {before} when it was last admitted and is {now} now; pin the digest that you mean")
}

#[cfg(test)]
mod tests;
