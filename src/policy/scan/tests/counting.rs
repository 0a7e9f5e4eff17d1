//! What counts in one report.

use super::*;
use Severity::{Critical, High, Low, Medium, Negligible};

fn of_every_severity() -> Sourced {
    let ids = [("CVE-5", Critical), ("CVE-4", High), ("CVE-3", Medium), ("CVE-2", Low), ("CVE-1", Negligible)];
    let known = ids.map(|(id, severity)| finding(id, severity));
    let unknown = Finding { severity: None, ..finding("CVE-0", Low) };
    report(&[known.as_slice(), &[unknown]].concat())
}

#[test]
fn a_report_without_findings_clears_and_none_at_all_does_not() {
    let clean = [report(&[])];
    assert!(judge(&from(Negligible), &clean).is_clear());
    let none = judge(&from(Negligible), &[]);
    assert!(!none.is_clear() && none.is_missing() && none == Judged::default());
}

#[test]
fn findings_at_the_threshold_and_above_count_worst_first() {
    let found = of_every_severity();
    let all = ["CVE-5", "CVE-4", "CVE-3", "CVE-2", "CVE-1"];
    for (number, threshold) in Severity::ALL.into_iter().enumerate() {
        assert_eq!(over(&from(threshold), &found), all[..=number], "{threshold:?}");
    }
    let below = report(&[finding("CVE-1", Medium)]);
    assert!(judge(&from(High), &[below]).is_clear());
}

#[test]
fn unknown_severities_count_only_where_they_are_counted() {
    let unknown = report(&[Finding { severity: None, ..finding("CVE-0", Low) }]);
    assert_eq!(over(&from(Negligible), &unknown), [""; 0]);
    for threshold in Severity::ALL {
        let counting = ScanDemand { count_unknown: true, ..from(threshold) };
        let over = only(&counting, &unknown).over.unwrap();
        assert_eq!((over.counts.unknown.total, over.counts.total()), (1, 1), "{threshold:?}");
    }
}

#[test]
fn an_unknown_severity_is_one_more_of_those_that_are_tolerated_at_the_threshold() {
    let found = report(&[finding("CVE-1", High), Finding { severity: None, ..finding("CVE-0", Low) }]);
    let tolerating =
        |high| ScanDemand { count_unknown: true, tolerated: Tolerated { high, ..Tolerated::default() }, ..from(High) };
    assert_eq!(over(&tolerating(2), &found), [""; 0]);
    assert_eq!(over(&tolerating(1), &found), ["CVE-1", "CVE-0"]);
    // The tolerance for those above is not for it.
    let critical = Tolerated { critical: 9, high: 1, ..Tolerated::default() };
    assert_eq!(over(&ScanDemand { tolerated: critical, ..tolerating(0) }, &found), ["CVE-1", "CVE-0"]);
}

#[test]
fn so_many_of_a_severity_are_tolerated_and_when_it_is_too_much_everything_that_counts_is_told() {
    let found = report(&[finding("CVE-1", High), finding("CVE-2", High), finding("CVE-3", Critical)]);
    let tolerating = |high, critical| ScanDemand {
        tolerated: Tolerated { high, critical, low: 9, ..Tolerated::default() },
        ..from(High)
    };
    assert!(judge(&tolerating(2, 1), std::slice::from_ref(&found)).is_clear());
    assert_eq!(over(&tolerating(1, 1), &found), ["CVE-3", "CVE-1", "CVE-2"]);
    assert_eq!(over(&tolerating(2, 0), &found), ["CVE-3", "CVE-1", "CVE-2"]);
    let counts = only(&tolerating(2, 0), &found).over.unwrap().counts;
    assert_eq!((counts.critical.total, counts.critical.fixable, counts.high.total, counts.total()), (1, 1, 2, 3));
}

#[test]
fn where_only_what_can_be_fixed_counts_nothing_else_does() {
    let fixable = ScanDemand { fixable_only: true, ..from(High) };
    for (fix, expected) in [(Fix::Fixed, 1), (Fix::NotFixed, 0), (Fix::WontFix, 0), (Fix::Unknown, 0)] {
        let found = report(&[Finding { fix, ..finding("CVE-1", High) }]);
        assert_eq!(over(&fixable, &found).len(), expected, "{fix:?}");
        assert_eq!(over(&from(High), &found).len(), 1, "{fix:?}");
    }
}

