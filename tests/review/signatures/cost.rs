//! How often a registry is asked, and for how long anybody waits.

use pratique_testkit::signer::KeyKind;
use pratique_testkit::{Protocol, Route};
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn five_hundred_cold_reviews_of_one_image_are_one_verification_and_a_warm_one_asks_nobody() {
    let key = Key::generate(KeyKind::P256);
    let registry = Registry::setup().latency(Duration::from_millis(200)).start().await;
    let digest = pushed(&registry);
    let policy = spec("signatures: {authorities: [release]}", &[keys("release", &[&key])]);
    let webhook = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme").start().await;
    for _ in 0..5 {
        let layer = Signer::key(&key).simple(&payload(&registry, &digest));
        layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
    }
    let mut reviews = JoinSet::new();
    for _ in 0..500 {
        let (client, image) = (webhook.client(Protocol::Http1).clone(), format!("{}/acme/web:v1", registry.host()));
        reviews.spawn(async move { client.review(&review(&pod("web").container("web", &image))).await });
    }
    for answer in reviews.join_all().await {
        assert!(answer.allowed, "{}", answer.message);
    }
    // The tag, the tag of its signatures, its referrers by the API and by the tag; then the one payload of all five.
    let cold = registry.count(Route::Any);
    assert!(cold <= 5, "{cold}: {:?}", registry.requests());
    assert!(ask(&webhook, &registry).await.allowed);
    assert_eq!(registry.count(Route::Any), cold, "a warm review asks nobody");
}

#[tokio::test]
async fn editing_an_identity_fetches_nothing_and_a_new_key_does() {
    let sigstore = PrivateSigstore::new();
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let policy = |subject: &str| spec("signatures: {authorities: [release]}", &[keyless("release", ISSUER, subject)]);
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy(RELEASE)).enforce("acme");
    let (setup, _root) = trusting(setup, &sigstore);
    let webhook = setup.start().await;
    let layer = Signer::keyless(&sigstore, ISSUER, RELEASE).simple(&payload(&registry, &digest));
    layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
    assert!(ask(&webhook, &registry).await.allowed);
    let asked = registry.count(Route::Any);
    webhook.manifests().policy("acme", &policy("https://github.com/acme/*/.github/workflows/*@refs/tags/*"));
    pratique_testkit::eventually("the new pattern is in force", async || {
        ask(&webhook, &registry).await.allowed && webhook.metric("pratique_manifests_stale").await == Some(0.0)
    })
    .await;
    assert_eq!(registry.count(Route::Any), asked);
    webhook.manifests().policy("acme", &policy("https://github.com/other/**"));
    pratique_testkit::eventually("nobody is left", async || !ask(&webhook, &registry).await.allowed).await;
    assert_eq!(registry.count(Route::Any), asked, "a verdict needs no fetch");
}
