//! One request and its answer: admitted, bounded in time and size, judged as far as the transport goes, and counted.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::{Instant, sleep, timeout_at};

use crate::fact::{Fault, Trouble};

use super::super::capacity::{Authority, Capacity, Change, Health, Held, Metrics, Outcome, quiet};
use super::failure::{Answered, Failed, Kind, Party, Size};
use super::{Limits, authority_of};

/// Some registries answer 403 to whoever does not say who they are.
const PROGRAM: HeaderValue = HeaderValue::from_static(concat!("pratique/", env!("CARGO_PKG_VERSION")));

/// One request.
pub(in super::super) struct Call<'a> {
    pub(in super::super) http: &'a reqwest::Client,
    pub(in super::super) party: Party<'a>,
    pub(in super::super) kind: Kind,
    pub(in super::super) method: Method,
    pub(in super::super) url: &'a Url,
    pub(in super::super) headers: HeaderMap,
    /// Sent with POST.
    pub(in super::super) form: Option<&'a str>,
    /// Bytes of an answer with success.
    pub(in super::super) most: usize,
    pub(in super::super) until: Instant,
    /// Nobody else is left to be asked: a 429 is waited for.
    pub(in super::super) patient: bool,
}

/// An answer. Neither 429 nor 408 nor 5xx: those are troubles.
#[derive(Debug)]
pub(in super::super) struct Reply {
    pub(in super::super) status: StatusCode,
    pub(in super::super) headers: HeaderMap,
    /// Of an error, as far as it was read.
    pub(in super::super) body: Body,
}

impl Reply {
    pub(in super::super) fn answered(&self) -> Answered<'_> {
        Answered(self.status, &self.body)
    }

    /// What the body is said to be, without parameters and in lower case; empty where nothing is said.
    pub(in super::super) fn content_type(&self) -> String {
        let text = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }
}

/// Bytes that count as in flight until they are dropped.
#[derive(Debug)]
pub(in super::super) struct Body {
    bytes: Vec<u8>,
    held: Held,
    cut: bool,
}

