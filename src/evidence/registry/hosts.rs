//! containerd's `hosts.toml`: where a registry's images are asked for, in which order, and how each host is trusted.
//!
//! Read as containerd 2 reads it (`docs/hosts.md` there): of `<folder>/<host>_<port>_`, `<host>:<port>` and `_default`
//! the first that exists counts, for a registry without a port `<host>` and `_default`; a folder without `hosts.toml`
//! may hold certificates as docker's `certs.d` does. What differs, on purpose:
//! - a file with a mistake is an error, where containerd goes on without it;
//! - `docker.io` as `server` is asked as `registry-1.docker.io`: that host itself serves no images;
//! - a host over plain HTTP is asked over plain HTTP, where containerd tries TLS first if anything is said about it;
//! - `skip_verify` is never assumed, not for loopback either.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::image::Reference;
use crate::policy::document::Mistake;

use super::outbound::{Outbound, Surroundings, is_loopback};

use certificate::DockerFiles;
use file::Asked;

mod certificate;
mod duration;
mod file;
#[cfg(test)]
mod tests;

/// Registries with settings of their own.
const MOST_FOLDERS: usize = 4096;
/// 64 hosts with all their keys are below 32 kB.
const MOST_BYTES: u64 = 256 << 10;

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
}

impl Hosts {
    /// Reads the folder. None: every registry is itself. All mistakes at once, each with file and line; warnings for
    /// what is well-formed and not understood.
    pub fn load(folder: Option<&Path>, outbound: &Outbound) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let mut loading = Loading { outbound, mistakes: Vec::new(), warnings: Vec::new() };
        let mut own = HashMap::new();
        let mut others = None;
        let folders = folder.map_or_else(BTreeMap::new, |folder| loading.folders(folder));
        for (registry, path) in folders {
            if &*registry == DEFAULT {
                others = Some(loading.templates(&path, None));
            } else {
                let templates = loading.templates(&path, Some(&registry));
                let endpoints = templates.iter().map(|template| Arc::new(template.endpoint(&registry, outbound)));
                own.insert(registry.clone(), endpoints.collect());
            }
        }
        let others = others.unwrap_or_else(|| vec![Template::plain(outbound)]);
        let Loading { mistakes, warnings, .. } = loading;
        if mistakes.is_empty() { Ok((Self { own, others }, warnings)) } else { Err(mistakes) }
    }

    /// The hosts to ask for this registry's images, in order, the registry itself last. Never empty. No IO.
    pub fn endpoints(&self, registry: &str, outbound: &Outbound) -> Arc<[Arc<Endpoint>]> {
        match self.own.get(registry) {
            Some(endpoints) => Arc::clone(endpoints),
            None => self.others.iter().map(|template| Arc::new(template.endpoint(registry, outbound))).collect(),
        }
    }
}

