//! What `trivy image --format json` writes: schema 2, since version 0.20, and what went before it as an object.
//!
//! After <https://github.com/aquasecurity/trivy/blob/main/pkg/types/report.go>. A report never says for what was looked: one
//! that has no result on packages is unusable, since it may come of a run for secrets alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fields;
use super::about::{About, scanner};
use super::finding::{join, push, score};
use super::json::{Object, Scalar, Text, each, each_text, field, fields_of};
use crate::fact::report::{Defect, Finding, FindingsBuilder, Fix, Format, Outline, Report, Score, Severity, Unusable};

#[cfg(test)]
mod tests;

pub(super) fn read(fields: &Fields<'_>) -> Result<Report, Unusable> {
    let schema: Option<u64> = field(fields, "SchemaVersion")?;
    if !matches!(schema, Some(1 | 2)) {
        let words = "it is of a schema of Trivy that is not known (SchemaVersion 1 and 2 are): its fields may mean something else";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    let outline = outline(fields)?;
    match findings(fields) {
        Ok(findings) => Ok(Report { outline, findings: findings.finish() }),
        Err(unusable) => Err(unusable.about(outline)),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(rename = "ImageID", borrow)]
    image_id: Text<'a>,
    #[serde(rename = "RepoTags", borrow)]
    tags: Option<&'a RawValue>,
    #[serde(rename = "RepoDigests", borrow)]
    digests: Option<&'a RawValue>,
    #[serde(rename = "ImageConfig", borrow)]
    config: Object<ImageConfig<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ImageConfig<'a> {
    #[serde(borrow)]
    os: Text<'a>,
    #[serde(borrow)]
    architecture: Text<'a>,
    #[serde(borrow)]
    variant: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Tool<'a> {
    #[serde(borrow)]
    version: Text<'a>,
}

fn outline(fields: &Fields<'_>) -> Result<Outline, Unusable> {
    let Object(metadata) = field::<Object<Metadata<'_>>>(fields, "Metadata")?;
    let Object(tool) = field::<Object<Tool<'_>>>(fields, "Trivy")?;
    let mut about = About::default();
    about.name(&field::<Text<'_>>(fields, "ArtifactName")?.0);
    if let Some(tags) = metadata.tags {
        each_text(tags, "RepoTags", |tag| about.name(tag))?;
    }
    if let Some(digests) = metadata.digests {
        each_text(digests, "RepoDigests", |digest| about.manifest(digest, "RepoDigests"))?;
    }
    if let Some(id) = metadata.image_id.stated() {
        about.config(id, "ImageID");
    }
    let Object(ImageConfig { os, architecture, variant }) = metadata.config;
    about.platform(&os.0, &architecture.0, &variant.0);
    let scanned_at = created(&mut about, &field(fields, "CreatedAt")?);
    let About { subject, notes } = about;
    Ok(Outline { format: Format::Trivy, scanner: scanner("trivy", &tool.version.0), scanned_at, subject, notes })
}

/// When the report was made: RFC 3339, and in some versions of 2022 seconds since 1970.
fn created(about: &mut About, Scalar(text): &Scalar<'_>) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(second) => Timestamp::from_second(second).ok().filter(|moment| *moment > Timestamp::UNIX_EPOCH),
        Err(_) => about.moment(text, "CreatedAt"),
    }
}

/// What was looked at in one part of the image.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Part<'a> {
    #[serde(borrow)]
    class: Text<'a>,
    #[serde(borrow)]
    vulnerabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    experimental_modified_findings: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Vulnerability<'a> {
    #[serde(rename = "VulnerabilityID", borrow)]
    id: Text<'a>,
    #[serde(rename = "VendorIDs", borrow)]
    vendor_ids: Option<&'a RawValue>,
    #[serde(borrow)]
    pkg_name: Text<'a>,
    #[serde(borrow)]
    installed_version: Text<'a>,
    #[serde(borrow)]
    fixed_version: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    severity_source: Text<'a>,
    #[serde(rename = "CVSS", borrow)]
    cvss: Option<&'a RawValue>,
}

/// What an ignore file or VEX has set aside.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Modified<'a> {
    #[serde(rename = "Type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    finding: Option<&'a RawValue>,
}

