//! The webhook under test, in this process: the real server over TLS, on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;

use pratique::command::serve::{self, Origin, Running, Settings};
use pratique::config::{Config, LogLevel, Workload};
use pratique::evidence::budget::Budget;
use pratique::evidence::registry::outbound::Surroundings;
use pratique::policy::Controllers;
use pratique::server::Bounds;

use crate::NOBODY;
use crate::client::{Client, Protocol};
use crate::directory::Directory;
use crate::registry::Registry;

/// The policy for tests that are not about scans: each image is named by its digest, and nothing else is asked.
pub const PINNED: &str = "pinned";
/// It as a manifest.
pub const PINNED_POLICY: &str = include_str!("../../fixtures/policies/valid/pinned.yaml");

/// A webhook before it starts. Nothing is judged until the test says by what.
#[derive(Debug)]
pub struct Setup {
    config: Config,
    bounds: Bounds,
    budget: Budget,
    surroundings: Surroundings,
    manifests: Directory,
    hosts: Directory,
}

/// A webhook at work; it is used as a [`Client`] over HTTP/1.1, and ends with the test.
#[derive(Debug)]
pub struct Webhook {
    running: Option<Running>,
    manifests: Directory,
    hosts: Directory,
    http1: Client,
    http2: Client,
}

impl Webhook {
    /// Without defaults, floor and exempt namespaces.
    #[must_use]
    pub fn setup() -> Setup {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config { listen: anywhere, admin: anywhere, ..Config::default() };
        config.defaults.enforce = None;
        config.defaults.warn = None;
        config.defaults.audit = None;
        config.exempt_namespaces.clear();
        config.log.level = LogLevel::Error;
        let manifests = Directory::new();
        // A folder without any manifest is a mistake of whoever named it.
        manifests.namespace("default", &[]);
        let hosts = Directory::new();
        // No test asks a registry outside of this machine, whatever its images are called.
        hosts.write_in(
            "_default",
            "hosts.toml",
            &format!(
                "server = \"http://{NOBODY}\"
"
            ),
        );
        config.registries.hosts = Some(hosts.path().to_owned());
        let (bounds, budget, surroundings) = (Bounds::default(), Budget::default(), Surroundings::Alone);
        Setup { config, bounds, budget, surroundings, manifests, hosts }
    }

    /// One that enforces a built-in policy, or [`PINNED`], everywhere, controllers included.
    pub async fn enforcing(policy: &str) -> Self {
        Self::setup().enforce(policy).controllers(Controllers::Enforce).start().await
    }

    /// Its folder of manifests, to be changed while it runs.
    #[must_use]
    pub fn manifests(&self) -> &Directory {
        &self.manifests
    }

    /// Its folder of `hosts.toml` files.
    #[must_use]
    pub fn hosts(&self) -> &Directory {
        &self.hosts
    }

    #[must_use]
    pub fn client(&self, protocol: Protocol) -> &Client {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }

    /// What SIGTERM does.
    pub async fn drain(mut self) {
        if let Some(running) = self.running.take() {
            running.drain().await;
        }
    }
}

impl Deref for Webhook {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.http1
    }
}

impl Setup {
    /// [`PINNED`] is written where a test names it.
    fn needs(&self, policy: &str) {
        if policy == PINNED {
            self.manifests.write("pinned.yaml", PINNED_POLICY);
        }
    }

    /// A policy in the manifests: its name and its `spec` in YAML.
    #[must_use]
    pub fn policy(self, name: &str, spec: &str) -> Self {
        self.manifests.policy(name, spec);
        self
    }

