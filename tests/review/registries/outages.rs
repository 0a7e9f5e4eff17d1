//! A registry that is gone: what is known is answered, what is new is told to try again.

use std::time::{Duration, Instant};

use pratique_testkit::{Behaviour, Image, Registry, Route, Webhook, eventually, pod, review};

use super::{MOVED_IS_REFUSED, ask, named};

#[tokio::test]
async fn what_is_known_is_admitted_as_last_known_good_and_what_is_new_is_told_to_try_again() {
    let registry = Registry::setup().start().await;
    let digest = registry.push("acme/web", "v1", &Image::single());
    registry.push("acme/new", "v1", &Image::single());
    let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let fresh = Duration::ZERO;
    let webhook = setup.budget(|budget| (budget.tag_fresh, budget.digest_fresh) = (fresh, fresh)).start().await;
    let (tag, pinned) = (named(&registry, "acme/web:v1"), format!("{}@{digest}", named(&registry, "acme/web")));
    assert!(ask(&webhook, "shop", &tag).await.allowed && ask(&webhook, "shop", &pinned).await.allowed);
    registry.go_away();
    let mut basis = String::new();
    eventually("it is noticed that the registry is gone", async || {
        let answer = ask(&webhook, "shop", &tag).await;
        assert!(answer.allowed, "{answer:?}");
        basis = answer.annotations["basis"].clone();
        basis == "LastKnownGood"
    })
    .await;
    assert!(ask(&webhook, "bank", &tag).await.allowed, "in any namespace that may ask the same");
    assert!(ask(&webhook, "shop", &pinned).await.allowed);
    let answer = ask(&webhook, "shop", &named(&registry, "acme/new:v1")).await;
    assert_eq!((answer.allowed, answer.code, answer.retry_after), (false, Some(503), Some(1)));
    // By now the registry may have failed so often that it is left alone for a moment.
    let told = answer.message.lines().next().unwrap_or_default();
    assert!(told.contains("registry-unavailable") && told.contains(registry.host()), "{told}");
    registry.come_back().await;
    eventually("the new image is admitted", async || {
        ask(&webhook, "shop", &named(&registry, "acme/new:v1")).await.allowed
    })
    .await;
    eventually("the known one is current again", async || {
        ask(&webhook, "shop", &tag).await.annotations["basis"] == "EveryDemandMet"
    })
    .await;
}

#[tokio::test]
async fn what_was_known_too_long_ago_is_no_longer_believed() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.configure(|config| config.cache.last_known_good = Duration::from_secs(1)).start().await;
    let image = named(&registry, "acme/web:v1");
    assert!(ask(&webhook, "shop", &image).await.allowed);
    registry.go_away();
    eventually("it is too old", async || !ask(&webhook, "shop", &image).await.allowed).await;
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_a_reason_within_the_deadline() {
    let registry = Registry::setup().start().await;
    registry.on(Route::Any, Behaviour::SlowHeaders);
    let webhook = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    let object = pod("web").container("web", &named(&registry, "acme/web:v1"));
    let started = Instant::now();
    let answer = webhook.review_within(&review(&object), "3s").await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!((answer.code, answer.retry_after), (Some(503), Some(1)));
    assert!(answer.message.contains(&format!("{} has not answered in time; try again", registry.host())));
}

#[tokio::test]
async fn a_silent_registry_does_not_hold_up_another() {
    let (silent, well) = (Registry::setup().start().await, Registry::setup().start().await);
    silent.on(Route::Any, Behaviour::SlowHeaders);
    well.push("acme/web", "v1", &Image::single());
    let webhook = Webhook::setup()
        .registry(&silent)
        .registry(&well)
        .policy("acme", MOVED_IS_REFUSED)
        .enforce("acme")
        .start()
        .await;
    for count in 0..40 {
        let object = pod("web").container("web", &named(&silent, &format!("acme/web-{count}:v1")));
        assert!(!webhook.review_within(&review(&object), "1s").await.allowed);
        if silent.count(Route::Any) >= 16 {
            break;
        }
    }
    assert!(ask(&webhook, "shop", &named(&well, "acme/web:v1")).await.allowed);
}

#[tokio::test]
async fn an_outage_is_tolerated_as_the_policy_says_and_what_runs_here_goes_on() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let lenient = "unavailable: admit\nrules:\n- {name: all, images: [\"**\"], tags: {repointed: deny}}";
    let running = "rules:\n- {name: all, images: [\"**\"], tags: {repointed: deny}}";
    let webhook = Webhook::setup()
        .registry(&registry)
        .policy("lenient", lenient)
        .policy("running", running)
        .namespace("lab", &[("enforce", "lenient")])
        .namespace("shop", &[("enforce", "running")])
        .namespace("bank", &[("enforce", "running")])
        .configure(|config| config.cache.last_known_good = Duration::from_millis(1))
        .start()
        .await;
    let image = named(&registry, "acme/web:v1");
    assert!(ask(&webhook, "shop", &image).await.allowed);
    registry.go_away();
    tokio::time::sleep(Duration::from_millis(20)).await;
    for (namespace, basis) in
        [("lab", Some("UndeterminedButTolerated")), ("shop", Some("UndeterminedButTolerated")), ("bank", None)]
    {
        let answer = ask(&webhook, namespace, &image).await;
        let found = answer.annotations.get("basis").map(String::as_str);
        assert_eq!(found, basis, "{namespace}: {answer:?}");
        let told = answer.annotations.get(if basis.is_some() { "audited" } else { "denied" });
        assert!(told.is_some_and(|told| told.contains("registry-unavailable")), "{namespace}: {answer:?}");
    }
}
