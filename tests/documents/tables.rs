//! Tables: reasons, metrics, weaknesses, rights, patterns, states of readiness.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use pratique::controller::events::Untold;
use pratique::controller::registration::Registration;
use pratique::decision::verdict::Reason;
use pratique::evidence::cluster::policies::{Generations, InForce, PolicyObject};
use pratique::evidence::cluster::watching::Watches;
use pratique::image::{Pattern, Reference};
use pratique_testkit::report::{OperatorReport, TrivyReport};
use pratique_testkit::{DIGEST, Directory, Image, Registry, Webhook, pod, review};

use crate::texts::{DOCUMENTS, fenced, lines_after, root, show_the_second, table, words};

#[test]
fn the_reasons_are_those_of_the_program_in_its_order() {
    let row = |reason: &Reason| format!("| `{}` | {} | {} |", reason.code(), reason.check(), reason.meaning());
    let expected: Vec<String> = Reason::ALL.iter().map(row).collect();
    let found = table("reasons");
    for (index, expected) in expected.iter().enumerate() {
        let found = found.get(index).map_or("", |row| *row);
        assert_eq!(found, expected, "docs/reasons.md: make row {} of the reasons the second of these", index + 1);
    }
    assert_eq!(found.len(), expected.len(), "docs/reasons.md: the reasons have a row too many; take it out");
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
        let told = told.get(name).unwrap_or_else(|| panic!("docs/monitoring.md: add {name} {labels:?} to the metrics"));
        assert_eq!(told, labels, "docs/monitoring.md: correct the labels of {name}, the second are those printed");
    }
    for name in told.keys() {
        assert!(printed.contains_key(name), "docs/monitoring.md: {name} is printed nowhere; take its row out");
    }
}

/// What a cluster adds to the metrics, as it is printed.
fn exposition_of_a_cluster() -> String {
    let registry = prometheus::Registry::new();
    let (watches, _untold, _registration) =
        (Watches::new(&registry).unwrap(), Untold::new(&registry).unwrap(), Registration::new(&registry).unwrap());
    watches.enter("pods");
    // A family with labels appears with its first series.
    Generations::new(&registry).unwrap().tell(&[PolicyObject {
        name: "acme".into(),
        uid: "uid".into(),
        generation: 1,
        mistakes: Vec::new(),
        warnings: Vec::new(),
        in_force: InForce::None,
        status: None,
    }]);
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[test]
fn the_metrics_of_a_cluster_are_those_that_the_program_prints_there() {
    let told: BTreeMap<String, BTreeSet<String>> =
        table("metrics-of-a-cluster").iter().map(|row| metric(row)).collect();
    assert_eq!(
        told,
        families(&exposition_of_a_cluster()),
        "docs/monitoring.md: the metrics of a cluster (first) are not these"
    );
}

#[test]
fn the_weaknesses_of_a_webhook_configuration_are_those_that_the_program_looks_for() {
    let told: BTreeSet<String> = table("weaknesses").iter().filter_map(|row| words(row).into_iter().next()).collect();
    let printed = exposition_of_a_cluster();
    let series =
        printed.lines().filter_map(|line| line.strip_prefix("pratique_webhook_configuration_weakened{what=\""));
    let known: BTreeSet<String> = series.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(told, known, "docs/cluster.md: the table of weaknesses (first) is not what the program has (second)");
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
    for text in [include_str!("../../manifests/base/clusterrole.yaml"), include_str!("../../manifests/base/role.yaml")]
    {
        // What binds them is the second of each.
        let role = text.split("\n---\n").next().unwrap().replace("kind: Role\n", "kind: ClusterRole\n");
        let role: ClusterRole = serde_saphyr::from_str(&role).unwrap();
        shipped.extend(role.rules.iter().flatten().map(right));
    }
    assert_eq!(
        told.collect::<Vec<_>>(),
        shipped,
        "docs/cluster.md: the table of rights (first) is not that of the manifests"
    );
}

#[tokio::test]
async fn readiness_looks_as_shown() {
    let webhook = Webhook::setup().start().await;
    let text = webhook.get("/readyz").await.text();
    assert_eq!(fenced("readyz"), text.trim_end(), "{}", show_the_second("readyz"));
}

/// It takes an API server to print them all: here their names are looked for.
#[test]
fn the_parts_of_readiness_in_a_cluster_are_those_of_the_program() {
    let sources =
        [include_str!("../../src/command/serve/cluster.rs"), include_str!("../../src/command/serve/starting.rs")];
    let code = sources.concat();
    let lines: Vec<&str> = fenced("readyz-of-a-cluster").lines().filter(|line| *line != "ready").collect();
    for line in &lines {
        let part = line.strip_prefix("[+] ").and_then(|line| line.strip_suffix(": ready"));
        let part = part.unwrap_or_else(|| panic!("docs/settings.md: {line:?} is no line of /readyz"));
        assert!(code.contains(&format!("\"{part}\"")), "docs/settings.md: /readyz of a cluster has no part {part}");
    }
    let named = ["enter(starting, \"", "part(\""].into_iter().flat_map(|call| code.split(call).skip(1));
    let missing: Vec<&str> = named
        .filter_map(|rest| rest.split('"').next())
        // Only with the settings that they are about.
        .filter(|part| !["scans", "clientCA"].contains(part))
        .filter(|part| !lines.iter().any(|line| line.contains(&format!(" {part}: "))))
        .collect();
    assert!(missing.is_empty(), "docs/settings.md: show {missing:?} in /readyz of a cluster");
}

#[test]
fn patterns_match_what_the_table_says() {
    for row in lines_after("| pattern | matches | and not |") {
        let cells: Vec<Vec<String>> = row.trim_matches('|').split('|').map(words).collect();
        let [pattern, matching, other] = cells.as_slice() else { panic!("docs/policies.md: three cells, not {row}") };
        let pattern =
            Pattern::parse(&pattern[0]).unwrap_or_else(|error| panic!("docs/policies.md: {pattern:?}: {error}"));
        for (names, expected) in [(matching, true), (other, false)] {
            for name in names.iter().filter(|name| !name.contains('*')) {
                let found = pattern.matches(&Reference::parse(name).unwrap());
                assert_eq!(found, expected, "docs/policies.md: {pattern} and {name} stand in the wrong cell");
            }
        }
    }
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

/// All sources in which there are tests.
fn sources(folder: &std::path::Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(entry).unwrap());
        }
    }
}

#[test]
fn each_threat_has_its_number_and_the_tests_that_are_named_are_there() {
    let mut code = String::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut code);
    }
    let rows = table("threats");
    for (index, row) in rows.iter().enumerate() {
        assert!(
            row.starts_with(&format!("| {} | ", index + 1)),
            "docs/threat-model.md: row {} is not {row}",
            index + 1
        );
    }
    assert_eq!(rows.len(), 18, "docs/threat-model.md: the list has 18 threats");
    let named: Vec<String> =
        words(&DOCUMENTS["docs/threat-model.md"]).into_iter().filter(|word| word.matches('_').count() > 3).collect();
    assert!(named.len() > 30, "docs/threat-model.md: only these tests were found: {named:?}");
    for test in named {
        assert!(code.contains(&format!("fn {test}(")), "docs/threat-model.md: there is no test {test}");
    }
}
