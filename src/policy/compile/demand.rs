//! Demands on signed and scanned evidence: everything about them that a policy alone can get wrong.

use std::collections::BTreeSet;

use super::super::document::reader::{Field, NonEmpty, Placed, Text};
use super::super::document::wording::quoted;
use super::super::file::{Attestation, Condition, Response, Severity, Signatures, Tolerated, Vulnerabilities, Waiver};
use super::{Findings, Trusted, authority, exactly_one, rule};
use crate::image::{Pattern, Reference};

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
        trusted.check(&authorities.0, &mut findings.mistakes);
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

pub(super) fn check_signatures(demand: &Signatures, trusted: &Trusted<'_>, findings: &mut Findings) {
    if let Field::Given(authorities) = &demand.authorities {
        trusted.check(&authorities.0, &mut findings.mistakes);
        check_threshold(authorities, demand.threshold.given(), findings);
    }
    if let Field::Given(repository) = &demand.repository {
        check_repository(repository, findings);
    }
}

/// Signers are matched one to one with authorities, so more than there are could never be met.
fn check_threshold(authorities: &NonEmpty<Vec<Text>>, threshold: Option<&Placed<u32>>, findings: &mut Findings) {
    let Some(threshold) = threshold else { return };
    let most = authorities.0.iter().map(|name| name.value.as_str()).collect::<BTreeSet<_>>().len();
    if threshold.value == 0 {
        findings.mistakes.add(&threshold.place, "must be at least 1: with 0 nothing would be demanded");
    } else if usize::try_from(threshold.value).is_ok_and(|threshold| threshold > most) {
        let message = format!("can never be met: {} signers of {most} authorities", threshold.value);
        findings.mistakes.add(&threshold.place, message);
    }
}

fn check_repository(repository: &Text, findings: &mut Findings) {
    match Reference::parse(&repository.value) {
        Ok(reference) if reference.tag().is_none() && reference.digest().is_none() => {}
        Ok(_) => findings.mistakes.add(&repository.place, "must name a repository, without tag and digest"),
        Err(error) => {
            let message = format!("{} is no repository: {error}", quoted(&repository.value));
            findings.mistakes.add(&repository.place, message);
        }
    }
}

pub(super) fn check_attestation(demand: &Attestation, trusted: &Trusted<'_>, findings: &mut Findings) {
    if let Field::Given(authorities) = &demand.authorities {
        trusted.check(&authorities.0, &mut findings.mistakes);
    }
    for condition in demand.conditions.given().into_iter().flat_map(|conditions| &conditions.0) {
        check_condition(condition, findings);
    }
}

fn check_condition(condition: &Placed<Condition>, findings: &mut Findings) {
    let Placed { value: condition, place } = condition;
    let Condition { path, equals, matches, one_of } = condition;
    if let Some(path) = path.given().filter(|path| path.value.split('.').any(str::is_empty)) {
        findings.mistakes.add(&path.place, "is no path: write field names with dots between them, `builder.id`");
    }
    let fields = [("equals", !equals.is_absent()), ("matches", !matches.is_absent()), ("in", !one_of.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    if let Field::Given(expression) = matches {
        authority::check_expression(expression, findings);
    }
}
