//! Scan reports: what a scanner found in an image, whichever tool wrote it down and wherever it was kept.
//!
//! A report says what it is about by digests alone; what else it calls the image is for people. One that cannot be used
//! is [`Unusable`] with its reason, never a report without findings.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Platform};

mod finding;

pub use finding::{Counts, Finding, Findings, FindingsBuilder, Fix, Score, TooMuch};

use super::{Fact, Fault};

/// One scan of one image, as far as it can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub outline: Outline,
    pub findings: Findings,
}

impl Report {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let Outline { format: _, scanner, scanned_at: _, subject, notes } = &self.outline;
        let texts = |list: &[Box<str>]| list.iter().map(|text| text.len() + size_of::<Box<str>>()).sum::<usize>();
        let Scanner { kind: _, name: _, version, database_version, database_built: _ } = scanner;
        let versions = [version, database_version].into_iter().flatten().map(|text| text.len()).sum::<usize>();
        let digests = subject.digests().map(|digest| digest.as_str().len() + 32).sum::<usize>();
        size_of::<Self>() + self.findings.weight() + texts(&subject.names) + texts(notes) + digests + versions
    }
}

/// What a report says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub format: Format,
    pub scanner: Scanner,
    /// Of the scan, or of the last moment of it; not of the file.
    pub scanned_at: Option<Timestamp>,
    pub subject: Subject,
    /// What was dropped while reading it, one clause each: ill-formed digests.
    pub notes: Vec<Box<str>>,
}

/// The tool's own form, or what wraps it: the outermost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// `trivy image --format json`
    Trivy,
    /// `grype -o json`
    Grype,
    /// trivy-operator's `VulnerabilityReport` and `ClusterVulnerabilityReport`.
    TrivyOperator,
    /// The report of Harbor's scanner adapters, v1.0 and v1.1.
    Harbor,
    /// The predicate `https://cosign.sigstore.dev/attestation/vuln/v1`.
    CosignVuln,
    /// The predicates `https://in-toto.io/attestation/vulns/v0.1` and `v0.2`.
    InTotoVulns,
}

impl Format {
    /// As in the JSON of `scans`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Trivy => "trivy",
            Self::Grype => "grype",
            Self::TrivyOperator => "trivy-operator",
            Self::Harbor => "harbor",
            Self::CosignVuln => "cosign-vuln",
            Self::InTotoVulns => "in-toto-vulns",
        }
    }
}

/// Who scanned, and with what knowledge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanner {
    /// `None`: neither of those that policies name.
    pub kind: Option<ScannerKind>,
    /// As the report calls it, in lower case for those that are known: `trivy`, `grype`, `Clair`; empty where it does not say.
    pub name: Arc<str>,
    pub version: Option<Box<str>>,
    /// Of the vulnerability database, as the report words it.
    pub database_version: Option<Box<str>>,
    pub database_built: Option<Timestamp>,
}

/// A scanner that policies can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScannerKind {
    Trivy,
    Grype,
}

impl ScannerKind {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Trivy => "trivy",
            Self::Grype => "grype",
        }
    }

    /// The one of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Trivy, Self::Grype].into_iter().find(|kind| kind.label().eq_ignore_ascii_case(name))
    }
}

/// What was scanned. A tag proves nothing, so `names` identify nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// Digests by which a registry has it: of a manifest, or of an index (then of the one platform that is stated).
    pub manifests: Vec<Digest>,
    /// The image ID: the digest of its configuration.
    pub config: Option<Digest>,
    /// As far as the report states both parts.
    pub platform: Option<Platform>,
    pub names: Vec<Box<str>>,
}

impl Subject {
    /// All of its digests, each once.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        let config = self.config.iter().filter(|config| !self.manifests.contains(config));
        self.manifests.iter().chain(config)
    }
}

/// How bad a finding is, in order. A finding whose severity is not known has none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Negligible,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Negligible];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Negligible => "negligible",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// As any scanner writes it, in any case; `none` (a CVSS score of nought) is negligible. Every other word is
    /// unknown.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("none") {
            return Some(Self::Negligible);
        }
        Self::ALL.into_iter().find(|severity| severity.label().eq_ignore_ascii_case(word))
    }
}

/// A report that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    pub defect: Defect,
    /// What is wrong and what to do: a clause without a full stop, in our own words throughout.
    pub words: Arc<str>,
    /// What it says about itself all the same, where that could be read: then it is known whose report failed.
    pub outline: Option<Box<Outline>>,
}

impl Unusable {
    #[must_use]
    pub fn new(defect: Defect, words: impl Into<Arc<str>>) -> Self {
        Self { defect, words: words.into(), outline: None }
    }

    #[must_use]
    pub fn about(self, outline: Outline) -> Self {
        Self { outline: Some(Box::new(outline)), ..self }
    }
}

