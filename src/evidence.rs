//! Everything that has to be looked up, and all IO of the line. It decides nothing: what it cannot tell it says so.
//!
//! On a warm cache neither [`Evidence::scope`] nor [`Evidence::gather`] awaits anything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::fact::attached::Attached;
use crate::fact::{
    Admitted, Content, Examined, Fact, Facts, Fault, ImageFacts, PlatformManifest, Record, Recorded, Resolved, Scope,
    Seen, Trouble,
};
use crate::image::{Digest, Platform, Reference};
use crate::policy::plan::{Examine, Nodes, Plan, Wait, Want};
use crate::policy::trust::Examination;
use crate::request::Request;

use budget::{Budget, Deadline, Patience};
use cluster::pull_secrets::{PullSecrets, Usage};
use registry::Registries;
use registry::credentials::{Asker, Keyring};
use scope::Namespaces;
use signature::Signatures;
use signature::trust::Trust;
use store::{FactCache, Life, Store};

pub mod budget;
pub mod cluster;
pub mod registry;
pub mod scan;
pub mod scope;
pub mod signature;
pub mod store;

/// Shares of the memory: for what names stand for, and for what is attached to digests. What is left is for records.
const RESOLVED_SHARE: u64 = 4;
const SIGNATURES_SHARE: u64 = 2;
/// Manifests of one index that are looked at: for each there are as many requests as for an image, and an index of a
/// thousand takes no more to push than one of ten. Real ones have a dozen for all platforms that there are.
const PLATFORMS: usize = 32;

/// What the process knows of the world.
#[derive(Debug)]
pub struct Evidence {
    budget: Budget,
    store: Store,
    registries: Arc<Registries>,
    /// What a name stands for, by its address and by who asks: what one may see another may not. Not by how a
    /// registry is reached: what `hosts.toml` says is the operator's, and a change is asked about when the fact is stale.
    resolved: FactCache<(Reference, Asker), Resolved>,
    signatures: Signatures,
    pull_secrets: Usage,
    /// What nodes run, where there are none to ask.
    platforms: Arc<[Platform]>,
}

impl Evidence {
    /// With an empty memory; its collectors are registered on `metrics`.
    pub fn new(
        budget: Budget,
        registries: Arc<Registries>,
        trust: Arc<Trust>,
        pull_secrets: Usage,
        platforms: Arc<[Platform]>,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let store = Store::new(&budget, metrics)?;
        let (tag, digest) = (budget.tag_fresh, budget.digest_fresh);
        let (last_known_good, negative) = (budget.last_known_good, budget.negative);
        let life = move |(address, _): &(Reference, Asker)| Life {
            fresh: if address.digest().is_some() { digest } else { tag },
            last_known_good,
            negative,
        };
        let weigh = |(address, asker): &(Reference, Asker), resolved: Option<&Resolved>| {
            address.length() + size_of_val(asker.candidates()) + resolved.map_or(0, Resolved::weight)
        };
        let resolved = FactCache::new(budget.memory / RESOLVED_SHARE, life, weigh, |_| None, store.lookups("image"));
        let (bytes, asked) = (budget.memory / SIGNATURES_SHARE, Arc::clone(&registries));
        let signatures = Signatures::new(bytes, &budget, asked, trust, store.lookups("signatures"));
        Ok(Self { budget, store, registries, resolved, signatures, pull_secrets, platforms })
    }

    /// What surrounds the object. Without an API server to ask, the manifests are all there is to know.
    #[expect(clippy::unused_async, reason = "a namespace missing from a watch cache takes a bounded live read")]
    pub async fn scope(&self, namespaces: &Namespaces, request: &Request, _deadline: Deadline) -> Scope {
        let labels = namespaces.labels(&request.namespace, Timestamp::now());
        Scope { labels, platforms: Arc::clone(&self.platforms) }
    }

    /// A fact for each want of the plan, in its order; side by side, and each for as long as its want may be waited for.
    pub async fn gather(&self, plan: &Plan<'_>, secrets: &PullSecrets, deadline: Deadline) -> Facts {
        let patience = deadline.patience(&self.budget);
        let facts = plan.wants.iter().map(|want| self.look_up(want, &plan.nodes, secrets, patience));
        Facts { images: join_all(facts).await }
    }

    /// One want. Each room that can say something about an image answers here.
    async fn look_up(&self, want: &Want<'_>, nodes: &Nodes, secrets: &PullSecrets, patience: Patience) -> ImageFacts {
        let (now, address) = (Timestamp::now(), want.reference.address());
        let recorded = match address.digest() {
            None => self.store.recorded(&address, now),
            Some(_) => Fact::Absent(now),
        };
        let resolve = match &recorded {
            Fact::Known(_) => want.resolve.max(want.compare),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => want.resolve,
        };
        let keyrings = secrets.of(self.pull_secrets, want.namespace, want.pull);
        let asker = self.registries.asker(&address, &keyrings);
        let who = Who { asker, keyrings };
        let resolved = self.resolve(want, address, who.asker.clone(), resolve, patience).await;
        let admitted = self.admitted(want, &resolved, &recorded, now);
        let examine = want.examine.iter().map(|examine| self.examine(want, examine, nodes, &resolved, &who, patience));
        let examined = join_all(examine).await;
        ImageFacts { resolved, recorded, admitted, examined, scanned: None }
    }

