//! What a registry may do instead of answering, and when.

use std::sync::Arc;
use std::time::Duration;

use super::route::Route;

/// What a request meets instead of the answer. "The answer" is what the honest registry would have said.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Exactly this.
    Status { code: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// 200 and the answer's headers, then spaces without end and without a Content-Length.
    EndlessBody,
    /// 200 and a body of so many bytes, which its Content-Length says: the answer's, then spaces.
    LongBody(u64),
    /// 200 and a Content-Length that is not the body's.
    LyingLength { says: u64, sends: u64 },
    /// Takes the request and never says a word.
    SlowHeaders,
    /// The answer, a byte per interval.
    DrippingBody(Duration),
    /// `Location: to`, as it stands.
    Redirect { status: u16, to: String },
    /// The answer with one more newline: JSON that reads the same, honest headers, another hash.
    WrongBytes,
    /// The answer with this `Docker-Content-Digest`.
    LyingDigestHeader(String),
    /// The answer without one.
    NoDigestHeader,
    /// Each time the next of these manifests, round and round, with honest headers.
    Alternate(Vec<(String, Vec<u8>)>),
    /// Closes the connection instead of answering; over h2 the stream is reset.
    Reset,
    /// The answer's headers and half of its body, then as [`Self::Reset`].
    ResetMidBody,
    /// 200 and the answer's headers with `Content-Encoding: gzip`: a megabyte on the wire, a gibibyte of zeros inside.
    GzipBomb,
    /// A page for people, as proxies send them.
    Html(u16),
    /// 401 with this `WWW-Authenticate`, whoever asks.
    Challenge(String),
    /// 401 without any, whoever asks.
    BareUnauthorized,
    /// 429 with this `Retry-After`.
    TooManyRequests { retry_after: String },
    /// The answer, later.
    Delay(Duration),
    /// An error that repeats the `Authorization` that came with the request; a request without one is judged as always.
    EchoAuthorization { status: u16 },
}

impl Behaviour {
    /// A status with an error body as the specification has it.
    #[must_use]
    pub fn status(code: u16) -> Self {
        let body = br#"{"errors":[{"code":"UNKNOWN","message":"the test wants it so"}]}"#.to_vec();
        Self::Status { code, headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body }
    }

    /// 307 to this URL.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::Redirect { status: 307, to: to.into() }
    }

    /// Whether it comes before the question of access.
    fn asks_nobody(&self, authorized: bool) -> bool {
        match self {
            Self::Challenge(_) | Self::BareUnauthorized => true,
            Self::EchoAuthorization { .. } => authorized,
            Self::Status { .. }
            | Self::EndlessBody
            | Self::LongBody(_)
            | Self::LyingLength { .. }
            | Self::SlowHeaders
            | Self::DrippingBody(_)
            | Self::Redirect { .. }
            | Self::WrongBytes
            | Self::LyingDigestHeader(_)
            | Self::NoDigestHeader
            | Self::Alternate(_)
            | Self::Reset
            | Self::ResetMidBody
            | Self::GzipBomb
            | Self::Html(_)
            | Self::TooManyRequests { .. }
            | Self::Delay(_) => false,
        }
    }
}

/// What was said of the requests to come.
#[derive(Debug, Default)]
pub(super) struct Behaviours {
    next: Vec<Entry>,
    always: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    route: Route,
    /// How many requests are still to meet it; all without.
    left: Option<usize>,
    behaviour: Arc<Behaviour>,
    served: usize,
}

/// Which request, as far as behaviours go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion {
    pub(super) route: Route,
    /// It may see what it asks for.
    pub(super) may_pass: bool,
    /// It brought an `Authorization`.
    pub(super) authorized: bool,
}

impl Behaviours {
    pub(super) fn on(&mut self, route: Route, behaviour: Behaviour) {
        self.always.retain(|entry| entry.route != route);
        self.always.push(Entry { route, left: None, behaviour: Arc::new(behaviour), served: 0 });
        // What was said of one route counts more than what was said of all.
        self.always.sort_by_key(|entry| entry.route == Route::Any);
    }

    pub(super) fn on_next(&mut self, route: Route, times: usize, behaviour: Behaviour) {
        if times > 0 {
            self.next.push(Entry { route, left: Some(times), behaviour: Arc::new(behaviour), served: 0 });
        }
    }

    pub(super) fn calm(&mut self) {
        *self = Self::default();
    }

    /// What this request meets, and how many met it before.
    pub(super) fn take(&mut self, occasion: Occasion) -> Option<(Arc<Behaviour>, usize)> {
        let Occasion { route, may_pass, authorized } = occasion;
        let meets =
            |entry: &&mut Entry| entry.route.covers(route) && (may_pass || entry.behaviour.asks_nobody(authorized));
        let entry = self.next.iter_mut().chain(&mut self.always).find(meets)?;
        let taken = (Arc::clone(&entry.behaviour), entry.served);
        entry.served += 1;
        entry.left = entry.left.map(|left| left - 1);
        self.next.retain(|entry| entry.left != Some(0));
        Some(taken)
    }
}