/// Kinds of defects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Defect {
    /// No bytes at all: what `grype --file` leaves when it fails.
    Empty,
    /// It ends in the middle: still being written, or cut off.
    Truncated,
    /// No JSON, or not the form of what it says it is.
    Malformed,
    /// Something else: an SBOM, a report on configuration or secrets alone, SARIF, a list.
    NotAReport,
    /// Trivy looked at no package, or for no vulnerability: it cannot be told apart.
    NothingScanned,
    /// Larger, deeper or longer than is read.
    BeyondBounds,
    /// Dated more than five minutes ahead.
    Future,
    /// It speaks of an index without saying which platform of it was scanned.
    PlatformUnknown,
    /// It is attested of an image, and speaks of another one.
    OtherImage,
    /// The file cannot be read, is no file, or lies outside of the folder that it is linked from.
    Unreadable,
}

impl Defect {
    /// As in the JSON of `scans`, and the metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::NotAReport => "not-a-report",
            Self::NothingScanned => "nothing-scanned",
            Self::BeyondBounds => "beyond-bounds",
            Self::Future => "future",
            Self::PlatformUnknown => "platform-unknown",
            Self::OtherImage => "other-image",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Where a report was found, the first to be believed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// Attested on the image by somebody whom the policy trusts.
    Attestation,
    /// A file below one of the watched directories.
    Directory,
    /// A `VulnerabilityReport` object of a trusted namespace.
    Object,
}

impl Origin {
    /// As in the JSON of `check`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Directory => "directory",
            Self::Object => "object",
        }
    }
}

/// A report, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    pub origin: Origin,
    /// The file or the object (`namespace/name`), for people.
    pub place: Arc<str>,
    pub report: Arc<Report>,
}

/// What there is about one manifest, of directories and objects: of each origin and scanner the newest; several where
/// they are of the same moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reports {
    pub found: Vec<Sourced>,
    /// What speaks of the manifest and cannot be used.
    pub unusable: Vec<(Origin, Arc<str>, Unusable)>,
}

/// What scanners say of an image: of each manifest that the pod could be given.
#[derive(Debug, Clone)]
pub struct Scanned {
    pub manifests: Vec<ScannedManifest>,
    /// When a review first named this digest and had no report; none: never before.
    pub first_missed: Option<Timestamp>,
}

impl Scanned {
    /// Something about it is still being looked up.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let open = |manifest: &ScannedManifest| {
            matches!(manifest.config, Fact::Pending) || matches!(manifest.reports, Some(Fact::Pending))
        };
        self.manifests.iter().any(open)
    }
}

/// One manifest that the pod could be given.
#[derive(Debug, Clone)]
pub struct ScannedManifest {
    pub digest: Digest,
    /// As the index states it; none for an image without an index.
    pub platform: Option<Platform>,
    /// The digest of its configuration; absent where its manifest names none.
    pub config: Fact<Digest>,
    /// The index that lists it, and which platforms of that index a report of it would mean.
    pub index: Option<InIndex>,
    /// Of directories and objects; none where no demand wants them.
    pub reports: Option<Fact<Arc<Reports>>>,
}

/// How a manifest stands in its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InIndex {
    pub digest: Digest,
    /// No other manifest of it is for the same operating system and architecture, whatever the variant.
    pub sole_of_architecture: bool,
    /// There is no other manifest of an image in it.
    pub sole: bool,
}

/// Whether a report is about a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Yes,
    No,
    /// It names the index, and nothing says which of its manifests was scanned.
    PlatformUnknown,
    /// That depends on the configuration's digest, which is not known.
    Untold,
}

impl ScannedManifest {
    /// Whether a report about this subject is about this manifest: by the digest of its configuration, by its own, or by
    /// that of its index together with the platform that is stated. Never by a name.
    #[must_use]
    pub fn is_spoken_of(&self, subject: &Subject) -> Speaks {
        // What cannot be read as one image may be several, of which one was scanned.
        if matches!(&self.config, Fact::Unavailable(trouble) if trouble.fault == Fault::Broken) {
            return Speaks::Untold;
        }
        let names = |digest: &Digest| subject.manifests.contains(digest);
        // Image stores that identify an image by its manifest write that digest where the configuration's belongs.
        let config = subject.config.as_ref().filter(|config| !names(config));
        let by_index = || self.index.as_ref().filter(|index| names(&index.digest));
        match (config, &self.config) {
            (Some(stated), Fact::Known(own)) if own.value == *stated => return Speaks::Yes,
            // A report of two images is of neither.
            (Some(_), Fact::Known(_)) => return Speaks::No,
            (Some(_), Fact::Unavailable(_) | Fact::Pending) if !names(&self.digest) => return Speaks::Untold,
            (Some(_) | None, _) => {}
        }
        if names(&self.digest) {
            return Speaks::Yes;
        }
        let Some(index) = by_index() else { return Speaks::No };
        let (Some(stated), Some(own)) = (&subject.platform, &self.platform) else {
            return if index.sole { Speaks::Yes } else { Speaks::PlatformUnknown };
        };
        if !stated.is_for_same_nodes(own) {
            return Speaks::No;
        }
        match (&stated.variant, &own.variant) {
            (Some(stated), Some(own)) if stated.eq_ignore_ascii_case(own) => Speaks::Yes,
            (Some(_), Some(_)) => Speaks::No,
            (None, _) | (_, None) if index.sole_of_architecture => Speaks::Yes,
            (None, _) | (_, None) => Speaks::PlatformUnknown,
        }
    }
}

#[cfg(test)]
mod tests;