    async fn resolve(
        &self,
        want: &Want<'_>,
        address: Reference,
        asker: Asker,
        how_long: Wait,
        patience: Patience,
    ) -> Fact<Resolved> {
        let (key, now) = ((address, asker), Timestamp::now());
        if how_long == Wait::AtHand {
            return self.resolved.at_hand(&key, now).unwrap_or(Fact::Pending);
        }
        if let Some(fact) = self.resolved.fresh(&key, now, None) {
            return fact;
        }
        let (registries, question) = (Arc::clone(&self.registries), key.clone());
        let look_up = move |known: Option<Resolved>| async move {
            let (address, asker) = question;
            registries.resolve(&address, &asker, known.as_ref()).await
        };
        let get = self.resolved.get(key, now, None, look_up);
        patience.within(how_long, get).await.unwrap_or_else(|| late(how_long, want.reference))
    }

    /// What is attached to the image: to the digest itself, and where that is not enough, to the manifests of its index
    /// that the pod could run.
    async fn examine(
        &self,
        want: &Want<'_>,
        examine: &Examine,
        nodes: &Nodes,
        resolved: &Fact<Resolved>,
        who: &Who,
        patience: Patience,
    ) -> Examined {
        let examination = &examine.examination;
        let Fact::Known(Seen { value: resolved, .. }) = resolved else {
            // Without a digest there is nothing to look at, and the decision goes by that.
            return Examined::default();
        };
        let kept = examination.repository.as_ref().unwrap_or(want.reference).repository_alone();
        let asker = match &examination.repository {
            None => who.asker.clone(),
            Some(_) => self.registries.asker(&kept, &who.keyrings),
        };
        let place = Place { kept, asker, examination, how_long: examine.wait, patience };
        let examined = self.examine_at(want, examine, nodes, resolved, &place, None).await;
        if examine.wait == Wait::AtHand || examine.signed_enough(&examined, resolved, want.reference, Timestamp::now())
        {
            return examined;
        }
        // What is there was not enough. It may be by now: only what is new is a reason to refuse.
        self.examine_at(want, examine, nodes, resolved, &place, Some(self.budget.negative)).await
    }

    async fn examine_at(
        &self,
        want: &Want<'_>,
        examine: &Examine,
        nodes: &Nodes,
        resolved: &Resolved,
        place: &Place<'_>,
        oldest: Option<Duration>,
    ) -> Examined {
        let mut examined = Examined::default();
        if examine.demands.iter().any(|demands| demands.examines_own(resolved)) {
            examined.own = Some(self.attached(want, place, &resolved.digest, oldest).await);
        }
        let Content::Index(manifests) = &resolved.content else { return examined };
        if examine.demands.iter().any(|demands| demands.examines_platforms())
            && !examine.signed_enough(&examined, resolved, want.reference, Timestamp::now())
        {
            let of_one = |manifest: PlatformManifest| async move {
                let attached = self.attached(want, place, &manifest.digest, oldest).await;
                (manifest, attached)
            };
            examined.platforms = Some(match few(nodes.candidates(manifests)) {
                Ok(candidates) => join_all(candidates.into_iter().map(of_one)).await,
                Err(unseen) => unseen,
            });
        }
        examined
    }

    async fn attached(
        &self,
        want: &Want<'_>,
        place: &Place<'_>,
        digest: &Digest,
        oldest: Option<Duration>,
    ) -> Fact<Arc<Attached>> {
        let Place { kept, asker, examination, how_long, patience } = place;
        if *how_long == Wait::AtHand {
            return self.signatures.at_hand(kept, digest, asker, examination);
        }
        let get = self.signatures.attached(kept, digest, asker, examination, oldest);
        patience.within(*how_long, get).await.unwrap_or_else(|| late(*how_long, want.reference))
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
                Record::Softened { namespace, digest, by, held } => {
                    self.store.record_softened(namespace, digest, by, *held, now);
                }
                Record::Missed { digest } => self.store.record_missed(digest, now),
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

/// Of more than are looked at none is: that all of them are signed cannot be told, however long anybody waits.
fn few(
    candidates: Vec<PlatformManifest>,
) -> Result<Vec<PlatformManifest>, Vec<(PlatformManifest, Fact<Arc<Attached>>)>> {
    let count = candidates.len();
    if count <= PLATFORMS {
        return Ok(candidates);
    }
    let words =
        format!("its index has {count} manifests that the pod could run, and no more than {PLATFORMS} are looked at");
    let trouble = Trouble::new(Fault::Broken, words);
    Err(candidates.into_iter().take(1).map(|manifest| (manifest, Fact::Unavailable(trouble.clone()))).collect())
}

/// Who asks for an image.
struct Who {
    asker: Asker,
    keyrings: Vec<Arc<Keyring>>,
}

/// Where signatures are looked for, by whom, and for how long.
struct Place<'a> {
    kept: Reference,
    asker: Asker,
    examination: &'a Arc<Examination>,
    how_long: Wait,
    patience: Patience,
}

/// What was not there when waiting for it was over.
fn late<T>(wait: Wait, image: &Reference) -> Fact<T> {
    match wait {
        Wait::UntilDeadline => {
            let words = format!("{} has not answered in time", image.registry());
            Fact::Unavailable(Trouble::new(Fault::Deadline, words))
        }
        Wait::AtHand | Wait::Afterwards | Wait::Briefly => Fact::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_index_with_more_manifests_than_are_looked_at_none_is_and_waiting_does_not_help() {
        let manifest = PlatformManifest {
            platform: Some(Platform::default()),
            digest: Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap(),
        };
        assert_eq!(few(vec![manifest.clone(); 32]).unwrap().len(), 32);
        let unseen = few(vec![manifest; 33]).unwrap_err();
        assert_eq!(unseen.len(), 1, "one is enough to refuse");
        assert!(matches!(&unseen[0].1, Fact::Unavailable(trouble) if !trouble.fault.passes()));
    }
}
