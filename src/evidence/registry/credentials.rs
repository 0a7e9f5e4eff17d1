//! Who we are to a registry: docker configs, credential helpers, kubelet credential providers, pull secrets.
//!
//! Chosen as the kubelet does: host globs per label, exact port, longest path prefix. Nothing here prints a secret, and
//! nothing that a Secret of a namespace says makes us run a program.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::policy::document::Mistake;

use docker_config::{DockerConfig, Login, Origin};
use helper::Helpers;

pub use helper::Helper;
pub use provider::Provider;

mod answers;
mod docker_config;
mod helper;
mod json;
mod pattern;
mod process;
mod provider;
#[expect(unreachable_pub, reason = "a schema is public wherever it is written")]
mod provider_config;

/// A secret: equal to itself, and never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Password(Arc<str>);

impl Password {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The only way to the secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What is presented to a registry or its token service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Credential {
    Basic {
        username: Arc<str>,
        password: Password,
    },
    /// An OAuth 2 refresh token: `identitytoken` of a docker config, or a helper's user `<token>`.
    IdentityToken(Password),
    /// A bearer token for the registry itself: `registrytoken`.
    RegistryToken(Password),
}

/// Where a credential is to be had. Two are equal exactly if they would present the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Candidate {
    Credential(Credential),
    /// `docker-credential-<name>`, for this server.
    Helper(Arc<Helper>),
    /// A kubelet plugin, for this image.
    Provider(Arc<Provider>),
}

/// Where the kubelet's plugins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPaths {
    /// A `CredentialProviderConfig`.
    pub config: PathBuf,
    /// The folder of the plugins.
    pub binaries: PathBuf,
}

/// Who asks: what is tried on one repository, in order. Whoever asks with the same may know the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asker(Arc<[Candidate]>);

impl Asker {
    #[must_use]
    pub fn new(candidates: Vec<Candidate>) -> Self {
        Self(candidates.into())
    }

    /// Nothing to present.
    #[must_use]
    pub fn anonymous() -> Self {
        // One for all: it is what most reviews ask as.
        static NOBODY: LazyLock<Arc<[Candidate]>> = LazyLock::new(|| Arc::new([]));
        Self(Arc::clone(&NOBODY))
    }

    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.0
    }
}

/// The credentials of one docker config: of a file, or of a Secret. It holds no way to run a program.
#[derive(Debug, Default)]
pub struct Keyring {
    /// The most specific first.
    logins: Vec<Login>,
}

impl Keyring {
    /// `.dockerconfigjson`: `{"auths": {...}}`. Of a Secret, so `credHelpers` and `credsStore` are warned about and
    /// never run. Messages say line and column and quote nothing of the text.
    pub fn of_secret(text: &str, source: &str) -> Result<(Self, Vec<Mistake>), Mistake> {
        Self::read(text, source, Origin::Secret)
    }

    /// `.dockercfg`: the old form, `auths` without the name.
    pub fn of_legacy_secret(text: &str, source: &str) -> Result<(Self, Vec<Mistake>), Mistake> {
        Self::read(text, source, Origin::LegacySecret)
    }

    fn read(text: &str, source: &str, origin: Origin) -> Result<(Self, Vec<Mistake>), Mistake> {
        match docker_config::read(text, source, origin) {
            Ok(DockerConfig { keyring, warnings, .. }) => Ok((keyring, warnings)),
            // The first is enough to mend it by, and there is one where it was refused.
            Err(mistakes) => {
                Err(mistakes.into_iter().next().unwrap_or_else(|| Mistake::about(source, "cannot be read")))
            }
        }
    }

    /// What to try on a repository, most specific first. Registry and repository normalised, as `Reference` has them.
    #[must_use]
    pub fn matching(&self, registry: &str, repository: &str) -> Vec<Candidate> {
        self.credentials(registry, repository).cloned().map(Candidate::Credential).collect()
    }
}

/// The cluster's own credentials: the docker config and the providers.
#[derive(Debug)]
pub struct Credentials {
    keyring: Keyring,
    /// Helpers by the registry that they are for.
    helpers: BTreeMap<String, Arc<Helper>>,
    /// The helper for every other registry.
    store: Option<Box<str>>,
    /// All of them, for what is asked of the store.
    programs: Arc<Helpers>,
    providers: Vec<Arc<Provider>>,
}

