//! Which of several reports decides.

use super::*;
use crate::policy::trust::{Authority, Whom};

use Origin::{Attestation, Directory, Object};
use Severity::{Critical, High};

fn bad(id: &str) -> Sourced {
    report(&[finding(id, High)])
}

/// Where the reports that decide were found.
fn deciding<'r>(demand: &ScanDemand, found: &'r [Sourced]) -> Vec<&'r str> {
    judge(demand, found).reports.iter().map(|its| &*its.sourced.place).collect()
}

#[test]
fn the_newest_of_the_first_origin_that_has_one_decides_and_one_without_a_date_is_the_oldest() {
    let found = [
        report(&[]).of(Object, "newest/object").at(Some(days_ago(0))),
        report(&[]).of(Directory, "old").at(Some(days_ago(3))),
        report(&[]).of(Directory, "new").at(Some(days_ago(2))),
        report(&[]).of(Directory, "undated").at(None),
    ];
    assert_eq!(deciding(&from(High), &found), ["new"]);
    assert_eq!(deciding(&from(High), &found[..2]), ["old"]);
    assert_eq!(deciding(&from(High), &[found[0].clone(), found[3].clone()]), ["undated"]);
    assert_eq!(deciding(&from(High), &found[..1]), ["newest/object"]);
}

#[test]
fn of_the_same_moment_the_worst_decides() {
    let two = report(&[finding("CVE-1", High), finding("CVE-2", High)]);
    let one = report(&[finding("CVE-1", Critical)]);
    let named = report(&[finding("CVE-3", Severity::Low)]);
    let demand = ScanDemand { refuse: vec!["CVE-3".into()], ..from(High) };
    let orders = [["1", "2", "3", "4"], ["4", "3", "2", "1"], ["2", "1", "4", "3"]];
    for order in orders {
        let found = order.map(|place| {
            let report = match place {
                "1" => report(&[]),
                "2" => two.clone(),
                "3" => one.clone(),
                _ => named.clone(),
            };
            report.of(Directory, place)
        });
        assert_eq!(deciding(&demand, &found), ["4"], "one that is refused by its name: {order:?}");
        assert_eq!(deciding(&from(High), &found), ["3"], "one critical before two high: {order:?}");
        let tolerant = ScanDemand { tolerated: Tolerated { critical: 1, ..Tolerated::default() }, ..from(High) };
        assert_eq!(deciding(&tolerant, &found), ["2"], "too much before what is tolerated: {order:?}");
        assert_eq!(deciding(&ScanDemand { threshold: Critical, ..tolerant }, &found), ["3"], "{order:?}");
    }
    let same = ["b", "a", "c"].map(|place| bad("CVE-1").of(Directory, place));
    assert_eq!(deciding(&from(High), &same), ["a"], "and of equals always the same");
}

#[test]
fn a_report_that_is_dated_ahead_never_decides_and_is_said() {
    let ahead = SignedDuration::from_mins(5);
    let at_most = report(&[]).of(Directory, "future").at(Some(now() + ahead));
    assert_eq!(deciding(&from(High), std::slice::from_ref(&at_most)), ["future"]);
    let found = [bad("CVE-1"), at_most.at(Some(now() + ahead + SignedDuration::from_secs(1)))];
    let judged = judge(&from(High), &found);
    assert_eq!(judged.reports.iter().map(|its| &*its.sourced.place).collect::<Vec<_>>(), ["a.json"]);
    let [(Directory, place, why)] = judged.unusable.as_slice() else { panic!("{judged:?}") };
    assert_eq!(
        (&**place, why.defect, why.outline.as_deref()),
        ("future", Defect::Future, Some(&found[1].report.outline))
    );
    assert_eq!(
        &*why.words,
        "it is dated 2026-06-30T12:05:01Z, more than 5 minutes ahead: set the clock of the machine that scans, and scan again"
    );
    let alone = judge(&from(High), &found[1..]);
    assert!(alone.is_missing() && alone.unusable.len() == 1);
}

#[test]
fn where_scanners_are_demanded_each_must_have_reported_and_no_other_counts() {
    let both = || ScanDemand { scanners: vec![ScannerKind::Trivy, ScannerKind::Grype], ..from(High) };
    let found = [report(&[]).of(Directory, "trivy"), bad("CVE-1").by("Clair"), report(&[]).by("Grype")];
    assert!(judge(&both(), &found).is_clear());
    let judged = judge(&both(), &found[..2]);
    assert_eq!((judged.reports.len(), judged.lacking.as_slice()), (1, &[ScannerKind::Grype][..]));
    assert!(judged.is_missing() && !judged.is_clear());
    let none = judge(&both(), &found[1..2]);
    assert_eq!((none.reports.len(), none.lacking.len()), (0, 2));
    // A stale one stays beside a fresh one.
    let demand = ScanDemand { max_age: Some(Duration::from_hours(24)), ..both() };
    let found = [report(&[]).at(Some(days_ago(2))), report(&[]).by("grype")];
    let judged = judge(&demand, &found);
    let stale: Vec<_> =
        judged.reports.iter().map(|its| (&*its.sourced.report.outline.scanner.name, its.stale)).collect();
    assert_eq!(stale, [("grype", false), ("trivy", true)]);
    assert!(!judged.is_clear() && !judged.is_missing());
}

