//! `pratique serve`: the webhook, from its settings to its end.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{IntGauge, Registry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::args::Serve;
use crate::config::{Config, LogFormat};
use crate::evidence::cluster::{self, Manifests};
use crate::observe::logging;
use crate::observe::metrics::Metrics;
use crate::policy::document::Mistake;
use crate::review::{InForce, Review};
use crate::server::admin::{self, Part, PartStatus, Refresh};
use crate::server::tls::{self, ClientAuthentication, Identity};
use crate::server::{self, Bounds, Drain};

/// How often files are looked at. Polled, because a mounted ConfigMap or Secret is swapped by a link above the file,
/// which inotify on the file never reports; a few `stat` calls cost nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Everything that `serve` needs, after flags and file were merged.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub config: Config,
    /// What the settings are called in messages: their file.
    pub source: String,
    pub manifests: Vec<PathBuf>,
    pub bounds: Bounds,
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
    let source = sources.config.map_or_else(|| "settings".to_owned(), |path| path.display().to_string());
    Ok((Settings { config, source, manifests: sources.manifests, bounds: Bounds::default() }, warnings))
}

/// Reads everything, binds and answers. All mistakes at once, or a webhook that is ready.
pub async fn start(settings: Settings) -> Result<Running, Vec<Mistake>> {
    let Settings { config, source, manifests: paths, bounds } = settings;
    let registry = Registry::new();
    let seen = cluster::fingerprint(&paths);
    let mut manifests = super::manifests(&paths)?;
    warned(&manifests.warnings);
    manifests.warnings.clear();
    let (identity, bundle) = identity(&config)?;
    let client = client(&config)?;
    let policies = super::policies(&manifests, super::bindings(&config), &source)?;
    let wired = super::review(&config, policies, manifests, &registry);
    let (review, unfinished, metrics) = wired.map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
    let review = Arc::new(review);
    let mut tasks = JoinSet::new();
    let finishing = Arc::clone(&review);
    tasks.spawn(async move { finishing.finish(unfinished).await });
    tasks.spawn(Arc::clone(&identity).watch(LOOK_EVERY));
    if let Some(client) = &client {
        tasks.spawn(Arc::clone(client).watch(LOOK_EVERY));
    }
    let trouble = Arc::new(Mutex::new(None));
    let reload = Reload {
        files: Watched { read: seen, changing: None },
        paths,
        config: config.clone(),
        source,
        review: Arc::clone(&review),
        metrics,
        trouble: Arc::clone(&trouble),
    };
    tasks.spawn(reload.watch());
    let drain = Drain::default();
    let tls = tls::server_config(Arc::clone(&identity), client.clone()).map_err(|error| vec![failed("tls", &error)])?;
    let router = server::router(review, &bounds, drain.clone(), &registry);
    let router = router.map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
    let webhook_listener = server::listen(config.listen, router, Some(tls), &bounds, drain.clone())
        .await
        .map_err(|error| vec![failed("listen", &error)])?;
    let admin_router = admin::router(
        parts(&identity, client, trouble),
        registry.clone(),
        vec![expiry(&registry, &identity).map_err(|error| vec![Mistake::about("metrics", error.to_string())])?],
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

/// What `/readyz` lists.
fn parts(identity: &Arc<Identity>, client: Option<Arc<ClientAuthentication>>, trouble: Trouble) -> Vec<Part> {
    let identity = Arc::clone(identity);
    let mut parts = vec![
        Part { name: "manifests", status: Box::new(move || manifests_status(&trouble)) },
        Part { name: "certificate", status: Box::new(move || identity.status(Timestamp::now())) },
    ];
    if let Some(client) = client {
        parts.push(Part { name: "clientCA", status: Box::new(move || client.status()) });
    }
    parts
}

/// Broken manifests never make a replica unready: the last good ones are in force, and every replica has the same files.
fn manifests_status(trouble: &Trouble) -> PartStatus {
    let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    trouble.clone().map_or(PartStatus::Ready, PartStatus::Degraded)
}

fn expiry(registry: &Registry, identity: &Arc<Identity>) -> Result<Refresh, prometheus::Error> {
    let help = "When the serving certificate ends, in seconds since 1970";
    let gauge = IntGauge::new("pratique_certificate_expiry_timestamp_seconds", help)?;
    registry.register(Box::new(gauge.clone()))?;
    let identity = Arc::clone(identity);
    Ok(Box::new(move || gauge.set(identity.expiry().as_second())))
}

/// Why the manifests on disk are not in force; none where they are.
type Trouble = Arc<Mutex<Option<String>>>;

/// Looks at the manifests again and again, and puts what is new and valid in force, in one step.
struct Reload {
    paths: Vec<PathBuf>,
    files: Watched,
    config: Config,
    /// Of the settings.
    source: String,
    review: Arc<Review>,
    metrics: Metrics,
    trouble: Trouble,
}

impl Reload {
    async fn watch(mut self) {
        if self.paths.is_empty() {
            return;
        }
        let (trouble, metrics) = (Arc::clone(&self.trouble), self.metrics.clone());
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let look = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match look.await {
                Ok(reload) => self = reload,
                Err(error) => {
                    tracing::error!(%error, "looking at the manifests ended in a panic; they are no longer watched");
                    let told =
                        "the last good ones are in force, and no longer watched after a fault in Pratique: restart";
                    settle(&metrics, &trouble, Some(told.to_owned()));
                    return;
                }
            }
        }
    }

    fn look(&mut self) {
        // Taken before reading: a file that changes meanwhile is read again next time.
        if !self.files.is_new(cluster::fingerprint(&self.paths)) {
            return;
        }
        let read = super::manifests(&self.paths).and_then(|manifests| {
            let policies = super::policies(&manifests, super::bindings(&self.config), &self.source)?;
            Ok((manifests, policies))
        });
        match read {
            Ok((Manifests { namespaces, warnings, objects, policies: _ }, policies)) => {
                warned(&warnings);
                self.metrics.policies(&policies);
                self.review.put_in_force(InForce { policies, namespaces });
                settle(&self.metrics, &self.trouble, None);
                tracing::info!(objects, "new manifests in force");
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    tracing::error!(%mistake, "the manifests are invalid; the last good ones stay in force");
                }
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let more = mistakes.len().saturating_sub(1);
                let told = format!("the last good ones are in force; {first} (and {more} more, see the log)");
                settle(&self.metrics, &self.trouble, Some(told));
            }
        }
    }
}

