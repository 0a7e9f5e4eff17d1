//! What the README says is so: its tables, command lines and files are held against the program itself.
//!
//! A failure says which line of README.md to change, or that the program lost what was promised there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy frees tests of these, but not what they call")]

use std::collections::{BTreeMap, BTreeSet};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use pratique::args::Arguments;
use pratique::config::{Config, TrustedRoot};
use pratique::controller::events::Untold;
use pratique::controller::registration::Registration;
use pratique::decision::verdict::Reason;
use pratique::evidence::cluster;
use pratique::evidence::cluster::watching::Watches;
use pratique::image::{Pattern, Reference};
use pratique_testkit::report::{Finding, OperatorReport, TrivyReport};
use pratique_testkit::signer::{Key, KeyKind, Layer, PrivateSigstore, Signer, Statement, Version};
use pratique_testkit::{Client, DIGEST, Directory, Image, Place, Registry, Review, Webhook, eventually, pod, review};

const README: &str = include_str!("../README.md");
const POD: &str = include_str!("fixtures/reviews/captured-reviews/pod-create.json");

#[test]
fn the_reasons_are_those_of_the_program_in_its_order() {
    let row = |reason: &Reason| format!("| `{}` | {} | {} |", reason.code(), reason.check(), reason.meaning());
    let expected: Vec<String> = Reason::ALL.iter().map(row).collect();
    let found = table("reasons");
    for (index, expected) in expected.iter().enumerate() {
        let found = found.get(index).map_or("", |row| *row);
        assert_eq!(found, expected, "README.md: make row {} of the reasons the second of these", index + 1);
    }
    assert_eq!(found.len(), expected.len(), "README.md: the reasons have a row too many; take it out");
}

#[tokio::test]
async fn the_metrics_are_those_that_the_program_prints() {
    let (registry, reports) = (Registry::setup().start().await, Directory::new());
    let image = format!("{}/acme/web:v1", registry.host());
    let digest = registry.push("acme/web", "v1", &Image::single());
    reports.write("web.json", &TrivyReport::of(&image).manifest(&digest).text());
    let (folder, object) = (reports.path().to_owned(), OperatorReport::of(&image, "shop", "web").digest(&digest));
    let waiver = "{id: CVE-2024-6119, until: 2026-01-31, reason: r, owner: o@acme.example}";
    let demand = format!("vulnerabilities: {{threshold: high, ignore: [{waiver}]}}");
    let policy = format!("rules: [{{name: all, images: [\"**\"], tags: {{deny: [latest]}}, {demand}}}]");
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let setup = setup.manifest("report.yaml", &object.yaml()).configure(|config| {
        config.scans.directories.push(folder);
        config.scans.namespaces.push("shop".to_owned());
    });
    let webhook = setup.start().await;
    // Families with labels appear with their first series.
    webhook.review(&review(&pod("web").container("web", "nginx"))).await;
    webhook.review(&review(&pod("web").container("web", &image))).await;
    webhook.review(&review(&pod("web").container("web", &format!("nginx@{DIGEST}")))).await;
    let printed = families(&webhook.get("/metrics").await.text());
    let told: BTreeMap<String, BTreeSet<String>> = table("metrics").iter().map(|row| metric(row)).collect();
    for (name, labels) in &printed {
        let told = told.get(name).unwrap_or_else(|| panic!("README.md: add {name} {labels:?} to the metrics"));
        assert_eq!(told, labels, "README.md: correct the labels of {name}, the second are those printed");
    }
    for name in told.keys() {
        assert!(printed.contains_key(name), "README.md: {name} is printed nowhere; take its row out");
    }
}

