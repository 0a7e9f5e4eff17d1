//! A new finding stops no restart: what a namespace has already is softened, for a time, and not what is refused by name.

use super::*;

/// Admitted while it was clean, and then found vulnerable.
async fn admitted_then_vulnerable(vulnerabilities: &str) -> (Scene, Webhook) {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    let webhook = scene.webhook(vulnerabilities).await;
    assert!(scene.ask(&webhook).await.allowed);
    scene.folder.write("web.json", &scene.trivy().finding(grave()).text());
    eventually("the new report was read", async || {
        let answer = scene.ask(&webhook).await;
        !answer.allowed || !answer.warnings.is_empty()
    })
    .await;
    (scene, webhook)
}

#[tokio::test]
async fn a_restart_is_warned_about_and_a_new_namespace_is_refused() {
    let (scene, webhook) = admitted_then_vulnerable("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
    assert!(
        answer.warnings[0].contains("vulnerable: tolerated, since this namespace has it already: 1 critical"),
        "{:?}",
        answer.warnings
    );
    assert_eq!(answer.annotations["basis"], "SoftenedToWarning");
    let elsewhere = webhook.review(&review(&scene.pod().namespace("elsewhere"))).await;
    assert_eq!(reason(&elsewhere), "vulnerable");
}

#[tokio::test]
async fn the_policy_can_say_otherwise() {
    let (scene, webhook) = admitted_then_vulnerable("threshold: high, running: deny").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
}

#[tokio::test]
async fn softening_ends() {
    let (scene, webhook) = admitted_then_vulnerable("threshold: high, runningFor: 2s").await;
    scene.becomes(&webhook, "vulnerable").await;
}

#[tokio::test]
async fn what_is_refused_by_name_stops_a_restart() {
    let (scene, webhook) = admitted_then_vulnerable("threshold: high, refuse: [CVE-2024-3094]").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerability-refused");
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    let webhook = scene.webhook("threshold: high").await;
    let dry = review(&scene.pod()).set("/request/dryRun", true.into());
    assert!(webhook.review(&dry).await.allowed);
    scene.folder.write("web.json", &scene.trivy().finding(grave()).text());
    eventually("the new report was read", async || {
        let answer = webhook.review(&review(&scene.pod().namespace("elsewhere"))).await;
        !answer.allowed || !answer.warnings.is_empty()
    })
    .await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
}
