//! What we ship of it: alerts, panels, and the scrape configuration that the documentation shows.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

pub(super) const COMPONENT: &str = "manifests/components/monitoring";
pub(super) const DOCUMENT: &str = "docs/monitoring.md";

/// A rule of the `PrometheusRule`.
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) query: String,
    pub(super) rule: Value,
}

/// A panel of the dashboard that asks for something.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) kind: String,
    pub(super) targets: Vec<Target>,
}

pub(super) struct Target {
    /// As written, with variables of Grafana.
    pub(super) query: String,
    pub(super) legend: String,
    pub(super) instant: bool,
}

pub(super) fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

pub(super) fn object(name: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("{COMPONENT}/{name}.yaml"))).expect("it is YAML")
}

/// The groups of rules, as a rules file of Prometheus has them.
pub(super) fn groups() -> Vec<Value> {
    object("prometheusrule")["spec"]["groups"].as_array().expect("there are groups").clone()
}

/// A rules file in which each rule was changed.
pub(super) fn rules(change: impl Fn(&mut Value)) -> String {
    let mut groups = groups();
    let rules = groups.iter_mut().flat_map(|group| group["rules"].as_array_mut().expect("a group has rules"));
    rules.for_each(change);
    json!({ "groups": groups }).to_string()
}

pub(super) fn alerts() -> Vec<Alert> {
    let groups = groups();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("a group has rules"));
    let alert = |rule: &Value| Alert { name: text(&rule["alert"]), query: text(&rule["expr"]), rule: rule.clone() };
    rules.map(alert).collect()
}

pub(super) fn panels() -> Vec<Panel> {
    let dashboard: Value = serde_json::from_str(&read(&format!("{COMPONENT}/dashboard.json"))).expect("it is JSON");
    let panels =
        dashboard["panels"].as_array().expect("there are panels").iter().filter(|panel| panel["type"] != "row");
    panels.map(panel).collect()
}

fn panel(panel: &Value) -> Panel {
    let targets = panel["targets"].as_array().expect("a panel asks").iter();
    let target = |target: &Value| Target {
        query: text(&target["expr"]),
        legend: text(&target["legendFormat"]),
        instant: target["instant"] == true,
    };
    Panel {
        title: text(&panel["title"]),
        description: text(&panel["description"]),
        kind: text(&panel["type"]),
        targets: targets.map(target).collect(),
    }
}

impl Target {
    /// As Grafana sends it to Prometheus, for samples a second apart.
    pub(super) fn sent(&self) -> String {
        let sent =
            self.query.replace("$__rate_interval", "15s").replace("$__interval", "15s").replace("$__range", "10m");
        assert!(!sent.contains('$') || sent.contains("\"$1\""), "Grafana puts something else in here: {sent}");
        sent
    }

    /// The labels that its legend shows.
    pub(super) fn shown(&self) -> Vec<&str> {
        self.legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim())).collect()
    }
}

/// The first block of YAML after these words in the documentation.
pub(super) fn documented(after: &str) -> String {
    let document = read(DOCUMENT);
    let rest = document.split_once(after).unwrap_or_else(|| panic!("{DOCUMENT} has no {after:?}")).1;
    let block = rest.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("```"));
    block.unwrap_or_else(|| panic!("{DOCUMENT} shows no YAML after {after:?}")).0.to_owned()
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
