//! `scans -o json`: a list in the order of the files.

use serde::Serialize;

use crate::command::report::findings::Findings;
use crate::fact::report::{Defect, Format, Outline};
use crate::image::Digest;

use super::Entry;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    source: &'a str,
    format: Option<&'static str>,
    scanner: Scanner<'a>,
    /// RFC 3339.
    scanned_at: Option<String>,
    digests: Vec<&'a str>,
    names: &'a [Box<str>],
    /// None: it cannot be used.
    findings: Option<Findings>,
    /// The kind of what is wrong with it.
    error: Option<&'static str>,
    /// The same in words.
    message: Option<&'a str>,
    platform: Option<String>,
    database: Database<'a>,
    /// How many findings the scanner was told to leave out; they are not in `findings`.
    suppressed: Option<usize>,
    /// What was dropped while reading it.
    notes: &'a [Box<str>],
}

#[derive(Serialize, Default)]
struct Scanner<'a> {
    name: Option<&'a str>,
    version: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Database<'a> {
    version: Option<&'a str>,
    /// RFC 3339.
    built: Option<String>,
}

pub(super) fn text(entries: &[Entry]) -> String {
    let listed: Vec<Listed<'_>> = entries.iter().map(listed).collect();
    serde_json::to_string_pretty(&listed).expect("strings and lists always become JSON") + "\n"
}

fn listed(entry: &Entry) -> Listed<'_> {
    let Entry { source, outline, content } = entry;
    let outline = outline.as_ref();
    let error = content.as_ref().err();
    let content = content.as_ref().ok();
    Listed {
        source,
        format: outline.map(|outline| Format::label(outline.format)),
        scanner: outline.map(scanner).unwrap_or_default(),
        scanned_at: outline.and_then(|outline| outline.scanned_at).map(|at| at.to_string()),
        digests: outline.map(|outline| outline.subject.digests().map(Digest::as_str).collect()).unwrap_or_default(),
        names: outline.map(|outline| &*outline.subject.names).unwrap_or_default(),
        findings: content.map(|content| Findings::of(&content.counts)),
        error: error.map(|(defect, _)| Defect::label(*defect)),
        message: error.map(|(_, words)| &**words),
        platform: outline.and_then(|outline| outline.subject.platform.as_ref()).map(ToString::to_string),
        database: outline.map(database).unwrap_or_default(),
        suppressed: content.map(|content| content.suppressed),
        notes: outline.map(|outline| &*outline.notes).unwrap_or_default(),
    }
}

fn scanner(outline: &Outline) -> Scanner<'_> {
    let scanner = &outline.scanner;
    Scanner { name: Some(&*scanner.name).filter(|name| !name.is_empty()), version: scanner.version.as_deref() }
}

fn database(outline: &Outline) -> Database<'_> {
    let scanner = &outline.scanner;
    Database { version: scanner.database_version.as_deref(), built: scanner.database_built.map(|at| at.to_string()) }
}
