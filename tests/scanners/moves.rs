//! Scans that fail, and scans that are repeated, beside a webhook that watches.

use pratique_testkit::{Directory, eventually};

use crate::ask::{Ask, reason};
use crate::table::REPORT;
use crate::world::{World, here};

const RUNNING: &str = "threshold: high, allow: {critical: 3, high: 4}";
const ALLOWED: &str = "threshold: high, allow: {critical: 3, high: 4}, running: deny";

/// A scan that fails leaves an empty file: beside the old report it changes nothing, and over it nothing for a webhook
/// that had read it.
#[tokio::test]
#[ignore = "needs real programs: .ci/run scanners"]
async fn a_scan_of_grype_that_fails_leaves_an_empty_file_which_never_hides_the_report_before() {
    let (world, reports) = (World::new().await, Directory::new());
    let ask = Ask::of("clean", "threshold: high", "");
    let report = reports.path().join(REPORT);
    let name = format!("registry:{}", world.tagged("clean"));
    assert_eq!(world.grype(&report, &[&name]).code, Some(0));
    let webhook = ask.webhook(&world, &reports).await;
    assert_eq!(reason(&ask.review(&world, &webhook).await), "");

    let gone = format!("registry:{}:gone", world.repository("clean"));
    for file in ["again.json", REPORT] {
        let path = reports.path().join(file);
        assert_eq!(world.grype(&path, &[&gone]).code, Some(1));
        assert_eq!(std::fs::metadata(&path).expect("it leaves a file").len(), 0);
        if file != REPORT {
            assert_eq!(ask.check(&world, &reports).0, "");
        }
        for _ in 0..20 {
            assert_eq!(reason(&ask.review(&world, &webhook).await), "");
        }
    }
    // Whoever starts now never saw the report.
    assert_eq!(ask.check(&world, &reports).0, "report-missing");
}

#[tokio::test]
#[ignore = "needs real programs: .ci/run scanners"]
async fn a_scan_that_is_repeated_in_place_is_judged_by_what_it_says_now() {
    let (world, reports) = (World::new().await, Directory::new());
    let ask = Ask::of("web", ALLOWED, "").on("amd64");
    let (report, name, ignored) = (reports.path().join(REPORT), world.tagged("web"), here("ignore/web.trivyignore"));
    let scan = |more: &[&str]| {
        let arguments = [&["--scanners", "vuln", "-f", "json"], more, &[&name]].concat();
        assert_eq!(world.trivy(&report, &arguments).code, Some(0));
    };
    scan(&["--ignorefile", &ignored]);
    let webhook = ask.webhook(&world, &reports).await;
    assert_eq!(reason(&ask.review(&world, &webhook).await), "");
    let softened = Ask { policy: RUNNING, ..ask };
    let kind = softened.webhook(&world, &reports).await;
    assert_eq!(reason(&softened.review(&world, &kind).await), "");

    scan(&[]);
    eventually("the new findings count", async || reason(&ask.review(&world, &webhook).await) == "vulnerable").await;
    assert_eq!(ask.check(&world, &reports).0, "vulnerable");
    // The other one admitted it before, and only warns.
    eventually("it warns", async || {
        let answer = softened.review(&world, &kind).await;
        assert_eq!(reason(&answer), "");
        answer.warnings.iter().any(|warning| warning.contains(": vulnerable: "))
    })
    .await;
    scan(&["--ignorefile", &ignored]);
    eventually("and then no more", async || reason(&ask.review(&world, &webhook).await).is_empty()).await;
}
