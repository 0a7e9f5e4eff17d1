//! Many hostile answers at once: what they cost in memory, and that an honest registry is believed afterwards.

use serde_json::json;

use super::*;

/// What hostile registries may add to the process at its peak.
const MOST: u64 = 64 << 20;
/// Large blocks go back to the kernel when they are freed, as in the shipped image (musl): what the program holds is
/// measured, and not what glibc keeps for later.
const MEASURED: [(&str, &str); 1] = [("MALLOC_MMAP_THRESHOLD_", "131072")];
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// As much as is read, as many small parts as are let be: each costs more in memory than on the wire.
fn of_many_parts() -> Vec<u8> {
    let annotations: serde_json::Map<_, _> = (0..256).map(|number| (format!("{number:03x}"), json!(""))).collect();
    let mut entry = json!({"digest": pratique_testkit::DIGEST, "size": 1, "annotations": annotations});
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    json!({"schemaVersion": 2, "manifests": vec![entry; 1_000]}).to_string().into_bytes()
}

async fn assert_cheap(behaviours: Vec<Behaviour>) {
    let honest = start(Private).await;
    honest.push("acme/web", "v1", &Image::single());
    let mut hostile = Vec::new();
    for (number, behaviour) in behaviours.into_iter().enumerate() {
        let registry = start(if number % 2 == 0 { Open } else { Private }).await;
        registry.on(Route::Manifest, behaviour);
        hostile.push(registry);
    }
    let registries: Vec<&Registry> = hostile.iter().chain([&honest]).collect();
    let beside = Beside::these_in(&registries, &MEASURED).await;
    assert!(beside.ask(&named(&honest, "acme/web:v1"), 10).await.allowed);
    // What as many honest reviews take, connections on both sides included, is no attack.
    let crowd = (0..50).map(async |number| beside.ask(&named(&honest, &format!("acme/none-{number}:v1")), 10).await);
    assert!(join_all(crowd).await.iter().all(|answer| answer.message.contains("image-not-found")));
    let before = beside.program.memory();
    for round in 0..2 {
        let answers = join_all((0..50).map(async |number| {
            let registry = &hostile[number % hostile.len()];
            let answer = beside.ask(&named(registry, &format!("acme/web-{number}:v{round}")), 10).await;
            assert!(!answer.allowed, "{answer:?}");
            answer
        }))
        .await;
        for answer in &answers {
            let told = ["registry-broken", "registry-unavailable", "digest-mismatch"];
            assert!(told.iter().any(|reason| answer.first_line().contains(reason)), "{answer:?}");
        }
        beside.assert_nothing_is_betrayed(&registries, &format!("{answers:?}")).await;
    }
    let after = beside.program.memory();
    let grown = after.peak.saturating_sub(before.peak);
    assert!(grown < MOST, "{} MiB before, {} MiB at most", before.peak >> 20, after.peak >> 20);
    honest.push("acme/web", "v2", &Image::single().label("another"));
    pratique_testkit::eventually("an honest image is admitted", async || {
        beside.ask(&named(&honest, "acme/web:v2"), 10).await.allowed
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_too_long_take_bounded_memory() {
    let all = vec![
        Behaviour::EndlessBody,
        Behaviour::EndlessBody,
        Behaviour::LongBody(1 << 30),
        Behaviour::GzipBomb,
        Behaviour::LyingLength { says: 4 << 20, sends: 1 << 30 },
    ];
    assert_cheap(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_just_not_too_long_take_bounded_memory() {
    let all = vec![Behaviour::LongBody(4 << 20); 5];
    assert_cheap(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_as_many_parts_as_are_read_take_bounded_memory() {
    // Everything is read before it is seen to be none.
    let mut broken = of_many_parts();
    broken.extend_from_slice(b"!");
    let last = String::from_utf8(of_many_parts()).unwrap().replacen("\"amd64\"", "\"\\n\"", 1);
    let whole = answer_with(OCI_INDEX, last.into_bytes());
    let broken = answer_with(OCI_INDEX, broken);
    assert_cheap(vec![whole.clone(), broken.clone(), whole.clone(), broken, whole]).await;
}
