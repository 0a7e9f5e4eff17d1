//! `spec.rules`: what a rule matches, and the one thing that it says about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::document::reader::{Field, Mistakes, NonEmpty, Place, Placed, Text, refuse_repeated};
use super::super::document::wording::quoted;
use super::super::file;
use super::super::scan::ScanDemand;
use super::super::trust::AttestationDemand;
use super::super::{Action, Demands, Repointed, Rule, RuleName, TagDemands};
use super::signed::SignedImage;
use super::{Findings, Trusted, check_label, pattern, signed, vulnerabilities, written};
use crate::image::{Pattern, TagPattern};

/// `None` only where there are mistakes.
pub(super) fn compile_all(
    rules: &[Placed<file::Rule>],
    trusted: &Trusted<'_>,
    findings: &mut Findings,
) -> Option<Vec<Rule>> {
    refuse_repeated(rules.iter().filter_map(|rule| rule.value.name.given()), &mut findings.mistakes);
    warn_of_unreachable(rules, &mut findings.warnings);
    let compiled: Vec<Option<Rule>> = rules.iter().map(|rule| compile(rule, trusted, findings)).collect();
    compiled.into_iter().collect()
}

fn compile(rule: &Placed<file::Rule>, trusted: &Trusted<'_>, findings: &mut Findings) -> Option<Rule> {
    let Placed { value: rule, place } = rule;
    let file::Rule { name, images, admit, refuse, tags, vulnerabilities, signatures, attestations } = rule;
    if let Field::Given(name) = name {
        check_label(name, "a rule's name", &mut findings.mistakes);
    }
    let images = images.given().and_then(|images| patterns(images, Pattern::parse, &mut findings.mistakes));
    let tags = written(tags, |tags| compile_tags(tags, findings));
    let scan = written(vulnerabilities, |demand| vulnerabilities::compile(&demand.value, trusted, findings));
    let signatures = written(signatures, |demand| signed::signatures(&demand.value, trusted, findings));
    let attestations = written(attestations, |list| signed::attestations(&list.value.0, trusted, findings));
    if let Some(why) = refuse.given().filter(|why| why.value.trim_end().contains(char::is_control)) {
        findings.mistakes.add(&why.place, "is shown to people in one line: write it in one");
    }
    check_one_action(rule, place, &mut findings.mistakes);
    let action = match (admit, refuse) {
        (Field::Given(_), _) => Action::Admit,
        (_, Field::Given(why)) => Action::Refuse(Arc::from(why.value.trim())),
        (Field::Absent | Field::Unusable, Field::Absent | Field::Unusable) => {
            Action::Require(Arc::new(demands(tags.ok()?, scan.ok()?, signatures.ok()?, attestations.ok()?)?))
        }
    };
    Some(Rule { name: RuleName::from(name.given()?.value.as_str()), images: images?, action })
}

/// `None` for nothing: a rule that demands nothing has its mistake.
fn demands(
    tags: Option<TagDemands>,
    scan: Option<ScanDemand>,
    signatures: Option<SignedImage>,
    attestations: Option<Vec<AttestationDemand>>,
) -> Option<Demands> {
    let attestations = attestations.unwrap_or_default();
    if tags.is_none() && scan.is_none() && signatures.is_none() && attestations.is_empty() {
        return None;
    }
    let examination = signed::examination(signatures.as_ref(), &attestations, scan.as_ref());
    Some(Demands { tags, signatures: signatures.map(|its| its.demand), attestations, scan, examination })
}

/// The authorities that a rule names.
pub(super) fn authorities(rule: &file::Rule) -> impl Iterator<Item = &str> {
    let reports = rule.vulnerabilities.given().map(|demand| &demand.value.authorities);
    let signatures = rule.signatures.given().map(|demand| &demand.value.authorities);
    let attestations = rule.attestations.given().into_iter().flat_map(|list| &list.value.0);
    let named = reports.into_iter().chain(signatures).chain(attestations.map(|demand| &demand.authorities));
    named.flat_map(texts).map(|name| name.value.as_str())
}

