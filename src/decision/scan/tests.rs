//! One demand on scans, one image, and each state of what is known about it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::decide;
use super::super::verdict::{Answer, Denial, Outcome, ScanState, Verdict};
use super::*;
use crate::fact::report::{
    Defect, Finding as Reported, FindingsBuilder, Fix, Format, InIndex, Outline, Report, Reports, Scanner, ScannerKind,
    Severity, Subject as Scan,
};
use crate::fact::{Content, Facts, Fault, PlatformManifest, Record, Scope, Softened};
use crate::image::{Digest, Pattern, Platform};
use crate::policy::plan::plan;
use crate::policy::scan::Tolerated;
use crate::policy::{
    Action, Bindings, Controllers, Demands, Inaccessible, Policies, Policy, Rule, Tolerance, Unavailable, Unmatched,
};
use crate::request::{Container, ContainerKind, Request, Subject};

const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ago(duration: Duration) -> Timestamp {
    now().checked_sub(duration).unwrap()
}

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn seen<T>(value: T) -> Fact<T> {
    Fact::Known(Seen { value, at: now(), source: Source::Current })
}

fn finding<'a>(id: &'a str, severity: Severity, package: &'a str) -> Reported<'a> {
    let (installed, fixed) = ("1.0", "1.1");
    Reported {
        id,
        aliases: "",
        severity: Some(severity),
        package,
        installed,
        fixed,
        fix: Fix::Fixed,
        fixed_since: None,
        score: None,
        suppressed: false,
    }
}

