//! Demands on scanned evidence: everything about them that a policy alone can get wrong.

use super::super::document::reader::{Field, Placed, Text};
use super::super::document::wording::quoted;
use super::super::file::{Tolerated, Vulnerabilities, Waiver};
use super::super::scan::Response;
use super::{Findings, Trusted, rule};
use crate::fact::report::Severity;
use crate::image::Pattern;

pub(super) fn check_vulnerabilities(demand: &Vulnerabilities, trusted: &Trusted<'_>, findings: &mut Findings) {
    for waiver in demand.ignore.given().into_iter().flatten() {
        check_waiver(waiver, findings);
    }
    for id in demand.refuse.given().into_iter().flatten() {
        check_identifier(id, findings);
    }
    if let (Some(threshold), Some(allow)) = (demand.threshold.given(), demand.allow.given()) {
        check_tolerated(&allow.0, threshold.value, findings);
    }
    if let Field::Given(scanners) = &demand.scanners {
        for (index, scanner) in scanners.0.iter().enumerate() {
            if scanners.0.iter().take(index).any(|earlier| earlier.value == scanner.value) {
                findings.mistakes.add(&scanner.place, "stands here twice");
            }
        }
    }
    if let Field::Given(authorities) = &demand.authorities {
        drop(trusted.named(&authorities.0, &mut findings.mistakes));
    }
    warn_of_idle(demand, findings);
}

/// A number for a severity that never counts would mislead whoever reads the policy.
fn check_tolerated(allow: &Tolerated, threshold: Severity, findings: &mut Findings) {
    let Tolerated { negligible, low, medium, high, critical } = allow;
    let counts = [
        (Severity::Negligible, negligible),
        (Severity::Low, low),
        (Severity::Medium, medium),
        (Severity::High, high),
        (Severity::Critical, critical),
    ];
    for (severity, count) in counts {
        if let Some(count) = count.given().filter(|_| severity < threshold) {
            findings.mistakes.add(&count.place, "is below the threshold, where nothing is refused: remove it");
        }
    }
}

fn check_waiver(waiver: &Waiver, findings: &mut Findings) {
    if let Field::Given(id) = &waiver.id {
        check_identifier(id, findings);
    }
    if let Field::Given(images) = &waiver.images {
        rule::patterns(images, Pattern::parse, &mut findings.mistakes);
    }
}

fn check_identifier(id: &Text, findings: &mut Findings) {
    if id.value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        findings.mistakes.add(&id.place, format!("{} is no identifier: it has white space", quoted(&id.value)));
    }
}

/// Fields that have no effect beside the others.
fn warn_of_idle(demand: &Vulnerabilities, findings: &mut Findings) {
    let value = |field: &Field<Placed<Response>>, default| field.given().map_or(default, |placed| placed.value);
    let missing = value(&demand.missing, Response::Deny);
    let running = value(&demand.running, Response::Warn);
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
