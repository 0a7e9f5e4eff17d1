//! What people are told of scans: the worst first, with the package and the version that fixes it.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::fact::Trouble;
use crate::fact::report::{Counts, Finding, ScannedManifest, Severity};
use crate::policy::scan::{Judged, JudgedReport, Over, Tolerated, Waiver};
use crate::request::printable;

use super::super::attached::names;
use super::super::doubt::short;
use super::super::verdict::Reason;
use super::Case;

/// A message stays one that can be read, however many findings there are.
const MESSAGE: usize = 600;
/// Findings that are told by name, and packages of one.
const TOLD: usize = 5;
const PACKAGES: usize = 3;
/// Why what is held against an image is not held against one that runs.
pub(super) const RUNNING: &str = ", since this namespace has it already";
/// Bytes of a name from a report, and of a place.
const NAME: usize = 80;
const PLACE: usize = 160;

pub(super) fn nothing_to_run() -> String {
    "its index has no image that the pod could be given, so nothing of it was scanned".to_owned()
}

pub(super) fn not_in_time() -> String {
    "whether there is a scan report was not known in time; try again".to_owned()
}

pub(super) fn reports_unknown(trouble: &Trouble) -> String {
    printable(&trouble.words, MESSAGE)
}

/// ` for linux/arm64 (sha256:0123456789ab)`, where it is one of several.
fn place(manifest: &ScannedManifest) -> String {
    match (&manifest.index, &manifest.platform) {
        (None, _) => String::new(),
        (Some(_), Some(platform)) => printable(&format!(" for {platform} ({})", short(&manifest.digest)), NAME),
        (Some(_), None) => format!(" for {} of its index", short(&manifest.digest)),
    }
}

/// `trivy of 2026-11-20T03:00:00Z`
fn by(report: &JudgedReport<'_>) -> String {
    let outline = &report.sourced.report.outline;
    let scanner = if outline.scanner.name.is_empty() { "a scanner without a name" } else { &*outline.scanner.name };
    let scanner = printable(scanner, NAME);
    match outline.scanned_at {
        Some(at) => format!("{scanner} of {}", second(at)),
        None => format!("{scanner}, not dated"),
    }
}

fn second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn missing(case: &Case<'_>, manifest: &ScannedManifest, judged: &Judged<'_>) -> (Reason, String) {
    let place = place(manifest);
    if let Some((origin, file, unusable)) = judged.unusable.first() {
        let more = judged.unusable.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more cannot be used either") };
        let what = printable(file, PLACE);
        let message = format!(
            "the scan report{place} ({} {what}) cannot be used: {}, {}{more}",
            origin.label(),
            unusable.defect,
            unusable.words
        );
        return (Reason::ReportFailed, printable(&message, MESSAGE));
    }
    let scanners = if judged.lacking.is_empty() { &case.demand.scanners } else { &judged.lacking };
    let scanners = names(scanners.iter().map(|scanner| scanner.label()), "and");
    let scanners = if scanners.is_empty() { scanners } else { format!(" by {scanners}") };
    let authorities = names(case.demand.authorities.iter().map(|authority| &*authority.name), "or");
    let (attested, advice) = if authorities.is_empty() {
        (String::new(), "scan it by its digest and keep the report where the settings look".to_owned())
    } else {
        (format!(" attested by {authorities}"), "scan it by its digest and attest the report".to_owned())
    };
    let what = if place.is_empty() { format!(" of {}", short(&manifest.digest)) } else { place };
    let message = format!("no scan report{what}{scanners}{attested}; {advice}");
    (Reason::ReportMissing, printable(&message, MESSAGE))
}

pub(super) fn stale(case: &Case<'_>, manifest: &ScannedManifest, report: &JudgedReport<'_>) -> String {
    let allowed = case.demand.max_age.map(length).unwrap_or_default();
    let place = place(manifest);
    let message = match report.sourced.report.outline.scanned_at {
        Some(at) => {
            let old = length(case.now.duration_since(at).unsigned_abs());
            format!("scanned {old} ago{place} ({}), the policy allows {allowed}; scan it again", by(report))
        }
        None => format!(
            "the scan report{place} ({}) may have any age, the policy allows {allowed}; scan it again",
            by(report)
        ),
    };
    printable(&message, MESSAGE)
}

