//! containerd's `hosts.toml`: where a registry's images are asked for, in which order, and how each host is trusted.
//!
//! Read as containerd 2 reads it (`docs/hosts.md` there): of `<folder>/<host>_<port>_`, `<host>:<port>` and `_default`
//! the first that exists counts, for a registry without a port `<host>` and `_default`; a folder without `hosts.toml`
//! may hold certificates as docker's `certs.d` does. What differs, on purpose:
//! - a host that stands there twice, with the same capabilities, is asked once;
//! - a file with a mistake is an error, where containerd goes on without it;
//! - `docker.io` as `server` is asked as `registry-1.docker.io`: that host itself serves no images;
//! - a host over plain HTTP is asked over plain HTTP, where containerd tries TLS first if anything is said about it;
//! - `skip_verify` is never assumed, not for loopback either.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::policy::document::Mistake;

use super::outbound::{Outbound, Surroundings, is_loopback};

use file::Asked;
use folder::{Loading, normalised};

mod certificate;
mod file;
mod folder;
#[cfg(test)]
mod tests;

/// For every registry without a folder of its own.
const DEFAULT: &str = "_default";
/// Docker Hub as images name it, and the host that serves them.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// Asked instead of a registry whose name no URL can have; `permits` refuses it.
pub(super) const NOWHERE: &str = "not-a-host.invalid";

/// Every folder that was read.
#[derive(Debug)]
pub struct Hosts {
    own: HashMap<Box<str>, Arc<[Arc<Endpoint>]>>,
    /// `_default`; without such a folder, the registry itself.
    others: Vec<Template>,
}

/// One host that is asked for a registry's images.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any may go with any")]
pub struct Endpoint {
    /// `https://mirror.example:5000/v2`, without a slash at its end; `/<repository>/manifests/...` follows. (With
    /// `override_path` and no path it is `https://mirror.example/`, since a URL cannot be without.)
    pub base: Url,
    /// May say what a tag stands for.
    pub resolve: bool,
    /// May be asked for content by digest.
    pub pull: bool,
    /// `hosts.toml` names it: its address is not judged.
    pub named: bool,
    /// `skip_verify`: whoever answers may be anybody.
    pub unverified: bool,
    /// What `hosts.toml` sends there with each request; marked sensitive, and it may be a credential.
    pub headers: HeaderMap,
    /// `ns=` of a mirror: the registry whose images it is asked for.
    pub namespace: Option<Box<str>>,
    /// The registry itself, not a mirror of it: the registry's credentials are for this one alone. Also where
    /// `hosts.toml` lists the registry among the hosts, as people do to give it a `ca`.
    pub origin: bool,
    pub http: reqwest::Client,
    /// For other hosts that this one sends us to, its token service and blob store: its authorities count there too, as
    /// for containerd; not its client certificate, its `skip_verify`, nor that its address is not judged.
    pub elsewhere: reqwest::Client,
}

