//! What holds for every format: recognised or named, whole or refused, bounded. Real reports are held to their facts in
//! `tests/scan_vectors.rs`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fact::report::Format;

/// Reports of each tool in which everything that is read occurs, small enough to be tried byte by byte.
pub(super) const TRIVY: &str = r#"{"SchemaVersion":2,"Trivy":{"Version":"0.76.0"},"CreatedAt":"2026-11-21T03:50:11.634+06:00",
"ArtifactName":"acme/web:1","ArtifactType":"container_image","Metadata":{"ImageID":
"sha256:0f97d4d02c1dc56e0c6f3d1e22b400bf875e15019d166a7c25873d7a368eb396","RepoTags":["acme/web:1","acme/web:latest"],
"RepoDigests":["acme/web@sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e"],
"ImageConfig":{"architecture":"arm","os":"linux","variant":"v7"}},"Results":[{"Target":"web","Class":"os-pkgs","Type":"alpine",
"Vulnerabilities":[{"VulnerabilityID":"CVE-2026-1","VendorIDs":["GHSA-1","TEMP-1"],"PkgName":"xz","InstalledVersion":"5.6.0",
"FixedVersion":"5.6.2","Status":"fixed","Severity":"CRITICAL","SeveritySource":"nvd",
"CVSS":{"nvd":{"V2Score":4.3,"V3Score":9.8},"ghsa":{"V3Score":10,"V40Score":9.1}}}],"ExperimentalModifiedFindings":[
{"Type":"vulnerability","Status":"ignored","Finding":{"VulnerabilityID":"CVE-2026-2","PkgName":"zlib","Severity":"LOW"}}]}]}"#;
pub(super) const GRYPE: &str = r#"{"matches":[{"vulnerability":{"id":"GHSA-1","severity":"High","fix":{"versions":["1.2","2.0"],
"state":"fixed","available":[{"version":"1.2","date":"2026-02-11"},{"version":"2.0","date":"2026-01-05"}]},"cvss":[{"version":
"3.1","metrics":{"baseScore":7.5}},{"metrics":{"baseScore":9.8}}]},"relatedVulnerabilities":[{"id":"CVE-2026-1"}],
"artifact":{"name":"minimist","version":"1.0"}}],"ignoredMatches":[{"vulnerability":{"id":"CVE-2026-2"},"artifact":
{"name":"zlib","version":"1.3"},"appliedIgnoreRules":[{"namespace":"vex"}]}],"source":{"type":"image","target":{"userInput":
"acme/web:1","imageID":"sha256:0f97d4d02c1dc56e0c6f3d1e22b400bf875e15019d166a7c25873d7a368eb396","manifestDigest":
"sha256:ea42d4ea6ec4ff8217ba02a0b06d57da46f12a39cfd6fbbb1f8a7fa6de66e4c5","tags":["acme/web:1","acme/web:latest"],
"repoDigests":["acme/web@sha256:100ecbc98c94a92825e62c0cfdc02ecfd4b28fe227c565d3606150807ec3e54e"],"architecture":"amd64",
"os":"linux"}},"descriptor":{"name":"grype","version":"0.110.0","timestamp":"2026-11-21T03:50:11Z","configuration":
{"only-fixed":true,"by-cve":false},"db":{"status":{"schemaVersion":"v6.1.4","built":"2026-11-21T03:49:59Z"}}}}"#;

/// The defect and the words of what is refused.
pub(super) fn refused(text: &str) -> (Defect, String) {
    let Unusable { defect, words, outline: _ } = read(text.as_bytes()).unwrap_err();
    (defect, words.to_string())
}

/// Another value at a place of a report.
pub(super) fn with(report: &str, place: &str, value: Value) -> String {
    let mut report: Value = serde_json::from_str(report).unwrap();
    *report.pointer_mut(place).unwrap() = value;
    report.to_string()
}