/// Says in `/readyz` and the metric whether the manifests on disk are those in force.
fn settle(metrics: &Metrics, trouble: &Trouble, why: Option<String>) {
    metrics.manifests_stale(why.is_some());
    *trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
}

/// Fingerprints of the manifests.
struct Watched {
    /// When they were read last.
    read: u64,
    /// At the last look, where that was another.
    changing: Option<u64>,
}

impl Watched {
    /// Whether there is something new to read: other files than were read, and the same at two looks in a row, since who
    /// writes file by file, or empties one before filling it, needs a moment.
    fn is_new(&mut self, now: u64) -> bool {
        let before = self.changing.take();
        if now == self.read {
            return false;
        }
        if before != Some(now) {
            self.changing = Some(now);
            return false;
        }
        self.read = now;
        true
    }
}

fn warned(warnings: &[Mistake]) {
    for warning in warnings {
        tracing::warn!(%warning, "the manifests");
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

    #[test]
    fn files_are_read_again_when_two_looks_in_a_row_agree_on_what_is_new() {
        let mut files = Watched { read: 1, changing: None };
        let looks = [(1, false), (2, false), (3, false), (3, true), (3, false), (4, false), (3, false), (4, false)];
        for (look, is_new) in looks {
            assert_eq!(files.is_new(look), is_new, "{look}");
        }
        assert!(files.is_new(4));
    }
}