impl Template {
    /// The registry itself, without any settings.
    fn plain(outbound: &Outbound) -> Self {
        Self { asked: Asked::default(), named: false, http: outbound.default_client().clone() }
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

/// The registry as images name it: in lower case, and Docker Hub by its one name. None where it is no registry's name.
fn normalised(host: &str) -> Option<Box<str>> {
    // In capitals no host is taken for a repository of Docker Hub.
    let reference = Reference::parse(&format!("{}/x", host.to_ascii_uppercase())).ok()?;
    Some(reference.registry().into())
}

struct Loading<'o> {
    outbound: &'o Outbound,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl Loading<'_> {
    /// The folder of each registry, by the registry's name.
    fn folders(&mut self, root: &Path) -> BTreeMap<Box<str>, std::path::PathBuf> {
        let names = match list(root) {
            Ok(names) => names,
            Err(message) => {
                self.mistakes.push(Mistake::about(root.display(), message));
                return BTreeMap::new();
            }
        };
        let mut found: BTreeMap<Box<str>, (Rank, std::path::PathBuf)> = BTreeMap::new();
        for name in names {
            let path = root.join(&name);
            let Some((registry, rank)) = registry_of(&name) else {
                let message = "is the name of no registry: the folder is passed over";
                self.warnings.push(Mistake::about(path.display(), message));
                continue;
            };
            match found.get(&registry) {
                Some((first, _)) if *first <= rank => self.passed_over(&path, &registry),
                Some((_, other)) => {
                    let other = other.clone();
                    self.passed_over(&other, &registry);
                    found.insert(registry, (rank, path));
                }
                None => {
                    found.insert(registry, (rank, path));
                }
            }
        }
        found.into_iter().map(|(registry, (_, path))| (registry, path)).collect()
    }

    fn passed_over(&mut self, path: &Path, registry: &str) {
        let message = format!("is passed over: another folder is that of {registry}");
        self.warnings.push(Mistake::about(path.display(), message));
    }

    /// The hosts of one folder; `registry` is whose folder it is.
    fn templates(&mut self, folder: &Path, registry: Option<&str>) -> Vec<Template> {
        let (source, hosts) = self.asked(folder);
        let mut templates = Vec::new();
        for asked in hosts {
            let named = asked.url.is_some() || registry.is_some();
            match self.client(&asked, registry) {
                Ok(http) => templates.push(Template { asked, named, http }),
                Err(message) => self.mistakes.push(Mistake::about(&source, message)),
            }
        }
        templates
    }

    fn asked(&mut self, folder: &Path) -> (String, Vec<Asked>) {
        let path = folder.join("hosts.toml");
        let source = path.display().to_string();
        // An empty file is none to containerd too.
        if fs::metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return (folder.display().to_string(), vec![self.docker(folder)]);
        }
        let text = certificate::read(&path, MOST_BYTES)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "this is no text in UTF-8".to_owned()));
        match text {
            Ok(text) if text.is_empty() => (folder.display().to_string(), vec![self.docker(folder)]),
            Ok(text) => {
                let file::Outcome { hosts, mistakes, warnings } = file::read(&text, &source, folder);
                self.mistakes.extend(mistakes);
                self.warnings.extend(warnings);
                (source, hosts)
            }
            Err(message) => {
                self.mistakes.push(Mistake::about(&source, message));
                (source, Vec::new())
            }
        }
    }

    /// The registry itself, with the certificates of a folder as docker lays it out.
    fn docker(&mut self, folder: &Path) -> Asked {
        let mut asked = Asked::default();
        let files = DockerFiles::in_folder(folder).unwrap_or_else(|message| {
            self.mistakes.push(Mistake::about(folder.display(), message));
            DockerFiles::default()
        });
        asked.tls_given = files != DockerFiles::default();
        for path in &files.authorities {
            match certificate::authorities(path) {
                Ok(found) => asked.tls.authorities.extend(found),
                Err(message) => self.mistakes.push(Mistake::about(folder.display(), message)),
            }
        }
        if files.pairs.len() > 1 {
            let message = "holds several client certificates: only the first is shown to the registry";
            self.warnings.push(Mistake::about(folder.display(), message));
        }
        for (certificate, key) in &files.pairs {
            match certificate::pair(certificate, key.as_deref()) {
                Ok(pair) => {
                    asked.tls.client.get_or_insert(pair);
                }
                Err(message) => self.mistakes.push(Mistake::about(folder.display(), message)),
            }
        }
        asked
    }

    fn client(&self, asked: &Asked, registry: Option<&str>) -> Result<reqwest::Client, String> {
        let host = match (&asked.url, registry) {
            (Some(url), _) => Some(served(url).host_str().unwrap_or_default().to_owned()),
            (None, Some(registry)) => {
                let own = itself(registry, asked.tls_given, true, self.outbound.surroundings());
                Some(own.host_str().unwrap_or_default().to_owned())
            }
            (None, None) => None,
        };
        if host.is_none() && !asked.tls_given && asked.connect.is_none() {
            return Ok(self.outbound.default_client().clone());
        }
        self.outbound.client_to(host.as_deref(), asked.tls.copied(), asked.connect)
    }
}

/// Of two folders of one registry the lesser counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// `<host>_<port>_`
    Underscores,
    /// `<host>:<port>`, and `<host>` where there is none.
    AsWritten,
    /// Another name of Docker Hub.
    Alias,
}

/// Whose folder it is by its name.
fn registry_of(name: &str) -> Option<(Box<str>, Rank)> {
    if name == DEFAULT {
        return Some((DEFAULT.into(), Rank::AsWritten));
    }
    let port = name.strip_suffix('_').and_then(|name| name.rsplit_once('_'));
    let (written, rank) = match port {
        Some((host, port)) => (format!("{host}:{port}"), Rank::Underscores),
        None => (name.to_owned(), Rank::AsWritten),
    };
    let registry = normalised(&written)?;
    let rank = if registry.eq_ignore_ascii_case(&written) { rank } else { Rank::Alias };
    Some((registry, rank))
}

/// The folders below, in the order of their names. Kubernetes keeps its own beside them, which begin with a dot.
fn list(root: &Path) -> Result<Vec<String>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !fs::metadata(entry.path()).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        names.push(name);
        if names.len() > MOST_FOLDERS {
            return Err(format!("holds more than {MOST_FOLDERS} folders"));
        }
    }
    names.sort();
    Ok(names)
}
