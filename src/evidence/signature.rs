//! Signatures: found in every layout that Cosign has left in registries, and verified completely.
//!
//! `find` fetches what is attached to a digest, `examine` says who made each of it for certain, [`trust`] holds
//! the trusted roots. The `sigstore-*` crates are named below this module alone. Nothing is trusted that was not verified
//! here: neither the media type of a descriptor, nor a key hint, nor an annotation. What cannot be verified is kept with
//! its flaw, so that people learn why it does not count.
//!
//! A fact says what is there and who made it, never whether that is enough. It is kept by everything that it depends on:
//! repository, digest, who asks, what was examined, and the trusted roots in force.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::fact::attached::{Attached, Claim, Flaw, Proof, Signature, Signer};
use crate::fact::{Fact, Seen, Source, Trouble};
use crate::image::{Digest, Reference};
use crate::policy::trust::Examination;

use super::budget::Budget;
use super::registry::Registries;
use super::registry::credentials::Asker;
use super::store::{FactCache, Life, Lookups};
use find::{Ceilings, Found, Kinds, find};
use trust::{Roots, Trust};

mod bundle;
mod certificate;
mod der;
mod examine;
mod find;
mod json;
mod key;
mod simple;
mod statement;
pub mod trust;

pub use examine::blob::{Artifact, Signatory, verify_bundle};
use examine::examine;
pub use key::read_public_key;

/// Signatures verified at once, on however many processors: each may take as much memory as `json` lets it, twice.
const VERIFICATIONS: usize = 4;

/// Everything that a fact about signatures depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    /// Where they are kept.
    repository: Reference,
    digest: Digest,
    asker: Asker,
    examination: Arc<Examination>,
    /// Of the trusted roots.
    generation: u64,
}

/// What is known of signatures.
#[derive(Debug)]
pub struct Signatures {
    registries: Arc<Registries>,
    trust: Arc<Trust>,
    ceilings: Ceilings,
    attached: FactCache<Question, Arc<Attached>>,
    /// A verification is pure work: as many at once as there are processors, up to [`VERIFICATIONS`].
    processors: Arc<Semaphore>,
}

impl Signatures {
    /// With an empty memory of so many bytes.
    pub fn new(bytes: u64, budget: &Budget, registries: Arc<Registries>, trust: Arc<Trust>, lookups: Lookups) -> Self {
        let life =
            Life { fresh: budget.digest_fresh, last_known_good: budget.last_known_good, negative: budget.negative };
        let weigh = |question: &Question, attached: Option<&Arc<Attached>>| {
            let key = question.repository.length() + question.digest.as_str().len() + size_of::<Question>();
            key + attached.map_or(0, |attached| weight(attached))
        };
        let gap = |attached: &Arc<Attached>| attached.unread.as_ref().map(|trouble| trouble.fault);
        let attached = FactCache::new(bytes, move |_| life, weigh, gap, lookups);
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(VERIFICATIONS);
        let processors = Arc::new(Semaphore::new(processors));
        Self { registries, trust, ceilings: Ceilings::default(), attached, processors }
    }

    /// What is attached to a digest. `oldest`: a fact that is older is asked for again and waited for.
    pub async fn attached(
        &self,
        repository: &Reference,
        digest: &Digest,
        asker: &Asker,
        examination: &Arc<Examination>,
        oldest: Option<Duration>,
    ) -> Fact<Arc<Attached>> {
        let roots = self.trust.in_force();
        let (question, now) = (question(repository, digest, asker, examination, &roots), Timestamp::now());
        if let Some(fact) = self.attached.fresh(&question, now, oldest) {
            return fact;
        }
        let (registries, ceilings) = (Arc::clone(&self.registries), self.ceilings.clone());
        let (key, processors) = (question.clone(), Arc::clone(&self.processors));
        let look_up = move |_known| async move {
            let at = Timestamp::now();
            let Question { repository, digest, asker, examination, generation: _ } = &key;
            let kinds = kinds(examination);
            let found = find(&registries, repository, digest, kinds, &ceilings, asker).await;
            match (found.items.is_empty() && found.untried == 0, found.unread.clone()) {
                (true, Some(trouble)) => Fact::Unavailable(trouble),
                (true, None) => Fact::Absent(at),
                (false, _) => examined(found, key, roots, processors, at).await,
            }
        };
        self.attached.get(question, now, oldest, look_up).await
    }

