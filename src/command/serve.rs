//! `pratique serve`: the webhook, from its settings to its end.

use std::error::Error;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::args::Serve;
use crate::config::{Config, LogFormat};
use crate::evidence::budget::Budget;
use crate::evidence::cluster;
use crate::evidence::registry::outbound::Surroundings;
use crate::observe::logging;
use crate::observe::metrics::Metrics;
use crate::policy::document::Mistake;
use crate::review::{InForce, Review};
use crate::server::admin;
use crate::server::tls::{self, ClientAuthentication, Identity};
use crate::server::{self, Bounds, Drain};

use reload::{LOOK_EVERY, Reload, Trouble, Watched};

mod reload;
mod shown;

/// Everything that `serve` needs, after flags and file were merged.
#[derive(Debug, Clone)]
pub struct Settings {
    pub config: Config,
    /// What the settings are called in messages: their file.
    pub source: String,
    pub manifests: Vec<PathBuf>,
    pub bounds: Bounds,
    /// How long facts are fresh, and what else one review may cost; memory and `lastKnownGood` are the settings'.
    pub budget: Budget,
    pub surroundings: Surroundings,
}

/// A webhook at work.
#[derive(Debug)]
pub struct Running {
    /// Where reviews are answered.
    pub webhook: SocketAddr,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    /// PEM to trust, where the certificate is self-made.
    pub authority: Option<String>,
    /// The same as `clientConfig.caBundle` wants it.
    pub ca_bundle: Option<String>,
    webhook_listener: server::Running,
    admin_listener: server::Running,
    /// Ended with the process: watches, and what is finished after replies.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Returns when a listener ended by itself: what is left answers nobody, and only a restart helps.
    async fn broken(&mut self) {
        tokio::select! {
            () = self.webhook_listener.broken() => {}
            () = self.admin_listener.broken() => {}
        }
    }

