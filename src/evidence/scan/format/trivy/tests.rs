use serde_json::{Value, json};

use super::super::read;
use super::super::tests::{TRIVY, refused, with};
use super::*;
use crate::image::Platform;

/// The finding of [`TRIVY`] with another value in one field.
fn finding(field: &str, value: Value) -> (Fix, Option<Severity>, Option<Score>) {
    let text = with(TRIVY, &format!("/Results/0/Vulnerabilities/0/{field}"), value);
    let findings = read(text.as_bytes()).unwrap().findings;
    let finding = findings.iter().find(|finding| finding.id == "CVE-2026-1").unwrap();
    (finding.fix, finding.severity, finding.score)
}

#[test]
fn all_of_it_is_read() {
    let Report { outline, findings } = read(TRIVY.as_bytes()).unwrap();
    let Outline { format, scanner, scanned_at, subject, notes } = outline;
    assert_eq!((format, &*scanner.name, scanner.version.as_deref()), (Format::Trivy, "trivy", Some("0.76.0")));
    assert_eq!(scanned_at, Some("2026-11-20T21:50:11.634Z".parse().unwrap()));
    let manifests: Vec<_> = subject.manifests.iter().map(ToString::to_string).collect();
    assert_eq!(manifests, ["sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e"]);
    let config = subject.config.unwrap().to_string();
    assert_eq!(config, "sha256:0f97d4d02c1dc56e0c6f3d1e22b400bf875e15019d166a7c25873d7a368eb396");
    let (os, architecture, variant) = ("linux".to_owned(), "arm".to_owned(), Some("v7".to_owned()));
    assert_eq!(subject.platform, Some(Platform { os, architecture, variant }));
    assert_eq!(subject.names, ["acme/web:1".into(), "acme/web:latest".into()]);
    assert!(notes.is_empty());
    let critical = Finding {
        id: "CVE-2026-1",
        aliases: "GHSA-1 TEMP-1",
        severity: Some(Severity::Critical),
        package: "xz",
        installed: "5.6.0",
        fixed: "5.6.2",
        fix: Fix::Fixed,
        fixed_since: None,
        score: Some(Score(98)),
        suppressed: false,
    };
    let ignored = Finding {
        id: "CVE-2026-2",
        aliases: "",
        severity: Some(Severity::Low),
        package: "zlib",
        installed: "",
        fixed: "",
        fix: Fix::NotFixed,
        score: None,
        suppressed: true,
        ..critical
    };
    assert_eq!(findings.iter().collect::<Vec<_>>(), [critical, ignored]);
}

#[test]
fn a_digest_that_is_none_is_dropped_and_said() {
    let text = with(TRIVY, "/Metadata/RepoDigests", json!(["", "acme/web@sha256:1234"]));
    let Outline { subject, notes, .. } =
        read(with(&text, "/Metadata/ImageID", json!("sha256:X")).as_bytes()).unwrap().outline;
    assert_eq!((subject.manifests.len(), subject.config), (0, None));
    assert_eq!(
        notes,
        [
            "what stands in RepoDigests is no digest of an image".into(),
            "what stands in ImageID is no digest of an image".into()
        ]
    );
}

#[test]
fn go_times_are_read_and_what_is_no_time_is_said() {
    for (text, scanned_at, notes) in [
        ("2021-08-25T12:20:30.000000005Z", Some("2021-08-25T12:20:30.000000005Z"), 0),
        ("0001-01-01T00:00:00Z", None, 0),
        ("0001-01-01T00:00:00-08:00", None, 0),
        ("", None, 0),
        ("yesterday", None, 1),
        ("2021-08-25", None, 1),
    ] {
        let outline = read(with(TRIVY, "/CreatedAt", json!(text)).as_bytes()).unwrap().outline;
        assert_eq!(outline.scanned_at, scanned_at.map(|moment| moment.parse().unwrap()), "{text}");
        assert_eq!(outline.notes.len(), notes, "{text}");
    }
    for (number, scanned_at) in [(1_629_894_030_u64, Some("2021-08-25T12:20:30Z")), (0, None), (u64::MAX, None)] {
        let outline = read(with(TRIVY, "/CreatedAt", json!(number)).as_bytes()).unwrap().outline;
        assert_eq!(outline.scanned_at, scanned_at.map(|moment| moment.parse().unwrap()), "{number}");
    }
}