    /// The same without asking anybody.
    pub fn at_hand(
        &self,
        repository: &Reference,
        digest: &Digest,
        asker: &Asker,
        examination: &Arc<Examination>,
    ) -> Fact<Arc<Attached>> {
        let question = question(repository, digest, asker, examination, &self.trust.in_force());
        self.attached.at_hand(&question, Timestamp::now()).unwrap_or(Fact::Pending)
    }
}

/// A report is attested, whatever its predicate type is.
fn kinds(examination: &Examination) -> Kinds {
    let attestations = examination.reports || !examination.predicates.is_empty();
    Kinds { signatures: examination.signatures, attestations }
}

fn question(
    repository: &Reference,
    digest: &Digest,
    asker: &Asker,
    examination: &Arc<Examination>,
    roots: &Roots,
) -> Question {
    Question {
        repository: repository.clone(),
        digest: digest.clone(),
        asker: asker.clone(),
        examination: Arc::clone(examination),
        generation: roots.generation,
    }
}

/// Verifies what was found, away from those who wait for sockets. One by one, each in its turn among those of others:
/// an image with fifty costly signatures waits for itself.
async fn examined(
    found: Found,
    question: Question,
    roots: Arc<Roots>,
    processors: Arc<Semaphore>,
    at: Timestamp,
) -> Fact<Arc<Attached>> {
    let Found { items, unread, untried, room } = found;
    let question = Arc::new(question);
    let mut signatures = Vec::with_capacity(items.len());
    for item in items {
        let Ok(turn) = processors.acquire().await else {
            return Fact::Unavailable(fault_inside());
        };
        let (asked, roots) = (Arc::clone(&question), Arc::clone(&roots));
        let verify = move || examine(&item, &asked.digest, &asked.examination, &roots);
        match tokio::task::spawn_blocking(verify).await {
            Ok(signature) => signatures.push(signature),
            // It panicked, and what it was given is to blame.
            Err(_) => return Fact::Unavailable(fault_inside()),
        }
        drop(turn);
    }
    drop(room);
    let value = Arc::new(Attached { signatures, unread, untried });
    Fact::Known(Seen { value, at, source: Source::Current })
}

fn fault_inside() -> Trouble {
    Trouble::new(crate::fact::Fault::Broken, "a fault inside Pratique while signatures were verified, see its log")
}

/// About how many bytes it takes in memory.
fn weight(attached: &Attached) -> usize {
    attached.signatures.iter().map(of_signature).sum::<usize>() + size_of::<Attached>()
}

fn of_signature(signature: &Signature) -> usize {
    let claim = match &signature.claim {
        Claim::Image { reference, annotations } => {
            let annotations: usize = annotations.iter().map(|(key, value)| key.len() + value.len() + 48).sum();
            annotations + reference.as_ref().map_or(0, |reference| reference.len())
        }
        Claim::Statement { predicate_type, fields, report } => {
            let report = report.as_ref().map_or(0, |report| report.as_ref().map_or(0, |report| report.weight()));
            predicate_type.len() + fields.iter().map(of_field).sum::<usize>() + report
        }
        Claim::Elsewhere { predicate_type, names } => {
            names.len() + predicate_type.as_ref().map_or(0, |text| text.len())
        }
        Claim::Unreadable(words) => words.len(),
    };
    let flaw = |flaw: &Flaw| {
        flaw.words.len() + flaw.claimed.as_ref().map_or(0, |(issuer, subject)| issuer.len() + subject.len())
    };
    let proofs: usize = signature.proofs.iter().map(of_proof).sum();
    size_of::<Signature>() + claim + signature.flaw.as_ref().map_or(0, flaw) + proofs
}

fn of_field((path, field): &(Arc<str>, crate::fact::attached::Field)) -> usize {
    use crate::fact::attached::Field;
    let text = match field {
        Field::Text(text) => text.len(),
        Field::Missing | Field::NotScalar => 0,
    };
    path.len() + text + size_of::<(Arc<str>, Field)>()
}

fn of_proof(proof: &Proof) -> usize {
    let signer = match &proof.signer {
        Signer::Key(_) => 0,
        Signer::Identity(identity) => {
            let extensions: usize = identity.extensions.values().map(|value| value.len() + 64).sum();
            identity.issuer.len() + identity.subject.len() + extensions
        }
    };
    signer + size_of::<Proof>()
}