    /// A namespace in the manifests, with labels by mode: `("enforce", "restricted")`.
    #[must_use]
    pub fn namespace(self, name: &str, modes: &[(&str, &str)]) -> Self {
        for (_, policy) in modes {
            self.needs(policy);
        }
        let labels: Vec<(String, &str)> =
            modes.iter().map(|(mode, policy)| (format!("pratique.dev/{mode}"), *policy)).collect();
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, policy)| (key.as_str(), *policy)).collect();
        self.manifests.namespace(name, &labels);
        self
    }

    /// This registry may be asked, as its own `hosts.toml` says: over plain HTTP or with its own authority.
    #[must_use]
    pub fn registry(self, registry: &Registry) -> Self {
        registry.write_hosts(self.hosts.path());
        self
    }

    /// The folder of `hosts.toml` files.
    #[must_use]
    pub fn hosts(&self) -> &Directory {
        &self.hosts
    }

    /// Any file among the manifests.
    #[must_use]
    pub fn manifest(self, name: &str, text: &str) -> Self {
        self.manifests.write(name, text);
        self
    }

    /// `defaults.enforce`.
    #[must_use]
    pub fn enforce(mut self, policy: &str) -> Self {
        self.needs(policy);
        self.config.defaults.enforce = Some(policy.into());
        self
    }

    /// `defaults.warn`.
    #[must_use]
    pub fn warn(mut self, policy: &str) -> Self {
        self.needs(policy);
        self.config.defaults.warn = Some(policy.into());
        self
    }

    /// `defaults.audit`.
    #[must_use]
    pub fn audit(mut self, policy: &str) -> Self {
        self.needs(policy);
        self.config.defaults.audit = Some(policy.into());
        self
    }

    #[must_use]
    pub fn floor(mut self, policy: &str) -> Self {
        self.needs(policy);
        self.config.floor = Some(policy.into());
        self
    }

    #[must_use]
    pub fn exempt(mut self, namespace: &str) -> Self {
        self.config.exempt_namespaces.insert(namespace.to_owned());
        self
    }

    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.config.dry_run = true;
        self
    }

    #[must_use]
    pub fn controllers(mut self, controllers: Controllers) -> Self {
        self.config.controllers = controllers;
        self
    }

    /// One more kind that makes Pods.
    #[must_use]
    pub fn workload(mut self, group: &str, kind: &str, pod_spec: &str) -> Self {
        let (group, kind, pod_spec) = (group.to_owned(), kind.to_owned(), pod_spec.to_owned());
        self.config.workloads.push(Workload { group, kind, pod_spec });
        self
    }

    /// Any other setting.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Limits of the HTTP side, where a test cannot wait for the real ones.
    #[must_use]
    pub fn bounds(mut self, change: impl FnOnce(&mut Bounds)) -> Self {
        change(&mut self.bounds);
        self
    }

    /// How long facts are fresh, where a test cannot wait so long. Memory and `lastKnownGood` are settings.
    #[must_use]
    pub fn budget(mut self, change: impl FnOnce(&mut Budget)) -> Self {
        change(&mut self.budget);
        self
    }

    /// As if it ran in a cluster: loopback is then no place for a registry, unless `hosts.toml` names it.
    #[must_use]
    pub fn in_cluster(mut self) -> Self {
        self.surroundings = Surroundings::Cluster;
        self
    }

    /// Starts it; panics with its complaints.
    pub async fn start(self) -> Webhook {
        self.try_start().await.unwrap_or_else(|mistakes| panic!("the webhook does not start: {mistakes:#?}"))
    }

    /// Starts it, or hands back why not.
    pub async fn try_start(self) -> Result<Webhook, Vec<String>> {
        let Self { config, bounds, budget, surroundings, manifests, hosts } = self;
        let (source, origin) = ("settings".to_owned(), Origin::Manifests(vec![manifests.path().to_owned()]));
        let settings = Settings { config, bounds, budget, surroundings, source, origin };
        let started = serve::start(settings).await;
        let running = started.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let authority = running.authority.clone().expect("without certificate files the webhook makes its own");
        let client = |protocol| Client::new(running.webhook, running.admin, &authority, protocol);
        let (http1, http2) = (client(Protocol::Http1), client(Protocol::Http2));
        Ok(Webhook { running: Some(running), manifests, hosts, http1, http2 })
    }
}
