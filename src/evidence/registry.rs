//! Registries: a name becomes a digest that we have hashed, asked for as the node itself would ask.
//!
//! A registry is hostile until its bytes are hashed: nothing that it sends is allocated before it is bounded, its word
//! about a digest is never taken, and it learns no credential that is not its own. "There is none" is said only where
//! every host that had to be asked answered so; everything else is [`Trouble`](crate::fact::Trouble), in our own words.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::fact::{Fact, Resolved};
use crate::image::Reference;
use crate::policy::document::Mistake;

use credentials::{Asker, Keyring, ProviderPaths};
use outbound::Surroundings;

pub mod credentials;
pub mod hosts;
pub mod outbound;

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

/// All registries there are.
#[derive(Debug)]
pub struct Registries {}

impl Registries {
    /// Reads hosts, docker config and providers; every mistake with its path and line. With warnings.
    pub fn new(settings: Settings, metrics: &prometheus::Registry) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        todo!()
    }

    /// Reads again what [`Self::new`] read and puts it in place, all or nothing: on mistakes the last good one stays.
    pub fn reload(&self) -> Result<Vec<Mistake>, Vec<Mistake>> {
        todo!()
    }

    /// The files and folders that [`Self::new`] read.
    pub fn files(&self) -> Vec<PathBuf> {
        todo!()
    }

    /// Who asks for an image: the credentials of its pod, then the cluster's, as far as they are for this repository.
    /// No IO; called in every review.
    pub fn asker(&self, image: &Reference, pod: &[Arc<Keyring>]) -> Asker {
        todo!()
    }

    /// What the name stands for now. With `known`, the registry is first asked whether it still names that (HEAD).
    pub async fn resolve(&self, image: &Reference, asker: &Asker, known: Option<&Resolved>) -> Fact<Resolved> {
        todo!()
    }
}
