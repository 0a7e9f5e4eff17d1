//! The table between the two sides: `evidence` lays facts on it, `decision` reads them. Plain data.
//!
//! "Could not tell" is never "there is none": see [`Fact`].

use std::sync::Arc;

use jiff::Timestamp;

use crate::image::{Digest, Platform, Reference};

pub mod attached;
pub mod report;

use attached::Attached;
use report::Scanned;

/// The outcome of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Fact<T> {
    /// Looked up and verified.
    Known(Seen<T>),
    /// The source answered, completely and in time, that there is none.
    Absent(Timestamp),
    /// No usable answer.
    Unavailable(Trouble),
    /// Still being looked up; finished after the reply.
    Pending,
}

/// A known value, when it was seen, and whether that was now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    pub value: T,
    pub at: Timestamp,
    pub source: Source,
}

/// Where a known value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Current,
    /// From a while ago; it is being asked again. As good to judge by, and no news.
    Stale,
    /// The source does not answer now, for this reason; this is what it said last.
    LastKnown(Fault),
}

/// Why there was no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub fault: Fault,
    /// What happened, for whoever is refused: a clause without a full stop that names the host and the HTTP status,
    /// such as `ghcr.io answered 503 Service Unavailable`. Our own words throughout: a hostile source could send back
    /// the credential that it was given.
    pub words: Arc<str>,
}

impl Trouble {
    #[must_use]
    pub fn new(fault: Fault, words: impl Into<Arc<str>>) -> Self {
        Self { fault, words: words.into() }
    }
}

/// Kinds of trouble. Only the first two may pass by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Transport, 5xx, 429.
    Outage,
    /// Our clock ran out.
    Deadline,
    /// 401 or 403.
    Refused,
    /// Our own rules for outgoing requests: an address, a scheme, the host of a token service.
    Forbidden,
    /// The bytes are not those of the digest that was asked for.
    Mismatch,
    /// A bound exceeded, broken syntax, an answer that the protocol does not have.
    Broken,
}

impl Fault {
    /// Whether the source may be well again in a moment; only then is what it said last still used.
    #[must_use]
    pub fn passes(self) -> bool {
        match self {
            Self::Outage | Self::Deadline => true,
            Self::Refused | Self::Forbidden | Self::Mismatch | Self::Broken => false,
        }
    }
}

/// What a name stands for: bytes that we hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub digest: Digest,
    pub content: Content,
}

impl Resolved {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let platform =
            |its: &Platform| its.os.len() + its.architecture.len() + its.variant.as_ref().map_or(0, String::len);
        let one = |manifest: &PlatformManifest| {
            let platform = manifest.platform.as_ref().map_or(0, platform);
            manifest.digest.as_str().len() + platform + size_of::<PlatformManifest>()
        };
        let content = match &self.content {
            Content::Image { config } => config.as_ref().map_or(0, |config| config.as_str().len()),
            Content::Index(manifests) => manifests.iter().map(one).sum(),
        };
        self.digest.as_str().len() + content
    }
}

/// What the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The manifest of one image, and the digest of its configuration, which it may lack.
    Image { config: Option<Digest> },
    /// An index of images, in its order; never of anything but manifests.
    Index(Arc<[PlatformManifest]>),
}

/// An image in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformManifest {
    /// As the index states it; none where it does not.
    pub platform: Option<Platform>,
    pub digest: Digest,
}

/// What the surroundings of a review say.
#[derive(Debug, Clone)]
pub struct Scope {
    pub labels: Fact<Labels>,
    /// What the nodes are; empty where nobody knows.
    pub platforms: Arc<[Platform]>,
    /// There is somewhere that scan reports are kept, beside attestations.
    pub scans: bool,
}

#[cfg(test)]
impl Scope {
    /// With nodes as most are, for the tests of every room.
    pub(crate) fn of(labels: Fact<Labels>) -> Self {
        Self { labels, platforms: Arc::new([Platform::default()]), scans: true }
    }
}

