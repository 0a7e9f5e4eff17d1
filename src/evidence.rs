//! Everything that has to be looked up, and all IO of the line. It decides nothing: what it cannot tell it says so.
//!
//! On a warm cache neither [`Evidence::scope`] nor [`Evidence::gather`] awaits anything.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use jiff::Timestamp;

use crate::fact::{
    Admitted, Examined, Fact, Facts, Fault, ImageFacts, Record, Recorded, Resolved, Scope, Seen, Trouble,
};
use crate::image::{Platform, Reference};
use crate::policy::plan::{Nodes, Plan, Wait, Want};
use crate::request::Request;

use budget::{Budget, Deadline, Patience};
use cluster::pull_secrets::{PullSecrets, Usage};
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
            platforms,
        })
    }

    /// What surrounds the object. Without an API server to ask, the manifests are all there is to know.
    #[expect(clippy::unused_async, reason = "a namespace missing from a watch cache takes a bounded live read")]
    pub async fn scope(&self, namespaces: &Namespaces, request: &Request, _deadline: Deadline) -> Scope {
        let labels = namespaces.labels(&request.namespace, Timestamp::now());
        Scope { labels, platforms: Arc::clone(&self.platforms), scans: self.scans }
    }

    /// A fact for each want of the plan, in its order; side by side, and each for as long as its want may be waited for.
    pub async fn gather(&self, plan: &Plan<'_>, secrets: &PullSecrets, objects: &Objects, deadline: Deadline) -> Facts {
        let patience = deadline.patience(&self.budget);
        let in_force = Surrounding { nodes: &plan.nodes, secrets, objects };
        let facts = plan.wants.iter().map(|want| self.look_up(want, in_force, patience));
        Facts { images: join_all(facts).await }
    }

    /// One want. Each room that can say something about an image answers here.
    async fn look_up(&self, want: &Want<'_>, in_force: Surrounding<'_>, patience: Patience) -> ImageFacts {
        let (now, address) = (Timestamp::now(), want.reference.address());
        let recorded = match address.digest() {
            None => self.store.recorded(&address, now),
            Some(_) => Fact::Absent(now),
        };
        let resolve = match &recorded {
            Fact::Known(_) => want.resolve.max(want.compare),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => want.resolve,
        };
        let keyrings = in_force.secrets.of(self.pull_secrets, want.namespace, want.pull);
        let asker = self.registries.asker(&address, &keyrings);
        let who = Who { asker, keyrings };
        let resolved = self.resolve(want, address, who.asker.clone(), resolve, patience).await;
        let admitted = self.admitted(want, &resolved, &recorded, now);
        let looking = Looking { want, nodes: in_force.nodes, who: &who, patience };
        let Fact::Known(Seen { value: known, .. }) = &resolved else {
            // Without a digest there is nothing to look at, and the decision goes by that.
            let examined = want.examine.iter().map(|_| Examined::default()).collect();
            return ImageFacts { resolved, recorded, admitted, examined, scanned: None };
        };
        let examined = join_all(want.examine.iter().map(|examine| self.examine(looking, examine, known)));
        let (scanned, mut examined) = join(self.scan(looking, known, in_force.objects), examined).await;
        self.look_again(looking, known, scanned.as_ref(), &mut examined).await;
        ImageFacts { resolved, recorded, admitted, examined, scanned }
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

/// What a review reads of what is in force.
#[derive(Clone, Copy)]
struct Surrounding<'a> {
    nodes: &'a Nodes,
    secrets: &'a PullSecrets,
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
