//! What `serve` does however it learns of its cluster: settings that are files, the review, both listeners.

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use prometheus::Registry;
use tokio::task::JoinSet;

use crate::command::{self, World};
use crate::config::Config;
use crate::evidence::budget::Budget;
use crate::evidence::cluster;
use crate::evidence::cluster::nodes::Nodes;
use crate::observe::metrics::Metrics;
use crate::observe::notice::Noticeboard;
use crate::policy::document::Mistake;
use crate::review::{InForce, Review};
use crate::server::admin::{self, Part, PartStatus, Refresh};
use crate::server::tls::{self, ClientAuthentication, Identity};
use crate::server::{self, Bounds, Drain, Lint};

use super::reload::{LOOK_EVERY, Reload, Trouble, Watched};
use super::{Running, Settings, shown};

/// A webhook that is being started.
pub(super) struct Starting {
    config: Config,
    bounds: Bounds,
    budget: Budget,
    registry: Registry,
    world: World,
    client: Option<Arc<ClientAuthentication>>,
    /// The files that say how registries are reached, and those with trusted roots, as they were before they were read.
    of_registries: (Vec<PathBuf>, u64),
    of_trust: (Vec<PathBuf>, u64),
    tasks: JoinSet<()>,
    vital: Vital,
    parts: Vec<Part>,
    refresh: Vec<Refresh>,
    drain: Drain,
}

impl Starting {
    /// Reads what the settings name.
    pub(super) fn new(settings: Settings) -> Result<Self, Vec<Mistake>> {
        let Settings { config, source: _, origin: _, bounds, budget, surroundings } = settings;
        let registry = Registry::new();
        // Taken before reading: a file that changes meanwhile is read again.
        let seen = |files: Vec<PathBuf>| {
            let seen = cluster::fingerprint_of(&files);
            (files, seen)
        };
        let of_registries = seen(command::registry_settings(&config, surroundings).files());
        let of_trust = seen(command::trust_settings(&config, surroundings).files());
        let world = World::of(&config, surroundings, &registry);
        let ((world, warnings), client) = command::both(world, client(&config))?;
        warned(&warnings, "the settings of registries");
        Ok(Self {
            config,
            bounds,
            budget,
            registry,
            world,
            client,
            of_registries,
            of_trust,
            tasks: JoinSet::new(),
            vital: Vital::default(),
            parts: Vec::new(),
            refresh: Vec::new(),
            drain: Drain::default(),
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Runs beside the reviews for as long as it has something to do.
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Runs beside the reviews until the process ends: that it ended is the end of the process, since what it kept up with
    /// would stand still without a word.
    pub(super) fn spawn_vital(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.vital.spawn(what, task);
    }

    /// Returns when a vital task ended.
    pub(super) async fn broken(&mut self) -> Mistake {
        self.vital.ended().await
    }

    /// A line of `/readyz`.
    pub(super) fn part(&mut self, name: &'static str, status: impl Fn() -> PartStatus + Send + Sync + 'static) {
        self.parts.push(Part { name, status: Box::new(status) });
    }

    pub(super) fn reload(&mut self, reload: Reload) {
        self.tasks.spawn(reload.watch());
    }

    /// Everything that answers, judging by this from now on.
    pub(super) fn review(
        &mut self,
        in_force: InForce,
        nodes: Arc<Nodes>,
        notices: Option<Noticeboard>,
    ) -> Result<(Arc<Review>, Metrics), Vec<Mistake>> {
        let (config, budget, world) = (&self.config, &self.budget, self.world.clone());
        let wired = command::review(config, budget, in_force, nodes, notices, world, &self.registry);
        let (review, unfinished, metrics) = wired.map_err(|error| vec![failed("metrics", &error)])?;
        let review = Arc::new(review);
        let finishing = Arc::clone(&review);
        self.spawn_vital("finishing reviews", async move { finishing.finish(unfinished).await });
        let directories = Arc::clone(review.evidence().directories());
        self.spawn(Arc::clone(&directories).follow());
        if !directories.is_empty() {
            self.part("scans", move || shown::read_so_far(&directories.progress()));
        }
        self.refresh.push(shown::waivers(&metrics, &review));
        let objects = shown::scan_objects(&self.config, &self.registry, &review);
        self.refresh.push(objects.map_err(|error| vec![failed("metrics", &error)])?);
        self.reload_settings(&metrics);
        Ok((review, metrics))
    }

    fn reload_settings(&mut self, metrics: &Metrics) {
        let (registries, trust) = (Arc::clone(&self.world.registries), Arc::clone(&self.world.trust));
        self.spawn(Arc::clone(&trust).refresh());
        let (files, seen) = std::mem::take(&mut self.of_registries);
        let of_registries = Reload {
            what: "settings of registries",
            files: Watched::since(seen),
            fingerprint: Box::new(move || cluster::fingerprint_of(&files)),
            load: Box::new(move || {
                warned(&registries.reload()?, "the settings of registries");
                Ok(())
            }),
            stale: Box::new({
                let metrics = metrics.clone();
                move |stale| metrics.registries_stale(stale)
            }),
            trouble: Trouble::default(),
        };
        let (files, seen) = std::mem::take(&mut self.of_trust);
        let of_trust = Reload {
            what: "trusted roots",
            files: Watched::since(seen),
            fingerprint: Box::new(move || cluster::fingerprint_of(&files)),
            load: Box::new(move || {
                warned(&trust.reload()?, "the trusted roots");
                Ok(())
            }),
            stale: Box::new({
                let metrics = metrics.clone();
                move |stale| metrics.trust_stale(stale)
            }),
            trouble: Trouble::default(),
        };
        for (name, reload) in [("registries", of_registries), ("trust", of_trust)] {
            let trouble = reload.trouble.clone();
            self.part(name, move || trouble.status());
            self.reload(reload);
        }
    }

    /// Shows how the certificate is, also while there is none yet, and takes over what is new of it.
    pub(super) fn certificate(&mut self, identity: Arc<OnceLock<Arc<Identity>>>) -> Result<(), Vec<Mistake>> {
        let expiry = shown::expiry(&self.registry, &identity).map_err(|error| vec![failed("metrics", &error)])?;
        self.refresh.push(expiry);
        self.part("certificate", move || match identity.get() {
            Some(identity) => identity.status(Timestamp::now()),
            None => PartStatus::NotReady("waiting for the API server".to_owned()),
        });
        Ok(())
    }

    /// Answers probes and scrapers from now on.
    pub(super) async fn listen_to_operators(&mut self) -> Result<server::Running, Vec<Mistake>> {
        if let Some(client) = self.client.clone() {
            self.spawn(Arc::clone(&client).watch(LOOK_EVERY));
            self.part("clientCA", move || client.status());
        }
        let (parts, refresh) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.refresh));
        let router = admin::router(parts, self.registry.clone(), refresh, self.drain.clone());
        let router = router.map_err(|error| vec![failed("metrics", &error)])?;
        let listener = server::listen(self.config.admin, router, None, &Bounds::admin(), Drain::default()).await;
        listener.map_err(|error| vec![failed("admin", &error)])
    }

    /// Answers reviews from now on, and those of policies where there is somebody to look at them.
    pub(super) async fn listen(
        self,
        review: Arc<Review>,
        admin: server::Running,
        identity: Arc<Identity>,
        lint: Option<Lint>,
    ) -> Result<Running, Vec<Mistake>> {
        let Self { config, bounds, registry, client, mut tasks, vital, drain, .. } = self;
        tasks.spawn(Arc::clone(&identity).watch(LOOK_EVERY));
        let tls = tls::server_config(identity, client).map_err(|error| vec![failed("tls", &error)])?;
        let router = server::router_with(review, lint, &bounds, drain.clone(), &registry);
        let router = router.map_err(|error| vec![failed("metrics", &error)])?;
        let listener = server::listen(config.listen, router, Some(tls), &bounds, drain)
            .await
            .map_err(|error| vec![failed("listen", &error)])?;
        Ok(Running {
            webhook: listener.address(),
            admin: admin.address(),
            authority: None,
            ca_bundle: None,
            webhook_listener: listener,
            admin_listener: admin,
            vital,
            _tasks: tasks,
        })
    }
}

/// Tasks that must never end.
#[derive(Debug, Default)]
pub(super) struct Vital(JoinSet<&'static str>);

impl Vital {
    fn spawn(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            task.await;
            what
        });
    }

