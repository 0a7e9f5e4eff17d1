//! `scans` for a person: a table with the worst image first, below each row the file that says so, and at the end what
//! cannot be used.
//!
//! Everything that a report or a file's name says goes through `printable`, and no cell is wider than its column may be.

use std::cmp::Reverse;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::command::report::findings::{age, in_words};
use crate::fact::report::{Counts, Defect, Outline, Severity};
use crate::request::printable;

use super::{Content, Entry};

/// Columns on the screen for an image: longer names lose their beginning, since the end tells them apart.
const IMAGE_WIDTH: usize = 60;
/// For every other cell; real ones have half of it.
const CELL_WIDTH: usize = 30;
/// Bytes of a foreign word before it is cut to a column. A cell that is cut keeps its end, so more than a cell is kept.
const WORD_BYTES: usize = 1_000;
/// Bytes of a file's name, or of a note.
const LINE_BYTES: usize = 400;
/// Notes of one report; one that dropped more is wrong throughout.
const NOTES: usize = 3;
/// Hexadecimal digits of a digest that tell two apart.
const DIGEST_DIGITS: usize = 12;

/// Severities that have a column, and what has none.
const COLUMNS: [Option<Severity>; 6] = [
    Some(Severity::Critical),
    Some(Severity::High),
    Some(Severity::Medium),
    Some(Severity::Low),
    Some(Severity::Negligible),
    None,
];

/// A cell with the colour of its text, which has no width.
struct Cell {
    text: String,
    colour: Option<&'static str>,
}

impl Cell {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: None }
    }
}

/// A report in the table.
struct Row {
    cells: Vec<Cell>,
    /// Where it stands, and what there is to say of it.
    below: String,
}

pub(super) fn text(entries: &[Entry], terminal: bool, now: Timestamp) -> String {
    let mut usable: Vec<(&Entry, &Outline, Content)> = entries.iter().filter_map(usable).collect();
    usable.sort_by_key(|(_, _, content)| Reverse(content.counts));
    let rows: Vec<Row> = usable.iter().map(|(entry, outline, content)| row(entry, outline, *content, now)).collect();
    let mut text = table(&rows, terminal);
    let failed: Vec<String> = entries.iter().filter_map(|entry| failure(entry, terminal, now)).collect();
    if !failed.is_empty() {
        let gap = if rows.is_empty() { "" } else { "\n" };
        let _infallible = writeln!(text, "{gap}cannot be used:\n{}", failed.join("\n"));
    }
    text + "\n" + &sum(entries, &usable)
}

fn usable(entry: &Entry) -> Option<(&Entry, &Outline, Content)> {
    match (&entry.content, &entry.outline) {
        (Ok(content), Some(outline)) => Some((entry, outline, *content)),
        (Ok(_) | Err(_), _) => None,
    }
}

fn row(entry: &Entry, outline: &Outline, content: Content, now: Timestamp) -> Row {
    let mut cells = vec![
        Cell::plain(clipped(&image(outline), IMAGE_WIDTH)),
        Cell::plain(clipped(&platform(outline), CELL_WIDTH)),
        Cell::plain(clipped(&scanner(outline), CELL_WIDTH)),
        Cell::plain(outline.scanned_at.map_or_else(|| "undated".to_owned(), |at| age(at, now))),
    ];
    cells.extend(COLUMNS.map(|severity| count(&content.counts, severity)));
    Row { cells, below: below(entry, outline, content) }
}

/// The first name, its digest shortened; else a digest.
fn image(outline: &Outline) -> String {
    let digest = || outline.subject.digests().next().map(|digest| short(digest.as_str()));
    let name = outline.subject.names.first().map(|name| match name.split_once("@sha256:") {
        Some((name, hex)) => {
            format!("{}@{}", printable(name, WORD_BYTES), short(&printable(&format!("sha256:{hex}"), WORD_BYTES)))
        }
        None => printable(name, WORD_BYTES),
    });
    name.or_else(digest).unwrap_or_else(|| "(no name)".to_owned())
}

fn platform(outline: &Outline) -> String {
    outline.subject.platform.as_ref().map_or_else(|| "-".to_owned(), |its| printable(&its.to_string(), WORD_BYTES))
}

