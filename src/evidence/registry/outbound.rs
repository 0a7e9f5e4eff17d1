//! Where requests may go: addresses, schemes, redirects, realms of token services; and the HTTP clients that hold to it.
//!
//! The rules of design.md 5, "Outbound", hold for what a URL says and for what its name resolves to.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::hosts::Endpoint;

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

/// Our own rules forbid it, in words for the user: a clause without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(pub String);

/// The rules.
#[derive(Debug)]
pub struct Outbound {}

impl Outbound {
    /// `realms`: hosts of token services (with port or without), by registry; auth.docker.io is built in for docker.io.
    pub fn new(surroundings: Surroundings, realms: BTreeMap<String, String>) -> Result<Self, String> {
        todo!()
    }

    #[must_use]
    pub fn surroundings(&self) -> Surroundings {
        todo!()
    }

    /// A client that follows no redirect, decompresses nothing, takes proxies from the environment, and connects to no
    /// address that is refused; `named`: `hosts.toml` names the host, so its address is not judged.
    pub fn client(&self, tls: TlsOptions, named: bool, connect: Option<Duration>) -> Result<reqwest::Client, String> {
        todo!()
    }

    /// The client for every host that has no settings of its own.
    #[must_use]
    pub fn default_client(&self) -> &reqwest::Client {
        todo!()
    }

    /// Whether the URL may be asked, as far as its text says: scheme (plain HTTP only where `hosts.toml` says so, or to
    /// loopback outside a cluster), user info, literal addresses. What its name resolves to is judged by the client.
    pub fn permits(&self, url: &Url, named: bool) -> Result<(), Forbidden> {
        todo!()
    }

    /// Where a redirect leads, if it may be followed: never from https to http, never to a refused address.
    pub fn redirect(&self, from: &Url, location: &HeaderValue) -> Result<Url, Forbidden> {
        todo!()
    }

    /// The URL of the token service that `realm` names, if this registry may send us there: https, on the endpoint's
    /// own host, in its registrable domain, or in `realms`; plain HTTP only on the endpoint's own host where that is
    /// itself asked over plain HTTP (and then no credential goes there, see `may_carry_credentials`).
    pub fn realm(&self, registry: &str, endpoint: &Endpoint, realm: &str) -> Result<Url, Forbidden> {
        todo!()
    }

    /// Whether a credential may be sent with a request to this URL: https to somebody whose certificate we check.
    #[must_use]
    pub fn may_carry_credentials(&self, endpoint: &Endpoint, url: &Url) -> bool {
        todo!()
    }
}

/// The rule that a failed request met when its name was resolved, if that is why it failed.
#[must_use]
pub fn forbidden_in(error: &reqwest::Error) -> Option<Forbidden> {
    todo!()
}
