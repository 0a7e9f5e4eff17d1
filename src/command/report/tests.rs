use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::decision::verdict::{DeniedImage, Reason, ReportVerdict, ScanState};
use crate::fact::report::{Counts, Origin};
use crate::image::Digest;
use crate::policy::{Mode, PolicyName};
use crate::request::{ContainerKind, Subject};

/// An object whose only image is refused for this, without a line.
pub(super) fn refused(source: &str, image: &str, denials: Vec<Denial>) -> Judged {
    let container = Container::first(ContainerKind::Regular, "web", image);
    let path = container.path.clone();
    let request = Request::about(Subject::Images { containers: vec![container], old: Vec::new() });
    let verdict = Verdict {
        answer: Answer::Deny(denials),
        warnings: Vec::new(),
        audit: Vec::new(),
        images: vec![ImageVerdict {
            container: 0,
            policy: None,
            rule: None,
            basis: None,
            path,
            digest: Some(digest('a')),
            resolved: false,
            admitted_since: None,
            signatures: Vec::new(),
            reports: Vec::new(),
        }],
        pending: false,
        unfinished: false,
        records: Vec::new(),
    };
    Judged {
        source: source.to_owned(),
        kind: "Pod".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "web".to_owned(),
        request,
        verdict,
        lines: Lines::default(),
    }
}

/// Of the only image; `whole`: of the whole object.
pub(super) fn denial(mode: Mode, reason: Reason, message: &str, whole: bool) -> Denial {
    let container = Container::first(ContainerKind::Regular, "web", "nginx");
    let subject = DeniedImage {
        container: 0,
        path: container.path.clone(),
        title: container.title(),
        written: "nginx".into(),
        digest: None,
    };
    Denial {
        mode,
        softened: false,
        policy: Some(PolicyName::from("acme")),
        rule: None,
        subject: (!whole).then_some(subject),
        reason,
        message: message.to_owned(),
    }
}

fn digest(character: char) -> Digest {
    Digest::parse(&format!("sha256:{}", character.to_string().repeat(64))).unwrap()
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A fresh report of the image itself.
fn report() -> ReportVerdict {
    let mut counts = Counts::default();
    (counts.critical.total, counts.critical.fixable) = (2, 2);
    (counts.high.total, counts.high.fixable) = (6, 6);
    ReportVerdict {
        digest: digest('a'),
        platform: None,
        state: ScanState::Fresh,
        origin: Some(Origin::Directory),
        place: Some("scans/web.json".into()),
        scanner: Some("trivy".into()),
        scanner_version: Some("0.76.0".to_owned()),
        scanned_at: Some("2026-11-20T10:00:00Z".parse().unwrap()),
        counts: Some(counts),
        waived: 0,
        why: None,
    }
}

fn with_reports(reports: Vec<ReportVerdict>) -> Judged {
    judged_for(Reason::TagMutable, reports)
}

fn judged_for(reason: Reason, reports: Vec<ReportVerdict>) -> Judged {
    let held = denial(Mode::Enforce, reason, "2 critical", false);
    let mut judged = refused("app.yaml", "nginx", vec![held]);
    judged.verdict.images[0].reports = reports;
    judged
}

/// The lines of the text about reports.
fn told(reports: Vec<ReportVerdict>) -> Vec<String> {
    let text = as_text(&[with_reports(reports)], false, now());
    let lines = text.lines().filter_map(|line| line.strip_prefix("    report: "));
    lines.map(ToOwned::to_owned).collect()
}

#[test]
fn the_text_says_by_which_report_an_image_was_judged() {
    let fresh =
        "fresh, trivy 0.76.0 of 2026-11-20 (2 h), directory scans/web.json: 2 critical (2 with a fix), 6 high (6)";
    assert_eq!(told(vec![report()]), [fresh]);
    assert_eq!(told(vec![ReportVerdict { waived: 3, ..report() }]), [format!("{fresh}, 3 of them waived")]);
    let undated = ReportVerdict { scanned_at: None, state: ScanState::Stale, ..report() };
    let undated = ReportVerdict { why: Some("it is not dated, and at most 72h old is fresh".to_owned()), ..undated };
    let expected = "stale, trivy 0.76.0 undated, directory scans/web.json: 2 critical (2 with a fix), 6 high (6); \
                    it is not dated, and at most 72h old is fresh";
    assert_eq!(told(vec![undated]), [expected]);
}

#[test]
fn the_text_names_the_manifest_where_it_is_not_the_digest_of_the_image() {
    let of_platform = ReportVerdict { digest: digest('b'), platform: Some("linux/arm64".to_owned()), ..report() };
    let b = "b".repeat(64);
    assert_eq!(
        told(vec![ReportVerdict { counts: None, ..of_platform }]),
        [format!("fresh, trivy 0.76.0 of 2026-11-20 (2 h), directory scans/web.json, about linux/arm64 sha256:{b}")]
    );
}

#[test]
fn a_report_that_is_missing_is_told_with_what_was_demanded() {
    let missing = ReportVerdict {
        state: ScanState::Missing,
        origin: None,
        place: None,
        scanner_version: None,
        scanned_at: None,
        counts: None,
        why: Some("no report of grype".to_owned()),
        scanner: Some("grype".into()),
        ..report()
    };
    assert_eq!(told(vec![missing.clone()]), ["missing, grype; no report of grype"]);
    let told_already = as_text(&[judged_for(Reason::ReportMissing, vec![missing.clone()])], false, now());
    assert!(told_already.contains("    report: missing, grype\n"), "once is enough: {told_already}");
    let any = ReportVerdict { scanner: None, why: None, ..missing };
    assert_eq!(told(vec![any]), ["missing"]);
}

#[test]
fn words_of_a_report_neither_forge_lines_nor_go_on_for_ever() {
    let hostile = ReportVerdict {
        scanner: Some("trivy\n  all: admitted\u{1b}[32m".into()),
        scanner_version: Some("9".repeat(10_000)),
        place: Some("a\nb.json".into()),
        ..report()
    };
    let text = as_text(&[with_reports(vec![hostile])], false, now());
    assert!(!text.contains('\u{1b}') && !text.contains("\n  all") && !text.contains("a\nb"), "{text}");
    assert!(text.lines().all(|line| line.len() < 1_000), "{text}");
}

#[test]
fn the_json_has_every_report_with_its_findings() {
    let missing = ReportVerdict {
        state: ScanState::Missing,
        counts: None,
        scanned_at: None,
        origin: None,
        place: None,
        ..report()
    };
    let judged = [with_reports(vec![report(), missing])];
    let answer: Value = serde_json::from_str(&as_json(&judged, false)).unwrap();
    let reports = &answer["objects"][0]["images"][0]["reports"];
    let none = json!({"total": 0, "fixable": 0});
    let expected = json!({
        "digest": format!("sha256:{}", "a".repeat(64)), "platform": null, "state": "fresh", "origin": "directory",
        "place": "scans/web.json", "scanner": "trivy", "scannerVersion": "0.76.0", "scannedAt": "2026-11-20T10:00:00Z",
        "findings": {"total": 8, "critical": {"total": 2, "fixable": 2}, "high": {"total": 6, "fixable": 6},
                     "medium": none, "low": none, "negligible": none, "unknown": none},
        "waived": 0, "why": null,
    });
    assert_eq!(reports[0], expected, "{reports:#}");
    assert_eq!((&reports[1]["state"], &reports[1]["findings"]), (&json!("missing"), &Value::Null));
}
