//! Findings, compact: their texts stand in one string, and each is a few numbers beside it. A hundred thousand images have
//! some million of them.

use jiff::Timestamp;

use super::Severity;

/// Findings of one report. Real ones have some thousands for the worst images, and all of them are judged in every review.
const FINDINGS: usize = 50_000;
/// Bytes of an identifier; real ones have twenty.
const IDENTIFIER: usize = 256;
/// Bytes of all other names of one finding.
const ALIASES: usize = 4_096;
/// Bytes of all texts of one report: a hundred for each of as many findings as there may be, and as much again.
const TEXTS: usize = 20 << 20;
/// Bytes of a package's name (a path of Go modules), and of its versions; what is longer is cut, since only people read it.
const TEXT: usize = 512;

/// One finding, as a scanner told it. The order is any that is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding<'a> {
    /// `CVE-2024-3094`, `GHSA-...`: as the scanner calls it.
    pub id: &'a str,
    /// Other identifiers of the same, with a space between them.
    pub aliases: &'a str,
    /// None: unknown.
    pub severity: Option<Severity>,
    pub package: &'a str,
    pub installed: &'a str,
    /// The versions that fix it, as written; empty where the report names none.
    pub fixed: &'a str,
    pub fix: Fix,
    /// When the fix came out, where that is known.
    pub fixed_since: Option<Timestamp>,
    pub score: Option<Score>,
    /// The scanner was told to leave it out, by an ignore file or by VEX.
    pub suppressed: bool,
}

impl Finding<'_> {
    /// Whether it goes by this identifier, its own or another, in any case.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.id.eq_ignore_ascii_case(id) || self.aliases.split(' ').any(|alias| alias.eq_ignore_ascii_case(id))
    }

    #[must_use]
    pub fn is_fixable(&self) -> bool {
        match self.fix {
            Fix::Fixed => true,
            Fix::NotFixed | Fix::WontFix | Fix::Unknown => false,
        }
    }
}

/// Whether there is a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fix {
    Fixed,
    NotFixed,
    WontFix,
    /// The report does not say.
    Unknown,
}

/// A CVSS base score in tenths: 98 is 9.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(pub u8);

/// A text within the texts of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    length: u16,
}

/// One finding beside the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    fixed_since: Option<i64>,
    id: Span,
    aliases: Span,
    package: Span,
    installed: Span,
    fixed: Span,
    severity: Option<Severity>,
    fix: Fix,
    score: Option<Score>,
    suppressed: bool,
}

/// All findings of one report, the worst first, those that are suppressed last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    texts: Box<str>,
    list: Box<[Packed]>,
    counts: Counts,
}

impl Findings {
    /// The worst first; those that are suppressed last.
    pub fn iter(&self) -> impl Iterator<Item = Finding<'_>> {
        self.list.iter().map(|packed| self.unpacked(packed))
    }

    #[must_use]
    pub fn get(&self, index: usize) -> Option<Finding<'_>> {
        self.list.get(index).map(|packed| self.unpacked(packed))
    }

    /// With those that are suppressed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Without those that are suppressed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.texts.len() + size_of_val(&*self.list)
    }

    fn unpacked(&self, packed: &Packed) -> Finding<'_> {
        Finding {
            id: self.text(packed.id),
            aliases: self.text(packed.aliases),
            severity: packed.severity,
            package: self.text(packed.package),
            installed: self.text(packed.installed),
            fixed: self.text(packed.fixed),
            fix: packed.fix,
            fixed_since: packed.fixed_since.and_then(|second| Timestamp::from_second(second).ok()),
            score: packed.score,
            suppressed: packed.suppressed,
        }
    }

    fn text(&self, span: Span) -> &str {
        let start = usize::try_from(span.start).unwrap_or(usize::MAX);
        self.texts.get(start..start.saturating_add(usize::from(span.length))).unwrap_or_default()
    }
}

/// How many findings there are, by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Counts {
    pub critical: Count,
    pub high: Count,
    pub medium: Count,
    pub low: Count,
    pub negligible: Count,
    pub unknown: Count,
}

/// How many of one severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Count {
    pub total: u32,
    /// Of them with a fix.
    pub fixable: u32,
}

impl Counts {
    #[must_use]
    pub fn of(&self, severity: Option<Severity>) -> Count {
        match severity {
            Some(Severity::Critical) => self.critical,
            Some(Severity::High) => self.high,
            Some(Severity::Medium) => self.medium,
            Some(Severity::Low) => self.low,
            Some(Severity::Negligible) => self.negligible,
            None => self.unknown,
        }
    }

    #[must_use]
    pub fn total(&self) -> u32 {
        let Self { critical, high, medium, low, negligible, unknown } = self;
        [critical, high, medium, low, negligible, unknown].iter().map(|count| count.total).sum()
    }

    /// One more.
    pub fn add(&mut self, severity: Option<Severity>, fixable: bool) {
        let count = match severity {
            Some(Severity::Critical) => &mut self.critical,
            Some(Severity::High) => &mut self.high,
            Some(Severity::Medium) => &mut self.medium,
            Some(Severity::Low) => &mut self.low,
            Some(Severity::Negligible) => &mut self.negligible,
            None => &mut self.unknown,
        };
        count.total += 1;
        count.fixable += u32::from(fixable);
    }
}

/// A bound of [`FindingsBuilder`] is exceeded; the words are a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch(pub &'static str);

/// Takes findings one by one.
#[derive(Debug, Default)]
pub struct FindingsBuilder {
    texts: String,
    list: Vec<Packed>,
}