#[test]
fn a_finding_counts_once_its_fix_is_old_enough_and_at_once_where_its_date_is_not_known() {
    let demand = ScanDemand { fixable_for: Some(Duration::from_hours(7 * 24)), ..from(High) };
    let second = SignedDuration::from_secs(1);
    for (fixed_since, expected) in [
        (None, 1),
        (Some(days_ago(8)), 1),
        (Some(days_ago(7)), 1),
        (Some(days_ago(7) + second), 0),
        (Some(now()), 0),
        // Clocks differ, but what came out next week is no date.
        (Some(now() + SignedDuration::from_mins(5)), 0),
        (Some(now() + SignedDuration::from_mins(5) + second), 1),
    ] {
        let found = report(&[Finding { fixed_since, ..finding("CVE-1", High) }]);
        assert_eq!(over(&demand, &found).len(), expected, "{fixed_since:?}");
    }
}

#[test]
fn what_the_scanner_was_told_to_leave_out_counts_only_where_it_is_counted() {
    let ids = [finding("CVE-1", High), Finding { suppressed: true, ..finding("CVE-2", Critical) }];
    let found = report(&ids);
    assert_eq!(over(&from(High), &found), ["CVE-1"]);
    assert_eq!(over(&ScanDemand { count_suppressed: true, ..from(High) }, &found), ["CVE-2", "CVE-1"]);
    let scored = |id, score| Finding { suppressed: true, score: Some(Score(score)), ..finding(id, High) };
    let unfixed = Finding { fix: Fix::NotFixed, score: Some(Score(100)), ..finding("CVE-5", High) };
    let found = report(&[scored("CVE-3", 80), scored("CVE-4", 90), unfixed]);
    assert_eq!(over(&ScanDemand { count_suppressed: true, ..from(High) }, &found), ["CVE-4", "CVE-3", "CVE-5"]);
}

#[test]
fn what_is_refused_by_its_name_is_refused_whatever_else_is_said() {
    let light = Finding { severity: None, fix: Fix::WontFix, aliases: "GHSA-1 CVE-9", ..finding("DSA-1", Low) };
    let found = report(&[light]);
    let demand = ScanDemand {
        refuse: vec!["cve-9".into()],
        fixable_only: true,
        fixable_for: Some(Duration::from_hours(24)),
        waivers: vec![waiver("CVE-9", "2027-01-31")],
        ..from(Critical)
    };
    let judged = only(&demand, &found);
    assert_eq!((judged.refused.as_slice(), judged.over, judged.waived), (&[light][..], None, 0));
    assert_eq!(refused(&ScanDemand { refuse: vec!["CVE-99".into()], ..demand }, &found), [""; 0]);
}

#[test]
fn what_is_refused_by_its_name_counts_as_well_and_no_waiver_helps_there() {
    let found = report(&[finding("CVE-1", High), finding("CVE-2", High)]);
    let waivers = vec![waiver("CVE-1", "2027-01-31"), waiver("CVE-2", "2027-01-31")];
    let demand = ScanDemand { refuse: vec!["CVE-1".into()], waivers, ..from(High) };
    assert_eq!((refused(&demand, &found), over(&demand, &found)), (vec!["CVE-1"], vec!["CVE-1"]));
    assert_eq!(only(&demand, &found).waived, 1);
}

#[test]
fn what_is_refused_by_its_name_and_was_left_out_is_refused_only_where_that_counts() {
    let found = report(&[
        Finding { suppressed: true, ..finding("CVE-1", Critical) },
        Finding { aliases: "CVE-1", ..finding("GHSA-1", Low) },
    ]);
    let demand = ScanDemand { refuse: vec!["CVE-1".into()], ..from(Critical) };
    assert_eq!(refused(&demand, &found), ["GHSA-1"]);
    assert_eq!(refused(&ScanDemand { count_suppressed: true, ..demand }, &found), ["CVE-1", "GHSA-1"]);
}
