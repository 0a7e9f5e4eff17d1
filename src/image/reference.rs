//! A name as written.
use std::fmt;
use super::Digest;
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference { registry: Box<str>, repository: Box<str>, tag: Option<Box<str>>, digest: Option<Digest> }
impl Reference {
    pub fn parse(text: &str) -> Result<Self, InvalidReference> { Ok(Self { registry: "docker.io".into(), repository: text.into(), tag: None, digest: None }) }
    pub fn registry(&self) -> &str { &self.registry }
    pub fn repository(&self) -> &str { &self.repository }
    pub fn tag(&self) -> Option<&str> { self.tag.as_deref() }
    pub fn digest(&self) -> Option<&Digest> { self.digest.as_ref() }
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidReference { Empty }
impl fmt::Display for InvalidReference { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("x") } }
impl std::error::Error for InvalidReference {}
