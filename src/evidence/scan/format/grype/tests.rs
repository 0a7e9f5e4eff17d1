use serde_json::{Value, json};

use super::super::read;
use super::super::tests::{GRYPE, refused, with};
use super::*;
use crate::fact::report::{ScannerKind, Subject};

fn outline(place: &str, value: Value) -> Outline {
    read(with(GRYPE, place, value).as_bytes()).unwrap().outline
}

#[test]
fn all_of_it_is_read() {
    let Report { outline, findings } = read(GRYPE.as_bytes()).unwrap();
    let Outline { format, scanner, scanned_at, subject, notes } = outline;
    assert_eq!((format, scanned_at), (Format::Grype, Some("2026-11-21T03:50:11Z".parse().unwrap())));
    let expected = Scanner {
        kind: Some(ScannerKind::Grype),
        name: "grype".into(),
        version: Some("0.110.0".into()),
        database_version: Some("v6.1.4".into()),
        database_built: Some("2026-11-21T03:49:59Z".parse().unwrap()),
    };
    assert_eq!(scanner, expected);
    let digests: Vec<_> = subject.digests().map(ToString::to_string).collect();
    assert_eq!(
        digests,
        [
            "sha256:ea42d4ea6ec4ff8217ba02a0b06d57da46f12a39cfd6fbbb1f8a7fa6de66e4c5",
            "sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e",
            "sha256:0f97d4d02c1dc56e0c6f3d1e22b400bf875e15019d166a7c25873d7a368eb396",
        ]
    );
    assert_eq!(subject.platform.map(|its| its.architecture), Some("amd64".to_owned()));
    assert_eq!(subject.names, ["acme/web:1".into(), "acme/web:latest".into()]);
    assert_eq!(notes, ["Grype was told to report findings with a fix alone (only-fixed)".into()]);
    let high = Finding {
        id: "GHSA-1",
        aliases: "CVE-2026-1",
        severity: Some(Severity::High),
        package: "minimist",
        installed: "1.0",
        fixed: "1.2, 2.0",
        fix: Fix::Fixed,
        fixed_since: Some("2026-01-05T00:00:00Z".parse().unwrap()),
        score: Some(Score(98)),
        suppressed: false,
    };
    let ignored = Finding {
        id: "CVE-2026-2",
        aliases: "",
        severity: None,
        package: "zlib",
        installed: "1.3",
        fixed: "",
        fix: Fix::Unknown,
        fixed_since: None,
        score: None,
        suppressed: true,
    };
    assert_eq!(findings.iter().collect::<Vec<_>>(), [high, ignored]);
}

#[test]
fn databases_of_every_age_are_read() {
    for (database, version, built) in [
        (json!({"built": "2023-03-15T01:28:29Z", "schemaVersion": 5}), Some("5"), Some("2023-03-15T01:28:29Z")),
        (json!({"status": {"schemaVersion": "v6.0.2"}, "providers": {"alpine": {}}}), Some("v6.0.2"), None),
        (json!({"built": "0001-01-01T00:00:00Z", "schemaVersion": 0, "error": "none"}), Some("0"), None),
        (json!({"status": null}), None, None),
        (Value::Null, None, None),
    ] {
        let scanner = outline("/descriptor/db", database).scanner;
        assert_eq!(scanner.database_version.as_deref(), version);
        assert_eq!(scanner.database_built, built.map(|moment| moment.parse().unwrap()));
    }
}

#[test]
fn what_is_no_image_names_no_digest() {
    for kind in ["directory", "sbom-file", "unknown", ""] {
        assert_eq!(outline("/source/type", json!(kind)).subject, Subject::default(), "{kind}");
    }
    let folder = outline("/source", json!({"type": "directory", "target": "fs/shop"}));
    assert_eq!(folder.subject, Subject { names: vec!["fs/shop".into()], ..Subject::default() });
    // Of an OCI layout it does not know the platform.
    let layout = outline("/source/target/architecture", json!(""));
    assert_eq!(layout.subject.platform, None);
}

#[test]
fn a_fix_is_what_its_state_says_and_as_old_as_its_oldest_known_version() {
    for (state, expected) in
        [("not-fixed", Fix::NotFixed), ("wont-fix", Fix::WontFix), ("unknown", Fix::Unknown), ("", Fix::Unknown)]
    {
        let report = read(with(GRYPE, "/matches/0/vulnerability/fix/state", json!(state)).as_bytes()).unwrap();
        assert_eq!(report.findings.get(0).unwrap().fix, expected, "{state}");
    }
    for date in ["0001-01-01", "", "soon"] {
        let text = with(GRYPE, "/matches/0/vulnerability/fix/available/0/date", json!(date));
        assert_eq!(read(text.as_bytes()).unwrap().findings.get(0).unwrap().fixed_since, None, "{date}");
    }
    let old = json!({"id": "CVE-1", "severity": "Low", "fixedInVersion": "1.1"});
    let report = read(with(GRYPE, "/matches/0/vulnerability", old).as_bytes()).unwrap();
    let finding = report.findings.get(0).unwrap();
    assert_eq!((finding.fix, finding.fixed), (Fix::Fixed, "1.1"));
}

#[test]
fn another_tool_in_the_form_of_grype_is_not_believed() {
    let (defect, words) = refused(&with(GRYPE, "/descriptor/name", json!("xeol")));
    assert_eq!(defect, Defect::NotAReport);
    assert!(words.contains("another tool wrote it") && !words.contains("xeol"), "{words}");
    let (defect, words) = refused(r#"{"matches":[{"artifact":{"name":"xz"}}]}"#);
    assert_eq!((defect, words.starts_with("one of its matches has no vulnerability")), (Defect::Malformed, true));
    assert!(read(br#"{"matches":[{"vulnerability":{"id":"CVE-1"}}]}"#).is_ok());
    assert!(read(br#"{"matches":[],"descriptor":{"name":"grype"}}"#).is_ok());
}
