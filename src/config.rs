//! The settings file: what the program is told once, when it starts.
//!
//! Read like a policy: unknown fields are refused, all mistakes are told at once with their paths and lines. What is
//! not written has the default of [`Config::default`]. A setting of a room that this build does not have is read and
//! checked, and earns a warning, since its writer believes that it does something.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::image::Platform;
use crate::policy::document::Mistake;
use crate::policy::{Controllers, PolicyName};

pub mod file;
mod read;

/// Every setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where admission reviews are answered, over HTTPS.
    pub listen: SocketAddr,
    /// Where health and metrics are told, over HTTP.
    pub admin: SocketAddr,
    pub tls: Tls,
    pub defaults: Defaults,
    /// Enforced everywhere on top of what namespaces say.
    pub floor: Option<PolicyName>,
    pub exempt_namespaces: BTreeSet<String>,
    /// What the nodes are when there are none to ask. Empty: not told, and any of them may be whatever an image has.
    pub platforms: Vec<Platform>,
    /// Every refusal becomes an audit record.
    pub dry_run: bool,
    pub controllers: Controllers,
    /// Kinds that make Pods, beside the built-in ones.
    pub workloads: Vec<Workload>,
    pub registries: Registries,
    /// Trusted roots beside the built-in `public`.
    pub trust: Vec<TrustedRoot>,
    /// Whether `public`, and each root with a repository of its own, is looked for anew in the background.
    pub trust_refresh: bool,
    pub scans: Scans,
    pub cache: Cache,
    pub cluster: Cluster,
    pub log: Log,
}

/// How callers are met. Without `certificate` and `key`, which come together, the program makes its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Only callers with a certificate of this authority, and one of `client_names`, may ask for reviews.
    pub client_ca: Option<PathBuf>,
    /// Empty exactly where there is no `client_ca`.
    pub client_names: Vec<String>,
}

/// The policies of namespaces without a label, per mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    pub enforce: Option<PolicyName>,
    pub warn: Option<PolicyName>,
    pub audit: Option<PolicyName>,
}

/// A kind that makes Pods, and where its pod spec stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub group: String,
    pub kind: String,
    /// `spec.template.spec`
    pub pod_spec: String,
}

/// How registries are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registries {
    /// The folder of containerd's `hosts.toml` files.
    pub hosts: Option<PathBuf>,
    pub docker_config: Option<PathBuf>,
    pub credential_providers: Option<CredentialProviders>,
    pub pull_secrets: PullSecrets,
    /// Hosts of token services beyond the registry's own domain, by registry.
    pub realms: BTreeMap<String, String>,
    /// Requests at once to one registry; at least 1.
    pub concurrency: u32,
}

/// The kubelet's plugins for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialProviders {
    /// A `CredentialProviderConfig`.
    pub config: PathBuf,
    /// The folder of the plugins.
    pub binaries: PathBuf,
}

/// Whose pull secrets are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullSecrets {
    None,
    /// Those that pods and service accounts refer to, one by one.
    Named,
    All,
}

/// A trusted root of Sigstore, by the name that policies use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoot {
    pub name: String,
    pub trusted_root: PathBuf,
    /// Where later ones come from.
    pub tuf: Option<TufRepository>,
}

/// A TUF repository with a `trusted_root.json` among its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TufRepository {
    /// `https://tuf.example`; over plain HTTP it works too, since all of it is signed.
    pub url: String,
    /// A `root.json` of TUF: whose word counts there.
    pub root: PathBuf,
}

/// Where scan reports come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scans {
    pub directories: Vec<PathBuf>,
    /// Who can write a `VulnerabilityReport` there can clear an image.
    pub namespaces: Vec<String>,
}

/// What is kept of the answers of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Bytes; at least 1 MiB.
    pub memory: u64,
    /// How long an answer is used while its source is out.
    pub last_known_good: Duration,
    /// A folder that survives a restart.
    pub state: Option<PathBuf>,
    /// Without one nothing that admits is read back from `state`.
    pub seal_key: Option<PathBuf>,
}

/// The cluster that we run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Whether Pods are watched, as the record of what runs that all replicas share.
    pub pods: bool,
    /// The Service by which the API server calls us.
    pub service: String,
    /// Our `ValidatingWebhookConfiguration`.
    pub webhook_configuration: String,
}

impl Default for Cluster {
    fn default() -> Self {
        let ours = || "pratique".to_owned();
        Self { pods: true, service: ours(), webhook_configuration: ours() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    /// As in the settings.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}

impl Config {
    /// The settings of a file, with warnings about those that have no effect; or everything that is wrong with it.
    pub fn parse(text: &str, source: &str) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        read::parse(text, source)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8443)),
            admin: SocketAddr::from(([0, 0, 0, 0], 9090)),
            tls: Tls::default(),
            defaults: Defaults::default(),
            floor: None,
            exempt_namespaces: ["kube-system", "pratique-system"].map(str::to_owned).into(),
            platforms: Vec::new(),
            dry_run: false,
            controllers: Controllers::Warn,
            workloads: Vec::new(),
            registries: Registries::default(),
            trust: Vec::new(),
            trust_refresh: true,
            scans: Scans::default(),
            cache: Cache::default(),
            cluster: Cluster::default(),
            log: Log { level: LogLevel::Info, format: LogFormat::Json },
        }
    }
}

/// Nothing is refused until someone says so.
impl Default for Defaults {
    fn default() -> Self {
        Self { enforce: None, warn: Some("baseline".into()), audit: Some("restricted".into()) }
    }
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            hosts: None,
            docker_config: None,
            credential_providers: None,
            pull_secrets: PullSecrets::Named,
            realms: BTreeMap::new(),
            concurrency: 16,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: 64 << 20, last_known_good: Duration::from_hours(7 * 24), state: None, seal_key: None }
    }
}

#[cfg(test)]
mod tests;