impl Endpoint {
    /// Host, with its port where that is not the scheme's: the name of breakers, tokens and messages.
    #[must_use]
    pub fn authority(&self) -> &str {
        let text = self.base.as_str();
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// An endpoint of any registry.
#[derive(Debug)]
struct Template {
    asked: Asked,
    named: bool,
    http: reqwest::Client,
    elsewhere: reqwest::Client,
}

impl Hosts {
    /// Reads the folder. None: every registry is itself. All mistakes at once, each with file and line; warnings for
    /// what is well-formed and not understood.
    pub fn load(folder: Option<&Path>, outbound: &Outbound) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let mut loading = Loading::new(outbound);
        let mut own = HashMap::new();
        let mut others = None;
        let folders = folder.map_or_else(BTreeMap::new, |folder| loading.folders(folder));
        for (registry, path) in folders {
            if &*registry == DEFAULT {
                others = Some(loading.templates(&path, None));
            } else {
                let templates = loading.templates(&path, Some(&registry));
                let endpoints = templates.iter().map(|template| template.endpoint(&registry, outbound));
                own.insert(registry.clone(), each_once(endpoints));
            }
        }
        let others = others.unwrap_or_else(|| vec![Template::plain(outbound)]);
        let (mistakes, warnings) = loading.said();
        if mistakes.is_empty() { Ok((Self { own, others }, warnings)) } else { Err(mistakes) }
    }

    /// The hosts to ask for this registry's images, in order, the registry itself last. Never empty. No IO.
    pub fn endpoints(&self, registry: &str, outbound: &Outbound) -> Arc<[Arc<Endpoint>]> {
        match self.own.get(registry) {
            Some(endpoints) => Arc::clone(endpoints),
            None => each_once(self.others.iter().map(|template| template.endpoint(registry, outbound))),
        }
    }
}

/// A host that stands there twice is asked once: people list the registry among the hosts to give it a `ca`, and then
/// its second turn, as the `server` without one, would only be told as a host that is not trusted.
fn each_once(endpoints: impl Iterator<Item = Endpoint>) -> Arc<[Arc<Endpoint>]> {
    let mut kept: Vec<Arc<Endpoint>> = Vec::new();
    for endpoint in endpoints {
        let covers = |earlier: &Arc<Endpoint>| {
            let able = (earlier.resolve || !endpoint.resolve) && (earlier.pull || !endpoint.pull);
            earlier.base == endpoint.base && able
        };
        if !kept.iter().any(covers) {
            kept.push(Arc::new(endpoint));
        }
    }
    kept.into()
}

impl Template {
    /// The registry itself, without any settings.
    fn plain(outbound: &Outbound) -> Self {
        let http = || outbound.default_client().clone();
        Self { asked: Asked::default(), named: false, http: http(), elsewhere: http() }
    }

    fn endpoint(&self, registry: &str, outbound: &Outbound) -> Endpoint {
        let Asked { url, resolve, pull, tls, tls_given, headers, connect: _ } = &self.asked;
        let (base, origin) = match url {
            Some(url) if is_itself(url, registry) => (served(url), true),
            Some(url) => (url.clone(), false),
            None => (itself(registry, *tls_given, self.named, outbound.surroundings()), true),
        };
        Endpoint {
            base,
            resolve: *resolve,
            pull: *pull,
            named: self.named,
            unverified: tls.skip_verify,
            headers: headers.clone(),
            namespace: (!origin).then(|| registry.into()),
            origin,
            http: self.http.clone(),
            elsewhere: self.elsewhere.clone(),
        }
    }
}

/// The URL of a registry that nothing is written about.
fn itself(registry: &str, tls_given: bool, named: bool, surroundings: Surroundings) -> Url {
    let host = if registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { registry };
    // As docker and containerd: a registry on loopback is commonly one of development, without TLS.
    let here = named || surroundings == Surroundings::Alone;
    let (name, port) = split_port(host);
    let plain = here && !tls_given && is_loopback(name) && port.is_some_and(|port| port != 443);
    let scheme = if plain { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}/v2"))
        .or_else(|_| Url::parse(&format!("https://{NOWHERE}/v2")))
        .expect("a constant that is a URL")
}

/// Whether the URL is the registry's own: by its name, at its port.
fn is_itself(url: &Url, registry: &str) -> bool {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let standard = matches!((url.scheme(), port), ("https", 443) | ("http", 80));
    if registry == DOCKER_HUB.0 {
        return standard && normalised(host).as_deref() == Some(registry);
    }
    let (name, written) = split_port(registry);
    host.eq_ignore_ascii_case(name) && written.map_or(standard, |written| written == port)
}

/// Docker Hub's images are not served under the name that they have.
fn served(url: &Url) -> Url {
    let mut url = url.clone();
    if url.host_str() == Some(DOCKER_HUB.0) {
        url.set_host(Some(DOCKER_HUB.1)).expect("a constant that is a host");
    }
    url
}

/// Host, and port if one is written; the colons within brackets are not a port's.
fn split_port(registry: &str) -> (&str, Option<u16>) {
    let split = registry.rsplit_once(':').filter(|(_, port)| !port.contains(']'));
    match split.map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        Some((_, Err(_))) | None => (registry, None),
    }
}
