//! Demands on scan reports, `vulnerabilities`: compiled, or everything about them that a policy can get wrong.

use std::collections::BTreeSet;

use super::super::document::reader::{Field, NonEmpty, Placed, Text};
use super::super::document::wording::quoted;
use super::super::file::{self, Counted, Vulnerabilities};
use super::super::scan::{Response, ScanDemand, Tolerated, Waiver, WrittenWaiver};
use super::{Findings, Refused, Trusted, authority, rule, written};
use crate::fact::report::{ScannerKind, Severity};
use crate::image::Pattern;

/// The longest identifier that a report may have: what is longer names nothing.
const IDENTIFIER: usize = 256;

/// `None` only after a mistake. All of it is looked at, so that all its mistakes are told.
pub(super) fn compile(demand: &Vulnerabilities, trusted: &Trusted<'_>, findings: &mut Findings) -> Option<ScanDemand> {
    warn_of_idle(demand, findings);
    warn_of_useless(demand, findings);
    let tolerated = written(&demand.allow, |allow| tolerated(&allow.0, demand.threshold.given(), findings));
    let waivers = written(&demand.ignore, |waivers| compile_waivers(waivers, findings));
    let refuse = written(&demand.refuse, |ids| compile_refused(ids, findings));
    let scanners = written(&demand.scanners, |scanners| compile_scanners(scanners, findings));
    let authorities = written(&demand.authorities, |names| trusted.named(&names.0, &mut findings.mistakes));
    Some(ScanDemand {
        threshold: demand.threshold.given()?.value,
        count_unknown: counts(&demand.unknown).ok()?,
        tolerated: tolerated.ok()?.unwrap_or_default(),
        fixable_only: written(&demand.fixable, |fixable| Some(*fixable)).ok()?.unwrap_or(false),
        fixable_for: placed(&demand.fixable_for).ok()?,
        waivers: waivers.ok()?.unwrap_or_default(),
        refuse: refuse.ok()?.unwrap_or_default(),
        max_age: placed(&demand.max_age).ok()?,
        missing: placed(&demand.missing).ok()?.unwrap_or(MISSING),
        missing_grace: placed(&demand.missing_grace).ok()?,
        stale: placed(&demand.stale).ok()?.unwrap_or(Response::Deny),
        running: placed(&demand.running).ok()?.unwrap_or(RUNNING),
        running_for: placed(&demand.running_for).ok()?,
        scanners: scanners.ok()?.unwrap_or_default(),
        count_suppressed: counts(&demand.suppressed).ok()?,
        authorities: authorities.ok()?.unwrap_or_default(),
    })
}

/// Where nothing is written.
const MISSING: Response = Response::Deny;
/// Where nothing is written.
const RUNNING: Response = Response::Warn;

/// What is written, if anything is.
fn placed<T: Copy>(field: &Field<Placed<T>>) -> Result<Option<T>, Refused> {
    written(field, |placed| Some(placed.value))
}

fn counts(field: &Field<Counted>) -> Result<bool, Refused> {
    let counted = written(field, |counted| match counted {
        Counted::Ignore => Some(false),
        Counted::Count => Some(true),
    });
    Ok(counted?.unwrap_or(false))
}

/// A number for a severity that never counts would mislead whoever reads the policy.
fn tolerated(
    allow: &file::Tolerated,
    threshold: Option<&Placed<Severity>>,
    findings: &mut Findings,
) -> Option<Tolerated> {
    let file::Tolerated { negligible, low, medium, high, critical } = allow;
    let mut number = |severity: Severity, field: &Field<Placed<u32>>| {
        if let Some(count) = field.given().filter(|_| threshold.is_some_and(|threshold| severity < threshold.value)) {
            findings.mistakes.add(&count.place, "is below the threshold, where nothing is refused: remove it");
        }
        placed(field).ok().map(Option::unwrap_or_default)
    };
    let negligible = number(Severity::Negligible, negligible);
    let low = number(Severity::Low, low);
    let medium = number(Severity::Medium, medium);
    let high = number(Severity::High, high);
    let critical = number(Severity::Critical, critical);
    Some(Tolerated { negligible: negligible?, low: low?, medium: medium?, high: high?, critical: critical? })
}

fn compile_waivers(waivers: &[file::Waiver], findings: &mut Findings) -> Option<Vec<Waiver>> {
    let mut seen = BTreeSet::new();
    for waiver in waivers {
        if let Some(id) = waiver.id.given().filter(|_| !seen.insert(scope(waiver))) {
            findings.mistakes.add(&id.place, format!("{} stands here twice", quoted(&id.value)));
        }
    }
    let compiled: Vec<Option<Waiver>> = waivers.iter().map(|waiver| compile_waiver(waiver, findings)).collect();
    compiled.into_iter().collect()
}

