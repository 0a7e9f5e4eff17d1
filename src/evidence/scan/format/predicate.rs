//! Reports within attestations: Cosign's `vuln` predicate, in-toto's `vulns`, bare, in a statement, in an envelope.
//!
//! After [Cosign](https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md) and
//! [in-toto](https://github.com/in-toto/attestation/blob/main/spec/predicates/vulns_02.md). Nobody's signature is verified
//! here: what is read from a file is as good as the file. What the report within says of itself counts; what wraps it
//! only adds what that leaves out.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fields;
use super::about::{self, About, scanner};
use super::json::{Object, Text, each, field, fields_of, outermost};
use crate::fact::report::{Defect, FindingsBuilder, Format, Outline, Report, Scanner, ScannerKind, Subject, Unusable};

mod list;
mod severity;

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
const COSIGN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
const IN_TOTO: [&str; 3] = [
    "https://in-toto.io/attestation/vulns",
    "https://in-toto.io/attestation/vulns/v0.1",
    "https://in-toto.io/attestation/vulns/v0.2",
];

/// Reads an envelope, a statement, or a predicate by itself.
pub(super) fn read(fields: &Fields<'_>) -> Result<Report, Unusable> {
    if is_statement(fields) {
        return statement(fields);
    }
    if !fields.contains_key("payloadType") {
        // Nothing says which of the two it is, and only one of them may have a list.
        let form = match result_of(fields)? {
            Some(result) if result.get().starts_with('[') => Form::InToto,
            Some(_) | None => Form::Cosign,
        };
        return predicate(fields, form, About::default());
    }
    if field::<Text<'_>>(fields, "payloadType")?.0 != PAYLOAD_TYPE {
        let words = "it is an envelope of something else than an in-toto statement";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    let payload: Text<'_> = field(fields, "payload")?;
    let decoded = BASE64_STANDARD.decode(&*payload.0).or_else(|_| BASE64_URL_SAFE.decode(&*payload.0));
    let Ok(decoded) = decoded else {
        return Err(Unusable::new(Defect::Malformed, "the payload of its envelope is not base64"));
    };
    let fields = outermost(&decoded)?;
    if !is_statement(&fields) {
        return Err(Unusable::new(Defect::Malformed, "the payload of its envelope is no in-toto statement"));
    }
    statement(&fields)
}

/// What a statement carries that somebody has verified. Its subject is what the report within says; where that names no
/// digest, who knows what the statement was asked for fills it in.
pub(super) fn read_attested(predicate_type: &str, payload: &[u8]) -> Option<Result<Report, Unusable>> {
    let form = Form::of(predicate_type)?;
    let read = || {
        let fields = outermost(payload)?;
        predicate(&predicate_of(&fields)?, form, About::default())
    };
    Some(read())
}

/// What a predicate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Cosign,
    InToto,
}

impl Form {
    /// Exactly: a type is a name, and what has another one is something else.
    fn of(predicate_type: &str) -> Option<Self> {
        match predicate_type {
            COSIGN => Some(Self::Cosign),
            other => IN_TOTO.contains(&other).then_some(Self::InToto),
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Cosign => Format::CosignVuln,
            Self::InToto => Format::InTotoVulns,
        }
    }
}

fn is_statement(fields: &Fields<'_>) -> bool {
    fields.contains_key("_type") && fields.contains_key("predicateType")
}

fn statement(fields: &Fields<'_>) -> Result<Report, Unusable> {
    if !STATEMENTS.contains(&&*field::<Text<'_>>(fields, "_type")?.0) {
        let words = "it is no in-toto statement of version 0.1 or 1";
        return Err(Unusable::new(Defect::NotAReport, words));
    }
    let Some(form) = Form::of(&field::<Text<'_>>(fields, "predicateType")?.0) else {
        let words = "its statement is of no type that carries scan reports: attest with cosign attest --type vuln";
        return Err(Unusable::new(Defect::NotAReport, words));
    };
    let mut about = About::default();
    let Some(subjects) = fields.get("subject").filter(|subjects| subjects.get() != "null") else {
        return Err(Unusable::new(Defect::Malformed, "its statement has no subject"));
    };
    each(subjects, "subject", |subject: Named<'_>| {
        about.name(&subject.name.0);
        let Some(digests) = subject.digest else { return Ok(()) };
        for (algorithm, raw) in fields_of(digests, "digest")? {
            let hex: Text<'_> = super::json::parse(raw, "digest")?;
            about.manifest(&format!("{algorithm}:{}", hex.0), "subject");
        }
        Ok(())
    })?;
    predicate(&predicate_of(fields)?, form, about)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    digest: Option<&'a RawValue>,
}

