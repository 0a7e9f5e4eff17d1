//! Real attestations, and ones that differ in one thing.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{read, read_attested};
use super::*;
use crate::fact::report::{Score, Severity};

const DIGEST: &str = "sha256:3c19aa980a9c5709a2c96c2d0779febf6e5e453b92b172ce84cb85fdaf695373";

fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn of(value: &Value) -> Result<Report, Unusable> {
    read(value.to_string().as_bytes())
}

fn refused(value: &Value) -> (Defect, String) {
    let Unusable { defect, words, .. } = of(value).unwrap_err();
    (defect, words.to_string())
}

fn cosign() -> Value {
    fixture("captured/trivy/api.cosign-vuln.json")
}

fn in_toto(result: Value) -> Value {
    let mut predicate = fixture("attestations/in-toto-vuln/guac-certify-vuln-v0.2.json")["predicate"].take();
    predicate["scanner"]["result"] = result;
    predicate
}

fn statement(predicate_type: &str, predicate: &Value) -> Value {
    let subject = json!([{"name": "registry.example/demo", "digest": {"sha256": &DIGEST[7..]}}]);
    json!({"_type": STATEMENTS[1], "predicateType": predicate_type, "subject": subject, "predicate": predicate})
}

fn envelope(statement: &Value) -> Value {
    json!({"payloadType": PAYLOAD_TYPE, "payload": BASE64_STANDARD.encode(statement.to_string()), "signatures": []})
}

/// The report within, without anything that names an image.
fn nameless() -> Value {
    let mut predicate = cosign();
    for name in ["ImageID", "RepoDigests"] {
        predicate["scanner"]["result"]["Metadata"].as_object_mut().unwrap().remove(name).unwrap();
    }
    predicate
}

fn manifests(outline: &Outline) -> Vec<&str> {
    outline.subject.manifests.iter().map(crate::image::Digest::as_str).collect()
}