#[test]
fn a_report_that_shows_no_look_at_packages_is_no_clean_one() {
    let class = |class: &str| json!([{"Target": "t", "Class": class}]);
    for (results, words) in [
        (json!([]), "it has no result at all, which does not show"),
        (Value::Null, "it has no result at all"),
        (class("config"), "it is about configuration alone"),
        (class("secret"), "it is about secrets alone"),
        (class("license-file"), "it is about licences alone"),
        (class("custom"), "it has no result about packages"),
        (json!([{"Class": "secret"}, {"Class": "config"}]), "it is about configuration and secrets alone"),
        (json!([{"Target": "t", "Vulnerabilities": []}]), "it has no result about packages"),
    ] {
        let unusable = read(with(TRIVY, "/Results", results.clone()).as_bytes()).unwrap_err();
        assert_eq!(unusable.defect, Defect::NothingScanned, "{results}");
        assert!(unusable.words.starts_with(words), "{}", unusable.words);
        assert_eq!(unusable.outline.unwrap().subject.manifests.len(), 1);
    }
    for results in [
        class("os-pkgs"),
        class("lang-pkgs"),
        json!([{"Class": "secret"}, {"Class": "os-pkgs"}]),
        json!([{"Vulnerabilities": [{"VulnerabilityID": "CVE-1"}]}]),
    ] {
        assert!(read(with(TRIVY, "/Results", results.clone()).as_bytes()).is_ok(), "{results}");
    }
}

#[test]
fn other_schemas_are_not_read_as_if_they_were_known() {
    assert!(read(with(TRIVY, "/SchemaVersion", json!(1)).as_bytes()).is_ok());
    for schema in [json!(3), json!(0), Value::Null] {
        let (defect, words) = refused(&with(TRIVY, "/SchemaVersion", schema));
        assert_eq!(defect, Defect::NotAReport);
        assert!(words.starts_with("it is of a schema of Trivy that is not known"), "{words}");
    }
}

#[test]
fn a_fix_is_a_version_that_has_it() {
    for (status, fix) in [
        ("affected", Fix::NotFixed),
        ("fix_deferred", Fix::NotFixed),
        ("will_not_fix", Fix::WontFix),
        ("end_of_life", Fix::WontFix),
        ("under_investigation", Fix::Unknown),
        ("fixed", Fix::Unknown),
        ("", Fix::NotFixed),
    ] {
        let text = with(TRIVY, "/Results/0/Vulnerabilities/0/FixedVersion", json!(""));
        let text = with(&text, "/Results/0/Vulnerabilities/0/Status", json!(status));
        assert_eq!(read(text.as_bytes()).unwrap().findings.get(0).unwrap().fix, fix, "{status}");
        assert_eq!(finding("Status", json!(status)).0, Fix::Fixed, "{status} with a version");
    }
}

#[test]
fn severities_and_scores_are_as_written() {
    assert_eq!(finding("Severity", json!("UNKNOWN")).1, None);
    assert_eq!(finding("Severity", json!("medium")).1, Some(Severity::Medium));
    // That of whom the severity is from, else the highest of all.
    assert_eq!(finding("SeveritySource", json!("ghsa")).2, Some(Score(100)));
    assert_eq!(finding("SeveritySource", json!("debian")).2, Some(Score(100)));
    assert_eq!(finding("CVSS", json!({"nvd": {"V2Score": 7.55}})).2, Some(Score(76)));
    assert_eq!(finding("CVSS", json!({"nvd": {"V3Score": 11}})).2, None);
    assert_eq!(finding("CVSS", json!({"nvd": {}})).2, None);
}

#[test]
fn a_finding_of_nothing_is_an_error_and_other_kinds_are_not_set_aside() {
    for nothing in [json!({}), json!({"Severity": "HIGH"})] {
        let (defect, words) = refused(&with(TRIVY, "/Results/0/Vulnerabilities/0", nothing));
        assert_eq!(defect, Defect::Malformed);
        assert!(words.starts_with("one of its findings names neither"), "{words}");
    }
    let nameless = with(TRIVY, "/Results/0/Vulnerabilities/0/VulnerabilityID", json!(""));
    assert_eq!(read(nameless.as_bytes()).unwrap().findings.counts().critical.total, 1);
    let secret = with(TRIVY, "/Results/0/ExperimentalModifiedFindings/0/Type", json!("secret"));
    assert_eq!(read(secret.as_bytes()).unwrap().findings.len(), 1);
}
