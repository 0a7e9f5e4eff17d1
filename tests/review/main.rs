//! The real server over TLS on a port of its own, asked as an API server asks; and the real program beside it.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod check;
mod check_sarif;
mod facts;
mod hostile;
mod labels_and_modes;
mod lint;
mod messages;
mod metrics;
mod mutations;
mod real_reviews;
mod registries;
mod reload;
mod scans;
mod scans_command;
mod shutdown;
mod signatures;
mod update_rule;
mod wire;
mod workloads;

/// The real program.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");
/// The policy for what is not about scans.
const PINNED_POLICY: &str = "tests/fixtures/policies/valid/pinned.yaml";
/// Refused by `baseline` and by `pinned`.
const LATEST: &str = "nginx:latest";
/// Refused by `pinned` alone.
const TAGGED: &str = "nginx:1.27";
/// Refused by neither.
const PINNED: &str = "nginx@sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";
