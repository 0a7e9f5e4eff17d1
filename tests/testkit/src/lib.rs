//! What Pratique's own tests, benches and tour share: objects and reviews as an API server sends them, the webhook under
//! test in this process or as the real program, and a client that reads its answers as strictly as an API server does.
//!
//! Everything listens on 127.0.0.1 and leaves nothing behind. A broken promise of the protocol is a panic here, so that
//! no test has to ask for it. No real server code lives here: what is under test is the program itself.

mod answer;
mod client;
mod directory;
mod leash;
pub mod measure;
mod object;
mod program;
pub mod real;
mod registry;
pub mod report;
mod review;
pub mod signer;
mod webhook;
mod wire;

pub use reqwest;

pub use answer::Answer;
pub use client::{Client, Protocol, Raw};
pub use directory::Directory;
pub use object::{
    Object, cron_job, custom, daemon_set, deployment, job, pod, pod_template, replica_set, replication_controller,
    stateful_set,
};
pub use program::{Memory, Outcome, Process, Program, first_line_of, run, run_with_input};
pub use registry::{
    BUNDLE_V0_3, Behaviour, DSSE_ENVELOPE, Image, Layer, Place, Registry, RegistrySetup, Route, SIMPLE_SIGNING, Seen,
    digest,
};
pub use review::{Review, review};
pub use webhook::{PINNED, PINNED_POLICY, Setup, Webhook};

use std::time::{Duration, Instant};

/// A digest that is well-formed; nothing has it.
pub const DIGEST: &str = "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";

/// An address where nobody listens: connections are refused at once.
pub const NOBODY: &str = "127.0.0.1:1";

/// How long something that happens by itself may take on a busy machine before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` says so; panics with `what` when patience runs out.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
