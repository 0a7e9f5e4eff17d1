//! One question to one host with one credential: authentication, redirects and classification.
//!
//! `Authorization` and the headers of `hosts.toml` go to the host that they are for and are dropped at the first
//! redirect, always; a host that was redirected to learns at most an anonymous token of its own.

use std::sync::Arc;

use moka::sync::Cache;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

use crate::fact::{Fault, Trouble};

use super::credentials::Credential;
use super::hosts::Endpoint;
use super::outbound::{Forbidden, Outbound};
use super::token::{Asking, Challenge, Grant, Tokens, basic, bearer, parse};

pub(super) use exchange::{Body, Call, Exchange, Reply};
pub(super) use failure::{Kind, Party, Size};
pub(super) use limits::Limits;

mod exchange;
mod failure;
mod limits;

/// Bytes of what is remembered of how hosts let whom in, some ten thousand of them: one round trip each.
const WAYS: u64 = 4 << 20;
/// What a way costs beside its texts, with the books of the cache.
const WAY: usize = 400;

/// Everything that outlives a question.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) outbound: Outbound,
    pub(super) exchange: Exchange,
    tokens: Tokens,
    ways: Cache<(Url, Option<Credential>), Way>,
}

/// How a host lets this credential in.
#[derive(Debug, Clone)]
enum Way {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

impl Way {
    /// Bytes of a server's own texts.
    fn length(&self) -> usize {
        match self {
            Self::Basic => 0,
            Self::Bearer { realm, service } => realm.as_str().len() + service.as_ref().map_or(0, String::len),
        }
    }
}

/// Host, with its port where that is not the scheme's.
pub(super) fn authority_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A host's own settings are for that host alone, but for its authorities.
fn http_to<'a>(endpoint: &'a Endpoint, url: &Url) -> &'a reqwest::Client {
    let same = endpoint.base.scheme() == url.scheme() && authority_of(&endpoint.base) == authority_of(url);
    if same { &endpoint.http } else { &endpoint.elsewhere }
}

impl Client {
    pub(super) fn new(outbound: Outbound, exchange: Exchange) -> Self {
        let weight = |(base, _): &(Url, Option<Credential>), way: &Way| {
            u32::try_from(WAY + base.as_str().len() + way.length()).unwrap_or(u32::MAX)
        };
        let ways = Cache::builder().weigher(weight).max_capacity(WAYS).build();
        Self { outbound, exchange, tokens: Tokens::new(), ways }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.exchange.limits
    }
}

/// One host, asked about one repository with one credential.
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) registry: &'a str,
    pub(super) repository: &'a str,
    pub(super) endpoint: &'a Endpoint,
    /// Only what may be carried there.
    pub(super) credential: Option<&'a Credential>,
    pub(super) until: Instant,
    pub(super) patient: bool,
}

/// What is asked for below the repository.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) accept: &'static str,
    pub(super) kind: Kind,
    pub(super) most: usize,
}

/// A value of `Authorization`, and where it comes from.
struct Presented {
    header: HeaderValue,
    /// It was not got for this very question, and may be old.
    grant: Option<Arc<Grant>>,
}

/// The end of a chain of redirects.
struct Landed {
    reply: Reply,
    redirected: bool,
}

