//! The demand that a tag still names what is on record for it, and what follows where that cannot be told.

use crate::fact::{Admitted, Fact, Fault, ImageFacts, Source, Trouble};
use crate::image::{Digest, Reference};
use crate::policy::plan::{Judgement, Wait};
use crate::policy::{Demands, Inaccessible, Mode, Repointed, Unavailable};
use crate::request::printable;

use super::verdict::{Basis, Reason};
use super::{Finding, Found};

/// How many hex digits tell two digests apart for a person.
const SHORT: usize = 12;
/// A message stays one sentence, whatever hosts and tags are called.
const MESSAGE: usize = 400;

/// What is left to do where a registry is wrong.
const WRONG: &str = "; nothing of it is believed: look at the registry, or at what stands between";

/// What the record of the tag has against the image. `asked`: how the digest was looked up.
pub(super) fn check(
    judgement: &Judgement,
    demands: &Demands,
    reference: &Reference,
    facts: &ImageFacts,
    asked: Wait,
) -> Found {
    let ImageFacts { resolved, recorded, admitted, examined: _ } = facts;
    let gravest = match demands.compares(reference) {
        Repointed::Allow => return Found::met(),
        // Without a record there is nothing that could have changed.
        Repointed::Warn if !matches!(recorded, Fact::Known(_)) => return Found::met(),
        Repointed::Warn => Mode::Warn,
        Repointed::Deny => Mode::Enforce,
    };
    match (resolved, recorded) {
        (Fact::Known(seen), Fact::Known(record)) if seen.value.digest != record.value.digest => {
            let message = repointed(reference, &record.value.digest, &seen.value.digest);
            Found::one(Finding { gravest, reason: Reason::TagRepointed, message })
        }
        (Fact::Known(seen), Fact::Known(_) | Fact::Absent(_)) => Found::on(match seen.source {
            Source::Current | Source::Stale => Basis::EveryDemandMet,
            Source::LastKnown(_) => Basis::LastKnownGood,
        }),
        (Fact::Known(_), Fact::Unavailable(trouble)) | (Fact::Unavailable(trouble), _) => {
            cannot_tell(judgement, trouble, admitted, gravest)
        }
        (Fact::Absent(_), _) => {
            let message = not_found(reference);
            Found::one(Finding { gravest: only_recorded(gravest), reason: Reason::ImageNotFound, message })
        }
        // Refused for its name alone, so nobody was asked.
        (Fact::Pending, _) if asked == Wait::AtHand => Found { unasked: true, ..Found::met() },
        (Fact::Known(_), Fact::Pending) | (Fact::Pending, _) if judgement.mode.max(gravest) == Mode::Enforce => {
            let words = format!("{} has not answered in time", reference.registry());
            cannot_tell(judgement, &Trouble::new(Fault::Deadline, words), admitted, gravest)
        }
        (Fact::Known(_), Fact::Pending) | (Fact::Pending, _) => Found { pending: true, ..Found::met() },
    }
}

/// The policy says whether doubt admits; a demand that only warns leaves it to the record.
fn cannot_tell(judgement: &Judgement, trouble: &Trouble, admitted: &Fact<Admitted>, gravest: Mode) -> Found {
    let tolerance = judgement.tolerance;
    let tolerated = match trouble.fault {
        Fault::Outage | Fault::Deadline => match tolerance.unavailable {
            Unavailable::Admit => true,
            Unavailable::Running => matches!(admitted, Fact::Known(_)),
            Unavailable::Deny => false,
        },
        Fault::Refused => match tolerance.inaccessible {
            Inaccessible::Admit => true,
            Inaccessible::Deny => false,
        },
        Fault::Forbidden | Fault::Mismatch | Fault::Broken => false,
    };
    let (reason, message) = words(trouble);
    let gravest = if tolerated { Mode::Audit } else { only_recorded(gravest) };
    let basis = Basis::UndeterminedButTolerated;
    Found { basis, ..Found::one(Finding { gravest, reason, message }) }
}

/// What a demand that only warns cannot tell is for the record: in an outage every pod would be warned about.
fn only_recorded(gravest: Mode) -> Mode {
    match gravest {
        Mode::Enforce => Mode::Enforce,
        Mode::Warn | Mode::Audit => Mode::Audit,
    }
}

fn words(trouble: &Trouble) -> (Reason, String) {
    let Trouble { fault, words } = trouble;
    let (reason, advice) = match fault {
        Fault::Outage | Fault::Deadline => (Reason::RegistryUnavailable, "; try again"),
        Fault::Refused => {
            (Reason::ImageInaccessible, "; correct the name, or give the pod a pull secret that may read it")
        }
        Fault::Forbidden => (Reason::RegistryForbidden, ""),
        Fault::Mismatch => (Reason::DigestMismatch, WRONG),
        Fault::Broken => (Reason::RegistryBroken, WRONG),
    };
    (reason, printable(words, MESSAGE) + advice)
}

fn not_found(reference: &Reference) -> String {
    let (registry, repository) = (reference.registry(), reference.repository());
    let what = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => format!("manifest {}", short(digest)),
        (None, tag) => format!("tag \"{}\"", tag.unwrap_or("latest")),
    };
    let message = format!("{registry} answered 404, it has no {what} in {repository}; correct the name, or push it");
    printable(&message, MESSAGE)
}

fn repointed(reference: &Reference, before: &Digest, now: &Digest) -> String {
    let tag = reference.tag().unwrap_or("latest");
    let (before, now) = (short(before), short(now));
    format!("\"{tag}\" was {before} when it was last admitted and is {now} now; pin the digest that you mean")
}

fn short(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}:{}", digest.algorithm(), hex.get(..SHORT).unwrap_or(hex))
}

#[cfg(test)]
mod tests;
