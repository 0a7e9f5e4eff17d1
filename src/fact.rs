//! The table between the two sides: `evidence` lays facts on it, `decision` reads them. Plain data.
//!
//! "Could not tell" is never "there is none": see [`Fact`].

use jiff::Timestamp;

use crate::image::Digest;

/// The outcome of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Fact<T> {
    /// Looked up and verified.
    Known(Seen<T>),
    /// The source answered, completely and in time, that there is none.
    Absent(Timestamp),
    /// No usable answer.
    Unavailable(Fault),
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
    /// The source does not answer now, for this reason; this is what it said last.
    LastKnown(Fault),
}

/// Why there was no usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Transport, 5xx, 429.
    Outage,
    /// Our clock ran out.
    Deadline,
    /// 401 or 403.
    Refused,
    /// A wrong hash, a bound exceeded, broken syntax.
    Broken,
}

/// What the surroundings of a review say.
#[derive(Debug, Clone)]
pub struct Scope {
    pub labels: Fact<Labels>,
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
    /// Whether this namespace was let have this digest before.
    pub admitted: Fact<Admitted>,
}

/// When a namespace was first let have a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    pub first: Timestamp,
}

/// What is worth remembering of an answer that admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// This namespace was let have this digest.
    Admitted { namespace: String, digest: Digest },
}
