//! Settings about where evidence comes from and what is kept of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::policy::document::reader::{Field, Mistakes, Place, Placed, Table, Text, refuse_repeated};
use crate::policy::document::scalar::is_dns_name;
use crate::policy::document::wording::quoted;

use super::super::file::{self, Settings};
use super::super::{Cache, Cluster, CredentialProviders, Registries, Scans, TrustedRoot, TufRepository};
use super::{check_label, namespaces};

/// Below this nothing worth its eviction fits.
const LEAST_MEMORY: u64 = 1 << 20;

/// Settings of rooms that do not exist. The issue that builds a room takes its lines away.
pub(super) fn without_effect(settings: &Settings) -> Vec<Place> {
    let mut unused = Vec::new();
    let mut add = |field: Option<(&Place, bool)>| {
        if let Some((place, true)) = field {
            unused.push(place.clone());
        }
    };
    if let Field::Given(cache) = &settings.cache {
        add(differs(&cache.state, Option::is_some));
        add(differs(&cache.seal_key, Option::is_some));
    }
    unused
}

fn differs<T>(field: &Field<Placed<T>>, differs: impl FnOnce(&T) -> bool) -> Option<(&Place, bool)> {
    field.given().map(|placed| (&placed.place, differs(&placed.value)))
}

pub(super) fn read_registries(written: &file::Registries, mistakes: &mut Mistakes) -> Registries {
    let file::Registries { hosts, docker_config, credential_providers, pull_secrets, realms, concurrency } = written;
    let default = Registries::default();
    if let Some(concurrency) = concurrency.given().filter(|concurrency| concurrency.value == 0) {
        mistakes.add(&concurrency.place, "must be at least 1: with 0 no registry could be asked");
    }
    let providers = credential_providers.given().and_then(|providers| providers.value.as_ref());
    Registries {
        hosts: placed_path(hosts),
        docker_config: placed_path(docker_config),
        credential_providers: providers.and_then(|providers| {
            let path = |text: &Text| PathBuf::from(&text.value);
            Some(CredentialProviders {
                config: path(providers.config.given()?),
                binaries: path(providers.binaries.given()?),
            })
        }),
        pull_secrets: pull_secrets.given().map_or(default.pull_secrets, |secrets| secrets.value),
        realms: realms.given().map_or(default.realms, |realms| read_realms(&realms.value, mistakes)),
        concurrency: concurrency.given().map_or(default.concurrency, |concurrency| concurrency.value),
    }
}

/// Hosts, with a port or without: never a URL.
fn read_realms(realms: &Table<Text>, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    for text in realms.0.iter().flat_map(|(registry, realm)| [registry, realm]) {
        if !is_host(&text.value) {
            let message = format!("{} is no host such as auth.example or auth.example:5000", quoted(&text.value));
            mistakes.add(&text.place, message);
        }
    }
    realms.0.iter().map(|(registry, realm)| (registry.value.clone(), realm.value.clone())).collect()
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "443"));
    is_dns_name(name) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(super) fn read_trust(roots: &[file::Root], mistakes: &mut Mistakes) -> Vec<TrustedRoot> {
    refuse_repeated(roots.iter().filter_map(|root| root.name.given()), mistakes);
    let mut read = Vec::new();
    for root in roots {
        let file::Root { name, trusted_root, tuf } = root;
        let (Field::Given(name), Field::Given(path)) = (name, trusted_root) else {
            continue;
        };
        check_label(name, "a trusted root's name", mistakes);
        if name.value == "public" {
            mistakes.add(&name.place, "`public` is the built-in root: choose another name");
        }
        let tuf = tuf.given().and_then(|tuf| read_tuf(tuf, mistakes));
        read.push(TrustedRoot { name: name.value.clone(), trusted_root: PathBuf::from(&path.value), tuf });
    }
    read
}

fn read_tuf(tuf: &file::Tuf, mistakes: &mut Mistakes) -> Option<TufRepository> {
    let file::Tuf { url, root } = tuf;
    let (Field::Given(url), Field::Given(root)) = (url, root) else {
        return None;
    };
    if !is_base_url(&url.value) {
        mistakes.add(&url.place, "is no URL such as https://tuf.example, without user, query and fragment");
    }
    Some(TufRepository { url: url.value.clone(), root: PathBuf::from(&root.value) })
}

/// Its text is never repeated: who writes a password into a URL need not find it in the log.
fn is_base_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#' | '\\');
    rest.is_some_and(|rest| !rest.contains(strange) && !rest.starts_with(['/', ':']) && !rest.is_empty())
}

pub(super) fn read_scans(scans: &file::Scans, mistakes: &mut Mistakes) -> Scans {
    let file::Scans { directories, namespaces: watched } = scans;
    let directories = directories.given().map_or(&[][..], |directories| &directories.value);
    refuse_repeated(directories, mistakes);
    Scans {
        directories: directories.iter().map(|directory| PathBuf::from(&directory.value)).collect(),
        namespaces: watched.given().map_or(Vec::new(), |names| namespaces(&names.value, mistakes)),
    }
}

pub(super) fn read_cluster(written: &file::Cluster, mistakes: &mut Mistakes) -> Cluster {
    let file::Cluster { pods, service, webhook_configuration } = written;
    let default = Cluster::default();
    if let Some(name) = service.given() {
        check_label(name, "a Service's name", mistakes);
    }
    if let Some(name) = webhook_configuration.given().filter(|name| !is_dns_name(&name.value)) {
        mistakes.add(&name.place, format!("{} is no name of a ValidatingWebhookConfiguration", quoted(&name.value)));
    }
    let name = |field: &Field<Text>, default: String| field.given().map_or(default, |name| name.value.clone());
    Cluster {
        pods: pods.given().copied().unwrap_or(default.pods),
        service: name(service, default.service),
        webhook_configuration: name(webhook_configuration, default.webhook_configuration),
    }
}

pub(super) fn read_cache(written: &file::Cache, mistakes: &mut Mistakes) -> Cache {
    let file::Cache { memory, last_known_good, state, seal_key } = written;
    let default = Cache::default();
    if let Some(memory) = memory.given().filter(|memory| memory.value.0 < LEAST_MEMORY) {
        mistakes.add(&memory.place, "must be at least 1Mi");
    }
    Cache {
        memory: memory.given().map_or(default.memory, |memory| memory.value.0),
        last_known_good: last_known_good.given().map_or(default.last_known_good, |period| period.value),
        state: placed_path(state),
        seal_key: placed_path(seal_key),
    }
}

fn placed_path(field: &Field<Placed<Option<Text>>>) -> Option<PathBuf> {
    field.given()?.value.as_ref().map(|text| PathBuf::from(&text.value))
}