/// The labels of a namespace that name policies, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// `pratique.dev/enforce`
    pub enforce: Option<String>,
    /// `pratique.dev/warn`
    pub warn: Option<String>,
    /// `pratique.dev/audit`
    pub audit: Option<String>,
}

/// What is known for one review, in the order of the plan's wants.
#[derive(Debug, Default)]
pub struct Facts {
    pub images: Vec<ImageFacts>,
}

/// What is known of one image.
#[derive(Debug, Clone)]
pub struct ImageFacts {
    /// What the name stands for, as the registry says to those who ask with this namespace's credentials.
    pub resolved: Fact<Resolved>,
    /// The digest that is on record for repository and tag; absent for a name with a digest.
    pub recorded: Fact<Recorded>,
    /// Whether this namespace was let have it before: the digest as written, else as resolved, else as recorded.
    pub admitted: Fact<Admitted>,
    /// What is signed, for each examination of the want, in its order.
    pub examined: Vec<Examined>,
    /// What scanners say; none where no demand asks, or where nothing is known of the image.
    pub scanned: Option<Scanned>,
}

/// What is attached to an image.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// To the digest that the name stands for; none where it was not looked at.
    pub own: Option<Fact<Arc<Attached>>>,
    /// To each manifest of its index that the pod could run; none where they were not looked at, or it is no index.
    pub platforms: Option<Vec<(PlatformManifest, Fact<Arc<Attached>>)>>,
}

/// When a namespace was first let have a digest, and what was held against it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    pub first: Timestamp,
    /// Of an index, the manifests that were judged by their scans when it was let in; none: it was let in as a whole,
    /// before scans were asked for.
    pub judged: Option<Arc<[Digest]>>,
    /// Of an index, the platforms of the nodes on which Pods of the namespace run it, so that theirs were let in too.
    pub platforms: Arc<[Platform]>,
    /// By which rules scans would have refused it, had it been new, and since when.
    pub softened: Arc<[Softened]>,
}

impl Admitted {
    /// Since then, and of an index no image of it.
    #[must_use]
    pub fn nothing(first: Timestamp) -> Self {
        Self { first, judged: Some(Arc::default()), platforms: Arc::default(), softened: Arc::default() }
    }
}

/// A rule that would have refused a digest for its scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softened {
    /// `policy/rule`
    pub by: Arc<str>,
    /// The first review that it would have refused.
    pub since: Timestamp,
}

/// What whoever admitted a tag does when it is moved, the strictest first: who does less takes no record from who does more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    Refuses,
    Warns,
    Nothing,
}

/// What a tag named when it was last admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub digest: Digest,
    /// Of the strictest that admitted it.
    pub guard: Guard,
}

/// What is worth remembering of an answer that admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// This namespace was let have this digest; `judged`: as in [`Admitted`].
    Admitted { namespace: String, digest: Digest, judged: Option<Arc<[Digest]>> },
    /// Scans were held against it by this rule (`policy/rule`) and were softened, since the namespace has it; or (`false`)
    /// no longer are.
    Softened { namespace: String, digest: Digest, by: Arc<str>, held: bool },
    /// It was admitted without a report that was demanded.
    Missed { digest: Digest },
    /// The tag named this digest when an enforcing policy admitted it.
    Tag { address: Reference, recorded: Recorded },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_of_an_index_has_weight() {
        let index = |text: &str| {
            let [os, architecture, variant] = [(); 3].map(|()| text.to_owned());
            let platform = Some(Platform { os, architecture, variant: Some(variant) });
            let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
            let manifest = PlatformManifest { platform, digest: digest.clone() };
            Resolved { digest, content: Content::Index(vec![manifest].into()) }
        };
        assert_eq!(index(&"x".repeat(64)).weight() - index("").weight(), 3 * 64);
    }
}
