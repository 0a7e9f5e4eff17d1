//! Every metric of the line: name, help and labels. Labels are our enums and the operator's policy names alone,
//! never what a request brings.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::decision::verdict::{Answer, Denial, Verdict};
use crate::policy::Policies;
use crate::policy::plan::Plan;
use crate::request::Operation;

/// From a warm decision to the longest `timeoutSeconds`.
const SECONDS: [f64; 16] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The collectors of the line.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: IntCounterVec,
    duration: Histogram,
    refusals: IntCounterVec,
    policies: IntGaugeVec,
    background: IntCounterVec,
    panics: IntCounter,
    stale: IntGauge,
    registries_stale: IntGauge,
    trust_stale: IntGauge,
    reports: IntCounterVec,
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
        };
        // Counted from zero, so that the first drop is an increase that an alert sees.
        for outcome in ["finished", "dropped", "failed"] {
            metrics.background.with_label_values(&[outcome]).reset();
        }
        metrics.enter(registry)?;
        Ok(metrics)
    }

    fn enter(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let Self {
            reviews,
            duration,
            refusals,
            policies,
            background,
            panics,
            stale,
            registries_stale,
            trust_stale,
            reports,
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
        let build = IntGaugeVec::new(Opts::new("pratique_build_info", "The running version"), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
    }

    pub(super) fn decision(&self, plan: &Plan<'_>, verdict: &Verdict, elapsed: Duration) {
        self.duration.observe(elapsed.as_secs_f64());
        self.answered(plan.request.operation, verdict);
        for report in verdict.images.iter().flat_map(|image| &image.reports) {
            self.reports.with_label_values(&[report.state.label()]).inc();
        }
    }

    fn answered(&self, operation: Operation, verdict: &Verdict) {
        self.reviews.with_label_values(&[operation.label(), verdict.outcome().label()]).inc();
        if let Answer::Deny(denials) = &verdict.answer {
            self.refused(denials);
        }
        self.refused(&verdict.warnings);
        self.refused(&verdict.audit);
    }

    fn refused(&self, denials: &[Denial]) {
        for denial in denials {
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
        self.answered(Operation::Unknown, verdict);
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