/// What a cluster adds to the metrics, as it is printed.
fn exposition_of_a_cluster() -> String {
    let registry = prometheus::Registry::new();
    let (watches, _untold, _registration) =
        (Watches::new(&registry).unwrap(), Untold::new(&registry).unwrap(), Registration::new(&registry).unwrap());
    watches.enter("pods");
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[test]
fn the_metrics_of_a_cluster_are_those_that_the_program_prints_there() {
    let told: BTreeMap<String, BTreeSet<String>> =
        table("metrics-of-a-cluster").iter().map(|row| metric(row)).collect();
    assert_eq!(told, families(&exposition_of_a_cluster()), "README.md: the metrics of a cluster (first) are not these");
}

#[test]
fn the_weaknesses_of_a_webhook_configuration_are_those_that_the_program_looks_for() {
    let told: BTreeSet<String> = table("weaknesses").iter().filter_map(|row| words(row).into_iter().next()).collect();
    let printed = exposition_of_a_cluster();
    let series =
        printed.lines().filter_map(|line| line.strip_prefix("pratique_webhook_configuration_weakened{what=\""));
    let known: BTreeSet<String> = series.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(told, known, "README.md: the table of weaknesses (first) is not what the program has (second)");
}

/// `get list watch on namespaces`, `get patch on validatingwebhookconfigurations.admissionregistration.k8s.io pratique`
fn right(rule: &PolicyRule) -> String {
    let of = |list: &Option<Vec<String>>| list.iter().flatten().cloned().collect::<Vec<_>>();
    let group = of(&rule.api_groups).join("+");
    let resources = of(&rule.resources).into_iter();
    let resources: Vec<String> =
        resources.map(|its| if group.is_empty() { its } else { format!("{its}.{group}") }).collect();
    let names = resources.into_iter().chain(of(&rule.resource_names)).collect::<Vec<_>>().join(" ");
    format!("{} on {names}", rule.verbs.join(" "))
}

#[test]
fn the_rights_are_those_of_the_manifests_in_their_order() {
    let told = table("rbac").into_iter().map(|row| {
        let cells: Vec<Vec<String>> = row.trim_matches('|').split('|').map(words).collect();
        format!("{} on {}", cells[0].join(" "), cells[1].join(" "))
    });
    let mut shipped = Vec::new();
    for text in [include_str!("../manifests/base/clusterrole.yaml"), include_str!("../manifests/base/role.yaml")] {
        // What binds them is the second of each.
        let role = text.split("\n---\n").next().unwrap().replace("kind: Role\n", "kind: ClusterRole\n");
        let role: ClusterRole = serde_saphyr::from_str(&role).unwrap();
        shipped.extend(role.rules.iter().flatten().map(right));
    }
    assert_eq!(
        told.collect::<Vec<_>>(),
        shipped,
        "README.md: the table of rights (first) is not that of the manifests"
    );
}

#[tokio::test]
async fn the_refusal_on_the_first_screen_is_what_the_program_says() {
    let webhook = Webhook::setup().enforce("pinned").start().await;
    let answer = webhook.review(&Review::read(POD).in_namespace("prod")).await;
    assert_eq!(fenced("refusal"), answer.as_kubectl(), "README.md: show the second of these between the markers");
}

/// What stands behind `denied the request: `, with `registry.example` for the registry on loopback.
async fn denied(webhook: &Client, registry: &Registry, image: &str) -> String {
    let image = image.replace("registry.example", registry.host());
    let answer = webhook.review(&review(&pod("web").container("web", &image))).await;
    let line = answer.message.lines().next().unwrap_or_default();
    line.replace(registry.host(), "registry.example")
}

#[tokio::test]
async fn what_users_see_of_registries_is_what_the_program_says() {
    let (open, closed) = (Registry::setup().start().await, Registry::setup().basic("shop", "throw-away").start().await);
    open.push("acme/web", "1.0", &Image::single());
    let policy = "unavailable: deny\nrules:\n- {name: all, images: [\"**\"], tags: {repointed: deny}}";
    let setup = Webhook::setup().registry(&open).registry(&closed).policy("acme", policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = std::time::Duration::ZERO).start().await;
    let web = "registry.example/acme/web:1.0";
    assert_eq!(denied(&webhook, &open, web).await, "", "it is admitted, and so on record");
    open.push("acme/web", "1.0", &Image::single().label("another"));
    let mut moved = String::new();
    eventually("the registry has been asked again", async || {
        moved = denied(&webhook, &open, web).await;
        !moved.is_empty()
    })
    .await;
    let absent = denied(&webhook, &open, "registry.example/acme/web:2.0").await;
    let inaccessible = denied(&webhook, &closed, web).await;
    open.go_away();
    let unavailable = denied(&webhook, &open, "registry.example/acme/api:1.0").await;
    let said = [absent, inaccessible, unavailable, moved].join("\n");
    assert_eq!(fenced("registries"), said, "README.md: show the second of these between the markers");
}

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The policy of the README whose rules are for this name, of images on this registry.
fn policy_shown(name: &str, registry: &Registry) -> String {
    let shown = blocks("yaml").into_iter().find(|block| block.contains(&format!("metadata: {{name: {name}}}")));
    let shown = shown.unwrap_or_else(|| panic!("README.md: show a policy {name}"));
    let (_, spec) = shown.split_once("spec:\n").unwrap();
    let spec: String = spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    // There is no public Sigstore here: the one of the test takes its place.
    spec.replace("ghcr.io/", &format!("{}/", registry.host())).replace("  keyless:", "  trust: private\n  keyless:")
}

#[tokio::test]
async fn what_users_see_of_signatures_is_what_the_program_says() {
    let (registry, sigstore, folder) = (Registry::setup().start().await, PrivateSigstore::new(), Directory::new());
    folder.write("trusted_root.json", &sigstore.trusted_root_json());
    let trusted_root = folder.path().join("trusted_root.json");
    let root = TrustedRoot { name: "private".to_owned(), trusted_root, tuf: None };
    let setup = Webhook::setup().registry(&registry).configure(|config| config.trust.push(root)).enforce("acme");
    let setup = setup.policy("acme", &policy_shown("signed-by-pipeline", &registry));
    let webhook = setup.budget(|budget| budget.negative = std::time::Duration::ZERO).start().await;
    let digest = registry.push("acme/web", "v1", &Image::single());
    let workflow = |repository: &str| {
        let subject = format!("https://github.com/{repository}/.github/workflows/release.yaml@refs/tags/v1");
        // `runnerEnvironment` and `buildTrigger`.
        Signer::keyless(&sigstore, ISSUER, &subject).extension(11, "github-hosted").extension(20, "push")
    };
    let sign = |signer: &Signer| signer.bundle(Version::V03, &Statement::signature_of(&digest));
    let attest = |builder: &str| {
        let predicate = serde_json::json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"repository": "https://github.com/acme/web"}},
            },
            "runDetails": {"builder": {"id": builder}},
        });
        workflow("acme/web").bundle(Version::V03, &Statement::about(&digest, PROVENANCE).predicate(predicate))
    };
    let attach = |layer: &Layer| drop(layer.attach(&registry, "acme/web", &digest, Place::Referrer));
    let web = "registry.example/acme/web:v1";
    attach(&attest("https://github.com/acme/web/.github/workflows/nightly.yaml@refs/heads/main"));
    let unsigned = denied(&webhook, &registry, web).await;
    attach(&sign(&workflow("evil/web")));
    let stranger = denied(&webhook, &registry, web).await;
    attach(&sign(&workflow("acme/web")));
    let condition = denied(&webhook, &registry, web).await;
    attach(&attest("https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1"));
    assert_eq!(denied(&webhook, &registry, web).await, "", "the policy that is shown admits what its workflow made");
    let said = [unsigned, stranger, condition].join("\n");
    assert_eq!(fenced("signatures"), said, "README.md: show the second of these between the markers");
}

