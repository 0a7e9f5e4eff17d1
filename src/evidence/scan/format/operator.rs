//! What trivy-operator keeps in the cluster: `VulnerabilityReport` and `ClusterVulnerabilityReport`.
//!
//! After <https://aquasecurity.github.io/trivy-operator/latest/docs/crds/vulnerability-report/>. The digest is that of the
//! manifest or of the index, whichever the pod named; no platform is stated. The list counts: the summary beside it is of
//! what Trivy found, and the operator can be told to leave findings out of the list.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fields;
use super::about::{About, scanner};
use super::finding::{push, score};
use super::json::{Object, Text, each, field, fields_of};
use crate::fact::report::{Defect, Finding, FindingsBuilder, Fix, Format, Outline, Report, Severity, Unusable};

/// The only version that there has been.
const VERSION: &str = "aquasecurity.github.io/v1alpha1";

pub(super) fn read(fields: &Fields<'_>) -> Result<Report, Unusable> {
    if field::<Text<'_>>(fields, "apiVersion")?.0 != VERSION {
        let words = "it is an object of trivy-operator of another version than v1alpha1, which is the one that is read";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    let Some(report) = fields.get("report").filter(|report| report.get() != "null") else {
        let words = "it has no field report: have trivy-operator write it anew (delete the object)";
        return Err(Unusable::new(Defect::Malformed, words));
    };
    let report = fields_of(report, "report")?;
    let outline = outline(&report)?;
    match findings(&report) {
        Ok((findings, true)) => Ok(Report { outline: shortened(outline), findings: findings.finish() }),
        Ok((findings, false)) => Ok(Report { outline, findings: findings.finish() }),
        Err(unusable) => Err(unusable.about(outline)),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifact<'a> {
    #[serde(borrow)]
    repository: Text<'a>,
    #[serde(borrow)]
    tag: Text<'a>,
    #[serde(borrow)]
    digest: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Registry<'a> {
    #[serde(borrow)]
    server: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

fn outline(report: &Fields<'_>) -> Result<Outline, Unusable> {
    let Object(Artifact { repository, tag, digest }) = field(report, "artifact")?;
    let Object(Registry { server }) = field(report, "registry")?;
    let Object(Tool { name, version }) = field(report, "scanner")?;
    let updated: Text<'_> = field(report, "updateTimestamp")?;
    let mut about = About::default();
    if let Some(digest) = digest.stated() {
        about.manifest(digest, "artifact.digest");
    }
    if let Some(repository) = repository.stated() {
        let server = server.stated().map(|server| format!("{server}/")).unwrap_or_default();
        let tag = tag.stated().map(|tag| format!(":{tag}")).unwrap_or_default();
        about.name(&format!("{server}{repository}{tag}"));
    }
    let scanned_at = about.moment(&updated.0, "updateTimestamp");
    let About { subject, notes } = about;
    Ok(Outline { format: Format::TrivyOperator, scanner: scanner(&name.0, &version.0), scanned_at, subject, notes })
}

fn shortened(mut outline: Outline) -> Outline {
    let words = "its list has fewer findings than its summary counts: trivy-operator was told to leave some out";
    outline.notes.push(words.into());
    outline
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Summary {
    critical_count: Option<u64>,
    high_count: Option<u64>,
    medium_count: Option<u64>,
    low_count: Option<u64>,
    none_count: Option<u64>,
    unknown_count: Option<u64>,
}

impl Summary {
    fn total(&self) -> u64 {
        let Self { critical_count, high_count, medium_count, low_count, none_count, unknown_count } = *self;
        let counts = [critical_count, high_count, medium_count, low_count, none_count, unknown_count];
        counts.into_iter().flatten().fold(0, u64::saturating_add)
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability<'a> {
    #[serde(rename = "vulnerabilityID", borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    resource: Text<'a>,
    #[serde(borrow)]
    installed_version: Text<'a>,
    #[serde(borrow)]
    fixed_version: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    score: Option<f64>,
}

/// The findings, and whether the summary counts more.
fn findings(report: &Fields<'_>) -> Result<(FindingsBuilder, bool), Unusable> {
    let list = report.get("vulnerabilities").copied().filter(|list| list.get() != "null");
    let summary = report.get("summary").copied().filter(|summary| summary.get() != "null");
    let counted = field::<Object<Summary>>(report, "summary")?.0.total();
    let mut findings = FindingsBuilder::default();
    match list {
        Some(list) => take_all(&mut findings, list)?,
        // Go writes no list as null.
        None if summary.is_some() && counted == 0 => {}
        None => {
            let words = "it has no list of vulnerabilities, and no summary that counts none: delete the object and trivy-operator \
                         scans anew";
            return Err(Unusable::new(Defect::Malformed, words));
        }
    }
    let listed = u64::try_from(findings.len()).unwrap_or(u64::MAX);
    Ok((findings, listed < counted))
}

fn take_all(findings: &mut FindingsBuilder, list: &RawValue) -> Result<(), Unusable> {
    each(list, "vulnerabilities", |its: Vulnerability<'_>| {
        let finding = Finding {
            id: &its.id.0,
            aliases: "",
            severity: Severity::parse(&its.severity.0),
            package: &its.resource.0,
            installed: &its.installed_version.0,
            fixed: &its.fixed_version.0,
            fix: its.fixed_version.stated().map_or(Fix::NotFixed, |_| Fix::Fixed),
            fixed_since: None,
            score: its.score.and_then(score),
            suppressed: false,
        };
        push(findings, finding)
    })
}

#[cfg(test)]
mod tests;
