//! What a query names, as Prometheus itself reads it, against what the program prints.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

/// Labels that Prometheus puts on what it scrapes, here as prometheus-operator has them.
const OF_TARGETS: [&str; 5] = ["job", "instance", "namespace", "service", "pod"];
/// Our name for the job, in the `ServiceMonitor` and in the documentation.
const JOB: &str = "pratique";

/// Values of labels, by metric and label.
#[derive(Default)]
pub(super) struct Printed(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Printed {
    /// Adds what an exposition has.
    pub(super) fn add(&mut self, exposition: &str) {
        for series in exposition.lines().filter(|line| !line.starts_with('#')) {
            let name = series.split(['{', ' ']).next().expect("a split has a first part");
            let labels = self.0.entry(name.to_owned()).or_default();
            let pairs =
                series.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(pairs, _)| pairs);
            for pair in pairs.split("\",").filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once("=\"").expect("a label has a value");
                labels.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
            }
        }
    }

    /// One more value that the program prints where it has reason to.
    pub(super) fn value(&mut self, metric: &str, label: &str, value: &str) {
        let labels = self.0.get_mut(metric).unwrap_or_else(|| panic!("{metric} is printed nowhere"));
        labels.entry(label.to_owned()).or_default().insert(value.to_owned());
    }

    /// What the query names and the program does not print; the metrics that it names.
    pub(super) fn compare(&self, parsed: &Value) -> (BTreeSet<String>, Vec<String>) {
        let (mut metrics, mut wrong) = (BTreeSet::new(), Vec::new());
        self.walk(parsed, &mut metrics, &mut wrong);
        (metrics, wrong)
    }

    /// Returns the labels that the value of this node may have.
    fn walk(&self, node: &Value, metrics: &mut BTreeSet<String>, wrong: &mut Vec<String>) -> BTreeSet<String> {
        let kind = node["type"].as_str().expect("every node has a type");
        match kind {
            "vectorSelector" | "matrixSelector" => self.selector(node, metrics, wrong),
            "aggregation" => {
                let below = self.walk(&node["expr"], metrics, wrong);
                let kept = labels(&node["grouping"]);
                let unknown = kept.difference(&below);
                wrong.extend(unknown.map(|label| format!("nothing below `by` has the label {label}")));
                kept
            }
            "binaryExpr" => {
                let left = self.walk(&node["lhs"], metrics, wrong);
                let right = self.walk(&node["rhs"], metrics, wrong);
                if node["lhs"]["type"] == "numberLiteral" { right } else { left }
            }
            "call" => self.call(node, metrics, wrong),
            "parenExpr" | "unaryExpr" | "subquery" => self.walk(&node["expr"], metrics, wrong),
            "numberLiteral" | "stringLiteral" => BTreeSet::new(),
            other => panic!("a node of a kind that this test does not know: {other}"),
        }
    }

    fn call(&self, node: &Value, metrics: &mut BTreeSet<String>, wrong: &mut Vec<String>) -> BTreeSet<String> {
        let arguments = node["args"].as_array().expect("a call has arguments");
        let mut all: Vec<BTreeSet<String>> =
            arguments.iter().map(|argument| self.walk(argument, metrics, wrong)).collect();
        match node["func"]["name"].as_str() {
            Some("label_replace") => {
                let mut kept = all.remove(0);
                let source = arguments[3]["val"].as_str().expect("it has a source label");
                if !kept.contains(source) {
                    wrong.push(format!("label_replace reads {source}, which nothing has"));
                }
                kept.insert(arguments[1]["val"].as_str().expect("it has a target label").to_owned());
                kept
            }
            Some("histogram_quantile") => {
                let mut kept = all.remove(1);
                if !kept.remove("le") {
                    wrong.push("histogram_quantile needs le".to_owned());
                }
                kept
            }
            Some(_) => all.into_iter().next().unwrap_or_default(),
            None => panic!("a call without a name"),
        }
    }

    fn selector(&self, node: &Value, metrics: &mut BTreeSet<String>, wrong: &mut Vec<String>) -> BTreeSet<String> {
        let name = node["name"].as_str().expect("a selector of ours has a name");
        metrics.insert(name.to_owned());
        let Some(printed) = self.0.get(name) else {
            wrong.push(format!("{name} is printed nowhere"));
            return BTreeSet::new();
        };
        for matcher in node["matchers"].as_array().into_iter().flatten() {
            let part = |key: &str| matcher[key].as_str().expect("a matcher has three parts");
            let (label, kind, value) = (part("name"), part("type"), part("value"));
            if label == "__name__" || (label == "job" && value == JOB) {
                continue;
            }
            let Some(values) = printed.get(label) else {
                wrong.push(format!("{name} has no label {label}"));
                continue;
            };
            let alternatives: Vec<&str> = if kind.contains('~') { value.split('|').collect() } else { vec![value] };
            for alternative in alternatives {
                let pattern = if kind.contains('~') { alternative.to_owned() } else { regex::escape(alternative) };
                let pattern = Regex::new(&format!("^(?:{pattern})$")).expect("it is a regular expression");
                if !values.iter().any(|value| pattern.is_match(value)) {
                    wrong.push(format!("{name}: {label} is never {alternative}, but {values:?}"));
                }
            }
        }
        let of_targets = OF_TARGETS.iter().map(|label| (*label).to_owned());
        printed.keys().cloned().chain(of_targets).collect()
    }
}

fn labels(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|label| label.as_str().map(str::to_owned)).collect()
}