impl Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body {
    /// Whether there was more than was asked for. Only a blob's: what else is too long is no answer.
    pub(in super::super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// From here on somebody else counts them.
    pub(in super::super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Room is counted before it is allocated, and at most doubled.
    fn append(&mut self, chunk: &[u8], most: usize, limits: &Limits, party: Party<'_>) -> Result<(), Failed> {
        let (length, room) = (self.bytes.len() + chunk.len(), self.bytes.capacity());
        if length > room {
            let capacity = length.max((room * 2).min(most));
            self.held.grow(capacity - room, limits).map_err(|full| Failed::full(party, full))?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

/// Sends requests.
#[derive(Debug)]
pub(in super::super) struct Exchange {
    pub(in super::super) capacity: Capacity,
    pub(in super::super) metrics: Metrics,
    pub(in super::super) limits: Limits,
}

impl Exchange {
    /// Once; after a lost connection or a 5xx once more; after a 429 once more if that is worth waiting for.
    pub(in super::super) async fn send(&self, call: &Call<'_>) -> Result<Reply, Trouble> {
        let authority = self.capacity.authority(&account_of(call.party, call.url));
        let failed = match self.once(call, &authority).await {
            Ok(reply) => return Ok(reply),
            Err(failed) => failed,
        };
        let jitter = Duration::from_millis(fastrand::u64(0..=self.limits.jitter));
        let pause = match failed.health {
            Health::Quiet(rest) if call.patient => rest + jitter,
            Health::Well | Health::Outage | Health::Unknown if failed.again => self.limits.pause + jitter,
            Health::Quiet(_) | Health::Well | Health::Outage | Health::Unknown => return Err(failed.trouble),
        };
        if Instant::now() + pause >= call.until {
            return Err(failed.trouble);
        }
        sleep(pause).await;
        match self.once(call, &authority).await {
            Ok(reply) => Ok(reply),
            // That it is left alone is told by what happened before.
            Err(second) if second.outcome == Outcome::Shed => Err(failed.trouble),
            Err(second) => Err(second.trouble),
        }
    }

    async fn once(&self, call: &Call<'_>, authority: &Arc<Authority>) -> Result<Reply, Failed> {
        let registry = call.party.registry();
        let admission = match authority.enter(call.until).await {
            Ok(admission) => admission,
            Err(shed) => {
                self.metrics.count(registry, Outcome::Shed, None);
                return Err(Failed::shed(call.party, shed));
            }
        };
        let started = Instant::now();
        let result = self.transfer(call, authority, started).await;
        let took = started.elapsed();
        let (outcome, health) = match &result {
            Ok(reply) => (outcome_of(reply.status), Health::Well),
            Err(failed) => (failed.outcome, failed.health),
        };
        match admission.settle(health) {
            Some(Change::LeftAlone(pause)) => {
                tracing::warn!(host = %call.party, seconds = pause.as_secs(), "does not answer, is left alone");
            }
            Some(Change::WellAgain) => tracing::warn!(host = %call.party, "answers again"),
            None => {}
        }
        self.metrics.count(registry, outcome, Some(took));
        tracing::debug!(
            host = %call.party,
            method = %call.method,
            kind = call.kind.label(),
            status = result.as_ref().ok().map(|reply| reply.status.as_u16()),
            outcome = outcome.label(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "registry request"
        );
        result
    }

    async fn transfer(&self, call: &Call<'_>, authority: &Arc<Authority>, started: Instant) -> Result<Reply, Failed> {
        let party = call.party;
        let (begin, end) = (started + self.limits.header_wait, started + self.limits.exchange);
        let mut headers = call.headers.clone();
        headers.entry(USER_AGENT).or_insert(PROGRAM);
        let mut request = call.http.request(call.method.clone(), call.url.clone()).headers(headers);
        if let Some(form) = call.form {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let mut response = match timeout_at(begin.min(call.until), request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Failed::transport(party, &error)),
            Err(_) => {
                return Err(Failed::late(format!("{party} did not begin to answer in time"), begin <= call.until));
            }
        };
        check_headers(&response, party, &self.limits)?;
        let status = response.status();
        let mut body = Body { bytes: Vec::new(), held: self.capacity.hold(authority), cut: false };
        if status.is_success() && call.method != Method::HEAD {
            check_encoding(&response, party)?;
            match timeout_at(end.min(call.until), self.read(&mut response, call, &mut body)).await {
                Ok(read) => read?,
                Err(_) => {
                    return Err(Failed::late(format!("{party} did not finish its answer in time"), end <= call.until));
                }
            }
        } else if status.is_client_error() || status.is_server_error() {
            self.read_error(&mut response, call, &mut body).await;
        }
        let headers = std::mem::take(response.headers_mut());
        let reply = Reply { status, headers, body };
        trouble_of(call, &reply).map_or(Ok(reply), Err)
    }

    async fn read(&self, response: &mut Response, call: &Call<'_>, body: &mut Body) -> Result<(), Failed> {
        let (party, most) = (call.party, call.most);
        let too_much = |body: &mut Body| {
            body.cut = call.kind == Kind::Blob;
            let words = || format!("{party} sent more than {} for {}", Size(most), call.kind);
            if body.cut { Ok(()) } else { Err(Failed::broken(words())) }
        };
        let said = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if said.is_some_and(|said| usize::try_from(said).map_or(true, |said| said > most)) {
            return too_much(body);
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| Failed::transport(party, &error))? {
            if chunk.len() > most.saturating_sub(body.len()) {
                return too_much(body);
            }
            body.append(&chunk, most, &self.limits, party)?;
        }
        Ok(())
    }

    /// As much of an error as there is at hand: only its code is of interest, and the status is known.
    async fn read_error(&self, response: &mut Response, call: &Call<'_>, body: &mut Body) {
        let until = (Instant::now() + self.limits.error_wait).min(call.until);
        let most = self.limits.error_bytes;
        while let Ok(Ok(Some(chunk))) = timeout_at(until, response.chunk()).await {
            let chunk = chunk.get(..most - body.len()).unwrap_or(&chunk);
            if body.append(chunk, most, &self.limits, call.party).is_err() || body.len() == most {
                return;
            }
        }
    }
}

/// On whose account a request is. Where a registry sends us to is its choice, so what happens there is held against that
/// registry alone: else whoever names a registry of his own could have any other left alone.
fn account_of(party: Party<'_>, url: &Url) -> String {
    let host = authority_of(url);
    match party {
        Party::Redirected(by) | Party::TokenService(by) if by != host => format!("{by} {host}"),
        Party::Registry(_) | Party::Redirected(_) | Party::TokenService(_) => host,
    }
}

fn check_headers(response: &Response, party: Party<'_>, limits: &Limits) -> Result<(), Failed> {
    let headers = response.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > limits.headers || bytes > limits.header_bytes {
        return Err(Failed::broken(format!("{party} sent more header than is read")));
    }
    Ok(())
}

/// We ask for none, and what we do not unpack cannot be a bomb.
fn check_encoding(response: &Response, party: Party<'_>) -> Result<(), Failed> {
    let mut encodings = response.headers().get_all(CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Failed::broken(format!("{party} sent a compressed answer, which was not asked for")))
}

/// What is no answer, whatever was asked.
fn trouble_of(call: &Call<'_>, reply: &Reply) -> Option<Failed> {
    let words = || format!("{} answered {}", call.party, reply.answered());
    if reply.status == StatusCode::TOO_MANY_REQUESTS {
        let rest = quiet::asked_for(reply.headers.get(RETRY_AFTER), SystemTime::now());
        let words = format!("{}: asked again in {} s", words(), rest.as_secs_f64().ceil());
        return Some(Failed::new(Fault::Outage, words, Outcome::Limited, Health::Quiet(rest)));
    }
    // What registries without the referrers API say.
    let has_no_api = reply.status == StatusCode::NOT_IMPLEMENTED && call.kind == Kind::Referrers;
    if reply.status.is_server_error() && !has_no_api || reply.status == StatusCode::REQUEST_TIMEOUT {
        let failed = Failed::new(Fault::Outage, words(), Outcome::Failed, Health::Outage);
        return Some(Failed { again: true, ..failed });
    }
    None
}

fn outcome_of(status: StatusCode) -> Outcome {
    match status {
        StatusCode::OK => Outcome::Success,
        StatusCode::UNAUTHORIZED => Outcome::Challenged,
        StatusCode::FORBIDDEN => Outcome::Refused,
        StatusCode::NOT_FOUND => Outcome::Absent,
        status if status.is_redirection() => Outcome::Redirected,
        _ => Outcome::Broken,
    }
}