fn scanner(outline: &Outline) -> String {
    let scanner = &outline.scanner;
    let words = [Some(&*scanner.name).filter(|name| !name.is_empty()), scanner.version.as_deref()];
    let words: Vec<String> = words.into_iter().flatten().map(|word| printable(word, WORD_BYTES)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// `6 (2)`: so many, and of them with a fix.
fn count(counts: &Counts, severity: Option<Severity>) -> Cell {
    let count = counts.of(severity);
    let text = match count.fixable {
        0 => count.total.to_string(),
        fixable => format!("{} ({fixable})", count.total),
    };
    let colour = match severity {
        Some(Severity::Critical) if count.total > 0 => Some(RED),
        Some(Severity::High) if count.total > 0 => Some(YELLOW),
        Some(_) | None => None,
    };
    Cell { text, colour }
}

const RED: &str = "31";
const YELLOW: &str = "33";

/// The file, what the report identifies, and what else a reader must know.
fn below(entry: &Entry, outline: &Outline, content: Content) -> String {
    let mut clauses = vec![match outline.subject.digests().next() {
        Some(digest) => short(digest.as_str()),
        None => "names no digest, so it judges nothing".to_owned(),
    }];
    if content.suppressed > 0 {
        clauses.push(format!("{} suppressed by the scanner's own settings", content.suppressed));
    }
    clauses.extend(outline.notes.iter().take(NOTES).map(|note| printable(note, LINE_BYTES)));
    if let Some(more) = outline.notes.len().checked_sub(NOTES).filter(|more| *more > 0) {
        clauses.push(format!("{more} more notes (-o json)"));
    }
    format!("{}: {}", printable(&entry.source, LINE_BYTES), clauses.join("; "))
}

/// `sha256:0123456789ab`
fn short(digest: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("", digest));
    format!("{algorithm}:{}", hex.get(..DIGEST_DIGITS).unwrap_or(hex))
}

/// `scans/web.json: truncated: it ends in the middle`, and whose report it would have been.
fn failure(entry: &Entry, terminal: bool, now: Timestamp) -> Option<String> {
    let (defect, words) = entry.content.as_ref().err()?;
    let label = painted(Defect::label(*defect), Some(RED), terminal);
    let about = entry.outline.as_ref().map(|outline| {
        let dated = outline.scanned_at.filter(|at| *at <= now).map(|at| format!(", {}", age(at, now)));
        let (image, scanner) = (clipped(&image(outline), IMAGE_WIDTH), clipped(&scanner(outline), CELL_WIDTH));
        format!(" ({image}, {scanner}{})", dated.unwrap_or_default())
    });
    let source = printable(&entry.source, LINE_BYTES);
    Some(format!("  {source}: {label}: {}{}", printable(words, LINE_BYTES), about.unwrap_or_default()))
}

fn table(rows: &[Row], terminal: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["IMAGE", "PLATFORM", "SCANNER", "AGE"].map(ToOwned::to_owned).into_iter();
    let severities = COLUMNS.map(|severity| severity.map_or("unknown", Severity::label).to_uppercase());
    let heads: Vec<Cell> = heads.chain(severities).map(Cell::plain).collect();
    let mut widths: Vec<usize> = heads.iter().map(|cell| width(&cell.text)).collect();
    for row in rows {
        for (column, cell) in widths.iter_mut().zip(&row.cells) {
            *column = width(&cell.text).max(*column);
        }
    }
    let mut text = line(&heads, &widths, terminal);
    for row in rows {
        text.push_str(&line(&row.cells, &widths, terminal));
        let _infallible = writeln!(text, "  {}", row.below);
    }
    text
}

fn line(cells: &[Cell], widths: &[usize], terminal: bool) -> String {
    let mut line = String::new();
    let mut pending = 0;
    for (cell, column) in cells.iter().zip(widths) {
        line.extend(std::iter::repeat_n(' ', pending));
        line.push_str(&painted(&cell.text, cell.colour, terminal));
        pending = column.saturating_sub(width(&cell.text)) + 2;
    }
    line.push('\n');
    line
}

fn painted(text: &str, colour: Option<&str>, terminal: bool) -> String {
    match colour {
        Some(colour) if terminal => format!("\x1b[{colour}m{text}\x1b[0m"),
        Some(_) | None => text.to_owned(),
    }
}

/// `3 files: 2 reports with 2 critical (2 with a fix), ...; 1 cannot be used`
fn sum(entries: &[Entry], usable: &[(&Entry, &Outline, Content)]) -> String {
    let total = usable.iter().fold(Counts::default(), |sum, (_, _, content)| added(sum, content.counts));
    let mut clauses = vec![format!("{}: {}", counted(entries.len(), "file"), counted(usable.len(), "report"))];
    if !usable.is_empty() {
        let dirty = usable.iter().filter(|(_, _, content)| content.counts.total() > 0).count();
        let _infallible = write!(clauses[0], ", {dirty} with findings: {}", in_words(&total));
    }
    let nameless = usable.iter().filter(|(_, outline, _)| outline.subject.digests().next().is_none()).count();
    if nameless > 0 {
        clauses.push(format!("{nameless} without a digest"));
    }
    let failed = entries.len() - usable.len();
    if failed > 0 {
        clauses.push(format!("{failed} cannot be used"));
    }
    clauses.join("; ") + "\n"
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn added(sum: Counts, more: Counts) -> Counts {
    let mut sum = sum;
    let Counts { critical, high, medium, low, negligible, unknown } = &mut sum;
    let both = [
        (critical, more.critical),
        (high, more.high),
        (medium, more.medium),
        (low, more.low),
        (negligible, more.negligible),
        (unknown, more.unknown),
    ];
    for (one, other) in both {
        one.total = one.total.saturating_add(other.total);
        one.fixable = one.fixable.saturating_add(other.fixable);
    }
    sum
}

/// The end of a text, at most so wide.
fn clipped(text: &str, limit: usize) -> String {
    const CUT: &str = "...";
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut room = limit - CUT.len();
    let mut kept: Vec<char> = Vec::new();
    for character in text.chars().rev() {
        let Some(left) = room.checked_sub(columns(character)) else { break };
        room = left;
        kept.push(character);
    }
    CUT.chars().chain(kept.into_iter().rev()).collect()
}

/// How many columns of a terminal it takes.
fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Two for what East Asian scripts and pictures take, none for marks upon the character before; near enough that a table
/// stands straight.
fn columns(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{591}'..='\u{5bd}'
        | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::report::{Format, Scanner, Subject};
    use crate::image::Digest;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn outline(name: &str) -> Outline {
        let digest = Digest::parse(&format!("sha256:{}", "ab".repeat(32))).unwrap();
        Outline {
            format: Format::Trivy,
            scanner: Scanner { name: "trivy".into(), version: Some("0.76.0".into()), ..Scanner::default() },
            scanned_at: Some("2026-11-17T12:00:00Z".parse().unwrap()),
            subject: Subject { manifests: vec![digest], names: vec![name.into()], ..Subject::default() },
            notes: Vec::new(),
        }
    }

    fn entry(name: &str, critical: u32, high: u32) -> Entry {
        let mut counts = Counts::default();
        (counts.critical.total, counts.high.total, counts.high.fixable) = (critical, high, high / 2);
        let content = Ok(Content { counts, suppressed: 0 });
        Entry { source: format!("{name}.json"), outline: Some(outline(name)), content }
    }

    fn failed(name: &str, outline: Option<Outline>) -> Entry {
        let content = Err((Defect::NothingScanned, Arc::from("it looked at no package: scan again")));
        Entry { source: format!("{name}.json"), outline, content }
    }

    #[test]
    fn each_report_has_a_row_and_a_line_that_explains_it() {
        let entries = [entry("clean", 0, 0), failed("none", None), entry("bad", 1, 12)];
        let expected = "\
IMAGE  PLATFORM  SCANNER       AGE  CRITICAL  HIGH    MEDIUM  LOW  NEGLIGIBLE  UNKNOWN
bad    -         trivy 0.76.0  3 d  1         12 (6)  0       0    0           0
  bad.json: sha256:abababababab
clean  -         trivy 0.76.0  3 d  0         0       0       0    0           0
  clean.json: sha256:abababababab

cannot be used:
  none.json: nothing-scanned: it looked at no package: scan again

3 files: 2 reports, 1 with findings: 1 critical, 12 high (6 with a fix); 1 cannot be used
";
        assert_eq!(text(&entries, false, now()), expected);
    }

    #[test]
    fn colours_have_no_width_and_are_for_terminals_alone() {
        let entries = [entry("a", 1, 2), entry("b", 0, 0), failed("c", None)];
        let (plain, coloured) = (text(&entries, false, now()), text(&entries, true, now()));
        assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}[31m1\u{1b}[0m"), "{coloured}");
        let stripped =
            ["\u{1b}[31m", "\u{1b}[33m", "\u{1b}[0m"].iter().fold(coloured, |its, code| its.replace(code, ""));
        assert_eq!(stripped, plain);
    }

    #[test]
    fn what_is_dropped_suppressed_undated_or_without_digest_is_said() {
        let mut one = entry("one", 0, 0);
        one.content = one.content.map(|content| Content { suppressed: 2, ..content });
        one.outline = one.outline.map(|outline| Outline {
            scanned_at: None,
            subject: Subject { manifests: Vec::new(), ..outline.subject },
            notes: (0..5).map(|number| format!("note {number}").into()).collect(),
            ..outline
        });
        let told = text(&[one], false, now());
        let below = "one.json: names no digest, so it judges nothing; 2 suppressed by the scanner's own settings; \
                     note 0; note 1; note 2; 2 more notes (-o json)";
        assert!(told.contains(below) && told.contains("  undated  "), "{told}");
        assert!(told.ends_with("1 file: 1 report, 0 with findings: no findings; 1 without a digest\n"), "{told}");
    }

    #[test]
    fn a_report_that_cannot_be_used_says_whose_it_would_have_been() {
        let told = text(&[failed("c", Some(outline("acme/web")))], false, now());
        let line = "  c.json: nothing-scanned: it looked at no package: scan again (acme/web, trivy 0.76.0, 3 d)\n";
        assert!(told.contains(line), "{told}");
        assert!(told.starts_with("cannot be used:\n"), "{told}");
    }

    #[test]
    fn a_long_cell_keeps_its_end_within_its_columns() {
        assert_eq!(clipped("ghcr.io/acme/web:1", 60), "ghcr.io/acme/web:1");
        assert_eq!(clipped("ghcr.io/acme/web:1", 8), "...web:1");
        let wide = clipped(&"\u{6f22}".repeat(40), 10);
        assert_eq!((wide.as_str(), width(&wide)), ("...\u{6f22}\u{6f22}\u{6f22}", 9));
    }
}
