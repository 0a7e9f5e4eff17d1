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
    /// on arm64), each in every spelling that it takes for the same; an entry without a platform may be for any node.
    /// More than it would take at last, never less.
    #[must_use]
    pub fn could_run(&self, image: Option<&Self>) -> bool {
        let Some(image) = image else { return true };
        let (node_os, image_os) = (normal_os(&self.os), normal_os(&image.os));
        let (node, image) = (normal_architecture(&self.architecture), normal_architecture(&image.architecture));
        let falls_back = matches!((&*node, &*image), ("amd64", "386") | ("arm64", "arm"));
        // What does not say for which system it is, is for the node's own.
        (image_os.is_empty() || node_os == image_os) && (node == image || falls_back)
    }
}

impl Platform {
    /// Whether both are of one operating system and architecture, in whichever spelling; the variant may differ.
    #[must_use]
    pub fn is_for_same_nodes(&self, other: &Self) -> bool {
        normal_os(&self.os) == normal_os(&other.os)
            && normal_architecture(&self.architecture) == normal_architecture(&other.architecture)
    }
}

/// As containerd's `platforms.Normalize` does before it compares.
fn normal_os(os: &str) -> String {
    let os = os.to_ascii_lowercase();
    if os == "macos" { "darwin".to_owned() } else { os }
}

fn normal_architecture(architecture: &str) -> String {
    let architecture = architecture.to_ascii_lowercase();
    match architecture.as_str() {
        "i386" => "386".to_owned(),
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "armhf" | "armel" => "arm".to_owned(),
        _ => architecture,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(os: &str, architecture: &str) -> Platform {
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    fn runs(node: (&str, &str), image: (&str, &str)) -> bool {
        platform(node.0, node.1).could_run(Some(&platform(image.0, image.1)))
    }

    #[test]
    fn every_spelling_that_containerd_takes_for_a_platform_is_that_platform() {
        for spelling in ["amd64", "AMD64", "x86_64", "x86-64", "X86_64", "386", "i386"] {
            assert!(runs(("linux", "amd64"), ("linux", spelling)), "{spelling}");
        }
        for spelling in ["arm64", "aarch64", "AArch64", "arm", "armhf", "armel"] {
            assert!(runs(("linux", "arm64"), ("linux", spelling)), "{spelling}");
        }
        for system in ["linux", "Linux", "LINUX", ""] {
            assert!(runs(("linux", "amd64"), (system, "amd64")), "{system}");
        }
        assert!(runs(("Linux", "x86_64"), ("linux", "amd64")));
    }

    #[test]
    fn other_platforms_are_not_run() {
        for image in [("linux", "arm64"), ("linux", "s390x"), ("windows", "amd64"), ("unknown", "unknown"), ("", "")] {
            assert!(!runs(("linux", "amd64"), image), "{image:?}");
        }
        assert!(!runs(("linux", "386"), ("linux", "amd64")));
    }
}
