//! Who we are to a registry: docker configs, credential helpers, kubelet credential providers, pull secrets.
//!
//! Chosen as the kubelet does: host globs per label, exact port, longest path prefix. Nothing here prints a secret, and
//! nothing that a Secret of a namespace says makes us run a program.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::policy::document::Mistake;

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
    Basic { username: Arc<str>, password: Password },
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

/// A docker credential helper.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Helper {}

/// A kubelet credential provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Provider {}

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
        Self(Arc::new([]))
    }

    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.0
    }
}

/// The credentials of one docker config: of a file, or of a Secret.
#[derive(Debug)]
pub struct Keyring {}

impl Keyring {
    /// `.dockerconfigjson`: `{"auths": {...}}`. Of a Secret, so `credHelpers` and `credsStore` are warned about and
    /// never run. Messages say line and column and quote nothing of the text.
    pub fn of_secret(text: &str, source: &str) -> Result<(Self, Vec<Mistake>), Mistake> {
        todo!()
    }

    /// `.dockercfg`: the old form, `auths` without the name.
    pub fn of_legacy_secret(text: &str, source: &str) -> Result<(Self, Vec<Mistake>), Mistake> {
        todo!()
    }

    /// What to try on a repository, most specific first. Registry and repository normalised, as `Reference` has them.
    #[must_use]
    pub fn matching(&self, registry: &str, repository: &str) -> Vec<Candidate> {
        todo!()
    }
}

/// The cluster's own credentials: the docker config and the providers.
#[derive(Debug)]
pub struct Credentials {}

impl Credentials {
    /// All mistakes at once, each with file and line. With warnings.
    pub fn load(
        docker_config: Option<&Path>,
        providers: Option<&ProviderPaths>,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        todo!()
    }

    /// What to try on a repository, in order: the docker config, its helpers, the providers. No IO.
    #[must_use]
    pub fn candidates(&self, registry: &str, repository: &str) -> Vec<Candidate> {
        todo!()
    }
}

impl Candidate {
    /// The credentials behind it for a repository; runs a helper or a plugin where none is cached, once at a time, and
    /// kills it when it hangs. Empty: it has none for this image. The error is a clause for the user, without secrets.
    pub async fn obtain(&self, registry: &str, repository: &str) -> Result<Vec<Credential>, String> {
        todo!()
    }

    /// The registry refused what `obtain` gave: a cached answer of a helper or plugin is dropped. True where asking
    /// again may give another.
    pub fn refused(&self, registry: &str, repository: &str) -> bool {
        todo!()
    }
}
