//! `pratique serve`: the webhook, from its settings to its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::args::Serve;
use crate::config::{Config, LogFormat};
use crate::evidence::budget::Budget;
use crate::evidence::registry::outbound::Surroundings;
use crate::observe::logging;
use crate::policy::document::Mistake;
use crate::server::{self, Bounds};

use starting::Vital;

mod alone;
mod cluster;
mod reload;
mod shown;
mod starting;

/// Everything that `serve` needs, after flags and file were merged.
#[derive(Debug, Clone)]
pub struct Settings {
    pub config: Config,
    /// What the settings are called in messages: their file.
    pub source: String,
    pub origin: Origin,
    pub bounds: Bounds,
    /// How long facts are fresh, and what else one review may cost; memory and `lastKnownGood` are the settings'.
    pub budget: Budget,
    pub surroundings: Surroundings,
}

/// Where policies, namespaces and what else a cluster holds come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Files and folders that stand for a cluster; none: the built-in policies alone.
    Manifests(Vec<PathBuf>),
    /// The API server of the cluster that we run in, or of this kubeconfig.
    Cluster(Option<PathBuf>),
}

/// A webhook at work.
#[derive(Debug)]
pub struct Running {
    /// Where reviews are answered.
    pub webhook: SocketAddr,
    /// Where health and metrics are.
    pub admin: SocketAddr,
    /// PEM to trust, where the certificate is self-made and nobody else is told.
    pub authority: Option<String>,
    /// The same as `clientConfig.caBundle` wants it.
    pub ca_bundle: Option<String>,
    webhook_listener: server::Running,
    admin_listener: server::Running,
    vital: Vital,
    /// Ended with the process: watches, and what is finished after replies.
    _tasks: JoinSet<()>,
}

impl Running {
    /// Returns when a listener or a task that keeps something up ended by itself: what is left answers nobody, or by what
    /// is no longer so, and only a restart helps.
    async fn broken(&mut self) {
        tokio::select! {
            () = self.webhook_listener.broken() => {}
            () = self.admin_listener.broken() => {}
            mistake = self.vital.ended() => tracing::error!(%mistake, "stopping"),
        }
    }

    /// What SIGTERM does: readiness off, every answer says goodbye, what is in flight is answered. Returns how many
    /// connections had to be cut.
    pub async fn drain(self) -> usize {
        let Self { webhook_listener, admin_listener, vital: _vital, _tasks, .. } = self;
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
    let started = tokio::select! {
        started = start(settings) => started,
        // It may wait for an API server for long.
        () = told(&mut terminate, &mut interrupt) => {
            tracing::info!("told to stop before it was ready");
            return ExitCode::SUCCESS;
        }
    };
    let mut running = match started {
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
        () = told(&mut terminate, &mut interrupt) => {}
        () = running.broken() => return ExitCode::FAILURE,
    }
    tracing::info!("told to stop: no longer ready, answering what still comes");
    let cut = running.drain().await;
    tracing::info!(cut, "stopped");
    ExitCode::SUCCESS
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Flags and variables over the file.
fn merge(serve: Serve) -> Result<(Settings, Vec<Mistake>), Vec<Mistake>> {
    let Serve { sources, kubeconfig, listen, admin, tls_cert, tls_key, dry_run } = serve;
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
    let origin = match (kubeconfig, surroundings) {
        (Some(kubeconfig), _) => Origin::Cluster(Some(kubeconfig)),
        (None, Surroundings::Cluster) if sources.manifests.is_empty() => Origin::Cluster(None),
        (None, Surroundings::Cluster | Surroundings::Alone) => Origin::Manifests(sources.manifests),
    };
    Ok((Settings { config, source, origin, bounds, budget, surroundings }, warnings))
}

/// Reads everything, binds and answers. All mistakes at once, or a webhook that is ready.
pub async fn start(settings: Settings) -> Result<Running, Vec<Mistake>> {
    match settings.origin.clone() {
        Origin::Manifests(paths) => alone::start(settings, paths).await,
        Origin::Cluster(kubeconfig) => Box::pin(cluster::start(settings, kubeconfig)).await,
    }
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
