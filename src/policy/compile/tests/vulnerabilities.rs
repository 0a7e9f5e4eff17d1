use std::time::Duration;

use super::signed::demands_of;
use super::*;
use crate::fact::report::{ScannerKind, Severity};
use crate::policy::scan::{Response, ScanDemand, Tolerated, Waiver, waiver_warnings};

/// One rule with this demand, in YAML's flow style.
fn demanding(vulnerabilities: &str) -> String {
    with_rules(&[&format!("name: a, images: [\"**\"], vulnerabilities: {{{vulnerabilities}}}")])
}

fn with_waivers(waivers: &[&str]) -> String {
    demanding(&format!("threshold: high, ignore: [{}]", waivers.join(", ")))
}

fn scan_of(demands: &Demands) -> &ScanDemand {
    demands.scan.as_ref().unwrap()
}

#[test]
fn a_demand_is_what_the_file_says() {
    let text = valid().into_iter().find(|(path, _)| path.ends_with("valid/complete.yaml")).unwrap().1;
    let demands = demands_of(&compile(&node(&text), "").unwrap(), 0);
    let ScanDemand {
        threshold,
        count_unknown,
        tolerated,
        fixable_only,
        fixable_for,
        waivers,
        refuse,
        max_age,
        missing,
        missing_grace,
        stale,
        running,
        running_for,
        scanners,
        count_suppressed,
        authorities,
    } = scan_of(&demands);
    assert_eq!((*threshold, *count_unknown, *fixable_only, *count_suppressed), (Severity::High, false, true, false));
    assert_eq!(*tolerated, Tolerated { high: 2, ..Tolerated::default() });
    assert_eq!(
        (*fixable_for, *max_age, *missing_grace, *running_for),
        (
            Some(Duration::from_hours(168)),
            Some(Duration::from_hours(72)),
            Some(Duration::from_mins(10)),
            Some(Duration::from_hours(720))
        )
    );
    assert_eq!((*missing, *stale, *running), (Response::Deny, Response::Warn, Response::Warn));
    assert_eq!(refuse.iter().map(|id| &**id).collect::<Vec<_>>(), ["CVE-2021-44228"]);
    assert_eq!(*scanners, [ScannerKind::Trivy, ScannerKind::Grype]);
    assert_eq!(authorities.iter().map(|its| &*its.name).collect::<Vec<_>>(), ["release"]);
    let [Waiver { id, until, ends, reason, owner, package, images }] = waivers.as_slice() else { panic!("one") };
    assert_eq!((&**id, &**reason, &**owner), ("CVE-2025-1234", "not reachable", "platform@acme.example"));
    assert_eq!((until.to_string(), ends.to_string()), ("2027-01-31".to_owned(), "2027-02-01T00:00:00Z".to_owned()));
    assert_eq!(package.as_deref(), Some("xz"));
    assert_eq!(images.iter().map(crate::image::Pattern::as_str).collect::<Vec<_>>(), ["ghcr.io/acme/tools/**"]);
}

#[test]
fn every_word_and_number_has_its_place() {
    let text = demanding(
        "threshold: negligible, unknown: count, suppressed: count, fixable: false, missing: allow, stale: allow, \
         running: deny, maxAge: 1h, scanners: [grype], \
         allow: {negligible: 1, low: 2, medium: 3, high: 4, critical: 5}",
    );
    let demands = demands_of(&compile(&node(&text), "").unwrap(), 0);
    let scan = scan_of(&demands);
    assert_eq!((scan.count_unknown, scan.count_suppressed, scan.fixable_only), (true, true, false));
    assert_eq!((scan.missing, scan.stale, scan.running), (Response::Allow, Response::Allow, Response::Deny));
    assert_eq!(scan.tolerated, Tolerated { negligible: 1, low: 2, medium: 3, high: 4, critical: 5 });
    assert_eq!((scan.max_age, scan.scanners.as_slice()), (Some(Duration::from_hours(1)), &[ScannerKind::Grype][..]));
}

