//! What could not be told, and what follows from it: the policy says whether doubt admits, and never that it is overlooked.

use crate::fact::{Admitted, Fact, Fault, ImageFacts, Resolved, Seen, Source, Trouble};
use crate::image::{Digest, Reference};
use crate::policy::plan::{Judgement, Wait};
use crate::policy::{Inaccessible, Mode, Unavailable};
use crate::request::printable;

use super::verdict::{Basis, Reason};
use super::{Finding, Found};

/// How many hex digits tell two digests apart for a person.
const SHORT: usize = 12;
/// A message stays one sentence, whatever hosts and tags are called.
pub(super) const MESSAGE: usize = 400;

/// What is left to do where a registry is wrong.
const WRONG: &str = "; nothing of it is believed: look at the registry, or at what stands between";

/// What the name stands for, or what follows where a demand depends on it and it is not known. `asked`: how it was
/// looked up.
pub(super) fn resolved<'f>(
    judgement: &Judgement,
    reference: &Reference,
    facts: &'f ImageFacts,
    asked: Wait,
    gravest: Mode,
) -> Result<&'f Seen<Resolved>, Found> {
    match &facts.resolved {
        Fact::Known(seen) => Ok(seen),
        Fact::Unavailable(trouble) => Err(cannot_tell(judgement, trouble, &facts.admitted, gravest)),
        Fact::Absent(_) => {
            let message = not_found(reference);
            Err(Found::one(Finding { gravest: only_recorded(gravest), reason: Reason::ImageNotFound, message }))
        }
        // Refused for its name alone, so nobody was asked.
        Fact::Pending if asked == Wait::AtHand => Err(Found::unasked()),
        Fact::Pending => Err(pending(judgement, reference, &facts.admitted, gravest)),
    }
}

/// How good an answer is that rests on this.
pub(super) fn basis(source: Source) -> Basis {
    match source {
        Source::Current | Source::Stale => Basis::EveryDemandMet,
        Source::LastKnown(_) => Basis::LastKnownGood,
    }
}

/// What is still being looked up: an enforced demand cannot wait for it any longer.
pub(super) fn pending(judgement: &Judgement, reference: &Reference, admitted: &Fact<Admitted>, gravest: Mode) -> Found {
    if judgement.mode.max(gravest) != Mode::Enforce {
        return Found { pending: true, ..Found::met() };
    }
    let words = format!("{} has not answered in time", reference.registry());
    cannot_tell(judgement, &Trouble::new(Fault::Deadline, words), admitted, gravest)
}

/// The policy says whether doubt admits; a demand that only warns leaves it to the record.
pub(super) fn cannot_tell(judgement: &Judgement, trouble: &Trouble, admitted: &Fact<Admitted>, gravest: Mode) -> Found {
    cannot_tell_as(judgement, trouble.fault, words(trouble), admitted, gravest)
}

/// The same in other words than those for a registry.
pub(super) fn cannot_tell_as(
    judgement: &Judgement,
    fault: Fault,
    (reason, message): (Reason, String),
    admitted: &Fact<Admitted>,
    gravest: Mode,
) -> Found {
    let tolerance = judgement.tolerance;
    let tolerated = match fault {
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

/// `sha256:0123456789ab`
pub(super) fn short(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}:{}", digest.algorithm(), hex.get(..SHORT).unwrap_or(hex))
}
