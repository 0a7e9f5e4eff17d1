//! `tags.deny` and `tags.allow`: `*` for any characters, anchored, letter case counts as it does in tags.

use std::fmt;

use super::super::grammar;
use super::wildcard::Wildcard;
use super::{InvalidPattern, check_text};

/// A matcher of tags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagPattern {
    text: Box<str>,
    wildcard: Wildcard,
}

impl TagPattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        // A tag of that length, and a `*` between any two of its characters.
        check_text(text, 2 * grammar::MAX_TAG + 1)?;
        if text.contains("**") {
            return Err(InvalidPattern::DoubleStar(text.into()));
        }
        // Every `*` may be nothing at all; a leading one may also be the character that a tag must begin with.
        let literals = text.replace('*', "");
        let possible =
            grammar::is_tag(&literals) || (text.starts_with('*') && grammar::is_tag(&format!("a{literals}")));
        if !possible {
            return Err(InvalidPattern::Tag(text.into()));
        }
        Ok(Self { text: text.into(), wildcard: Wildcard::new(text) })
    }

    #[must_use]
    pub fn matches(&self, tag: &str) -> bool {
        self.wildcard.matches(tag)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
