//! What is said of one thing, and how all of it is written.

use std::fmt::Write as _;

use serde::Serialize;

use crate::request::printable;

/// Bytes of one line: the message of a condition is the longest thing in it.
const LONGEST: usize = 1_000;

/// How it is with one thing, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    /// Not as it should stay, or not looked at, where nothing speaks for its being wrong.
    Warning,
    /// It could not be looked at, and has to be.
    Unknown,
    Wrong,
}

impl Level {
    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) level: Level,
    /// A word or two of ours.
    pub(super) about: &'static str,
    /// What is so, and what to do.
    pub(super) words: String,
}

impl Line {
    pub(super) fn ok(about: &'static str, words: impl Into<String>) -> Self {
        Self::new(Level::Ok, about, &words.into())
    }

    pub(super) fn warning(about: &'static str, words: impl Into<String>) -> Self {
        Self::new(Level::Warning, about, &words.into())
    }

    pub(super) fn unknown(about: &'static str, words: impl Into<String>) -> Self {
        Self::new(Level::Unknown, about, &words.into())
    }

    pub(super) fn wrong(about: &'static str, words: impl Into<String>) -> Self {
        Self::new(Level::Wrong, about, &words.into())
    }

    /// Whatever is in it, it is one line and not long.
    fn new(level: Level, about: &'static str, words: &str) -> Self {
        Self { level, about, words: printable(words, LONGEST) }
    }
}

/// What decides about the exit status.
pub(super) fn worst(lines: &[Line]) -> Level {
    lines.iter().map(|line| line.level).max().unwrap_or(Level::Unknown)
}

/// A line each, and a last one for those who read no others.
pub(super) fn text(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.about.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Line { level, about, words } in lines {
        let _infallible = writeln!(text, "{:<7}  {about:<width$}  {words}", level.label());
    }
    let count = |level| lines.iter().filter(|line| line.level == level).count();
    let warnings = match count(Level::Warning) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        count => format!(", {count} warnings"),
    };
    let sum = match worst(lines) {
        Level::Ok | Level::Warning => "nothing is wrong".to_owned(),
        Level::Unknown => "nothing is known to be wrong, and not everything could be looked at".to_owned(),
        Level::Wrong if count(Level::Wrong) == 1 => "1 thing is wrong".to_owned(),
        Level::Wrong => format!("{} things are wrong", count(Level::Wrong)),
    };
    text + &sum + &warnings + "\n"
}

pub(super) fn json(lines: &[Line]) -> String {
    let answer = Answer { verdict: worst(lines), lines };
    serde_json::to_string_pretty(&answer).expect("strings and lists always become JSON") + "\n"
}

#[derive(Serialize)]
struct Answer<'a> {
    verdict: Level,
    lines: &'a [Line],
}

/// The first few of a list, and how many more there are.
pub(super) fn few<T: AsRef<str>>(list: &[T]) -> String {
    /// Of so many it is said what they are.
    const NAMED: usize = 6;
    let named: Vec<&str> = list.iter().take(NAMED).map(AsRef::as_ref).collect();
    let more = list.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", named.join(", "))
}
