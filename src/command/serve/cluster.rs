//! `serve` in a cluster: what manifests would hold comes from watches, and the certificate is kept in a Secret.
//!
//! Probes are answered at once. Reviews are answered when everything that refuses was listed, policies and namespaces, and
//! what softens was waited for, within bounds: until then nobody is let in by not knowing better.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::command;
use crate::config::Config;
use crate::controller::certificate::Keeper;
use crate::controller::registration::{Registration, Unlabelled};
use crate::controller::{Names, events, lease, status};
use crate::evidence::cluster::connection::Connection;
use crate::evidence::cluster::nodes::Nodes;
use crate::evidence::cluster::pods::Pods;
use crate::evidence::cluster::policies::{self, Generations, PolicySet, Surroundings};
use crate::evidence::cluster::pull_secrets::PullSecrets;
use crate::evidence::cluster::secrets::LiveSecrets;
use crate::evidence::cluster::watching::{Health, WatchState, Watches};
use crate::evidence::cluster::{Cluster, namespaces, nodes, pods, reports};
use crate::evidence::scan::objects::Objects;
use crate::evidence::scope::Namespaces;
use crate::evidence::signature::trust;
use crate::fact::{Fault, Trouble};
use crate::observe::metrics::Metrics;
use crate::observe::notice::noticeboard;
use crate::policy::Policies;
use crate::policy::document::Mistake;
use crate::review::{InForce, Review};
use crate::server::Lint;
use crate::server::admin::PartStatus;
use crate::server::tls::Identity;

use super::starting::{Starting, failed, identity_in_files};
use super::{Running, Settings};

/// How long a start waits for what only softens: Pods, nodes and reports. A cluster with some hundred thousand Pods lists
/// them in less, and where they may not be listed at all the program has to start without them.
const SOFTENERS: Duration = Duration::from_secs(30);
/// Who this replica is, told by the downward API.
const POD_NAME: &str = "POD_NAME";

pub(super) async fn start(settings: Settings, kubeconfig: Option<PathBuf>) -> Result<Running, Vec<Mistake>> {
    let mut starting = Starting::new(settings)?;
    let config = starting.config().clone();
    let connection = connect(kubeconfig.as_deref()).await?;
    let names = names(&config, &connection);
    warn_of_ourselves(&config, &names);
    let mut joined = Joined::new(&mut starting, connection, names)?;
    let (review, metrics) = joined.review(&mut starting, &config)?;
    let sets = joined.follow(&mut starting, &config);
    let generations = Generations::new(starting.registry()).map_err(|error| vec![failed("metrics", &error)])?;
    let told = (metrics, generations);
    let in_force = Joined::put_in_force(&mut starting, &config, sets.clone(), Arc::clone(&review), told);
    let identity = joined.keep(&mut starting, &config, sets)?;
    let admin = starting.listen_to_operators().await?;
    let ready = async {
        let identity = identity.obtain().await;
        joined.listed(in_force).await;
        identity
    };
    let identity = tokio::select! {
        identity = ready => identity,
        mistake = starting.broken() => return Err(vec![mistake]),
    };
    starting.listen(review, admin, identity, Some(joined.linter(&config))).await
}

async fn connect(kubeconfig: Option<&Path>) -> Result<Connection, Vec<Mistake>> {
    Connection::open(kubeconfig).await.map_err(|mistake| vec![mistake])
}

fn names(config: &Config, connection: &Connection) -> Names {
    let told = std::env::var(POD_NAME).or_else(|_| std::env::var("HOSTNAME")).ok().filter(|name| !name.is_empty());
    Names {
        namespace: connection.namespace().to_owned(),
        service: config.cluster.service.clone(),
        webhook_configuration: config.cluster.webhook_configuration.clone(),
        replica: told.unwrap_or_else(|| format!("pratique-{}", std::process::id())),
    }
}

fn warn_of_ourselves(config: &Config, names: &Names) {
    if !config.exempt_namespaces.contains(&names.namespace) {
        let namespace = &names.namespace;
        let advice = "add it to `exemptNamespaces`, and to the namespaceSelector of the webhook: a replica must never wait \
                      for another to let it start";
        tracing::warn!(namespace, advice, "our own namespace is not exempt");
    }
}

/// What is known of the cluster, and how each watch is.
struct Joined {
    connection: Connection,
    names: Names,
    watches: Arc<Watches>,
    nodes: Arc<Nodes>,
    namespaces: Arc<Namespaces>,
    scan_objects: Arc<ArcSwap<Objects>>,
    pods: Arc<Pods>,
    /// What must be listed before the first review.
    required: Vec<Health>,
    softening: Vec<Health>,
}