fn predicate_of<'a>(statement: &Fields<'a>) -> Result<Fields<'a>, Unusable> {
    match statement.get("predicate") {
        Some(predicate) => fields_of(predicate, "predicate"),
        None => Err(Unusable::new(Defect::Malformed, "its statement has no predicate")),
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    db: Object<Database<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Database<'a> {
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    last_update: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    scan_finished_on: Text<'a>,
}

fn result_of<'a>(predicate: &Fields<'a>) -> Result<Option<&'a RawValue>, Unusable> {
    let Some(scanner) = predicate.get("scanner") else { return Ok(None) };
    let result = fields_of(scanner, "scanner")?.get("result").copied();
    Ok(result.filter(|result| result.get() != "null"))
}

/// `about`: what the statement names.
fn predicate(fields: &Fields<'_>, form: Form, mut about: About) -> Result<Report, Unusable> {
    let Object(Tool { uri, version, db }) = field(fields, "scanner")?;
    let Object(Metadata { scan_finished_on }) = field(fields, "metadata")?;
    let scanned_at = about.moment(&scan_finished_on.0, "metadata.scanFinishedOn");
    let database_built = about.moment(&db.0.last_update.0, "scanner.db.lastUpdate");
    let scanner = Scanner { database_version: about::text(&db.0.version.0), database_built, ..by(&uri.0, &version.0) };
    let About { subject, notes } = about;
    let wrapping = Outline { format: form.format(), scanner, scanned_at, subject, notes };
    let Some(result) = result_of(fields)? else {
        let words = "its scanner has no result: give cosign attest the report itself (trivy --format cosign-vuln)";
        return Err(Unusable::new(Defect::NothingScanned, words).about(wrapping));
    };
    if form == Form::InToto && result.get().starts_with('[') {
        let mut findings = FindingsBuilder::default();
        return match list::read(&mut findings, result) {
            Ok(()) => Ok(Report { outline: wrapping, findings: findings.finish() }),
            Err(unusable) => Err(unusable.about(wrapping)),
        };
    }
    match super::read_carried(result) {
        Ok(Report { outline, findings }) => Ok(Report { outline: within(wrapping, outline), findings }),
        Err(Unusable { defect, words, outline }) => {
            let outline = match outline {
                Some(outline) => within(wrapping, *outline),
                None => wrapping,
            };
            Err(Unusable::new(defect, words).about(outline))
        }
    }
}

/// What the report says of itself; the rest from what wraps it.
fn within(wrapping: Outline, report: Outline) -> Outline {
    let Outline { format, scanner: by, scanned_at, subject, mut notes } = wrapping;
    let Scanner { kind, name, version, database_version, database_built } = report.scanner;
    // A report that does not say who wrote it; else the attestation speaks of its own tool.
    let (kind, name) = if name.is_empty() { (by.kind, by.name) } else { (kind, name) };
    let scanner = Scanner {
        kind,
        name,
        version: version.or(by.version),
        database_version: database_version.or(by.database_version),
        database_built: database_built.or(by.database_built),
    };
    notes.extend(report.notes);
    Outline {
        format,
        scanner,
        // Whoever attests says when the scan ended; the report within may say when its tool was asked to write it.
        scanned_at: scanned_at.or(report.scanned_at),
        subject: of(subject, report.subject),
        notes,
    }
}

/// The statement's digests say what was scanned only where the report does not.
fn of(statement: Subject, report: Subject) -> Subject {
    let manifests = if report.digests().next().is_some() { report.manifests } else { statement.manifests };
    let mut names = report.names;
    names.extend(statement.names.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
    Subject { manifests, config: report.config, platform: report.platform, names }
}

/// A scanner by its URI: `pkg:github/aquasecurity/trivy@0.76.0`, `https://github.com/anchore/grype`, `osv.dev`.
fn by(uri: &str, version: &str) -> Scanner {
    let end = uri.find(['@', '?', '#']).unwrap_or(uri.len());
    let path = uri.get(..end).unwrap_or(uri).trim_end_matches('/').to_ascii_lowercase();
    let known = [(ScannerKind::Trivy, "aquasecurity/trivy"), (ScannerKind::Grype, "anchore/grype")];
    let named = known.into_iter().find(|(_, its)| path == *its || path.ends_with(&format!("/{its}")));
    scanner(named.map_or(uri, |(kind, _)| kind.label()), version)
}

#[cfg(test)]
mod tests;
