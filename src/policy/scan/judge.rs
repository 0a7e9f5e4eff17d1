//! Which report decides, and what it comes to.
//!
//! Promises: whatever comes in twice, or in another order, is judged the same; a finding more, a waiver less, a later
//! moment for a waiver never admit more. Refuses to let a report decide that is dated ahead of our clock, that is by a
//! scanner which is not demanded where some are, or that is (or is not) attested where it must not (or must) be.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::fact::report::{Counts, Defect, Finding, Origin, Report, Scanner, ScannerKind, Severity, Sourced, Unusable};
use crate::image::Reference;

use super::{AHEAD, Judged, JudgedReport, Over, ScanDemand};

pub(super) fn judge<'r>(
    demand: &ScanDemand,
    found: &[&'r Sourced],
    unusable: &[&'r (Origin, Arc<str>, Unusable)],
    image: &Reference,
    now: Timestamp,
) -> Judged<'r> {
    let mut candidates: Vec<&'r Sourced> = Vec::with_capacity(found.len());
    let mut left: Vec<(Origin, Arc<str>, Unusable)> = Vec::new();
    for sourced in found {
        let outline = &sourced.report.outline;
        if !demand.believes(sourced.origin) || !demand.wants(&outline.scanner) {
            continue;
        }
        match outline.scanned_at {
            Some(at) if is_ahead(at, now) => {
                left.push((sourced.origin, Arc::clone(&sourced.place), ahead(&sourced.report, at)));
            }
            Some(_) | None => candidates.push(sourced),
        }
    }
    // Whose it is may be unknown: then it may be the one that is missed.
    let nobodys = |scanner: &Scanner| scanner.kind.is_none() && scanner.name.is_empty();
    let wanted = |scanner: &Scanner| demand.wants(scanner) || nobodys(scanner);
    let may_be_wanted = |why: &Unusable| why.outline.as_ref().is_none_or(|outline| wanted(&outline.scanner));
    let kept = unusable.iter().filter(|(origin, _, why)| demand.believes(*origin) && may_be_wanted(why));
    left.extend(kept.map(|&kept| kept.clone()));
    let reports = decisive(demand, candidates, image, now);
    Judged { lacking: lacking(demand, &reports), reports, unusable: once(left) }
}

impl ScanDemand {
    /// Nobody named who may attest: then anybody could, so that no attested report counts. Where somebody is named,
    /// no other report counts.
    fn believes(&self, origin: Origin) -> bool {
        match origin {
            Origin::Attestation => !self.authorities.is_empty(),
            Origin::Directory | Origin::Object => self.authorities.is_empty(),
        }
    }

    fn wants(&self, scanner: &Scanner) -> bool {
        self.scanners.is_empty() || scanner.kind.is_some_and(|kind| self.scanners.contains(&kind))
    }

    fn is_stale(&self, report: &Report, now: Timestamp) -> bool {
        let Some(most) = self.max_age else { return false };
        report.outline.scanned_at.is_none_or(|at| age(at, now) > most)
    }
}

/// Of each scanner the report that decides, in the order of their names.
fn decisive<'r>(
    demand: &ScanDemand,
    mut candidates: Vec<&'r Sourced>,
    image: &Reference,
    now: Timestamp,
) -> Vec<JudgedReport<'r>> {
    let outline = |its: &Sourced| (its.origin, Reverse(its.report.outline.scanned_at));
    candidates.sort_unstable_by(|one, other| scanner(one, other).then_with(|| outline(one).cmp(&outline(other))));
    let mut reports = Vec::new();
    for by_one in candidates.chunk_by(|one, other| scanner(one, other).is_eq()) {
        let newest = by_one.iter().take_while(|its| by_one.first().is_some_and(|first| outline(first) == outline(its)));
        let weighed = newest.map(|sourced| Weighed::of(demand, sourced, image, now));
        reports.extend(weighed.max_by(Weighed::compare).map(|worst| worst.judged));
    }
    // Another scanner's fresh report is worth more than what one said long ago.
    if demand.scanners.is_empty() && reports.iter().any(|report| !report.stale) {
        reports.retain(|report| !report.stale);
    }
    reports
}

/// By the name of who scanned, in any case.
fn scanner(one: &Sourced, other: &Sourced) -> Ordering {
    fn name(its: &Sourced) -> impl Iterator<Item = u8> {
        let Scanner { kind, name, .. } = &its.report.outline.scanner;
        kind.map_or(&**name, |kind| kind.label()).bytes().map(|byte| byte.to_ascii_lowercase())
    }
    name(one).cmp(name(other))
}

fn lacking(demand: &ScanDemand, reports: &[JudgedReport<'_>]) -> Vec<ScannerKind> {
    let reported = |kind| reports.iter().any(|its| its.sourced.report.outline.scanner.kind == Some(kind));
    demand.scanners.iter().copied().filter(|kind| !reported(*kind)).collect()
}

/// A report, and all that counts in it: also where that is tolerated.
struct Weighed<'r> {
    judged: JudgedReport<'r>,
    counts: Counts,
}