impl Joined {
    fn new(starting: &mut Starting, connection: Connection, names: Names) -> Result<Self, Vec<Mistake>> {
        let watches = Watches::new(starting.registry()).map_err(|error| vec![failed("metrics", &error)])?;
        let namespaces = Arc::new(Namespaces::live(connection.clone()));
        let nodes = command::nodes_of(starting.config());
        let unread = Trouble::new(Fault::Outage, "the scan reports of the cluster are not read yet");
        let no_objects = starting.config().scans.namespaces.is_empty();
        let objects = if no_objects { Objects::default() } else { Objects::unread(unread) };
        Ok(Self {
            connection,
            names,
            watches: Arc::new(watches),
            nodes,
            namespaces,
            scan_objects: Arc::new(ArcSwap::from_pointee(objects)),
            pods: Arc::default(),
            required: Vec::new(),
            softening: Vec::new(),
        })
    }

    fn cluster(&self, config: &Config) -> Arc<Cluster> {
        Arc::new(Cluster {
            namespaces: Arc::clone(&self.namespaces),
            pull_secrets: PullSecrets::live(LiveSecrets::new(self.connection.clone())),
            scan_objects: Arc::clone(&self.scan_objects),
            pods: Arc::clone(&self.pods),
            exempt: Arc::new(config.exempt_namespaces.clone()),
        })
    }

    /// The review, and who tells the cluster of refused controllers.
    fn review(&self, starting: &mut Starting, config: &Config) -> Result<(Arc<Review>, Metrics), Vec<Mistake>> {
        let (board, notices) = noticeboard();
        let untold = events::Untold::new(starting.registry()).map_err(|error| vec![failed("metrics", &error)])?;
        starting.spawn_vital("Events", events::tell(self.connection.clone(), self.names.clone(), notices, untold));
        let built_in = command::manifests(&[])?.policies;
        let policies = Policies { by_name: built_in, bindings: command::bindings(config) };
        starting.review(InForce { policies, cluster: self.cluster(config) }, Arc::clone(&self.nodes), Some(board))
    }

    /// Starts all watches.
    fn follow(&mut self, starting: &mut Starting, config: &Config) -> watch::Receiver<Arc<PolicySet>> {
        let (sender, sets) = watch::channel(Arc::default());
        let connection = || self.connection.clone();
        let of_policies = self.enter(starting, "imagepolicies", true);
        starting.spawn_vital(
            "the watch of ImagePolicies",
            policies::follow(connection(), of_policies.clone(), surroundings(config), sender),
        );
        let of_namespaces = self.enter(starting, "namespaces", true);
        starting.spawn_vital(
            "the watch of Namespaces",
            namespaces::follow(connection(), of_namespaces.clone(), Arc::clone(&self.namespaces)),
        );
        let of_nodes = self.enter(starting, "nodes", false);
        starting
            .spawn_vital("the watch of Nodes", nodes::follow(connection(), of_nodes.clone(), Arc::clone(&self.nodes)));
        self.required = vec![of_policies, of_namespaces];
        self.softening = vec![of_nodes];
        if config.cluster.pods {
            let of_pods = self.enter(starting, "pods", false);
            starting.spawn_vital(
                "the watch of Pods",
                pods::follow(self.connection.clone(), of_pods.clone(), Arc::clone(&self.pods)),
            );
            self.softening.push(of_pods);
        }
        if !config.scans.namespaces.is_empty() {
            let (watches, namespaces) = (Arc::clone(&self.watches), config.scans.namespaces.clone());
            let objects = Arc::clone(&self.scan_objects);
            let shown = Arc::clone(&self.watches);
            starting.part(reports::RESOURCE, move || of_reports(&shown));
            starting.spawn_vital(
                "the watch of VulnerabilityReports",
                reports::follow(self.connection.clone(), watches, namespaces, objects),
            );
        }
        sets
    }

    fn enter(&self, starting: &mut Starting, resource: &'static str, required: bool) -> Health {
        let health = self.watches.enter(resource);
        let shown = health.clone();
        starting.part(resource, move || watched(shown.state(), required));
        health
    }

    /// Each set of policies comes into force as it comes. What it returns tells whether one that was listed did.
    fn put_in_force(
        starting: &mut Starting,
        config: &Config,
        mut sets: watch::Receiver<Arc<PolicySet>>,
        review: Arc<Review>,
        (metrics, generations): (Metrics, Generations),
    ) -> watch::Receiver<bool> {
        let (told, listed) = watch::channel(false);
        let unbound = Arc::new(ArcSwap::from_pointee(None::<String>));
        let shown = Arc::clone(&unbound);
        starting.part("policies", move || Option::clone(&shown.load()).map_or(PartStatus::Ready, PartStatus::Degraded));
        let bindings = command::bindings(config);
        starting.spawn_vital("putting policies in force", async move {
            while sets.changed().await.is_ok() {
                let set = Arc::clone(&sets.borrow_and_update());
                let policies = Policies { by_name: set.by_name.clone(), bindings: bindings.clone() };
                let trouble = set.listed.then(|| without_policy(&policies)).flatten();
                if trouble != Option::clone(&unbound.load())
                    && let Some(trouble) = &trouble
                {
                    tracing::error!(%trouble, "the settings name a policy that is not in force");
                }
                unbound.store(Arc::new(trouble));
                metrics.policies(&policies);
                generations.tell(&set.objects);
                let cluster = Arc::clone(&review.in_force().cluster);
                review.put_in_force(InForce { policies, cluster });
                told.send_replace(set.listed);
            }
        });
        listed
    }

