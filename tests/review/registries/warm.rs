//! How often a registry is asked.

use std::time::Duration;

use pratique_testkit::{Image, Protocol, Registry, Route, Webhook, eventually, pod, review};
use tokio::task::JoinSet;

use super::{MOVED_IS_REFUSED, ask, named};

#[tokio::test]
async fn five_hundred_cold_reviews_of_one_image_are_one_request_and_a_warm_one_is_none() {
    let registry = Registry::setup().latency(Duration::from_millis(200)).start().await;
    registry.push("acme/web", "v1", &Image::platforms(&["linux/amd64", "linux/arm64/v8"]));
    let webhook = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    let image = named(&registry, "acme/web:v1");
    let mut reviews = JoinSet::new();
    for _ in 0..500 {
        let (client, image) = (webhook.client(Protocol::Http1).clone(), image.clone());
        reviews.spawn(async move { ask(&client, "shop", &image).await });
    }
    for answer in reviews.join_all().await {
        assert!(answer.allowed, "{answer:?}");
    }
    assert_eq!((registry.count(Route::Manifest), registry.count(Route::Any)), (1, 1));
    let answer = ask(&webhook, "shop", &image).await;
    assert_eq!((answer.allowed, answer.annotations["basis"].as_str()), (true, "EveryDemandMet"));
    assert_eq!(registry.count(Route::Any), 1, "a warm review asks nobody");
}

#[tokio::test]
async fn four_images_of_one_review_are_asked_for_side_by_side() {
    let registry = Registry::setup().latency(Duration::from_millis(300)).start().await;
    let mut object = pod("web");
    for index in 0..4 {
        let name = format!("acme/image-{index}");
        registry.push(&name, "v1", &Image::single().label(&name));
        object = object.container(&format!("c{index}"), &named(&registry, &format!("{name}:v1")));
    }
    let webhook = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    let answer = webhook.review(&review(&object)).await;
    assert!(answer.allowed, "{answer:?}");
    assert_eq!((registry.count(Route::Manifest), registry.most_at_once()), (4, 4));
}

#[tokio::test]
async fn a_tag_is_asked_for_again_when_it_is_old_with_head_alone_and_nobody_waits() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
    let image = named(&registry, "acme/web:v1");
    assert!(ask(&webhook, "shop", &image).await.allowed);
    assert_eq!((registry.count(Route::Manifest), registry.count(Route::ManifestHead)), (1, 0));
    assert!(ask(&webhook, "shop", &image).await.allowed);
    eventually("it is asked whether the tag still names that", async || registry.count(Route::ManifestHead) == 1).await;
    assert_eq!(registry.count(Route::Manifest), 1, "it does, so nothing is fetched");
    // Nobody answers any more, and still nobody waits.
    registry.on(Route::Any, pratique_testkit::Behaviour::SlowHeaders);
    let answer = ask(&webhook, "shop", &image).await;
    assert_eq!(answer.annotations["basis"], "EveryDemandMet");
}

#[tokio::test]
async fn no_registry_is_asked_about_what_its_name_alone_decides() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    registry.push("acme/web", "latest", &Image::single());
    let webhook = Webhook::setup()
        .registry(&registry)
        .policy("names", "rules:\n- {name: all, images: [\"**\"], tags: {deny: [latest], repointed: deny}}")
        .policy("open", "rules:\n- {name: all, images: [\"**\"], admit: true}")
        .namespace("shop", &[("enforce", "names")])
        .namespace("lab", &[("enforce", "open")])
        .namespace("lost", &[("enforce", "gone")])
        .start()
        .await;
    let answer = ask(&webhook, "shop", &named(&registry, "acme/web:latest")).await;
    assert!(!answer.allowed && answer.message.contains("tag-mutable"), "{answer:?}");
    assert!(ask(&webhook, "lab", &named(&registry, "acme/web:v1")).await.allowed);
    assert!(!ask(&webhook, "lost", &named(&registry, "acme/web:v1")).await.allowed);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(registry.count(Route::Any), 0);
}
