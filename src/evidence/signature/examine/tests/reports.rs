//! Scan reports in signed statements.

use super::by_key::{HEX, signed};
use super::*;
use crate::fact::attached::AttestedReport;
use crate::fact::report::Defect;

const TYPE: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// A clean report of Trivy about an image by this name, or about none.
fn report(named: Option<&str>) -> Value {
    let digests: Vec<_> = named.map(|hex| format!("acme/web@sha256:{hex}")).into_iter().collect();
    json!({"SchemaVersion": 2, "ArtifactName": "acme/web", "ArtifactType": "container_image",
        "Metadata": {"RepoDigests": digests}, "Results": [{"Target": "web", "Class": "os-pkgs", "Type": "alpine"}]})
}

fn statement(of: &str, predicate_type: &str, result: &Value) -> String {
    let predicate = json!({"scanner": {"result": result}, "metadata": {"scanFinishedOn": "2026-11-21T00:00:00Z"}});
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "0".repeat(64)}},
        {"digest": {"sha256": of}}], "predicateType": predicate_type, "predicate": predicate})
    .to_string()
}

/// What is found in a statement that somebody signed, by whoever is trusted.
fn found(statement: &str, reports: bool, trusted: bool) -> Signature {
    let (key, its) = signed(statement);
    let (other, _) = signed(statement);
    let examination = Examination { reports, ..keys(&[if trusted { &key } else { &other }]) };
    run(&bundle(&its), &sha256(HEX), &examination)
}

fn attested(signature: &Signature) -> Option<&AttestedReport> {
    let Claim::Statement { report, .. } = &signature.claim else { panic!("{:?}", signature.claim) };
    report.as_ref()
}

#[test]
fn a_statement_about_our_digest_brings_its_report_once_it_is_known_who_made_it() {
    let statement = statement(HEX, TYPE, &report(None));
    let signature = found(&statement, true, true);
    let report = attested(&signature).unwrap().as_ref().unwrap();
    // Not that of the other subject.
    assert_eq!(report.outline.subject.manifests, [sha256(HEX)]);
    assert_eq!(report.outline.scanned_at.unwrap().to_string(), "2026-11-21T00:00:00Z");
    assert_eq!(attested(&found(&statement, false, true)), None);
    let unverified = found(&statement, true, false);
    assert_eq!((attested(&unverified), flawed(&unverified).0), (None, FlawKind::OtherKey));
}

#[test]
fn what_a_report_is_about_it_says_itself_where_it_names_any_digest() {
    let other = "1".repeat(64);
    let signature = found(&statement(HEX, TYPE, &report(Some(&other))), true, true);
    assert_eq!(attested(&signature).unwrap().as_ref().unwrap().outline.subject.manifests, [sha256(&other)]);
}

#[test]
fn a_statement_about_another_digest_or_of_another_type_brings_none() {
    let elsewhere = found(&statement(&"1".repeat(64), TYPE, &report(None)), true, true);
    assert!(matches!(elsewhere.claim, Claim::Elsewhere { .. }), "{:?}", elsewhere.claim);
    for predicate_type in ["cosign.sigstore.dev/attestation/vuln/v1", "https://slsa.dev/provenance/v1"] {
        assert_eq!(attested(&found(&statement(HEX, predicate_type, &report(None)), true, true)), None);
    }
}

#[test]
fn an_attested_report_that_cannot_be_used_says_why_and_of_what() {
    let signature = found(&statement(HEX, TYPE, &Value::Null), true, true);
    let unusable = attested(&signature).unwrap().as_ref().unwrap_err();
    assert_eq!(unusable.defect, Defect::NothingScanned);
    assert_eq!(unusable.outline.as_ref().unwrap().subject.manifests, [sha256(HEX)]);
}

#[test]
fn reports_alone_are_reason_enough_to_look_for_attestations() {
    let kinds = |reports| {
        let kinds = crate::evidence::signature::kinds(&Examination { reports, ..Examination::default() });
        (kinds.signatures, kinds.attestations)
    };
    assert_eq!((kinds(true), kinds(false)), ((false, true), (false, false)));
}
