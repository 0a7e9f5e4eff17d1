//! What `grype -o json` writes, from version 0.7 on.
//!
//! After <https://github.com/anchore/grype/tree/main/grype/presenter/models>. A report without matches is what Grype writes
//! of an image in which it found nothing, and of one in which it found nothing to look at: it does not tell them apart.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fields;
use super::about::{self, About, scanner};
use super::finding::{Joined, join, push, score};
use super::json::{Object, Scalar, Text, each, each_text, field, fields_of, parse};
use crate::fact::report::{
    Defect, Finding, FindingsBuilder, Fix, Format, Outline, Report, Scanner, Score, Severity, Unusable,
};

#[cfg(test)]
mod tests;

pub(super) fn read(fields: &Fields<'_>) -> Result<Report, Unusable> {
    let outline = outline(fields)?;
    let mut findings = FindingsBuilder::default();
    let mut read = || {
        for (name, suppressed) in [("matches", false), ("ignoredMatches", true)] {
            if let Some(list) = fields.get(name) {
                each(list, name, |found| take(&mut findings, &found, suppressed))?;
            }
        }
        Ok(())
    };
    if let Err(unusable) = read() {
        return Err(Unusable::about(unusable, outline));
    }
    // Somebody cut out the matches: that there are some shows what it is.
    if findings.is_empty() && !fields.contains_key("descriptor") && !fields.contains_key("source") {
        let words = "it has a field matches with nothing in it, and nothing that shows it to be a report of Grype: have Grype \
                     write it anew (grype -o json)";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    Ok(Report { outline, findings: findings.finish() })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Descriptor<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    timestamp: Text<'a>,
    #[serde(borrow)]
    db: Object<Database<'a>>,
    #[serde(borrow)]
    configuration: Option<&'a RawValue>,
}

/// Up to version 0.87 the state of the database itself; since then that is one field of it.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Database<'a> {
    #[serde(borrow)]
    built: Text<'a>,
    #[serde(borrow)]
    schema_version: Scalar<'a>,
    #[serde(borrow)]
    status: Option<Object<State<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct State<'a> {
    #[serde(borrow)]
    built: Text<'a>,
    #[serde(borrow)]
    schema_version: Scalar<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    target: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Image<'a> {
    #[serde(borrow)]
    user_input: Text<'a>,
    #[serde(rename = "imageID", borrow)]
    image_id: Text<'a>,
    #[serde(borrow)]
    manifest_digest: Text<'a>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
    #[serde(borrow)]
    repo_digests: Option<&'a RawValue>,
    #[serde(borrow)]
    architecture: Text<'a>,
    #[serde(borrow)]
    os: Text<'a>,
    #[serde(borrow)]
    variant: Text<'a>,
}

