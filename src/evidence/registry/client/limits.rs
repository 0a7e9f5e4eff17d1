//! Every bound of an exchange with a registry, in one place, each with its reason.

use std::time::Duration;

/// How much and how long, of everything that a server decides.
#[derive(Debug, Clone)]
pub(in super::super) struct Limits {
    /// The whole look-up, all hosts and credentials: what a webhook may wait for is 30 s at most, and others wait too.
    pub(in super::super) look_up: Duration,
    /// One request with its answer: 4 MiB over a slow line.
    pub(in super::super) exchange: Duration,
    /// Until the header is there: a pull-through cache asks its own registry first.
    pub(in super::super) header_wait: Duration,
    /// For the body of an error, whose status is known: one more round trip.
    pub(in super::super) error_wait: Duration,
    /// Before a lost request is sent again, and at most as much jitter in milliseconds: a restart of a proxy.
    pub(in super::super) pause: Duration,
    pub(in super::super) jitter: u64,
    /// What the specification has registries accept, and containerd reads.
    pub(in super::super) manifest_bytes: usize,
    /// One page of referrers: as a manifest.
    pub(in super::super) page_bytes: usize,
    /// Real answers have a few KiB.
    pub(in super::super) token_bytes: usize,
    /// An error is read for its code alone.
    pub(in super::super) error_bytes: usize,
    /// As hyper reads them of HTTP/1.
    pub(in super::super) headers: usize,
    /// Names and values: a token, some cookies and a policy.
    pub(in super::super) header_bytes: usize,
    /// In flight of one registry: two manifests of the largest size, or hundreds of real ones.
    pub(in super::super) registry_bytes: usize,
    /// In flight of all: three hostile registries fill it. The rest of 64 MiB is for what is not counted: buffers of
    /// connections (half a megabyte each that is flooded), what is parsed, and what the allocator keeps.
    pub(in super::super) all_bytes: usize,
    /// As many as browsers would be surprised by; registries need two.
    pub(in super::super) redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            look_up: Duration::from_secs(20),
            exchange: Duration::from_secs(10),
            header_wait: Duration::from_secs(8),
            error_wait: Duration::from_secs(1),
            pause: Duration::from_millis(100),
            jitter: 200,
            manifest_bytes: 4 << 20,
            page_bytes: 4 << 20,
            token_bytes: 256 << 10,
            error_bytes: 16 << 10,
            headers: 100,
            header_bytes: 64 << 10,
            registry_bytes: 8 << 20,
            all_bytes: 24 << 20,
            redirects: 5,
        }
    }
}
