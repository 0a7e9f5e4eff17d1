//! What came, how often and how much of it at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Version};

use super::route::Route;

/// Requests that are kept whole; benches send more, which are only counted.
const KEPT: usize = 20_000;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// From 1; over all connections, and not reset by `forget`.
    pub sequence: usize,
    pub route: Route,
    pub method: Method,
    pub path: String,
    /// Without the question mark, as it came; empty where there is none.
    pub query: String,
    pub authorization: Option<String>,
    pub headers: HeaderMap,
    pub version: Version,
    /// Of a POST to the token service.
    pub body: String,
}

impl Seen {
    /// A header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Everything that came.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sequence: usize,
    requests: Vec<Seen>,
    counts: HashMap<Route, usize>,
    authorizations: Vec<String>,
    in_flight: usize,
    most_at_once: usize,
}

/// A request that is not yet answered to the last byte.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Mutex<Ledger>>);

impl InFlight {
    pub(super) fn begin(ledger: &Arc<Mutex<Ledger>>) -> Self {
        let mut open = ledger.lock().expect("no panic while it is held");
        open.in_flight += 1;
        open.most_at_once = open.most_at_once.max(open.in_flight);
        Self(Arc::clone(ledger))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Ok(mut ledger) = self.0.lock() {
            ledger.in_flight -= 1;
        }
    }
}

impl Ledger {
    /// Notes a request; its sequence is set here.
    pub(super) fn note(&mut self, mut seen: Seen) {
        self.sequence += 1;
        seen.sequence = self.sequence;
        *self.counts.entry(seen.route).or_default() += 1;
        for value in seen.headers.get_all(AUTHORIZATION) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            if !self.authorizations.contains(&value) {
                self.authorizations.push(value);
            }
        }
        if self.requests.len() < KEPT {
            self.requests.push(seen);
        }
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.requests.clone()
    }

    pub(super) fn count(&self, route: Route) -> usize {
        self.counts.iter().filter(|(seen, _)| route.covers(**seen)).map(|(_, count)| count).sum()
    }

    pub(super) fn forget(&mut self) {
        self.requests.clear();
        self.counts.clear();
        self.most_at_once = self.in_flight;
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    pub(super) fn authorizations(&self) -> Vec<String> {
        self.authorizations.clone()
    }
}
