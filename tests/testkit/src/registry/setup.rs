//! A registry before it starts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Registry;
use super::access::{Access, Issued, Scheme, User};
use super::authority::Authority;
use super::server::{Server, State};

/// How long tokens are good where nobody says otherwise; as docker's.
const LIFETIME: Duration = Duration::from_mins(5);

/// A registry before it starts.
#[derive(Debug)]
#[must_use]
pub struct RegistrySetup {
    authority: Option<Arc<Authority>>,
    client_certificate: bool,
    scheme: Scheme,
    /// Who came with `basic` or `token`: what is private by `private` is theirs.
    owners: Vec<(String, String)>,
    users: Vec<User>,
    identities: HashMap<String, String>,
    private: Vec<String>,
    realm: Option<String>,
    issued: Issued,
    lifetime: Duration,
    empty_tokens: bool,
    referrers: bool,
    page_size: Option<usize>,
    latency: Duration,
}

impl Default for RegistrySetup {
    fn default() -> Self {
        Self {
            authority: None,
            client_certificate: false,
            scheme: Scheme::Open,
            owners: Vec::new(),
            users: Vec::new(),
            identities: HashMap::new(),
            private: Vec::new(),
            realm: None,
            issued: Arc::new(Mutex::new(HashMap::new())),
            lifetime: LIFETIME,
            empty_tokens: false,
            referrers: true,
            page_size: None,
            latency: Duration::ZERO,
        }
    }
}

impl RegistrySetup {
    /// TLS with a certificate of its own CA for 127.0.0.1 and localhost; h2 and HTTP/1.1 by ALPN.
    pub fn tls(self) -> Self {
        let authority = self.authority.or_else(|| Some(Arc::new(Authority::new())));
        Self { authority, ..self }
    }

    /// TLS with the CA of another registry.
    pub fn tls_of(self, other: &Registry) -> Self {
        assert!(other.state.authority.is_some(), "the other registry has no TLS");
        Self { authority: other.state.authority.clone(), ..self }
    }

    /// TLS, and nobody comes in without a certificate of its CA: see [`Registry::client_identity`].
    pub fn client_certificate(self) -> Self {
        Self { client_certificate: true, ..self.tls() }
    }

    /// Every request needs Basic.
    pub fn basic(mut self, name: &str, password: &str) -> Self {
        self.owners.push((name.to_owned(), password.to_owned()));
        Self { scheme: Scheme::Basic, ..self }
    }

    /// Every request needs a token of `/token`, which anybody gets for what is not private.
    pub fn token(mut self, name: &str, password: &str) -> Self {
        self.owners.push((name.to_owned(), password.to_owned()));
        Self { scheme: Scheme::Token, ..self }
    }

    /// Only who was named with `basic` or `token` sees repositories at or below this.
    pub fn private(mut self, prefix: &str) -> Self {
        self.private.push(prefix.to_owned());
        self.not_open()
    }

    /// One more user, with private repositories of his own: at or below these.
    pub fn user(mut self, name: &str, password: &str, prefixes: &[&str]) -> Self {
        let repositories = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        let (name, password) = (name.to_owned(), password.to_owned());
        self.users.push(User { name, password, repositories, identity: None });
        self.not_open()
    }

    /// An OAuth 2 refresh token (`identitytoken`) that is this user's too; it comes by POST.
    pub fn identity_token(mut self, name: &str, token: &str) -> Self {
        self.identities.insert(name.to_owned(), token.to_owned());
        self.not_open()
    }

    /// Challenges name this URL as the token service.
    pub fn realm(self, url: &str) -> Self {
        Self { realm: Some(url.to_owned()), ..self.not_open() }
    }

    /// Challenges name another registry's token service, and its tokens are good here. Its users are those who count.
    pub fn tokens_of(self, other: &Registry) -> Self {
        let issued = Arc::clone(&other.state.access.issued);
        Self { issued, ..self.realm(&format!("{}/token", other.url())) }
    }

    /// How long tokens are good (5 minutes), in whole seconds as they are told.
    pub fn token_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// The token service hands out useless tokens instead of refusing, as Docker Hub does: the registry says 401 then.
    pub fn empty_tokens(self) -> Self {
        Self { empty_tokens: true, ..self }
    }

    /// No referrers API: the tag `sha256-<hex>` instead.
    pub fn without_referrers(self) -> Self {
        Self { referrers: false, ..self }
    }

    /// As many referrers on a page.
    pub fn page_size(self, size: usize) -> Self {
        assert!(size > 0, "a page has room for something");
        Self { page_size: Some(size), ..self }
    }

    /// Every request takes so long at least.
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// Tokens, where nothing else was said.
    fn not_open(self) -> Self {
        let scheme = if self.scheme == Scheme::Open { Scheme::Token } else { self.scheme };
        Self { scheme, ..self }
    }

    /// Starts it.
    #[expect(clippy::unused_async, reason = "what a test starts is awaited, here as elsewhere")]
    pub async fn start(self) -> Registry {
        let (listener, port) = Server::bind(0).expect("a port is free");
        let host = format!("127.0.0.1:{port}");
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        let owners = self.owners.into_iter().map(|(name, password)| {
            let repositories = self.private.clone();
            User { name, password, repositories, identity: None }
        });
        let mut users: Vec<User> = owners.chain(self.users).collect();
        for user in &mut users {
            user.identity = self.identities.get(&user.name).cloned();
        }
        let access = Access {
            scheme: self.scheme,
            users: Mutex::new(users),
            private: self.private,
            realm: self.realm.unwrap_or_else(|| format!("{scheme}://{host}/token")),
            service: host.clone(),
            lifetime: self.lifetime,
            empty_tokens: self.empty_tokens,
            issued: self.issued,
        };
        let client = self.authority.as_ref().filter(|_| self.client_certificate).map(|authority| authority.client());
        let tls = self.authority.as_ref().map(|authority| authority.server(self.client_certificate));
        let state = Arc::new(State {
            host,
            access,
            authority: self.authority,
            client,
            tls,
            referrers: self.referrers,
            page_size: self.page_size,
            latency: self.latency,
            store: Mutex::default(),
            behaviours: Mutex::default(),
            ledger: Arc::default(),
        });
        let server = Server::start(listener, &state);
        Registry { state, server: Mutex::new(Some(server)), port }
    }
}