impl Session<'_> {
    pub(super) fn party(&self) -> Party<'_> {
        Party::Registry(self.endpoint.authority())
    }

    /// `<base>/<repository>/<rest>`, with `ns=` for a mirror.
    pub(super) fn url(&self, rest: &[&str]) -> Url {
        let mut url = self.endpoint.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(self.repository.split('/')).extend(rest);
        }
        self.with_namespace(url)
    }

    pub(super) fn with_namespace(&self, mut url: Url) -> Url {
        if let Some(namespace) = &self.endpoint.namespace
            && !url.query_pairs().any(|(name, _)| name == "ns")
        {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        url
    }

    /// The answer, authenticated as far as the host asks for it. Neither 401 nor 403: those are [`Fault::Refused`].
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        let permitted = self.client.outbound.permits(ask.url, self.endpoint.named);
        permitted.map_err(|Forbidden(words)| Trouble::new(Fault::Forbidden, words))?;
        let known = self.known();
        let mut landed = self.follow(ask, known.as_ref().map(|known| &known.header)).await?;
        // A kept token may have been revoked, or be from before a right was given.
        let old = known.as_ref().and_then(|known| known.grant.as_deref());
        if let Some(grant) = old.filter(|_| landed.is_refused()) {
            self.client.tokens.forget(grant);
            if landed.reply.status == StatusCode::FORBIDDEN {
                landed = self.follow(ask, None).await?;
            }
        }
        let presented_all = known.is_some() && old.is_none();
        if presented_all && landed.is_refused() {
            self.client.ways.invalidate(&(self.endpoint.base.clone(), self.credential.cloned()));
        }
        if landed.reply.status == StatusCode::UNAUTHORIZED && !landed.redirected && !presented_all {
            let header = self.answer(&landed.reply).await?;
            landed = self.follow(ask, Some(&header)).await?;
        }
        if landed.is_refused() {
            let party = if landed.redirected { self.redirected() } else { self.party() };
            return Err(Trouble::new(Fault::Refused, format!("{party} answered {}", landed.reply.answered())));
        }
        Ok(landed.reply)
    }

    fn redirected(&self) -> Party<'_> {
        Party::Redirected(self.endpoint.authority())
    }

    /// What let us in last time.
    fn known(&self) -> Option<Presented> {
        if let Some(Credential::RegistryToken(token)) = self.credential {
            return Some(Presented { header: bearer(token.reveal())?, grant: None });
        }
        let way = self.client.ways.get(&(self.endpoint.base.clone(), self.credential.cloned()))?;
        match (way, self.credential) {
            (Way::Basic, Some(Credential::Basic { username, password })) => {
                Some(Presented { header: basic(username, password.reveal()), grant: None })
            }
            (Way::Basic, _) => None,
            (Way::Bearer { realm, service }, _) => {
                let grant = self.grant(realm, service, self.credential);
                let token = self.client.tokens.kept(&grant)?;
                Some(Presented { header: token.header, grant: Some(Arc::new(grant)) })
            }
        }
    }

    fn grant(&self, realm: Url, service: Option<String>, credential: Option<&Credential>) -> Grant {
        Grant {
            credential: credential
                .filter(|_| self.client.outbound.may_carry_credentials(self.endpoint, &realm))
                .cloned(),
            scope: format!("repository:{}:pull", self.repository),
            realm,
            service,
        }
    }

    /// What to present after a 401.
    async fn answer(&self, reply: &Reply) -> Result<HeaderValue, Trouble> {
        let party = self.party();
        let challenges = challenges(party, reply)?;
        let key = (self.endpoint.base.clone(), self.credential.cloned());
        let token_service = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer { realm, service } => Some((realm, service)),
            Challenge::Basic => None,
        });
        if let Some((realm, service)) = token_service {
            let realm = self.realm(self.endpoint, realm)?;
            let grant = Arc::new(self.grant(realm.clone(), service.clone(), self.credential));
            let token = self.token(Arc::clone(&grant)).await?;
            self.client.ways.insert(key, Way::Bearer { realm, service: service.clone() });
            return Ok(token);
        }
        match (challenges.first(), self.credential) {
            (Some(Challenge::Basic), Some(Credential::Basic { username, password })) => {
                self.client.ways.insert(key, Way::Basic);
                Ok(basic(username, password.reveal()))
            }
            _ => Err(Trouble::new(Fault::Refused, format!("{party} answered {}", reply.answered()))),
        }
    }

    fn realm(&self, endpoint: &Endpoint, realm: &str) -> Result<Url, Trouble> {
        let judged = self.client.outbound.realm(self.registry, endpoint, realm);
        judged.map_err(|Forbidden(words)| Trouble::new(Fault::Forbidden, words))
    }

    async fn token(&self, grant: Arc<Grant>) -> Result<HeaderValue, Trouble> {
        let asking = Asking {
            exchange: &self.client.exchange,
            http: http_to(self.endpoint, &grant.realm),
            registry: self.endpoint.authority(),
            until: self.until,
            patient: self.patient,
        };
        self.client.tokens.get(Arc::clone(&grant), &asking).await.map(|token| token.header)
    }

    /// Sends the question, and again wherever it is sent on to.
    async fn follow(&self, ask: &Ask<'_>, authorization: Option<&HeaderValue>) -> Result<Landed, Trouble> {
        let mut headers = self.endpoint.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let (mut reply, mut url) = (self.call(ask, self.party(), ask.url, headers).await?, ask.url.clone());
        let mut hops = 0;
        while is_redirect(&reply) {
            if hops == self.client.limits().redirects {
                return Err(self.broken(&format!("redirects more than {hops} times")));
            }
            // 303 is "see other": never content, but a page about it (GHCR's referrers).
            if reply.status == StatusCode::SEE_OTHER && ask.kind == Kind::Referrers {
                break;
            }
            let location = reply.headers.get(LOCATION).ok_or_else(|| self.broken("redirects without saying where"))?;
            url = self.client.outbound.redirect(&url, location).map_err(|Forbidden(words)| {
                // From the second on the words would hold a name that a server chose.
                let words =
                    if hops == 0 { words } else { format!("{} redirects where no request is sent", self.redirected()) };
                Trouble::new(Fault::Forbidden, words)
            })?;
            hops += 1;
            reply = self.hop(ask, &url).await?;
        }
        Ok(Landed { reply, redirected: hops > 0 })
    }

    /// Without any header of ours; with an anonymous token if that host asks for one.
    async fn hop(&self, ask: &Ask<'_>, url: &Url) -> Result<Reply, Trouble> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ask.accept));
        let reply = self.call(ask, self.redirected(), url, headers.clone()).await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        let stranger = Endpoint {
            base: url.clone(),
            resolve: false,
            pull: false,
            named: false,
            unverified: false,
            headers: HeaderMap::new(),
            namespace: None,
            origin: false,
            http: self.endpoint.elsewhere.clone(),
            elsewhere: self.endpoint.elsewhere.clone(),
        };
        for challenge in challenges(self.redirected(), &reply)? {
            let Challenge::Bearer { realm, service } = challenge else { continue };
            let judged = self.client.outbound.realm(stranger.authority(), &stranger, &realm);
            let Ok(realm) = judged else {
                return Err(Trouble::new(
                    Fault::Forbidden,
                    format!("{} names a token service that is not its own", self.redirected()),
                ));
            };
            let token = self.token(Arc::new(self.grant(realm, service, None))).await?;
            headers.insert(AUTHORIZATION, token);
            return self.call(ask, self.redirected(), url, headers).await;
        }
        Ok(reply)
    }

    async fn call(&self, ask: &Ask<'_>, party: Party<'_>, url: &Url, headers: HeaderMap) -> Result<Reply, Trouble> {
        let call = Call {
            http: http_to(self.endpoint, url),
            party,
            kind: ask.kind,
            method: ask.method.clone(),
            url,
            headers,
            form: None,
            most: ask.most,
            until: self.until,
            patient: self.patient,
        };
        self.client.exchange.send(&call).await
    }

    /// About this host: a clause that follows its name.
    pub(super) fn broken(&self, what: &str) -> Trouble {
        Trouble::new(Fault::Broken, format!("{} {what}", self.party()))
    }

    /// About this host: the bytes are others than was said.
    pub(super) fn mismatch(&self, what: &str) -> Trouble {
        Trouble::new(Fault::Mismatch, format!("{} {what}", self.party()))
    }
}

impl Landed {
    fn is_refused(&self) -> bool {
        matches!(self.reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }
}

fn is_redirect(reply: &Reply) -> bool {
    matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn challenges(party: Party<'_>, reply: &Reply) -> Result<Vec<Challenge>, Trouble> {
    parse(reply.headers.get_all(WWW_AUTHENTICATE)).map_err(|_| {
        Trouble::new(Fault::Broken, format!("{party} answered 401 with a WWW-Authenticate that cannot be read"))
    })
}
