//! The words of mistakes: what was found, quoted without harm, and what was probably meant.

use crate::request::printable;

use super::{Node, Value};

/// How much of a text a message quotes.
const MOST_QUOTED: usize = 60;
/// A longer word is no typing mistake of ours, and the distance is quadratic in it.
const MOST_COMPARED: usize = 64;

/// `expected text, found the number 5`.
#[must_use]
pub fn expected(what: &str, node: &Node) -> String {
    let found = match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::Text(text) => format!("the text {}", quoted(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    };
    format!("expected {what}, found {found}")
}

/// A text of the document inside of a message: short, on one line, without control characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// [`quoted`] without the marks.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(MOST_QUOTED).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{}{rest}", printable(&short, usize::MAX))
}

/// The known word that was probably meant.
#[must_use]
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    if written.len() > MOST_COMPARED {
        return None;
    }
    let written = written.to_ascii_lowercase();
    let near = known.iter().map(|word| (strangeness(&written, &word.to_ascii_lowercase()), *word));
    near.filter(|(strangeness, word)| *strangeness <= (word.len() / 3).clamp(1, 3)).min().map(|(_, word)| word)
}

/// Letters in the wrong order, and a word cut short or continued, are one mistake each.
fn strangeness(written: &str, word: &str) -> usize {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let continued = written.len().min(word.len()) >= 3 && (written.starts_with(word) || word.starts_with(written));
    let related = written != word && (continued || sorted(written) == sorted(word));
    if related { 1 } else { distance(written, word) }
}

/// Levenshtein's: how many letters must be typed, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, c) in one.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, o) in row.iter_mut().skip(1).zip(&other) {
            let replaced = diagonal + usize::from(c != *o);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_little_and_on_one_line() {
        assert_eq!(quoted("a\n\u{1b}[31mb"), r"`a\n\u{1b}[31mb`");
        assert_eq!(quoted(&"x".repeat(100)), format!("`{}...`", "x".repeat(60)));
    }

    #[test]
    fn only_a_near_word_is_proposed() {
        let known = ["unmatched", "unavailable", "rules", "id"];
        assert_eq!(nearest("unmatch", &known), Some("unmatched"));
        assert_eq!(nearest("Rule", &known), Some("rules"));
        assert_eq!(nearest("rulse", &known), Some("rules"));
        assert_eq!(nearest("unavail", &known), Some("unavailable"));
        assert_eq!(nearest("name", &known), None);
        assert_eq!(nearest("some", &["none", "named"]), None);
        assert_eq!(nearest(&"r".repeat(10_000), &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
