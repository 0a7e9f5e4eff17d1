//! The way to the API server: from a kubeconfig, or as the kubelet tells a Pod (`KUBERNETES_SERVICE_HOST` and the token of
//! its service account).
//!
//! Connecting asks nobody: an API server that is away is waited for by those who ask it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::policy::document::Mistake;

use super::own_namespace;

/// An API server that takes longer to accept is as good as away, and the next attempt may reach another.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API server is, and who we are to it.
#[derive(Clone)]
pub struct Connection {
    client: Client,
    namespace: Arc<str>,
}

impl Connection {
    /// From a kubeconfig; without one as a Pod of the cluster. The message says what to do.
    pub async fn open(kubeconfig: Option<&Path>) -> Result<Self, Mistake> {
        let mut config = match kubeconfig {
            Some(path) => {
                let wrong = |error: KubeconfigError| {
                    Mistake::about(path.display(), format!("is no kubeconfig that can be used: {}", words(&error)))
                };
                let read = Kubeconfig::read_from(path).map_err(wrong)?;
                let names_proxy =
                    read.clusters.iter().any(|its| its.cluster.as_ref().is_some_and(|its| its.proxy_url.is_some()));
                let mut config =
                    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(wrong)?;
                // `HTTPS_PROXY` is for registries; an API server behind a proxy is the kubeconfig's to name.
                config.proxy_url = config.proxy_url.filter(|_| names_proxy);
                config
            }
            None => {
                let mut config = Config::incluster().map_err(|error| {
                    let message = format!(
                        "the API server of this cluster cannot be reached as a Pod does ({error}): mount the token of the \
                         service account, or name a kubeconfig with --kubeconfig"
                    );
                    Mistake::about("cluster", message)
                })?;
                config.proxy_url = None;
                config
            }
        };
        config.connect_timeout = Some(CONNECT);
        let client =
            Client::try_from(config).map_err(|error| Mistake::about("cluster", format!("no client: {error}")))?;
        Ok(Self { client, namespace: own_namespace().into() })
    }

    /// To what stands for an API server.
    #[cfg(test)]
    pub(in crate::evidence) fn by(client: Client) -> Self {
        Self { client, namespace: "pratique-system".into() }
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Our own namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// What is wrong with a kubeconfig, without anything that stands in it or that a plugin printed: it may be a token.
fn words(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => format!("it cannot be read, {error}"),
        KubeconfigError::CurrentContextNotSet => "it names no current context".to_owned(),
        KubeconfigError::LoadContext(_) => "it has not the context that it names".to_owned(),
        KubeconfigError::LoadClusterOfContext(_) => "it has not the cluster of its context".to_owned(),
        KubeconfigError::KindMismatch
        | KubeconfigError::ApiVersionMismatch
        | KubeconfigError::FindPath
        | KubeconfigError::Parse(_)
        | KubeconfigError::MissingClusterUrl
        | KubeconfigError::ParseClusterUrl(_)
        | KubeconfigError::ParseProxyUrl(_)
        | KubeconfigError::LoadCertificateAuthority(_)
        | KubeconfigError::LoadClientCertificate(_)
        | KubeconfigError::LoadClientKey(_)
        | KubeconfigError::ParseCertificates(_) => "look at it with `kubectl --kubeconfig FILE version`".to_owned(),
    }
}

/// Without the client, which holds a token.
impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
