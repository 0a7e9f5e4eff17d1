//! What the program does for a person: one file per subcommand, and what they all read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::admission::workload::Workloads;
use crate::args::{Arguments, Command, Sources};
use crate::config::{self, Cache, Config, PullSecrets, TrustedRoot};
use crate::evidence::budget::Budget;
use crate::evidence::cluster::nodes::Nodes;
use crate::evidence::cluster::pull_secrets::Usage;
use crate::evidence::cluster::{self, Cluster, Manifests};
use crate::evidence::registry::credentials::ProviderPaths;
use crate::evidence::registry::outbound::Surroundings;
use crate::evidence::registry::{self, Registries};
use crate::evidence::signature::trust::{self, Trust};
use crate::evidence::{Evidence, ScanSources};
use crate::observe::Observe;
use crate::observe::metrics::Metrics;
use crate::observe::notice::Noticeboard;
use crate::policy::document::Mistake;
use crate::policy::{Bindings, Policies};
use crate::review::{InForce, Review, Unfinished};

pub mod check;
pub mod lint;
mod report;
pub mod scans;
pub mod serve;
mod status;

/// The exit status of what could not be answered: wrong usage, unreadable input, undetermined.
pub const NO_ANSWER: u8 = 2;

/// Runs what was asked for and says how it went.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Serve(serve) => serve::run(serve),
        Command::Check(check) => check::run(&check),
        Command::Lint(lint) => lint::run(&lint),
        Command::Scans(scans) => scans::run(&scans),
        Command::Status(status) => status::run(&status),
    }
}

/// Reads the settings file, or gives the defaults where none is named. With its warnings.
pub fn settings(path: Option<&Path>) -> Result<(Config, Vec<Mistake>), Vec<Mistake>> {
    let Some(path) = path else {
        return Ok((Config::default(), Vec::new()));
    };
    let text = cluster::read_text(path).map_err(|mistake| vec![mistake])?;
    Config::parse(&text, &path.display().to_string())
}

/// Settings and manifests; the mistakes of both are told together.
fn sources(sources: &Sources) -> Result<(Config, Manifests, Vec<Mistake>), Vec<Mistake>> {
    let (settings, mut manifests) = both(settings(sources.config.as_deref()), manifests(&sources.manifests))?;
    let (mut config, mut warnings) = settings;
    config.scans.directories.extend(sources.scans.iter().cloned());
    warnings.append(&mut manifests.warnings);
    warnings.extend(untrusted_reports(&manifests, &config));
    Ok((config, manifests, warnings))
}

/// No paths: the built-in policies alone.
fn manifests(paths: &[PathBuf]) -> Result<Manifests, Vec<Mistake>> {
    cluster::read(paths)
}

/// Who is judged by what, as the settings say.
fn bindings(config: &Config) -> Bindings {
    Bindings {
        enforce: config.defaults.enforce.clone(),
        warn: config.defaults.warn.clone(),
        audit: config.defaults.audit.clone(),
        floor: config.floor.clone(),
        exempt_namespaces: config.exempt_namespaces.clone(),
        controllers: config.controllers,
        dry_run: config.dry_run,
    }
}

/// The policies with the bindings; a binding to a policy that does not exist is a mistake in the settings.
fn policies(
    manifests: &Manifests,
    config: &Config,
    bindings: Bindings,
    source: &str,
) -> Result<Policies, Vec<Mistake>> {
    let policies = Policies { by_name: manifests.policies.clone(), bindings };
    let unknown = policies.unknown_bindings();
    let unrooted = unrooted(manifests, config);
    if unknown.is_empty() {
        return if unrooted.is_empty() { Ok(policies) } else { Err(unrooted) };
    }
    let known: Vec<&str> = policies.by_name.keys().map(crate::policy::PolicyName::as_str).collect();
    let told = |(setting, name)| Mistake {
        source: source.to_owned(),
        line: None,
        path: setting,
        message: format!("there is no policy \"{name}\": add it to the manifests, or name one of {}", known.join(", ")),
    };
    Err(unknown.into_iter().map(told).chain(unrooted).collect())
}

/// Where policies name trusted roots that the settings do not have.
fn unrooted(manifests: &Manifests, config: &Config) -> Vec<Mistake> {
    let known = |name: &str| name == trust::PUBLIC || config.trust.iter().any(|root| root.name == name);
    manifests.roots.iter().filter(|(name, _)| !known(name)).map(|(_, mistake)| mistake.clone()).collect()
}

/// Reports that count nowhere, since the settings do not trust their namespaces.
fn untrusted_reports(manifests: &Manifests, config: &Config) -> Vec<Mistake> {
    let told = |namespace: &str| {
        let message = "its VulnerabilityReports do not count: add it to `scans.namespaces` if whoever can write there may \
                       clear images";
        Mistake::about(format!("namespace {namespace}"), message)
    };
    manifests.reports.outside_of(&config.scans.namespaces).into_iter().map(told).collect()
}

/// What the settings say of nodes.
fn nodes_of(config: &Config) -> Arc<Nodes> {
    Arc::new(Nodes::new(config.platforms.as_slice().into()))
}

