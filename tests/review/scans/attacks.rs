//! What an attacker would try, who may push images and create pods, and may not write reports.

use serde_json::json;

use super::*;

/// An index of two platforms on nodes of both, and the reports of a scanner that saw both.
struct TwoPlatforms {
    scene: Scene,
    image: Image,
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl TwoPlatforms {
    async fn new() -> Self {
        let mut scene = Scene::new().await;
        let image = Image::platforms(&["linux/amd64", "linux/arm64"]);
        scene.digest = scene.registry.push("acme/web", "v1", &image);
        Self { scene, image }
    }

    fn report(&self, architecture: &str, findings: &[Finding]) {
        let report = TrivyReport::of_image(&self.scene.name(), &self.image, &format!("linux/{architecture}"));
        let report = findings.iter().cloned().fold(report, TrivyReport::finding);
        self.scene.folder.write(&format!("{architecture}.json"), &report.text());
    }

    async fn webhook(&self, vulnerabilities: &str) -> Webhook {
        let setup = self.scene.setup(vulnerabilities).configure(|config| {
            let of = |architecture: &str| pratique::image::Platform {
                architecture: architecture.to_owned(),
                ..pratique::image::Platform::default()
            };
            config.platforms = ["amd64", "arm64"].map(of).into();
        });
        setup.start().await
    }

    /// As a pod that its author bound to nodes of this architecture.
    async fn on(&self, webhook: &Webhook, architecture: &str) -> Answer {
        let selector = json!({"kubernetes.io/arch": architecture});
        webhook.review(&review(&self.scene.pod()).set("/request/object/spec/nodeSelector", selector)).await
    }
}

#[tokio::test]
async fn a_pod_on_a_clean_platform_does_not_soften_the_platform_that_never_passed() {
    let index = TwoPlatforms::new().await;
    index.report("arm64", &[]);
    index.report("amd64", &[grave()]);
    let webhook = index.webhook("threshold: high").await;
    assert_eq!(reason(&index.on(&webhook, "amd64").await), "vulnerable");
    let clean = index.on(&webhook, "arm64").await;
    assert!(clean.allowed, "{}", clean.message);
    assert_eq!(reason(&index.on(&webhook, "amd64").await), "vulnerable");
    assert_eq!(reason(&index.scene.ask(&webhook).await), "vulnerable");
}

#[tokio::test]
async fn a_pod_on_a_clean_platform_does_not_start_the_time_of_another_anew() {
    let index = TwoPlatforms::new().await;
    index.report("arm64", &[]);
    index.report("amd64", &[]);
    let webhook = index.webhook("threshold: high, runningFor: 3s").await;
    assert!(index.scene.ask(&webhook).await.allowed);
    index.report("amd64", &[grave()]);
    eventually("the new report was read", async || !index.scene.ask(&webhook).await.warnings.is_empty()).await;
    eventually("the time is over", async || {
        assert!(index.on(&webhook, "arm64").await.allowed);
        reason(&index.scene.ask(&webhook).await) == "vulnerable"
    })
    .await;
}

#[tokio::test]
async fn a_report_that_is_away_for_a_moment_does_not_start_the_time_anew() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    let webhook = scene.webhook("threshold: high, missing: allow, runningFor: 3s").await;
    assert!(scene.ask(&webhook).await.allowed);
    let vulnerable = scene.trivy().finding(grave()).text();
    scene.folder.write("web.json", &vulnerable);
    let told = |answer: &Answer| answer.warnings.first().cloned().unwrap_or_default();
    eventually("the new report was read", async || !told(&scene.ask(&webhook).await).is_empty()).await;
    scene.folder.remove("web.json");
    eventually("it is gone", async || told(&scene.ask(&webhook).await).is_empty()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    scene.folder.write("web.json", &vulnerable);
    eventually("it is back", async || {
        let answer = scene.ask(&webhook).await;
        !answer.allowed || !told(&answer).is_empty()
    })
    .await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
}

#[tokio::test]
async fn a_report_of_one_image_of_an_inner_index_does_not_clear_the_others_in_it() {
    let mut scene = Scene::new().await;
    let inner = Image::platforms(&["linux/amd64", "linux/arm64"]);
    let inner_digest = scene.registry.push("acme/web", "inner", &inner);
    let entry = json!({"mediaType": INDEX, "digest": inner_digest, "size": inner.bytes().len()});
    let outer = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string();
    scene.digest = scene.registry.put_manifest("acme/web", Some("v1"), INDEX, &outer);
    // As Trivy writes it that was asked for another platform than the one that the nodes have.
    let scanned = TrivyReport::of(&scene.name()).index(&scene.digest).platform("linux/arm64");
    scene.folder.write("outer.json", &scanned.config(&inner.config_digest_of("linux/arm64")).text());
    let webhook = scene.webhook("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert!(!answer.allowed && answer.message.contains("index within"), "{}", answer.message);
    // And one that names the inner index itself.
    scene.folder.write("inner.json", &TrivyReport::of(&scene.name()).index(&inner_digest).text());
    let again = scene.setup("threshold: high").start().await;
    assert!(!scene.ask(&again).await.allowed);
}

#[tokio::test]
async fn an_attested_report_of_the_first_of_too_many_does_not_clear_the_others() {
    use pratique_testkit::Place;
    use pratique_testkit::signer::{Key, KeyKind, Signer, Version};
    let mut scene = Scene::new().await;
    let platforms: Vec<String> = (1..=33).map(|number| format!("linux/amd64/v{number}")).collect();
    let image = Image::platforms(&platforms.iter().map(String::as_str).collect::<Vec<_>>());
    scene.digest = scene.registry.push("acme/web", "v1", &image);
    let (_, first) = &image.children()[0];
    let key = Key::generate(KeyKind::P256);
    let report = GrypeReport::of(&scene.name()).manifest(first);
    let layer = Signer::key(&key).bundle(Version::V03, &report.attested(&scene.digest));
    layer.attach(&scene.registry, "acme/web", &scene.digest, Place::Referrer);
    let authority = json!({"name": "release", "keys": [{"pem": key.public_pem()}]});
    let policy = format!("{}authorities: [{authority}]\n", spec("threshold: high, authorities: [release]"));
    let webhook = Webhook::setup().registry(&scene.registry).policy("acme", &policy).enforce("acme").start().await;
    let answer = scene.ask(&webhook).await;
    assert!(!answer.allowed && answer.message.contains("33 manifests"), "{}", answer.message);
}

#[tokio::test]
async fn what_is_no_image_is_not_told_by_a_configuration_that_all_such_things_share() {
    let mut scene = Scene::new().await;
    let empty = scene.registry.put_blob("acme/web", "{}");
    let layer = scene.registry.put_blob("acme/web", "whatever the pod is to mount");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.example.data",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
        "layers": [{"mediaType": "application/octet-stream", "digest": layer, "size": 28}],
    });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    scene.digest = scene.registry.put_manifest("acme/web", Some("v1"), media_type, manifest.to_string());
    // Of another one, which was clean.
    scene.folder.write("other.json", &GrypeReport::of("other").config(&empty).text());
    let webhook = scene.webhook("threshold: high").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "report-missing");
}
