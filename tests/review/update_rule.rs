//! "An UPDATE in which every container (kind and name) keeps, byte for byte, the image string that it had passes at once,
//! deleting or not; containers less are fine. A moved, added or renamed container is judged."

use pratique_testkit::{Answer, Object, Webhook, deployment, pod, review};
use serde_json::json;

use crate::{LATEST, PINNED, TAGGED};

async fn update(webhook: &Webhook, old: &Object, new: &Object) -> Answer {
    webhook.review(&review(new).update_of(old)).await
}

/// The titles of the images that a refusal tells of.
fn told(answer: &Answer) -> Vec<&str> {
    let entries = answer.message.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    entries.filter_map(|line| line.split_whitespace().next()).collect()
}

fn everywhere(image: &str) -> Object {
    pod("web")
        .init("init", image)
        .sidecar("side", image)
        .container("web", image)
        .ephemeral("debug", image)
        .image_volume("model", image)
}

#[tokio::test]
async fn unchanged_images_pass_whatever_the_policy_says_of_them() {
    let webhook = Webhook::enforcing("pinned").await;
    let answer = update(&webhook, &everywhere(LATEST), &everywhere(LATEST).label("tier", "front")).await;
    assert!(answer.allowed && answer.warnings.is_empty(), "{answer:?}");
    assert_eq!(answer.annotations["basis"], "Unchanged");
}

#[tokio::test]
async fn containers_in_another_order_are_the_same_containers() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("a", LATEST).container("b", TAGGED);
    let new = pod("web").container("b", TAGGED).container("a", LATEST);
    assert!(update(&webhook, &old, &new).await.allowed);
}

#[tokio::test]
async fn containers_less_are_fine() {
    let webhook = Webhook::enforcing("pinned").await;
    let answer = update(&webhook, &everywhere(LATEST), &pod("web").container("web", LATEST)).await;
    assert!(answer.allowed, "{answer:?}");
}

#[tokio::test]
async fn a_changed_image_is_judged_and_only_that_one() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").init("init", LATEST).container("a", TAGGED).container("b", LATEST);
    let new = pod("web").init("init", LATEST).container("a", "nginx:1.28").container("b", LATEST);
    let answer = update(&webhook, &old, &new).await;
    assert_eq!((answer.allowed, told(&answer)), (false, vec!["containers[a]"]), "{answer:?}");
    let pinned = pod("web").init("init", LATEST).container("a", PINNED).container("b", LATEST);
    assert!(update(&webhook, &old, &pinned).await.allowed, "the others were there before");
}

#[tokio::test]
async fn an_added_container_is_judged_and_only_that_one() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("web", LATEST);
    for (new, title) in [
        (old.clone().container("more", TAGGED), "containers[more]"),
        (old.clone().init("more", TAGGED), "initContainers[more]"),
        (old.clone().ephemeral("more", TAGGED), "ephemeralContainers[more]"),
        (old.clone().image_volume("more", TAGGED), "volumes[more]"),
    ] {
        let answer = update(&webhook, &old, &new).await;
        assert_eq!((answer.allowed, told(&answer)), (false, vec![title]), "{answer:?}");
    }
    assert!(update(&webhook, &old, &old.clone().ephemeral("debug", PINNED)).await.allowed);
}

#[tokio::test]
async fn a_renamed_container_is_judged_though_its_image_stays() {
    let webhook = Webhook::enforcing("pinned").await;
    let answer = update(&webhook, &pod("web").container("old", TAGGED), &pod("web").container("new", TAGGED)).await;
    assert_eq!((answer.allowed, told(&answer)), (false, vec!["containers[new]"]), "{answer:?}");
}

#[tokio::test]
async fn a_container_that_moves_to_another_list_is_judged() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("web", PINNED).init("tool", TAGGED);
    for (new, title) in [
        (pod("web").container("web", PINNED).container("tool", TAGGED), "containers[tool]"),
        (pod("web").container("web", PINNED).ephemeral("tool", TAGGED), "ephemeralContainers[tool]"),
        (pod("web").container("web", PINNED).image_volume("tool", TAGGED), "volumes[tool]"),
    ] {
        let answer = update(&webhook, &old, &new).await;
        assert_eq!((answer.allowed, told(&answer)), (false, vec![title]), "{answer:?}");
    }
}

