//! Every metric of the line: name, help and labels. Labels are our enums, the names in the operator's policies and a
//! bounded number of namespaces that are known, never else what a request or a report brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::decision::verdict::{Answer, Denial, Outcome, ScanState, Verdict};
use crate::policy::Policies;
use crate::policy::plan::Plan;
use crate::request::Operation;

use namespaces::Namespaces;

mod namespaces;

/// From a warm decision to the longest `timeoutSeconds`. Close enough to each other, below 1 ms and above 100 ms, that a
/// quantile between two of them tells what is usual from what is slow.
const SECONDS: [f64; 19] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0, 30.0,
];

/// The collectors of the line.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: IntCounterVec,
    duration: Histogram,
    refusals: IntCounterVec,
    namespaces: Arc<Namespaces>,
    policies: IntGaugeVec,
    background: IntCounterVec,
    panics: IntCounter,
    stale: IntGauge,
    registries_stale: IntGauge,
    trust_stale: IntGauge,
    reports: IntCounterVec,
    waivers: IntGaugeVec,
}

impl Metrics {
    /// Registers all of them, and what the process itself says.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let duration = "Seconds from the body of a review to its verdict";
        let metrics = Self {
            reviews: counters("pratique_reviews_total", "Reviews by operation and verdict", &["operation", "verdict"])?,
            duration: Histogram::with_opts(
                HistogramOpts::new("pratique_review_duration_seconds", duration).buckets(SECONDS.to_vec()),
            )?,
            refusals: counters(
                "pratique_refusals_total",
                "Demands not met, by mode, policy and reason; enforce alone refuses, and nothing does under --dry-run",
                &["mode", "policy", "reason"],
            )?,
            namespaces: Arc::new(Namespaces::register(registry)?),
            policies: IntGaugeVec::new(
                Opts::new("pratique_policy_info", "Policies in force, with the number of their rules"),
                &["policy"],
            )?,
            background: counters(
                "pratique_background_reviews_total",
                "Reviews whose audit part was left open by the reply: finished, dropped because too many waited, or failed by a panic",
                &["outcome"],
            )?,
            panics: IntCounter::new(
                "pratique_panics_total",
                "Panics while judging: the review was refused, or stayed unfinished",
            )?,
            stale: IntGauge::new(
                "pratique_manifests_stale",
                "1: the manifests on disk are invalid, the last good ones are in force",
            )?,
            registries_stale: IntGauge::new(
                "pratique_registry_settings_stale",
                "1: hosts.toml, docker config or credential providers on disk are invalid, the last good ones are in force",
            )?,
            trust_stale: IntGauge::new(
                "pratique_trusted_roots_stale",
                "1: the trusted roots on disk are invalid, the last good ones are in force",
            )?,
            reports: counters(
                "pratique_reports_judged_total",
                "Scan reports that images were judged by, or that there were none, by state: fresh, stale, failed, missing, pending",
                &["state"],
            )?,
            waivers: IntGaugeVec::new(
                Opts::new(
                    "pratique_waiver_expiry_timestamp_seconds",
                    "When a waiver ends, in seconds since 1970: of those that end within 14 days or have ended",
                ),
                &["policy", "rule", "id"],
            )?,
        };
        metrics.count_from_zero();
        metrics.enter(registry)?;
        Ok(metrics)
    }

    /// So that the first of each is an increase that an alert sees.
    fn count_from_zero(&self) {
        for outcome in ["finished", "dropped", "failed"] {
            self.background.with_label_values(&[outcome]).reset();
        }
        for operation in Operation::ALL {
            for outcome in Outcome::ALL {
                self.reviews.with_label_values(&[operation.label(), outcome.label()]).reset();
            }
        }
        for state in ScanState::ALL {
            self.reports.with_label_values(&[state.label()]).reset();
        }
    }

    fn enter(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let Self {
            reviews,
            duration,
            refusals,
            // Registered where they are made.
            namespaces: _,
            policies,
            background,
            panics,
            stale,
            registries_stale,
            trust_stale,
            reports,
            waivers,
        } = self.clone();
        registry.register(Box::new(reviews))?;
        registry.register(Box::new(duration))?;
        registry.register(Box::new(refusals))?;
        registry.register(Box::new(policies))?;
        registry.register(Box::new(background))?;
        registry.register(Box::new(panics))?;
        registry.register(Box::new(stale))?;
        registry.register(Box::new(registries_stale))?;
        registry.register(Box::new(trust_stale))?;
        registry.register(Box::new(reports))?;
        registry.register(Box::new(waivers))?;
        let build =
            IntGaugeVec::new(Opts::new("pratique_build_info", "The running version"), &["version", "revision"])?;
        build
            .with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("PRATIQUE_REVISION").unwrap_or_default()])
            .set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
    }

    pub(super) fn decision(&self, plan: &Plan<'_>, verdict: &Verdict, elapsed: Duration) {
        self.duration.observe(elapsed.as_secs_f64());
        self.answered(plan.request.operation, plan.namespace, verdict);
        for report in verdict.images.iter().flat_map(|image| &image.reports) {
            self.reports.with_label_values(&[report.state.label()]).inc();
        }
    }

    fn answered(&self, operation: Operation, namespace: Option<&str>, verdict: &Verdict) {
        self.reviews.with_label_values(&[operation.label(), verdict.outcome().label()]).inc();
        if let Answer::Deny(denials) = &verdict.answer {
            self.refused(namespace, denials);
        }
        self.refused(namespace, &verdict.warnings);
        self.refused(namespace, &verdict.audit);
    }

    fn refused(&self, namespace: Option<&str>, denials: &[Denial]) {
        for denial in denials {
            self.namespaces.refused(namespace, denial.mode);
            let policy = denial.policy.as_ref().map_or("", |policy| policy.as_str());
            self.refusals.with_label_values(&[denial.mode.label(), policy, denial.reason.code()]).inc();
        }
    }

    pub(super) fn finished(&self) {
        self.background.with_label_values(&["finished"]).inc();
    }

    pub(super) fn dropped(&self) {
        self.background.with_label_values(&["dropped"]).inc();
    }

    pub(super) fn panicked(&self, verdict: &Verdict) {
        self.panics.inc();
        self.answered(Operation::Unknown, None, verdict);
    }

    pub(super) fn unfinished_panicked(&self) {
        self.panics.inc();
        self.background.with_label_values(&["failed"]).inc();
    }

    /// Says which policies are in force from now on.
    pub fn policies(&self, policies: &Policies) {
        self.policies.reset();
        for (name, policy) in &policies.by_name {
            let rules = i64::try_from(policy.rules.len()).unwrap_or(i64::MAX);
            self.policies.with_label_values(&[name.as_str()]).set(rules);
        }
    }

    /// Says which waivers of the policies in force have ended or will soon. Where a rule waives the same in several
    /// packages or images, the first end is told.
    pub fn waivers(&self, policies: &Policies, now: Timestamp) {
        let mut ends: BTreeMap<[&str; 3], i64> = BTreeMap::new();
        for (policy, compiled) in &policies.by_name {
            for (rule, waiver) in compiled.waivers().filter(|(_, waiver)| waiver.is_announced(now)) {
                let end = ends.entry([policy.as_str(), rule.as_str(), &*waiver.id]).or_insert(i64::MAX);
                *end = waiver.ends.as_second().min(*end);
            }
        }
        self.waivers.reset();
        for (labels, end) in ends {
            self.waivers.with_label_values(&labels).set(end);
        }
    }

    /// Whether the manifests on disk are others than those in force.
    pub fn manifests_stale(&self, stale: bool) {
        self.stale.set(i64::from(stale));
    }

    /// Whether the files on disk that say how registries are reached are others than those in force.
    pub fn registries_stale(&self, stale: bool) {
        self.registries_stale.set(i64::from(stale));
    }

    /// Whether the trusted roots on disk are others than those in force.
    pub fn trust_stale(&self, stale: bool) {
        self.trust_stale.set(i64::from(stale));
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;
    use crate::policy::compile::compile;
    use crate::policy::document::parse_documents;
    use crate::policy::{Bindings, Controllers};

    fn policies() -> Policies {
        let text = "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: acme}\nspec:\n  rules:\n  \
                    - name: all\n    images: [\"**\"]\n    vulnerabilities:\n      threshold: high\n      ignore:\n      \
                    - {id: CVE-1, until: 2026-01-31, reason: r, owner: o}\n      \
                    - {id: CVE-2, until: 2026-02-01, reason: r, owner: o, package: a}\n      \
                    - {id: CVE-2, until: 2026-01-01, reason: r, owner: o, package: b}\n";
        let policy = compile(&parse_documents(text).unwrap()[0], "", &|_| Err("no keys".to_owned())).unwrap().policy;
        let bindings = Bindings {
            enforce: None,
            warn: None,
            audit: None,
            floor: None,
            exempt_namespaces: std::collections::BTreeSet::new(),
            controllers: Controllers::Warn,
            dry_run: false,
        };
        Policies { by_name: [(policy.name.clone(), Arc::new(policy))].into(), bindings }
    }

    #[test]
    fn a_waiver_shows_from_fourteen_days_before_its_end_for_as_long_as_it_is_in_force() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let mut policies = policies();
        let shown = |at: &str, policies: &Policies| {
            metrics.waivers(policies, at.parse().unwrap());
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let prefix = "pratique_waiver_expiry_timestamp_seconds{id=\"CVE-";
            let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        let series = |id: u8, end: &str| {
            let end: Timestamp = end.parse().unwrap();
            format!("{id}\",policy=\"acme\",rule=\"all\"}} {}", end.as_second())
        };
        let both = [series(1, "2026-02-01T00:00:00Z"), series(2, "2026-01-02T00:00:00Z")];
        assert_eq!(shown("2025-12-18T23:59:59Z", &policies), [""; 0]);
        assert_eq!(shown("2025-12-19T00:00:00Z", &policies), both[1..]);
        assert_eq!(shown("2027-01-01T00:00:00Z", &policies), both);
        assert_eq!(shown("2026-01-17T23:59:59Z", &policies), both[1..]);
        policies.by_name.clear();
        assert_eq!(shown("2027-01-01T00:00:00Z", &policies), [""; 0]);
    }
}
