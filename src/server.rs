//! The HTTP side: one listener for reviews over TLS, one for the operator in the clear.
//!
//! Promises: a review that arrives whole and in time reaches [`Review::answer`](crate::review::Review::answer) with its
//! deadline, and whatever goes wrong before or around that is an HTTP error, which never admits (`failurePolicy: Fail`).
//! No caller can hold more than [`Bounds`] allows, and a crowd of idle callers makes room for one that asks.
//!
//! Built on hyper itself. What `axum-server` 0.8 puts around it cannot do this: hyper's one timer for HTTP/1 headers runs
//! through the idle time too, so that slow headers cannot be cut without hanging up on API servers that keep a connection
//! for later; the guessing of the protocol waits for ever; connections are not counted; open handshakes outlive the drain.

mod capacity;
mod connection;
mod guard;
mod listener;
mod validate;

pub mod admin;
pub mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use listener::{ListenError, Running, listen};
pub use validate::{Lint, Linting, router, router_with};

/// Every limit of the HTTP side.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Bytes of one review. etcd takes objects of 1.5 MiB as protobuf, JSON is up to twice that, and an UPDATE carries
    /// the object and the old one; the API server itself reads no more than 3 MiB of one object. The last MiB is for
    /// the envelope and for what defaulting adds.
    pub body: usize,
    /// Bytes of a body that need no share of `body_pool`: real reviews of pods have 2 to 11 kB.
    pub body_free: usize,
    /// Bytes that all larger bodies may hold together, so that big ones cannot exhaust the memory.
    pub body_pool: usize,
    /// Requests that are looked at together, each with `body_free` bytes: 64 MiB. Above it the API server is asked to
    /// come again.
    pub requests: usize,
    /// From the head of a request to the last byte of its body. API servers send both at once.
    pub body_time: Duration,
    /// A body that is not whole after this gives way when there is no room for others.
    pub body_patience: Duration,
    /// TLS handshake. It costs an API server one or two round trips; the rest is for a CPU-starved one.
    pub handshake_time: Duration,
    /// From the first byte of a request's head to its last.
    pub head_time: Duration,
    /// Bytes of a head; an API server sends less than 1 kB. At least 8 KiB, which is what hyper demands.
    pub head: usize,
    /// A connection without a request. API servers close theirs after 90 s, and it must be they who do it: a request sent
    /// while we hang up is an error for the user.
    pub idle_time: Duration,
    /// How long a closing connection waits for the other side to read what we said, and a connection that was made just
    /// before the drain for its first request.
    pub linger: Duration,
    /// Connections at once. A thousand idle ones leave as much room again, at some 30 kB each; above it the one that is
    /// idle for longest gives way. Never more than half of the files that the process may open.
    pub connections: usize,
    /// HTTP/2 streams in one connection. Above it API servers dial anew, a TLS handshake per call.
    pub streams: u32,
    /// `timeoutSeconds` where the caller sends no `?timeout=`: the API server's own default.
    pub timeout: Duration,
    /// The most that `?timeout=` can ask for: `timeoutSeconds` is at most 30.
    pub timeout_cap: Duration,
    /// How long before the caller gives up the answer is due, so that it arrives.
    pub margin: Duration,
    /// How long a draining server goes on accepting: as long as Services may still send callers here.
    pub settle: Duration,
    /// How long after that requests in flight may take. With `settle` it stays below the 30 s of a Pod's
    /// `terminationGracePeriodSeconds`.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body: 7 << 20,
            body_free: 32 << 10,
            body_pool: 64 << 20,
            requests: 2048,
            body_time: Duration::from_secs(5),
            body_patience: Duration::from_millis(250),
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(10),
            head: 16 << 10,
            idle_time: Duration::from_secs(120),
            linger: Duration::from_secs(1),
            connections: 2048,
            streams: 1024,
            timeout: Duration::from_secs(10),
            timeout_cap: Duration::from_secs(30),
            margin: Duration::from_millis(300),
            settle: Duration::from_secs(5),
            grace: Duration::from_secs(20),
        }
    }
}

impl Bounds {
    /// For the admin listener: probes and scrapers, which need little, and nobody waits for it to settle.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            body: 0,
            requests: 64,
            head: 8 << 10,
            connections: 128,
            streams: 16,
            settle: Duration::ZERO,
            grace: Duration::from_secs(2),
            ..Self::default()
        }
    }
}

/// Whether the server is on its way out. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// From now on every HTTP/1.1 answer says `Connection: close` and `/readyz` says draining.
    pub fn start(&self) {
        self.0.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn started(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