#[tokio::test]
async fn swapped_images_are_both_judged() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("a", LATEST).container("b", TAGGED);
    let new = pod("web").container("a", TAGGED).container("b", LATEST);
    assert_eq!(told(&update(&webhook, &old, &new).await), ["containers[a]", "containers[b]"]);
}

#[tokio::test]
async fn the_same_image_written_otherwise_is_a_change() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("web", "nginx:1.27");
    for written in ["docker.io/library/nginx:1.27", "library/nginx:1.27", "docker.io/nginx:1.27", "nginx:1.27 "] {
        assert!(!update(&webhook, &old, &pod("web").container("web", written)).await.allowed, "{written:?}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_says_nothing_about_which_is_which() {
    let webhook = Webhook::enforcing("pinned").await;
    let (once, twice) =
        (pod("web").container("web", TAGGED), pod("web").container("web", TAGGED).container("web", LATEST));
    assert!(!update(&webhook, &once, &twice).await.allowed);
    assert!(!update(&webhook, &twice, &twice).await.allowed);
}

#[tokio::test]
async fn a_deletion_time_changes_nothing_in_either_direction() {
    let webhook = Webhook::enforcing("pinned").await;
    let running = pod("web").container("web", LATEST);
    let deleting = running.clone().deleting();
    assert!(update(&webhook, &deleting, &deleting).await.allowed);
    assert!(update(&webhook, &running, &deleting).await.allowed);
    let changed = pod("web").container("web", TAGGED).deleting();
    assert!(!update(&webhook, &deleting, &changed).await.allowed, "an image is an image while it is deleted");
}

#[tokio::test]
async fn an_old_object_without_a_pod_spec_makes_everything_new() {
    let webhook = Webhook::enforcing("pinned").await;
    let new = pod("web").container("web", LATEST);
    let nothing = pod("web").without_pod_spec();
    assert!(!update(&webhook, &nothing, &new).await.allowed);
    for old in [json!(null), json!({}), json!({"kind": "Pod"})] {
        let review = review(&new).update_of(&new).set("/request/oldObject", old.clone());
        assert!(!webhook.review(&review).await.allowed, "{old}");
    }
    let review = review(&new).update_of(&new).without("/request/oldObject");
    assert!(!webhook.review(&review).await.allowed);
}

#[tokio::test]
async fn a_creation_with_an_old_object_is_a_creation() {
    let webhook = Webhook::enforcing("pinned").await;
    let pod = pod("web").container("web", LATEST);
    let review = review(&pod).set("/request/oldObject", pod.value());
    assert!(!webhook.review(&review).await.allowed);
}

#[tokio::test]
async fn an_ephemeral_container_is_judged_and_the_pod_around_it_is_not() {
    let webhook = Webhook::enforcing("pinned").await;
    let old = pod("web").container("web", LATEST).ephemeral("first", TAGGED);
    let with = |image: &str| {
        let new = old.clone().ephemeral("debug", image);
        review(&new).update_of(&old).sub_resource("ephemeralcontainers")
    };
    let answer = webhook.review(&with(TAGGED)).await;
    assert_eq!((answer.allowed, told(&answer)), (false, vec!["ephemeralContainers[debug]"]), "{answer:?}");
    assert!(webhook.review(&with(PINNED)).await.allowed);
}

#[tokio::test]
async fn a_controller_that_is_scaled_is_not_warned_again() {
    let webhook = Webhook::setup().enforce("pinned").start().await;
    let object = deployment("web").container("web", LATEST);
    let scaled = review(&object).update_of(&object).set("/request/object/spec/replicas", json!(3));
    let answer = webhook.review(&scaled).await;
    assert!(answer.allowed && answer.warnings.is_empty(), "{answer:?}");
}

#[tokio::test]
async fn an_unchanged_update_passes_where_the_policy_is_unknown_too() {
    let webhook = Webhook::setup().namespace("shop", &[("enforce", "no-such")]).start().await;
    let pod = pod("web").container("web", LATEST);
    assert!(update(&webhook, &pod, &pod).await.allowed);
}