fn findings(fields: &Fields<'_>) -> Result<FindingsBuilder, Unusable> {
    let mut findings = FindingsBuilder::default();
    let mut looked = Looked::default();
    let Some(results) = fields.get("Results") else { return Err(looked.nothing()) };
    each(results, "Results", |part: Part<'_>| {
        let before = findings.len();
        if let Some(list) = part.vulnerabilities {
            each(list, "Vulnerabilities", |vulnerability| take(&mut findings, &vulnerability, false))?;
        }
        if let Some(list) = part.experimental_modified_findings {
            each(list, "ExperimentalModifiedFindings", |modified| take_modified(&mut findings, &modified))?;
        }
        looked.at(&part.class.0, findings.len() > before);
        Ok(())
    })?;
    if looked.at_packages { Ok(findings) } else { Err(looked.nothing()) }
}

fn take_modified(findings: &mut FindingsBuilder, modified: &Modified<'_>) -> Result<(), Unusable> {
    // Misconfigurations and the like can be set aside as well.
    if modified.kind.0 != "vulnerability" {
        return Ok(());
    }
    let Some(raw) = modified.finding else {
        let words = "one of its ExperimentalModifiedFindings has no Finding: have Trivy write it anew";
        return Err(Unusable::new(Defect::Malformed, words));
    };
    let Object(vulnerability) = super::json::parse(raw, "Finding")?;
    take(findings, &vulnerability, true)
}

fn take(findings: &mut FindingsBuilder, its: &Vulnerability<'_>, suppressed: bool) -> Result<(), Unusable> {
    let mut aliases = String::new();
    if let Some(list) = its.vendor_ids {
        each_text(list, "VendorIDs", |id| join(&mut aliases, " ", id))?;
    }
    let score = its.cvss.map(|raw| highest(raw, &its.severity_source.0)).transpose()?.flatten();
    let fix = match &*its.status.0 {
        _ if its.fixed_version.stated().is_some() => Fix::Fixed,
        // Before version 0.41 there was no status, and no version meant that none had the fix.
        "affected" | "fix_deferred" | "" => Fix::NotFixed,
        "will_not_fix" | "end_of_life" => Fix::WontFix,
        // `fixed` in no version that could be named is of no use to anybody.
        _ => Fix::Unknown,
    };
    let finding = Finding {
        id: &its.id.0,
        aliases: &aliases,
        severity: Severity::parse(&its.severity.0),
        package: &its.pkg_name.0,
        installed: &its.installed_version.0,
        fixed: &its.fixed_version.0,
        fix,
        fixed_since: None,
        score,
        suppressed,
    };
    push(findings, finding)
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "PascalCase")]
struct Cvss {
    v2_score: Option<f64>,
    v3_score: Option<f64>,
    v40_score: Option<f64>,
}

/// The highest score of whom the severity is from, else of anybody.
fn highest(raw: &RawValue, source: &str) -> Result<Option<Score>, Unusable> {
    let (mut own, mut any) = (None, None);
    for (vendor, raw) in fields_of(raw, "CVSS")? {
        let Object(Cvss { v2_score, v3_score, v40_score }) = super::json::parse(raw, "CVSS")?;
        let best = [v2_score, v3_score, v40_score].into_iter().flatten().filter_map(score).max();
        any = any.max(best);
        if vendor == source {
            own = best;
        }
    }
    Ok(own.or(any))
}

/// What the results are about.
#[derive(Default)]
struct Looked {
    at_packages: bool,
    at_anything: bool,
    /// What else, in our words.
    beside: BTreeSet<&'static str>,
}

impl Looked {
    /// `found`: vulnerabilities; then it was packages, whatever the class. Before version 0.20 there was none.
    fn at(&mut self, class: &str, found: bool) {
        self.at_anything = true;
        self.at_packages |= found || matches!(class, "os-pkgs" | "lang-pkgs");
        self.beside.extend(match class {
            "config" => Some("configuration"),
            "secret" => Some("secrets"),
            "license" | "license-file" => Some("licences"),
            _ => None,
        });
    }

    fn nothing(&self) -> Unusable {
        let beside: Vec<_> = self.beside.iter().copied().collect();
        let there = match (beside.is_empty(), self.at_anything) {
            (false, _) => format!("it is about {} alone", beside.join(" and ")),
            (true, true) => "it has no result about packages".to_owned(),
            (true, false) => "it has no result at all".to_owned(),
        };
        let words = format!(
            "{there}, which does not show that Trivy looked for vulnerabilities: scan with --scanners vuln; where the image \
             has no package that Trivy knows, use another scanner"
        );
        Unusable::new(Defect::NothingScanned, words)
    }
}
