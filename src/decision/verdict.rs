//! What can be answered: [`Verdict`], [`Permit`], [`Basis`], [`Denial`], and the one table of reason codes.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::Record;
use crate::fact::attached::Fingerprint;
use crate::fact::report::{Counts, Origin};
use crate::image::Digest;
use crate::policy::{Mode, PolicyName, RuleName};
use crate::request::ContainerPath;

pub use reason::Reason;

mod reason;

/// The answer to one review.
#[derive(Debug)]
#[must_use]
pub struct Verdict {
    pub answer: Answer,
    /// Refusals that the user is told of and that refuse nothing, worst first.
    pub warnings: Vec<Denial>,
    /// Refusals for the record alone, worst first.
    pub audit: Vec<Denial>,
    /// What became of each container, in the order of the request.
    pub images: Vec<ImageVerdict>,
    /// A demand that only warns or is recorded could not be told yet.
    pub pending: bool,
    /// Something is still being looked up, for a demand or for the record.
    pub unfinished: bool,
    /// What is worth remembering of the answer; empty unless admitted and no dry run.
    pub records: Vec<Record>,
}

impl Verdict {
    /// One of the three outcomes, as logs, metrics and `check` call them: what we could not tell is no refusal.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match &self.answer {
            Answer::Admit(_) => Outcome::Admitted,
            Answer::Deny(denials) if denials.iter().all(|denial| denial.reason.undetermined()) => Outcome::Undetermined,
            Answer::Deny(_) => Outcome::Refused,
        }
    }
}

/// What an answer says, from the lightest to the gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Admitted,
    Undetermined,
    Refused,
}

impl Outcome {
    pub const ALL: [Self; 3] = [Self::Admitted, Self::Undetermined, Self::Refused];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Undetermined => "undetermined",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug)]
pub enum Answer {
    Admit(Permit),
    /// Never empty; worst first.
    Deny(Vec<Denial>),
}

/// The right to write `allowed: true`. Only this room can make one; anybody may ask one for its reason:
///
/// ```
/// use pratique::decision::verdict::{Basis, Permit};
/// fn why(permit: Permit) -> Basis { permit.basis() }
/// ```
/// ```compile_fail,E0624
/// use pratique::decision::verdict::{Basis, Permit};
/// fn forged() -> Permit { Permit::new(Basis::EveryDemandMet) }
/// ```
/// ```compile_fail,E0451
/// use pratique::decision::verdict::{Basis, Permit};
/// fn forged() -> Permit { Permit { basis: Basis::EveryDemandMet } }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    basis: Basis,
}

impl Permit {
    pub(super) fn new(basis: Basis) -> Self {
        Self { basis }
    }

    /// Why it was granted; of several images the weakest.
    #[must_use]
    pub fn basis(self) -> Basis {
        self.basis
    }
}

/// Why an image was admitted, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Basis {
    EveryDemandMet,
    NothingDemanded,
    Unchanged,
    Exempt,
    SoftenedToWarning,
    LastKnownGood,
    UndeterminedButTolerated,
    DryRun,
}

impl Basis {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::EveryDemandMet => "EveryDemandMet",
            Self::NothingDemanded => "NothingDemanded",
            Self::Unchanged => "Unchanged",
            Self::Exempt => "Exempt",
            Self::SoftenedToWarning => "SoftenedToWarning",
            Self::LastKnownGood => "LastKnownGood",
            Self::UndeterminedButTolerated => "UndeterminedButTolerated",
            Self::DryRun => "DryRun",
        }
    }
}

/// What became of one container.
#[derive(Debug)]
pub struct ImageVerdict {
    /// Index in the request's containers.
    pub container: usize,
    /// Policy and rule of the enforcing policy, else of warn, else of audit.
    pub policy: Option<PolicyName>,
    pub rule: Option<RuleName>,
    /// None: refused.
    pub basis: Option<Basis>,
    pub path: ContainerPath,
    /// The digest as written, else the one that the name is known to stand for.
    pub digest: Option<Digest>,
    /// The digest is not written: if there is one, it was looked up.
    pub resolved: bool,
    /// Since when the namespace has had this digest, where that is known; for the log.
    pub admitted_since: Option<Timestamp>,
    /// What was found attached to it, where signatures or attestations are demanded.
    pub signatures: Vec<SignatureVerdict>,
    /// The reports that it was judged by, or that there is none, where scans are demanded.
    pub reports: Vec<ReportVerdict>,
}

/// A scan report that an image was judged by, or what there is instead of one.
#[derive(Debug, Clone)]
pub struct ReportVerdict {
    /// The manifest that it speaks of.
    pub digest: Digest,
    /// Of that manifest, in an index.
    pub platform: Option<String>,
    pub state: ScanState,
    /// Where it was found; none where there is no report at all.
    pub origin: Option<Origin>,
    /// The file, the object, or who attested it; for people.
    pub place: Option<Arc<str>>,
    /// `trivy`; of a report that is missing: which was demanded.
    pub scanner: Option<Arc<str>>,
    pub scanner_version: Option<String>,
    pub scanned_at: Option<Timestamp>,
    /// Of all findings that are not suppressed, whether or not they count.
    pub counts: Option<Counts>,
    /// So many were left out by waivers.
    pub waived: u32,
    /// Why it is none of the fresh ones, or what it has against the image.
    pub why: Option<String>,
}

/// What there is of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScanState {
    Fresh,
    /// Older than the policy allows.
    Stale,
    /// There is one, and it cannot be used.
    Failed,
    Missing,
    /// It is not known yet.
    Pending,
}

impl ScanState {
    pub const ALL: [Self; 5] = [Self::Fresh, Self::Stale, Self::Failed, Self::Missing, Self::Pending];

    /// As in annotations, metrics and JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Pending => "pending",
        }
    }
}

/// A signature or attestation that was found, and whether it counts.
#[derive(Debug, Clone)]
pub struct SignatureVerdict {
    /// What it is attached to.
    pub digest: Digest,
    /// Where and in what form it is kept.
    pub layout: &'static str,
    /// Of an attestation.
    pub predicate_type: Option<String>,
    /// Whose it is.
    pub authority: Option<Arc<str>>,
    /// Whom its certificate was issued to; unproved where it does not verify.
    pub issuer: Option<String>,
    pub subject: Option<String>,
    /// The key that verifies it.
    pub key: Option<Fingerprint>,
    /// The earliest proved time at which it existed.
    pub made: Option<Timestamp>,
    /// It counts for a demand.
    pub accepted: bool,
    /// Why it does not.
    pub why: Option<String>,
}

/// One demand that one image does not meet.
#[derive(Debug, Clone)]
pub struct Denial {
    pub mode: Mode,
    /// The settings make a warning of it where it is about a controller, whose Pods are refused for it.
    pub softened: bool,
    /// None: the review itself, whatever the policies.
    pub policy: Option<PolicyName>,
    pub rule: Option<RuleName>,
    /// None: the whole object.
    pub subject: Option<DeniedImage>,
    pub reason: Reason,
    /// What is wrong and what to do, in one sentence without the image's name.
    pub message: String,
}

/// Which image a denial is about.
#[derive(Debug, Clone)]
pub struct DeniedImage {
    /// Index in the request's containers.
    pub container: usize,
    pub path: ContainerPath,
    /// `containers[web]`
    pub title: String,
    /// As written, made fit to print: bounded, and without control characters.
    pub written: Arc<str>,
    /// The digest to pin, where it is known without asking anybody.
    pub digest: Option<Digest>,
}
