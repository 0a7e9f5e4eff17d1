//! Token services: which hosts a registry may send us to for a token.
//!
//! A registry names its token service itself, and whoever answers there is shown the credential: so a stranger must not
//! be named. Domains are those of the public suffix list, its private part included: two customers of one hosting
//! service share none.

use std::collections::BTreeMap;

use reqwest::Url;

use super::address::literal;

/// Docker Hub, whose token service is built in, although one domain covers both: the list of suffixes may change.
const DOCKER_HUB: (&str, &str) = ("docker.io", "auth.docker.io");

/// A host of `realms`; without a port it is that of https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    name: String,
    port: u16,
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        // Whatever is more than a host reads as something else than it was written as.
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains(['/', '@']);
        let name = url.host_str().filter(|_| bare)?.to_owned();
        Some(Self { name, port: url.port_or_known_default()? })
    }

    pub(super) fn is(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.name) && url.port_or_known_default() == Some(self.port)
    }
}

/// `registries.realms`, with what is built in.
pub(super) fn read(realms: BTreeMap<String, String>) -> Result<BTreeMap<String, Vec<Host>>, String> {
    let mut read: BTreeMap<String, Vec<Host>> = BTreeMap::new();
    for (registry, realm) in std::iter::once((DOCKER_HUB.0.to_owned(), DOCKER_HUB.1.to_owned())).chain(realms) {
        let host = Host::parse(&realm).ok_or_else(|| {
            format!("registries.realms: {realm:?} for {registry} is no host such as auth.example or auth.example:5000")
        })?;
        read.entry(registry.to_ascii_lowercase()).or_default().push(host);
    }
    Ok(read)
}

/// Whether two hosts belong to whoever registered one domain. Addresses and public suffixes belong to nobody.
pub(super) fn share_a_domain(one: &str, other: &str) -> bool {
    matches!((domain(one), domain(other)), (Some(one), Some(other)) if one == other)
}

fn domain(host: &str) -> Option<String> {
    if literal(host).is_some() {
        return None;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    psl::domain_str(&host).map(str::to_owned)
}

/// Host, and port if one is written; a name is of 253 characters at most, whatever a URL may hold.
pub(super) fn shown(url: &Url) -> String {
    let host: String = url.host_str().unwrap_or_default().chars().take(253).collect();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}