#[test]
fn where_none_is_demanded_every_scanner_is_judged_in_the_order_of_their_names() {
    let found =
        [report(&[]), bad("CVE-1").by("Clair"), report(&[]).by("clair").at(Some(days_ago(2))), report(&[]).by("")];
    let judged = judge(&from(High), &found);
    let names: Vec<&str> = judged.reports.iter().map(|its| &*its.sourced.report.outline.scanner.name).collect();
    assert_eq!(names, ["", "Clair", "trivy"]);
    assert!(!judged.is_clear(), "one of them has something against it");
}

#[test]
fn a_stale_report_is_left_out_beside_a_fresh_one_by_another_scanner() {
    let demand = ScanDemand { max_age: Some(Duration::from_hours(24)), ..from(High) };
    let stale = [bad("CVE-1").at(Some(days_ago(2))), bad("CVE-2").by("clair").at(None)];
    assert_eq!(judge(&demand, &stale).reports.iter().map(|its| its.stale).collect::<Vec<_>>(), [true, true]);
    let [one, other] = stale;
    let found = [one, report(&[]).by("grype").of(Object, "fresh"), other];
    assert_eq!(deciding(&demand, &found), ["fresh"]);
    assert!(judge(&demand, &found).is_clear());
}

#[test]
fn a_report_is_stale_when_it_is_older_than_may_be_or_not_dated() {
    let demand = ScanDemand { max_age: Some(Duration::from_hours(24)), ..from(High) };
    let second = SignedDuration::from_secs(1);
    for (at, stale) in [
        (Some(now()), false),
        (Some(days_ago(1)), false),
        (Some(days_ago(1) - second), true),
        (None, true),
        // Of a clock that runs ahead of ours, or ours was set back.
        (Some(now() + SignedDuration::from_mins(5)), false),
    ] {
        let found = report(&[]).at(at);
        assert_eq!(only(&demand, &found).stale, stale, "{at:?}");
        assert!(!only(&from(High), &found).stale, "any age will do: {at:?}");
    }
}

#[test]
fn attested_reports_count_exactly_where_it_is_said_who_may_attest() {
    let authority =
        Authority { name: "release".into(), root: "public".into(), log_required: true, whom: Whom::Keys(Vec::new()) };
    let attested = ScanDemand { authorities: vec![Arc::new(authority)], ..from(High) };
    let found = [Attestation, Directory, Object].map(|origin| report(&[]).of(origin, origin.label()));
    assert_eq!(deciding(&attested, &found), ["attestation"]);
    assert_eq!(deciding(&from(High), &found), ["directory"]);
    assert!(judge(&attested, &found[1..]).is_missing());
    let broken = [Attestation, Directory, Object].map(|origin| {
        let place: Arc<str> = origin.label().into();
        (origin, place, Unusable::new(Defect::Empty, "it has no bytes"))
    });
    let unusable = |demand: &ScanDemand| {
        let judged = demand.judge(&[], &broken.iter().collect::<Vec<_>>(), &image(), now());
        judged.unusable.into_iter().map(|(origin, _, _)| origin).collect::<Vec<_>>()
    };
    assert_eq!(unusable(&attested), [Attestation]);
    assert_eq!(unusable(&from(High)), [Directory, Object]);
}

#[test]
fn what_cannot_be_used_is_told_once_unless_it_is_of_a_scanner_that_nobody_asked_for() {
    let of = |name: &str, place: &str| {
        let outline = report(&[]).by(name).report.outline.clone();
        (Directory, Arc::from(place), Unusable::new(Defect::Truncated, "it ends in the middle").about(outline))
    };
    let nameless = (Directory, Arc::from("d"), Unusable::new(Defect::Empty, "it has no bytes"));
    let broken = [of("trivy", "b"), nameless, of("grype", "a"), of("clair", "c"), of("", "e"), of("trivy", "b")];
    let places = |demand: &ScanDemand, order: &[usize]| {
        let given: Vec<_> = order.iter().map(|index| &broken[*index]).collect();
        let judged = demand.judge(&[], &given, &image(), now());
        judged.unusable.iter().map(|(_, place, _)| place.to_string()).collect::<Vec<_>>().concat()
    };
    let trivy = ScanDemand { scanners: vec![ScannerKind::Trivy], ..from(High) };
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] {
        assert_eq!(places(&from(High), &order), "abcde");
        assert_eq!(places(&trivy, &order), "bde");
    }
}