/// Demands, or `admit: true`, or `refuse: "why"`: neither nothing nor two things.
fn check_one_action(rule: &file::Rule, place: &Place, mistakes: &mut Mistakes) {
    if let Some(admit) = rule.admit.given().filter(|admit| !admit.value) {
        mistakes.add(&admit.place, "may only be true; to refuse what the rule matches write `refuse: \"why\"`");
    }
    let demands = [
        ("tags", rule.tags.is_absent()),
        ("vulnerabilities", rule.vulnerabilities.is_absent()),
        ("signatures", rule.signatures.is_absent()),
        ("attestations", rule.attestations.is_absent()),
    ];
    let demand = demands.iter().find(|(_, absent)| !absent).map(|(name, _)| *name);
    let admit = (!rule.admit.is_absent()).then_some("admit");
    let refuse = (!rule.refuse.is_absent()).then_some("refuse");
    let said: Vec<&str> = [admit, refuse, demand].into_iter().flatten().collect();
    match said.as_slice() {
        [_] => {}
        [] if mistakes.has_below(place) => {}
        [] => mistakes.add(
            place,
            "demands nothing: write a demand (tags, vulnerabilities, signatures, attestations), `admit: true`, \
             or `refuse: \"why\"`",
        ),
        several => mistakes.add(place, format!("says {} at once: keep one of them", several.join(" and "))),
    }
}

fn compile_tags(tags: &Placed<file::Tags>, findings: &mut Findings) -> Option<TagDemands> {
    let Placed { value: tags, place } = tags;
    let file::Tags { deny, allow, require_digest, repointed } = tags;
    let demands_digest = match require_digest {
        Field::Absent | Field::Given(false) => false,
        Field::Given(true) | Field::Unusable => true,
    };
    let compares = match repointed {
        Field::Absent => false,
        Field::Given(repointed) => repointed.value != Repointed::Allow,
        Field::Unusable => true,
    };
    let repointed = repointed.given().map_or(Repointed::Warn, |repointed| repointed.value);
    if deny.is_absent() && allow.is_absent() && !demands_digest && !compares {
        findings.mistakes.add(place, "demands nothing: write deny, allow, `requireDigest: true` or `repointed: deny`");
        return None;
    }
    warn_of_contradiction(deny, allow, &mut findings.warnings);
    let deny = tag_patterns(deny, &mut findings.mistakes);
    let allow = tag_patterns(allow, &mut findings.mistakes);
    Some(TagDemands { deny: deny?, allow: allow?, require_digest: demands_digest, repointed })
}

/// What is not written is no pattern at all; what is unusable is `None`.
fn tag_patterns(field: &Field<NonEmpty<Vec<Text>>>, mistakes: &mut Mistakes) -> Option<Vec<TagPattern>> {
    match field {
        Field::Absent => Some(Vec::new()),
        Field::Unusable => None,
        Field::Given(texts) => patterns(texts, TagPattern::parse, mistakes),
    }
}

/// All of them, or `None` after the mistakes of each that is none.
pub(super) fn patterns<T, E: std::fmt::Display>(
    texts: &NonEmpty<Vec<Text>>,
    parse: fn(&str) -> Result<T, E>,
    mistakes: &mut Mistakes,
) -> Option<Vec<T>> {
    let parsed: Vec<Option<T>> = texts.0.iter().map(|text| pattern(text, parse, mistakes)).collect();
    parsed.into_iter().collect()
}

fn warn_of_contradiction(
    deny: &Field<NonEmpty<Vec<Text>>>,
    allow: &Field<NonEmpty<Vec<Text>>>,
    warnings: &mut Mistakes,
) {
    let denied: BTreeSet<&str> = texts(deny).map(|text| text.value.as_str()).collect();
    for text in texts(allow).filter(|text| denied.contains(text.value.as_str())) {
        let message = format!("{} is denied as well, and what is denied is never allowed", quoted(&text.value));
        warnings.add(&text.place, message);
    }
}

fn texts(field: &Field<NonEmpty<Vec<Text>>>) -> impl Iterator<Item = &Text> {
    field.given().into_iter().flat_map(|texts| &texts.0)
}

/// The first rule that matches decides, so a rule whose every pattern stands in earlier rules never does.
fn warn_of_unreachable(rules: &[Placed<file::Rule>], warnings: &mut Mistakes) {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for rule in rules {
        let images: Vec<&str> = texts(&rule.value.images).map(|text| text.value.as_str()).collect();
        let all_taken = taken.contains("**") || images.iter().all(|image| taken.contains(image));
        if all_taken && !images.is_empty() {
            warnings
                .add(&rule.place, "never decides: an earlier rule matches all of its images; move it up or remove it");
        }
        taken.extend(images);
    }
}
