//! Who may see what: Basic, or tokens of the token service at `/token` as docker's registries and their clients do it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderMap, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use serde_json::json;

use super::answer::Answer;
use super::route::{Target, pairs, value};
use super::server::Request;

/// How requests are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Open,
    Basic,
    Token,
}

/// Somebody with a password.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    /// Prefixes of what is private and theirs.
    pub(super) repositories: Vec<String>,
    /// An OAuth 2 refresh token.
    pub(super) identity: Option<String>,
}

/// What a bearer token is good for.
#[derive(Debug)]
pub(super) struct Grant {
    repositories: Vec<String>,
    until: Instant,
}

/// The tokens that are out; registries can share them.
pub(super) type Issued = Arc<Mutex<HashMap<String, Grant>>>;

/// The rules.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) scheme: Scheme,
    pub(super) users: Mutex<Vec<User>>,
    /// Prefixes of what nobody sees without being somebody.
    pub(super) private: Vec<String>,
    pub(super) realm: String,
    pub(super) service: String,
    pub(super) lifetime: Duration,
    /// The token service refuses nobody who is who he says: his token is just good for nothing.
    pub(super) empty_tokens: bool,
    pub(super) issued: Issued,
}

impl Access {
    /// Whether a request may see what it asks for, or what it is told instead.
    pub(super) fn judge(&self, target: &Target, authorization: Option<&str>) -> Result<(), Box<Answer>> {
        if matches!(target, Target::Token | Target::Other) {
            return Ok(());
        }
        match self.scheme {
            Scheme::Open => Ok(()),
            Scheme::Basic => self.judge_basic(target, authorization),
            Scheme::Token => self.judge_bearer(target, authorization),
        }
    }

    fn judge_basic(&self, target: &Target, authorization: Option<&str>) -> Result<(), Box<Answer>> {
        let Some(user) = authorization.and_then(basic).and_then(|(name, password)| self.user(&name, &password)) else {
            return Err(Box::new(unauthorized().header(WWW_AUTHENTICATE, "Basic realm=\"registry\"")));
        };
        match target.repository() {
            Some(repository) if !self.may_see(Some(&user), repository) => Err(Box::new(denied())),
            Some(_) | None => Ok(()),
        }
    }

    fn judge_bearer(&self, target: &Target, authorization: Option<&str>) -> Result<(), Box<Answer>> {
        let refuse = |error: Option<&str>| {
            let mut challenge = format!("Bearer realm=\"{}\",service=\"{}\"", self.realm, self.service);
            if let Some(repository) = target.repository() {
                challenge = format!("{challenge},scope=\"repository:{repository}:pull\"");
            }
            if let Some(error) = error {
                challenge = format!("{challenge},error=\"{error}\"");
            }
            Err(Box::new(unauthorized().header(WWW_AUTHENTICATE, &challenge)))
        };
        let Some(token) = authorization.and_then(|text| of_scheme(text, "bearer")) else { return refuse(None) };
        let issued = self.issued();
        let Some(grant) = issued.get(token).filter(|grant| Instant::now() < grant.until) else {
            return refuse(Some("invalid_token"));
        };
        match target.repository() {
            Some(repository) if !grant.repositories.iter().any(|granted| granted == repository) => {
                refuse(Some("insufficient_scope"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The token service: GET as docker has it, POST as OAuth 2 has it.
    pub(super) fn token(&self, request: &Request) -> Answer {
        let form = if request.method == Method::POST { pairs(&request.body) } else { request.query.clone() };
        let Ok(user) = self.caller(request, &form) else { return unauthorized() };
        let scopes = form.iter().filter(|(key, _)| key == "scope").flat_map(|(_, scopes)| scopes.split(' '));
        let wanted = scopes.filter_map(|scope| scope.strip_prefix("repository:")?.rsplit_once(':'));
        let wanted: Vec<String> = wanted.map(|(repository, _)| repository.to_owned()).collect();
        let (granted, refused): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|repository| self.may_see(user.as_ref(), repository));
        if !refused.is_empty() && !self.empty_tokens {
            return if user.is_some() { denied() } else { unauthorized() };
        }
        let token = self.issue(granted);
        let body = json!({"token": token, "access_token": token, "expires_in": self.lifetime.as_secs()});
        Answer::content(StatusCode::OK, "application/json", body.to_string())
    }

    /// Who asks for a token: nobody in particular, or somebody who can show it.
    fn caller(&self, request: &Request, form: &[(String, String)]) -> Result<Option<User>, ()> {
        if self.scheme == Scheme::Open {
            return Ok(None);
        }
        if let Some(token) = value(form, "refresh_token") {
            let users = self.users();
            let user = users.iter().find(|user| user.identity.as_deref() == Some(token));
            return user.cloned().map(Some).ok_or(());
        }
        let in_form = value(form, "password").map(|password| (value(form, "username").unwrap_or_default(), password));
        let in_form = in_form.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let credential = match request.authorization() {
            Some(authorization) => Some(basic(&authorization).ok_or(())?),
            None => in_form,
        };
        let Some((name, password)) = credential else { return Ok(None) };
        self.user(&name, &password).map(Some).ok_or(())
    }

    fn user(&self, name: &str, password: &str) -> Option<User> {
        self.users().iter().find(|user| user.name == name && user.password == password).cloned()
    }

    fn users(&self) -> MutexGuard<'_, Vec<User>> {
        self.users.lock().expect("no panic while it is held")
    }

    pub(super) fn set_password(&self, name: &str, password: &str) {
        for user in self.users().iter_mut().filter(|user| user.name == name) {
            password.clone_into(&mut user.password);
        }
        self.revoke_tokens();
    }

    fn may_see(&self, user: Option<&User>, repository: &str) -> bool {
        let covers = |prefixes: &[String]| prefixes.iter().any(|prefix| is_below(repository, prefix));
        let private = covers(&self.private) || self.users().iter().any(|user| covers(&user.repositories));
        !private || user.is_some_and(|user| covers(&user.repositories))
    }

    pub(super) fn issue(&self, repositories: Vec<String>) -> String {
        let mut random = [0; 16];
        rand::fill(&mut random).expect("there is randomness");
        let token = format!("token-{}", random.map(|byte| format!("{byte:02x}")).concat());
        let until = Instant::now() + self.lifetime;
        self.issued().insert(token.clone(), Grant { repositories, until });
        token
    }

    pub(super) fn revoke_tokens(&self) {
        self.issued().clear();
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<String, Grant>> {
        self.issued.lock().expect("no panic while it is held")
    }
}

/// By component: `team` is above `team/app`, not above `teamster`.
fn is_below(repository: &str, prefix: &str) -> bool {
    let rest = repository.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn unauthorized() -> Answer {
    Answer::error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
}

fn denied() -> Answer {
    Answer::error(StatusCode::FORBIDDEN, "DENIED", "requested access to the resource is denied")
}

/// The rest of an `Authorization` of this scheme.
fn of_scheme<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (its, rest) = authorization.split_once(' ')?;
    its.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = STANDARD.decode(of_scheme(authorization, "basic")?).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// As it came, the first where there are more.
pub(super) fn authorization(headers: &HeaderMap) -> Option<String> {
    headers.get(hyper::header::AUTHORIZATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
