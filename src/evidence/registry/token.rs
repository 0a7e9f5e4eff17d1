//! Bearer tokens: asked for at the token service that a registry names, as the distribution specification's
//! [token authentication](https://distribution.github.io/distribution/spec/auth/token/) has it.
//!
//! The scope is ours, never the challenge's. A token is kept by realm, service, scope and credential, so that nobody is
//! let in by another's; it is asked for once at a time, and is dropped before its end.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::fact::{Fault, Trouble};

use super::client::{Call, Exchange, Kind, Party, Reply};
use super::credentials::Credential;
use super::manifest::Fields;

mod challenge;

pub(super) use challenge::{Challenge, parse};

/// Bytes of one token: what fits the header of a request to any server.
const TOKEN: usize = 16 << 10;
/// Bytes of all tokens that are kept: some thousand real ones.
const KEPT: u64 = 8 << 20;
/// Bytes of what is kept for tokens that are being asked for, some thousand of them: beyond it one may be asked for twice.
const FLIGHTS: u64 = 1 << 20;
/// What a grant costs beside its texts, with the books of the cache.
const OVERHEAD: usize = 400;
/// What the specification says of an answer without `expires_in`.
const DEFAULT_LIFE: u64 = 60;
/// Nothing is kept for longer: whoever lost a right should lose it here too.
const LONGEST_LIFE: u64 = 3_600;
/// A token that ends so soon may end on its way.
const MARGIN: Duration = Duration::from_secs(10);

/// What a token is for, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    /// Judged already.
    pub(super) realm: Url,
    pub(super) service: Option<String>,
    pub(super) scope: String,
    /// None: for anybody.
    pub(super) credential: Option<Credential>,
}

impl Grant {
    /// Bytes in memory: realm and service are a server's own texts, of whatever length fits a challenge.
    fn weight(&self) -> usize {
        OVERHEAD + self.realm.as_str().len() + self.service.as_ref().map_or(0, String::len) + self.scope.len()
    }
}

/// A value of `Authorization`; does not print.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    ends: Instant,
}

impl Token {
    fn is_fresh(&self) -> bool {
        Instant::now() + MARGIN < self.ends
    }
}

/// What was refused to whoever waited for the same token; another asks again.
type Flight = Arc<Mutex<Option<(Trouble, Instant)>>>;

#[derive(Debug)]
pub(super) struct Tokens {
    kept: Cache<Arc<Grant>, Token>,
    flights: Cache<Arc<Grant>, Flight>,
}

/// Who asks a token service, and how.
pub(super) struct Asking<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) http: &'a reqwest::Client,
    pub(super) registry: &'a str,
    pub(super) until: Instant,
    pub(super) patient: bool,
}

impl Tokens {
    pub(super) fn new() -> Self {
        let weight = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let kept = move |grant: &Arc<Grant>, token: &Token| weight(grant.weight() + token.header.len());
        let flight = move |grant: &Arc<Grant>, _: &Flight| weight(grant.weight());
        Self {
            kept: Cache::builder()
                .weigher(kept)
                .max_capacity(KEPT)
                .time_to_live(Duration::from_secs(LONGEST_LIFE))
                .build(),
            flights: Cache::builder().weigher(flight).max_capacity(FLIGHTS).build(),
        }
    }

    /// Without asking.
    pub(super) fn kept(&self, grant: &Grant) -> Option<Token> {
        self.kept.get(grant).filter(Token::is_fresh)
    }

    pub(super) fn forget(&self, grant: &Grant) {
        self.kept.invalidate(grant);
    }

