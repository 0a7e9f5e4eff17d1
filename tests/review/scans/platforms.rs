//! An index of several platforms: each needs its own report, and a report of an index is one of the platform that it states.

use super::*;

struct Index {
    scene: Scene,
    image: Image,
}

impl Index {
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        let image = Image::platforms(&["linux/amd64", "linux/arm64"]).attested();
        scene.digest = scene.registry.push("acme/web", "v1", &image);
        Self { scene, image }
    }

    fn trivy(&self, platform: &str) -> TrivyReport {
        TrivyReport::of_image(&self.scene.name(), &self.image, platform)
    }

    async fn on(&self, webhook: &Webhook, architecture: &str) -> Answer {
        let selector = serde_json::json!({"kubernetes.io/arch": architecture});
        webhook.review(&review(&self.scene.pod()).set("/request/object/spec/nodeSelector", selector)).await
    }
}

#[tokio::test]
async fn a_report_of_one_platform_clears_that_platform_alone() {
    let index = Index::new().await;
    index.scene.folder.write("amd64.json", &index.trivy("linux/amd64").text());
    let webhook = index.scene.webhook("threshold: high").await;
    let amd64 = index.on(&webhook, "amd64").await;
    assert!(amd64.allowed, "{}", amd64.message);
    let arm64 = index.on(&webhook, "arm64").await;
    assert_eq!(reason(&arm64), "report-missing");
    assert!(arm64.message.contains(" for linux/arm64 ("), "{}", arm64.message);
    index.scene.folder.write("arm64.json", &index.trivy("linux/arm64").finding(grave()).text());
    eventually("it was read", async || reason(&index.on(&webhook, "arm64").await) == "vulnerable").await;
    assert!(index.on(&webhook, "amd64").await.allowed);
}

#[tokio::test]
async fn a_pod_that_may_run_on_both_needs_both() {
    let index = Index::new().await;
    index.scene.folder.write("amd64.json", &index.trivy("linux/amd64").text());
    let setup = index.scene.setup("threshold: high").configure(|config| {
        config.platforms = ["amd64", "arm64"]
            .map(|its| pratique::image::Platform {
                architecture: its.to_owned(),
                ..pratique::image::Platform::default()
            })
            .into();
    });
    let webhook = setup.start().await;
    assert_eq!(reason(&index.scene.ask(&webhook).await), "report-missing");
    index.scene.folder.write("arm64.json", &index.trivy("linux/arm64").text());
    index.scene.becomes(&webhook, "").await;
}

#[tokio::test]
async fn where_nobody_says_what_the_nodes_are_they_are_taken_for_amd64() {
    let index = Index::new().await;
    index.scene.folder.write("amd64.json", &index.trivy("linux/amd64").text());
    let webhook = index.scene.webhook("threshold: high").await;
    let answer = index.scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
}

#[tokio::test]
async fn a_tampered_report_of_an_index_does_not_clear_its_sibling() {
    let index = Index::new().await;
    // What it says of its platform was changed; the image that it was made of stays what it was.
    let tampered = index.trivy("linux/amd64").platform("linux/arm64").text();
    index.scene.folder.write("web.json", &tampered);
    let webhook = index.scene.webhook("threshold: high").await;
    assert_eq!(reason(&index.on(&webhook, "arm64").await), "report-missing");
}

#[tokio::test]
async fn a_report_of_an_index_without_a_platform_is_failed() {
    let index = Index::new().await;
    let report = TrivyReport::of(&index.scene.name()).index(&index.scene.digest).platform("");
    index.scene.folder.write("web.json", &report.text());
    let webhook = index.scene.webhook("threshold: high").await;
    let answer = index.on(&webhook, "amd64").await;
    assert_eq!(reason(&answer), "report-failed");
    assert!(answer.message.contains("platform-unknown"), "{}", answer.message);
}

#[tokio::test]
async fn a_report_that_knows_the_configuration_alone_is_enough() {
    let index = Index::new().await;
    let config = index.image.config_digest_of("linux/arm64");
    index.scene.folder.write("web.json", &TrivyReport::of("local").config(&config).platform("linux/arm64").text());
    let webhook = index.scene.webhook("threshold: high").await;
    let answer = index.on(&webhook, "arm64").await;
    assert!(answer.allowed, "{}", answer.message);
    assert_eq!(reason(&index.on(&webhook, "amd64").await), "report-missing");
}
