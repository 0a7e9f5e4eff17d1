//! Where requests may go: addresses, schemes, redirects, realms of token services; and the HTTP clients that hold to it.
//!
//! The rules of design.md 5, "Outbound", hold for what a URL says and for what its name resolves to. Words here name
//! hosts and kinds of addresses, never a whole URL: its query may hold a secret.
//!
//! What cannot be checked: behind a proxy it is the proxy that resolves names, so only what the URL says is judged; a
//! name that leads to loopback there leads to the proxy's. See `resolver.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;

use super::hosts::{Endpoint, NOWHERE};

use address::judge_host;
use proxy::Proxies;
use resolver::{Exempt, Judging};
use tls::Trust;

mod address;
mod lookups;
mod proxy;
mod realm;
mod resolver;
#[cfg(test)]
mod tests;
mod tls;

/// A lost SYN is sent again after one second; whoever has not answered after three will not within a review, which has
/// ten in all, and the next mirror is to have its chance.
const CONNECT: Duration = Duration::from_secs(3);
/// Connections kept for the next review: load balancers commonly hang up after 60 s, and a request into a connection
/// that is being closed costs a round trip more.
const IDLE: Duration = Duration::from_secs(50);
/// Of them per host: a review has a handful of images.
const IDLE_PER_HOST: usize = 8;
/// Header lists over HTTP/2: a token challenge and a `Link` are below 16 kB. (HTTP/1: hyper's own limit, 100 headers in
/// about 400 kB.)
const HEADER_LIST: u32 = 64 << 10;
/// What a server may send over HTTP/2 before anybody reads it, in all and of one answer: it is held in memory, beside
/// what [`Limits`](super::client::Limits) count. A manifest has some kilobytes; more comes window by window.
const HTTP2_WINDOWS: (u32, u32) = (512 << 10, 128 << 10);

/// Whether there is anything around us that a registry's name must not lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surroundings {
    /// In a cluster: loopback and our own addresses are refused too, unless `hosts.toml` names the host.
    Cluster,
    /// On a workstation or in CI: a registry on loopback may be used, over plain HTTP too.
    Alone,
}

/// How the other end of TLS is trusted, and who we are to it. Does not print keys.
#[derive(Debug, Default)]
pub struct TlsOptions {
    /// DER certificates, trusted beside the system's.
    pub authorities: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub client: Option<(Vec<rustls::pki_types::CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>)>,
    pub skip_verify: bool,
}

impl TlsOptions {
    /// Keys are not copied by accident: hence no `Clone`.
    pub(super) fn copied(&self) -> Self {
        Self {
            authorities: self.authorities.clone(),
            client: self.client.as_ref().map(|(chain, key)| (chain.clone(), key.clone_key())),
            skip_verify: self.skip_verify,
        }
    }
}

/// Our own rules forbid it, in words for the user: a clause without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(pub String);

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Forbidden {}

/// The rules.
#[derive(Debug)]
pub struct Outbound {
    surroundings: Surroundings,
    /// By registry.
    realms: BTreeMap<String, Vec<realm::Host>>,
    trust: Trust,
    proxies: Proxies,
    default_client: reqwest::Client,
}

impl Outbound {
    /// `realms`: hosts of token services (with port or without), by registry; auth.docker.io is built in for docker.io.
    pub fn new(surroundings: Surroundings, realms: BTreeMap<String, String>) -> Result<Self, String> {
        // What is no text is no URL either, and must be told as such rather than pass for none.
        let given = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let proxies = Proxies::read(given)?;
        Self::assemble(surroundings, realms, Trust::of_system(), proxies)
    }