    /// What SIGTERM does: readiness off, every answer says goodbye, what is in flight is answered. Returns how many
    /// connections had to be cut.
    pub async fn drain(self) -> usize {
        let Self { webhook_listener, admin_listener, _tasks, .. } = self;
        let cut = webhook_listener.drain().await;
        // Last, so that probes see "draining" and not a closed port.
        admin_listener.drain().await;
        cut
    }
}

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(serve: Serve) -> ExitCode {
    let (settings, warnings) = match merge(serve) {
        Ok(merged) => merged,
        Err(mistakes) => {
            super::complain(&mistakes);
            return ExitCode::from(super::NO_ANSWER);
        }
    };
    let format = match settings.config.log.format {
        LogFormat::Json => logging::Format::Json,
        LogFormat::Text => logging::Format::Text,
    };
    logging::start(settings.config.log.level.label(), format);
    for warning in &warnings {
        tracing::warn!(%warning, "the settings");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::complain(&[Mistake::about("serve", format!("cannot start: {error}"))]);
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(until_told_to_stop(settings))
}

async fn until_told_to_stop(settings: Settings) -> ExitCode {
    let stop = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = stop else {
        super::complain(&[Mistake::about("serve", "cannot listen for SIGTERM".to_owned())]);
        return ExitCode::FAILURE;
    };
    let mut running = match start(settings).await {
        Ok(running) => running,
        Err(mistakes) => {
            super::complain(&mistakes);
            return ExitCode::from(super::NO_ANSWER);
        }
    };
    tracing::info!(webhook = %running.webhook, admin = %running.admin, version = env!("CARGO_PKG_VERSION"), "ready");
    if let Some(bundle) = &running.ca_bundle {
        // On standard output, alone, so that a script can take it from there.
        super::print(&format!("caBundle: {bundle}\n"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.broken() => return ExitCode::FAILURE,
    }
    tracing::info!("told to stop: no longer ready, answering what still comes");
    let cut = running.drain().await;
    tracing::info!(cut, "stopped");
    ExitCode::SUCCESS
}

/// Flags and variables over the file.
fn merge(serve: Serve) -> Result<(Settings, Vec<Mistake>), Vec<Mistake>> {
    let Serve { sources, listen, admin, tls_cert, tls_key, dry_run } = serve;
    let (mut config, warnings) = super::settings(sources.config.as_deref())?;
    config.listen = listen.unwrap_or(config.listen);
    config.admin = admin.unwrap_or(config.admin);
    if tls_cert.is_some() {
        (config.tls.certificate, config.tls.key) = (tls_cert, tls_key);
    }
    config.dry_run = dry_run.unwrap_or(config.dry_run);
    config.scans.directories.extend(sources.scans);
    let source = sources.config.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
    let (bounds, budget, surroundings) = (Bounds::default(), Budget::default(), super::surroundings());
    Ok((Settings { config, source, manifests: sources.manifests, bounds, budget, surroundings }, warnings))
}

/// Reads everything, binds and answers. All mistakes at once, or a webhook that is ready.
pub async fn start(settings: Settings) -> Result<Running, Vec<Mistake>> {
    let Settings { config, source, manifests: paths, bounds, budget, surroundings } = settings;
    let registry = Registry::new();
    // Taken before reading: a file that changes meanwhile is read again.
    let key_files = Arc::new(ArcSwap::from_pointee(Vec::new()));
    let seen = fingerprint(&paths, &key_files);
    let registry_files = super::registry_settings(&config, surroundings).files();
    let registry_files_seen = cluster::fingerprint_of(&registry_files);
    let trust_files = super::trust_settings(&config, surroundings).files();
    let trust_files_seen = cluster::fingerprint_of(&trust_files);
    let read = super::both(super::manifests(&paths), super::World::of(&config, surroundings, &registry));
    let (mut manifests, (world, warnings)) = read?;
    warned(&manifests.warnings, "the manifests");
    warned(&super::untrusted_reports(&manifests, &config), "the manifests");
    warned(&warnings, "the settings of registries");
    manifests.warnings.clear();
    key_files.store(Arc::new(std::mem::take(&mut manifests.key_files)));
    let (identity, bundle) = identity(&config)?;
    let client = client(&config)?;
    let policies = super::policies(&manifests, &config, super::bindings(&config), &source)?;
    let in_force = InForce { policies, cluster: super::cluster_of(manifests, &config) };
    let nodes = super::nodes_of(&config);
    let wired = super::review(&config, &budget, in_force, nodes, None, world.clone(), &registry);
    let (review, unfinished, metrics) = wired.map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
    let review = Arc::new(review);
    let mut tasks = JoinSet::new();
    let finishing = Arc::clone(&review);
    tasks.spawn(async move { finishing.finish(unfinished).await });
    tasks.spawn(Arc::clone(&identity).watch(LOOK_EVERY));
    if let Some(client) = &client {
        tasks.spawn(Arc::clone(client).watch(LOOK_EVERY));
    }
    let troubles = ["manifests", "registries", "trust"].map(|name| (name, Trouble::default()));
    let [(_, of_manifests), (_, of_registries), (_, of_trust)] = troubles.clone();
    tasks.spawn(Arc::clone(&world.trust).refresh());
    let directories = Arc::clone(review.evidence().directories());
    tasks.spawn(Arc::clone(&directories).follow());
    tasks.spawn(
        Reload {
            what: "manifests",
            files: Watched::since(seen),
            fingerprint: Box::new({
                let paths = paths.clone();
                let key_files = Arc::clone(&key_files);
                move || fingerprint(&paths, &key_files)
            }),
            load: Box::new(manifests_loader(
                paths,
                key_files,
                config.clone(),
                source,
                Arc::clone(&review),
                metrics.clone(),
            )),
            stale: Box::new({
                let metrics = metrics.clone();
                move |stale| metrics.manifests_stale(stale)
            }),
            trouble: of_manifests,
        }
        .watch(),
    );
    tasks.spawn(
        Reload {
            what: "settings of registries",
            files: Watched::since(registry_files_seen),
            fingerprint: Box::new(move || cluster::fingerprint_of(&registry_files)),
            load: Box::new({
                let registries = Arc::clone(&world.registries);
                move || {
                    warned(&registries.reload()?, "the settings of registries");
                    Ok(())
                }
            }),
            stale: Box::new({
                let metrics = metrics.clone();
                move |stale| metrics.registries_stale(stale)
            }),
            trouble: of_registries,
        }
        .watch(),
    );
    tasks.spawn(
        Reload {
            what: "trusted roots",
            files: Watched::since(trust_files_seen),
            fingerprint: Box::new(move || cluster::fingerprint_of(&trust_files)),
            load: Box::new(move || {
                warned(&world.trust.reload()?, "the trusted roots");
                Ok(())
            }),
            stale: Box::new({
                let metrics = metrics.clone();
                move |stale| metrics.trust_stale(stale)
            }),
            trouble: of_trust,
        }
        .watch(),
    );
    let waivers = shown::waivers(&metrics, &review);
    let objects = shown::scan_objects(&config, &registry, &review).map_err(|error| vec![failed("metrics", &error)])?;
    let drain = Drain::default();
    let tls = tls::server_config(Arc::clone(&identity), client.clone()).map_err(|error| vec![failed("tls", &error)])?;
    let router = server::router(review, &bounds, drain.clone(), &registry);
    let router = router.map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
    let webhook_listener = server::listen(config.listen, router, Some(tls), &bounds, drain.clone())
        .await
        .map_err(|error| vec![failed("listen", &error)])?;
    let admin_router = admin::router(
        shown::parts(&identity, client, troubles, directories),
        registry.clone(),
        vec![
            shown::expiry(&registry, &identity).map_err(|error| vec![Mistake::about("metrics", error.to_string())])?,
            waivers,
            objects,
        ],
        drain,
    );
    let admin_listener = server::listen(config.admin, admin_router, None, &Bounds::admin(), Drain::default())
        .await
        .map_err(|error| vec![failed("admin", &error)])?;
    Ok(Running {
        webhook: webhook_listener.address(),
        admin: admin_listener.address(),
        authority: bundle.as_ref().map(|bundle| bundle.pem().to_owned()),
        ca_bundle: bundle.as_ref().map(tls::CaBundle::base64),
        webhook_listener,
        admin_listener,
        _tasks: tasks,
    })
}

/// The files with public keys that the manifests named when they were read last.
type KeyFiles = Arc<ArcSwap<Vec<PathBuf>>>;

/// Of the manifests, of whatever else is in their folders (a key that a policy names may be missing there so far), and of
/// the keys that are elsewhere. Where they name other keys than before, it is another one: they are then read once more,
/// so that a key that changed while they were read is not missed.
fn fingerprint(manifests: &[PathBuf], key_files: &KeyFiles) -> u64 {
    let mut hasher = DefaultHasher::new();
    let of_keys = (cluster::fingerprint_of(manifests), cluster::fingerprint_of(&key_files.load()));
    (cluster::fingerprint(manifests), of_keys).hash(&mut hasher);
    hasher.finish()
}

/// Reads the manifests and puts them in force.
fn manifests_loader(
    paths: Vec<PathBuf>,
    key_files: KeyFiles,
    config: Config,
    source: String,
    review: Arc<Review>,
    metrics: Metrics,
) -> impl FnMut() -> Result<(), Vec<Mistake>> + Send {
    move || {
        let manifests = super::manifests(&paths)?;
        let policies = super::policies(&manifests, &config, super::bindings(&config), &source)?;
        warned(&manifests.warnings, "the manifests");
        warned(&super::untrusted_reports(&manifests, &config), "the manifests");
        metrics.policies(&policies);
        key_files.store(Arc::new(manifests.key_files.clone()));
        review.put_in_force(InForce { policies, cluster: super::cluster_of(manifests, &config) });
        Ok(())
    }
}

fn identity(config: &Config) -> Result<(Arc<Identity>, Option<tls::CaBundle>), Vec<Mistake>> {
    let made = match (&config.tls.certificate, &config.tls.key) {
        (Some(certificate), Some(key)) => Identity::from_files(certificate, key).map(|identity| (identity, None)),
        (None, None) => Identity::self_made(&[]).map(|(identity, bundle)| (identity, Some(bundle))),
        (Some(_), None) | (None, Some(_)) => {
            return Err(vec![Mistake::about(
                "tls",
                "certificate and key belong together: name both, or none".to_owned(),
            )]);
        }
    };
    let (identity, bundle) = made.map_err(|error| vec![failed("tls", &error)])?;
    Ok((Arc::new(identity), bundle))
}

fn client(config: &Config) -> Result<Option<Arc<ClientAuthentication>>, Vec<Mistake>> {
    let Some(authority) = &config.tls.client_ca else { return Ok(None) };
    let client = ClientAuthentication::from_file(authority, config.tls.client_names.clone());
    Ok(Some(Arc::new(client.map_err(|error| vec![failed("tls.clientCA", &error)])?)))
}

fn warned(warnings: &[Mistake], what: &str) {
    for warning in warnings {
        tracing::warn!(%warning, "{what}");
    }
}

fn failed(source: &str, error: &dyn Error) -> Mistake {
    Mistake::about(source, tls::chain_of_causes(error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    #[test]
    fn flags_stand_over_the_file_also_where_they_say_no() {
        let file = std::env::temp_dir().join(format!("pratique-serve-{}.yaml", std::process::id()));
        std::fs::write(&file, "dryRun: true\n").unwrap();
        let config = format!("--config={}", file.display());
        let dry_run = |flags: &[&str]| {
            let arguments = ["pratique", "serve", config.as_str()].into_iter().chain(flags.iter().copied());
            let Command::Serve(serve) = Arguments::try_parse_from(arguments).unwrap().command else { panic!("serve") };
            merge(serve).unwrap().0.config.dry_run
        };
        let found = [dry_run(&[]), dry_run(&["--dry-run=false"]), dry_run(&["--dry-run"])];
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found, [true, false, true]);
    }
}
