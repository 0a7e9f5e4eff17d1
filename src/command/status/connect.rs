//! The way to the API server, as kubectl finds it: a kubeconfig that is named, those of `KUBECONFIG`, `~/.kube/config`, and in
//! a Pod the cluster itself.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::evidence::cluster::connection::Connection;
use crate::policy::document::Mistake;

/// An API server that takes longer to accept is as good as away.
const CONNECT: Duration = Duration::from_secs(5);
/// Where kubectl has it.
const HOME: &str = ".kube/config";

/// Connecting asks nobody.
pub(super) async fn open(kubeconfig: Option<&Path>) -> Result<Client, Mistake> {
    if kubeconfig.is_some() {
        return Ok(Connection::open(kubeconfig).await?.client());
    }
    let listed = std::env::var_os("KUBECONFIG").filter(|listed| !listed.is_empty());
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(HOME)).filter(|path| path.exists());
    match (listed.as_deref().map(paths).as_deref(), home) {
        (Some([only]), _) => Ok(Connection::open(Some(only)).await?.client()),
        (Some(several), _) => merged(several).await,
        (None, Some(home)) => Ok(Connection::open(Some(&home)).await?.client()),
        (None, None) => Ok(Connection::open(None).await?.client()),
    }
}

fn paths(listed: &OsStr) -> Vec<PathBuf> {
    std::env::split_paths(listed).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// Several files are one, the first to say something has the word; those that are not there say nothing.
async fn merged(paths: &[PathBuf]) -> Result<Client, Mistake> {
    // Without anything that stands in them: it may be a token.
    let wrong =
        || Mistake::about("KUBECONFIG", "its files cannot be used together: look at them with `kubectl version`");
    let mut all = Kubeconfig::default();
    for path in paths.iter().filter(|path| path.exists()) {
        let one = Kubeconfig::read_from(path).map_err(|_| wrong())?;
        all = all.merge(one).map_err(|_| wrong())?;
    }
    let names_proxy = all.clusters.iter().any(|its| its.cluster.as_ref().is_some_and(|its| its.proxy_url.is_some()));
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(all, &options).await.map_err(|_| wrong())?;
    // `HTTPS_PROXY` is for registries here as everywhere; an API server behind a proxy is the kubeconfig's to name.
    config.proxy_url = config.proxy_url.filter(|_| names_proxy);
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|_| wrong())
}
