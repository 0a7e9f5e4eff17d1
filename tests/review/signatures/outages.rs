//! A registry that is gone in the middle: nobody is called unsigned for it.

use pratique_testkit::signer::KeyKind;
use pratique_testkit::{Behaviour, Route, eventually};

use super::*;

#[tokio::test]
async fn an_outage_in_the_middle_is_undetermined_and_worth_trying_again() {
    let key = Key::generate(KeyKind::P256);
    for route in [Route::Referrers, Route::Blob] {
        let (registry, digest, webhook) = signed_by(&key).await;
        for (layer, place) in both(&Signer::key(&key), &registry, &digest) {
            layer.attach(&registry, "acme/web", &digest, place);
        }
        registry.remove("acme/web", &format!("{}.sig", digest.replace(':', "-")));
        registry.on(route, Behaviour::status(503));
        let answer = ask(&webhook, &registry).await;
        assert_eq!((answer.code, answer.retry_after), (Some(503), Some(1)), "{route:?}: {}", answer.message);
        assert_eq!(reason(&answer), "registry-unavailable");
        registry.calm();
        eventually("it is there again", async || ask(&webhook, &registry).await.allowed).await;
    }
}

#[tokio::test]
async fn what_is_enough_is_enough_although_another_place_is_out() {
    let key = Key::generate(KeyKind::P256);
    let (registry, digest, webhook) = signed_by(&key).await;
    let layer = Signer::key(&key).simple(&payload(&registry, &digest));
    layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
    registry.on(Route::Referrers, Behaviour::status(503));
    let answer = ask(&webhook, &registry).await;
    assert!(answer.allowed, "{}", answer.message);
}

#[tokio::test]
async fn what_was_verified_is_admitted_through_an_outage_and_what_was_not_is_not() {
    let key = Key::generate(KeyKind::P256);
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    registry.push("acme/new", "v1", &Image::single().label("new"));
    let policy = spec("signatures: {authorities: [release]}", &[keys("release", &[&key])]);
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let fresh = Duration::ZERO;
    let webhook = setup.budget(|budget| (budget.tag_fresh, budget.digest_fresh) = (fresh, fresh)).start().await;
    let layer = Signer::key(&key).simple(&payload(&registry, &digest));
    layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
    assert!(ask(&webhook, &registry).await.allowed);
    registry.go_away();
    eventually("it is noticed", async || {
        let answer = ask(&webhook, &registry).await;
        assert!(answer.allowed, "{}", answer.message);
        answer.annotations["basis"] == "LastKnownGood"
    })
    .await;
    let named = format!("{}/acme/new:v1", registry.host());
    let answer = webhook.review(&review(&pod("new").container("new", &named))).await;
    assert_eq!((answer.allowed, answer.code), (false, Some(503)), "{}", answer.message);
}
