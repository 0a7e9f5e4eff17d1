//! Content addresses.
use std::fmt;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm { Sha256, Sha384, Sha512 }
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest { text: Box<str> }
impl Digest {
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> { Ok(Self { text: text.into() }) }
    pub fn as_str(&self) -> &str { &self.text }
}
impl fmt::Display for Digest { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.text) } }
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidDigest { Placeholder }
impl fmt::Display for InvalidDigest { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("x") } }
impl std::error::Error for InvalidDigest {}