impl FindingsBuilder {
    /// Takes one more; what it may not have is an error, and what only people read is cut.
    pub fn push(&mut self, finding: Finding<'_>) -> Result<(), TooMuch> {
        if self.list.len() >= FINDINGS {
            return Err(TooMuch("it has more than 50,000 findings"));
        }
        if finding.id.len() > IDENTIFIER || finding.aliases.len() > ALIASES {
            return Err(TooMuch("a finding of it has an identifier longer than any real one"));
        }
        let packed = Packed {
            id: self.add(finding.id)?,
            aliases: self.add(finding.aliases)?,
            package: self.add(cut(finding.package))?,
            installed: self.add(cut(finding.installed))?,
            fixed: self.add(cut(finding.fixed))?,
            severity: finding.severity,
            fix: finding.fix,
            fixed_since: finding.fixed_since.map(Timestamp::as_second),
            score: finding.score,
            suppressed: finding.suppressed,
        };
        self.list.push(packed);
        Ok(())
    }

    /// How many there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in order.
    #[must_use]
    pub fn finish(self) -> Findings {
        let Self { texts, mut list } = self;
        // The same order whatever the order in the report: what is equal in all else is told by its text.
        let text = |span: Span| {
            let start = usize::try_from(span.start).unwrap_or(usize::MAX);
            texts.get(start..start.saturating_add(usize::from(span.length))).unwrap_or_default()
        };
        list.sort_by(|one, other| {
            let graver = (one.suppressed, other.severity, other.fix == Fix::Fixed, other.score);
            let lighter = (other.suppressed, one.severity, one.fix == Fix::Fixed, one.score);
            let words = |its: &Packed| (text(its.id), text(its.package), text(its.installed));
            graver.cmp(&lighter).then_with(|| words(one).cmp(&words(other)))
        });
        let mut counts = Counts::default();
        for its in list.iter().filter(|its| !its.suppressed) {
            counts.add(its.severity, its.fix == Fix::Fixed);
        }
        Findings { texts: texts.into(), list: list.into(), counts }
    }

    /// The text, where it stands already in the finding before or at the end.
    fn add(&mut self, text: &str) -> Result<Span, TooMuch> {
        let too_much = |_| TooMuch("its findings have more text than is kept");
        let length = u16::try_from(text.len()).map_err(too_much)?;
        if text.is_empty() {
            return Ok(Span { start: 0, length });
        }
        let before = self.list.last().into_iter().flat_map(|its| [its.id, its.package, its.installed, its.fixed]);
        let same = before.into_iter().find(|span| {
            let start = usize::try_from(span.start).unwrap_or(usize::MAX);
            self.texts.get(start..start.saturating_add(usize::from(span.length))) == Some(text)
        });
        if let Some(span) = same {
            return Ok(span);
        }
        if self.texts.len() + text.len() > TEXTS {
            return Err(TooMuch("its findings have more text than is kept"));
        }
        let start = u32::try_from(self.texts.len()).map_err(too_much)?;
        self.texts.push_str(text);
        Ok(Span { start, length })
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding<'a>(id: &'a str, severity: Option<Severity>, package: &'a str) -> Finding<'a> {
        Finding {
            id,
            aliases: "",
            severity,
            package,
            installed: "1.0",
            fixed: "1.1",
            fix: Fix::Fixed,
            fixed_since: None,
            score: None,
            suppressed: false,
        }
    }

    fn all(findings: &[Finding<'_>]) -> Findings {
        let mut builder = FindingsBuilder::default();
        for finding in findings {
            builder.push(*finding).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn what_goes_in_comes_out_worst_first_whatever_the_order_was() {
        let low = finding("CVE-1", Some(Severity::Low), "zlib");
        let unknown = Finding { aliases: "GHSA-1 GHSA-2", ..finding("CVE-2", None, "xz") };
        let critical = Finding {
            fixed_since: Some("2026-01-02T03:04:05Z".parse().unwrap()),
            score: Some(Score(98)),
            ..finding("CVE-3", Some(Severity::Critical), "xz")
        };
        let suppressed = Finding { suppressed: true, ..finding("CVE-4", Some(Severity::Critical), "xz") };
        let one = all(&[low, suppressed, unknown, critical]);
        assert_eq!(one.iter().collect::<Vec<_>>(), [critical, low, unknown, suppressed]);
        assert_eq!(
            all(&[critical, unknown, suppressed, low]).iter().collect::<Vec<_>>(),
            one.iter().collect::<Vec<_>>()
        );
        assert_eq!((one.counts().total(), one.counts().critical), (3, Count { total: 1, fixable: 1 }));
        assert!(unknown.is("ghsa-2") && unknown.is("cve-2") && !unknown.is("GHSA"));
    }

    #[test]
    fn a_finding_more_than_is_kept_is_an_error_and_never_left_out() {
        let mut builder = FindingsBuilder::default();
        let one = finding("CVE-1", None, "xz");
        for _ in 0..FINDINGS {
            builder.push(one).unwrap();
        }
        assert_eq!(builder.push(one), Err(TooMuch("it has more than 50,000 findings")));
        let long = "x".repeat(IDENTIFIER + 1);
        assert!(FindingsBuilder::default().push(finding(&long, None, "xz")).is_err());
        let long = "\u{e9}".repeat(TEXT);
        let mut builder = FindingsBuilder::default();
        builder.push(finding("CVE-1", None, &long)).unwrap();
        assert_eq!(builder.finish().get(0).unwrap().package.len(), TEXT);
    }

    #[test]
    fn twenty_findings_take_two_kilobytes() {
        let mut builder = FindingsBuilder::default();
        for number in 0..20 {
            let id = format!("CVE-2026-{number:05}");
            let package = format!("package-{}", number / 2);
            builder.push(finding(&id, Some(Severity::High), &package)).unwrap();
        }
        let weight = builder.finish().weight();
        assert!(weight < 2_500, "{weight}");
    }
}
