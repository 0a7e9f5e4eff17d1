//! Images are judged by scan reports: from folders, from objects, from attestations, and by digest alone.

use pratique_testkit::report::{Finding, GrypeReport, TrivyReport};
use pratique_testkit::{Answer, Directory, Image, Object, Registry, Setup, Webhook, eventually, pod, review};

mod attacks;
mod attested;
mod hostile;
mod objects;
mod platforms;
mod rules;
mod running;
mod sources;
mod states;

/// A policy of one rule for everything, in which whatever cannot be told refuses.
fn spec(vulnerabilities: &str) -> String {
    format!("unavailable: deny\nrules:\n- name: all\n  images: [\"**\"]\n  vulnerabilities: {{{vulnerabilities}}}\n")
}

/// A registry with one image of one platform, `acme/web:v1`, and a folder of reports.
struct Scene {
    registry: Registry,
    image: Image,
    digest: String,
    folder: Directory,
}

impl Scene {
    async fn new() -> Self {
        let (registry, image) = (Registry::setup().start().await, Image::single());
        let digest = registry.push("acme/web", "v1", &image);
        Self { registry, image, digest, folder: Directory::new() }
    }

    fn name(&self) -> String {
        format!("{}/acme/web:v1", self.registry.host())
    }

    fn pinned(&self) -> String {
        format!("{}/acme/web@{}", self.registry.host(), self.digest)
    }

    /// A clean report of Trivy, an hour old.
    fn trivy(&self) -> TrivyReport {
        TrivyReport::of_image(&self.name(), &self.image, "linux/amd64")
    }

    fn grype(&self) -> GrypeReport {
        GrypeReport::of_image(&self.name(), &self.image, "linux/amd64")
    }

    fn setup(&self, vulnerabilities: &str) -> Setup {
        let folder = self.folder.path().to_owned();
        let setup = Webhook::setup().registry(&self.registry).policy("acme", &spec(vulnerabilities)).enforce("acme");
        setup.configure(move |config| config.scans.directories.push(folder))
    }

    async fn webhook(&self, vulnerabilities: &str) -> Webhook {
        self.setup(vulnerabilities).start().await
    }

    fn pod(&self) -> Object {
        pod("web").container("web", &self.name())
    }

    async fn ask(&self, webhook: &Webhook) -> Answer {
        webhook.review(&review(&self.pod())).await
    }

    /// Asks until the answer is for this reason, or (an empty one) admitted.
    async fn becomes(&self, webhook: &Webhook, expected: &str) {
        eventually(expected, async || reason(&self.ask(webhook).await) == expected).await;
    }
}

fn grave() -> Finding {
    Finding::new("CVE-2024-3094").severity("CRITICAL").package("xz", "5.6.0").fixed("5.6.2")
}

fn low() -> Finding {
    Finding::new("CVE-2020-0001").severity("LOW").package("zlib", "1.2.0").fixed("1.2.1")
}

/// The code of the refusal that is told first; empty where it was admitted.
fn reason(answer: &Answer) -> &str {
    if answer.allowed {
        return "";
    }
    let line = answer.message.lines().next().unwrap_or_default();
    line.split(": ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(line)
}

#[tokio::test]
async fn a_clean_image_is_admitted_a_vulnerable_one_refused_and_an_unscanned_one_too() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().finding(low()).text());
    let webhook = scene.webhook("threshold: high, running: deny").await;
    let clean = scene.ask(&webhook).await;
    assert!(clean.allowed, "{}", clean.message);
    assert_eq!(clean.annotations["reports"], "spec.containers[0].image=fresh");
    scene.folder.write("web.json", &scene.trivy().finding(low()).finding(grave()).text());
    scene.becomes(&webhook, "vulnerable").await;
    let refused = scene.ask(&webhook).await;
    assert!(
        refused
            .message
            .contains("vulnerable: 1 critical (threshold high): CVE-2024-3094 xz 5.6.0 -> 5.6.2; by trivy of "),
        "{}",
        refused.message
    );
    assert_eq!(refused.code, Some(403));
    scene.folder.remove("web.json");
    scene.becomes(&webhook, "report-missing").await;
}

#[tokio::test]
async fn a_report_counts_for_the_digest_that_the_pod_names_and_for_no_other() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    scene.registry.push("acme/other", "v1", &Image::single().label("other"));
    let webhook = scene.webhook("threshold: high").await;
    let pinned = webhook.review(&review(&pod("web").container("web", &scene.pinned()))).await;
    assert!(pinned.allowed, "{}", pinned.message);
    let other = format!("{}/acme/other:v1", scene.registry.host());
    let answer = webhook.review(&review(&pod("web").container("web", &other))).await;
    assert_eq!(reason(&answer), "report-missing");
    // The tag is moved: the report stays with what it was made of.
    scene.registry.push("acme/web", "v1", &Image::single().label("moved"));
    let moved = scene.setup("threshold: high").start().await;
    assert_eq!(reason(&scene.ask(&moved).await), "report-missing");
}

#[tokio::test]
async fn a_name_in_a_report_proves_nothing() {
    let scene = Scene::new().await;
    let nameless = TrivyReport::of(&scene.name()).text();
    assert!(nameless.contains("acme/web:v1"));
    scene.folder.write("web.json", &nameless);
    let webhook = scene.webhook("threshold: high").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "report-missing");
}

#[tokio::test]
async fn the_program_says_what_it_knows_of_its_reports() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    scene.folder.write("broken.json", "{\"SchemaVersion\": 2, \"Results\": [");
    scene.folder.write("sbom.json", r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}"#);
    let webhook = scene.webhook("threshold: high").await;
    assert!(scene.ask(&webhook).await.allowed);
    let ready = webhook.get("/readyz").await.text();
    assert!(ready.contains("[+] scans: ready"), "{}", ready);
    let metrics = webhook.get("/metrics").await.text();
    for line in [
        "pratique_scan_reports{source=\"directory\",state=\"usable\"} 1",
        "pratique_scan_reports{source=\"directory\",state=\"not-a-report\"} 1",
        "pratique_reports_judged_total{state=\"fresh\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
