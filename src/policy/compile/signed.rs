//! Demands on signed evidence, `signatures` and `attestations`, and what has to be examined for both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::document::reader::{Field, NonEmpty, Placed, Text};
use super::super::document::wording::quoted;
use super::super::file::{self, Attestation, Identity, Signatures};
use super::super::scan::ScanDemand;
use super::super::trust::{AttestationDemand, Authority, Condition, Examination, SignatureDemand, Signed, Test, Whom};
use super::{Findings, Trusted, authority, exactly_one, signers, written};
use crate::image::Reference;

/// `signatures` of a rule, and where they are kept if not beside the image.
#[derive(Debug)]
pub(super) struct SignedImage {
    pub(super) demand: SignatureDemand,
    pub(super) repository: Option<Reference>,
}

/// `None` only after a mistake.
pub(super) fn signatures(demand: &Signatures, trusted: &Trusted<'_>, findings: &mut Findings) -> Option<SignedImage> {
    let Signatures { authorities, threshold, signed, repository, identity, annotations } = demand;
    let names = authorities.given();
    let authorities = names.and_then(|names| trusted.named(&names.0, &mut findings.mistakes));
    let threshold = names.and_then(|names| read_threshold(names, threshold, findings));
    let repository = written(repository, |repository| read_repository(repository, findings)).ok();
    let annotations = written(annotations, |NonEmpty(table)| {
        Some(table.0.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect())
    });
    let annotations: BTreeMap<String, String> = annotations.ok()?.unwrap_or_default();
    let signed = match signed {
        Field::Absent | Field::Given(file::Signed::Either) => Signed::Either,
        Field::Given(file::Signed::Index) => Signed::Index,
        Field::Given(file::Signed::Platforms) => Signed::Platforms,
        Field::Unusable => return None,
    };
    let identity_required = match identity {
        Field::Absent | Field::Given(Identity::Ignored) => false,
        Field::Given(Identity::Required) => true,
        Field::Unusable => return None,
    };
    let (authorities, threshold) = (authorities?, threshold?);
    signers::check(&authorities, threshold, &names?.0, findings);
    let demand = SignatureDemand { authorities, threshold, signed, identity_required, annotations };
    Some(SignedImage { demand, repository: repository? })
}

/// Signers are matched one to one with authorities, so more than there are could never be met.
fn read_threshold(
    authorities: &NonEmpty<Vec<Text>>,
    threshold: &Field<Placed<u32>>,
    findings: &mut Findings,
) -> Option<usize> {
    let threshold = match threshold {
        Field::Absent => return Some(1),
        Field::Unusable => return None,
        Field::Given(threshold) => threshold,
    };
    let most = authorities.0.iter().map(|name| name.value.as_str()).collect::<BTreeSet<_>>().len();
    match usize::try_from(threshold.value) {
        Ok(0) => findings.mistakes.add(&threshold.place, "must be at least 1: with 0 nothing would be demanded"),
        Ok(number) if number <= most => return Some(number),
        Ok(_) | Err(_) => {
            let message = format!("can never be met: {} signers of {most} authorities", threshold.value);
            findings.mistakes.add(&threshold.place, message);
        }
    }
    None
}

fn read_repository(repository: &Text, findings: &mut Findings) -> Option<Reference> {
    let why = match Reference::parse(&repository.value) {
        Ok(reference) if reference.tag().is_none() && reference.digest().is_none() => return Some(reference),
        Ok(_) => "must name a repository, without tag and digest".to_owned(),
        Err(error) => format!("{} is no repository: {error}", quoted(&repository.value)),
    };
    findings.mistakes.add(&repository.place, why);
    None
}

/// Each that is demanded; `None` only after a mistake.
pub(super) fn attestations(
    demands: &[Attestation],
    trusted: &Trusted<'_>,
    findings: &mut Findings,
) -> Option<Vec<AttestationDemand>> {
    let compiled: Vec<Option<AttestationDemand>> =
        demands.iter().map(|demand| attestation(demand, trusted, findings)).collect();
    compiled.into_iter().collect::<Option<Vec<_>>>().filter(|demands| !demands.is_empty())
}

fn attestation(demand: &Attestation, trusted: &Trusted<'_>, findings: &mut Findings) -> Option<AttestationDemand> {
    let Attestation { predicate_type, authorities, conditions } = demand;
    let authorities = authorities.given().and_then(|names| trusted.named(&names.0, &mut findings.mistakes));
    let conditions = written(conditions, |NonEmpty(conditions)| {
        let read: Vec<Option<Condition>> = conditions.iter().map(|its| condition(its, findings)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let predicate_type = predicate_type.given()?.value.as_str().into();
    Some(AttestationDemand {
        predicate_type,
        authorities: authorities?,
        conditions: conditions.ok()?.unwrap_or_default(),
    })
}

fn condition(condition: &Placed<file::Condition>, findings: &mut Findings) -> Option<Condition> {
    let Placed { value: condition, place } = condition;
    let file::Condition { path, equals, matches, one_of } = condition;
    let path = path.given().filter(|path| {
        let valid = path.value.split('.').all(|name| !name.is_empty());
        if !valid {
            let message = "is no path: write field names with dots between them, `builder.id`";
            findings.mistakes.add(&path.place, message);
        }
        valid
    });
    let fields = [("equals", !equals.is_absent()), ("matches", !matches.is_absent()), ("in", !one_of.is_absent())];
    exactly_one(place, &fields, &mut findings.mistakes);
    let expression = matches.given().map(|text| authority::compile_expression(text, findings));
    let test = match (equals, expression, one_of) {
        (Field::Given(text), None, Field::Absent) => Test::Equals(text.value.clone()),
        (Field::Absent, Some(expression), Field::Absent) => Test::Matches(expression?),
        (Field::Absent, None, Field::Given(NonEmpty(texts))) => {
            Test::OneOf(texts.iter().map(|text| text.value.clone()).collect())
        }
        (Field::Absent | Field::Unusable | Field::Given(_), _, _) => return None,
    };
    Some(Condition { path: path?.value.as_str().into(), test })
}

/// What has to be looked for and verified to judge the demands; none where there are none.
pub(super) fn examination(
    signatures: Option<&SignedImage>,
    attestations: &[AttestationDemand],
    scan: Option<&ScanDemand>,
) -> Option<Arc<Examination>> {
    let of_reports = scan.map_or(&[][..], |scan| &scan.authorities);
    if signatures.is_none() && attestations.is_empty() && of_reports.is_empty() {
        return None;
    }
    let mut examination = Examination {
        signatures: signatures.is_some(),
        repository: signatures.and_then(|its| its.repository.clone()),
        reports: !of_reports.is_empty(),
        ..Examination::default()
    };
    let of_signatures = signatures.into_iter().flat_map(|its| &its.demand.authorities);
    let of_attestations = attestations.iter().flat_map(|demand| &demand.authorities);
    of_signatures.chain(of_attestations).chain(of_reports).for_each(|authority| add(authority, &mut examination));
    for demand in attestations {
        let paths = examination.predicates.entry(Arc::clone(&demand.predicate_type)).or_default();
        paths.extend(demand.conditions.iter().map(|condition| Arc::clone(&condition.path)));
    }
    Some(Arc::new(examination))
}

fn add(authority: &Authority, examination: &mut Examination) {
    match &authority.whom {
        Whom::Keys(keys) => {
            let keys = keys.iter().map(|trusted| (trusted.key.clone(), Arc::clone(&authority.root)));
            examination.keys.extend(keys);
        }
        Whom::Keyless(_) => drop(examination.roots.insert(Arc::clone(&authority.root))),
    }
}
