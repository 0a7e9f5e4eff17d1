//! Scan reports: what is said of them, and what each state of them is called.

use std::collections::BTreeSet;

use pratique::evidence::cluster;
use pratique_testkit::report::{Finding, TrivyReport};
use pratique_testkit::{Directory, Image, Registry, Webhook, eventually, pod, review};

use crate::said::{denied, policy_shown};
use crate::texts::{fenced, lines_after, show_the_second, table, words};

/// When the scanner ran, for the documents.
const SHOWN: &str = "2026-11-20T03:00:00Z";

/// So many hours ago, to the second.
fn hours_ago(hours: i64) -> String {
    let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A registry with one image for each report, all of them in one folder.
struct Reported {
    registry: Registry,
    folder: Directory,
    reports: Vec<(&'static str, TrivyReport)>,
}

impl Reported {
    async fn new() -> Self {
        let (registry, folder) = (Registry::setup().start().await, Directory::new());
        Self { registry, folder, reports: Vec::new() }
    }

    fn of(&mut self, name: &'static str, scanned: &str, report: impl FnOnce(TrivyReport) -> TrivyReport) {
        let (image, repository) = (Image::single().label(name), format!("acme/{name}"));
        self.registry.push(&repository, "v1", &image);
        let image_name = format!("{}/{repository}:v1", self.registry.host());
        let report = report(TrivyReport::of_image(&image_name, &image, "linux/amd64").scanned_at(scanned));
        self.folder.write(&format!("{name}.json"), &report.text());
        self.reports.push((name, report));
    }

    async fn webhook(&self, policy: &str) -> Webhook {
        let folder = self.folder.path().to_owned();
        let setup = Webhook::setup().registry(&self.registry).policy("acme", policy).enforce("acme");
        setup.configure(move |config| config.scans.directories.push(folder)).start().await
    }
}

#[tokio::test]
async fn what_users_see_of_scans_is_what_the_program_says() {
    let (mut scene, scanned, long_ago) = (Reported::new().await, hours_ago(9), hours_ago(5 * 24));
    let xz = || Finding::new("CVE-2024-3094").severity("CRITICAL").package("xz", "5.6.0").fixed("5.6.2");
    let openssl = |package| Finding::new("CVE-2025-15467").package(package, "3.3.1-r3").fixed("3.3.6-r0");
    let waived = Finding::new("CVE-2024-6119").package("libssl3", "3.3.1-r3").fixed("3.3.2-r0");
    let log4j = Finding::new("CVE-2021-44228").severity("LOW").package("log4j-core", "2.14.1");
    scene.of("web", &scanned, |report| report.finding(xz()).finding(openssl("libssl3")).finding(openssl("libcrypto3")));
    scene.of("tools", &scanned, |report| report.finding(waived));
    scene.of("search", &scanned, |report| report.finding(log4j));
    scene.of("api", &long_ago, |report| report);
    scene.of("static", &scanned, TrivyReport::without_packages);
    let new = scene.registry.push("acme/new", "v1", &Image::platforms(&["linux/amd64", "linux/arm64"]));
    assert!(new.starts_with("sha256:"));
    let policy = policy_shown("scanned", &scene.registry);
    // Nobody waits for ten minutes here, nor is this to fail when the waiver ends.
    let policy = policy.replace("missingGrace: 10m", "missingGrace: 1s").replace("until: 2027-", "until: 2999-");
    let webhook = scene.webhook(&policy).await;
    assert_eq!(denied(&webhook, &scene.registry, "registry.example/acme/tools:v1").await, "", "it is waived");
    let mut said = Vec::new();
    for name in ["web", "search", "api", "new", "static"] {
        let mut line = String::new();
        eventually("it is refused, also where that takes a second", async || {
            line = denied(&webhook, &scene.registry, &format!("registry.example/acme/{name}:v1")).await;
            !line.is_empty()
        })
        .await;
        let folder = scene.folder.path().display().to_string();
        let line = line.replace(&scanned, SHOWN).replace(&long_ago, "2026-11-15T12:00:00Z").replace(&folder, "reports");
        said.push(line);
    }
    let said = said.join("\n");
    assert_eq!(fenced("scan-refusals"), said, "{}", show_the_second("scan-refusals"));
}

#[tokio::test]
async fn each_state_of_a_report_is_called_as_shown() {
    let (mut scene, scanned) = (Reported::new().await, hours_ago(9));
    scene.of("fresh", &scanned, |report| report.finding(Finding::new("CVE-1")));
    scene.of("stale", "2026-01-01T00:00:00Z", |report| report);
    scene.of("failed", &scanned, TrivyReport::without_packages);
    scene.registry.push("acme/missing", "v1", &Image::single().label("missing"));
    scene.registry.push("acme/pending", "v1", &Image::single().label("pending"));
    let policy =
        "unavailable: deny\nrules: [{name: all, images: [\"**\"], vulnerabilities: {threshold: high, maxAge: 72h}}]";
    let webhook = scene.webhook(policy).await;
    let nowhere = scene.folder.path().join("nowhere");
    let setup = Webhook::setup().registry(&scene.registry).policy("acme", policy).enforce("acme");
    let unmounted = setup.configure(move |config| config.scans.directories.push(nowhere)).start().await;
    let rows = table("states");
    assert_eq!(rows.len(), 5, "docs/scans.md: there are five states");
    for row in rows {
        let cells: Vec<Vec<String>> = row.trim_matches('|').split('|').map(words).collect();
        let (state, reason) = (&cells[0][0], &cells[2][0]);
        let webhook = if state == "pending" { &unmounted } else { &webhook };
        let image = format!("{}/acme/{state}:v1", scene.registry.host());
        let answer = webhook.review(&review(&pod("web").container("web", &image))).await;
        let found = answer.annotations.get("reports").map(String::as_str);
        assert_eq!(found, Some(format!("spec.containers[0].image={state}").as_str()), "docs/scans.md: no such state");
        assert!(answer.message.contains(&format!(": {reason}, ")), "docs/scans.md: {state}: {}", answer.message);
    }
}

/// A real report, of `ghcr.io` and of nine hours ago.
fn captured(name: &str) -> String {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans/captured/trivy").join(name);
    let text = std::fs::read_to_string(file).unwrap().replace("127.0.0.1:5077", "ghcr.io");
    let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
    report["CreatedAt"] = hours_ago(9).into();
    report.to_string()
}

#[test]
fn the_table_of_scans_is_the_one_that_is_shown() {
    let folder = Directory::new();
    for (name, report) in
        [("web", "web-tag.json"), ("clean", "clean-all-pkgs.json"), ("static", "static-no-packages.json")]
    {
        folder.write_in("reports", &format!("{name}.json"), &captured(report));
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pratique"));
    let output = command.args(["scans", "reports/"]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(fenced("scans"), said.trim_end(), "{}", show_the_second("scans"));
}

#[test]
fn the_fields_of_vulnerabilities_are_those_of_the_program() {
    let told: BTreeSet<String> = lines_after("| of `vulnerabilities` |")
        .iter()
        .filter_map(|row| words(row).into_iter().next())
        .map(|field| field.trim_end_matches("[]").to_owned())
        .collect();
    let directory = Directory::new();
    let policy = "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: acme}\nspec: {rules: [{name: all, \
                  images: [\"**\"], vulnerabilities: {no-such-field: 1}}]}\n";
    directory.write("policy.yaml", policy);
    let mistakes = cluster::read(&[directory.path().to_owned()]).unwrap_err();
    let list = mistakes.iter().find_map(|mistake| Some(mistake.message.split_once("known here: ")?.1.to_owned()));
    let known: BTreeSet<String> = list.unwrap().split(", ").map(str::to_owned).collect();
    assert_eq!(
        told, known,
        "docs/scans.md: the table of `vulnerabilities` (first) is not what the program has (second)"
    );
}