/// When the scanner ran, for the README.
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
    assert_eq!(fenced("scan-refusals"), said, "README.md: show the second of these between the markers");
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
    assert_eq!(rows.len(), 5, "README.md: there are five states");
    for row in rows {
        let cells: Vec<Vec<String>> = row.trim_matches('|').split('|').map(words).collect();
        let (state, reason) = (&cells[0][0], &cells[2][0]);
        let webhook = if state == "pending" { &unmounted } else { &webhook };
        let image = format!("{}/acme/{state}:v1", scene.registry.host());
        let answer = webhook.review(&review(&pod("web").container("web", &image))).await;
        let found = answer.annotations.get("reports").map(String::as_str);
        assert_eq!(found, Some(format!("spec.containers[0].image={state}").as_str()), "README.md: no such state");
        assert!(answer.message.contains(&format!(": {reason}, ")), "README.md: {state}: {}", answer.message);
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
    assert_eq!(fenced("scans"), said.trim_end(), "README.md: show the second of these between the markers");
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
    assert_eq!(told, known, "README.md: the table of `vulnerabilities` (first) is not what the program has (second)");
}

#[tokio::test]
async fn readiness_looks_as_shown() {
    let webhook = Webhook::setup().start().await;
    let text = webhook.get("/readyz").await.text();
    assert_eq!(fenced("readyz"), text.trim_end(), "README.md: show the second of these between the markers");
}

/// It takes an API server to print them all: here their names are looked for.
#[test]
fn the_parts_of_readiness_in_a_cluster_are_those_of_the_program() {
    let sources = [include_str!("../src/command/serve/cluster.rs"), include_str!("../src/command/serve/starting.rs")];
    let code = sources.concat();
    let lines: Vec<&str> = fenced("readyz-of-a-cluster").lines().filter(|line| *line != "ready").collect();
    for line in &lines {
        let part = line.strip_prefix("[+] ").and_then(|line| line.strip_suffix(": ready"));
        let part = part.unwrap_or_else(|| panic!("README.md: {line:?} is no line of /readyz"));
        assert!(code.contains(&format!("\"{part}\"")), "README.md: /readyz of a cluster has no part {part}");
    }
    let named = ["enter(starting, \"", "part(\""].into_iter().flat_map(|call| code.split(call).skip(1));
    let missing: Vec<&str> = named
        .filter_map(|rest| rest.split('"').next())
        // Only with the settings that they are about.
        .filter(|part| !["scans", "clientCA"].contains(part))
        .filter(|part| !lines.iter().any(|line| line.contains(&format!(" {part}: "))))
        .collect();
    assert!(missing.is_empty(), "README.md: show {missing:?} in /readyz of a cluster");
}