    /// Returns when one did, with what to say.
    pub(super) async fn ended(&mut self) -> Mistake {
        let what = match self.0.join_next().await {
            // There is none, so none can end.
            None => std::future::pending().await,
            Some(Ok(what)) => format!("{what} ended by itself"),
            Some(Err(error)) if error.is_panic() => "a task ended in a panic".to_owned(),
            Some(Err(_cancelled)) => "a task was cancelled".to_owned(),
        };
        Mistake::about(
            "serve",
            format!("{what}, a fault in Pratique: it starts anew rather than stand still; please report it"),
        )
    }
}

/// The certificate in the files that the settings name, if they name some.
pub(super) fn identity_in_files(config: &Config) -> Result<Option<Arc<Identity>>, Vec<Mistake>> {
    match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::from_files(certificate, key).map_err(|error| vec![failed("tls", &error)])?;
            Ok(Some(Arc::new(identity)))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => {
            let message = "certificate and key belong together: name both, or none".to_owned();
            Err(vec![Mistake::about("tls", message)])
        }
    }
}

fn client(config: &Config) -> Result<Option<Arc<ClientAuthentication>>, Vec<Mistake>> {
    let Some(authority) = &config.tls.client_ca else { return Ok(None) };
    let client = ClientAuthentication::from_file(authority, config.tls.client_names.clone());
    Ok(Some(Arc::new(client.map_err(|error| vec![failed("tls.clientCA", &error)])?)))
}

pub(super) fn warned(warnings: &[Mistake], what: &str) {
    for warning in warnings {
        tracing::warn!(%warning, "{what}");
    }
}

pub(super) fn failed(source: &str, error: &dyn Error) -> Mistake {
    Mistake::about(source, tls::chain_of_causes(error))
}