    /// Starts what the program does in its cluster beside answering.
    fn keep(
        &self,
        starting: &mut Starting,
        config: &Config,
        sets: watch::Receiver<Arc<PolicySet>>,
    ) -> Result<Certificate, Vec<Mistake>> {
        let (leadership, contending) = lease::contend(self.connection.clone(), &self.names);
        starting.spawn_vital("the lease", contending);
        starting.spawn_vital(
            "the status of ImagePolicies",
            status::write(self.connection.clone(), sets, leadership.clone()),
        );
        let registration = Registration::new(starting.registry()).map_err(|error| vec![failed("metrics", &error)])?;
        let registration = Arc::new(registration);
        starting.spawn_vital(
            "the look at our own registration",
            Arc::clone(&registration).watch(self.connection.clone(), self.names.clone(), Unlabelled::of(config)),
        );
        starting.part("registration", move || registration.status());
        let shown = Arc::new(OnceLock::new());
        starting.certificate(Arc::clone(&shown))?;
        if let Some(identity) = identity_in_files(config)? {
            return Ok(Certificate { shown, source: Source::Files(identity) });
        }
        let keeper = Arc::new(Keeper::new(self.connection.clone(), self.names.clone()));
        let of_keeper = Arc::clone(&keeper);
        starting.part("caBundle", move || of_keeper.status());
        starting.spawn_vital("the keeper of our certificates", Arc::clone(&keeper).keep(leadership));
        Ok(Certificate { shown, source: Source::Secret(keeper) })
    }

    /// What looks at policies on their way in.
    fn linter(&self, config: &Config) -> Lint {
        let (connection, surroundings) = (self.connection.clone(), surroundings(config));
        Arc::new(move |object: String| {
            let (connection, surroundings) = (connection.clone(), surroundings.clone());
            Box::pin(async move { policies::lint(&connection, &surroundings, &object).await })
        })
    }

    /// Returns when reviews can be judged.
    async fn listed(&self, mut in_force: watch::Receiver<bool>) {
        for health in &self.required {
            health.listed().await;
        }
        if in_force.wait_for(|listed| *listed).await.is_err() {
            // Whoever puts policies in force is gone, which ends the process: nobody is judged by the built-in ones alone.
            std::future::pending::<()>().await;
        }
        let all = async {
            for health in &self.softening {
                health.listed().await;
            }
        };
        if tokio::time::timeout(SOFTENERS, all).await.is_err() {
            tracing::error!("starting without knowing what runs: see /readyz for what could not be listed");
        }
    }
}

/// Where the certificate comes from.
struct Certificate {
    shown: Arc<OnceLock<Arc<Identity>>>,
    source: Source,
}

enum Source {
    Files(Arc<Identity>),
    Secret(Arc<Keeper>),
}

impl Certificate {
    async fn obtain(self) -> Arc<Identity> {
        let identity = match self.source {
            Source::Files(identity) => identity,
            Source::Secret(keeper) => keeper.obtain().await,
        };
        Arc::clone(self.shown.get_or_init(|| identity))
    }
}

fn surroundings(config: &Config) -> Surroundings {
    let roots = config.trust.iter().map(|root| root.name.clone());
    Surroundings { roots: roots.chain([trust::PUBLIC.to_owned()]).collect() }
}

/// Which settings name policies that are not there.
fn without_policy(policies: &Policies) -> Option<String> {
    let unknown = policies.unknown_bindings();
    let told = |(setting, name): &(String, _)| format!("{setting} names \"{name}\", and there is no such policy");
    let told: Vec<String> = unknown.iter().map(told).collect();
    (!told.is_empty()).then(|| format!("{}: who is judged by it is refused; add it", told.join("; ")))
}

/// The first of the namespaces that is not well.
fn of_reports(watches: &Watches) -> PartStatus {
    let states = watches.states().into_iter().filter(|(resource, _)| *resource == reports::RESOURCE);
    let mut states = states.map(|(_, state)| watched(state, false));
    states.find(|status| *status != PartStatus::Ready).unwrap_or(PartStatus::Ready)
}

fn watched(state: WatchState, required: bool) -> PartStatus {
    match state {
        WatchState::Current | WatchState::Absent => PartStatus::Ready,
        WatchState::Lost { since, why } => {
            PartStatus::Degraded(format!("not kept up since {since}, what was known then is in force: {why}"))
        }
        WatchState::Starting(why) => {
            let why = why.unwrap_or_else(|| "not all of them are listed yet".to_owned());
            if required { PartStatus::NotReady(why) } else { PartStatus::Degraded(why) }
        }
    }
}
