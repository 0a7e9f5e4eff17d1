//! What every tool's report is about.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Finding;
use crate::{Image, digest};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scan {
    pub(super) name: String,
    pub(super) index: Option<String>,
    pub(super) manifest: Option<String>,
    pub(super) config: Option<String>,
    pub(super) platform: String,
    pub(super) at: String,
    pub(super) findings: Vec<Finding>,
    pub(super) suppressed: Vec<Finding>,
    pub(super) packages: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self::of("registry.test/image:1")
    }
}

impl Scan {
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            index: None,
            manifest: None,
            config: None,
            platform: "linux/amd64".to_owned(),
            at: (Timestamp::now() - SignedDuration::from_hours(1)).to_string(),
            findings: Vec::new(),
            suppressed: Vec::new(),
            packages: true,
        }
    }

    pub(super) fn of_image(name: &str, image: &Image, platform: &str) -> Self {
        let config = image.config_digest_of(platform);
        let child = image.children().into_iter().find(|(its, _)| its == platform);
        let (index, manifest) = match child {
            Some((_, manifest)) => (Some(image.digest()), manifest),
            None => (None, image.digest()),
        };
        let scan = Self::of(name);
        Self { index, manifest: Some(manifest), config: Some(config), platform: platform.to_owned(), ..scan }
    }

    /// By which the registry knows what was asked for.
    pub(super) fn asked(&self) -> Option<&str> {
        self.index.as_deref().or(self.manifest.as_deref())
    }

    /// `HOST/REPOSITORY@DIGEST` of what was asked for; none where no digest is known.
    pub(super) fn repo_digests(&self) -> Vec<String> {
        self.asked().map(|digest| format!("{}@{digest}", self.repository())).into_iter().collect()
    }

    /// The name without its tag.
    pub(super) fn repository(&self) -> &str {
        let base = self.name.split('@').next().unwrap_or(&self.name);
        match base.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => base,
        }
    }

    /// Operating system and architecture; empty where nothing is said.
    pub(super) fn os_and_architecture(&self) -> (&str, &str) {
        let mut parts = self.platform.split('/');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    pub(super) fn variant(&self) -> Option<&str> {
        self.platform.split('/').nth(2)
    }

    /// The digest of the one layer that is not there, compressed and not.
    pub(super) fn layer(&self) -> Value {
        json!({"Digest": digest(format!("layer of {}", self.name)), "DiffID": self.diff_id()})
    }

    pub(super) fn diff_id(&self) -> String {
        digest(format!("unpacked layer of {}", self.name))
    }

    /// Name and version of every package, each once: two that are in every image, and those with findings.
    pub(super) fn installed(&self) -> Vec<(&str, &str)> {
        let mut all = vec![("busybox", "1.36.1-r31"), ("musl", "1.2.5-r1")];
        let found = self.findings.iter().chain(&self.suppressed);
        all.extend(found.map(|finding| (finding.package.as_str(), finding.installed.as_str())));
        all.sort_unstable();
        all.dedup();
        all
    }
}