fn outline(fields: &Fields<'_>) -> Result<Outline, Unusable> {
    let Object(descriptor) = field::<Object<Descriptor<'_>>>(fields, "descriptor")?;
    let name = descriptor.name.stated().unwrap_or("grype");
    if !name.eq_ignore_ascii_case("grype") {
        let words = "it has the form of a report of Grype, and says that another tool wrote it: what that looked for is not known";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    let Object(source) = field::<Object<Source<'_>>>(fields, "source")?;
    let mut about = About::default();
    if let Some(target) = source.target {
        // Everything else is a text: a folder, a package URL.
        match &*source.kind.0 {
            "image" => image(&mut about, target)?,
            _ => parse::<Text<'_>>(target, "target").iter().for_each(|target| about.name(&target.0)),
        }
    }
    if let Some(configuration) = descriptor.configuration {
        notes(&mut about, configuration)?;
    }
    let scanned_at = about.moment(&descriptor.timestamp.0, "descriptor.timestamp");
    let scanner = with_database(scanner(name, &descriptor.version.0), descriptor.db, &mut about);
    let About { subject, notes } = about;
    Ok(Outline { format: Format::Grype, scanner, scanned_at, subject, notes })
}

fn image(about: &mut About, target: &RawValue) -> Result<(), Unusable> {
    let Object(image) = parse::<Object<Image<'_>>>(target, "target")?;
    about.name(&image.user_input.0);
    if let Some(tags) = image.tags {
        each_text(tags, "tags", |tag| about.name(tag))?;
    }
    if let Some(digest) = image.manifest_digest.stated() {
        about.manifest(digest, "manifestDigest");
    }
    if let Some(digests) = image.repo_digests {
        each_text(digests, "repoDigests", |digest| about.manifest(digest, "repoDigests"))?;
    }
    if let Some(id) = image.image_id.stated() {
        about.config(id, "imageID");
    }
    about.platform(&image.os.0, &image.architecture.0, &image.variant.0);
    Ok(())
}

/// What in the settings of the run makes the report say less than it seems to.
fn notes(about: &mut About, configuration: &RawValue) -> Result<(), Unusable> {
    let fields = fields_of(configuration, "configuration")?;
    for (name, words) in [
        ("only-fixed", "Grype was told to report findings with a fix alone (only-fixed)"),
        ("only-notfixed", "Grype was told to report findings without a fix alone (only-notfixed)"),
    ] {
        if field::<Option<bool>>(&fields, name)? == Some(true) {
            about.note(words);
        }
    }
    Ok(())
}

fn with_database(scanner: Scanner, Object(database): Object<Database<'_>>, about: &mut About) -> Scanner {
    let Database { built, schema_version, status } = database;
    let (built, schema) = match status {
        Some(Object(State { built, schema_version })) => (built, schema_version),
        None => (built, schema_version),
    };
    let database_built = about.moment(&built.0, "descriptor.db");
    Scanner { database_version: about::text(&schema.0), database_built, ..scanner }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Match<'a> {
    #[serde(borrow)]
    vulnerability: Option<Object<Vulnerability<'a>>>,
    #[serde(borrow)]
    related_vulnerabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    artifact: Object<Artifact<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Vulnerability<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    severity: Text<'a>,
    #[serde(borrow)]
    fix: Option<Object<Repair<'a>>>,
    /// Before version 0.13 instead of the field above.
    #[serde(borrow)]
    fixed_in_version: Text<'a>,
    #[serde(borrow)]
    cvss: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Repair<'a> {
    versions: Joined,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    available: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Available<'a> {
    #[serde(borrow)]
    date: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Artifact<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Related<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cvss {
    metrics: Object<Metrics>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metrics {
    base_score: Option<f64>,
}

fn take(findings: &mut FindingsBuilder, its: &Match<'_>, suppressed: bool) -> Result<(), Unusable> {
    let Some(Object(vulnerability)) = &its.vulnerability else {
        let words = "one of its matches has no vulnerability: have Grype write it anew";
        return Err(Unusable::new(Defect::Malformed, words));
    };
    let Object(artifact) = &its.artifact;
    let mut aliases = String::new();
    if let Some(list) = its.related_vulnerabilities {
        each(list, "relatedVulnerabilities", |Related { id }| {
            if id != vulnerability.id {
                join(&mut aliases, " ", &id.0);
            }
            Ok(())
        })?;
    }
    let (fix, fixed, fixed_since) = repair(vulnerability)?;
    let finding = Finding {
        id: &vulnerability.id.0,
        aliases: &aliases,
        severity: Severity::parse(&vulnerability.severity.0),
        package: &artifact.name.0,
        installed: &artifact.version.0,
        fixed: &fixed,
        fix,
        fixed_since,
        score: vulnerability.cvss.map(highest).transpose()?.flatten(),
        suppressed,
    };
    push(findings, finding)
}

/// Whether there is a fix, in which versions, and since when.
fn repair<'v>(vulnerability: &'v Vulnerability<'_>) -> Result<(Fix, Cow<'v, str>, Option<Timestamp>), Unusable> {
    let Some(Object(repair)) = &vulnerability.fix else {
        let fixed = &*vulnerability.fixed_in_version.0;
        let fix = if fixed.is_empty() { Fix::Unknown } else { Fix::Fixed };
        return Ok((fix, Cow::Borrowed(fixed), None));
    };
    let fix = match &*repair.state.0 {
        "fixed" => Fix::Fixed,
        "not-fixed" => Fix::NotFixed,
        "wont-fix" => Fix::WontFix,
        _ => Fix::Unknown,
    };
    let (mut since, mut untold) = (None::<Timestamp>, false);
    if let Some(list) = repair.available {
        each(list, "available", |Available { date }| {
            let date = day(&date.0);
            untold |= date.is_none();
            since = since.into_iter().chain(date).min();
            Ok(())
        })?;
    }
    // One that came out on a day that is not told may be older than all others: then nobody is given time.
    Ok((fix, Cow::Borrowed(&*repair.versions.0), since.filter(|_| !untold)))
}

/// The beginning of a day, or a moment; Go's day nought is none.
fn day(text: &str) -> Option<Timestamp> {
    let beginning = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    match text.parse::<Date>() {
        Ok(date) if text.len() == "2026-01-01".len() => Some(date).filter(|date| date.year() > 1).and_then(beginning),
        _ => about::moment(text).ok().flatten(),
    }
}

/// The highest score of any source: Grype does not say whose severity it took.
fn highest(raw: &RawValue) -> Result<Option<Score>, Unusable> {
    let mut highest = None;
    each(raw, "cvss", |Cvss { metrics: Object(Metrics { base_score }) }| {
        highest = highest.max(base_score.and_then(score));
        Ok(())
    })?;
    Ok(highest)
}
