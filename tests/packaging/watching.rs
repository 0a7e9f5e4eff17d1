//! Alerts and dashboard, asked of a real Prometheus that has scraped the real program.
//!
//! Every expression is read by Prometheus, and whatever it names is compared with what the program prints. Alerts are told
//! made-up series by promtool, and real ones by two replicas that are well first and then are not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pratique_testkit::Directory;
use pratique_testkit::real::Cluster;
use serde_json::{Value, json};

use named::Printed;
use prometheus::{Prometheus, promtool};
use shipped::{COMPONENT, DOCUMENT, Panel, alerts, documented, groups, object, panels, read, rules, text};
use stage::Stage;

#[path = "../cluster/installed.rs"]
#[expect(dead_code, reason = "the tests of the cluster need more of it")]
mod installed;
mod named;
mod prometheus;
mod shipped;
mod stage;

/// Made-up series, for promtool.
const TESTS: &str = include_str!("watching/alerts.yaml");
/// As long everything must be well before it is believed.
const WELL: Duration = Duration::from_secs(25);
/// Within this every alert is to fire, in a test that waits two seconds where the shipped rules wait minutes.
const HEARD: Duration = Duration::from_secs(180);
/// A file to which what every panel shows is written, to be drawn and looked at.
const SHOWN: &str = "PRATIQUE_PANELS";

