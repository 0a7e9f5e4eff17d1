//! containerd's `hosts.toml`: where a registry's images are asked for, in which order, and how each host is trusted.
//!
//! Read as containerd 2 reads it (`docs/hosts.md` there): `<folder>/<host>_<port>_`, `<host>:<port>`, `<host>`, `_default`.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderMap;

use crate::policy::document::Mistake;

use super::outbound::Outbound;

/// Every folder that was read.
#[derive(Debug)]
pub struct Hosts {}

/// One host that is asked for a registry's images.
#[derive(Debug)]
pub struct Endpoint {
    /// `https://mirror.example:5000/v2`, without a slash at its end; `/<repository>/manifests/...` follows.
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
    /// The registry itself, not a mirror of it: the registry's credentials are for this one alone.
    pub origin: bool,
    pub http: reqwest::Client,
}

impl Endpoint {
    /// Host, with its port where that is not the scheme's: the name of breakers, tokens and messages.
    #[must_use]
    pub fn authority(&self) -> &str {
        todo!()
    }
}

impl Hosts {
    /// Reads the folder. None: every registry is itself. All mistakes at once, each with file and line; warnings for
    /// what is well-formed and not understood.
    pub fn load(folder: Option<&Path>, outbound: &Outbound) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        todo!()
    }

    /// The hosts to ask for this registry's images, in order, the registry itself last. Never empty. No IO.
    pub fn endpoints(&self, registry: &str, outbound: &Outbound) -> Arc<[Arc<Endpoint>]> {
        todo!()
    }
}
