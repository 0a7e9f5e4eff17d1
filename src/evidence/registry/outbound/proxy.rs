//! Proxies, from the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not.
//!
//! Read here rather than by reqwest, which passes over what it cannot read: a proxy that is misspelt would be none, and
//! requests would leave by a way that nobody wanted. Loopback is never asked through a proxy, as in Go.

use std::fmt;
use std::sync::Arc;

use reqwest::{ClientBuilder, NoProxy, Proxy, Url};

/// Never through a proxy, whatever `NO_PROXY` says.
const LOOPBACK: &str = "localhost,localhost.,127.0.0.0/8,::1";

/// How requests leave. Does not print: a proxy's URL may hold a password.
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    none_for: String,
    hosts: Arc<[Box<str>]>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Proxies {
    /// `variable` is the environment.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let given = |name: &str| {
            let written = [name.to_owned(), name.to_ascii_lowercase()].into_iter().find_map(|name| variable(&name));
            written.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let proxy = |name: &str| given(name).map(|text| parse(name, &text)).transpose();
        let all = proxy("ALL_PROXY")?;
        let http = proxy("HTTP_PROXY")?.or_else(|| all.clone());
        let https = proxy("HTTPS_PROXY")?.or(all);
        let none_for = given("NO_PROXY").unwrap_or_default();
        let none_for = none_for.split(',').map(entry).fold(LOOPBACK.to_owned(), |list, entry| list + "," + entry);
        let hosts = [&http, &https].into_iter().flatten().filter_map(|url| url.host_str()).map(Box::from).collect();
        Ok(Self { http, https, none_for, hosts })
    }

    /// The names of the proxies themselves.
    pub(super) fn hosts(&self) -> Arc<[Box<str>]> {
        Arc::clone(&self.hosts)
    }

    /// Without a word of reqwest's about its own reading of the environment.
    pub(super) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, String> {
        let mut builder = builder.no_proxy();
        let none_for = || NoProxy::from_string(&self.none_for);
        if let Some(url) = &self.http {
            let proxy = Proxy::http(url.clone()).map_err(|_| unusable("HTTP_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none_for()));
        }
        if let Some(url) = &self.https {
            let proxy = Proxy::https(url.clone()).map_err(|_| unusable("HTTPS_PROXY"))?;
            builder = builder.proxy(proxy.no_proxy(none_for()));
        }
        Ok(builder)
    }
}

/// As curl and Go read it: without a scheme it is plain HTTP.
fn parse(name: &str, text: &str) -> Result<Url, String> {
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    url.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(|| unusable(name))
}

fn unusable(name: &str) -> String {
    format!("{name} is no http:// or https:// URL of a proxy: correct it or remove it from the environment")
}

/// `*.example` is `.example`, and an IPv6 address may stand in brackets.
fn entry(text: &str) -> &str {
    let text = text.trim();
    let text = if text.starts_with("*.") { &text[1..] } else { text };
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}