impl<'r> Weighed<'r> {
    fn of(demand: &ScanDemand, sourced: &'r Sourced, image: &Reference, now: Timestamp) -> Self {
        let mut counting = Counting::default();
        for finding in sourced.report.findings.iter() {
            if demand.has_seen_all(&finding) {
                break;
            }
            counting.take(demand, finding, image, now);
        }
        let Counting { mut refused, mut findings, counts, waived } = counting;
        if demand.count_suppressed {
            // In the report they stand behind all others.
            refused.sort_by_key(gravity);
            findings.sort_by_key(gravity);
        }
        let over = demand.is_over(&counts).then_some(Over { counts, findings });
        let stale = demand.is_stale(&sourced.report, now);
        Self { judged: JudgedReport { sourced, stale, refused, over, waived }, counts }
    }

    /// The worse one is the greater. Only the same is equal, so that it does not matter which comes first.
    fn compare(one: &Self, other: &Self) -> Ordering {
        let verdict = |its: &Self| (its.judged.refused.len(), its.judged.over.is_some(), its.counts, its.judged.waived);
        let (by_verdict, one, other) = (verdict(one).cmp(&verdict(other)), one.judged.sourced, other.judged.sourced);
        by_verdict.then_with(|| other.place.cmp(&one.place)).then_with(|| texts(&one.report).cmp(&texts(&other.report)))
    }
}

/// What is left to tell two reports by.
fn texts(report: &Report) -> impl Ord {
    let Scanner { kind, name, version, database_version, database_built } = &report.outline.scanner;
    let findings: Vec<Finding<'_>> = report.findings.iter().collect();
    (findings, report.outline.format, (kind, name, version, database_version, database_built))
}

/// Worst first, those with a fix before those without; unknown ones last.
fn gravity(finding: &Finding<'_>) -> impl Ord + use<> {
    Reverse((finding.severity, finding.is_fixable(), finding.score))
}

/// What was met in a report so far.
#[derive(Default)]
struct Counting<'r> {
    refused: Vec<Finding<'r>>,
    findings: Vec<Finding<'r>>,
    counts: Counts,
    waived: u32,
}

impl<'r> Counting<'r> {
    fn take(&mut self, demand: &ScanDemand, finding: Finding<'r>, image: &Reference, now: Timestamp) {
        let refused = demand.refuse.iter().any(|id| finding.is(id));
        if refused {
            self.refused.push(finding);
        }
        if !demand.is_grave(&finding) || !demand.is_due(&finding, now) {
            return;
        }
        let holds = || demand.waivers.iter().any(|waiver| now < waiver.ends && waiver.concerns(&finding, image));
        // No waiver helps what is refused by its name.
        if !refused && holds() {
            self.waived = self.waived.saturating_add(1);
        } else {
            self.counts.add(finding.severity, finding.is_fixable());
            self.findings.push(finding);
        }
    }
}

impl ScanDemand {
    /// Findings come the worst first, those of unknown severity after them, those that are suppressed last of all:
    /// whether nothing from here on can matter.
    fn has_seen_all(&self, finding: &Finding<'_>) -> bool {
        if finding.suppressed && !self.count_suppressed {
            return true;
        }
        let lighter = finding.severity.is_none_or(|severity| severity < self.threshold);
        lighter && !self.count_unknown && !self.count_suppressed && self.refuse.is_empty()
    }

    fn is_grave(&self, finding: &Finding<'_>) -> bool {
        finding.severity.map_or(self.count_unknown, |severity| severity >= self.threshold)
    }

    /// There is a fix, and it is old enough, as far as that is asked. A fix dated ahead is as one without a date.
    fn is_due(&self, finding: &Finding<'_>, now: Timestamp) -> bool {
        let since = finding.fixed_since.filter(|since| !is_ahead(*since, now));
        let old_enough = |least| since.is_none_or(|since| age(since, now) >= least);
        (!self.fixable_only || finding.is_fixable()) && self.fixable_for.is_none_or(old_enough)
    }

    /// More of a severity than is tolerated; what is unknown is one more at the threshold.
    fn is_over(&self, counts: &Counts) -> bool {
        Severity::ALL.into_iter().filter(|severity| *severity >= self.threshold).any(|severity| {
            let unknown = if severity == self.threshold { counts.unknown.total } else { 0 };
            counts.of(Some(severity)).total.saturating_add(unknown) > self.tolerated.of(severity)
        })
    }
}

fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    age(now, at) > AHEAD
}

/// How long after `since` it is; nothing where that is still to come, as after a clock was set back.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(since).try_into().unwrap_or(Duration::ZERO)
}

fn ahead(report: &Report, at: Timestamp) -> Unusable {
    let words = format!(
        "it is dated {at}, more than {} minutes ahead: set the clock of the machine that scans, and scan again",
        AHEAD.as_secs() / 60
    );
    Unusable::new(Defect::Future, words).about(report.outline.clone())
}

/// Each once, in an order of their own.
fn once(mut unusable: Vec<(Origin, Arc<str>, Unusable)>) -> Vec<(Origin, Arc<str>, Unusable)> {
    fn key(unusable: &(Origin, Arc<str>, Unusable)) -> impl Ord {
        let (origin, place, Unusable { defect, words, outline }) = unusable;
        let outline = outline.as_ref().map(|its| (its.scanned_at, &*its.scanner.name, its.format));
        (*origin, &**place, *defect, &**words, outline)
    }
    unusable.sort_by(|one, other| key(one).cmp(&key(other)));
    unusable.dedup();
    unusable
}