/// `3 d`, `5 h`, `10 min`
pub(super) fn length(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (days @ 3.., ..) => format!("{days} d"),
        (_, hours @ 2.., _) => format!("{hours} h"),
        (_, _, minutes @ 2..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

pub(super) fn refused(manifest: &ScannedManifest, report: &JudgedReport<'_>) -> String {
    let findings = list(&report.refused);
    let message =
        format!("{findings}{} is refused by the policy, whatever the threshold (by {})", place(manifest), by(report));
    printable(&message, MESSAGE)
}

/// `2 critical, 3 high with a fix (threshold high): CVE-2024-3094 xz 5.6.0 -> 5.6.2, ...`
pub(super) fn vulnerable(
    case: &Case<'_>,
    manifest: &ScannedManifest,
    report: &JudgedReport<'_>,
    over: &Over<'_>,
) -> String {
    let demand = case.demand;
    let fix = if demand.fixable_only { " with a fix" } else { "" };
    let tolerated = tolerated(demand.tolerated);
    let mut message = format!(
        "{}{fix}{} (threshold {}{tolerated}): {}",
        numbers(&over.counts),
        place(manifest),
        demand.threshold.label(),
        list(&over.findings)
    );
    for waiver in demand.ended_waivers(&over.findings, case.reference, case.now).into_iter().take(2) {
        let Waiver { id, until, owner, .. } = waiver;
        let _infallible = write!(message, "; the waiver of {id} ended on {until} ({owner})");
    }
    let _infallible = write!(message, "; by {}", by(report));
    printable(&message, MESSAGE)
}

/// `2 critical, 3 high`
fn numbers(counts: &Counts) -> String {
    let severities = Severity::ALL.into_iter().map(Some).chain([None]);
    let told = severities.filter_map(|severity| {
        let total = counts.of(severity).total;
        (total > 0).then(|| format!("{total} {}", severity.map_or("unknown", Severity::label)))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// `, tolerated: 2 high`
fn tolerated(tolerated: Tolerated) -> String {
    let told = Severity::ALL.into_iter().filter_map(|severity| {
        let number = tolerated.of(severity);
        (number > 0).then(|| format!("{number} {}", severity.label()))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { String::new() } else { format!(", tolerated: {}", told.join(", ")) }
}

/// The first of them, those of one identifier together: `CVE-2024-3094 xz 5.6.0 -> 5.6.2, CVE-... and 3 more`.
fn list(findings: &[Finding<'_>]) -> String {
    let mut groups: Vec<Vec<&Finding<'_>>> = Vec::new();
    let mut more = 0_usize;
    for finding in findings {
        let full = groups.len() == TOLD;
        let known = groups.iter().position(|group| group.first().is_some_and(|first| first.id == finding.id));
        match known.and_then(|index| groups.get_mut(index)) {
            Some(group) => group.push(finding),
            None if full => more += 1,
            None => groups.push(vec![finding]),
        }
    }
    let told: Vec<String> = groups.iter().map(|group| together(group)).collect();
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    format!("{}{more}", told.join(", "))
}

/// One identifier, in however many packages: `CVE-2024-6119 libcrypto3 and libssl3 3.3.1-r0 -> 3.3.2-r0`.
fn together(group: &[&Finding<'_>]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let mut packages: Vec<&str> = group.iter().map(|finding| finding.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let more = packages.len().saturating_sub(PACKAGES);
    let shown: Vec<String> = packages.iter().take(PACKAGES).map(|package| printable(package, NAME)).collect();
    let shown = if more > 0 {
        format!("{} and {more} more packages", shown.join(", "))
    } else {
        names(shown.iter().map(String::as_str), "and")
    };
    let (id, installed) = (printable(first.id, NAME), printable(first.installed, NAME));
    let fixed = if first.is_fixable() && !first.fixed.is_empty() {
        format!(" -> {}", printable(first.fixed, NAME))
    } else if first.is_fixable() {
        String::new()
    } else {
        " (no fix)".to_owned()
    };
    format!("{id} {shown} {installed}{fixed}")
}

/// `tolerated until 2026-11-21T12:00:00Z: ...`: the end of it first, since warnings are cut.
pub(super) fn until(message: &str, why: &str, until: Timestamp) -> String {
    format!("tolerated until {}{why}: {message}", second(until))
}

pub(super) fn running(message: &str) -> String {
    format!("tolerated{RUNNING}: {message}")
}
