//! The rows, and how they are gone through.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pratique_testkit::Directory;
use pratique_testkit::real::run_in;
use serde_json::Value;

use crate::PRATIQUE;
use crate::ask::Ask;
use crate::world::{World, fixtures};

/// The report of a row is written here; it may write more.
pub(crate) const REPORT: &str = "report.json";

type Scan = Box<dyn Fn(&World, &Directory)>;

/// One way of scanning, and what comes of it.
pub(crate) struct Row {
    tool: &'static str,
    mode: &'static str,
    scan: Scan,
    /// The row of `captured.tsv` whose image, database and flags are the same; none: nothing to be compared with.
    facts: Option<&'static str>,
    asks: Vec<Ask>,
    /// What a report does not say, and nobody can tell from it.
    residual: &'static str,
}

impl Row {
    pub(crate) fn new(tool: &'static str, mode: &'static str, scan: impl Fn(&World, &Directory) + 'static) -> Self {
        Self { tool, mode, scan: Box::new(scan), facts: None, asks: Vec::new(), residual: "" }
    }

    pub(crate) fn facts(self, row: &'static str) -> Self {
        Self { facts: Some(row), ..self }
    }

    pub(crate) fn ask(mut self, ask: Ask) -> Self {
        self.asks.push(ask);
        self
    }

    pub(crate) fn residual(self, what: &'static str) -> Self {
        Self { residual: what, ..self }
    }

    /// Its line of the table, and what is not as it should be.
    async fn check(&self, world: &World) -> (String, Vec<String>) {
        let reports = Directory::new();
        let mut wrong = Vec::new();
        if catch_unwind(AssertUnwindSafe(|| (self.scan)(world, &reports))).is_err() {
            wrong.push("could not be scanned, see above".to_owned());
        }
        let read = read(&reports);
        if let Some(facts) = self.facts {
            wrong.extend(differs(&read, facts));
        }
        for ask in &self.asks {
            wrong.extend(ask.differs(world, &reports).await.map(|what| format!("{ask:?}: {what}")));
        }
        (self.line(&read), wrong)
    }

    fn line(&self, read: &Value) -> String {
        let (found, digests) = match read["error"].as_str() {
            Some(error) => (error.to_owned(), String::new()),
            None => (read["findings"]["total"].to_string(), kinds(read).join(" ")),
        };
        let verdicts = self.asks.iter().map(|ask| {
            let said = if ask.reason.is_empty() { "admitted" } else { ask.reason };
            let on = ask.architecture.map(|name| format!(" on {name}")).unwrap_or_default();
            format!("{}{on} under {{{}}}: {said}", ask.image, ask.policy)
        });
        let (verdicts, Self { tool, mode, residual, .. }) = (verdicts.collect::<Vec<_>>().join("; "), self);
        format!("{tool} | {mode} | {digests} | {found} | {verdicts} | {residual}")
    }
}

/// What `pratique scans` says of the report.
fn read(reports: &Directory) -> Value {
    let outcome = run_in(&[], &[PRATIQUE, "scans", "-o", "json", &reports.file(REPORT)]);
    assert!(outcome.stdout.starts_with('['), "{outcome:?}");
    outcome.json()[0].clone()
}

/// What is not as the facts say: the findings by severity, those with a fix, and which digests are named.
fn differs(read: &Value, row: &str) -> Vec<String> {
    let rows = rows();
    let row = rows.iter().find(|its| its["path"] == row).unwrap_or_else(|| panic!("there is no row {row}"));
    let facts: Value = serde_json::from_str(&row["facts_json"]).expect("facts are JSON");
    let mut wrong = Vec::new();
    let mut same = |what: &str, ours: Value, theirs: Value| {
        if ours != theirs {
            wrong.push(format!("{what}: we read {ours}, the facts say {theirs}"));
        }
    };
    let found = &read["findings"];
    same("findings", found["total"].clone(), facts["findings"].clone());
    let severities = ["critical", "high", "medium", "low", "negligible", "unknown"];
    for severity in severities {
        let fact = facts["by_severity"][severity.to_uppercase()].as_u64().unwrap_or(0);
        same(severity, found[severity]["total"].clone(), fact.into());
    }
    let fixable = severities.iter().filter_map(|severity| found[severity]["fixable"].as_u64()).sum::<u64>();
    same("fixable", fixable.into(), facts["fixable"].clone());
    same("digests", kinds(read).into(), facts["digests_in_report"].clone());
    // Grype says the platform of an index's image alone.
    if kinds(read).iter().any(|kind| kind == "index") || !read["platform"].is_null() {
        same("platform", read["platform"].clone(), facts["platform"].clone());
    }
    let suppressed = facts["suppressed"].as_array().map_or(0, Vec::len);
    same("suppressed", read["suppressed"].clone(), suppressed.into());
    wrong
}

/// Of what the digests in a report are, in the words of the facts.
fn kinds(read: &Value) -> Vec<String> {
    let digests = read["digests"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let rows = rows();
    let kind = |digest: &str| {
        let mut known = ["config", "index", "manifest"].into_iter();
        known.find(|kind| rows.iter().any(|row| row[&format!("{kind}_digest")] == digest)).unwrap_or("other")
    };
    let mut kinds: Vec<String> = digests.map(|digest| kind(digest).to_owned()).collect();
    kinds.sort_unstable();
    kinds
}

/// The digest of an image for a platform: of its `index`, its `manifest` or its `config`.
pub(crate) fn digest_of(image: &str, platform: &str, kind: &str) -> Option<String> {
    let image = format!("layouts/{image}");
    let is_it = |row: &&BTreeMap<String, String>| {
        let facts: Value = serde_json::from_str(&row["facts_json"]).unwrap_or_default();
        row["image"] == image && facts["platform"] == platform
    };
    let rows = rows();
    let named = rows.iter().filter(is_it).map(|row| row[&format!("{kind}_digest")].clone());
    named.into_iter().find(|digest| !digest.is_empty())
}

/// The facts about reports that real scanners wrote of the same images with the same databases.
fn rows() -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(fixtures("scans/captured.tsv")).expect("the facts are there");
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let names: Vec<String> = lines.next().expect("they have a head").collect();
    lines.map(|line| names.iter().cloned().zip(line).collect()).collect()
}

/// Goes through all rows; panics with all that are not as they should be.
#[expect(clippy::print_stdout, reason = "the table is what people read of this test")]
pub(crate) async fn check(world: &World, rows: &[Row]) {
    let mut all = Vec::new();
    println!("tool | mode | digests in the report | findings | verdicts by digest | what the report cannot tell");
    for row in rows {
        let (line, wrong) = row.check(world).await;
        println!("{line}");
        all.extend(wrong.into_iter().map(|wrong| format!("{line}\n  {wrong}")));
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
}
