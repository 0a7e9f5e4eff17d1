//! Everything that has to be looked up, and all IO of the line. It decides nothing: what it cannot tell it says so.
//!
//! On a warm cache neither [`Evidence::scope`] nor [`Evidence::gather`] awaits anything.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use jiff::Timestamp;

use crate::fact::{Examined, Fact, Facts, Fault, ImageFacts, Record, Resolved, Scope, Seen, Trouble};
use crate::image::Reference;
use crate::policy::plan::{Nodes, Plan, Wait, Want};
use crate::request::Request;

use budget::{Budget, Deadline, Patience};
use cluster::Cluster;
use cluster::nodes::Nodes as ClusterNodes;
use cluster::pull_secrets::Usage;
use cluster::secrets::Brought;
use registry::Registries;
use registry::credentials::{Asker, Keyring};
use scan::directory::Directories;
use scan::objects::Objects;
use scope::Namespaces;
use signature::Signatures;
use signature::trust::Trust;
use store::{FactCache, Life, Store};

pub mod budget;
pub mod cluster;
mod examined;
mod known;
pub mod registry;
pub mod scan;
mod scanned;
pub mod scope;
pub mod signature;
pub mod store;

/// Shares of the memory: for what names stand for, for what is attached to digests, and for findings (which are read again
/// from their files). What is left is for records.
const RESOLVED_SHARE: u64 = 4;
const SIGNATURES_SHARE: u64 = 4;
const REPORTS_SHARE: u64 = 4;
/// Where scan reports are kept.
#[derive(Debug, Clone, Default)]
pub struct ScanSources {
    /// Folders and files of reports.
    pub paths: Vec<PathBuf>,
    /// Objects of some namespace count.
    pub objects: bool,
}

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
    directories: Arc<Directories>,
    /// There is somewhere that reports could be.
    scans: bool,
    pull_secrets: Usage,
    /// What nodes run.
    nodes: Arc<ClusterNodes>,
}

impl Evidence {
    /// With an empty memory; its collectors are registered on `metrics`.
    pub fn new(
        budget: Budget,
        registries: Arc<Registries>,
        trust: Arc<Trust>,
        pull_secrets: Usage,
        nodes: Arc<ClusterNodes>,
        scans: ScanSources,
        metrics: &prometheus::Registry,
    ) -> Result<Self, prometheus::Error> {
        let store = Store::new(&budget, metrics)?;
        let scans_kept = scans.objects || !scans.paths.is_empty();
        let directories =
            Directories::new(scans.paths, budget.memory / REPORTS_SHARE, store.lookups("report"), metrics)?;
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
        Ok(Self {
            budget,
            store,
            registries,
            resolved,
            signatures,
            directories,
            scans: scans_kept,
            pull_secrets,
            nodes,
        })
    }

    /// What surrounds the object. A namespace that the watch has not brought is asked for, until the deadline.
    pub async fn scope(&self, namespaces: &Namespaces, request: &Request, deadline: Deadline) -> Scope {
        let labels = namespaces.labels(&request.namespace, Timestamp::now(), deadline).await;
        Scope { labels, platforms: self.nodes.platforms(), scans: self.scans }
    }

    /// A fact for each want of the plan, in its order; side by side, and each for as long as its want may be waited for.
    pub async fn gather(&self, plan: &Plan<'_>, cluster: &Cluster, deadline: Deadline) -> Facts {
        let Some(wait) = plan.wants.iter().map(|want| want.resolve.max(want.compare)).max() else {
            return Facts::default();
        };
        let (patience, request) = (deadline.patience(&self.budget), plan.request);
        let brought =
            cluster.pull_secrets.brought(self.pull_secrets, &request.namespace, &request.pull, wait, patience);
        let (brought, objects) = (brought.await, cluster.scan_objects.load());
        let around = Surrounding { plan, cluster, brought: &brought, objects: &objects };
        let facts = plan.wants.iter().map(|want| self.look_up(want, around, patience));
        Facts { images: join_all(facts).await }
    }

