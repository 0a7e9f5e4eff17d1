//! Real objects of trivy-operator, and ones that differ in one thing.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::read;
use super::*;
use crate::fact::report::ScannerKind;

const DIGEST: &str = "sha256:451eee8bedcb2f029756dc3e9d73bab0e7943c1ac55cff3a4861c52a0fdd3e98";

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans/trivy-operator").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    crate::policy::document::parse_documents(&text).unwrap().remove(0).to_json()
}

fn of(object: &Value) -> Result<Report, Unusable> {
    read(object.to_string().as_bytes())
}

/// The object of one finding, with a digest, and one thing changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut object = fixture("vulnerabilityreport_single_vuln.json");
    object["report"]["artifact"]["digest"] = DIGEST.into();
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

fn refused(object: &Value) -> (Defect, String) {
    let Unusable { defect, words, .. } = of(object).unwrap_err();
    (defect, words.to_string())
}

#[test]
fn a_report_says_who_scanned_what_when_and_what_was_found() {
    let Report { outline, findings } = of(&with("/kind", "ClusterVulnerabilityReport".into())).unwrap();
    assert_eq!(outline.format, Format::TrivyOperator);
    assert_eq!((outline.scanner.kind, outline.scanner.version.as_deref()), (Some(ScannerKind::Trivy), Some("0.38.2")));
    assert_eq!(outline.scanned_at.unwrap().to_string(), "2023-03-23T16:23:01Z");
    assert_eq!(outline.subject.manifests.iter().map(ToString::to_string).collect::<Vec<_>>(), [DIGEST]);
    assert_eq!((outline.subject.config, outline.subject.platform), (None, None));
    assert_eq!(outline.subject.names, ["index.docker.io/library/nginx:alpine".into()]);
    assert!(outline.notes.is_empty());
    let found = findings.get(0).unwrap();
    assert_eq!((found.id, found.package, found.installed), ("CVE-2023-23914", "curl", "7.87.0-r1"));
    assert_eq!((found.fixed, found.fix, found.severity), ("7.87.0-r2", Fix::Fixed, Some(Severity::Critical)));
    assert_eq!(found.score.unwrap().0, 42);
}

#[test]
fn real_objects_are_read_whatever_their_length() {
    let many = of(&fixture("vulnerabilityreport_many.json")).unwrap().findings.counts();
    let counts = [many.critical, many.high, many.medium, many.low].map(|count| (count.total, count.fixable));
    assert_eq!(counts, [(2, 2), (3, 3), (25, 24), (11, 10)]);
    assert!(of(&fixture("vulnerabilityreport_no_vuln.json")).unwrap().findings.is_empty());
    let undated = of(&fixture("docs-vulnerabilityreport-nginx-1.16.yaml")).unwrap();
    let critical = undated.findings.counts().critical;
    assert_eq!((undated.outline.scanned_at, critical.total, critical.fixable), (None, 2, 1));
}

#[test]
fn the_list_counts_and_a_note_says_where_the_summary_counts_more() {
    let report = of(&fixture("envtest-vulnerability-ttl.yaml")).unwrap();
    assert_eq!(report.findings.counts().total(), 1);
    assert!(report.outline.notes[0].starts_with("its list has fewer findings than its summary counts"));
    let fewer = of(&with("/report/summary/criticalCount", 0.into())).unwrap();
    assert_eq!((fewer.findings.len(), fewer.outline.notes.len()), (1, 0));
}

#[test]
fn without_a_list_the_summary_must_count_none() {
    let mut clean = fixture("vulnerabilityreport_no_vuln.json");
    clean["report"]["vulnerabilities"] = Value::Null;
    assert!(of(&clean).unwrap().findings.is_empty());
    clean["report"].as_object_mut().unwrap().remove("vulnerabilities");
    assert!(of(&clean).unwrap().findings.is_empty());
    let words = "it has no list of vulnerabilities, and no summary that counts none";
    for (pointer, value) in [("/report/summary/unknownCount", json!(1)), ("/report/summary", Value::Null)] {
        let mut object = clean.clone();
        *object.pointer_mut(pointer).unwrap() = value;
        let (defect, found) = refused(&object);
        assert!(defect == Defect::Malformed && found.starts_with(words), "{found}");
    }
}

#[test]
fn what_differs_in_one_thing_is_refused_with_its_reason() {
    for (object, defect, words) in [
        (
            with("/apiVersion", "aquasecurity.github.io/v2".into()),
            Defect::NotAReport,
            "of another version than v1alpha1",
        ),
        (with("/kind", "SbomReport".into()), Defect::NotAReport, "an SBOM"),
        (with("/kind", "Pod".into()), Defect::NotAReport, "no VulnerabilityReport"),
        (with("/report", Value::Null), Defect::Malformed, "it has no field report"),
        (with("/report", json!([])), Defect::Malformed, "its field report is not"),
        (with("/report/vulnerabilities", json!({})), Defect::Malformed, "its field vulnerabilities is not"),
        (with("/report/vulnerabilities/0/severity", 9.into()), Defect::Malformed, "its field vulnerabilities is not"),
        (with("/report/vulnerabilities/0", json!({})), Defect::Malformed, "names neither a vulnerability nor"),
        (with("/report/summary/highCount", "1".into()), Defect::Malformed, "its field summary is not"),
        (fixture("exposedsecretreport_many.json"), Defect::NotAReport, "a report on secrets"),
        (fixture("docs-sbomreport.yaml"), Defect::NotAReport, "an SBOM"),
    ] {
        let found = refused(&object);
        assert!(found.0 == defect && found.1.contains(words), "{found:?}");
    }
}

#[test]
fn an_ill_formed_digest_is_dropped_and_said_and_a_failure_still_says_about_what() {
    let report = of(&with("/report/artifact/digest", "sha256:451".into())).unwrap();
    assert!(report.outline.subject.manifests.is_empty());
    assert_eq!(report.outline.notes, ["what stands in artifact.digest is no digest of an image".into()]);
    assert!(of(&with("/report/artifact/digest", "".into())).unwrap().outline.notes.is_empty());
    let failed = of(&with("/report/vulnerabilities", json!({}))).unwrap_err();
    assert_eq!(failed.outline.unwrap().subject.manifests[0].as_str(), DIGEST);
}
