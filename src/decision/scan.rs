//! The demand on scan reports: what each manifest that the pod could be given is reported to contain, and what follows.
//!
//! Missing, failed, stale and pending are four different things, and none of them is clean. What runs already is softened
//! by the policy for a time, but never what it refuses by name.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::report::{Origin, Scanned, ScannedManifest, Sourced, Unusable};
use crate::fact::{Admitted, Content, Examined, Fact, Fault, ImageFacts, Resolved, Seen, Source, Trouble};
use crate::image::{Digest, Reference};
use crate::policy::Mode;
use crate::policy::plan::{Judgement, Wait, is_image};
use crate::policy::scan::{Judged, JudgedReport, Response, ScanDemand};
use crate::policy::signed::AttestedReports;

use super::verdict::{Basis, Reason, ReportVerdict};
use super::{Finding, Found, doubt};

mod listing;
mod words;

/// One scan demand on one image, with what is known for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) judgement: &'a Judgement,
    pub(super) demand: &'a ScanDemand,
    pub(super) reference: &'a Reference,
    pub(super) facts: &'a ImageFacts,
    pub(super) resolved: &'a Seen<Resolved>,
    pub(super) scanned: &'a Scanned,
    /// What is attached; only where reports must be attested.
    pub(super) examined: Option<&'a Examined>,
    /// How long was waited for it.
    pub(super) asked: Wait,
    pub(super) now: Timestamp,
}

/// What there is about one manifest, before it is judged.
enum There<'a> {
    Unattested(&'a [Sourced], &'a [(Origin, Arc<str>, Unusable)]),
    Attested(AttestedReports),
}

/// Why it cannot be told whether there is more.
#[derive(Clone, Copy)]
enum Doubt<'a> {
    /// A registry, or our own clock.
    Registry(&'a Trouble),
    /// Where reports are kept.
    Reports(&'a Trouble),
    Pending,
}

/// What the policy does about a digest that the namespace has.
struct Softening {
    response: Response,
    /// It ends by then.
    until: Option<Timestamp>,
}

pub(super) fn check(case: Case<'_>) -> Found {
    if case.scanned.manifests.is_empty() {
        // An index of nothing that could run: nothing of it was scanned.
        let message = words::nothing_to_run();
        return told(Response::Deny, Reason::ReportMissing, message);
    }
    let (mut found, mut doubts, mut clear) = (Found::on(case.basis()), Vec::new(), true);
    for manifest in &case.scanned.manifests {
        let there = match case.there(manifest) {
            Ok(there) => there,
            Err(doubt) => {
                doubts.push(doubt);
                continue;
            }
        };
        let judged = there.judged(&case);
        clear &= judged.is_clear();
        match judged.is_missing().then(|| case.doubt(manifest, &there)).flatten() {
            Some(doubt) => doubts.push(doubt),
            None => found = found.and(case.outcome(manifest, &judged)),
        }
    }
    // Refused for certain: what could not be told of other manifests changes nothing.
    let refused = found.findings.iter().any(|finding| finding.gravest == Mode::Enforce);
    if !refused && let Some(doubt) = doubts.into_iter().min_by_key(Doubt::lasts) {
        return found.and(case.undetermined(doubt));
    }
    // What was held against one platform, another that is clean does not take away, nor does a report that is gone.
    if clear && found.held.is_none() && case.was_held() && case.looks_at_all_that_were_admitted() {
        found.held = Some(false);
    }
    found
}

/// What the image was judged by, or what there is instead.
pub(super) fn listing(case: Case<'_>) -> Vec<ReportVerdict> {
    let mut list = Vec::new();
    for manifest in &case.scanned.manifests {
        match case.there(manifest) {
            Ok(there) => {
                let judged = there.judged(&case);
                let doubt = judged.is_missing().then(|| case.doubt(manifest, &there)).flatten();
                listing::of(&case, manifest, &judged, doubt, &mut list);
            }
            Err(doubt) => listing::of(&case, manifest, &Judged::default(), Some(doubt), &mut list),
        }
    }
    list
}

impl There<'_> {
    fn judged<'t>(&'t self, case: &Case<'_>) -> Judged<'t> {
        let (found, unusable): (Vec<&Sourced>, Vec<&(Origin, Arc<str>, Unusable)>) = match self {
            Self::Unattested(found, unusable) => (found.iter().collect(), unusable.iter().collect()),
            Self::Attested(reports) => (reports.usable(), reports.unusable()),
        };
        case.demand.judge(&found, &unusable, case.reference, case.now)
    }
}