#[test]
fn what_is_not_written_is_the_default_of_the_schema() {
    let demands = demands_of(&compile(&node(&demanding("threshold: low, ignore: [], refuse: []")), "").unwrap(), 0);
    let scan = scan_of(&demands);
    assert_eq!(scan.threshold, Severity::Low);
    assert_eq!((scan.count_unknown, scan.count_suppressed, scan.fixable_only), (false, false, false));
    assert_eq!((scan.missing, scan.stale, scan.running), (Response::Deny, Response::Deny, Response::Warn));
    assert_eq!([scan.fixable_for, scan.max_age, scan.missing_grace, scan.running_for], [None; 4]);
    assert_eq!(scan.tolerated, Tolerated::default());
    assert!(scan.waivers.is_empty() && scan.refuse.is_empty() && scan.scanners.is_empty());
    assert!(scan.authorities.is_empty() && demands.examination.is_none() && demands.tags.is_none());
}

#[test]
fn reports_that_must_be_attested_are_looked_for_with_the_keys_and_roots_of_who_may() {
    let authorities = "  authorities:\n  - {name: k, keys: [{file: a}, {file: b}], trust: private}\n  \
                       - {name: anyone, keyless: {issuer: \"https://i.example\", subject: \"*@i.example\"}}\n  \
                       - {name: signer, keys: [{file: c}]}\n";
    let of = |rule: &str| {
        let text = with_rules(&[&format!("name: a, images: [\"**\"], {rule}")]) + authorities;
        demands_of(&compile(&node(&text), "").unwrap(), 0).examination.as_deref().cloned()
    };
    let reports = of("vulnerabilities: {threshold: high, authorities: [k, anyone]}").unwrap();
    assert!(reports.reports && !reports.signatures && reports.repository.is_none() && reports.predicates.is_empty());
    assert_eq!(reports.keys.iter().map(|(_, root)| &**root).collect::<Vec<_>>(), ["private", "private"]);
    assert_eq!(reports.roots.iter().map(|root| &**root).collect::<Vec<_>>(), ["public"]);
    let both = of("vulnerabilities: {threshold: high, authorities: [k]}, signatures: {authorities: [signer]}").unwrap();
    assert_eq!((both.reports, both.signatures, both.keys.len(), both.roots.len()), (true, true, 3, 0));
    let signed = of("vulnerabilities: {threshold: high}, signatures: {authorities: [signer]}").unwrap();
    assert_eq!((signed.reports, signed.signatures, signed.keys.len()), (false, true, 1));
    assert_eq!(of("vulnerabilities: {threshold: high}"), None);
}

#[test]
fn a_waiver_that_cannot_be_told_from_another_or_be_told_at_all_is_a_mistake() {
    let at = |field: &str, why: &str| format!("6: spec.rules[0].vulnerabilities.ignore[{field}: {why}");
    let long = "x".repeat(257);
    for (waivers, expected) in [
        (
            [
                "{id: CVE-1, until: 2027-01-31, reason: r, owner: o, package: a, images: [\"b/**\", \"c/*\"]}",
                "{id: cve-1, until: 2028-01-31, reason: s, owner: p, package: a, images: [\"c/*\", \"b/**\"]}",
            ],
            vec![at("1].id", "`cve-1` stands here twice")],
        ),
        (
            [
                "{id: CVE-1, until: 2027-01-31, reason: r, owner: o, package: a}",
                "{id: CVE-1, until: 2027-01-31, reason: r, owner: o}",
            ],
            Vec::new(),
        ),
        (
            [
                "{id: CVE-1, until: 2027-01-31, reason: \"a\\nb\", owner: \"c\\td\", package: \"e\\rf\"}",
                "{id: CVE-2, until: 9999-12-31, reason: r, owner: o}",
            ],
            [("0].reason", 0), ("0].owner", 0), ("0].package", 0), ("1].until", 1)]
                .map(|(field, which)| {
                    let day = "the day 9999-12-31 is beyond all times that can be compared";
                    at(field, ["is shown to people in one line: write it in one", day][which])
                })
                .to_vec(),
        ),
        (
            [
                &format!("{{id: {long}, until: 2027-01-31, reason: r, owner: o}}"),
                "{id: CVE-1, until: 2027-01-31, reason: r, owner: o}",
            ],
            vec![at("0].id", &format!("`{}...` is no identifier: it is longer than any", "x".repeat(60)))],
        ),
    ] {
        let found = compile(&node(&with_waivers(&waivers)), "").err().map(|mistakes| told(&mistakes));
        assert_eq!(found.unwrap_or_default(), expected);
    }
    let found = mistakes(&demanding("threshold: high, refuse: [CVE-1, CVE-2, cve-1]"));
    assert_eq!(found, ["6: spec.rules[0].vulnerabilities.refuse[2]: `cve-1` stands here twice"]);
}

