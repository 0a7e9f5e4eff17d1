//! Registries that stall, overflow and lie where signatures are kept. What is behind it would be enough.

use pratique_testkit::{Behaviour, Route};

use super::*;

const UNAVAILABLE: &str = "registry-unavailable";
const BROKEN: &str = "registry-broken";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_29902_and_cve_2024_29903_what_does_not_end_is_not_waited_for() {
    let world = World::new();
    let mut scenes = Vec::new();
    for (route, behaviour, reasons) in [
        (Route::Blob, Behaviour::EndlessBody, [BROKEN, "signature-invalid"]),
        (Route::Blob, Behaviour::LongBody(1 << 30), [BROKEN, "signature-invalid"]),
        (Route::Blob, Behaviour::LyingLength { says: 1 << 62, sends: 100 }, [BROKEN, "signature-invalid"]),
        (Route::Blob, Behaviour::GzipBomb, [BROKEN, "signature-invalid"]),
        (Route::Blob, Behaviour::WrongBytes, ["digest-mismatch", "signature-invalid"]),
        (Route::Blob, Behaviour::Html(200), ["digest-mismatch", "signature-invalid"]),
        (Route::Blob, Behaviour::SlowHeaders, [UNAVAILABLE, UNAVAILABLE]),
        (Route::Blob, Behaviour::DrippingBody(Duration::from_secs(1)), [UNAVAILABLE, UNAVAILABLE]),
        (Route::Blob, Behaviour::ResetMidBody, [UNAVAILABLE, UNAVAILABLE]),
        (Route::Blob, Behaviour::redirect("http://169.254.169.254/latest/meta-data/"), ["registry-forbidden"; 2]),
        (Route::Referrers, Behaviour::EndlessBody, [BROKEN, BROKEN]),
        (Route::Referrers, Behaviour::LongBody(1 << 30), [BROKEN, BROKEN]),
        (Route::Referrers, Behaviour::GzipBomb, [BROKEN, BROKEN]),
        (Route::Referrers, Behaviour::SlowHeaders, [UNAVAILABLE, UNAVAILABLE]),
        (Route::Referrers, Behaviour::ResetMidBody, [UNAVAILABLE, UNAVAILABLE]),
    ] {
        let registry = World::registry().await;
        let digest = registry.push("acme/web", "v1", &Image::single());
        let bundle = world.signer().bundle(Version::V03, &Statement::signature_of(&digest));
        bundle.attach(&registry, "acme/web", &digest, Place::Referrer);
        registry.on(route, behaviour.clone());
        scenes.push((registry, format!("{route:?} {behaviour:?}"), reasons));
    }
    let honest = World::registry().await;
    let registries: Vec<&Registry> = scenes.iter().map(|(registry, ..)| registry).chain([&honest]).collect();
    let beside = world.beside(&registries, &[]).await;
    beside.assert_lives(&world, &honest, "before").await;
    let answers = join_all(scenes.iter().map(async |(registry, ..)| {
        let review = review(&pod("web").container("web", &format!("{}/acme/web:v1", registry.host())));
        let started = Instant::now();
        let answer = beside.program.client().review_within(&review.in_namespace("signed"), "5s").await;
        (answer, started.elapsed())
    }))
    .await;
    let mut wrong = String::new();
    for ((_, what, reasons), (answer, took)) in scenes.iter().zip(&answers) {
        if answer.allowed || !reasons.contains(&reason(answer)) || took.as_secs() >= 5 {
            writeln!(wrong, "{what}: {took:?} {}", answer.message).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    beside.assert_lives(&world, &honest, "after").await;
    beside.assert_nothing_gets_out(&registries, &format!("{answers:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2024_3727_a_digest_is_no_path() {
    let world = World::new();
    let registry = World::registry().await;
    let beside = world.beside(&[&registry], &[]).await;
    for (number, digest) in
        ["sha256:../../../../token", "sha256:%2e%2e%2f", "../v1", "sha256:", "", "md5:aa", "sha256:\u{1b}[0m"]
            .into_iter()
            .enumerate()
    {
        let repository = format!("acme/path-{number}");
        let image = registry.push(&repository, "v1", &Image::single().label(&repository));
        let layer = json!({"mediaType": SIMPLE, "digest": digest, "size": 10});
        let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": image, "size": 2});
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        let tag = format!("{}.sig", image.replace(':', "-"));
        registry.put_manifest(&repository, Some(&tag), OCI_MANIFEST, manifest.to_string());
        let answer = beside.ask("signed", &format!("{}/{repository}:v1", registry.host())).await;
        assert_eq!((answer.allowed, reason(&answer)), (false, BROKEN), "{digest:?}: {}", answer.message);
        assert_harmless(&answer.message);
    }
    let asked = format!("{:?}", registry.requests());
    for part in ["..", "%2e", "md5", "[0m"] {
        assert!(!asked.contains(part), "{part}: {asked}");
    }
    beside.assert_lives(&world, &registry, "after").await;
    beside.assert_nothing_gets_out(&[&registry], "");
}
