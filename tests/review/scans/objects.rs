//! `VulnerabilityReport` objects: of the namespaces that the settings trust, after those of folders.

use pratique_testkit::report::OperatorReport;

use super::*;

async fn with_object(scene: &Scene, namespaces: &[&str], report: &OperatorReport) -> Webhook {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let setup = scene.setup("threshold: high").manifest("report.yaml", &report.yaml());
    setup.configure(|config| config.scans.namespaces = namespaces).start().await
}

fn object(scene: &Scene) -> OperatorReport {
    OperatorReport::of(&scene.name(), "shop", "replicaset-web").digest(&scene.digest)
}

#[tokio::test]
async fn an_object_counts_in_a_namespace_that_is_trusted_and_nowhere_else() {
    let scene = Scene::new().await;
    let webhook = with_object(&scene, &["shop"], &object(&scene)).await;
    let answer = scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
    for namespaces in [&[][..], &["other"]] {
        let webhook = with_object(&scene, namespaces, &object(&scene)).await;
        assert_eq!(reason(&scene.ask(&webhook).await), "report-missing", "{namespaces:?}");
    }
    let metrics = webhook_metrics(&scene).await;
    assert!(metrics.contains("pratique_scan_reports{source=\"object\",state=\"usable\"} 1"), "{metrics}");
    let webhook = with_object(&scene, &["shop"], &object(&scene).finding(grave())).await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
}

async fn webhook_metrics(scene: &Scene) -> String {
    with_object(scene, &["shop"], &object(scene)).await.get("/metrics").await.text()
}

#[tokio::test]
async fn an_object_without_a_digest_clears_nothing() {
    let scene = Scene::new().await;
    let webhook = with_object(&scene, &["shop"], &object(&scene).digest("")).await;
    assert_eq!(reason(&scene.ask(&webhook).await), "report-missing");
}

#[tokio::test]
async fn the_folder_is_believed_before_the_object() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().finding(grave()).scanned_at("2026-01-01T00:00:00Z").text());
    let webhook = with_object(&scene, &["shop"], &object(&scene)).await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
    scene.folder.remove("web.json");
    scene.becomes(&webhook, "").await;
}
