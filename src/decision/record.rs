//! What is worth remembering of an admission: the digests that a namespace was let have, and what its tags named.

use std::sync::Arc;

use crate::fact::{Admitted, Fact, Facts, Guard, ImageFacts, Record, Recorded, Source};
use crate::image::{Digest, Reference};
use crate::policy::plan::{Plan, Ruling, Want};
use crate::policy::{Mode, Repointed};
use crate::request::{Container, Role};

use super::Outcome;
use super::verdict::ImageVerdict;

/// What the namespace now has: the digests of its images that were let in, and what their tags named where an
/// enforcing policy let them in.
pub(super) fn records(
    plan: &Plan<'_>,
    containers: &[Container],
    images: &[ImageVerdict],
    softened: Vec<OfScan>,
    facts: &Facts,
) -> Vec<Record> {
    if plan.request.role == Role::Controller {
        // A controller runs nothing itself; its pods are recorded when they come.
        return Vec::new();
    }
    let namespace = &plan.request.namespace;
    let mut records = Vec::new();
    for image in images.iter().filter(|image| image.basis.is_some()) {
        let Some(Ok(reference)) = containers.get(image.container).map(|container| &container.reference) else {
            continue;
        };
        let Some(digest) = &image.digest else { continue };
        let mut judged_by = plan.judgements.iter().filter(|judgement| judgement.container == image.container);
        let want = judged_by.find_map(|judgement| judgement.want);
        let judged = want.and_then(|want| judged(plan.wants.get(want)?, facts.images.get(want)?));
        let known = want.and_then(|want| facts.images.get(want)).map(|facts| &facts.admitted);
        if is_more(known, judged.as_deref()) {
            records.push(Record::Admitted { namespace: namespace.clone(), digest: digest.clone(), judged });
        }
        let judgements = plan.judgements.iter().filter(|judgement| judgement.container == image.container);
        let enforced = judgements.filter(|judgement| judgement.mode == Mode::Enforce);
        let strictest = enforced.map(|judgement| (guard(&judgement.ruling, reference), judgement.want)).min();
        let Some((guard, Some(want))) = strictest else { continue };
        let recorded = Recorded { digest: digest.clone(), guard };
        if let Some(facts) = facts.images.get(want)
            && reference.digest().is_none()
            && is_news(facts, &recorded)
        {
            records.push(Record::Tag { address: reference.address(), recorded });
        }
    }
    records.extend(softened.into_iter().map(|its| its.record(namespace)));
    records
}

/// The manifests of an index that were judged by their scans: others of it were not let in by that. None where nothing
/// was asked of scans.
fn judged(want: &Want<'_>, facts: &ImageFacts) -> Option<Arc<[Digest]>> {
    want.scan?;
    let manifests = facts.scanned.iter().flat_map(|scanned| &scanned.manifests);
    Some(manifests.filter(|manifest| manifest.index.is_some()).map(|manifest| manifest.digest.clone()).collect())
}

/// Whether that is more than what is on record.
fn is_more(known: Option<&Fact<Admitted>>, judged: Option<&[Digest]>) -> bool {
    let Some(Fact::Known(seen)) = known else { return true };
    let before = seen.value.judged.as_deref();
    before.is_some_and(|before| judged.is_some_and(|judged| judged.iter().any(|its| !before.contains(its))))
}

/// What is worth remembering of the scans of one image.
pub(super) enum OfScan {
    Softened { digest: Digest, by: Arc<str>, held: bool },
    Missed(Digest),
}

impl OfScan {
    fn record(self, namespace: &str) -> Record {
        match self {
            Self::Softened { digest, by, held } => {
                Record::Softened { namespace: namespace.to_owned(), digest, by, held }
            }
            Self::Missed(digest) => Record::Missed { digest },
        }
    }
}

/// What judgements softened for the first time, or need not any more, and where a report was missed first.
pub(super) fn softened(outcomes: &[Outcome<'_>], facts: &Facts) -> Vec<OfScan> {
    let mut softened = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.held.is_some() || outcome.missed) {
        let Some(facts) = outcome.judgement.want.and_then(|want| facts.images.get(want)) else { continue };
        let (Fact::Known(resolved), known) = (&facts.resolved, &facts.admitted) else { continue };
        let digest = resolved.value.digest.clone();
        if let Some(held) = outcome.held {
            let by: Arc<str> = outcome.judgement.by().into();
            let known = matches!(known, Fact::Known(seen) if seen.value.softened.iter().any(|its| its.by == by));
            if known != held {
                softened.push(OfScan::Softened { digest: digest.clone(), by, held });
            }
        }
        if outcome.missed {
            softened.push(OfScan::Missed(digest));
        }
    }
    softened
}

/// What a ruling does about a tag that was moved.
fn guard(ruling: &Ruling, reference: &Reference) -> Guard {
    let Some(demands) = ruling.demands() else { return Guard::Nothing };
    match demands.compares(reference) {
        Repointed::Deny => Guard::Refuses,
        Repointed::Warn => Guard::Warns,
        Repointed::Allow => Guard::Nothing,
    }
}

/// Neither what is on record already, at least as strictly, which its look-up keeps alive; nor what was seen a while ago.
fn is_news(facts: &ImageFacts, recorded: &Recorded) -> bool {
    let kept = |known: &Recorded| known.digest == recorded.digest && known.guard <= recorded.guard;
    let on_record = matches!(&facts.recorded, Fact::Known(known) if kept(&known.value));
    let current = matches!(&facts.resolved, Fact::Known(seen) if seen.source == Source::Current);
    current && !on_record
}