impl Doubt<'_> {
    /// One that may pass is told first: trying again will show the rest.
    fn lasts(&self) -> bool {
        match self {
            Self::Pending => false,
            Self::Registry(trouble) | Self::Reports(trouble) => !trouble.fault.passes(),
        }
    }
}

impl<'a> Case<'a> {
    fn there(&self, manifest: &'a ScannedManifest) -> Result<There<'a>, Doubt<'a>> {
        if !self.demand.authorities.is_empty() {
            let none = AttestedReports::default();
            let attested = self.examined.map_or(none, |examined| self.demand.attested(examined, manifest, self.now));
            return Ok(There::Attested(attested));
        }
        match &manifest.reports {
            Some(Fact::Known(seen)) => Ok(There::Unattested(&seen.value.found, &seen.value.unusable)),
            Some(Fact::Absent(_)) => Ok(There::Unattested(&[], &[])),
            Some(Fact::Unavailable(trouble)) => Err(Doubt::Reports(trouble)),
            // Nobody was asked, or is still being asked.
            Some(Fact::Pending) | None => Err(Doubt::Pending),
        }
    }

    /// What is missing may be where nobody could look.
    fn doubt(&self, manifest: &'a ScannedManifest, there: &There<'_>) -> Option<Doubt<'a>> {
        // A report that knows the configuration alone cannot be found without it.
        let by_config = match (&manifest.config, there) {
            (Fact::Known(_) | Fact::Absent(_), _) => None,
            (_, There::Attested(reports)) if !reports.untold => None,
            (Fact::Unavailable(trouble), _) => Some(Doubt::Registry(trouble)),
            (Fact::Pending, _) => Some(Doubt::Pending),
        };
        by_config.or_else(|| match there {
            There::Unattested(..) => None,
            There::Attested(_) => self.unseen(manifest),
        })
    }

    /// Of what is attached, what could not be looked at.
    fn unseen(&self, manifest: &ScannedManifest) -> Option<Doubt<'a>> {
        // Nothing at all was looked at.
        let Some(examined) = self.examined else { return Some(Doubt::Pending) };
        let own = examined.own.iter();
        let platforms = examined.platforms.iter().flatten();
        let of_platform = platforms.filter(|(its, _)| its.digest == manifest.digest).map(|(_, fact)| fact);
        let doubts = own.chain(of_platform).filter_map(|fact| match fact {
            Fact::Unavailable(trouble) => Some(Doubt::Registry(trouble)),
            Fact::Known(seen) => seen.value.unread.as_ref().map(Doubt::Registry),
            Fact::Pending => Some(Doubt::Pending),
            Fact::Absent(_) => None,
        });
        doubts.min_by_key(Doubt::lasts)
    }

    fn undetermined(&self, doubt: Doubt<'_>) -> Found {
        let Self { judgement, facts, .. } = self;
        match doubt {
            Doubt::Pending if self.asked == Wait::AtHand => Found::unasked(),
            Doubt::Pending if judgement.mode != Mode::Enforce => Found { pending: true, ..Found::met() },
            Doubt::Pending => {
                let told = (Reason::ReportPending, words::not_in_time());
                doubt::cannot_tell_as(judgement, Fault::Deadline, told, &facts.admitted, Mode::Enforce)
            }
            Doubt::Registry(trouble) => doubt::cannot_tell(judgement, trouble, &facts.admitted, Mode::Enforce),
            Doubt::Reports(trouble) => {
                let told = (Reason::ReportPending, words::reports_unknown(trouble));
                doubt::cannot_tell_as(judgement, trouble.fault, told, &facts.admitted, Mode::Enforce)
            }
        }
    }

    /// What the reports about one manifest come to.
    fn outcome(&self, manifest: &ScannedManifest, judged: &Judged<'_>) -> Found {
        let mut found = Found::met();
        if judged.is_missing() {
            found = found.and(self.missing(manifest, judged));
        }
        judged.reports.iter().fold(found, |found, report| found.and(self.report(manifest, report)))
    }

    fn missing(&self, manifest: &ScannedManifest, judged: &Judged<'_>) -> Found {
        let (reason, message) = words::missing(self, manifest, judged);
        let grace = self.demand.missing_grace.filter(|_| self.demand.missing == Response::Deny);
        let Some(grace) = grace else { return told(self.demand.missing, reason, message) };
        let first = self.scanned.first_missed.unwrap_or(self.now);
        let until = first.saturating_add(grace).unwrap_or(Timestamp::MAX);
        if self.now >= until {
            return told(Response::Deny, reason, message);
        }
        let message = words::until(&message, "", until);
        Found { missed: self.scanned.first_missed.is_none(), ..told(Response::Warn, reason, message) }
    }

    fn report(&self, manifest: &ScannedManifest, report: &JudgedReport<'_>) -> Found {
        let mut found = Found::met();
        if !report.refused.is_empty() {
            let message = words::refused(manifest, report);
            found = found.and(told(Response::Deny, Reason::VulnerabilityRefused, message));
        }
        if let Some(over) = &report.over {
            let message = words::vulnerable(self, manifest, report, over);
            found = found.and(self.softened(manifest, Response::Deny, Reason::Vulnerable, message));
        }
        if report.stale {
            let message = words::stale(self, manifest, report);
            found = found.and(self.softened(manifest, self.demand.stale, Reason::ReportStale, message));
        }
        found
    }

    /// The same where the namespace has the digest already: as the policy says, and for so long.
    fn softened(&self, manifest: &ScannedManifest, response: Response, reason: Reason, message: String) -> Found {
        let softening = self.softening(manifest).filter(|_| response == Response::Deny);
        let Some(Softening { response: softer, until }) = softening else {
            return told(response, reason, message);
        };
        let message = match until {
            Some(until) => words::until(&message, words::RUNNING, until),
            None => words::running(&message),
        };
        Found { held: Some(true), ..told(softer, reason, message) }
    }

    fn softening(&self, manifest: &ScannedManifest) -> Option<Softening> {
        let Fact::Known(Seen { value: Admitted { first: _, judged, platforms, softened }, .. }) = &self.facts.admitted
        else {
            return None;
        };
        // A pod on one platform of an index lets nobody have the others.
        let runs =
            || manifest.platform.as_ref().is_some_and(|its| platforms.iter().any(|node| node.could_run(Some(its))));
        let is_other =
            |judged: &Arc<[Digest]>| manifest.index.is_some() && !judged.contains(&manifest.digest) && !runs();
        if self.demand.running == Response::Deny || judged.as_ref().is_some_and(is_other) {
            return None;
        }
        let response = self.demand.running;
        let Some(running_for) = self.demand.running_for else { return Some(Softening { response, until: None }) };
        let by = self.by();
        let since = softened.iter().find(|its| *its.by == *by).map_or(self.now, |its| its.since);
        let until = since.saturating_add(running_for).unwrap_or(Timestamp::MAX);
        (self.now < until).then_some(Softening { response, until: Some(until) })
    }

    fn was_held(&self) -> bool {
        let Fact::Known(seen) = &self.facts.admitted else { return false };
        !seen.value.softened.is_empty() && {
            let by = self.by();
            seen.value.softened.iter().any(|its| *its.by == *by)
        }
    }

    /// Whether this review looks at every manifest that the namespace was let have.
    fn looks_at_all_that_were_admitted(&self) -> bool {
        let Fact::Known(Seen { value: Admitted { judged, .. }, .. }) = &self.facts.admitted else { return true };
        let looks_at = |digest: &Digest| self.scanned.manifests.iter().any(|its| its.digest == *digest);
        match (judged, &self.resolved.value.content) {
            (Some(judged), _) => judged.iter().all(looks_at),
            (None, Content::Index(listed)) => {
                listed.iter().filter(|its| is_image(its)).all(|its| looks_at(&its.digest))
            }
            (None, Content::Image { .. }) => true,
        }
    }

    /// `policy/rule`
    fn by(&self) -> String {
        self.judgement.by()
    }

    /// A name that is known from before, or what was attested then, is as good as it was then.
    fn basis(&self) -> Basis {
        let named = if self.reference.digest().is_some() { Source::Current } else { self.resolved.source };
        let attached = self.examined.filter(|_| !self.demand.authorities.is_empty()).into_iter().flat_map(|examined| {
            let platforms = examined.platforms.iter().flatten().map(|(_, fact)| fact);
            examined.own.iter().chain(platforms).filter_map(|fact| match fact {
                Fact::Known(seen) => Some(seen.source),
                Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
            })
        });
        attached.chain([named]).map(doubt::basis).max().unwrap_or(Basis::EveryDemandMet)
    }
}

fn told(response: Response, reason: Reason, message: String) -> Found {
    let gravest = match response {
        Response::Deny => Mode::Enforce,
        Response::Warn => Mode::Warn,
        Response::Allow => return Found::met(),
    };
    Found::one(Finding { gravest, reason, message })
}

#[cfg(test)]
mod tests;
