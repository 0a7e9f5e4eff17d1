//! The folders: whose each is, and the hosts that are read from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::image::Reference;
use crate::policy::document::Mistake;

use super::super::outbound::{Outbound, TlsOptions};
use super::certificate::{self, DockerFiles};
use super::file::{self, Asked};
use super::{DEFAULT, Template, itself, served};

/// Registries with settings of their own.
const MOST_FOLDERS: usize = 4096;
/// 64 hosts with all their keys are below 32 kB.
const MOST_BYTES: u64 = 256 << 10;

/// What is read, and what is to be said about it.
pub(super) struct Loading<'o> {
    outbound: &'o Outbound,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl<'o> Loading<'o> {
    pub(super) fn new(outbound: &'o Outbound) -> Self {
        Self { outbound, mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// Mistakes, and warnings.
    pub(super) fn said(self) -> (Vec<Mistake>, Vec<Mistake>) {
        (self.mistakes, self.warnings)
    }

    /// The folder of each registry, by the registry's name.
    pub(super) fn folders(&mut self, root: &Path) -> BTreeMap<Box<str>, PathBuf> {
        let names = match list(root) {
            Ok(names) => names,
            Err(message) => {
                self.mistakes.push(Mistake::about(root.display(), message));
                return BTreeMap::new();
            }
        };
        let mut found: BTreeMap<Box<str>, (Rank, PathBuf)> = BTreeMap::new();
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
    pub(super) fn templates(&mut self, folder: &Path, registry: Option<&str>) -> Vec<Template> {
        let (source, hosts) = self.asked(folder);
        let mut templates = Vec::new();
        for asked in hosts {
            if asked.url.is_none() && registry.is_none() && !asked.headers.is_empty() {
                let message = "`header` beside no `server` or host is sent to every registry that anybody names: put it \
                               in the folder of the registry that it is for";
                self.warnings.push(Mistake::about(&source, message));
            }
            let named = asked.url.is_some() || registry.is_some();
            match self.client(&asked, registry).and_then(|http| Ok((http, self.elsewhere(&asked)?))) {
                Ok((http, elsewhere)) => templates.push(Template { asked, named, http, elsewhere }),
                Err(message) => self.mistakes.push(Mistake::about(&source, message)),
            }
        }
        templates
    }

    fn asked(&mut self, folder: &Path) -> (String, Vec<Asked>) {
        let path = folder.join("hosts.toml");
        let source = path.display().to_string();
        // An empty file is none to containerd too.
        if fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
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

    /// For token services and blob stores that the host sends us to: they are commonly of the same private authority.
    fn elsewhere(&self, asked: &Asked) -> Result<reqwest::Client, String> {
        let authorities = asked.tls.authorities.clone();
        if authorities.is_empty() {
            return Ok(self.outbound.default_client().clone());
        }
        self.outbound.client_to(None, TlsOptions { authorities, ..TlsOptions::default() }, asked.connect)
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
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
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

/// The registry as images name it: in lower case, and Docker Hub by its one name. None where it is no registry's name.
pub(super) fn normalised(host: &str) -> Option<Box<str>> {
    // In capitals no host is taken for a repository of Docker Hub.
    let reference = Reference::parse(&format!("{}/x", host.to_ascii_uppercase())).ok()?;
    Some(reference.registry().into())
}
