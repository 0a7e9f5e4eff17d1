//! What we ship, as a platform team meets it: overlays and chart installed into real API servers, watched by a real
//! Prometheus, upgraded and taken away again, and every command that the documentation shows.
//!
//! Nothing leaves 127.0.0.1. `tests/real-parts/build.sh` provides the programs (`cluster` and `packaging`);
//! `.ci/run packaging` does all of it.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod chart;
mod documents;
mod lifecycle;
mod place;
mod watching;
