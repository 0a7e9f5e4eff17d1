//! Matchers.
use std::fmt;
use super::Reference;
#[derive(Debug, Clone)]
pub struct Pattern { text: Box<str> }
impl Pattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> { Ok(Self { text: text.into() }) }
    pub fn matches(&self, _: &Reference) -> bool { true }
    pub fn as_str(&self) -> &str { &self.text }
}
#[derive(Debug, Clone)]
pub struct TagPattern { text: Box<str> }
impl TagPattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> { Ok(Self { text: text.into() }) }
    pub fn matches(&self, tag: &str) -> bool { tag == &*self.text }
    pub fn as_str(&self) -> &str { &self.text }
}
/// `*` does not cross "/", `**` does: identities of signers and the like.
#[derive(Debug, Clone)]
pub struct Glob { text: Box<str> }
impl Glob {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> { Ok(Self { text: text.into() }) }
    pub fn matches(&self, text: &str) -> bool { text == &*self.text }
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidPattern { Placeholder }
impl fmt::Display for InvalidPattern { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("x") } }
impl std::error::Error for InvalidPattern {}