fn scan(scanned_at: Option<Timestamp>, findings: &[Reported<'_>]) -> Sourced {
    let mut builder = FindingsBuilder::default();
    for finding in findings {
        builder.push(*finding).unwrap();
    }
    let scanner = Scanner { kind: Some(ScannerKind::Trivy), name: "trivy".into(), ..Scanner::default() };
    let subject = Scan { manifests: vec![digest('a')], ..Scan::default() };
    let outline = Outline { format: Format::Trivy, scanner, scanned_at, subject, notes: Vec::new() };
    let report = Arc::new(Report { outline, findings: builder.finish() });
    Sourced { origin: Origin::Directory, place: "scans/web.json".into(), report }
}

fn demand() -> ScanDemand {
    ScanDemand {
        threshold: Severity::High,
        count_unknown: false,
        tolerated: Tolerated::default(),
        fixable_only: true,
        fixable_for: None,
        waivers: Vec::new(),
        refuse: Vec::new(),
        max_age: Some(3 * DAY),
        missing: Response::Deny,
        missing_grace: None,
        stale: Response::Deny,
        running: Response::Warn,
        running_for: None,
        scanners: Vec::new(),
        count_suppressed: false,
        authorities: Vec::new(),
    }
}

/// A demand and what is known.
struct Setting {
    demand: ScanDemand,
    unavailable: Unavailable,
    reports: Fact<Arc<Reports>>,
    config: Fact<Digest>,
    admitted: Option<Vec<Softened>>,
    first_missed: Option<Timestamp>,
}

fn setting(demand: ScanDemand, found: Vec<Sourced>) -> Setting {
    let none = found.is_empty();
    let reports = Arc::new(Reports { found, unusable: Vec::new() });
    Setting {
        demand,
        unavailable: Unavailable::Deny,
        reports: if none { Fact::Absent(now()) } else { seen(reports) },
        config: seen(digest('c')),
        admitted: None,
        first_missed: None,
    }
}

impl Setting {
    fn decide(self) -> Verdict {
        let Self { demand, unavailable, reports, config, admitted, first_missed } = self;
        let manifest = |letter, reports| ScannedManifest {
            digest: digest(letter),
            platform: None,
            config: config.clone(),
            index: None,
            reports: Some(reports),
        };
        let manifests = vec![manifest('a', reports)];
        let admitted = admitted.map(|softened| {
            let first = ago(9 * DAY);
            Admitted { first, judged: None, platforms: Arc::default(), softened: softened.into() }
        });
        decided(demand, unavailable, Content::Image { config: None }, Scanned { manifests, first_missed }, admitted)
    }
}

fn decided(
    demand: ScanDemand,
    unavailable: Unavailable,
    content: Content,
    scanned: Scanned,
    admitted: Option<Admitted>,
) -> Verdict {
    let action = Action::Require(Arc::new(Demands { scan: Some(demand), ..Demands::default() }));
    let rules = vec![Rule { name: "all".into(), images: vec![Pattern::parse("**").unwrap()], action }];
    let tolerance = Tolerance { unavailable, inaccessible: Inaccessible::Deny };
    let policy = Policy { name: "acme".into(), unmatched: Unmatched::Deny, tolerance, rules };
    let bindings = Bindings {
        enforce: Some("acme".into()),
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::new(),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    let policies = Policies { by_name: [(policy.name.clone(), Arc::new(policy))].into(), bindings };
    let containers = vec![Container::first(ContainerKind::Regular, "web", "ghcr.io/acme/web:v1")];
    let request = Request::about(Subject::Images { containers, old: Vec::new() });
    let plan = plan(&policies, &Scope::of(Fact::Absent(now())), &request);
    let facts = ImageFacts {
        resolved: seen(Resolved { digest: digest('a'), content }),
        recorded: Fact::Absent(now()),
        admitted: admitted.map_or(Fact::Absent(now()), seen),
        examined: Vec::new(),
        scanned: Some(scanned),
    };
    decide(&plan, &Facts { images: vec![facts] }, now())
}

fn denied(verdict: &Verdict) -> &Denial {
    let Answer::Deny(denials) = &verdict.answer else { panic!("admitted: {verdict:?}") };
    assert_eq!(denials.len(), 1, "{denials:?}");
    &denials[0]
}

fn admitted(verdict: &Verdict) -> Basis {
    let Answer::Admit(permit) = &verdict.answer else { panic!("refused: {verdict:?}") };
    permit.basis()
}

fn states(verdict: &Verdict) -> Vec<ScanState> {
    verdict.images[0].reports.iter().map(|report| report.state).collect()
}

#[test]
fn a_fresh_report_without_grave_findings_admits_and_is_told() {
    let low = finding("CVE-1", Severity::Low, "zlib");
    let verdict = setting(demand(), vec![scan(Some(ago(DAY)), &[low])]).decide();
    assert_eq!(admitted(&verdict), Basis::EveryDemandMet);
    let report = &verdict.images[0].reports[0];
    assert_eq!((report.state, report.scanner.as_deref()), (ScanState::Fresh, Some("trivy")));
    assert_eq!((report.counts.unwrap().low.total, report.why.as_deref()), (1, None));
    assert!(verdict.warnings.is_empty() && verdict.audit.is_empty());
}

#[test]
fn a_grave_finding_is_told_worst_first_with_what_fixes_it_and_once_for_several_packages() {
    let found = [
        finding("CVE-2024-6119", Severity::High, "libssl3"),
        finding("CVE-2024-6119", Severity::High, "libcrypto3"),
        Reported { installed: "5.6.0", fixed: "5.6.2", ..finding("CVE-2024-3094", Severity::Critical, "xz") },
        Reported { fix: Fix::NotFixed, fixed: "", ..finding("CVE-2024-1", Severity::High, "tar") },
    ];
    let verdict = setting(demand(), vec![scan(Some(ago(DAY)), &found)]).decide();
    assert_eq!(
        (denied(&verdict).reason, denied(&verdict).message.as_str()),
        (
            Reason::Vulnerable,
            "1 critical, 2 high with a fix (threshold high): CVE-2024-3094 xz 5.6.0 -> 5.6.2, CVE-2024-6119 libcrypto3 \
             and libssl3 1.0 -> 1.1; by trivy of 2026-11-20T12:00:00Z"
        )
    );
    assert_eq!(verdict.outcome(), Outcome::Refused);
}

#[test]
fn stale_missing_failed_and_pending_are_four_things() {
    let stale = setting(demand(), vec![scan(Some(ago(4 * DAY)), &[])]).decide();
    assert_eq!(denied(&stale).reason, Reason::ReportStale);
    assert_eq!(
        denied(&stale).message,
        "scanned 4 d ago (trivy of 2026-11-17T12:00:00Z), the policy allows 3 d; scan it again"
    );
    let missing = setting(demand(), Vec::new()).decide();
    assert_eq!(denied(&missing).reason, Reason::ReportMissing);
    let unusable = (Origin::Directory, "scans/web.json".into(), Unusable::new(Defect::NothingScanned, "no package"));
    let reports = Arc::new(Reports { found: Vec::new(), unusable: vec![unusable] });
    let failed = Setting { reports: seen(reports), ..setting(demand(), Vec::new()) }.decide();
    assert_eq!(denied(&failed).reason, Reason::ReportFailed);
    assert_eq!(
        denied(&failed).message,
        "the scan report (directory scans/web.json) cannot be used: nothing-scanned, no package"
    );
    let trouble =
        Fact::Unavailable(Trouble::new(Fault::Deadline, "the scan reports are still being read, 1 of 9 so far"));
    let pending = Setting { reports: trouble, ..setting(demand(), Vec::new()) }.decide();
    assert_eq!(denied(&pending).reason, Reason::ReportPending);
    assert!(denied(&pending).reason.retriable());
    assert_eq!(pending.outcome(), Outcome::Undetermined);
    let all = [&stale, &missing, &failed, &pending].map(states);
    let expected =
        [ScanState::Stale, ScanState::Missing, ScanState::Failed, ScanState::Pending].map(|state| vec![state]);
    assert_eq!(all, expected);
}

#[test]
fn an_undated_report_is_stale_where_the_policy_has_an_age() {
    let verdict = setting(demand(), vec![scan(None, &[])]).decide();
    assert_eq!(
        denied(&verdict).message,
        "the scan report (trivy, not dated) may have any age, the policy allows 3 d; scan it again"
    );
    let any_age = ScanDemand { max_age: None, ..demand() };
    assert_eq!(admitted(&setting(any_age, vec![scan(None, &[])]).decide()), Basis::EveryDemandMet);
}

#[test]
fn the_policy_says_what_missing_and_stale_come_to() {
    for (response, basis, warned) in
        [(Response::Warn, Basis::SoftenedToWarning, 1), (Response::Allow, Basis::EveryDemandMet, 0)]
    {
        let missing = setting(ScanDemand { missing: response, ..demand() }, Vec::new()).decide();
        assert_eq!((admitted(&missing), missing.warnings.len()), (basis, warned));
        let old = vec![scan(Some(ago(4 * DAY)), &[])];
        let stale = setting(ScanDemand { stale: response, ..demand() }, old).decide();
        assert_eq!((admitted(&stale), stale.warnings.len(), states(&stale)), (basis, warned, vec![ScanState::Stale]));
    }
}

#[test]
fn a_stale_report_with_grave_findings_refuses_for_them_though_stale_only_warns() {
    let grave = vec![scan(Some(ago(4 * DAY)), &[finding("CVE-1", Severity::High, "xz")])];
    let verdict = setting(ScanDemand { stale: Response::Warn, ..demand() }, grave).decide();
    assert_eq!(denied(&verdict).reason, Reason::Vulnerable);
    assert_eq!(verdict.warnings[0].reason, Reason::ReportStale);
}

#[test]
fn what_a_namespace_has_already_is_softened_for_threshold_and_age_and_for_nothing_else() {
    let grave = || vec![scan(Some(ago(4 * DAY)), &[finding("CVE-1", Severity::High, "xz")])];
    let running = |demand, found| Setting { admitted: Some(Vec::new()), ..setting(demand, found) }.decide();
    let verdict = running(demand(), grave());
    assert_eq!(admitted(&verdict), Basis::SoftenedToWarning);
    let told: Vec<Reason> = verdict.warnings.iter().map(|denial| denial.reason).collect();
    assert_eq!(told, [Reason::Vulnerable, Reason::ReportStale]);
    assert!(verdict.warnings[0].message.starts_with("tolerated, since this namespace has it already: "));
    let by: Arc<str> = "acme/all".into();
    let record = Record::Softened { namespace: "shop".to_owned(), digest: digest('a'), by, held: true };
    assert_eq!(verdict.records.iter().filter(|its| **its == record).count(), 1, "{:?}", verdict.records);
    let allowed = running(ScanDemand { running: Response::Allow, ..demand() }, grave());
    assert_eq!((admitted(&allowed), allowed.warnings.len()), (Basis::EveryDemandMet, 0));
    let strict = running(ScanDemand { running: Response::Deny, stale: Response::Allow, ..demand() }, grave());
    assert_eq!(denied(&strict).reason, Reason::Vulnerable);
    let refused = ScanDemand { refuse: vec!["CVE-1".into()], stale: Response::Allow, ..demand() };
    assert_eq!(denied(&running(refused, grave())).reason, Reason::VulnerabilityRefused);
    assert_eq!(denied(&running(demand(), Vec::new())).reason, Reason::ReportMissing);
}

#[test]
fn softening_ends_so_long_after_the_first_review_that_would_have_refused() {
    let demand = || ScanDemand { running_for: Some(30 * DAY), ..demand() };
    let grave = || vec![scan(Some(ago(DAY)), &[finding("CVE-1", Severity::High, "xz")])];
    let since = |since| vec![Softened { by: "acme/all".into(), since }];
    let after = |softened| Setting { admitted: Some(softened), ..setting(demand(), grave()) }.decide();
    let first = after(Vec::new());
    assert_eq!(admitted(&first), Basis::SoftenedToWarning);
    assert!(
        first.warnings[0]
            .message
            .starts_with("tolerated until 2026-12-21T12:00:00Z, since this namespace has it already: ")
    );
    let within = after(since(ago(29 * DAY)));
    assert_eq!(admitted(&within), Basis::SoftenedToWarning);
    assert!(!within.records.iter().any(|record| matches!(record, Record::Softened { .. })), "the first time stays");
    assert_eq!(denied(&after(since(ago(30 * DAY)))).reason, Reason::Vulnerable);
    let another = vec![Softened { by: "acme/other".into(), since: ago(90 * DAY) }];
    assert_eq!(admitted(&after(another)), Basis::SoftenedToWarning);
}

#[test]
fn what_is_mended_is_forgotten() {
    let softened = vec![Softened { by: "acme/all".into(), since: ago(DAY) }];
    let clean = setting(demand(), vec![scan(Some(ago(DAY)), &[])]);
    let verdict = Setting { admitted: Some(softened), ..clean }.decide();
    let forgotten = |record: &Record| matches!(record, Record::Softened { held: false, .. });
    assert_eq!(verdict.records.iter().filter(|record| forgotten(record)).count(), 1, "{:?}", verdict.records);
}

#[test]
fn a_missing_report_only_warns_within_its_grace() {
    let demand = || ScanDemand { missing_grace: Some(Duration::from_mins(10)), ..demand() };
    let first = setting(demand(), Vec::new()).decide();
    assert_eq!(admitted(&first), Basis::SoftenedToWarning);
    assert!(first.warnings[0].message.starts_with("tolerated until 2026-11-21T12:10:00Z: "), "{:?}", first.warnings);
    assert!(first.records.contains(&Record::Missed { digest: digest('a') }));
    let since = |first| Setting { first_missed: Some(first), ..setting(demand(), Vec::new()) }.decide();
    let later = since(ago(Duration::from_mins(9)));
    assert!(
        admitted(&later) == Basis::SoftenedToWarning
            && !later.records.contains(&Record::Missed { digest: digest('a') })
    );
    assert_eq!(denied(&since(ago(Duration::from_mins(10)))).reason, Reason::ReportMissing);
}

#[test]
fn what_cannot_be_told_is_refused_or_tolerated_as_the_policy_says() {
    let trouble = || Fact::Unavailable(Trouble::new(Fault::Outage, "the folder scans cannot be read"));
    let out = |unavailable| Setting { unavailable, reports: trouble(), ..setting(demand(), Vec::new()) }.decide();
    assert_eq!(denied(&out(Unavailable::Deny)).reason, Reason::ReportPending);
    assert_eq!(denied(&out(Unavailable::Running)).reason, Reason::ReportPending);
    assert_eq!(admitted(&out(Unavailable::Admit)), Basis::UndeterminedButTolerated);
    let running = Setting {
        unavailable: Unavailable::Running,
        admitted: Some(Vec::new()),
        reports: trouble(),
        ..setting(demand(), Vec::new())
    };
    assert_eq!(admitted(&running.decide()), Basis::UndeterminedButTolerated);
}

#[test]
fn a_report_that_only_the_configuration_could_find_is_not_called_missing_without_it() {
    let trouble = Trouble::new(Fault::Outage, "ghcr.io answered 503 Service Unavailable");
    let unknown = Setting { config: Fact::Unavailable(trouble), ..setting(demand(), Vec::new()) }.decide();
    assert_eq!(denied(&unknown).reason, Reason::RegistryUnavailable);
    assert_eq!(states(&unknown), [ScanState::Pending]);
}

/// An index of amd64 (`a`) and arm64 (`b`).
fn of_index(first: Fact<Arc<Reports>>, second: Fact<Arc<Reports>>) -> Verdict {
    of_index_had(first, second, None)
}

/// The same in a namespace that has it already.
fn of_index_had(first: Fact<Arc<Reports>>, second: Fact<Arc<Reports>>, had: Option<Admitted>) -> Verdict {
    let platform = |architecture: &str| Platform { architecture: architecture.to_owned(), ..Platform::default() };
    let listed = [('a', "amd64"), ('b', "arm64")]
        .map(|(letter, its)| PlatformManifest { platform: Some(platform(its)), digest: digest(letter) });
    let manifest = |its: &PlatformManifest, reports| ScannedManifest {
        digest: its.digest.clone(),
        platform: its.platform.clone(),
        config: seen(digest('c')),
        index: Some(InIndex { digest: digest('1'), sole_of_architecture: true, sole: false }),
        reports: Some(reports),
    };
    let manifests = vec![manifest(&listed[0], first), manifest(&listed[1], second)];
    let scanned = Scanned { manifests, first_missed: None };
    decided(demand(), Unavailable::Deny, Content::Index(listed.into()), scanned, had)
}

#[test]
fn every_platform_needs_its_own_report() {
    let of = |findings: &[Reported<'_>]| {
        let found = vec![scan(Some(ago(DAY)), findings)];
        seen(Arc::new(Reports { found, unusable: Vec::new() }))
    };
    assert_eq!(admitted(&of_index(of(&[]), of(&[]))), Basis::EveryDemandMet);
    let missing = of_index(of(&[]), Fact::Absent(now()));
    assert_eq!(
        (denied(&missing).reason, denied(&missing).message.as_str()),
        (
            Reason::ReportMissing,
            "no scan report for linux/arm64 (sha256:bbbbbbbbbbbb); scan it by its digest and keep the report where the \
             settings look"
        )
    );
    let grave = of_index(of(&[]), of(&[finding("CVE-1", Severity::Critical, "xz")]));
    assert_eq!(
        denied(&grave).message,
        "1 critical with a fix for linux/arm64 (sha256:bbbbbbbbbbbb) (threshold high): CVE-1 xz 1.0 -> 1.1; by trivy of \
         2026-11-20T12:00:00Z"
    );
    assert_eq!(states(&missing), [ScanState::Fresh, ScanState::Missing]);
}

#[test]
fn what_pods_run_of_an_index_is_softened_and_no_other_image_of_it() {
    let grave = || {
        seen(Arc::new(Reports {
            found: vec![scan(Some(ago(DAY)), &[finding("CVE-1", Severity::High, "xz")])],
            unusable: Vec::new(),
        }))
    };
    let clean = || seen(Arc::new(Reports { found: vec![scan(Some(ago(DAY)), &[])], unusable: Vec::new() }));
    let on = |architecture: &str| Platform { architecture: architecture.to_owned(), ..Platform::default() };
    let running =
        |platforms: &[Platform]| Some(Admitted { platforms: platforms.into(), ..Admitted::nothing(ago(DAY)) });
    let of = |first, second, had| of_index_had(first, second, had);
    assert_eq!(admitted(&of(grave(), clean(), running(&[on("amd64")]))), Basis::SoftenedToWarning);
    assert_eq!(denied(&of(clean(), grave(), running(&[on("amd64")]))).reason, Reason::Vulnerable);
    assert_eq!(admitted(&of(grave(), grave(), running(&[on("amd64"), on("arm64")]))), Basis::SoftenedToWarning);
    // Nobody knows what the nodes of these Pods are.
    assert_eq!(denied(&of(grave(), clean(), running(&[]))).reason, Reason::Vulnerable);
}

#[test]
fn an_unknown_platform_hides_no_certain_refusal_of_another() {
    let trouble = Fact::Unavailable(Trouble::new(Fault::Deadline, "late"));
    let grave = vec![scan(Some(ago(DAY)), &[finding("CVE-1", Severity::High, "xz")])];
    let grave = seen(Arc::new(Reports { found: grave, unusable: Vec::new() }));
    assert_eq!(denied(&of_index(trouble.clone(), grave)).reason, Reason::Vulnerable);
    let clean = seen(Arc::new(Reports { found: vec![scan(Some(ago(DAY)), &[])], unusable: Vec::new() }));
    assert_eq!(denied(&of_index(clean, trouble)).reason, Reason::ReportPending);
}

#[test]
fn removing_the_report_never_turns_a_refusal_into_an_admission() {
    for running in [Response::Deny, Response::Warn, Response::Allow] {
        for scanners in [Vec::new(), vec![ScannerKind::Trivy]] {
            for admitted in [None, Some(Vec::new())] {
                let demand = || ScanDemand { running, scanners: scanners.clone(), stale: Response::Allow, ..demand() };
                let grave = vec![scan(Some(ago(DAY)), &[finding("CVE-1", Severity::Critical, "xz")])];
                for found in [grave, Vec::new()] {
                    let none = found.is_empty();
                    let verdict = Setting { admitted: admitted.clone(), ..setting(demand(), found) }.decide();
                    let refused = matches!(verdict.answer, Answer::Deny(_));
                    assert!(refused || !none, "{running:?} {scanners:?} {admitted:?}");
                }
            }
        }
    }
}
