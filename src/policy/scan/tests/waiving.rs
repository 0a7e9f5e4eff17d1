//! Waivers: what they are about, and when they end.

use super::*;

use Severity::{High, Low};

fn waiving(waiver: Waiver) -> ScanDemand {
    ScanDemand { waivers: vec![waiver], ..from(High) }
}

#[test]
fn a_waiver_is_about_an_identifier_a_package_and_images() {
    let found = report(&[Finding { aliases: "GHSA-1 CVE-1", ..finding("DSA-1", High) }]);
    let pattern = |text: &str| vec![Pattern::parse(text).unwrap()];
    let until = |id| waiver(id, "2026-12-31");
    for (waiver, holds) in [
        (until("CVE-1"), true),
        (until("ghsa-1"), true),
        (until("DSA-1"), true),
        (until("CVE-11"), false),
        (until("CVE-"), false),
        (Waiver { package: Some("xz".into()), ..until("CVE-1") }, true),
        (Waiver { package: Some("xz-utils".into()), ..until("CVE-1") }, false),
        (Waiver { images: pattern("ghcr.io/acme/tools/**"), ..until("CVE-1") }, true),
        (Waiver { images: pattern("ghcr.io/acme/*"), ..until("CVE-1") }, false),
        (Waiver { images: [pattern("a.example/*"), pattern("ghcr.io/**")].concat(), ..until("CVE-1") }, true),
    ] {
        let words = format!("{waiver:?}");
        let judged = only(&waiving(waiver), &found);
        assert_eq!((judged.waived, judged.over.is_none()), (u32::from(holds), holds), "{words}");
    }
}

#[test]
fn a_waiver_holds_to_the_end_of_its_last_day_and_no_longer() {
    let found = report(&[finding("CVE-1", High)]);
    let demand = waiving(waiver("CVE-1", "2026-06-30"));
    for (at, holds) in
        [("2026-06-30T12:00:00Z", true), ("2026-06-30T23:59:59.9Z", true), ("2026-07-01T00:00:00Z", false)]
    {
        let judged = demand.judge(&[&found], &[], &image(), time(at));
        assert_eq!(judged.is_clear(), holds, "{at}");
        assert_eq!(demand.ended_waivers(&[finding("CVE-1", High)], &image(), time(at)).is_empty(), holds, "{at}");
    }
    let other = demand.ended_waivers(&[finding("CVE-2", High)], &image(), time("2026-07-01T00:00:00Z"));
    assert!(other.is_empty());
}

#[test]
fn only_what_would_have_counted_is_counted_as_waived() {
    let ids = [finding("CVE-1", Low), finding("CVE-2", High), Finding { suppressed: true, ..finding("CVE-3", High) }];
    let waivers = ["CVE-1", "CVE-2", "CVE-2", "CVE-3"].map(|id| waiver(id, "2026-12-31")).into();
    let demand = ScanDemand { waivers, ..from(High) };
    assert_eq!(only(&demand, &report(&ids)).waived, 1);
    assert_eq!(only(&ScanDemand { count_suppressed: true, ..demand }, &report(&ids)).waived, 2);
}

#[test]
fn the_end_of_a_waiver_is_announced_fourteen_days_before() {
    let waiver = waiver("CVE-2025-1234", "2026-11-01");
    let soon = "the waiver of CVE-2025-1234 ends on 2026-11-01 (owner platform@acme.example)";
    let ended = "the waiver of CVE-2025-1234 ended on 2026-11-01 and has no effect (owner platform@acme.example)";
    for (at, said) in [
        ("2026-01-01T00:00:00Z", None),
        ("2026-10-18T23:59:59Z", None),
        ("2026-10-19T00:00:00Z", Some(soon)),
        ("2026-11-01T23:59:59Z", Some(soon)),
        ("2026-11-02T00:00:00Z", Some(ended)),
        ("2036-11-02T00:00:00Z", Some(ended)),
    ] {
        assert_eq!(waiver.announcement(time(at)).as_deref(), said, "{at}");
    }
    let place = Place { path: "spec.rules[0].vulnerabilities.ignore[0].until".to_owned(), line: Some(9) };
    let written = [WrittenWaiver { waiver, place }];
    assert!(waiver_warnings(&written, "acme.yaml", time("2026-10-18T23:59:59Z")).is_empty());
    let told: Vec<String> =
        waiver_warnings(&written, "acme.yaml", time("2026-10-19T00:00:00Z")).iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("acme.yaml:9: spec.rules[0].vulnerabilities.ignore[0].until: {soon}")]);
}
