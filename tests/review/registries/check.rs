//! `pratique check` asks registries too: the same look-ups, and their outcome as JSON.

use pratique_testkit::{Directory, Image, Outcome, Registry, run};
use serde_json::{Value, json};

use super::{MOVED_IS_REFUSED, named};
use crate::PRATIQUE;

/// By the policy that wants to know each digest, with these further arguments.
fn check(arguments: &[&str]) -> (Option<i32>, Value) {
    let manifests = Directory::new();
    manifests.policy("acme", MOVED_IS_REFUSED);
    let path = manifests.path().display().to_string();
    let outcome =
        run(PRATIQUE, &[&["check", "-o", "json", "--manifests", &path, "--policy", "acme"], arguments].concat());
    (outcome.code, Outcome::json(&outcome))
}

fn image(answer: &Value, index: usize) -> &Value {
    &answer["objects"][index]["images"][0]
}

#[tokio::test]
async fn every_image_has_the_digest_that_its_name_stands_for() {
    let registry = Registry::setup().start().await;
    let single = registry.push("acme/web", "v1", &Image::single());
    let index = registry.push("acme/web", "v2", &Image::platforms(&["linux/amd64", "linux/arm64/v8"]).docker());
    let (tagged, multi) = (named(&registry, "acme/web:v1"), named(&registry, "acme/web:v2"));
    let pinned = format!("{}@{single}", named(&registry, "acme/web"));
    let (code, answer) = tokio::task::spawn_blocking(move || check(&[&tagged, &multi, &pinned])).await.unwrap();
    assert_eq!((code, &answer["verdict"]), (Some(0), &json!("admitted")));
    for (at, digest) in [&single, &index, &single].into_iter().enumerate() {
        let image = image(&answer, at);
        assert_eq!((&image["digest"], &image["basis"]), (&json!(digest), &json!("EveryDemandMet")), "{image}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_and_what_cannot_be_told_is_undetermined() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let (absent, gone) = (named(&registry, "acme/web:v9"), format!("{}/acme/web:v1", pratique_testkit::NOBODY));
    let (code, answer) = tokio::task::spawn_blocking(move || check(&[&absent])).await.unwrap();
    assert_eq!((code, &answer["verdict"]), (Some(1), &json!("refused")));
    let denial = &image(&answer, 0)["denials"][0];
    assert_eq!(
        (&denial["reason"], &denial["check"], &denial["retriable"]),
        (&json!("image-not-found"), &json!("registry"), &json!(false))
    );
    assert_eq!(image(&answer, 0)["digest"], Value::Null);
    let (code, answer) = tokio::task::spawn_blocking(move || check(&[&gone])).await.unwrap();
    assert_eq!((code, &answer["verdict"]), (Some(2), &json!("undetermined")));
    let denial = &image(&answer, 0)["denials"][0];
    assert_eq!((&denial["reason"], &denial["retriable"]), (&json!("registry-unavailable"), &json!(true)));
    assert_eq!(
        denial["message"],
        format!("no connection to {}: connection refused; try again", pratique_testkit::NOBODY)
    );
}
