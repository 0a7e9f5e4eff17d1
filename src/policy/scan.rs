//! What a policy demands of scan reports, and what reports come to under it. Pure.
//!
//! Here because two rooms ask it and neither may name the other: `evidence`, to know whether attested reports are enough or
//! must be looked for anew, and `decision`, to answer. Time and waivers are evaluated whenever somebody asks, never kept.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::fact::report::{Counts, Finding, Origin, ScannerKind, Severity, Sourced, Unusable};
use crate::image::{Pattern, Reference};

use super::document::Mistake;
use super::document::reader::Place;
use super::document::wording::excerpt;
use super::trust::Authority;
use super::{Action, Policy, RuleName};

mod judge;
#[cfg(test)]
mod tests;

/// How far ahead of our clock a scan may be dated: clocks differ by seconds, and a report from the future would be the
/// newest for ever.
pub const AHEAD: Duration = Duration::from_mins(5);
/// So long before its end a waiver is announced as ending.
pub const ANNOUNCED: Duration = Duration::from_hours(14 * 24);

/// What follows from a state of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    Deny,
    Warn,
    Allow,
}

/// `vulnerabilities` of a rule.
#[derive(Debug)]
pub struct ScanDemand {
    /// Findings of this severity or above are refused.
    pub threshold: Severity,
    /// Findings of unknown severity count as if they were at the threshold.
    pub count_unknown: bool,
    /// So many of a severity are tolerated, by severity.
    pub tolerated: Tolerated,
    /// Only findings that have a fix count.
    pub fixable_only: bool,
    /// A finding counts only once its fix is so old, where its date is known.
    pub fixable_for: Option<Duration>,
    pub waivers: Vec<Waiver>,
    /// Identifiers that are refused whatever else is said; no waiver helps.
    pub refuse: Vec<Box<str>>,
    /// How old a scan may be; none: any age.
    pub max_age: Option<Duration>,
    pub missing: Response,
    /// So long after the first review that missed a report, a missing report only warns.
    pub missing_grace: Option<Duration>,
    pub stale: Response,
    /// A digest that the namespace has already: softens threshold and stale.
    pub running: Response,
    /// And only so long after the first review that would have refused it.
    pub running_for: Option<Duration>,
    /// Each of these must have reported; empty: any one.
    pub scanners: Vec<ScannerKind>,
    /// Findings that the scanner was told to leave out count as well, where the report still has them.
    pub count_suppressed: bool,
    /// Empty: reports of directories and objects count. Else only those that one of these attested.
    pub authorities: Vec<Arc<Authority>>,
}

/// How many findings of each severity are tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerated {
    pub negligible: u32,
    pub low: u32,
    pub medium: u32,
    pub high: u32,
    pub critical: u32,
}

/// An exception that somebody answers for, and that ends.
#[derive(Debug, Clone)]
pub struct Waiver {
    /// Compared with every identifier of a finding, in any case.
    pub id: Box<str>,
    /// The last day on which it holds.
    pub until: Date,
    /// The first moment at which it does not: the end of that day, UTC.
    pub ends: Timestamp,
    pub reason: Box<str>,
    pub owner: Box<str>,
    /// Only in this package.
    pub package: Option<Box<str>>,
    /// Only in these images; empty: in all that the rule matches.
    pub images: Vec<Pattern>,
}

/// A waiver, and where a policy says when it ends.
#[derive(Debug)]
pub struct WrittenWaiver {
    pub waiver: Waiver,
    pub place: Place,
}

/// What the reports about one manifest come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged<'r> {
    /// The one that decides for each scanner, in the order of the scanners' names. Never one that is stale beside one that
    /// is not, unless its scanner is demanded by name.
    pub reports: Vec<JudgedReport<'r>>,
    /// Demanded, and there is no usable report by it.
    pub lacking: Vec<ScannerKind>,
    /// What there is and cannot be used, those that are dated ahead among them.
    pub unusable: Vec<(Origin, Arc<str>, Unusable)>,
}

/// What one report comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedReport<'r> {
    pub sourced: &'r Sourced,
    /// Older than `maxAge`, or not dated while there is a `maxAge`.
    pub stale: bool,
    /// Findings of `refuse`, worst first.
    pub refused: Vec<Finding<'r>>,
    /// More at or above the threshold than is tolerated.
    pub over: Option<Over<'r>>,
    /// How many were left out by a waiver that holds.
    pub waived: u32,
}