#[test]
fn what_has_no_effect_beside_the_rest_is_a_warning() {
    let waiver = "{id: cve-1, until: 2027-01-31, reason: r, owner: o}";
    for (demand, place, why) in [
        ("missing: warn, missingGrace: 10m", "missingGrace", "`missing` does not deny"),
        ("running: deny, runningFor: 30d", "runningFor", "`running` softens nothing"),
        ("stale: warn", "stale", "without `maxAge` no report is stale"),
        (
            &format!("refuse: [CVE-1], ignore: [{waiver}]"),
            "ignore[0].id",
            "`refuse` names it too, and no waiver helps there",
        ),
    ] {
        let compiled = compile(&node(&demanding(&format!("threshold: high, {demand}"))), "").unwrap();
        let expected = format!("6: spec.rules[0].vulnerabilities.{place}: has no effect: {why}");
        assert_eq!(told(&compiled.warnings), [expected]);
    }
    let meant = "maxAge: 1h, stale: warn, missingGrace: 10m, runningFor: 1d, fixableFor: 7d, fixable: false";
    let compiled =
        compile(&node(&demanding(&format!("threshold: high, refuse: [CVE-2], {meant}, ignore: [{waiver}]"))), "");
    assert_eq!(told(&compiled.unwrap().warnings), [""; 0]);
}

#[test]
fn every_waiver_of_every_rule_is_told_with_its_line_and_ends_with_its_day() {
    let rule = |name: &str, id: &str, until: &str| {
        let waiver = format!("{{id: {id}, until: {until}, reason: r, owner: o}}");
        format!(
            "name: {name}, images: [\"{name}.example/**\"], vulnerabilities: {{threshold: high, ignore: [{waiver}]}}"
        )
    };
    let rules = [rule("a", "CVE-1", "2026-11-01"), rule("b", "CVE-2", "2026-12-01")];
    let tags = "name: c, images: [\"c.example/**\"], tags: {deny: [latest]}";
    let compiled = compile(&node(&with_rules(&[&rules[0], tags, &rules[1]])), "acme.yaml").unwrap();
    assert_eq!(compiled.warnings, []);
    let waivers = compiled.policy.waivers().map(|(rule, waiver)| format!("{rule} {}", waiver.id));
    assert_eq!(waivers.collect::<Vec<_>>(), ["a CVE-1", "b CVE-2"]);
    let warned = waiver_warnings(&compiled.waivers, "acme.yaml", "2026-11-30T00:00:00Z".parse().unwrap());
    let place = |rule: u8| format!("spec.rules[{rule}].vulnerabilities.ignore[0].until");
    assert_eq!(
        told(&warned),
        [
            format!("6: {}: the waiver of CVE-1 ended on 2026-11-01 and has no effect (owner o)", place(0)),
            format!("8: {}: the waiver of CVE-2 ends on 2026-12-01 (owner o)", place(2)),
        ]
    );
    assert!(warned.iter().all(|warning| warning.source == "acme.yaml"));
}

#[test]
fn the_built_in_policies_say_of_reports_what_the_design_says() {
    let policies = built_in();
    let scan = |index: usize| match &policies[index].rules[0].action {
        Action::Require(demands) => Arc::clone(demands),
        Action::Admit | Action::Refuse(_) => panic!("demands nothing"),
    };
    let (baseline, restricted) = (scan(0), scan(1));
    let (baseline, restricted) = (scan_of(&baseline), scan_of(&restricted));
    assert_eq!((baseline.threshold, restricted.threshold), (Severity::Critical, Severity::High));
    assert!(baseline.fixable_only && restricted.fixable_only);
    assert_eq!((baseline.missing, baseline.max_age, baseline.running_for), (Response::Allow, None, None));
    assert_eq!((restricted.missing, restricted.stale), (Response::Deny, Response::Deny));
    assert_eq!(
        (restricted.max_age, restricted.running_for),
        (Some(Duration::from_hours(72)), Some(Duration::from_hours(30 * 24)))
    );
    assert_eq!((baseline.running, restricted.running), (Response::Warn, Response::Warn));
}