    fn assemble(
        surroundings: Surroundings,
        realms: BTreeMap<String, String>,
        trust: Trust,
        proxies: Proxies,
    ) -> Result<Self, String> {
        let realms = realm::read(realms)?;
        let default_client = build(
            surroundings,
            &trust,
            &proxies,
            Settings { tls: TlsOptions::default(), exempt: Exempt::Nothing, connect: None },
        )?;
        Ok(Self { surroundings, realms, trust, proxies, default_client })
    }

    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        self.surroundings
    }

    /// A client that follows no redirect, decompresses nothing, takes proxies from the environment, and connects to no
    /// address that is refused; `named`: `hosts.toml` names the host, so its address is not judged.
    pub fn client(&self, tls: TlsOptions, named: bool, connect: Option<Duration>) -> Result<reqwest::Client, String> {
        let exempt = if named { Exempt::Everything } else { Exempt::Nothing };
        build(self.surroundings, &self.trust, &self.proxies, Settings { tls, exempt, connect })
    }

    /// The same for a host that `hosts.toml` names: of all addresses, only those of this very host are not judged.
    pub(super) fn client_to(
        &self,
        host: Option<&str>,
        tls: TlsOptions,
        connect: Option<Duration>,
    ) -> Result<reqwest::Client, String> {
        let exempt = host.map_or(Exempt::Nothing, |host| Exempt::Host(host.into()));
        build(self.surroundings, &self.trust, &self.proxies, Settings { tls, exempt, connect })
    }

    /// The client for every host that has no settings of its own.
    #[must_use]
    pub fn default_client(&self) -> &reqwest::Client {
        &self.default_client
    }

    /// Whether the URL may be asked, as far as its text says: scheme (plain HTTP only where `hosts.toml` says so, or to
    /// loopback outside a cluster), user info, literal addresses. What its name resolves to is judged by the client.
    pub fn permits(&self, url: &Url, named: bool) -> Result<(), Forbidden> {
        let host = host_of(url)?;
        if has_user_info(url) {
            return Err(Forbidden(format!(
                "the URL for {host} holds a user or password, which belong in a credential"
            )));
        }
        if host == NOWHERE {
            return Err(Forbidden("the registry's name is neither a host name nor an address: correct it".to_owned()));
        }
        if !named {
            judge_host(host, self.surroundings).map_err(|refused| {
                Forbidden(format!(
                    "{host} is {refused}, where no request is sent: name it in hosts.toml if it is meant"
                ))
            })?;
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if named || (self.surroundings == Surroundings::Alone && is_loopback(host)) => Ok(()),
            _ => Err(Forbidden(format!(
                "{host} would be asked without TLS: give its http:// URL in hosts.toml if that is meant"
            ))),
        }
    }

    /// Where a redirect leads, if it may be followed: never from https to http, never to a refused address.
    ///
    /// What it says is the server's own text, of which the words here repeat nothing.
    pub fn redirect(&self, from: &Url, location: &HeaderValue) -> Result<Url, Forbidden> {
        let source = host_of(from)?;
        let refuse = |why: &str| Err(Forbidden(format!("{source} redirects {why}")));
        let Some(mut to) = location.to_str().ok().and_then(|text| from.join(text).ok()) else {
            return refuse("to something that is no URL");
        };
        to.set_fragment(None);
        let Some(host) = to.host_str() else {
            return refuse("to something that is no HTTP URL");
        };
        if has_user_info(&to) {
            return refuse("to a URL with a user or password");
        }
        let same_host = host == source;
        match (from.scheme(), to.scheme()) {
            (_, "https") => {}
            ("http", "http") if same_host => {}
            ("http", "http") => return refuse("to another host over plain HTTP"),
            ("https", "http") => return refuse("from https to plain http"),
            _ => return refuse("to something that is no HTTP URL"),
        }
        // Where it stays with the host and port that were let be asked, nothing is to be judged anew.
        if !(same_host && from.port_or_known_default() == to.port_or_known_default())
            && let Err(refused) = judge_host(host, self.surroundings)
        {
            return refuse(&format!("to {refused}, where no request is sent"));
        }
        Ok(to)
    }

    /// The URL of the token service that `realm` names, if this registry may send us there: https, on the endpoint's
    /// own host, in its registrable domain, or in `realms`; plain HTTP only on the endpoint's own host where that is
    /// itself asked over plain HTTP (and then no credential goes there, see `may_carry_credentials`).
    pub fn realm(&self, registry: &str, endpoint: &Endpoint, realm: &str) -> Result<Url, Forbidden> {
        let source = endpoint.authority();
        let url = Url::parse(realm).ok().filter(Url::has_host);
        let Some(url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Err(Forbidden(format!("{source} names a token service that is no HTTP URL")));
        };
        if has_user_info(&url) || url.fragment().is_some() {
            return Err(Forbidden(format!(
                "{source} names a token service whose URL has a user, password or fragment"
            )));
        }
        let host = host_of(&url)?;
        let own_host = endpoint.base.host_str() == Some(host);
        if url.scheme() == "http" && !(own_host && endpoint.base.scheme() == "http") {
            return Err(Forbidden(format!("{source} names a token service that is asked over plain HTTP")));
        }
        if !self.is_token_service(registry, endpoint, &url) {
            return Err(Forbidden(format!(
                "{source} names {} as its token service, a host of another domain: \
                 add it to registries.realms for {registry} if it is meant",
                realm::shown(&url)
            )));
        }
        self.permits(&url, own_host && endpoint.named)?;
        Ok(url)
    }

    /// Whether a credential may be sent with a request to this URL: https to somebody whose certificate we check.
    #[must_use]
    pub fn may_carry_credentials(&self, endpoint: &Endpoint, url: &Url) -> bool {
        let registry = endpoint.namespace.as_deref().unwrap_or(endpoint.authority());
        url.scheme() == "https"
            && !endpoint.unverified
            && !has_user_info(url)
            && self.is_token_service(registry, endpoint, url)
    }

    /// On the endpoint's own host, in its domain, or named by the operator for the registry or for the mirror.
    fn is_token_service(&self, registry: &str, endpoint: &Endpoint, url: &Url) -> bool {
        let (Some(own), Some(host)) = (endpoint.base.host_str(), url.host_str()) else { return false };
        let named =
            |registry: &str| self.realms.get(registry).is_some_and(|realms| realms.iter().any(|realm| realm.is(url)));
        own == host || realm::share_a_domain(own, host) || named(registry) || named(endpoint.authority())
    }
}