#[test]
fn what_trivy_wrote_for_cosign_is_its_own_report_bare_in_a_statement_and_in_an_envelope() {
    let bare = of(&cosign()).unwrap();
    let own = of(&cosign()["scanner"]["result"]).unwrap();
    assert_eq!((bare.outline.format, &bare.outline.subject), (Format::CosignVuln, &own.outline.subject));
    assert_eq!((&bare.findings, bare.findings.len()), (&own.findings, 20));
    for version in STATEMENTS {
        let mut statement = statement(COSIGN, &cosign());
        statement["_type"] = version.into();
        for form in [of(&envelope(&statement)).unwrap(), of(&statement).unwrap()] {
            assert_eq!(
                (form.outline.subject.manifests, form.findings),
                (own.outline.subject.manifests.clone(), own.findings.clone())
            );
        }
        let attested = read_attested(COSIGN, statement.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(attested, bare);
    }
}

#[test]
fn the_statement_says_what_was_scanned_only_where_the_report_does_not() {
    let own = of(&statement(COSIGN, &cosign())).unwrap();
    assert!(!manifests(&own.outline).contains(&DIGEST));
    let its = of(&statement(COSIGN, &nameless())).unwrap();
    assert_eq!(manifests(&its.outline), [DIGEST]);
    assert!(its.outline.subject.names.contains(&"registry.example/demo".into()));
    let attested = read_attested(COSIGN, statement(COSIGN, &nameless()).to_string().as_bytes()).unwrap().unwrap();
    assert_eq!(attested.outline.subject.digests().count(), 0);
    let mut by_config = cosign();
    by_config["scanner"]["result"]["Metadata"].as_object_mut().unwrap().remove("RepoDigests").unwrap();
    assert!(manifests(&of(&statement(COSIGN, &by_config)).unwrap().outline).is_empty());
}

#[test]
fn the_attestation_says_when_the_scan_ended_and_its_version_where_the_report_has_none() {
    let mut predicate = cosign();
    predicate["metadata"]["scanFinishedOn"] = "2020-01-01T00:00:00Z".into();
    predicate["scanner"]["version"] = "0.1.0".into();
    predicate["scanner"]["db"] = json!({"version": "7", "lastUpdate": "2019-12-31T00:00:00Z"});
    let its = of(&predicate).unwrap().outline;
    assert_eq!(
        (its.scanned_at.unwrap().to_string().as_str(), its.scanner.version.as_deref()),
        ("2020-01-01T00:00:00Z", Some("0.76.0"))
    );
    assert_eq!(its.scanner.database_version.as_deref(), Some("7"));
    predicate["metadata"] = json!({});
    assert!(of(&predicate).unwrap().outline.scanned_at.unwrap().to_string().starts_with("2026"));
    predicate["metadata"]["scanFinishedOn"] = "2020-01-01T00:00:00Z".into();
    for name in ["CreatedAt", "Trivy"] {
        predicate["scanner"]["result"].as_object_mut().unwrap().remove(name).unwrap();
    }
    let its = of(&predicate).unwrap().outline;
    assert_eq!(
        (its.scanned_at.unwrap().to_string().as_str(), its.scanner.version.as_deref()),
        ("2020-01-01T00:00:00Z", Some("0.1.0"))
    );
    assert_eq!(its.scanner.kind, Some(ScannerKind::Trivy));
}

#[test]
fn a_list_of_in_toto_is_findings_by_themselves() {
    for name in ["v0.1", "v0.2"] {
        let statement = fixture(&format!("attestations/in-toto-vuln/guac-certify-vuln-{name}.json"));
        let Report { outline, findings } = of(&statement).unwrap();
        assert_eq!(
            (outline.format, outline.scanner.kind, &*outline.scanner.name),
            (Format::InTotoVulns, None, "osv.dev")
        );
        assert_eq!((findings.len(), findings.counts().critical.total, findings.counts().unknown.total), (8, 1, 7));
        assert_eq!(findings.get(0).unwrap().score, Some(Score(90)));
        assert_eq!(outline.subject.digests().count(), 0);
    }
    let report = of(&in_toto(json!([]))).unwrap();
    assert_eq!((report.outline.format, report.findings.len()), (Format::InTotoVulns, 0));
    let carried = of(&statement(IN_TOTO[0], &cosign())).unwrap();
    assert_eq!((carried.outline.format, carried.findings.len()), (Format::InTotoVulns, 20));
}

#[test]
fn of_several_severities_the_worst_counts_and_of_none_it_is_unknown() {
    let severity = |value: Value| {
        let report = of(&in_toto(json!([{"id": "CVE-1", "severity": value}]))).unwrap();
        report.findings.get(0).unwrap().severity
    };
    for (value, expected) in [
        (Value::Null, None),
        (json!([]), None),
        (json!([{"method": "nvd", "score": "HIGH"}]), Some(Severity::High)),
        (json!({"method": "nvd", "score": "HIGH"}), Some(Severity::High)),
        (json!([{"method": "nvd", "score": 6.9}, {"method": "x", "score": "low"}]), Some(Severity::Medium)),
        (json!([{"method": "nvd", "score": "9.0"}, {"method": "x"}]), Some(Severity::Critical)),
        (json!([{"score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U"}]), Some(Severity::Critical)),
        (
            json!([{"score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U"}]),
            Some(Severity::Critical),
        ),
        (json!([{"score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}]), Some(Severity::Critical)),
        (json!([{"score": "(AV:N/AC:L/Au:N/C:P/I:P/A:P)"}]), Some(Severity::High)),
        (json!([{"score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"}]), Some(Severity::Negligible)),
        (json!([{"score": "CVSS:3.1/AV:N"}]), None),
        (json!([{"score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H"}]), None),
        (json!([{"score": "CVSS:4.0/AV:N/AC:L"}]), None),
        (json!([{"score": "NaN"}, {"score": 11}, {"score": -1}, {"score": {}}, {"score": "bad"}]), None),
    ] {
        assert_eq!(severity(value.clone()), expected, "{value}");
    }
}

#[test]
fn without_a_result_nothing_was_scanned_and_it_is_known_of_what() {
    let real = fixture("attestations/cosign-vuln/policy-valid-vuln.dsse.json");
    let Unusable { defect, outline, .. } = of(&real).unwrap_err();
    assert_eq!((defect, manifests(&outline.unwrap())), (Defect::NothingScanned, vec![DIGEST]));
    assert_eq!(refused(&fixture("attestations/cosign-vuln/vuln-predicate.json")).0, Defect::NothingScanned);
    let mut without = in_toto(Value::Null);
    assert_eq!(refused(&statement(IN_TOTO[2], &without.clone())).0, Defect::NothingScanned);
    without["scanner"].as_object_mut().unwrap().remove("result");
    assert_eq!(refused(&statement(IN_TOTO[1], &without)).0, Defect::NothingScanned);
}

#[test]
fn what_differs_in_one_thing_is_refused_with_its_reason() {
    let with = |field: &str, value: Value| {
        let mut statement = statement(COSIGN, &cosign());
        statement[field] = value;
        statement
    };
    let mut again = cosign();
    again["scanner"]["result"] = cosign();
    let mut list = cosign();
    list["scanner"]["result"] = json!([{"id": "CVE-1"}]);
    let mut sbom = cosign();
    sbom["scanner"]["result"] = json!({"bomFormat": "CycloneDX", "components": []});
    let mut enveloped = envelope(&statement(COSIGN, &cosign()));
    enveloped["payloadType"] = "application/json".into();
    let mut damaged = envelope(&statement(COSIGN, &cosign()));
    damaged["payload"] = "?".into();
    let malformed = fixture("attestations/cosign-vuln/policy-malformed-vuln.dsse.json");
    for (value, defect, words) in [
        (with("_type", "https://in-toto.io/Statement/v2".into()), Defect::NotAReport, "no in-toto statement"),
        (with("predicateType", "https://slsa.dev/provenance/v1".into()), Defect::NotAReport, "of no type that carries"),
        (malformed, Defect::NotAReport, "of no type that carries"),
        (with("subject", Value::Null), Defect::Malformed, "its statement has no subject"),
        (with("subject", json!(["x"])), Defect::Malformed, "its field subject is not"),
        (with("predicate", json!([])), Defect::Malformed, "its field predicate is not"),
        (statement(COSIGN, &again), Defect::NotAReport, "an attestation or an object of Kubernetes again"),
        (statement(COSIGN, &list), Defect::NotAReport, "it is a list"),
        (sbom, Defect::NotAReport, "what it carries is no report: it is an SBOM"),
        (enveloped, Defect::NotAReport, "something else than an in-toto statement"),
        (damaged, Defect::Malformed, "is not base64"),
        (envelope(&cosign()), Defect::Malformed, "no in-toto statement"),
        (envelope(&envelope(&statement(COSIGN, &cosign()))), Defect::Malformed, "no in-toto statement"),
        (in_toto(json!([{"severity": []}])), Defect::Malformed, "names neither"),
        (in_toto(json!([["CVE-1"]])), Defect::Malformed, "its field result is not"),
    ] {
        let found = refused(&value);
        assert!(found.0 == defect && found.1.contains(words), "{found:?}");
    }
}

#[test]
fn only_those_types_carry_reports() {
    let payload = statement(COSIGN, &cosign()).to_string();
    for predicate_type in IN_TOTO.into_iter().chain([COSIGN]) {
        assert!(read_attested(predicate_type, payload.as_bytes()).is_some(), "{predicate_type}");
    }
    for other in ["cosign.sigstore.dev/attestation/vuln/v1", "https://in-toto.io/attestation/vulns/v0.3", ""] {
        assert_eq!(read_attested(other, payload.as_bytes()), None, "{other}");
    }
    assert_eq!(read_attested(COSIGN, b"{").unwrap().unwrap_err().defect, Defect::Truncated);
}

#[test]
fn a_scanner_is_known_by_where_it_comes_from() {
    for (uri, kind) in [
        ("pkg:github/aquasecurity/trivy@0.76.0", Some(ScannerKind::Trivy)),
        ("https://github.com/anchore/grype/", Some(ScannerKind::Grype)),
        ("https://example.com/grype", None),
        ("osv.dev", None),
        ("", None),
    ] {
        assert_eq!(by(uri, "").kind, kind, "{uri}");
    }
}

/// It is somebody else's code over somebody else's text.
#[test]
fn every_vector_of_base_metrics_has_a_score() {
    let values = ["AV:N/AV:A/AV:L/AV:P", "AC:L/AC:H", "AT:N/AT:P", "PR:N/PR:L/PR:H", "UI:N/UI:P/UI:A"];
    let impacts =
        ["VC", "VI", "VA", "SC", "SI", "SA"].map(|name| ["H", "L", "N"].map(|its| format!("{name}:{its}")).join("/"));
    let mut vectors = vec!["CVSS:4.0".to_owned()];
    for metric in values.map(str::to_owned).iter().chain(&impacts) {
        vectors =
            vectors.iter().flat_map(|vector| metric.split('/').map(move |value| format!("{vector}/{value}"))).collect();
    }
    assert_eq!(vectors.len(), 104_976);
    for vector in vectors.iter().step_by(7) {
        let raw = serde_json::value::to_raw_value(vector).unwrap();
        assert!(severity::rated(&raw).score.is_some(), "{vector}");
    }
}