    /// The kept one, or another; of those who want the same at once one asks.
    pub(super) async fn get(&self, grant: Arc<Grant>, asking: &Asking<'_>) -> Result<Token, Trouble> {
        let came = Instant::now();
        let flight = self.flights.get_with(Arc::clone(&grant), Flight::default);
        let Ok(mut last) = timeout_at(asking.until, flight.lock()).await else {
            let party = Party::TokenService(asking.registry);
            return Err(Trouble::new(Fault::Deadline, format!("{party} did not answer in time")));
        };
        if let Some(token) = self.kept(&grant) {
            return Ok(token);
        }
        if let Some((trouble, _)) = last.as_ref().filter(|(_, at)| *at >= came) {
            return Err(trouble.clone());
        }
        match asking.ask(&grant).await {
            Ok(token) => {
                *last = None;
                if token.is_fresh() {
                    self.kept.insert(grant, token.clone());
                }
                Ok(token)
            }
            Err(trouble) => {
                // Whose clock ran out says nothing of the others' clocks.
                *last = (trouble.fault != Fault::Deadline).then(|| (trouble.clone(), Instant::now()));
                Err(trouble)
            }
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl Asking<'_> {
    fn party(&self) -> Party<'_> {
        Party::TokenService(self.registry)
    }

    async fn ask(&self, grant: &Grant) -> Result<Token, Trouble> {
        let asked = Instant::now();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut url = grant.realm.clone();
        let reply = if let Some(Credential::IdentityToken(token)) = &grant.credential {
            let form = form(grant, token.reveal());
            self.send(Method::POST, &url, headers, Some(&form)).await?
        } else {
            if let Some(Credential::Basic { username, password }) = &grant.credential {
                headers.insert(AUTHORIZATION, basic(username, password.reveal()));
            }
            add_query(&mut url, grant);
            self.send(Method::GET, &url, headers, None).await?
        };
        self.read(&reply, grant, asked)
    }

    async fn send(&self, method: Method, url: &Url, headers: HeaderMap, form: Option<&str>) -> Result<Reply, Trouble> {
        let call = Call {
            http: self.http,
            party: self.party(),
            kind: Kind::Token,
            method,
            url,
            headers,
            form,
            most: self.exchange.limits.token_bytes,
            until: self.until,
            patient: self.patient,
        };
        self.exchange.send(&call).await
    }

    fn read(&self, reply: &Reply, grant: &Grant, asked: Instant) -> Result<Token, Trouble> {
        let party = self.party();
        let broken = |what: &str| Trouble::new(Fault::Broken, format!("{party} {what}"));
        let refused = match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
            // RFC 6749, 5.2: a refresh token that is not valid.
            StatusCode::BAD_REQUEST => matches!(grant.credential, Some(Credential::IdentityToken(_))),
            _ => false,
        };
        if refused {
            return Err(Trouble::new(Fault::Refused, format!("{party} answered {}", reply.answered())));
        }
        if reply.status != StatusCode::OK {
            return Err(broken(&format!("answered {} instead of a token", reply.answered())));
        }
        if reply.content_type() == "text/html" {
            return Err(broken("answered with text/html instead of a token"));
        }
        let Ok(Fields(granted)) = serde_json::from_slice::<Fields<Granted>>(&reply.body) else {
            return Err(broken("sent something that is no token answer"));
        };
        let given = |token: &Option<String>| token.clone().filter(|token| !token.is_empty());
        let Some(token) = given(&granted.token).or_else(|| given(&granted.access_token)) else {
            return Err(broken("sent an answer without a token"));
        };
        if token.len() > TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(broken("sent a token that no header can hold"));
        }
        let header = bearer(&token).ok_or_else(|| broken("sent a token that no header can hold"))?;
        let life = granted.expires_in.unwrap_or(DEFAULT_LIFE).min(LONGEST_LIFE);
        Ok(Token { header, ends: asked + Duration::from_secs(life) })
    }
}

/// What the realm itself asks for is replaced: it is the registry's wish, not ours.
fn add_query(url: &mut Url, grant: &Grant) {
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !matches!(&**name, "scope" | "service"))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut pairs = url.query_pairs_mut();
    pairs.clear().extend_pairs(others);
    if let Some(service) = &grant.service {
        pairs.append_pair("service", service);
    }
    pairs.append_pair("scope", &grant.scope);
}

/// RFC 6749, 6, as the distribution specification uses it.
fn form(grant: &Grant, token: &str) -> String {
    let mut url = grant.realm.clone();
    url.set_query(None);
    url.query_pairs_mut()
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", grant.service.as_deref().unwrap_or_default())
        .append_pair("scope", &grant.scope)
        .append_pair("client_id", "pratique")
        .append_pair("refresh_token", token);
    url.query().unwrap_or_default().to_owned()
}

pub(super) fn basic(username: &str, password: &str) -> HeaderValue {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {text}")).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// None: no header can hold it.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(realm: &str) -> Grant {
        Grant {
            realm: Url::parse(realm).unwrap(),
            service: Some("r.example & co".to_owned()),
            scope: "repository:acme/app:pull".to_owned(),
            credential: None,
        }
    }

    #[test]
    fn the_scope_is_ours_whatever_the_realm_asks_for() {
        let mut grant = grant("https://a.example/t?scope=repository:other:pull,push&service=x&keep=1");
        let mut url = grant.realm.clone();
        add_query(&mut url, &grant);
        let expected = "keep=1&service=r.example+%26+co&scope=repository%3Aacme%2Fapp%3Apull";
        assert_eq!(url.query(), Some(expected));
        grant.service = None;
        add_query(&mut url, &grant);
        assert_eq!(url.query(), Some("keep=1&scope=repository%3Aacme%2Fapp%3Apull"));
    }

    #[test]
    fn what_is_kept_of_hostile_token_services_is_bounded_in_bytes() {
        let tokens = Tokens::new();
        for number in 0..4_000 {
            let service = Some("x".repeat(7 << 10));
            let grant = Arc::new(Grant { service, ..grant(&format!("https://a.example/{number}")) });
            let token = Token { header: bearer("x").unwrap(), ends: Instant::now() + MARGIN * 2 };
            tokens.kept.insert(Arc::clone(&grant), token);
            tokens.flights.insert(grant, Flight::default());
        }
        tokens.kept.run_pending_tasks();
        tokens.flights.run_pending_tasks();
        let services = (tokens.kept.entry_count() + tokens.flights.entry_count()) * (7 << 10);
        assert!(tokens.kept.entry_count() > 500 && services <= KEPT + FLIGHTS, "{services} bytes");
    }

    #[test]
    fn a_refresh_token_travels_in_a_form() {
        assert_eq!(
            form(&grant("https://a.example/t?keep=1"), "a&b"),
            "grant_type=refresh_token&service=r.example+%26+co&scope=repository%3Aacme%2Fapp%3Apull&client_id=pratique&refresh_token=a%26b"
        );
    }

    #[test]
    fn a_header_with_a_secret_does_not_print() {
        assert_eq!(format!("{:?}", basic("alice", "hunter2")), "Sensitive");
        assert_eq!(format!("{:?}", bearer("hunter2").unwrap()), "Sensitive");
        assert_eq!(basic("alice", "hunter2").to_str().unwrap(), "Basic YWxpY2U6aHVudGVyMg==");
    }
}
