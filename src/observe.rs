//! What is said about each decision: one log line, a few counters. It reads the line's results and changes nothing.

use std::time::Duration;

use crate::decision::verdict::Verdict;
use crate::policy::plan::Plan;

use metrics::Metrics;
use notice::Noticeboard;

mod audit;
pub mod logging;
pub mod metrics;
pub mod notice;

/// Where decisions are told.
#[derive(Debug)]
pub struct Observe {
    metrics: Metrics,
    /// Where there is somebody to tell of refused controllers.
    notices: Option<Noticeboard>,
}

impl Observe {
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, notices: None }
    }

    /// Refused controllers are told there too.
    #[must_use]
    pub fn telling(mut self, notices: Noticeboard) -> Self {
        self.notices = Some(notices);
        self
    }

    /// Told once per review, when its verdict stands; `elapsed` since its body was read.
    pub fn record(&self, plan: &Plan<'_>, verdict: &Verdict, elapsed: Duration) {
        self.metrics.decision(plan, verdict, elapsed);
        audit::log(plan, verdict, elapsed);
        if let Some(notices) = &self.notices {
            notices.put(plan, verdict);
        }
    }

    /// What a reply left open, told when it is known: for the log alone, as the review is counted already.
    pub fn record_finished(&self, plan: &Plan<'_>, verdict: &Verdict) {
        self.metrics.finished();
        audit::log_finished(plan, verdict);
    }

    /// Work after a reply that was not taken on, because too much of it was waiting.
    pub fn record_dropped(&self) {
        self.metrics.dropped();
        tracing::warn!("more work is waiting after replies than is kept; one review stays unfinished");
    }

    /// A review whose judging panicked, and what was answered instead of a judgement.
    pub fn record_panic(&self, uid: &str, panic: &str, verdict: &Verdict) {
        self.metrics.panicked(verdict);
        tracing::error!(uid, panic, reason = "internal-error", "a fault in Pratique itself: the review was not judged");
    }

    /// A panic in the work after a reply: the review has its answer, and is counted already.
    pub fn record_unfinished_panic(&self, uid: &str, panic: &str) {
        self.metrics.unfinished_panicked();
        tracing::error!(uid, panic, reason = "internal-error", "a fault in Pratique itself: a review stays unfinished");
    }
}