/// What must be heard of after [`Stage::break_everything`].
const BROKEN: [&str; 10] = [
    "PratiquePolicyNotAccepted",
    "PratiquePolicyNotInForce",
    "PratiqueRegistryBroken",
    "PratiqueRegistryDown",
    "PratiqueRegistryLimited",
    "PratiqueScanReportsMissing",
    "PratiqueScanReportsUnusable",
    "PratiqueUndetermined",
    "PratiqueWaiverEnding",
    "PratiqueWebhookConfigurationWeakened",
];

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn every_alert_fires_where_it_must_and_is_silent_beside_it() {
    let folder = Directory::new();
    let only_summary = |rule: &mut Value| rule["annotations"] = json!({"summary": rule["annotations"]["summary"]});
    folder.write("rules.yaml", &rules(only_summary));
    folder.write("alerts.yaml", TESTS);
    let checked = promtool(&folder, &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
    let tested = promtool(&folder, &["test", "rules", "alerts.yaml"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);

    let tests: Value = serde_saphyr::from_str(TESTS).expect("it is YAML");
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    let lists = tests["tests"].as_array().expect("there are tests").iter();
    for test in lists.flat_map(|test| test["alert_rule_test"].as_array().expect("each asks about alerts")) {
        let of = if test["exp_alerts"].is_array() { &mut fires } else { &mut silent };
        of.insert(text(&test["alertname"]));
    }
    let all: BTreeSet<String> = alerts().into_iter().map(|alert| alert.name).collect();
    assert_eq!(fires, all, "each alert fires in a test");
    assert_eq!(silent, all, "and is silent in one");
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn alerts_say_what_is_wrong_what_to_do_and_where_it_is_written() {
    let document = read(DOCUMENT);
    for alert in alerts() {
        let rule = &alert.rule;
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{}: {severity}", alert.name);
        assert!(rule["for"].is_string(), "{} waits for nothing", alert.name);
        let told = |key: &str| text(&rule["annotations"][key]);
        assert!(told("summary").len() > 20 && told("description").len() > 40, "{}", alert.name);
        let runbook = format!("docs/runbook.md#{}", alert.name.to_lowercase());
        assert!(told("runbook_url").ends_with(&runbook), "{}: {}", alert.name, told("runbook_url"));
        let row = format!("| `{}` | {severity} |", alert.name);
        assert!(document.contains(&row), "{DOCUMENT}: add {} to the table of alerts", alert.name);
    }
    let rows = document.lines().filter(|line| line.starts_with("| `Pratique")).count();
    assert_eq!(rows, alerts().len(), "{DOCUMENT}: an alert in the table is none");
    let groups = groups();
    assert!(groups.iter().all(|group| group["name"].as_str().is_some_and(|name| name.starts_with("pratique-"))));
}

#[test]
fn panels_have_titles_and_say_what_to_do() {
    let panels = panels();
    assert!(panels.len() <= 24, "nobody reads {} panels", panels.len());
    let titles: BTreeSet<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
    assert_eq!(titles.len(), panels.len(), "two have one title");
    for Panel { title, description, kind, targets } in &panels {
        assert!(title.ends_with('?') && description.len() > 40, "{title} ({kind}): {description}");
        assert!(!targets.is_empty(), "{title} asks nothing");
    }
}

#[test]
fn the_monitor_selects_the_service_and_its_port_and_the_service_our_pods() {
    let (monitor, service) = (object("servicemonitor"), object("service"));
    let labels = service["metadata"]["labels"].as_object().expect("the Service has labels");
    for (label, value) in monitor["spec"]["selector"]["matchLabels"].as_object().expect("it selects by labels") {
        assert_eq!(labels.get(label), Some(value), "{label}");
    }
    assert_eq!(labels.get(&text(&monitor["spec"]["jobLabel"])), Some(&json!("pratique")), "the job is called so");
    assert_eq!(
        monitor["metadata"]["namespace"], service["metadata"]["namespace"],
        "it looks in its own namespace alone"
    );
    assert_eq!(monitor["spec"]["namespaceSelector"], Value::Null);
    let endpoint = &monitor["spec"]["endpoints"][0];
    let port = &service["spec"]["ports"][0];
    assert_eq!((&endpoint["port"], &endpoint["path"]), (&port["name"], &json!("/metrics")));
    assert!(endpoint["honorLabels"].is_null(), "our labels are not those of targets: {endpoint}");
    assert_eq!(
        (&service["spec"]["clusterIP"], &service["spec"]["publishNotReadyAddresses"]),
        (&json!("None"), &json!(true))
    );

    let deployment: Value = serde_saphyr::from_str(&read("manifests/base/deployment.yaml")).expect("it is YAML");
    let template = &deployment["spec"]["template"];
    for (label, value) in service["spec"]["selector"].as_object().expect("it selects by labels") {
        assert_eq!(&template["metadata"]["labels"][label], value, "{label}");
    }
    let ports = template["spec"]["containers"][0]["ports"].as_array().expect("the container has ports");
    let named = ports.iter().find(|known| known["name"] == port["targetPort"]).expect("the container has that port");
    assert_eq!(named["containerPort"], port["port"]);

    let base: Value = serde_saphyr::from_str(&read("manifests/base/service.yaml")).expect("it is YAML");
    let component = &base["metadata"]["labels"]["app.kubernetes.io/component"];
    assert_ne!(component, "metrics", "the Service that API servers call is not scraped");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn an_api_server_with_the_operators_definitions_takes_all_of_it() {
    let cluster = Cluster::start().await;
    let parts = std::env::var("PRATIQUE_REAL_PARTS").expect("it says where the definitions are");
    let all = std::fs::read_dir(parts).expect("it is a folder").map(|entry| entry.expect("and can be listed").path());
    let is_operator = |path: &std::path::PathBuf| path.to_string_lossy().contains("/prometheus-operator-");
    let definitions = all.into_iter().find(is_operator).expect("tests/real-parts/build.sh packaging makes it");
    for kind in ["servicemonitors", "prometheusrules"] {
        let file = definitions.join(format!("monitoring.coreos.com_{kind}.yaml")).display().to_string();
        let made = cluster.kubectl(&["create", "-f", &file]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let name = format!("crd/{kind}.monitoring.coreos.com");
        let served = cluster.kubectl(&["wait", "--for=condition=Established", &name]);
        assert_eq!(served.code, Some(0), "{served:?}");
    }
    cluster.namespace("pratique-system", &[]).await;
    let folder = Directory::new();
    let component = format!("{}/{COMPONENT}", env!("CARGO_MANIFEST_DIR"));
    let made = pratique_testkit::run("cp", &["-r", &component, &folder.file("monitoring")]);
    assert_eq!(made.code, Some(0), "{made:?}");
    folder.write_in("overlay", "kustomization.yaml", "components: [../monitoring]\n");
    let apply = ["apply", "--dry-run=server", "-k", &folder.file("overlay")];
    let applied = cluster.kubectl(&apply);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let said: Vec<&str> = applied.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    let expected = [
        "configmap/pratique-dashboard",
        "service/pratique-metrics",
        "prometheusrule.monitoring.coreos.com/pratique",
        "servicemonitor.monitoring.coreos.com/pratique",
    ];
    assert_eq!(said, expected);
    assert!(!applied.stderr.contains("Warning"), "{}", applied.stderr);

    // What is misspelt would be dropped without a word otherwise.
    for name in ["servicemonitor", "prometheusrule"] {
        let text = read(&format!("{COMPONENT}/{name}.yaml"));
        let strictly = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        assert_eq!(cluster.kubectl_with_input(&strictly, &text).code, Some(0));
        let refused = cluster.kubectl_with_input(&strictly, &text.replacen("spec:\n", "spec:\n  noSuchField: 1\n", 1));
        assert!(refused.code == Some(1) && refused.stderr.contains("noSuchField"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn all_is_silent_while_all_is_well_and_what_breaks_is_heard_and_seen() {
    let cluster = Cluster::with_controllers().await;
    let soon = |rule: &mut Value| rule["for"] = json!("2s");
    let mut stage = Stage::set(&cluster, &rules(soon)).await;
    let started = Instant::now();
    while started.elapsed() < WELL {
        stage.traffic().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let heard = firing(&stage.prometheus, "pending");
    // How long a review takes says something of this machine, and of a program that is not optimised.
    let heard: Vec<&String> = heard.iter().filter(|alert| *alert != "PratiqueSlow").collect();
    assert!(heard.is_empty(), "all is well, and these are heard: {heard:?}");

    stage.break_everything().await;
    let broken = Instant::now();
    loop {
        stage.traffic().await;
        let heard = firing(&stage.prometheus, "firing");
        let missing: Vec<&str> = BROKEN.into_iter().filter(|alert| !heard.contains(*alert)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(broken.elapsed() < HEARD, "{missing:?} are not heard, but {heard:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    all_that_is_named_is_printed(&stage);
    every_panel_shows_something(&stage.prometheus);

    stage.installed.kill(1);
    pratique_testkit::eventually("one replica that is left is heard of", async || {
        firing(&stage.prometheus, "firing").contains("PratiqueOneReplicaReady")
    })
    .await;
}

/// Alerts in this state, or past it.
fn firing(prometheus: &Prometheus, state: &str) -> BTreeSet<String> {
    let alerts = prometheus.tells("alerts");
    let alerts = alerts["alerts"].as_array().expect("it lists them").iter();
    let counts = |alert: &&Value| alert["state"] == "firing" || alert["state"] == state;
    alerts.filter(counts).map(|alert| text(&alert["labels"]["alertname"])).collect()
}

/// By alerts and by panels: metrics, labels, and the values of labels.
fn all_that_is_named_is_printed(stage: &Stage<'_>) {
    let mut printed = Printed::default();
    for exposition in stage.expositions() {
        printed.add(&exposition);
    }
    // What takes more than a cluster of a test to bring about; each is printed under this name by the same code.
    for reason in pratique::decision::verdict::Reason::ALL {
        printed.value("pratique_refusals_total", "reason", reason.code());
    }
    let mut asked: Vec<(String, String)> = alerts().into_iter().map(|alert| (alert.name, alert.query)).collect();
    for panel in panels() {
        asked.extend(panel.targets.iter().map(|target| (panel.title.clone(), target.sent())));
    }
    let (mut wrong, mut named) = (Vec::new(), BTreeSet::new());
    for (place, query) in asked {
        let parsed = stage.prometheus.ask("parse_query", &[("query", &query)]);
        let (metrics, of_query) = printed.compare(&parsed);
        wrong.extend(of_query.into_iter().map(|what| format!("{place}: {what}")));
        named.extend(metrics);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let document = read(DOCUMENT);
    let family = |metric: &str| metric.trim_end_matches("_bucket").to_owned();
    let missing: Vec<&String> =
        named.iter().filter(|name| !document.contains(&format!("`{}`", family(name)))).collect();
    assert!(missing.is_empty(), "{DOCUMENT}: say what {missing:?} are");
}

/// With the labels that its legend shows.
fn every_panel_shows_something(prometheus: &Prometheus) {
    let (mut empty, mut shown) = (Vec::new(), Vec::new());
    let now = jiff::Timestamp::now();
    let (start, end) = ((now.as_second() - 150).to_string(), now.as_second().to_string());
    for panel in panels() {
        let mut answers = Vec::new();
        for target in &panel.targets {
            let query = target.sent();
            let range = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "2")];
            let answer = prometheus.ask("query_range", &range);
            let series = answer["result"].as_array().expect("it is a list of series").clone();
            let has_data =
                |series: &Value| series["values"].as_array().is_some_and(|values| values.iter().any(is_number));
            if !series.iter().any(has_data) {
                empty.push(format!("{}: {query}", panel.title));
            }
            for label in target.shown() {
                let lacks = |series: &&Value| series["metric"][label].as_str().is_none_or(str::is_empty);
                if let Some(series) = series.iter().find(lacks) {
                    empty.push(format!("{}: no {label} in {}", panel.title, series["metric"]));
                }
            }
            answers.push(json!({"legend": target.legend, "instant": target.instant, "series": series}));
        }
        shown.push(json!({"title": panel.title, "kind": panel.kind, "targets": answers}));
    }
    if let Ok(file) = std::env::var(SHOWN) {
        std::fs::write(file, json!(shown).to_string()).expect("the file can be written");
    }
    assert!(empty.is_empty(), "{empty:#?}");
}

fn is_number(sample: &Value) -> bool {
    sample[1].as_str().is_some_and(|value| value.parse::<f64>().is_ok_and(f64::is_finite))
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn what_the_documentation_shows_is_a_configuration_of_prometheus() {
    let folder = Directory::new();
    folder.write("prometheus.yaml", &documented("<!-- scrape -->"));
    let checked = promtool(&folder, &["check", "config", "prometheus.yaml"]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.stdout, checked.stderr);
}
