//! What holds whatever reports and demands there are.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Few, so that they meet.
const IDS: [&str; 5] = ["CVE-1", "CVE-2", "GHSA-1", "cve-2", "DSA-1"];

fn severity() -> impl Strategy<Value = Severity> {
    select(Severity::ALL.as_slice())
}

fn any_finding() -> impl Strategy<Value = Finding<'static>> {
    let fix = select(&[Fix::Fixed, Fix::Fixed, Fix::NotFixed, Fix::WontFix, Fix::Unknown][..]);
    let since = option::of((-2_i64..12).prop_map(days_ago));
    let names = (select(&IDS[..]), select(&["", "CVE-1", "GHSA-1 CVE-2"][..]), select(&["xz", "zlib"][..]));
    (names, option::weighted(0.9, severity()), fix, since, any::<bool>()).prop_map(
        |((id, aliases, package), severity, fix, fixed_since, suppressed)| Finding {
            aliases,
            severity,
            package,
            fix,
            fixed_since,
            suppressed,
            ..finding(id, Severity::Low)
        },
    )
}

fn any_report() -> impl Strategy<Value = Sourced> {
    let at = option::weighted(0.8, (-1_i64..4).prop_map(days_ago));
    let origin = select(&[Origin::Directory, Origin::Directory, Origin::Object, Origin::Attestation][..]);
    let name = select(&["trivy", "trivy", "grype", "Clair", "clair"][..]);
    (vec(any_finding(), 0..6), at, origin, name, select(&["a", "b"][..]))
        .prop_map(|(findings, at, origin, name, place)| report(&findings).by(name).at(at).of(origin, place))
}

fn any_waiver() -> impl Strategy<Value = Waiver> {
    let until = select(&["2026-06-29", "2026-06-30", "2026-07-02"][..]);
    (select(&IDS[..]), until, option::of(select(&["xz", "zlib"][..])))
        .prop_map(|(id, until, package)| Waiver { package: package.map(Into::into), ..waiver(id, until) })
}

fn any_tolerance() -> impl Strategy<Value = Tolerated> {
    let one = || prop_oneof![2 => Just(0), 1 => 0_u32..4];
    (one(), one(), one(), one(), one()).prop_map(|(negligible, low, medium, high, critical)| Tolerated {
        negligible,
        low,
        medium,
        high,
        critical,
    })
}

fn any_demand() -> impl Strategy<Value = ScanDemand> {
    let lists = (vec(any_waiver(), 0..4), vec(select(&IDS[..]), 0..2), select(&[0_usize, 0, 1, 2][..]));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let times = (option::of(Just(Duration::from_hours(36))), option::of(Just(Duration::from_hours(5 * 24))));
    (severity(), flags, any_tolerance(), lists, times).prop_map(
        |(
            threshold,
            (count_unknown, fixable_only, count_suppressed),
            tolerated,
            (waivers, refuse, scanners),
            times,
        )| {
            ScanDemand {
                count_unknown,
                tolerated,
                fixable_only,
                fixable_for: times.1,
                waivers,
                refuse: refuse.into_iter().map(Into::into).collect(),
                max_age: times.0,
                scanners: [ScannerKind::Trivy, ScannerKind::Grype].into_iter().take(scanners).collect(),
                count_suppressed,
                ..from(threshold)
            }
        },
    )
}

fn any_reports() -> impl Strategy<Value = Vec<Sourced>> {
    vec(any_report(), 0..6)
}

