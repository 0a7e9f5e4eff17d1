//! Every field of `vulnerabilities`, from a policy to an answer.

use super::*;

fn high(id: &str) -> Finding {
    Finding::new(id).severity("HIGH").package("openssl", "3.0.14").fixed("3.0.15")
}

/// The reason for which a policy refuses the report; empty where it admits.
async fn judged(scene: &Scene, vulnerabilities: &str) -> String {
    let webhook = scene.webhook(vulnerabilities).await;
    reason(&scene.ask(&webhook).await).to_owned()
}

async fn reported(finding: Finding) -> Scene {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().finding(finding).text());
    scene
}

#[tokio::test]
async fn the_threshold_and_everything_above_it_is_refused() {
    let scene = reported(high("CVE-1")).await;
    for (threshold, expected) in [("critical", ""), ("high", "vulnerable"), ("low", "vulnerable")] {
        assert_eq!(judged(&scene, &format!("threshold: {threshold}")).await, expected, "{threshold}");
    }
}

#[tokio::test]
async fn unknown_severity_is_ignored_unless_it_is_to_count() {
    let scene = reported(Finding::new("CVE-1").severity("UNKNOWN").package("xz", "5")).await;
    assert_eq!(judged(&scene, "threshold: critical").await, "");
    assert_eq!(judged(&scene, "threshold: critical, unknown: count").await, "vulnerable");
}

#[tokio::test]
async fn so_many_are_tolerated_and_not_one_more() {
    let scene = Scene::new().await;
    let report = scene.trivy().finding(high("CVE-1")).finding(high("CVE-2"));
    scene.folder.write("web.json", &report.text());
    assert_eq!(judged(&scene, "threshold: high, allow: {high: 2}").await, "");
    assert_eq!(judged(&scene, "threshold: high, allow: {high: 1}").await, "vulnerable");
}

#[tokio::test]
async fn what_nobody_can_fix_counts_unless_only_fixable_ones_do() {
    let scene = reported(Finding::new("CVE-1").severity("HIGH").package("tar", "1").will_not_be_fixed()).await;
    assert_eq!(judged(&scene, "threshold: high").await, "vulnerable");
    assert_eq!(judged(&scene, "threshold: high, fixable: true").await, "");
}

#[tokio::test]
async fn a_fix_counts_once_it_is_so_old_where_its_date_is_known() {
    let scene = Scene::new().await;
    let (old, new) = (high("CVE-1").fixed_on("2020-01-01"), high("CVE-2").fixed_on("2999-01-01"));
    scene.folder.write("web.json", &scene.grype().finding(old).text());
    assert_eq!(judged(&scene, "threshold: high, fixableFor: 7d").await, "vulnerable");
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    scene.folder.write("web.json", &scene.grype().finding(new.fixed_on(&today)).text());
    assert_eq!(judged(&scene, "threshold: high, fixableFor: 7d").await, "");
    // Trivy does not say when a fix came out.
    scene.folder.write("web.json", &scene.trivy().finding(high("CVE-3")).text());
    assert_eq!(judged(&scene, "threshold: high, fixableFor: 7d").await, "vulnerable");
}

#[tokio::test]
async fn a_waiver_holds_until_the_end_of_its_day_and_for_what_it_names() {
    let scene = reported(high("CVE-1").alias("GHSA-aaaa-bbbb-cccc")).await;
    let waived = |waiver: &str| format!("threshold: high, ignore: [{{reason: r, owner: o@acme.example, {waiver}}}]");
    for (waiver, expected) in [
        ("id: CVE-1, until: 2999-01-31", ""),
        ("id: cve-1, until: 2999-01-31", ""),
        ("id: CVE-1, until: 2026-01-31", "vulnerable"),
        ("id: CVE-2, until: 2999-01-31", "vulnerable"),
        ("id: GHSA-aaaa-bbbb-cccc, until: 2999-01-31", ""),
        ("id: CVE-1, until: 2999-01-31, package: openssl", ""),
        ("id: CVE-1, until: 2999-01-31, package: xz", "vulnerable"),
        ("id: CVE-1, until: 2999-01-31, images: [\"**/acme/*\"]", ""),
        ("id: CVE-1, until: 2999-01-31, images: [\"**/acme/tools/**\"]", "vulnerable"),
    ] {
        assert_eq!(judged(&scene, &waived(waiver)).await, expected, "{waiver}");
    }
    let webhook = scene.webhook(&waived("id: CVE-1, until: 2026-01-31")).await;
    let message = scene.ask(&webhook).await.message;
    assert!(message.contains("; the waiver of CVE-1 ended on 2026-01-31 (o@acme.example)"), "{message}");
    let metrics = webhook.get("/metrics").await.text();
    let line = "pratique_waiver_expiry_timestamp_seconds{id=\"CVE-1\",policy=\"acme\",rule=\"all\"} 1769904000";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn what_is_refused_by_name_is_refused_whatever_else_is_said() {
    let scene = Scene::new().await;
    let log4shell =
        Finding::new("GHSA-jfh8-c2jp-5v3q").alias("CVE-2021-44228").severity("Low").package("log4j", "2.14");
    scene.folder.write("web.json", &scene.grype().finding(log4shell).text());
    let waiver = "ignore: [{id: CVE-2021-44228, until: 2999-01-01, reason: r, owner: o}]";
    let refused = format!("threshold: critical, fixable: true, refuse: [CVE-2021-44228], {waiver}");
    assert_eq!(judged(&scene, &refused).await, "vulnerability-refused");
    assert_eq!(judged(&scene, "threshold: critical").await, "");
}

#[tokio::test]
async fn each_scanner_that_is_demanded_must_have_reported() {
    let scene = Scene::new().await;
    scene.folder.write("trivy.json", &scene.trivy().text());
    let webhook = scene.webhook("threshold: high, scanners: [trivy, grype]").await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "report-missing");
    assert!(answer.message.contains(" by grype"), "{}", answer.message);
    scene.folder.write("grype.json", &scene.grype().text());
    scene.becomes(&webhook, "").await;
    scene.folder.write("grype.json", &scene.grype().finding(grave()).text());
    scene.becomes(&webhook, "vulnerable").await;
    assert_eq!(judged(&scene, "threshold: high, scanners: [trivy]").await, "");
}

#[tokio::test]
async fn what_a_scanner_was_told_to_leave_out_counts_where_the_policy_says_so() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().suppressed(grave()).text());
    assert_eq!(judged(&scene, "threshold: high").await, "");
    assert_eq!(judged(&scene, "threshold: high, suppressed: count").await, "vulnerable");
}

#[tokio::test]
async fn the_newest_report_of_a_scanner_decides_whatever_the_files_are_called() {
    let scene = Scene::new().await;
    let (old, new) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let grave = |at: &str| scene.trivy().finding(grave()).scanned_at(at).text();
    let clean = |at: &str| scene.trivy().scanned_at(at).text();
    for (first, second, expected) in
        [(grave(old), clean(new), ""), (clean(new), grave(old), ""), (clean(old), grave(new), "vulnerable")]
    {
        scene.folder.write("a.json", &first);
        scene.folder.write("b.json", &second);
        assert_eq!(judged(&scene, "threshold: high").await, expected);
    }
    // Of the same moment the worse one, always.
    for (first, second) in [(clean(new), grave(new)), (grave(new), clean(new))] {
        scene.folder.write("a.json", &first);
        scene.folder.write("b.json", &second);
        assert_eq!(judged(&scene, "threshold: high").await, "vulnerable");
    }
}
