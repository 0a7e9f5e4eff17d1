//! What an image is built for, as an OCI index states it.

use std::fmt;

/// Operating system, architecture and variant of an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    pub variant: Option<String>,
}

/// What most nodes are.
impl Default for Platform {
    fn default() -> Self {
        Self { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
    }
}

impl Platform {
    /// Whether a node of this platform could be given an image of that one, from an index. As containerd chooses: the
    /// same operating system, and the same architecture in any variant or one that it falls back to (386 on amd64, arm
    /// on arm64); an entry without a platform may be for any node. More than it would take at last, never less.
    #[must_use]
    pub fn could_run(&self, image: Option<&Self>) -> bool {
        let Some(image) = image else { return true };
        let falls_back =
            matches!((self.architecture.as_str(), image.architecture.as_str()), ("amd64", "386") | ("arm64", "arm"));
        self.os == image.os && (self.architecture == image.architecture || falls_back)
    }
}

/// `linux/arm64/v8`
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
