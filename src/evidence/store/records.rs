//! Records of admissions: what namespaces were let have, what tags named, and what was softened or missed meanwhile.

use std::sync::Arc;

use jiff::Timestamp;
use moka::sync::Cache;
use prometheus::{IntCounterVec, Opts, Registry};

use crate::fact::{Admitted, Fact, Recorded, Seen, Softened, Source};
use crate::image::{Digest, Reference};

use super::super::budget::Budget;
use super::{Lookups, weight};

/// Share of the memory for records; the rest is for facts.
pub(super) const RECORDS_SHARE: u64 = 4;
/// Rules that are remembered as softened for one digest in one namespace: a namespace has three modes and the floor.
const SOFTENED: usize = 16;
/// Manifests of one index that are remembered as judged: no more are looked at in one review.
const JUDGED: usize = 32;

/// The memory of the process.
#[derive(Debug)]
pub struct Store {
    pub(super) admitted: Cache<(Box<str>, Digest), Admitted>,
    tags: Cache<Reference, Tagged>,
    /// Digests that were admitted without a report, and when that was first.
    missed: Cache<Digest, Timestamp>,
    pub(super) counters: IntCounterVec,
    of_admitted: Lookups,
    of_tags: Lookups,
}

/// What is on record for a tag, and since when.
#[derive(Debug, Clone)]
struct Tagged {
    recorded: Recorded,
    at: Timestamp,
}

impl Store {
    pub fn new(budget: &Budget, registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Look-ups in the memory of the process, by kind and by whether it knew";
        let counters = IntCounterVec::new(Opts::new("pratique_cache_lookups_total", help), &["kind", "outcome"])?;
        registry.register(Box::new(counters.clone()))?;
        let admitted = Cache::builder()
            .max_capacity(budget.memory / RECORDS_SHARE / 3)
            .weigher(|(namespace, digest): &(Box<str>, Digest), admitted: &Admitted| {
                let softened: usize = admitted.softened.iter().map(|its| its.by.len() + size_of::<Softened>()).sum();
                let judged: usize =
                    admitted.judged.iter().flat_map(|its| its.iter()).map(|its| its.as_str().len() + 64).sum();
                weight(namespace.len() + digest.as_str().len() + softened + judged)
            })
            .time_to_idle(budget.records)
            .build();
        let tags = Cache::builder()
            .max_capacity(budget.memory / RECORDS_SHARE / 3)
            .weigher(|tag: &Reference, tagged: &Tagged| weight(tag.length() + tagged.recorded.digest.as_str().len()))
            .time_to_idle(budget.records)
            .build();
        let missed = Cache::builder()
            .max_capacity(budget.memory / RECORDS_SHARE / 3)
            .weigher(|digest: &Digest, _: &Timestamp| weight(digest.as_str().len()))
            .time_to_idle(budget.records)
            .build();
        let (of_admitted, of_tags) = (Lookups::of(&counters, "admitted"), Lookups::of(&counters, "tag"));
        Ok(Self { admitted, tags, missed, counters, of_admitted, of_tags })
    }

    /// Since when this namespace has had this digest.
    pub fn admitted(&self, namespace: &str, digest: &Digest, now: Timestamp) -> Fact<Admitted> {
        let known = self.admitted.get(&(namespace.into(), digest.clone()));
        self.of_admitted.count(known.is_some());
        match known {
            Some(value) => Fact::Known(Seen { value, at: now, source: Source::Current }),
            None => Fact::Absent(now),
        }
    }

    /// The first admission stays the one that is remembered.
    pub fn record_admitted(&self, namespace: &str, digest: &Digest, judged: Option<&Arc<[Digest]>>, now: Timestamp) {
        let key = (namespace.into(), digest.clone());
        self.admitted.entry(key).and_upsert_with(|known| match known.map(moka::Entry::into_value) {
            None => Admitted { first: now, judged: judged.cloned(), ..Admitted::nothing(now) },
            Some(Admitted { first, judged: Some(before), platforms, softened }) => {
                let more = judged.into_iter().flat_map(|judged| judged.iter()).filter(|its| !before.contains(its));
                let all: Vec<_> = before.iter().chain(more).take(JUDGED).cloned().collect();
                Admitted { first, judged: Some(all.into()), platforms, softened }
            }
            Some(whole) => whole,
        });
    }

    /// Since when a rule would have refused what a namespace has; `held`: it still would. The first time stays.
    pub fn record_softened(&self, namespace: &str, digest: &Digest, by: &Arc<str>, held: bool, now: Timestamp) {
        let key = (namespace.into(), digest.clone());
        self.admitted.entry(key).and_upsert_with(|known| {
            // What only Pods tell of was not let in as a whole by this.
            let new = || Admitted::nothing(now);
            let Admitted { first, judged, platforms, softened } = known.map_or_else(new, moka::Entry::into_value);
            let known = softened.iter().any(|its| its.by == *by);
            let softened = match (held, known) {
                (true, false) if softened.len() < SOFTENED => {
                    softened.iter().cloned().chain([Softened { by: Arc::clone(by), since: now }]).collect()
                }
                (false, true) => softened.iter().filter(|its| its.by != *by).cloned().collect(),
                (true, _) | (false, false) => softened,
            };
            Admitted { first, judged, platforms, softened }
        });
    }

    /// When a review first missed a report about this digest.
    pub fn first_missed(&self, digest: &Digest) -> Option<Timestamp> {
        self.missed.get(digest)
    }

    /// The first time stays.
    pub fn record_missed(&self, digest: &Digest, now: Timestamp) {
        self.missed.entry(digest.clone()).or_insert(now);
    }

    /// What is on record for a repository and tag, named by their address.
    pub fn recorded(&self, address: &Reference, now: Timestamp) -> Fact<Recorded> {
        let known = self.tags.get(address);
        self.of_tags.count(known.is_some());
        match known {
            Some(Tagged { recorded, at }) => Fact::Known(Seen { value: recorded, at, source: Source::Current }),
            None => Fact::Absent(now),
        }
    }

    /// The last admission is the one that is remembered: who admits a tag that was moved accepts what it names now. Not
    /// for those who mind it more: a namespace where moved tags are let in must not make them unmoved for all others.
    pub fn record_tag(&self, address: &Reference, recorded: &Recorded, now: Timestamp) {
        let Recorded { digest, guard } = recorded;
        self.tags.entry(address.clone()).and_upsert_with(|known| match known.map(moka::Entry::into_value) {
            Some(Tagged { recorded: known, at: _ }) if known.digest == *digest => {
                Tagged { recorded: Recorded { guard: known.guard.min(*guard), ..known }, at: now }
            }
            Some(known) if known.recorded.guard < *guard => known,
            Some(_) | None => Tagged { recorded: recorded.clone(), at: now },
        });
    }

    /// The counters for one more kind of look-up.
    #[must_use]
    pub fn lookups(&self, kind: &str) -> Lookups {
        Lookups::of(&self.counters, kind)
    }
}