/// [`Counting`](super::judge) without its short cuts: the whole report, finding by finding.
fn plainly<'r>(demand: &ScanDemand, sourced: &'r Sourced) -> (Vec<Finding<'r>>, Vec<Finding<'r>>, usize) {
    let all = sourced.report.findings.iter().filter(|its| demand.count_suppressed || !its.suppressed);
    let seen: Vec<Finding<'r>> = all.collect();
    let refused = |its: &Finding<'_>| demand.refuse.iter().any(|id| its.is(id));
    let counts = |its: &Finding<'_>| {
        let grave = its.severity.map_or(demand.count_unknown, |severity| severity >= demand.threshold);
        let ahead = now() + SignedDuration::from_mins(5);
        let old = |least: Duration| match its.fixed_since {
            Some(since) if since <= ahead => since + least <= now(),
            Some(_) | None => true,
        };
        grave && (its.is_fixable() || !demand.fixable_only) && demand.fixable_for.is_none_or(old)
    };
    let holds = |its: &Finding<'_>| {
        let waiver = demand.waivers.iter().find(|waiver| waiver.ends > now() && waiver.concerns(its, &image()));
        waiver.is_some() && !refused(its)
    };
    let (waived, counted): (Vec<_>, Vec<_>) = seen.iter().copied().filter(counts).partition(holds);
    (seen.iter().copied().filter(refused).collect(), counted, waived.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_report_comes_to_what_a_plain_reading_of_all_of_it_says(demand in any_demand(), found in any_reports()) {
        for judged in judge(&demand, &found).reports {
            let (mut refused, mut counted, waived) = plainly(&demand, judged.sourced);
            let sorted = |findings: &mut Vec<Finding<'_>>| findings.sort();
            let (mut told, mut over) = (judged.refused.clone(), judged.over.clone().map(|its| its.findings));
            sorted(&mut refused);
            sorted(&mut told);
            prop_assert_eq!(told, refused);
            let many = |of: Severity| {
                let unknown = |its: &&Finding<'_>| its.severity.is_none() && of == demand.threshold;
                counted.iter().filter(|its| its.severity == Some(of) || unknown(its)).count()
            };
            let is_over = Severity::ALL.into_iter().any(|of| many(of) > usize::try_from(demand.tolerated.of(of)).unwrap());
            prop_assert_eq!(over.is_some(), is_over);
            if let Some(over) = &mut over {
                sorted(over);
                sorted(&mut counted);
                prop_assert_eq!(&*over, &counted);
            }
            prop_assert_eq!(usize::try_from(judged.waived).unwrap(), waived);
        }
    }

    #[test]
    fn a_finding_more_never_turns_a_refusal_into_an_admission(
        demand in any_demand(), found in vec(any_report(), 1..6), more in any_finding(), which in any::<Index>(),
    ) {
        let mut changed = found.clone();
        let report = &mut changed[which.index(found.len())];
        let findings: Vec<Finding<'_>> = report.report.findings.iter().chain([more]).collect();
        let mut builder = FindingsBuilder::default();
        for finding in findings {
            builder.push(finding).unwrap();
        }
        let after = Report { outline: report.report.outline.clone(), findings: builder.finish() };
        *report = Sourced { report: Arc::new(after), ..report.clone() };
        let (before, after) = (judge(&demand, &found), judge(&demand, &changed));
        prop_assert!(before.is_clear() || !after.is_clear(), "{before:#?}\n{after:#?}");
    }

    #[test]
    fn a_waiver_less_never_turns_a_refusal_into_an_admission(
        mut demand in any_demand(), found in any_reports(), waiver in any_waiver(), at in any::<Index>(),
    ) {
        let before = judge(&demand, &found).is_clear();
        let place = at.index(demand.waivers.len() + 1);
        demand.waivers.insert(place, waiver);
        prop_assert!(!before || judge(&demand, &found).is_clear());
    }

    #[test]
    fn a_higher_threshold_never_refuses_more(demand in any_demand(), found in any_reports(), other in severity()) {
        // What is unknown moves with the threshold, to another number that is tolerated.
        let tolerated = if demand.count_unknown { Tolerated::default() } else { demand.tolerated };
        let low = ScanDemand { threshold: demand.threshold.min(other), tolerated, ..demand };
        let low_clear = judge(&low, &found).is_clear();
        let high = ScanDemand { threshold: low.threshold.max(other), ..low };
        prop_assert!(!low_clear || judge(&high, &found).is_clear());
    }

    #[test]
    fn tolerating_more_never_refuses_more(demand in any_demand(), found in any_reports(), more in any_tolerance()) {
        let Tolerated { negligible, low, medium, high, critical } = demand.tolerated;
        let tolerated = Tolerated {
            negligible: negligible + more.negligible,
            low: low + more.low,
            medium: medium + more.medium,
            high: high + more.high,
            critical: critical + more.critical,
        };
        let before = judge(&demand, &found).is_clear();
        let more = ScanDemand { tolerated, ..demand };
        prop_assert!(!before || judge(&more, &found).is_clear());
    }

    #[test]
    fn neither_order_nor_repetition_changes_anything(
        demand in any_demand(), found in vec(any_report(), 1..6), order in vec(any::<Index>(), 0..8), turn in any::<Index>(),
    ) {
        let once: Vec<&Sourced> = found.iter().collect();
        let mut again: Vec<&Sourced> = once.iter().rev().copied().collect();
        again.rotate_left(turn.index(once.len()));
        again.extend(order.iter().map(|index| once[index.index(once.len())]));
        let (one, other) = (demand.judge(&once, &[], &image(), now()), demand.judge(&again, &[], &image(), now()));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn two_of_the_same_moment_are_decided_the_same_whichever_comes_first_and_never_better_than_either(
        demand in any_demand(), one in vec(any_finding(), 0..5), other in vec(any_finding(), 0..5), same in any::<bool>(),
    ) {
        let pair = [report(&one), report(&other).of(Origin::Directory, if same { "a.json" } else { "b.json" })];
        let [one, other] = &pair;
        let both = demand.judge(&[one, other], &[], &image(), now());
        prop_assert_eq!(&both, &demand.judge(&[other, one], &[], &image(), now()));
        for alone in [one, other] {
            prop_assert!(!both.is_clear() || demand.judge(&[alone], &[], &image(), now()).is_clear());
        }
    }

    #[test]
    fn a_report_taken_away_never_admits_what_lacks_one(demand in any_demand(), found in any_report()) {
        prop_assert!(!demand.judge(&[], &[], &image(), now()).is_clear());
        let judged = demand.judge(&[&found], &[], &image(), now());
        prop_assert_eq!(judged.is_missing(), judged.reports.is_empty() || !judged.lacking.is_empty());
    }

    #[test]
    fn a_waiver_that_ends_only_refuses_more(demand in any_demand(), found in any_reports(), hours in 0_i64..100) {
        // Of all that time changes, the waivers alone.
        let demand = ScanDemand { max_age: None, fixable_for: None, ..demand };
        let usable: Vec<&Sourced> = found.iter().filter(|its| its.report.outline.scanned_at <= Some(now())).collect();
        let later = now() + SignedDuration::from_hours(hours);
        let before = demand.judge(&usable, &[], &image(), now());
        prop_assert!(before.is_clear() || !demand.judge(&usable, &[], &image(), later).is_clear());
    }
}