    /// One want. Each room that can say something about an image answers here.
    async fn look_up(&self, want: &Want<'_>, around: Surrounding<'_>, patience: Patience) -> ImageFacts {
        let (now, address) = (Timestamp::now(), want.reference.address());
        let recorded = self.recorded(want, &address, around, now);
        let resolve = match &recorded.fact {
            Fact::Known(_) => want.resolve.max(want.compare),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => want.resolve,
        };
        let (resolved, who) = self.resolve_as_brought(want, &address, around, resolve, patience).await;
        let recorded = known::as_named(recorded, &resolved, &around.plan.nodes);
        let admitted = self.admitted(want, &address, (&resolved, &recorded), around, now);
        let looking = Looking { want, nodes: &around.plan.nodes, who: &who, patience };
        let Fact::Known(Seen { value: known, .. }) = &resolved else {
            // Without a digest there is nothing to look at, and the decision goes by that.
            let examined = want.examine.iter().map(|_| Examined::default()).collect();
            return ImageFacts { resolved, recorded, admitted, examined, scanned: None };
        };
        let examined = join_all(want.examine.iter().map(|examine| self.examine(looking, examine, known)));
        let (scanned, mut examined) = join(self.scan(looking, known, around.objects), examined).await;
        self.look_again(looking, known, scanned.as_ref(), &mut examined).await;
        ImageFacts { resolved, recorded, admitted, examined, scanned }
    }

    /// With what the pod brings; where the registry refuses that, once more with what it is by now.
    async fn resolve_as_brought(
        &self,
        want: &Want<'_>,
        address: &Reference,
        around: Surrounding<'_>,
        how_long: Wait,
        patience: Patience,
    ) -> (Fact<Resolved>, Who) {
        let (request, brought) = (around.plan.request, around.brought);
        let who = self.who(address, brought.keyrings.clone());
        let resolved = self.resolve(want, address.clone(), who.asker.clone(), how_long, patience).await;
        if !is_refused(&resolved) {
            return (resolved, who);
        }
        let secrets = &around.cluster.pull_secrets;
        let again = secrets.again(self.pull_secrets, &request.namespace, &request.pull, how_long, patience);
        let Some(Brought { keyrings, trouble }) = again.await else {
            return (instead(resolved, brought.trouble.as_ref()), who);
        };
        let newer = self.who(address, keyrings);
        if newer.asker == who.asker {
            return (instead(resolved, trouble.as_ref()), who);
        }
        let resolved = self.resolve(want, address.clone(), newer.asker.clone(), how_long, patience).await;
        (if is_refused(&resolved) { instead(resolved, trouble.as_ref()) } else { resolved }, newer)
    }

    fn who(&self, address: &Reference, keyrings: Vec<Arc<Keyring>>) -> Who {
        Who { asker: self.registries.asker(address, &keyrings), keyrings }
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

    /// Keeps what an admission showed.
    pub fn remember(&self, records: &[Record]) {
        let now = Timestamp::now();
        for record in records {
            match record {
                Record::Admitted { namespace, digest, judged } => {
                    self.store.record_admitted(namespace, digest, judged.as_ref(), now);
                }
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

    /// Where scan reports are kept as files; whoever runs the program has them read.
    #[must_use]
    pub fn directories(&self) -> &Arc<Directories> {
        &self.directories
    }

    /// Until when work after a reply may go on.
    #[must_use]
    pub fn background_deadline(&self) -> Deadline {
        Deadline::at(std::time::Instant::now() + self.budget.background)
    }
}

/// What surrounds all wants of one review.
#[derive(Clone, Copy)]
struct Surrounding<'a> {
    plan: &'a Plan<'a>,
    cluster: &'a Cluster,
    brought: &'a Brought,
    objects: &'a Objects,
}

/// What is looked for, for whom, and for how long.
#[derive(Clone, Copy)]
struct Looking<'a> {
    want: &'a Want<'a>,
    nodes: &'a Nodes,
    who: &'a Who,
    patience: Patience,
}

/// Who asks for an image.
struct Who {
    asker: Asker,
    keyrings: Vec<Arc<Keyring>>,
}

fn is_refused<T>(fact: &Fact<T>) -> bool {
    matches!(fact, Fact::Unavailable(trouble) if trouble.fault == Fault::Refused)
}

/// The registry refused while a part of the credentials could not be had: it is that which stands in the way.
fn instead<T>(refused: Fact<T>, trouble: Option<&Trouble>) -> Fact<T> {
    trouble.map_or(refused, |trouble| Fact::Unavailable(trouble.clone()))
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
