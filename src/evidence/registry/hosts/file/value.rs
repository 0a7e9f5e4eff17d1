//! Values of a `hosts.toml`, with their places: what is not of its type is a mistake that quotes nothing.

use toml::Spanned;
use toml::de::DeValue;

use crate::policy::document::Mistake;

use super::MOST_VALUES;

/// A value with the path of its key.
pub(super) struct Entry<'d, 't> {
    pub(super) path: String,
    pub(super) value: &'d Spanned<DeValue<'t>>,
}

/// The text of a file, and what is to be said about it.
pub(super) struct Values<'t> {
    pub(super) text: &'t str,
    pub(super) source: &'t str,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

impl Values<'_> {
    pub(super) fn boolean(&mut self, entry: &Entry<'_, '_>) -> bool {
        let value = entry.value.get_ref().as_bool();
        if value.is_none() {
            self.mistake(entry.value.span().start, &entry.path, expected("true or false", entry.value));
        }
        value.unwrap_or_default()
    }

    pub(super) fn text_of(&mut self, entry: &Entry<'_, '_>) -> Option<String> {
        let text = entry.value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.mistake(entry.value.span().start, &entry.path, expected("text", entry.value));
        }
        text
    }

    /// The texts of a list, each with where it stands and its path.
    pub(super) fn texts(&mut self, entry: &Entry<'_, '_>) -> Vec<(String, usize, String)> {
        let Some(items) = entry.value.get_ref().as_array() else {
            self.mistake(entry.value.span().start, &entry.path, expected("a list of texts", entry.value));
            return Vec::new();
        };
        if items.len() > MOST_VALUES {
            let message = format!("holds {} entries: {MOST_VALUES} at most are read", items.len());
            self.mistake(entry.value.span().start, &entry.path, message);
            return Vec::new();
        }
        let mut texts = Vec::new();
        for (index, value) in items.iter().enumerate() {
            let item = Entry { path: format!("{}[{index}]", entry.path), value };
            if let Some(text) = self.text_of(&item) {
                texts.push((text, value.span().start, item.path));
            }
        }
        texts
    }

    pub(super) fn mistake(&mut self, at: usize, path: &str, message: String) {
        let mistake = self.said(at, path, message);
        self.mistakes.push(mistake);
    }

    pub(super) fn warning(&mut self, at: usize, path: &str, message: String) {
        let warning = self.said(at, path, message);
        self.warnings.push(warning);
    }

    fn said(&self, at: usize, path: &str, message: String) -> Mistake {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Mistake { source: self.source.to_owned(), line: u64::try_from(line).ok(), path: path.to_owned(), message }
    }
}

/// Says the type that was found and quotes nothing.
pub(super) fn expected(what: &str, value: &Spanned<DeValue<'_>>) -> String {
    format!("expected {what}, found a value of the type {}", value.get_ref().type_str())
}
