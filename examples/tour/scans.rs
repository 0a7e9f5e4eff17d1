//! Scenes of scans: a clean image, a vulnerable one, one whose finding is waived, one that nobody scanned, and a restart
//! after the scanner has learnt of something new. The reports are as Trivy writes them, in a folder.

use pratique_testkit::report::{Finding, TrivyReport};
use pratique_testkit::{Answer, Directory, Image, Registry, Webhook, eventually, pod, review};

use super::{annotation, say, tell};

/// How many there are.
pub(crate) const COUNT: usize = 5;

pub(crate) const POLICY: &str = "\
rules:
- name: all
  images: [\"**\"]
  vulnerabilities:
    threshold: high
    fixable: true
    maxAge: 72h
    runningFor: 30d
    ignore:
    - {id: CVE-2024-6119, until: 2099-12-31, reason: \"no certificate is read here\", owner: web@acme.example}";

/// What must come of it.
enum Outcome {
    Admitted,
    Refused(&'static str),
}

/// Four images that differ in what Trivy says of them, and the first of them again on the morning after.
pub(crate) async fn scenes(
    webhook: &Webhook,
    registry: &Registry,
    reports: &Directory,
    before: usize,
) -> Vec<&'static str> {
    say(
        "\nThe same registry, and a namespace `bank` that wants a report of Trivy or Grype, not older than three days, without",
    );
    say("a high or critical finding that has a fix; CVE-2024-6119 is waived. Reports lie in a folder:");
    let minor = Finding::new("CVE-2023-45853").severity("LOW").package("zlib", "1.3").fixed("1.3.1");
    let grave = Finding::new("CVE-2024-3094").severity("CRITICAL").package("xz", "5.6.0").fixed("5.6.2");
    let waived = Finding::new("CVE-2024-6119").package("libssl3", "3.3.1-r3").fixed("3.3.2-r0");
    let images: [(_, _, Option<&Finding>, Outcome); COUNT - 1] = [
        ("An image in which Trivy found nothing grave", "clean", Some(&minor), Outcome::Admitted),
        (
            "An image with a critical finding that has a fix",
            "vulnerable",
            Some(&grave),
            Outcome::Refused("vulnerable: "),
        ),
        ("An image whose only grave finding is waived, for a time", "waived", Some(&waived), Outcome::Admitted),
        ("An image that nobody scanned", "unscanned", None, Outcome::Refused("report-missing: ")),
    ];
    for (_, name, finding, _) in &images {
        let image = push(registry, name);
        if let Some(finding) = finding {
            write(reports, name, &image, finding);
            eventually("its report is read", async || {
                annotation(&run(webhook, name, &image).await, "reports").ends_with("=fresh")
            })
            .await;
        }
    }
    let mut wrong = Vec::new();
    for (index, (title, name, _, outcome)) in images.into_iter().enumerate() {
        let image = name_of(registry, name);
        let answer = run(webhook, name, &image).await;
        tell(before + index + 1, title, &format!("kubectl run {name} -n bank --image={image}"), &answer);
        say(&format!("   audit log: images.pratique.dev/reports: {}", annotation(&answer, "reports")));
        let right = match outcome {
            Outcome::Admitted => answer.allowed,
            Outcome::Refused(reason) => !answer.allowed && answer.message.contains(reason),
        };
        if !right {
            wrong.push(title);
        }
    }

    let title =
        "Overnight Trivy learns of a critical finding in the clean image, and its pod starts anew: it may, for 30 days";
    let image = name_of(registry, "clean");
    write(reports, "clean", &image, &grave);
    let mut answer = run(webhook, "clean", &image).await;
    eventually("the new report is read", async || {
        answer = run(webhook, "clean", &image).await;
        !answer.allowed || !answer.warnings.is_empty()
    })
    .await;
    tell(
        before + COUNT,
        title,
        "kubectl rollout restart -n bank deployment/clean    # the pod that comes of it",
        &answer,
    );
    say(&format!("   audit log: images.pratique.dev/basis: {}", annotation(&answer, "basis")));
    if !answer.allowed || annotation(&answer, "basis") != "SoftenedToWarning" {
        wrong.push(title);
    }
    wrong
}

fn image_of(name: &str) -> Image {
    Image::single().label(name)
}

fn name_of(registry: &Registry, name: &str) -> String {
    format!("{}/bank/{name}:v1", registry.host())
}

fn push(registry: &Registry, name: &str) -> String {
    registry.push(&format!("bank/{name}"), "v1", &image_of(name));
    name_of(registry, name)
}

fn write(reports: &Directory, name: &str, image: &str, finding: &Finding) {
    let report = TrivyReport::of_image(image, &image_of(name), "linux/amd64").finding(finding.clone());
    reports.write(&format!("{name}.json"), &report.text());
}

async fn run(webhook: &Webhook, name: &str, image: &str) -> Answer {
    webhook.review(&review(&pod(name).container(name, image)).in_namespace("bank")).await
}
