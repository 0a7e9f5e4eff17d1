//! Everything that has to be looked up, and all IO of the line. It decides nothing: what it cannot tell it says so.
//!
//! On a warm cache neither [`Evidence::scope`] nor [`Evidence::gather`] awaits anything.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::fact::{Admitted, Fact, Facts, Fault, ImageFacts, Record, Recorded, Resolved, Scope, Trouble};
use crate::image::{Platform, Reference};
use crate::policy::plan::{Plan, Wait, Want};
use crate::request::Request;

use budget::{Budget, Deadline};
use cluster::pull_secrets::{PullSecrets, Usage};
use registry::Registries;
use registry::credentials::Asker;
use scope::Namespaces;
use store::{FactCache, Life, Store};

pub mod budget;
pub mod cluster;
pub mod registry;
pub mod scope;
pub mod signature;
pub mod store;

/// Share of the memory for what names stand for; what is left is for facts about digests.
const RESOLVED_SHARE: u64 = 4;

/// What the process knows of the world.
#[derive(Debug)]
pub struct Evidence {
    budget: Budget,
    store: Store,
    registries: Arc<Registries>,
    /// What a name stands for, by its address and by who asks: what one may see another may not. Not by how a
    /// registry is reached: what `hosts.toml` says is the operator's, and a change is asked about when the fact is stale.
    resolved: FactCache<(Reference, Asker), Resolved>,
    pull_secrets: Usage,
    /// What nodes run, where there are none to ask.
    platforms: Arc<[Platform]>,
}

impl Evidence {
    /// With an empty memory; its collectors are registered on `metrics`.
    pub fn new(
        budget: Budget,
        registries: Arc<Registries>,
        pull_secrets: Usage,
        platforms: Arc<[Platform]>,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let store = Store::new(&budget, metrics)?;
        let (tag, digest) = (budget.tag_fresh, budget.digest_fresh);
        let last_known_good = budget.last_known_good;
        let life = move |(address, _): &(Reference, Asker)| Life {
            fresh: if address.digest().is_some() { digest } else { tag },
            last_known_good,
        };
        let weigh = |(address, asker): &(Reference, Asker), resolved: Option<&Resolved>| {
            address.length() + size_of_val(asker.candidates()) + resolved.map_or(0, Resolved::weight)
        };
        let resolved = FactCache::new(budget.memory / RESOLVED_SHARE, life, weigh, store.lookups("image"));
        Ok(Self { budget, store, registries, resolved, pull_secrets, platforms })
    }

    /// What surrounds the object. Without an API server to ask, the manifests are all there is to know.
    #[expect(clippy::unused_async, reason = "a namespace missing from a watch cache takes a bounded live read")]
    pub async fn scope(&self, namespaces: &Namespaces, request: &Request, _deadline: Deadline) -> Scope {
        let labels = namespaces.labels(&request.namespace, Timestamp::now());
        Scope { labels, platforms: Arc::clone(&self.platforms) }
    }

    /// A fact for each want of the plan, in its order; side by side, and each for as long as its want may be waited for.
    pub async fn gather(&self, plan: &Plan<'_>, secrets: &PullSecrets, deadline: Deadline) -> Facts {
        let facts = plan.wants.iter().map(|want| self.look_up(want, secrets, deadline));
        Facts { images: join_all(facts).await }
    }

    /// One want. Each room that can say something about an image answers here.
    async fn look_up(&self, want: &Want<'_>, secrets: &PullSecrets, deadline: Deadline) -> ImageFacts {
        let (now, address) = (Timestamp::now(), want.reference.address());
        let recorded = match address.digest() {
            None => self.store.recorded(&address, now),
            Some(_) => Fact::Absent(now),
        };
        let patience = match &recorded {
            Fact::Known(_) => want.resolve.max(want.compare),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => want.resolve,
        };
        let resolved = self.resolve(want, address, secrets, patience, deadline).await;
        let admitted = self.admitted(want, &resolved, &recorded, now);
        ImageFacts { resolved, recorded, admitted, examined: Vec::new() }
    }

    async fn resolve(
        &self,
        want: &Want<'_>,
        address: Reference,
        secrets: &PullSecrets,
        patience: Wait,
        deadline: Deadline,
    ) -> Fact<Resolved> {
        let keyrings = secrets.of(self.pull_secrets, want.namespace, want.pull);
        let asker = self.registries.asker(&address, &keyrings);
        let (key, now) = ((address, asker), Timestamp::now());
        if patience == Wait::AtHand {
            return self.resolved.at_hand(&key, now).unwrap_or(Fact::Pending);
        }
        let (registries, question) = (Arc::clone(&self.registries), key.clone());
        let look_up = move |known: Option<Resolved>| async move {
            let (address, asker) = question;
            registries.resolve(&address, &asker, known.as_ref()).await
        };
        let get = self.resolved.get(key, now, look_up);
        match (deadline.within(patience, &self.budget, get).await, patience) {
            (Some(fact), _) => fact,
            (None, Wait::UntilDeadline) => {
                let words = format!("{} has not answered in time", want.reference.registry());
                Fact::Unavailable(Trouble::new(Fault::Deadline, words))
            }
            (None, Wait::AtHand | Wait::Afterwards | Wait::Briefly) => Fact::Pending,
        }
    }

    fn admitted(
        &self,
        want: &Want<'_>,
        resolved: &Fact<Resolved>,
        recorded: &Fact<Recorded>,
        now: Timestamp,
    ) -> Fact<Admitted> {
        let digest = match (want.reference.digest(), resolved, recorded) {
            (Some(digest), _, _) => digest,
            (None, Fact::Known(seen), _) => &seen.value.digest,
            (None, _, Fact::Known(seen)) => &seen.value.digest,
            (None, Fact::Absent(at), _) => return Fact::Absent(*at),
            (None, Fact::Unavailable(trouble), _) => return Fact::Unavailable(trouble.clone()),
            (None, Fact::Pending, _) => return Fact::Pending,
        };
        self.store.admitted(want.namespace, digest, now)
    }

    /// Keeps what an admission showed.
    pub fn remember(&self, records: &[Record]) {
        let now = Timestamp::now();
        for record in records {
            match record {
                Record::Admitted { namespace, digest } => self.store.record_admitted(namespace, digest, now),
                Record::Tag { address, recorded } => self.store.record_tag(address, recorded, now),
            }
        }
    }

    #[must_use]
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// Until when work after a reply may go on.
    #[must_use]
    pub fn background_deadline(&self) -> Deadline {
        Deadline::at(std::time::Instant::now() + self.budget.background)
    }
}
