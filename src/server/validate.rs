//! `POST /validate`: from HTTP to bytes with a deadline, and back. In a cluster `POST /validate/imagepolicies` beside it.
//!
//! Refuses by status: 404, 405, 415, 413, 408, 400, and 503 with `Retry-After`, which API servers try again, when there is
//! no room. 500 stands for a bug of ours. Only a whole body in time becomes a review.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::admission::{Malformed, Reply};
use crate::review::Review;
use crate::server::capacity::Seat;
use crate::server::guard::{guard, text};
use crate::server::{Bounds, Drain};

pub use policies::{Lint, Linting};

mod policies;

/// Statuses that stand for a refusal, so that each is there to be alerted on before its first.
const REFUSALS: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// The router of the webhook's listener; what it refuses is counted on `registry`.
pub fn router(
    review: Arc<Review>,
    bounds: &Bounds,
    drain: Drain,
    registry: &Registry,
) -> Result<Router, prometheus::Error> {
    router_with(review, None, bounds, drain, registry)
}

/// The same, and where there is a linter it is asked at `/validate/imagepolicies`.
pub fn router_with(
    review: Arc<Review>,
    lint: Option<Lint>,
    bounds: &Bounds,
    drain: Drain,
    registry: &Registry,
) -> Result<Router, prometheus::Error> {
    let help = "Requests that were answered without a review, by HTTP status";
    let refusals = IntCounterVec::new(Opts::new("pratique_http_refusals_total", help), &["status"])?;
    registry.register(Box::new(refusals.clone()))?;
    for status in REFUSALS {
        refusals.with_label_values(&[status.as_str()]);
    }
    let count = move |response: Response| {
        if response.status() != StatusCode::OK {
            refusals.with_label_values(&[response.status().as_str()]).inc();
        }
        std::future::ready(response)
    };
    let answer = move |body: Vec<u8>, deadline| {
        let review = Arc::clone(&review);
        async move { review.answer(&body, deadline).await }
    };
    let policies = lint.map(|lint| policies::desk(lint, bounds));
    Ok(routes(desk(answer, bounds), policies, drain).layer(axum::middleware::map_response(count)))
}

/// What is answered where, and what everything else gets.
pub(super) fn routes(validate: MethodRouter, policies: Option<MethodRouter>, drain: Drain) -> Router {
    let router = Router::new().route("/validate", validate);
    let router = match policies {
        Some(policies) => router.route(policies::PATH, policies),
        None => router,
    };
    router
        .fallback(|request: Request| async move { Refusal::Path(request.uri().path().to_owned()) })
        .layer(axum::middleware::from_fn_with_state(drain, guard))
}

/// Around any function from body and deadline to an answer.
pub(super) fn desk<A, F>(answer: A, bounds: &Bounds) -> MethodRouter
where
    A: Fn(Vec<u8>, Instant) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, Malformed>> + Send + 'static,
{
    let desk = Arc::new(Desk {
        answer,
        bounds: bounds.clone(),
        requests: Semaphore::new(bounds.requests),
        crowded: Notify::new(),
        pool: Semaphore::new(bounds.body_pool),
    });
    any(move |request: Request| {
        let desk = Arc::clone(&desk);
        async move { desk.take(request).await }
    })
}

/// How long a request waits for the place of one that was told to leave: some turns of the scheduler.
const LEAVING: Duration = Duration::from_millis(50);

struct Desk<A> {
    answer: A,
    bounds: Bounds,
    requests: Semaphore,
    /// Somebody found no room.
    crowded: Notify,
    /// Bytes that bodies may still take beyond what is free.
    pool: Semaphore,
}

