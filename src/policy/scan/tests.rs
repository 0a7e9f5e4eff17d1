use super::*;
use crate::fact::report::{Defect, FindingsBuilder, Fix, Format, Outline, Report, Scanner, Score, Subject};

mod choosing;
mod counting;
mod properties;
mod waiving;

/// When everything here is judged.
const NOW: &str = "2026-06-30T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    time(NOW)
}

/// Days before [`NOW`].
fn days_ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(days * 24)
}

fn image() -> Reference {
    Reference::parse("ghcr.io/acme/tools/app:v1").unwrap()
}

/// Everything that counts at this severity or above, whatever else.
fn from(threshold: Severity) -> ScanDemand {
    ScanDemand {
        threshold,
        count_unknown: false,
        tolerated: Tolerated::default(),
        fixable_only: false,
        fixable_for: None,
        waivers: Vec::new(),
        refuse: Vec::new(),
        max_age: None,
        missing: Response::Deny,
        missing_grace: None,
        stale: Response::Deny,
        running: Response::Warn,
        running_for: None,
        scanners: Vec::new(),
        count_suppressed: false,
        authorities: Vec::new(),
    }
}

fn waiver(id: &str, until: &str) -> Waiver {
    let until: Date = until.parse().unwrap();
    let ends = jiff::tz::Offset::UTC.to_timestamp(until.tomorrow().unwrap().at(0, 0, 0, 0)).unwrap();
    let (reason, owner) = ("not reachable".into(), "platform@acme.example".into());
    Waiver { id: id.into(), until, ends, reason, owner, package: None, images: Vec::new() }
}

/// With a fix.
fn finding(id: &str, severity: Severity) -> Finding<'_> {
    Finding {
        id,
        aliases: "",
        severity: Some(severity),
        package: "xz",
        installed: "5.6.0",
        fixed: "5.6.2",
        fix: Fix::Fixed,
        fixed_since: None,
        score: None,
        suppressed: false,
    }
}

/// By Trivy, of a directory, an hour ago.
fn report(findings: &[Finding<'_>]) -> Sourced {
    let mut builder = FindingsBuilder::default();
    for finding in findings {
        builder.push(*finding).unwrap();
    }
    let scanner = Scanner { kind: Some(ScannerKind::Trivy), name: "trivy".into(), ..Scanner::default() };
    let outline = Outline {
        format: Format::Trivy,
        scanner,
        scanned_at: Some(now() - SignedDuration::from_hours(1)),
        subject: Subject::default(),
        notes: Vec::new(),
    };
    let report = Report { outline, findings: builder.finish() };
    Sourced { origin: Origin::Directory, place: "a.json".into(), report: Arc::new(report) }
}

impl Sourced {
    fn outlined(mut self, change: impl FnOnce(&mut Outline)) -> Self {
        change(&mut Arc::make_mut(&mut self.report).outline);
        self
    }

    fn by(self, name: &str) -> Self {
        self.outlined(|its| {
            its.scanner = Scanner { kind: ScannerKind::named(name), name: name.into(), ..Scanner::default() };
        })
    }

    fn at(self, at: Option<Timestamp>) -> Self {
        self.outlined(|its| its.scanned_at = at)
    }

    fn of(self, origin: Origin, place: &str) -> Self {
        Self { origin, place: place.into(), ..self }
    }
}

fn judge<'r>(demand: &ScanDemand, found: &'r [Sourced]) -> Judged<'r> {
    demand.judge(&found.iter().collect::<Vec<_>>(), &[], &image(), now())
}

/// What the only report comes to.
fn only<'r>(demand: &ScanDemand, found: &'r Sourced) -> JudgedReport<'r> {
    let mut judged = judge(demand, std::slice::from_ref(found));
    assert_eq!(judged.reports.len(), 1);
    judged.reports.remove(0)
}

/// The identifiers of what counts and is too much; none where nothing is.
fn over<'r>(demand: &ScanDemand, found: &'r Sourced) -> Vec<&'r str> {
    only(demand, found).over.map(|over| over.findings.iter().map(|its| its.id).collect()).unwrap_or_default()
}

fn refused<'r>(demand: &ScanDemand, found: &'r Sourced) -> Vec<&'r str> {
    only(demand, found).refused.iter().map(|its| its.id).collect()
}