impl Credentials {
    /// All mistakes at once, each with file and line. With warnings.
    pub fn load(
        docker_config: Option<&Path>,
        providers: Option<&ProviderPaths>,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let path = std::env::var_os("PATH");
        Self::load_on(path.as_deref(), docker_config, providers)
    }

    fn load_on(
        path: Option<&OsStr>,
        docker_config: Option<&Path>,
        providers: Option<&ProviderPaths>,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let source = docker_config.map(|path| path.display().to_string()).unwrap_or_default();
        let config = docker_config.map_or_else(|| Ok(DockerConfig::default()), docker_config::load);
        let providers = providers.map_or_else(|| Ok(Vec::new()), provider_config::load);
        match (config, providers) {
            (Ok(config), Ok(providers)) => Ok(Self::of(config, &source, providers, Helpers::on(path))),
            (config, providers) => Err([config.err(), providers.err()].into_iter().flatten().flatten().collect()),
        }
    }

    /// A helper that is not there is warned about: it may be installed later.
    fn of(
        config: DockerConfig,
        source: &str,
        providers: Vec<Arc<Provider>>,
        programs: Helpers,
    ) -> (Self, Vec<Mistake>) {
        let DockerConfig { keyring, helpers, store, mut warnings } = config;
        let names: BTreeSet<&str> = helpers.values().chain(&store).map(|name| &**name).collect();
        for name in names.into_iter().filter(|name| programs.find(name).is_none()) {
            let message = format!("{} is not on PATH: what it is for cannot be had", helper::program_name(name));
            warnings.push(Mistake::about(source, message));
        }
        let programs = Arc::new(programs);
        let helper = |(registry, name): (String, Box<str>)| {
            let helper = Arc::new(Helper::new(&name, &registry, &programs));
            (registry, helper)
        };
        let helpers = helpers.into_iter().map(helper).collect();
        (Self { keyring, helpers, store, programs, providers }, warnings)
    }

    /// What to try on a repository, in order: the helper that docker would ask, the docker config, the providers. No IO.
    ///
    /// Docker asks the helper of exactly this registry, else the store, and only without either looks into the file;
    /// here what the file itself holds for the registry is tried next.
    #[must_use]
    pub fn candidates(&self, registry: &str, repository: &str) -> Vec<Candidate> {
        let stored = || self.store.as_ref().map(|name| Arc::new(Helper::new(name, registry, &self.programs)));
        let helper = self.helpers.get(registry).cloned().or_else(stored).map(Candidate::Helper);
        let providers = self.providers.iter().filter(|provider| provider.is_for(registry, repository));
        let providers = providers.map(|provider| Candidate::Provider(Arc::clone(provider)));
        helper.into_iter().chain(self.keyring.matching(registry, repository)).chain(providers).collect()
    }
}

impl Candidate {
    /// The credentials behind it for a repository; runs a helper or a plugin where none is cached, once at a time, and
    /// kills it when it hangs. Empty: it has none for this image. The error is a clause for the user, without secrets.
    pub async fn obtain(&self, registry: &str, repository: &str) -> Result<Vec<Credential>, String> {
        match self {
            Self::Credential(credential) => Ok(vec![credential.clone()]),
            Self::Helper(helper) => helper.obtain().await,
            Self::Provider(provider) => provider.obtain(registry, repository).await,
        }
    }

    /// The registry refused what `obtain` gave: a cached answer of a helper or plugin is dropped. True where asking
    /// again may give another: not where an answer was dropped so a moment ago, or a tenant whom the registry does not
    /// know would have a program run with each of its pods.
    #[must_use]
    pub fn refused(&self, registry: &str, repository: &str) -> bool {
        match self {
            Self::Credential(_) => false,
            Self::Helper(helper) => helper.refused(),
            Self::Provider(provider) => provider.refused(registry, repository),
        }
    }
}

#[cfg(test)]
mod programs;
#[cfg(test)]
mod tests;
