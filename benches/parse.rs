//! What it costs to read a review, beside what it would cost to read all of it.
//!
//! `cargo bench --bench parse`

#![expect(clippy::print_stdout, reason = "the bench's result")]

use pratique::admission::decode::decode;
use pratique::admission::workload::Workloads;
use pratique::image::Reference;
use pratique_testkit::measure::{Sample, figure, ratio};

const RUNS: usize = 20_000;

fn main() {
    let reviews = [
        ("pod, 5.0 kB", include_str!("../tests/fixtures/reviews/captured-reviews/pod-create.json")),
        ("pod update, 9.8 kB", include_str!("../tests/fixtures/reviews/captured-reviews/pod-update-image.json")),
        ("cronjob, 2.7 kB", include_str!("../tests/fixtures/reviews/captured-reviews/cronjob-create.json")),
    ];
    let workloads = Workloads::default();
    let mut met = true;
    for (name, body) in reviews {
        let ours = Sample::of(RUNS, || drop(std::hint::black_box(decode(body.as_bytes(), &workloads))));
        let whole = Sample::of(RUNS, || drop(std::hint::black_box(serde_json::from_str::<serde_json::Value>(body))));
        println!("decode, {name:<20} {ours}");
        println!("serde_json::Value {:<12} {whole}", "");
        let what = format!("decode / whole tree, {name}");
        met &= figure(&what, ratio(ours.p50(), whole.p50()), "x", 0.5, true);
    }
    for image in [
        "nginx",
        "ghcr.io/acme/shop/checkout:v1.4.2",
        "registry.k8s.io/e2e-test-images/agnhost@sha256:7e8bdd271312fd25fc5ff5a8f04727be84044eb3d7d8d03611972a6752e2e11e",
    ] {
        let sample = Sample::of(RUNS, || drop(std::hint::black_box(Reference::parse(image))));
        println!("reference {image:.40}: {sample}");
    }
    assert!(met || !pratique_testkit::measure::asserting(), "a figure was missed");
}