/// The kinds that are looked at.
fn workloads(config: &Config) -> Workloads {
    let added = config.workloads.iter();
    Workloads::new(added.map(|its| (its.group.as_str(), its.kind.as_str(), its.pod_spec.as_str())))
}

/// How registries are reached, as the settings say.
fn registry_settings(config: &Config, surroundings: Surroundings) -> registry::Settings {
    let config::Registries { hosts, docker_config, credential_providers, pull_secrets: _, realms, concurrency } =
        &config.registries;
    let providers = credential_providers.as_ref().map(|providers| {
        let config::CredentialProviders { config, binaries } = providers;
        ProviderPaths { config: config.clone(), binaries: binaries.clone() }
    });
    registry::Settings {
        hosts: hosts.clone(),
        docker_config: docker_config.clone(),
        providers,
        realms: realms.clone(),
        concurrency: *concurrency,
        surroundings,
    }
}

/// Whose certificates and logs are believed, as the settings say.
fn trust_settings(config: &Config, surroundings: Surroundings) -> trust::Settings {
    let source = |root: &TrustedRoot| trust::Source {
        name: root.name.as_str().into(),
        trusted_root: root.trusted_root.clone(),
        repository: root.tuf.as_ref().map(|tuf| trust::Repository { url: tuf.url.clone(), root: tuf.root.clone() }),
    };
    let roots = config.trust.iter().map(source).collect();
    trust::Settings { roots, refresh: config.trust_refresh, surroundings }
}

/// What evidence is had from, and believed by.
#[derive(Debug, Clone)]
struct World {
    registries: Arc<Registries>,
    trust: Arc<Trust>,
}

impl World {
    /// With what the settings name, read; with warnings.
    fn of(
        config: &Config,
        surroundings: Surroundings,
        metrics: &prometheus::Registry,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let trust = Trust::load(trust_settings(config, surroundings), metrics);
        let read = both(Registries::new(registry_settings(config, surroundings), metrics), trust)?;
        let ((registries, mut warnings), (trust, told)) = read;
        warnings.extend(told);
        Ok((Self { registries: Arc::new(registries), trust: Arc::new(trust) }, warnings))
    }
}

/// Whether the process runs in a cluster: the kubelet tells every container so.
fn surroundings() -> Surroundings {
    match std::env::var_os("KUBERNETES_SERVICE_HOST") {
        Some(_) => Surroundings::Cluster,
        None => Surroundings::Alone,
    }
}

/// The results of both, or the mistakes of both.
fn both<A, B>(first: Result<A, Vec<Mistake>>, second: Result<B, Vec<Mistake>>) -> Result<(A, B), Vec<Mistake>> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(mut mistakes), Err(more)) => {
            mistakes.extend(more);
            Err(mistakes)
        }
        (Err(mistakes), Ok(_)) | (Ok(_), Err(mistakes)) => Err(mistakes),
    }
}

/// Everything that answers, wired up.
fn review(
    config: &Config,
    budget: &Budget,
    in_force: InForce,
    nodes: Arc<Nodes>,
    notices: Option<Noticeboard>,
    world: World,
    registry: &prometheus::Registry,
) -> Result<(Review, Unfinished, Metrics), prometheus::Error> {
    let metrics = Metrics::register(registry)?;
    metrics.policies(&in_force.policies);
    let Cache { memory, last_known_good, state: _, seal_key: _ } = config.cache;
    let budget = Budget { memory, last_known_good, ..budget.clone() };
    let usage = match config.registries.pull_secrets {
        PullSecrets::None => Usage::None,
        PullSecrets::Named => Usage::Named,
        PullSecrets::All => Usage::All,
    };
    let World { registries, trust } = world;
    let objects = !config.scans.namespaces.is_empty();
    let scans = ScanSources { paths: config.scans.directories.clone(), objects };
    let evidence = Evidence::new(budget, registries, trust, usage, nodes, scans, registry)?;
    let observe = Observe::new(metrics.clone());
    let observe = match notices {
        Some(notices) => observe.telling(notices),
        None => observe,
    };
    let (review, unfinished) = Review::new(workloads(config), in_force, evidence, observe);
    Ok((review, unfinished, metrics))
}

/// What manifests say of the cluster that they stand for.
fn cluster_of(manifests: Manifests, config: &Config) -> Arc<Cluster> {
    let scan_objects = manifests.reports.of(&config.scans.namespaces);
    let Manifests { namespaces, pull_secrets, .. } = manifests;
    let scan_objects = Arc::new(ArcSwap::from_pointee(scan_objects));
    Arc::new(Cluster { namespaces: Arc::new(namespaces), pull_secrets, scan_objects, ..Cluster::default() })
}

/// Says on standard error what is wrong, one mistake a line.
#[expect(clippy::print_stderr, reason = "a command speaks to a person before there is a log")]
fn complain(mistakes: &[Mistake]) {
    for mistake in mistakes {
        eprintln!("error: {mistake}");
    }
}

/// Says on standard error what is valid and probably not meant.
#[expect(clippy::print_stderr, reason = "a command speaks to a person before there is a log")]
fn warn(warnings: &[Mistake]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// The command's result on standard output. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes())
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        complain(&[Mistake::about("standard output", format!("cannot be written: {error}"))]);
    }
}
