//! The report of Harbor's scanner adapters, v1.0 and v1.1, bare or keyed by its MIME type as Harbor's API answers.
//!
//! After <https://github.com/goharbor/pluggable-scanner-spec>. What it is about say its artifact's digest and those that
//! Harbor adds to each vulnerability: in the report of an index they name the manifests that have it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fields;
use super::about::{About, scanner};
use super::finding::{push, score};
use super::json::{Object, Text, each, each_text, field, fields_of};
use crate::fact::report::{Defect, Finding, FindingsBuilder, Fix, Format, Outline, Report, Severity, Unusable};

/// Without spaces: they are written with one behind the semicolon, and without.
const MIME_TYPES: [&str; 2] = [
    "application/vnd.security.vulnerability.report;version=1.1",
    "application/vnd.scanner.adapter.vuln.report.harbor+json;version=1.0",
];

pub(super) fn read(fields: &Fields<'_>) -> Result<Report, Unusable> {
    if fields.contains_key("vulnerabilities") {
        return report(fields);
    }
    let of_type = |wanted: &str| {
        let mut found = fields.iter().filter(|(name, _)| name.replace(' ', "") == wanted).map(|(_, raw)| *raw);
        (found.next(), found.next())
    };
    let [new, old] = MIME_TYPES.map(of_type);
    if new.1.is_some() || old.1.is_some() {
        let words = "it has two reports of the same type: fetch it from Harbor anew";
        return Err(Unusable::new(Defect::Malformed, words));
    }
    match (new.0, old.0) {
        (Some(one), None) | (None, Some(one)) => report(&fields_of(one, "report")?),
        (Some(new), Some(old)) => agreed(report(&fields_of(new, "report")?)?, &report(&fields_of(old, "report")?)?),
        (None, None) => {
            let words = "it is an answer of Harbor without a report on vulnerabilities: ask for \
                         application/vnd.security.vulnerability.report; version=1.1";
            Err(Unusable::new(Defect::NotAReport, words))
        }
    }
}

/// The newer form says more, where both are of one image. The older one often names none.
fn agreed(new: Report, old: &Report) -> Result<Report, Unusable> {
    let (its, others) = (&new.outline.subject.manifests, &old.outline.subject.manifests);
    let same = its.iter().all(|digest| others.contains(digest)) && others.iter().all(|digest| its.contains(digest));
    if same || its.is_empty() || others.is_empty() {
        return Ok(new);
    }
    let words = "it has reports of two forms about different images: fetch it from Harbor anew";
    Err(Unusable::new(Defect::Malformed, words))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifact<'a> {
    #[serde(borrow)]
    repository: Text<'a>,
    #[serde(borrow)]
    digest: Text<'a>,
    #[serde(borrow)]
    tag: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

fn report(fields: &Fields<'_>) -> Result<Report, Unusable> {
    let mut about = About::default();
    let Object(Artifact { repository, digest, tag }) = field(fields, "artifact")?;
    if let Some(digest) = digest.stated() {
        about.manifest(digest, "artifact.digest");
    }
    if let Some(repository) = repository.stated() {
        let tag = tag.stated().map(|tag| format!(":{tag}")).unwrap_or_default();
        about.name(&format!("{repository}{tag}"));
    }
    let Object(Tool { name, version }) = field(fields, "scanner")?;
    let scanner = scanner(&name.0, &version.0);
    let scanned_at = about.moment(&field::<Text<'_>>(fields, "generated_at")?.0, "generated_at");
    let findings = findings(fields, &mut about);
    let About { subject, notes } = about;
    let outline = Outline { format: Format::Harbor, scanner, scanned_at, subject, notes };
    match findings {
        Ok(findings) => Ok(Report { outline, findings: findings.finish() }),
        Err(unusable) => Err(unusable.about(outline)),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vulnerability<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    package: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    fix_version: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    preferred_cvss: Object<Cvss>,
    #[serde(borrow)]
    artifact_digests: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cvss {
    score_v3: Option<f64>,
    score_v2: Option<f64>,
}

fn findings(fields: &Fields<'_>, about: &mut About) -> Result<FindingsBuilder, Unusable> {
    let mut findings = FindingsBuilder::default();
    let severity: Text<'_> = field(fields, "severity")?;
    let Some(list) = fields.get("vulnerabilities") else {
        let words = "it has no list of vulnerabilities: fetch it from Harbor anew";
        return Err(Unusable::new(Defect::Malformed, words));
    };
    // Adapters write no list as null. Then nothing of it may say that there was something.
    if list.get() == "null" && Severity::parse(&severity.0).is_some_and(|worst| worst > Severity::Negligible) {
        let words =
            "it has no list of vulnerabilities, and a severity that only they can have: fetch it from Harbor anew";
        return Err(Unusable::new(Defect::Malformed, words));
    }
    each(list, "vulnerabilities", |its: Vulnerability<'_>| take(&mut findings, &its, about))?;
    Ok(findings)
}

fn take(findings: &mut FindingsBuilder, its: &Vulnerability<'_>, about: &mut About) -> Result<(), Unusable> {
    if let Some(digests) = its.artifact_digests {
        each_text(digests, "artifact_digests", |digest| about.manifest(digest, "artifact_digests"))?;
    }
    let Object(Cvss { score_v3, score_v2 }) = its.preferred_cvss;
    let finding = Finding {
        id: &its.id.0,
        aliases: "",
        severity: Severity::parse(&its.severity.0),
        package: &its.package.0,
        installed: &its.version.0,
        fixed: &its.fix_version.0,
        fix: its.fix_version.stated().map_or(Fix::NotFixed, |_| Fix::Fixed),
        fixed_since: None,
        score: score_v3.or(score_v2).and_then(score),
        suppressed: false,
    };
    push(findings, finding)
}

#[cfg(test)]
mod tests;