/// The rule that a failed request met when its name was resolved, if that is why it failed.
#[must_use]
pub fn forbidden_in(error: &reqwest::Error) -> Option<Forbidden> {
    tls::find::<Forbidden>(error).cloned()
}

/// Why the other end was not believed to be who it should be, if that is why the request failed: a clause that follows
/// the host, such as `its certificate has expired`.
#[must_use]
pub fn distrust_in(error: &reqwest::Error) -> Option<&'static str> {
    tls::distrust_in(error)
}

/// What makes one client differ from another.
struct Settings {
    tls: TlsOptions,
    exempt: Exempt,
    connect: Option<Duration>,
}

fn build(
    surroundings: Surroundings,
    trust: &Trust,
    proxies: &Proxies,
    settings: Settings,
) -> Result<reqwest::Client, String> {
    let Settings { tls, exempt, connect } = settings;
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(trust.config(tls)?)
        .dns_resolver(Judging { surroundings, exempt, proxies: proxies.hosts() })
        .user_agent(concat!("pratique/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        // Said although the features are not compiled in: another crate could switch them on, and then a body's bound
        // would count the wrong bytes.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(connect.unwrap_or(CONNECT))
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .http2_max_header_list_size(HEADER_LIST)
        .http2_initial_connection_window_size(HTTP2_WINDOWS.0)
        .http2_initial_stream_window_size(HTTP2_WINDOWS.1);
    // reqwest's own words may repeat what it was given.
    proxies.apply(builder)?.build().map_err(|_| "no HTTP client can be made of these settings".to_owned())
}

/// Whether the text of a host says that it is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    address::is_loopback(host)
}

fn host_of(url: &Url) -> Result<&str, Forbidden> {
    url.host_str().ok_or_else(|| Forbidden("the URL names no host".to_owned()))
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}
