//! Reports that somebody attested on the image: only by those whom the demand names, and only of this image.

use std::time::Duration;

use pratique_testkit::Place;
use pratique_testkit::signer::{Key, KeyKind, Signer, Statement, Version};

use super::*;

async fn attested_by(scene: &Scene, key: &Key) -> Webhook {
    let authority = serde_json::json!({"name": "release", "keys": [{"pem": key.public_pem()}]});
    let policy = format!("{}authorities: [{authority}]\n", spec("threshold: high, authorities: [release]"));
    let folder = scene.folder.path().to_owned();
    let setup = Webhook::setup().registry(&scene.registry).policy("acme", &policy).enforce("acme");
    let setup = setup.configure(move |config| config.scans.directories.push(folder));
    setup.budget(|budget| budget.negative = Duration::ZERO).start().await
}

fn attest(scene: &Scene, key: &Key, statement: &Statement) {
    let layer = Signer::key(key).bundle(Version::V03, statement);
    layer.attach(&scene.registry, "acme/web", &scene.digest, Place::Referrer);
}

#[tokio::test]
async fn a_report_attested_by_an_authority_decides_and_a_file_does_not() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    scene.folder.write("web.json", &scene.trivy().text());
    let webhook = attested_by(&scene, &key).await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "report-missing");
    assert!(answer.message.contains(" attested by release"), "{}", answer.message);
    attest(&scene, &key, &scene.trivy().attested(&scene.digest));
    scene.becomes(&webhook, "").await;
}

#[tokio::test]
async fn a_report_attested_by_a_stranger_counts_for_nothing() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    attest(&scene, &Key::generate(KeyKind::P256), &scene.trivy().attested(&scene.digest));
    let webhook = attested_by(&scene, &key).await;
    assert_eq!(reason(&scene.ask(&webhook).await), "report-missing");
}

#[tokio::test]
async fn of_two_attested_reports_the_newer_scan_decides_whichever_was_attested_last() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    attest(&scene, &key, &scene.trivy().finding(grave()).scanned_at(new).attested(&scene.digest));
    attest(&scene, &key, &scene.trivy().scanned_at(old).attested(&scene.digest));
    let webhook = attested_by(&scene, &key).await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "vulnerable", "{}", answer.message);
}

#[tokio::test]
async fn a_new_scan_that_is_attested_is_seen() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    attest(&scene, &key, &scene.trivy().finding(grave()).scanned_at(old).attested(&scene.digest));
    let webhook = attested_by(&scene, &key).await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
    attest(&scene, &key, &scene.trivy().scanned_at(new).attested(&scene.digest));
    scene.becomes(&webhook, "").await;
}

#[tokio::test]
async fn an_attested_report_of_another_image_is_failed() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    let other = TrivyReport::of_image("registry.test/acme/other:v1", &Image::single().label("other"), "linux/amd64");
    attest(&scene, &key, &other.attested(&scene.digest));
    let webhook = attested_by(&scene, &key).await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "report-failed");
    assert!(answer.message.contains("other-image"), "{}", answer.message);
}

#[tokio::test]
async fn nobody_is_believed_where_nobody_is_named() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    attest(&scene, &key, &scene.trivy().attested(&scene.digest));
    let webhook = scene.webhook("threshold: high").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "report-missing");
}

#[tokio::test]
async fn an_outage_of_the_registry_is_no_missing_report() {
    let (scene, key) = (Scene::new().await, Key::generate(KeyKind::P256));
    let webhook = attested_by(&scene, &key).await;
    scene.registry.on(pratique_testkit::Route::Referrers, pratique_testkit::Behaviour::status(503));
    let answer = scene.ask(&webhook).await;
    assert_eq!((reason(&answer), answer.code), ("registry-unavailable", Some(503)), "{}", answer.message);
}