impl<A, F> Desk<A>
where
    A: Fn(Vec<u8>, Instant) -> F,
    F: Future<Output = Result<Reply, Malformed>>,
{
    async fn take(&self, request: Request) -> Result<Response, Refusal> {
        let arrival = Instant::now();
        if request.method() != Method::POST {
            return Err(Refusal::Method(request.method().clone()));
        }
        json(request.headers())?;
        let _room = self.room().await?;
        let timeout = timeout(request.uri().query(), &self.bounds);
        let seat = request.extensions().get::<Arc<Seat>>().cloned();

        let deadline = arrival + before(timeout, self.bounds.margin);
        let by = deadline.min(arrival + self.bounds.body_time);
        let body = self.arriving(request.into_body(), arrival);
        let body = tokio::time::timeout_at(by.into(), body).await.map_err(|_| Refusal::SlowBody)??;

        let judging = seat.as_ref().map(Seat::judging);
        // The review answers by its deadline. Were it ever to hang, it must not keep its place for ever.
        let answer = tokio::time::timeout_at((arrival + timeout).into(), (self.answer)(body.bytes, deadline));
        let reply = answer.await.map_err(|_| Refusal::NoAnswer(timeout))?.map_err(Refusal::Malformed)?;
        if let Some(judging) = judging {
            judging.answered();
        }
        Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], reply.body).into_response())
    }

    /// A place for one more request. Where there is none, those whose bodies do not come are told to leave.
    async fn room(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Ok(room) = self.requests.try_acquire() {
            return Ok(room);
        }
        self.crowded.notify_waiters();
        let room = tokio::time::timeout(LEAVING, self.requests.acquire()).await;
        room.ok().and_then(Result::ok).ok_or(Refusal::Busy)
    }

    /// The whole body, unless others need the place of one that stalls.
    async fn arriving(&self, body: Body, arrival: Instant) -> Result<Held<'_>, Refusal> {
        let mut body = pin!(self.read(body));
        loop {
            tokio::select! {
                biased;
                body = &mut body => return body,
                () = self.crowded.notified() => {
                    if arrival.elapsed() > self.bounds.body_patience {
                        return Err(Refusal::SlowBody);
                    }
                }
            }
        }
    }

    async fn read(&self, body: Body) -> Result<Held<'_>, Refusal> {
        let limit = self.bounds.body;
        // What Content-Length announces is refused before a byte is read.
        if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(Refusal::TooLarge { limit });
        }
        let mut held = Held { bytes: Vec::new(), share: None };
        let mut body = pin!(body);
        while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let Ok(data) = frame.map_err(|error| Refusal::CutBody(error.to_string()))?.into_data() else {
                continue; // trailers say nothing about a review
            };
            if data.len() > limit - held.bytes.len() {
                return Err(Refusal::TooLarge { limit });
            }
            held.make_room(data.len(), &self.bounds, &self.pool)?;
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }
}

/// A body and its share of the pool.
struct Held<'a> {
    bytes: Vec<u8>,
    share: Option<SemaphorePermit<'a>>,
}

impl<'a> Held<'a> {
    /// Grows by doubling, like `Vec` itself, and pays for what it takes before it takes it.
    fn make_room(&mut self, more: usize, bounds: &Bounds, pool: &'a Semaphore) -> Result<(), Refusal> {
        let needed = self.bytes.len() + more;
        if needed <= self.bytes.capacity() {
            return Ok(());
        }
        let room = needed.max(2 * self.bytes.capacity()).min(bounds.body);
        let paid = self.share.as_ref().map_or(0, SemaphorePermit::num_permits);
        let owed = room.saturating_sub(bounds.body_free).saturating_sub(paid);
        if owed > 0 {
            let owed = u32::try_from(owed).map_err(|_| Refusal::Busy)?;
            let share = pool.try_acquire_many(owed).map_err(|_| Refusal::Busy)?;
            match &mut self.share {
                Some(paid) => paid.merge(share),
                None => self.share = Some(share),
            }
        }
        self.bytes.reserve_exact(room - self.bytes.len());
        Ok(())
    }
}

/// Whether the headers announce plain JSON.
fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    let name = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = name.split(';').next().unwrap_or_default().trim();
    if second.is_some() || !media.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::ContentType(name.to_owned()));
    }
    // API servers never compress; unpacking would need bounds of its own.
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Refusal::ContentEncoding),
        Some(_) | None => Ok(()),
    }
}

/// How long the caller waits. The API server writes whole seconds as Go prints a duration; what cannot be read is taken
/// as not sent, which is the API server's own default.
fn timeout(query: Option<&str>, bounds: &Bounds) -> Duration {
    let mut pairs = query.unwrap_or_default().split('&');
    let sent = pairs.find_map(|pair| pair.strip_prefix("timeout="));
    sent.and_then(|text| text.parse::<jiff::SignedDuration>().ok())
        .filter(jiff::SignedDuration::is_positive)
        .map_or(bounds.timeout, jiff::SignedDuration::unsigned_abs)
        .min(bounds.timeout_cap)
}

/// The time to think: the margin less than the caller waits, and half of it where the margin would eat more.
fn before(timeout: Duration, margin: Duration) -> Duration {
    timeout.saturating_sub(margin).max(timeout / 2)
}

