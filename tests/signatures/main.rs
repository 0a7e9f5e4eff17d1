//! Real cosign against real registries: what it writes, Pratique judges as `cosign verify` and `cosign verify-attestation`
//! do, in every layout and with every kind of key and of identity that it can sign with; where the two differ, the
//! table says why.
//!
//! Nothing leaves 127.0.0.1. `tests/real-parts/build.sh` provides the programs; `.ci/run signatures` does all of it.

#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod ask;
mod cosign;
mod rows;
mod scene;
mod sigstore;
mod table;
mod wire;
mod world;

/// The real program under test.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");

#[test]
#[ignore = "needs real programs: .ci/run signatures"]
fn what_cosign_writes_is_judged_as_cosign_judges_it_or_differs_for_a_reason() {
    let world = world::World::new();
    table::check(&world, &rows::all());
}