/// What it is about. Two for the same differ at most in their end, and one of them has no effect.
fn scope(waiver: &file::Waiver) -> (Option<String>, Option<&str>, BTreeSet<&str>) {
    let images = waiver.images.given().into_iter().flat_map(|images| &images.0);
    let id = waiver.id.given().map(|id| id.value.to_ascii_lowercase());
    (id, waiver.package.given().map(|its| its.value.as_str()), images.map(|its| its.value.as_str()).collect())
}

fn compile_waiver(waiver: &file::Waiver, findings: &mut Findings) -> Option<Waiver> {
    let file::Waiver { id, until, reason, owner, package, images } = waiver;
    let id = id.given().and_then(|id| identifier(id, findings));
    let images = written(images, |images| rule::patterns(images, Pattern::parse, &mut findings.mistakes));
    let [reason, owner] = [reason, owner].map(|text| text.given().and_then(|text| one_line(text, findings)));
    let package = written(package, |package| one_line(package, findings));
    let (until, place) = until.given().map(|until| (until.value, &until.place))?;
    let ends = authority::day_after(until, place, findings);
    let waiver = Waiver {
        id: id?,
        until,
        ends: ends?,
        reason: reason?,
        owner: owner?,
        package: package.ok()?,
        images: images.ok()?.unwrap_or_default(),
    };
    findings.waivers.push(WrittenWaiver { waiver: waiver.clone(), place: place.clone() });
    Some(waiver)
}

fn identifier(id: &Text, findings: &mut Findings) -> Option<Box<str>> {
    let why = if id.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "it has white space"
    } else if id.value.len() > IDENTIFIER {
        "it is longer than any"
    } else {
        return Some(id.value.as_str().into());
    };
    findings.mistakes.add(&id.place, format!("{} is no identifier: {why}", quoted(&id.value)));
    None
}

/// What messages show to people.
fn one_line(text: &Text, findings: &mut Findings) -> Option<Box<str>> {
    let trimmed = text.value.trim();
    if trimmed.contains(char::is_control) {
        findings.mistakes.add(&text.place, "is shown to people in one line: write it in one");
        return None;
    }
    Some(trimmed.into())
}

fn compile_refused(ids: &[Text], findings: &mut Findings) -> Option<Vec<Box<str>>> {
    let mut seen = BTreeSet::new();
    for id in ids.iter().filter(|id| !seen.insert(id.value.to_ascii_lowercase())) {
        findings.mistakes.add(&id.place, format!("{} stands here twice", quoted(&id.value)));
    }
    let compiled: Vec<Option<Box<str>>> = ids.iter().map(|id| identifier(id, findings)).collect();
    compiled.into_iter().collect()
}

#[expect(clippy::unnecessary_wraps, reason = "as every field is compiled")]
fn compile_scanners(
    NonEmpty(scanners): &NonEmpty<Vec<Placed<ScannerKind>>>,
    findings: &mut Findings,
) -> Option<Vec<ScannerKind>> {
    let mut seen = BTreeSet::new();
    for scanner in scanners.iter().filter(|scanner| !seen.insert(scanner.value)) {
        findings.mistakes.add(&scanner.place, "stands here twice");
    }
    Some(scanners.iter().map(|scanner| scanner.value).collect())
}

/// Fields that have no effect beside the others.
fn warn_of_idle(demand: &Vulnerabilities, findings: &mut Findings) {
    let value = |field: &Field<Placed<Response>>, default| field.given().map_or(default, |placed| placed.value);
    let missing = value(&demand.missing, MISSING);
    let running = value(&demand.running, RUNNING);
    let mut warn = |idle: bool, place, message| {
        if let Some(place) = Option::filter(place, |_| idle) {
            findings.warnings.add(place, message);
        }
    };
    let place = demand.missing_grace.given().map(|grace| &grace.place);
    warn(missing != Response::Deny, place, "has no effect: `missing` does not deny");
    let place = demand.running_for.given().map(|period| &period.place);
    warn(running == Response::Deny, place, "has no effect: `running` softens nothing");
    let place = demand.stale.given().map(|stale| &stale.place);
    warn(demand.max_age.is_absent(), place, "has no effect: without `maxAge` no report is stale");
}

/// Waivers of what is refused all the same.
fn warn_of_useless(demand: &Vulnerabilities, findings: &mut Findings) {
    let refused = demand.refuse.given().into_iter().flatten();
    let refused: BTreeSet<String> = refused.map(|id| id.value.to_ascii_lowercase()).collect();
    for id in demand.ignore.given().into_iter().flatten().filter_map(|waiver| waiver.id.given()) {
        if refused.contains(&id.value.to_ascii_lowercase()) {
            findings.warnings.add(&id.place, "has no effect: `refuse` names it too, and no waiver helps there");
        }
    }
}