#[test]
fn what_is_no_report_is_named() {
    for (text, words) in [
        ("[]", "it is a list (Trivy wrote one before version 0.20)"),
        ("\"report\"", "it is a string"),
        (" 12", "it is a number"),
        (r#"{"bomFormat":"CycloneDX"}"#, "it is an SBOM (CycloneDX)"),
        (r#"{"spdxVersion":"SPDX-2.3"}"#, "it is an SBOM (SPDX)"),
        (r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}"#, "it is an SBOM (SPDX)"),
        (
            r#"{"artifacts":[],"artifactRelationships":[],"source":{},"descriptor":{"name":"syft"}}"#,
            "it is an SBOM (Syft)",
        ),
        (r#"{"version":"2.1.0","$schema":"s","runs":[]}"#, "it is SARIF"),
        (r#"{"@context":"https://openvex.dev/ns/v0.2.0","author":"a","statements":[]}"#, "it is a VEX document"),
        (r#"{"ClusterName":"c","Resources":[]}"#, "it is Trivy's summary of a cluster"),
        (r#"{"type":"SCANNING_COMPLETED","event_data":{}}"#, "it is a notification of Harbor"),
        (r#"{"mediaType":"m","dsseEnvelope":{}}"#, "it is a Sigstore bundle"),
        (
            r#"{"apiVersion":"aquasecurity.github.io/v1alpha1","kind":"ConfigAuditReport"}"#,
            "it is a report on configuration",
        ),
        (
            r#"{"apiVersion":"aquasecurity.github.io/v1alpha1","kind":"ExposedSecretReport"}"#,
            "it is a report on secrets",
        ),
        (r#"{"apiVersion":"aquasecurity.github.io/v1alpha1","kind":"SbomReport"}"#, "it is an SBOM"),
        (r#"{"apiVersion":"v1","kind":"List","items":[]}"#, "it is a list of objects"),
        (r#"{"apiVersion":"v1","kind":"VulnerabilityReport"}"#, "it is an object of Kubernetes"),
        (r#"{"Results":[]}"#, "it is like a report of Trivy, without its SchemaVersion"),
        ("{}", "it is of none of the forms"),
        (r#"{"matches":[]}"#, "nothing that shows it to be a report of Grype"),
    ] {
        let (defect, said) = refused(text);
        assert_eq!(defect, Defect::NotAReport, "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn what_is_broken_is_told_from_what_is_unfinished() {
    for (bytes, defect, words) in [
        (&b""[..], Defect::Empty, "it is empty"),
        (b" \n", Defect::Empty, "it is empty"),
        (b"{\"Results\":[{\"Vulnerabilities\":[[[[", Defect::Truncated, "it ends in the middle"),
        (b"{\"a\":\"\xc3", Defect::Truncated, "it ends in the middle of a character"),
        (b"{\"a\":\"\xff\"}", Defect::Malformed, "it is not UTF-8 text: see byte 6"),
        (b"\xff\xfe{\0}\0", Defect::Malformed, "it is UTF-16"),
        (b"\0\0\0\0", Defect::Malformed, "it is not JSON: have the scanner write its own"),
        (b"{\"a\":1,\n\"a\":2}", Defect::Malformed, "line 2, column 6"),
        (b"{\"a\":1} {", Defect::Malformed, "line 1, column 9"),
        (b"{\"a\":\"\0\"}", Defect::Malformed, "line 1, column 6"),
        (b"NAME  INSTALLED", Defect::Malformed, "it is not JSON: have the scanner write its own"),
        (b"null", Defect::Malformed, "it is not JSON"),
    ] {
        let Unusable { defect: found, words: said, outline } = read(bytes).unwrap_err();
        assert_eq!((found, outline), (defect, None), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let marked = format!("\u{feff}{TRIVY}");
    assert_eq!(read(marked.as_bytes()), read(TRIVY.as_bytes()));
}

#[test]
fn no_error_repeats_what_stands_in_the_report() {
    for report in [TRIVY, GRYPE] {
        let mut report: Value = serde_json::from_str(report).unwrap();
        let mut places = Vec::new();
        leaves(&report, String::new(), &mut places);
        for place in places {
            let before = std::mem::replace(report.pointer_mut(&place).unwrap(), json!({"hunter2": "hunter2"}));
            if let Err(unusable) = read(report.to_string().as_bytes()) {
                assert!(!unusable.words.contains("hunter2"), "{place}: {}", unusable.words);
            }
            *report.pointer_mut(&place).unwrap() = before;
        }
    }
}

#[test]
fn more_than_is_read_is_refused_before_it_is_kept() {
    let large = vec![b' '; BYTES + 1];
    assert_eq!(read(&large).unwrap_err().defect, Defect::BeyondBounds);
    let fields: String = (0..300).map(|number| format!("\"{number}\":0,")).collect();
    let (defect, words) = refused(&format!("{{{fields}\"x\":0}}"));
    assert_eq!((defect, &*words), (Defect::BeyondBounds, "an object of it has more than 256 fields"));
    // A text as long as a report may be is no trouble where people alone read it, and is one in an identifier.
    let long = "x".repeat(30 << 20);
    let named = read(with(TRIVY, "/ArtifactName", json!(long)).as_bytes()).unwrap();
    assert_eq!(named.outline.subject.names[0].len(), 512);
    let (defect, _) = refused(&with(GRYPE, "/matches/0/vulnerability/id", json!(long)));
    assert_eq!(defect, Defect::BeyondBounds);
    let (defect, _) = refused(&with(GRYPE, "/matches/0/relatedVulnerabilities/0/id", json!(long)));
    assert_eq!(defect, Defect::BeyondBounds);
}

#[test]
fn more_findings_than_are_kept_are_refused_and_it_is_known_whose() {
    let one = r#"{"VulnerabilityID":"CVE-1"}"#;
    let list = format!("{}{one}", format!("{one},").repeat(100_000));
    let results = format!(r#""Results":[{{"Class":"os-pkgs","Vulnerabilities":[{list}]}}]"#);
    let text = format!(r#"{{"SchemaVersion":2,"ArtifactName":"acme/web:1",{results}}}"#);
    let Unusable { defect, words, outline } = read(text.as_bytes()).unwrap_err();
    assert_eq!((defect, &*words), (Defect::BeyondBounds, "it has more than 50,000 findings"));
    assert_eq!(outline.unwrap().subject.names, ["acme/web:1".into()]);
}

#[test]
fn deep_nesting_is_walked_over_or_refused_without_a_crash() {
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let beside = TRIVY.replacen('{', &format!("{{\"Unknown\":{deep},"), 1);
    assert_eq!(read(beside.as_bytes()), read(TRIVY.as_bytes()));
    let within = format!(r#"{{"SchemaVersion":2,"Results":[{{"Vulnerabilities":{deep}}}]}}"#);
    assert_eq!(refused(&within).0, Defect::Malformed);
}

#[test]
fn nul_and_control_characters_in_texts_are_texts() {
    for place in ["/Results/0/Vulnerabilities/0/VulnerabilityID", "/Results/0/Vulnerabilities/0/PkgName"] {
        let report = read(with(TRIVY, place, json!("a\u{0}b\u{1b}[31m\n")).as_bytes()).unwrap();
        let finding = report.findings.get(0).unwrap();
        assert!([finding.id, finding.package].contains(&"a\u{0}b\u{1b}[31m\n"));
    }
}

/// The paths of everything that is neither an object nor a list, and of all lists and objects as well.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves(value, format!("{path}/{name}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| leaves(value, format!("{path}/{at}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    if !path.is_empty() {
        found.push(path);
    }
}

/// What is in a report and never looked at.
fn is_read(place: &str) -> bool {
    let unread = ["/ArtifactType", "/Target", "/Results/0/Type", "/ExperimentalModifiedFindings/0/Status", "/by-cve"];
    let beside = place.ends_with("/version") && (place.contains("/cvss/") || place.contains("/available/"));
    !beside && !place.contains("appliedIgnoreRules") && !unread.iter().any(|end| place.ends_with(end))
}

#[test]
fn a_field_of_the_wrong_type_spoils_the_whole_report() {
    for report in [TRIVY, GRYPE] {
        let whole: Value = serde_json::from_str(report).unwrap();
        let mut places = Vec::new();
        leaves(&whole, String::new(), &mut places);
        for place in places.iter().filter(|place| is_read(place)) {
            let right = whole.pointer(place).unwrap();
            for wrong in [json!("text"), json!(-1.5), json!(true), json!([[]]), json!({"a": [7]})] {
                let same = std::mem::discriminant(right) == std::mem::discriminant(&wrong);
                let is_scanner_of_objects = place.ends_with("/CVSS") && wrong.is_object();
                if same || is_scanner_of_objects {
                    continue;
                }
                let spoiled = with(report, place, wrong.clone());
                let Err(Unusable { defect, words, .. }) = read(spoiled.as_bytes()) else {
                    panic!("{place} as {wrong} was read")
                };
                let expected = [Defect::Malformed, Defect::NotAReport];
                assert!(expected.contains(&defect), "{place} as {wrong}: {defect}: {words}");
            }
        }
    }
}

#[test]
fn null_is_what_is_not_there() {
    for (report, places) in [
        (TRIVY, &["/Metadata/RepoTags", "/Metadata/ImageConfig", "/Results/0/Vulnerabilities/0/CVSS"][..]),
        (TRIVY, &["/Results/0/Vulnerabilities/0/VendorIDs", "/Results/0/ExperimentalModifiedFindings", "/Trivy"]),
        (GRYPE, &["/ignoredMatches", "/source/target/tags", "/matches/0/vulnerability/cvss", "/descriptor/db"]),
        (
            GRYPE,
            &[
                "/matches/0/relatedVulnerabilities",
                "/matches/0/vulnerability/fix/versions",
                "/descriptor/configuration",
            ],
        ),
    ] {
        for place in places {
            let mut without: Value = serde_json::from_str(report).unwrap();
            let (parent, name) = place.rsplit_once('/').unwrap();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
            let without = read(without.to_string().as_bytes()).unwrap();
            assert_eq!(read(with(report, place, Value::Null).as_bytes()).unwrap(), without, "{place}");
        }
    }
}

/// A report as text, with the field at one place written twice.
fn doubled(value: &Value, path: &str, place: &str) -> String {
    match value {
        Value::Object(fields) => {
            let mut parts = Vec::new();
            for (name, value) in fields {
                let below = format!("{path}/{name}");
                let part = format!("{}:{}", json!(name), doubled(value, &below, place));
                parts.extend((below == place).then(|| part.clone()));
                parts.push(part);
            }
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(list) => {
            let part = |(at, value)| doubled(value, &format!("{path}/{at}"), place);
            format!("[{}]", list.iter().enumerate().map(part).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[test]
fn a_report_in_which_a_field_stands_twice_is_never_read() {
    for report in [TRIVY, GRYPE] {
        let whole: Value = serde_json::from_str(report).unwrap();
        let mut places = Vec::new();
        leaves(&whole, String::new(), &mut places);
        let is_field = |place: &&String| place.rsplit('/').next().is_some_and(|name| name.parse::<usize>().is_err());
        // Inside of what is not read, nothing is told.
        let inside = |place: &&String| !place.contains("/appliedIgnoreRules/");
        for place in places.iter().filter(is_field).filter(inside) {
            let text = doubled(&whole, "", place);
            assert_ne!(text.matches(':').count(), whole.to_string().matches(':').count(), "{place}");
            let found = read(text.as_bytes());
            assert_eq!(found.map_err(|unusable| unusable.defect), Err(Defect::Malformed), "{place}");
        }
    }
}

#[test]
fn a_report_that_is_cut_off_anywhere_is_never_read() {
    for report in [TRIVY, GRYPE] {
        assert!(read(report.as_bytes()).is_ok());
        for end in 1..report.len() {
            let found = read(&report.as_bytes()[..end]).map_err(|unusable| unusable.defect);
            assert_eq!(found, Err(Defect::Truncated), "after {end}");
        }
    }
}

/// Real ones, of every age.
const REAL: [&[u8]; 6] = [
    include_bytes!("../../../../tests/fixtures/scans/captured/trivy/web-trivyignore.json"),
    include_bytes!("../../../../tests/fixtures/scans/captured/grype/web-vex.json"),
    include_bytes!("../../../../tests/fixtures/scans/trivy/jenkins-alpine-3.14.json"),
    include_bytes!("../../../../tests/fixtures/scans/trivy/trivy-operator-vulnerability_report.json"),
    include_bytes!("../../../../tests/fixtures/scans/grype/defectdojo-no_vuln.json"),
    include_bytes!("../../../../tests/fixtures/scans/grype/defectdojo-check_all_fields.json"),
];

fn real() -> impl Strategy<Value = &'static [u8]> {
    (0..REAL.len()).prop_map(|index| REAL[index])
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_changed_byte_of_a_real_report_makes_it_panic(report in real(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = report.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read(&bytes);
    }

    #[test]
    fn a_real_report_that_is_cut_off_is_never_read(report in real(), at in any::<prop::sample::Index>()) {
        let end = at.index(report.trim_ascii_end().len());
        prop_assert!(read(&report[..end]).is_err());
    }

    #[test]
    fn one_more_finding_in_a_report_is_one_more_that_is_read(
        report in real(),
        at in any::<prop::sample::Index>(),
        id in "[A-Z]{3}-[0-9]{1,9}",
        severity in prop::sample::select(vec!["CRITICAL", "High", "", "UNKNOWN", "Negligible", "other"]),
    ) {
        let before = read(report).unwrap();
        let mut report: Value = serde_json::from_slice(report).unwrap();
        let trivy = before.outline.format == Format::Trivy;
        let (place, finding) = if trivy {
            ("/Results/0/Vulnerabilities", json!({"VulnerabilityID": id, "Severity": severity}))
        } else {
            ("/matches", json!({"vulnerability": {"id": id, "severity": severity}, "artifact": {"name": "xz"}}))
        };
        let list = report.pointer_mut(place).unwrap().as_array_mut().unwrap();
        list.insert(at.index(list.len() + 1), finding);
        let after = read(report.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&after.outline, &before.outline);
        prop_assert_eq!(after.findings.len(), before.findings.len() + 1);
        prop_assert_eq!(after.findings.counts().total(), before.findings.counts().total() + 1);
        let named = |report: &Report| report.findings.iter().filter(|finding| finding.id == id).count();
        prop_assert_eq!(named(&after), named(&before) + 1);
    }
}
