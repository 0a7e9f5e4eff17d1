//! Real reports of Harbor, and ones that differ in one thing.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::read;
use super::*;
use crate::fact::report::{Scanner, ScannerKind};

const NEW: &str = "application/vnd.security.vulnerability.report; version=1.1";
const OLD: &str = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0";
const DIGEST: &str = "sha256:711103cfce07dc03d61f51e819fad7d6fbbad20fc99caa039cc8da77e7a1c51b";
const OTHER: &str = "sha256:451eee8bedcb2f029756dc3e9d73bab0e7943c1ac55cff3a4861c52a0fdd3e98";

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans/harbor").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn of(report: &Value) -> Result<Report, Unusable> {
    read(report.to_string().as_bytes())
}

fn refused(report: &Value) -> (Defect, String) {
    let Unusable { defect, words, .. } = of(report).unwrap_err();
    (defect, words.to_string())
}

/// The report of v1.1 by itself, with one thing changed.
fn with(field: &str, value: Value) -> Value {
    let mut report = fixture("harbor-trivy-vuln.json")[NEW].take();
    report[field] = value;
    report
}

fn manifests(report: &Report) -> Vec<&str> {
    report.outline.subject.manifests.iter().map(crate::image::Digest::as_str).collect()
}

#[test]
fn a_report_by_its_type_or_bare_says_the_same() {
    let keyed = of(&fixture("harbor-trivy-vuln.json")).unwrap();
    assert_eq!(of(&with("artifact", Value::Null)).unwrap(), keyed);
    assert_eq!(of(&json!({ NEW.replace(' ', ""): with("artifact", Value::Null) })).unwrap(), keyed);
    let Outline { format, scanner, scanned_at, .. } = &keyed.outline;
    assert_eq!(
        (*format, scanner.kind, scanner.version.as_deref()),
        (Format::Harbor, Some(ScannerKind::Trivy), Some("v0.44.0"))
    );
    assert_eq!(scanned_at.unwrap().to_string(), "2023-09-08T00:19:11.258693685Z");
    assert_eq!(manifests(&keyed), [DIGEST]);
    let counts = keyed.findings.counts();
    assert_eq!((counts.high.total, counts.low.total, counts.total()), (1, 2, 3));
    let first = keyed.findings.get(0).unwrap();
    assert_eq!((first.id, first.package, first.installed), ("CVE-2022-1304", "e2fsprogs", "1.46.2-2"));
    assert_eq!((first.fix, first.score.unwrap().0), (Fix::NotFixed, 78));
}

#[test]
fn clair_reports_too_and_is_no_scanner_that_a_policy_names() {
    let report = of(&fixture("harbor-0-vuln.json")).unwrap();
    let Scanner { kind, name, .. } = &report.outline.scanner;
    assert_eq!((*kind, &**name, report.findings.len()), (None, "Clair", 0));
}

#[test]
fn what_it_is_about_say_the_artifact_and_the_vulnerabilities_by_digests_alone() {
    let artifact = json!({"repository": "library/nginx", "digest": OTHER, "tag": "1.16", "mime_type": "x"});
    let report = of(&with("artifact", artifact)).unwrap();
    assert_eq!(manifests(&report), [OTHER, DIGEST]);
    assert_eq!(report.outline.subject.names, ["library/nginx:1.16".into()]);
    let invented = of(&fixture("harborapipip.json")).unwrap();
    assert_eq!(manifests(&invented).len(), 1);
    assert_eq!(invented.outline.notes, ["what stands in artifact_digests is no digest of an image".into()]);
}

#[test]
fn of_two_forms_the_newer_one_counts_if_they_are_of_one_image() {
    let artifact = |digest: &str| json!({"digest": digest});
    let mut both = fixture("harbor-trivy-vuln.json");
    both[OLD] = fixture("harbor-0-vuln.json")[OLD].take();
    assert_eq!(of(&both).unwrap().findings.len(), 3);
    both[OLD]["artifact"] = artifact(DIGEST);
    assert_eq!(of(&both).unwrap().findings.len(), 3);
    both[OLD]["artifact"] = artifact(OTHER);
    let words = "it has reports of two forms about different images: fetch it from Harbor anew";
    assert_eq!(refused(&both), (Defect::Malformed, words.to_owned()));
    let twice = json!({NEW: with("severity", "High".into()), NEW.replace(' ', ""): with("severity", "High".into())});
    assert_eq!(refused(&twice).1, "it has two reports of the same type: fetch it from Harbor anew");
}

#[test]
fn what_differs_in_one_thing_is_refused_with_its_reason() {
    let mut listless = with("severity", "None".into());
    listless["vulnerabilities"] = Value::Null;
    assert!(of(&listless).unwrap().findings.is_empty());
    listless["severity"] = "Low".into();
    for (report, defect, words) in [
        (listless, Defect::Malformed, "a severity that only they can have"),
        (json!({NEW: {"scanner": {"name": "Trivy"}}}), Defect::Malformed, "it has no list of vulnerabilities"),
        (json!({NEW: []}), Defect::Malformed, "its field report is not"),
        (
            json!({"application/vnd.security.sbom.report+json; version=1.0": {}}),
            Defect::NotAReport,
            "without a report on",
        ),
        (with("vulnerabilities", json!([[]])), Defect::Malformed, "its field vulnerabilities is not"),
        (with("vulnerabilities", json!([{"severity": "High"}])), Defect::Malformed, "names neither"),
        (with("scanner", "Trivy".into()), Defect::Malformed, "its field scanner is not"),
        (fixture("webhook-scanning_completed.json"), Defect::NotAReport, "a notification of Harbor"),
    ] {
        let found = refused(&report);
        assert!(found.0 == defect && found.1.contains(words), "{found:?}");
    }
}
