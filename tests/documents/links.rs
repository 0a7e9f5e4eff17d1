//! Links: from every document to files and headings that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::texts::{DOCUMENTS, prose, root};

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let anchors: BTreeMap<&str, BTreeSet<String>> =
        DOCUMENTS.iter().map(|(name, text)| (name.as_str(), anchors(name, text))).collect();
    for (document, text) in &*DOCUMENTS {
        let links = prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
        for target in links.filter(|target| !target.starts_with("https://")) {
            let (file, heading) = target.split_once('#').map_or((target, None), |(file, its)| (file, Some(its)));
            let file = if file.is_empty() { document.clone() } else { beside(document, file) };
            assert!(root().join(&file).exists(), "{document}: there is no {file}; correct the link {target}");
            let Some(heading) = heading else { continue };
            let known = anchors.get(file.as_str()).is_some_and(|anchors| anchors.contains(heading));
            assert!(known, "{document}: {file} has no heading {heading}; correct the link {target}");
        }
    }
}

#[test]
fn every_document_is_named_on_the_first_page() {
    for document in DOCUMENTS.keys().filter(|document| *document != "README.md") {
        assert!(DOCUMENTS["README.md"].contains(&format!("]({document})")), "README.md does not lead to {document}");
    }
}

/// What the path leads to from the folder of the document.
fn beside(document: &str, path: &str) -> String {
    let mut parts: Vec<&str> =
        Path::new(document).parent().unwrap().iter().map(|part| part.to_str().unwrap()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Of the headings of a document, each of which is there once.
fn anchors(document: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in prose(text).filter(|line| line.starts_with('#')) {
        let anchor = anchor(heading.trim_start_matches('#'));
        assert!(found.insert(anchor.clone()), "{document}: two headings are called {anchor}");
    }
    found
}

/// As GitHub names a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Their `runbook_url` leads there.
#[test]
fn the_runbook_has_a_heading_for_each_alert_and_no_other_alert() {
    let rules = std::fs::read_to_string(root().join("manifests/components/monitoring/prometheusrule.yaml")).unwrap();
    let shipped: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let headings = prose(&DOCUMENTS["docs/runbook.md"]).filter_map(|line| line.strip_prefix("### Pratique"));
    let told: Vec<String> = headings.map(|rest| format!("Pratique{rest}")).collect();
    assert_eq!(
        told, shipped,
        "docs/runbook.md: the headings of alerts (first) are not the alerts that we ship, in their order"
    );
}
