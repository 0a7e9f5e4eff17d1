//! Real Trivy and Grype against images in a registry on loopback: what they write is read as the facts say, and judged end
//! to end, by `pratique check` and by a running webhook, by the digest that the pod names.
//!
//! The images are those of `tests/fixtures/images`, and the databases are made of `advisories.json` on every run: a scan
//! finds what somebody worked out from both (`tests/fixtures/scans/captured.tsv`). Nothing leaves 127.0.0.1.
//! `tests/real-parts/build.sh scanners` provides the programs; `.ci/run scanners` does all of it.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod ask;
mod attested;
mod moves;
mod rows;
mod table;
mod world;

/// The real program under test.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");

#[tokio::test]
#[ignore = "needs real programs: .ci/run scanners"]
async fn what_scanners_write_is_read_as_the_facts_say_and_judged_by_digest() {
    let world = world::World::new().await;
    table::check(&world, &rows::all()).await;
}