#[test]
fn the_settings_shown_are_the_defaults_without_exception() {
    let settings = blocks("yaml").into_iter().filter(|block| !is_object(block));
    let mut shown = BTreeSet::new();
    for text in settings {
        let (config, warnings) = Config::parse(&text, "README.md").unwrap_or_else(|mistakes| {
            panic!("README.md: these settings are not valid: {mistakes:#?}\n{text}");
        });
        assert_eq!(config, Config::default(), "README.md: a setting is shown with another value than its default");
        assert!(warnings.is_empty(), "{warnings:?}");
        shown.extend(keys(&text));
    }
    let known = settings_of_the_program();
    let missing: Vec<&String> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "README.md: the settings do not show {missing:?}; add them with their defaults");
}

#[test]
fn policies_that_are_shown_load_without_a_warning() {
    let directory = Directory::new();
    let policies: Vec<String> = blocks("yaml").into_iter().filter(|block| is_object(block)).collect();
    assert!(!policies.is_empty(), "README.md: show a policy");
    for (index, policy) in policies.iter().enumerate() {
        // A waiver that ends is announced, and the one that is shown ends one day.
        directory.write(&format!("{index}.yaml"), &policy.replace("until: 2027-", "until: 2999-"));
    }
    // As `cosign generate-key-pair` writes it.
    directory.write("cosign.pub", &Key::generate(KeyKind::P256).public_pem());
    let manifests = cluster::read(&[directory.path().to_owned()]);
    let manifests = manifests.unwrap_or_else(|mistakes| panic!("README.md: a policy is invalid: {mistakes:#?}"));
    assert!(manifests.warnings.is_empty(), "README.md: a policy earns a warning: {:#?}", manifests.warnings);
    assert_eq!(manifests.objects, policies.len());
}

#[test]
fn patterns_match_what_the_table_says() {
    for row in lines_after("| pattern | matches | and not |") {
        let cells: Vec<Vec<String>> = row.trim_matches('|').split('|').map(words).collect();
        let [pattern, matching, other] = cells.as_slice() else { panic!("README.md: three cells, not {row}") };
        let pattern = Pattern::parse(&pattern[0]).unwrap_or_else(|error| panic!("README.md: {pattern:?}: {error}"));
        for (names, expected) in [(matching, true), (other, false)] {
            for name in names.iter().filter(|name| !name.contains('*')) {
                let found = pattern.matches(&Reference::parse(name).unwrap());
                assert_eq!(found, expected, "README.md: {pattern} and {name} stand in the wrong cell");
            }
        }
    }
}

#[test]
fn command_lines_are_understood() {
    let lines = command_lines();
    assert!(lines.len() > 5, "README.md: only these command lines were found: {lines:?}");
    for line in lines {
        match Arguments::try_parse_from(line.split_whitespace()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
            Err(error) => panic!("README.md: `{line}` is not understood; correct it:\n{error}"),
        }
    }
}

#[test]
fn flags_and_variables_are_those_of_the_program() {
    let mut known = BTreeSet::new();
    for command in Arguments::command().get_subcommands() {
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            known.extend(argument.get_long().map(|flag| format!("--{flag}")));
            known.extend(argument.get_env().map(|variable| variable.to_str().unwrap().to_owned()));
        }
    }
    let table = lines_after("| flag | variable |");
    let told: BTreeSet<String> = table.iter().flat_map(|row| words(row)).filter(|word| is_option(word)).collect();
    assert_eq!(told, known, "README.md: the table of flags (first) is not what the program has (second)");
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let anchors: BTreeSet<String> =
        README.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#'))).collect();
    for target in README.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let exists = match target.strip_prefix('#') {
            Some(heading) => anchors.contains(heading),
            None => std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(),
        };
        assert!(exists, "README.md: there is nothing at {target}; correct the link");
    }
}

/// Rows between the markers of this name, without the head of the table.
fn table(name: &str) -> Vec<&'static str> {
    between(name).lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// The text of the one fenced block between the markers.
