//! What was sent to registries, counted. Labels are our outcomes and a bounded number of hosts, never what a request
//! brings: a registry has its own label only after it once gave an answer with success.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

/// Registries with a label of their own: more than a cluster pulls from, few enough for twelve outcomes each.
const REGISTRIES: usize = 100;

/// The label of all others.
const OTHER: &str = "other";

/// From a registry next door to the longest exchange.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What one request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Outcome {
    Success,
    Redirected,
    /// 401
    Challenged,
    /// 403
    Refused,
    /// 404
    Absent,
    /// 429
    Limited,
    /// 5xx
    Failed,
    /// Another status, a bound exceeded, no HTTP.
    Broken,
    Unreachable,
    Timeout,
    /// Our own rules, once the name was resolved.
    Forbidden,
    /// Not sent: the host is left alone, or all places are taken.
    Shed,
}

impl Outcome {
    pub(in super::super) fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Redirected => "redirected",
            Self::Challenged => "challenged",
            Self::Refused => "refused",
            Self::Absent => "absent",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Forbidden => "forbidden",
            Self::Shed => "shed",
        }
    }
}

#[derive(Debug)]
pub(in super::super) struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    named: RwLock<HashSet<Box<str>>>,
}

impl Metrics {
    pub(in super::super) fn register(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("pratique_registry_requests_total", "Requests to registries and their token services"),
            &["registry", "outcome"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "pratique_registry_request_duration_seconds",
                "Seconds from sending a request to a registry to the end of its answer",
            )
            .buckets(SECONDS.to_vec()),
            &["registry"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { requests, duration, named: RwLock::default() })
    }

    /// None: nothing was sent.
    pub(in super::super) fn count(&self, registry: &str, outcome: Outcome, took: Option<Duration>) {
        let label = if self.has_a_label(registry, outcome) { registry } else { OTHER };
        self.requests.with_label_values(&[label, outcome.label()]).inc();
        if let Some(took) = took {
            self.duration.with_label_values(&[label]).observe(took.as_secs_f64());
        }
    }

    fn has_a_label(&self, registry: &str, outcome: Outcome) -> bool {
        if self.named.read().unwrap_or_else(PoisonError::into_inner).contains(registry) {
            return true;
        }
        if outcome != Outcome::Success {
            return false;
        }
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if named.len() < REGISTRIES {
            named.insert(registry.into());
        }
        named.contains(registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_of(metrics: &Metrics, registry: &str, outcome: Outcome) -> u64 {
        metrics.requests.with_label_values(&[registry, outcome.label()]).get()
    }

    #[test]
    fn a_registry_has_a_label_only_after_it_answered_with_success() {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        metrics.count("a.example", Outcome::Absent, None);
        metrics.count("a.example", Outcome::Success, None);
        metrics.count("a.example", Outcome::Absent, None);
        assert_eq!(count_of(&metrics, OTHER, Outcome::Absent), 1);
        assert_eq!(count_of(&metrics, "a.example", Outcome::Absent), 1);
        assert_eq!(count_of(&metrics, "a.example", Outcome::Success), 1);
    }

    #[test]
    fn the_first_hundred_have_labels_and_no_more() {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        for number in 0..150 {
            metrics.count(&format!("r{number}.example"), Outcome::Success, Some(Duration::from_secs(1)));
        }
        assert_eq!(count_of(&metrics, OTHER, Outcome::Success), 50);
        assert_eq!(count_of(&metrics, "r99.example", Outcome::Success), 1);
    }
}