/// What counts and is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over<'r> {
    /// Of everything that counts, at or above the threshold; unknown ones are counted as unknown.
    pub counts: Counts,
    /// Everything that counts, worst first, those with a fix before those without.
    pub findings: Vec<Finding<'r>>,
}

impl Judged<'_> {
    /// Every report that is demanded is there, is fresh, and has nothing against the image.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        let clear = |report: &JudgedReport<'_>| !report.stale && report.refused.is_empty() && report.over.is_none();
        !self.is_missing() && self.reports.iter().all(clear)
    }

    /// There is no usable report, or none by a scanner that is demanded.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.reports.is_empty() || !self.lacking.is_empty()
    }
}

impl ScanDemand {
    /// Whether an image without any report is told of.
    #[must_use]
    pub fn needs_a_report(&self) -> bool {
        self.missing != Response::Allow || !self.authorities.is_empty()
    }

    /// Judges what speaks of one manifest of an image. `found`: usable reports, of any origin and scanner, in any order,
    /// several of one scanner too: of each scanner the newest of the first origin that has one decides (of the same moment:
    /// the worst). The order of what comes in changes nothing.
    #[must_use]
    pub fn judge<'r>(
        &self,
        found: &[&'r Sourced],
        unusable: &[&'r (Origin, Arc<str>, Unusable)],
        image: &Reference,
        now: Timestamp,
    ) -> Judged<'r> {
        judge::judge(self, found, unusable, image, now)
    }

    /// The waivers that have ended and would have left out one of these findings.
    #[must_use]
    pub fn ended_waivers<'w>(&'w self, findings: &[Finding<'_>], image: &Reference, now: Timestamp) -> Vec<&'w Waiver> {
        let concerns = |waiver: &&Waiver| findings.iter().any(|finding| waiver.concerns(finding, image));
        self.waivers.iter().filter(|waiver| waiver.ends <= now).filter(concerns).collect()
    }
}

impl Waiver {
    /// Whether it is about this finding in this image, whether or not it still holds.
    #[must_use]
    pub fn concerns(&self, finding: &Finding<'_>, image: &Reference) -> bool {
        let package = self.package.as_deref().is_none_or(|package| package == finding.package);
        let images = || self.images.is_empty() || self.images.iter().any(|pattern| pattern.matches(image));
        package && finding.is(&self.id) && images()
    }

    /// What to say of its end: nothing until it is near.
    #[must_use]
    pub fn announcement(&self, now: Timestamp) -> Option<String> {
        let Self { id, until, ends, reason: _, owner, package: _, images: _ } = self;
        let (id, owner) = (excerpt(id), excerpt(owner));
        if *ends <= now {
            return Some(format!("the waiver of {id} ended on {until} and has no effect (owner {owner})"));
        }
        self.is_announced(now).then(|| format!("the waiver of {id} ends on {until} (owner {owner})"))
    }

    /// It has ended, or will soon.
    #[must_use]
    pub fn is_announced(&self, now: Timestamp) -> bool {
        self.ends.duration_since(now) <= SignedDuration::try_from(ANNOUNCED).unwrap_or(SignedDuration::MAX)
    }
}

impl Policy {
    /// Of every rule, in its order.
    pub fn waivers(&self) -> impl Iterator<Item = (&RuleName, &Waiver)> {
        self.rules.iter().flat_map(|rule| {
            let waivers = match &rule.action {
                Action::Require(demands) => demands.scan.as_ref().map_or(&[][..], |scan| &scan.waivers),
                Action::Admit | Action::Refuse(_) => &[],
            };
            waivers.iter().map(|waiver| (&rule.name, waiver))
        })
    }
}

/// Those of these waivers that have ended or will soon, each where `source` says so.
#[must_use]
pub fn waiver_warnings(waivers: &[WrittenWaiver], source: &str, now: Timestamp) -> Vec<Mistake> {
    let told = |WrittenWaiver { waiver, place: Place { path, line } }: &WrittenWaiver| {
        let message = waiver.announcement(now)?;
        Some(Mistake { source: source.to_owned(), line: *line, path: path.clone(), message })
    };
    waivers.iter().filter_map(told).collect()
}

impl Tolerated {
    #[must_use]
    pub fn of(self, severity: Severity) -> u32 {
        match severity {
            Severity::Negligible => self.negligible,
            Severity::Low => self.low,
            Severity::Medium => self.medium,
            Severity::High => self.high,
            Severity::Critical => self.critical,
        }
    }
}