/// Why a request is no review.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    Path(String),
    Method(Method),
    ContentType(String),
    ContentEncoding,
    TooLarge { limit: usize },
    SlowBody,
    CutBody(String),
    Malformed(Malformed),
    Busy,
    NoAnswer(Duration),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Path(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) | Self::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::CutBody(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoAnswer(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Path(path) => format!("there is nothing at {path:?}; send reviews to POST /validate"),
            Self::Method(method) => format!("{method} is not answered here; send reviews to POST /validate"),
            Self::ContentType(found) if found.is_empty() => {
                "the content type is missing; send an AdmissionReview as application/json".to_owned()
            }
            Self::ContentType(found) => {
                format!("content type {found:?} is not understood; send an AdmissionReview as application/json")
            }
            Self::ContentEncoding => {
                "compressed bodies are not understood; send the AdmissionReview as it is".to_owned()
            }
            Self::TooLarge { limit } => {
                format!(
                    "the body is larger than {limit} bytes, more than two objects of an API server; send a smaller one"
                )
            }
            Self::SlowBody => "the body did not come in time; send it at once with its headers".to_owned(),
            Self::CutBody(why) => format!("the body could not be read to its end: {why}; send it again"),
            Self::Malformed(Malformed(why)) => why.clone(),
            Self::Busy => "too many reviews at once; try again in a second".to_owned(),
            Self::NoAnswer(waited) => {
                format!("this review met a bug in pratique: it had no answer after {waited:?}; please report it")
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let sentence = self.sentence();
        tracing::debug!(%status, %sentence, "request refused");
        let mut response = text(status, sentence);
        let headers = response.headers_mut();
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_read_as_go_prints_it_and_garbage_is_the_default() {
        let bounds = Bounds::default();
        let read = |query: &str| timeout(Some(query), &bounds);
        for (query, expected) in [
            ("timeout=10s", Duration::from_secs(10)),
            ("timeout=3s", Duration::from_secs(3)),
            ("timeout=500ms", Duration::from_millis(500)),
            ("timeout=1.5s", Duration::from_millis(1500)),
            ("a=b&timeout=2s&c", Duration::from_secs(2)),
            ("timeout=1m30s", bounds.timeout_cap),
            ("timeout=1h0m0s", bounds.timeout_cap),
            ("timeout=9999999h", bounds.timeout_cap),
            ("timeout=99999999999999999999s", bounds.timeout),
            ("timeout=0s", bounds.timeout),
            ("timeout=-5s", bounds.timeout),
            ("timeout=", bounds.timeout),
            ("timeout=soon", bounds.timeout),
            ("mytimeout=2s", bounds.timeout),
            ("", bounds.timeout),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
        assert_eq!(timeout(None, &bounds), bounds.timeout);
    }

    #[test]
    fn the_margin_never_eats_more_than_half_of_the_time() {
        let margin = Duration::from_millis(300);
        assert_eq!(before(Duration::from_secs(10), margin), Duration::from_millis(9700));
        assert_eq!(before(Duration::from_secs(1), margin), Duration::from_millis(700));
        assert_eq!(before(Duration::from_millis(400), margin), Duration::from_millis(200));
        assert_eq!(before(Duration::from_millis(100), margin), Duration::from_millis(50));
    }

    #[test]
    fn only_json_is_json() {
        let announced = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_TYPE, HeaderValue::from_str(value).unwrap());
            }
            json(&headers)
        };
        assert_eq!(announced(&["application/json"]), Ok(()));
        assert_eq!(announced(&["Application/JSON ; charset=utf-8"]), Ok(()));
        for wrong in ["application/jsonp", "application/yaml", "text/json", "", ";application/json"] {
            assert_eq!(announced(&[wrong]), Err(Refusal::ContentType(wrong.to_owned())));
        }
        assert_eq!(announced(&[]), Err(Refusal::ContentType(String::new())));
        let twice = announced(&["application/json", "application/json"]);
        assert_eq!(twice, Err(Refusal::ContentType("application/json".to_owned())));
    }

    #[test]
    fn large_bodies_share_one_pool_and_give_their_share_back() {
        let bounds = Bounds { body: 1000, body_free: 100, body_pool: 1000, ..Bounds::default() };
        let pool = Semaphore::new(bounds.body_pool);
        let mut small = Held { bytes: Vec::new(), share: None };
        assert_eq!(small.make_room(100, &bounds, &pool), Ok(()));
        assert_eq!(pool.available_permits(), 1000);

        let mut large = Held { bytes: vec![0; 100], share: None };
        assert_eq!(large.make_room(600, &bounds, &pool), Ok(()));
        assert_eq!(pool.available_permits(), 400);
        let mut second = Held { bytes: vec![0; 100], share: None };
        assert_eq!(second.make_room(600, &bounds, &pool), Err(Refusal::Busy));
        drop(large);
        assert_eq!(pool.available_permits(), 1000);
        assert_eq!(second.make_room(600, &bounds, &pool), Ok(()));
    }
}
