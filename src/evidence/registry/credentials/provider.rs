//! Kubelet credential providers: plugins that give the credentials for an image (KEP-2133).
//!
//! The protocol is `credentialprovider.kubelet.k8s.io`: a `CredentialProviderRequest` on stdin, a
//! `CredentialProviderResponse` on stdout. As the kubelet we keep an answer for its `cacheDuration`, for the image, its
//! registry or everything; a plugin is run once at a time for what its last answer was kept for. A plugin sees the
//! name of an image without tag and digest, and never the token of anybody's service account.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::super::go_duration;
use super::answers::{Answer, Answers};
use super::docker_config::{Login, basic};
use super::pattern::Pattern;
use super::process::{self, Program};
use super::{Credential, Keyring, Password};

/// Registries in one answer: a plugin for a cloud names a handful of hosts.
const MOST_LOGINS: usize = 256;

/// For what an answer is kept: `cacheKeyType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Scope {
    Image,
    Registry,
    Global,
}

/// One entry of a `CredentialProviderConfig`, read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Setup {
    pub(super) name: String,
    pub(super) binary: PathBuf,
    pub(super) api_version: ApiVersion,
    pub(super) images: Vec<Pattern>,
    pub(super) keep: Duration,
    pub(super) arguments: Vec<Password>,
    pub(super) environment: Vec<(String, Password)>,
}

/// The versions of the protocol; they say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ApiVersion {
    V1,
    V1Beta1,
    V1Alpha1,
}

impl ApiVersion {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::V1 => "credentialprovider.kubelet.k8s.io/v1",
            Self::V1Beta1 => "credentialprovider.kubelet.k8s.io/v1beta1",
            Self::V1Alpha1 => "credentialprovider.kubelet.k8s.io/v1alpha1",
        }
    }
}

/// A kubelet credential provider.
#[derive(Debug)]
pub struct Provider {
    setup: Arc<Setup>,
    answers: Answers<CacheKey, Arc<Keyring>>,
    /// Of the last answer: the next run is made once for all who will share it. Not known before there is one.
    scope: Arc<Mutex<Option<Scope>>>,
}

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum CacheKey {
    Image(Box<str>),
    Registry(Box<str>),
    Global,
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.setup == other.setup
    }
}

impl Eq for Provider {}

impl Hash for Provider {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.setup.hash(state);
    }
}

impl Provider {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup: Arc::new(setup), answers: Answers::new(), scope: Arc::default() }
    }

    pub(super) fn is_for(&self, registry: &str, repository: &str) -> bool {
        self.setup.images.iter().any(|pattern| pattern.matches(registry, repository))
    }

    pub(super) async fn obtain(&self, registry: &str, repository: &str) -> Result<Vec<Credential>, String> {
        if !self.is_for(registry, repository) {
            return Ok(Vec::new());
        }
        let keys = keys(registry, repository);
        let [image, of_registry, global] = &keys;
        let last = *self.scope.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = match last {
            Some(Scope::Image) => image,
            Some(Scope::Registry) | None => of_registry,
            Some(Scope::Global) => global,
        };
        let run = || {
            let (setup, scope) = (Arc::clone(&self.setup), Arc::clone(&self.scope));
            let (registry, image) = (registry.to_owned(), format!("{registry}/{repository}"));
            async move { ask(&setup, &scope, &registry, &image).await }
        };
        match self.answers.obtain(&keys, flight, run).await {
            Ok(keyring) => Ok(keyring.credentials(registry, repository).cloned().collect()),
            Err(why) => Err(format!("the credential provider {} {why}", self.setup.name)),
        }
    }

    pub(super) fn refused(&self, registry: &str, repository: &str) -> bool {
        self.answers.refused(&keys(registry, repository))
    }
}

/// In the order in which the kubelet looks.
fn keys(registry: &str, repository: &str) -> [CacheKey; 3] {
    let image = format!("{registry}/{repository}").into();
    [CacheKey::Image(image), CacheKey::Registry(registry.into()), CacheKey::Global]
}

async fn ask(
    setup: &Setup,
    scope: &Mutex<Option<Scope>>,
    registry: &str,
    image: &str,
) -> Result<Answer<CacheKey, Arc<Keyring>>, String> {
    let request = serde_json::json!({
        "apiVersion": setup.api_version.text(),
        "kind": "CredentialProviderRequest",
        "image": image,
    });
    let arguments: Vec<&str> = setup.arguments.iter().map(Password::reveal).collect();
    let environment = setup.environment.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    let input = request.to_string().into_bytes();
    let program = Program { path: &setup.binary, arguments: &arguments, environment, input };
    let output = process::run(program, process::TIME_LIMIT).await?;
    if !output.status.success() {
        return Err(format!("failed with {}", process::ending(output.status)));
    }
    let response: Response =
        serde_json::from_slice(&output.text).map_err(|_quotes| "answered what is no CredentialProviderResponse")?;
    let (found, keyring, keep) = response.read(setup)?;
    let key = match found {
        Scope::Image => CacheKey::Image(image.into()),
        Scope::Registry => CacheKey::Registry(registry.into()),
        Scope::Global => CacheKey::Global,
    };
    *scope.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    Ok(Answer { value: Arc::new(keyring), key, keep })
}

/// As plugins answer. Keys that we do not know are passed over, as the kubelet does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    cache_key_type: Scope,
    #[serde(default)]
    cache_duration: Option<String>,
    #[serde(default)]
    auth: Option<BTreeMap<String, Auth>>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Response {
    fn read(self, setup: &Setup) -> Result<(Scope, Keyring, Duration), String> {
        let Self { api_version, kind, cache_key_type, cache_duration, auth } = self;
        let wanted = setup.api_version.text();
        if api_version != wanted || kind != "CredentialProviderResponse" {
            return Err(format!("did not answer with a CredentialProviderResponse of {wanted}"));
        }
        let keep = match cache_duration {
            None => setup.keep,
            Some(text) => go_duration::parse(&text).ok_or("answered with a cacheDuration that is none")?,
        };
        let auth = auth.unwrap_or_default();
        if auth.len() > MOST_LOGINS {
            return Err(format!("answered with credentials for more than {MOST_LOGINS} hosts"));
        }
        let mut logins = Vec::new();
        for (key, Auth { username, password }) in auth {
            let credential =
                basic(&username, &password).map_err(|why| format!("answered with a credential that {why}"))?;
            // A key that names no host matches nothing, here as there.
            logins.extend(credential.and_then(|credential| Login::new(&key, credential)));
        }
        Ok((cache_key_type, Keyring::new(logins), keep))
    }
}

/// What a plugin is given is not for logs: arguments and variables may be secrets too.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("name", &self.name).field("binary", &self.binary).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
