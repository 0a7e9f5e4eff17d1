//! `pratique scans`: what scan reports say, file by file, and which of them cannot be used. Nothing is judged.
//!
//! Files are found, opened and read by the code that does it for `serve` and `check`, so what is refused there is refused
//! here, in the same words.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;

use crate::args::{Output, Scans};
use crate::evidence::scan::directory::list;
use crate::fact::report::{Counts, Defect, Outline, Report, Unusable};
use crate::policy::document::Mistake;
use crate::policy::scan::AHEAD;

mod json;
mod table;

/// The exit status where some file cannot be used.
const UNUSABLE: u8 = 1;

/// What became of one file. Its findings are counted and not kept: a folder may hold a hundred thousand.
#[derive(Debug)]
struct Entry {
    /// As it was named, or found below what was named.
    source: String,
    /// What it says of itself, as far as that could be read.
    outline: Option<Outline>,
    content: Result<Content, (Defect, Arc<str>)>,
}

/// What a report that can be used found.
#[derive(Debug, Clone, Copy)]
struct Content {
    counts: Counts,
    /// Findings that the scanner was told to leave out, and that the report still has.
    suppressed: usize,
}

pub(super) fn run(scans: &Scans) -> ExitCode {
    let now = Timestamp::now();
    let (entries, mut mistakes) = list(scans, now);
    if entries.is_empty() && mistakes.is_empty() {
        let message = "there is no file that ends in .json, .json.gz or .json.zst: name the reports, or another folder";
        mistakes.push(Mistake::about("scans", message));
    }
    super::complain(&mistakes);
    if !entries.is_empty() {
        super::print(&match scans.output {
            Output::Text => table::text(&entries, std::io::stdout().is_terminal(), now),
            Output::Json => json::text(&entries),
        });
    }
    ExitCode::from(match () {
        () if !mistakes.is_empty() => super::NO_ANSWER,
        () if entries.iter().any(|entry| entry.content.is_err()) => UNUSABLE,
        () => 0,
    })
}

/// All files in the order of the arguments, below a folder in the order of their paths; and what could not be looked at.
fn list(scans: &Scans, now: Timestamp) -> (Vec<Entry>, Vec<Mistake>) {
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    for path in &scans.paths {
        if path == Path::new("-") {
            entries.push(entry("-".to_owned(), standard_input(), now));
            continue;
        }
        match list::below(path) {
            Ok(listed) => {
                let read = |file: &PathBuf| entry(file.display().to_string(), listed.read(file), now);
                entries.extend(listed.files.iter().map(read));
                mistakes.extend(listed.doubt.iter().map(|why| Mistake::about(path.display(), why)));
            }
            Err(why) => mistakes.push(Mistake::about(path.display(), why)),
        }
    }
    (entries, mistakes)
}

fn standard_input() -> Result<Report, Unusable> {
    let duplicate = std::io::stdin().as_fd().try_clone_to_owned();
    let closed = |_| Unusable::new(Defect::Unreadable, "standard input is closed");
    list::read_all(&File::from(duplicate.map_err(closed)?))
}

fn entry(source: String, read: Result<Report, Unusable>, now: Timestamp) -> Entry {
    match read.and_then(|report| not_ahead(report, now)) {
        Ok(Report { outline, findings }) => {
            let suppressed = findings.iter().filter(|finding| finding.suppressed).count();
            let content = Content { counts: findings.counts(), suppressed };
            Entry { source, outline: Some(outline), content: Ok(content) }
        }
        Err(Unusable { defect, words, outline }) => {
            Entry { source, outline: outline.map(|outline| *outline), content: Err((defect, words)) }
        }
    }
}

/// As it is refused where it is judged.
fn not_ahead(report: Report, now: Timestamp) -> Result<Report, Unusable> {
    match report.outline.scanned_at {
        Some(at) if at.duration_since(now) > jiff::SignedDuration::try_from(AHEAD).unwrap_or_default() => {
            let words = format!(
                "it is dated {at}, more than 5 minutes ahead: set the clock where it was scanned, and scan again"
            );
            Err(Unusable::new(Defect::Future, words).about(report.outline))
        }
        Some(_) | None => Ok(report),
    }
}
