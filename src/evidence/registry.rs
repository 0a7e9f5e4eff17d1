//! Registries: a name becomes a digest that we have hashed, asked for as the node itself would ask.
//!
//! A registry is hostile until its bytes are hashed: nothing that it sends is allocated before it is bounded, its word
//! about a digest is never taken, and it learns no credential that is not its own. "There is none" is said only where
//! every host that had to be asked answered so; everything else is [`Trouble`](crate::fact::Trouble), in our own words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::fact::{Fact, Resolved};
use crate::image::{Digest, Reference};
use crate::policy::document::Mistake;

use capacity::{Capacity, Metrics};
use client::{Client, Exchange, Limits};
pub use content::Blob;
use content::{BlobOf, ManifestOf, Name, Resolution};
use credentials::{Asker, Credentials, Keyring, ProviderPaths};
use hosts::Hosts;
use lookup::LookUp;
pub use manifest::{Descriptor, Document, ImageManifest, Index, Manifest};
use outbound::{Outbound, Surroundings};
use referrers::ReferrersOf;

mod capacity;
mod client;
mod content;
pub mod credentials;
mod go_duration;
pub mod hosts;
mod lookup;
mod manifest;
pub mod outbound;
mod referrers;
#[cfg(test)]
mod tests;
mod token;

/// Credentials of a pod for one repository: its 64 pull secrets may hold 256 logins each, and all of them match where
/// their author wants it. More than these are not presented to a host anyway.
const OF_POD: usize = lookup::CREDENTIALS;

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of containerd's `hosts.toml` files.
    pub hosts: Option<PathBuf>,
    pub docker_config: Option<PathBuf>,
    pub providers: Option<ProviderPaths>,
    /// Hosts of token services beyond the registry's own domain, by registry.
    pub realms: BTreeMap<String, String>,
    /// Requests at once to one registry.
    pub concurrency: u32,
    pub surroundings: Surroundings,
}

impl Settings {
    /// The files and folders that they name.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let Self { hosts, docker_config, providers, .. } = self;
        let providers = providers.as_ref().map(|providers| &providers.config);
        [hosts.as_ref(), docker_config.as_ref(), providers].into_iter().flatten().cloned().collect()
    }
}

/// All registries there are.
#[derive(Debug)]
pub struct Registries {
    settings: Settings,
    client: Client,
    files: ArcSwap<Files>,
}

/// What was read from disk, in force as one: a mirror never meets credentials that were read at another time.
#[derive(Debug)]
struct Files {
    hosts: Arc<Hosts>,
    credentials: Arc<Credentials>,
}

impl Files {
    /// The mistakes of all files at once.
    fn read(settings: &Settings, outbound: &Outbound) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let hosts = Hosts::load(settings.hosts.as_deref(), outbound);
        let credentials = Credentials::load(settings.docker_config.as_deref(), settings.providers.as_ref());
        match (hosts, credentials) {
            (Ok((hosts, mut warnings)), Ok((credentials, more))) => {
                warnings.extend(more);
                Ok((Self { hosts: Arc::new(hosts), credentials: Arc::new(credentials) }, warnings))
            }
            (hosts, credentials) => {
                let mut mistakes = hosts.err().unwrap_or_default();
                mistakes.extend(credentials.err().unwrap_or_default());
                Err(mistakes)
            }
        }
    }
}

impl Registries {
    /// Reads hosts, docker config and providers; every mistake with its path and line. With warnings.
    pub fn new(settings: Settings, metrics: &prometheus::Registry) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        Self::within(Limits::default(), settings, metrics)
    }

    fn within(
        limits: Limits,
        settings: Settings,
        metrics: &prometheus::Registry,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let outbound = Outbound::new(settings.surroundings, settings.realms.clone())
            .map_err(|message| vec![Mistake::about("registries", message)])?;
        let metrics = Metrics::register(metrics).map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
        let (files, warnings) = Files::read(&settings, &outbound)?;
        let exchange = Exchange { capacity: Capacity::new(settings.concurrency), metrics, limits };
        let client = Client::new(outbound, exchange);
        Ok((Self { settings, client, files: ArcSwap::from_pointee(files) }, warnings))
    }

    /// Reads again what [`Self::new`] read and puts it in place, all or nothing: on mistakes the last good one stays.
    pub fn reload(&self) -> Result<Vec<Mistake>, Vec<Mistake>> {
        let (files, warnings) = Files::read(&self.settings, &self.client.outbound)?;
        self.files.store(Arc::new(files));
        Ok(warnings)
    }

    /// Who asks for an image: the credentials of its pod, then the cluster's, as far as they are for this repository.
    /// No IO; called in every review.
    pub fn asker(&self, image: &Reference, pod: &[Arc<Keyring>]) -> Asker {
        let (registry, repository) = (image.registry(), image.repository());
        let mut candidates = Vec::new();
        for candidate in pod.iter().flat_map(|keyring| keyring.matching(registry, repository)) {
            if candidates.len() == OF_POD {
                break;
            }
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        for candidate in self.files.load().credentials.candidates(registry, repository) {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        if candidates.is_empty() { Asker::anonymous() } else { Asker::new(candidates) }
    }

    /// What the name stands for now. With `known`, the registry is first asked whether it still names that (HEAD).
    pub async fn resolve(&self, image: &Reference, asker: &Asker, known: Option<&Resolved>) -> Fact<Resolved> {
        self.look_up(image, asker).run(&Resolution { name: Name::of(image), known }).await
    }

    /// A manifest of this repository by its digest, of so many bytes at most; tag and digest of `repository` do not
    /// matter.
    pub async fn manifest(
        &self,
        repository: &Reference,
        digest: &Digest,
        most: usize,
        asker: &Asker,
    ) -> Fact<Manifest> {
        self.look_up(repository, asker).run(&ManifestOf { name: Name::Digest(digest), most }).await
    }

    /// The manifest behind a tag of this repository, now, of so many bytes at most; tag and digest of `repository` do
    /// not matter.
    pub async fn tagged(&self, repository: &Reference, tag: &str, most: usize, asker: &Asker) -> Fact<Manifest> {
        self.look_up(repository, asker).run(&ManifestOf { name: Name::Tag(tag), most }).await
    }

    /// A blob of this repository by its digest. More bytes than `most` are a broken answer; more than one registry may
    /// have in flight never come.
    pub async fn blob(&self, repository: &Reference, digest: &Digest, most: usize, asker: &Asker) -> Fact<Arc<[u8]>> {
        self.look_up(repository, asker).run(&BlobOf::new(digest, most)).await
    }

    /// The same where somebody else than the registry said how many bytes there are: more of them are a finding.
    pub async fn blob_up_to(&self, repository: &Reference, digest: &Digest, most: usize, asker: &Asker) -> Fact<Blob> {
        let question = BlobOf::new(digest, most);
        question.judged(self.look_up(repository, asker).run(&question).await)
    }

    /// Everything that says it refers to this digest, of whatever kind. Absent: there is nothing, by the API and by the
    /// fallback tag. Descriptors are hints: what they say of the type has to be seen in what they name.
    pub async fn referrers(&self, repository: &Reference, digest: &Digest, asker: &Asker) -> Fact<Vec<Descriptor>> {
        self.look_up(repository, asker).run(&ReferrersOf(digest)).await
    }

    fn look_up<'a>(&'a self, image: &'a Reference, asker: &'a Asker) -> LookUp<'a> {
        let files = self.files.load();
        let (hosts, credentials) = (Arc::clone(&files.hosts), Arc::clone(&files.credentials));
        LookUp { client: &self.client, hosts, credentials, image, asker }
    }
}