fn fenced(name: &str) -> &'static str {
    let text = between(name).trim();
    text.strip_prefix("```text\n").and_then(|text| text.strip_suffix("\n```")).unwrap()
}

fn between(name: &str) -> &'static str {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let rest = README.split_once(&begin).unwrap_or_else(|| panic!("README.md: the marker {begin:?} is missing")).1;
    rest.split_once(&end).unwrap_or_else(|| panic!("README.md: the marker {end:?} is missing")).0
}

/// The rows of the table whose head begins so.
fn lines_after(head: &str) -> Vec<&'static str> {
    let rest = README.split_once(head).unwrap_or_else(|| panic!("README.md: there is no table {head:?}")).1;
    rest.lines().skip(2).take_while(|line| line.starts_with('|')).collect()
}

/// What stands in fenced blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let (mut blocks, mut inside) = (Vec::new(), false);
    for line in README.lines() {
        match (inside, line) {
            (false, line) if line == format!("```{language}") => {
                inside = true;
                blocks.push(String::new());
            }
            (true, "```") => inside = false,
            (true, line) => blocks.last_mut().unwrap().extend([line, "\n"]),
            (false, _) => {}
        }
    }
    blocks
}

fn is_object(yaml: &str) -> bool {
    yaml.starts_with("apiVersion:")
}

/// Paths of everything in the settings shown: `tls`, `tls.key`.
fn keys(yaml: &str) -> BTreeSet<String> {
    let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
    let mut found = BTreeSet::new();
    for (key, value) in value.as_object().unwrap() {
        found.extend(value.as_object().into_iter().flatten().map(|(inner, _)| format!("{key}.{inner}")));
        found.insert(key.clone());
    }
    found
}

/// Paths of all settings, as the program lists them to someone who wrote one that it does not know.
fn settings_of_the_program() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for key in known_beside("{no-such-setting: 1}") {
        // Those that are no table say so, in other words.
        let inner = known_beside(&format!("{{{key}: {{no-such-setting: 1}}}}"));
        all.extend(inner.into_iter().map(|inner| format!("{key}.{inner}")));
        all.insert(key);
    }
    assert!(all.contains("tls.clientCA"), "an unknown setting is no longer answered with the known ones: {all:?}");
    all
}

fn known_beside(settings: &str) -> Vec<String> {
    let mistakes = Config::parse(settings, "test").unwrap_err();
    let list = mistakes.iter().find_map(|mistake| Some(mistake.message.split_once("known here: ")?.1.to_owned()));
    list.map_or_else(Vec::new, |list| list.split(", ").map(str::to_owned).collect())
}

/// Every line that runs `pratique`, in blocks and in running text, without comments and what it is piped to or from.
fn command_lines() -> Vec<String> {
    let blocks = blocks("sh");
    let in_blocks = blocks.iter().flat_map(|block| block.lines());
    let in_blocks = in_blocks.filter_map(|line| line.split(" #").next()).flat_map(|line| line.split('|'));
    let in_text = README.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n'));
    // A command that is only mentioned has no arguments.
    let in_text = in_text.filter(|code| code.split(' ').count() > 2);
    let commands = in_blocks.chain(in_text).map(str::trim).filter(|line| line.starts_with("pratique "));
    commands.map(str::to_owned).collect()
}

/// Families of ours in an exposition, each with the labels of its series.
fn families(exposition: &str) -> BTreeMap<String, BTreeSet<String>> {
    let typed = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE pratique_"));
    let names = typed.map(|line| format!("pratique_{}", line.split(' ').next().unwrap()));
    names.map(|name| (name.clone(), labels(exposition, &name))).collect()
}

fn labels(exposition: &str, name: &str) -> BTreeSet<String> {
    let series = exposition.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let pairs = series.flat_map(|series| series.split_once('}').unwrap().0.split("\","));
    pairs.map(|pair| pair.split_once('=').unwrap().0.to_owned()).filter(|label| label != "le").collect()
}

/// Name and labels of a row of the table.
fn metric(row: &str) -> (String, BTreeSet<String>) {
    let mut cells = row.trim_matches('|').split('|').map(words);
    let name = cells.next().and_then(|words| words.into_iter().next()).unwrap();
    (name, cells.next().unwrap().into_iter().collect())
}

/// What stands between backticks.
fn words(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split(' ').next()).map(str::to_owned).collect()
}

fn is_option(word: &str) -> bool {
    word.starts_with("--") || word.starts_with("PRATIQUE_")
}

/// As GitHub names a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}
