//! What takes much more memory than bytes on the wire, and what takes long.

use super::*;

/// What hostile attachments may add to the process at its peak.
const MOST: u64 = 64 << 20;
/// Large blocks go back to the kernel when they are freed, as in the shipped image (musl): what the program holds is
/// measured, and not what glibc keeps for later.
const MEASURED: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "2")];

/// As many values as fit into so many bytes, each of which takes hundreds in memory.
fn objects(bytes: usize) -> String {
    format!("[{}0]", "{\"\":0},".repeat(bytes / 7))
}

async fn assert_cheap(what: &str, namespace: &str, made: impl Fn(&World, &str) -> (pratique_testkit::Layer, Place)) {
    let (world, registry) = (World::new(), World::registry().await);
    let beside = world.beside(&[&registry], &MEASURED).await;
    beside.assert_lives(&world, &registry, "before").await;
    let images: Vec<String> = (0..6)
        .map(|number| {
            let repository = format!("acme/attack-{number}");
            let digest = registry.push(&repository, "v1", &Image::single().label(&repository));
            let (layer, place) = made(&world, &digest);
            for _ in 0..3 {
                registry.attach_layers(&repository, &digest, place, std::slice::from_ref(&layer));
            }
            format!("{}/{repository}:v1", registry.host())
        })
        .collect();
    let before = beside.program.memory();
    for image in &images {
        let started = Instant::now();
        let answer = beside.ask(namespace, image).await;
        assert!(!answer.allowed && started.elapsed().as_secs() < TIMEOUT, "{what}: {}", answer.message);
    }
    let after = beside.program.memory();
    let grown = after.peak.saturating_sub(before.peak);
    assert!(grown < MOST, "{what}: {} MiB before, {} MiB at most", before.peak >> 20, after.peak >> 20);
    beside.assert_lives(&world, &registry, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_many_values_takes_bounded_memory() {
    assert_cheap("a bundle", "signed", |_, _| {
        let text = format!("{{\"mediaType\":\"{BUNDLE}\",\"x\":{}}}", objects((4 << 20) - 1024));
        (pratique_testkit::Layer::new(BUNDLE, text), Place::Referrer)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_many_values_takes_bounded_memory() {
    assert_cheap("a statement", "attested", |world, digest| {
        let text = String::from_utf8(Statement::about(digest, "https://spdx.dev/Document").bytes()).unwrap();
        let text = text.replacen("\"predicate\":{}", &format!("\"predicate\":{}", objects(3_000_000)), 1);
        ((&world.signer().envelope(&Statement::raw(text.into_bytes()))).into(), Place::AttestationTag)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payload_of_many_values_takes_bounded_memory() {
    assert_cheap("a payload", "signed", |world, _| {
        ((&world.signer().simple(&Payload::raw(objects((4 << 20) - 10_000)))).into(), Place::SignatureTag)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_entries_as_are_tried_of_as_large_a_payload_as_is_read_are_verified_in_time() {
    assert_cheap("entries", "attested", |world, digest| {
        let text = String::from_utf8(Statement::about(digest, "https://spdx.dev/Document").bytes()).unwrap();
        let text = text.replacen("\"predicate\":{}", &format!("\"predicate\":\"{}\"", "x".repeat(2_900_000)), 1);
        let signer = Signer::keyless(&world.sigstore, ISSUER, RELEASE);
        let bundle = changed(signer.bundle(Version::V03, &Statement::raw(text.into_bytes())), |bundle| {
            let entry = bundle["verificationMaterial"]["tlogEntries"][0].clone();
            bundle["verificationMaterial"]["tlogEntries"] = json!(vec![entry; 32]);
        });
        ((&bundle).into(), Place::Referrer)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_much_as_is_read_of_many_images_at_once_takes_bounded_memory() {
    // What all registries may have in flight is 64 MiB by itself; four may have half of that.
    const REGISTRIES: usize = 4;
    const IMAGES: usize = 12;
    // What waits to be verified is 48 MiB, and what is in flight 32 MiB of what such registries may have.
    const CROWD: u64 = 96 << 20;
    let world = World::new();
    let registries = join_all((0..REGISTRIES).map(|_| World::registry())).await;
    let all: Vec<&Registry> = registries.iter().collect();
    let beside = world.beside(&all, &MEASURED).await;
    beside.assert_lives(&world, &registries[0], "before").await;
    let mut images = Vec::new();
    for registry in &registries {
        for number in 0..IMAGES {
            let repository = format!("acme/attack-{number}");
            let digest = registry.push(&repository, "v1", &Image::single().label(&repository));
            for part in 0..4 {
                let filling = format!("{part}{}", "[0],".repeat((1 << 20) - 1024));
                let text = format!("{{\"mediaType\":\"{BUNDLE}\",\"x\":[{filling}0]}}");
                let layer = pratique_testkit::Layer::new(BUNDLE, text.replacen("[0[0]", "[[0]", 1));
                registry.attach_layers(&repository, &digest, Place::Referrer, std::slice::from_ref(&layer));
            }
            images.push(format!("{}/{repository}:v1", registry.host()));
        }
    }
    let before = beside.program.memory();
    let answers = join_all(images.iter().map(|image| beside.ask("signed", image))).await;
    assert!(answers.iter().all(|answer| !answer.allowed));
    let after = beside.program.memory();
    let grown = after.peak.saturating_sub(before.peak);
    assert!(grown < CROWD, "{} MiB before, {} MiB at most", before.peak >> 20, after.peak >> 20);
}
