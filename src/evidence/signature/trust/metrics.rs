//! How long the roots are good, and what became of looking for newer ones.

use jiff::Timestamp;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::update::Outcome;

/// The collectors; labels are the operator's names of roots and our outcomes.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    ends: IntGaugeVec,
    refreshes: IntCounterVec,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let ends = "When a trusted root ends for new signatures: the first, among certificate authorities, transparency \
                    logs, logs of certificates and timestamp authorities, of which the last one ends; absent while each \
                    has one without an end";
        let refreshes = "Times that a TUF repository was asked for a newer trusted root: replaced, unchanged, unreachable, \
                         or refused because what it has does not verify; the last good one stays";
        Ok(Self {
            ends: IntGaugeVec::new(Opts::new("pratique_trusted_root_expiry_timestamp_seconds", ends), &["root"])?,
            refreshes: IntCounterVec::new(
                Opts::new("pratique_trusted_root_refreshes_total", refreshes),
                &["root", "outcome"],
            )?,
        })
    }

    pub(super) fn register(self, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let Self { ends, refreshes } = self.clone();
        registry.register(Box::new(ends))?;
        registry.register(Box::new(refreshes))?;
        Ok(self)
    }

    pub(super) fn ends(&self, root: &str, end: Option<Timestamp>) {
        match end {
            Some(end) => self.ends.with_label_values(&[root]).set(end.as_second()),
            // An error is that there was none.
            None => drop(self.ends.remove_label_values(&[root])),
        }
    }

    /// So that the first failure is an increase that an alert sees.
    pub(super) fn count_from_zero(&self, root: &str) {
        for outcome in Outcome::ALL {
            self.refreshes.with_label_values(&[root, outcome.label()]).reset();
        }
    }

    pub(super) fn refreshed(&self, root: &str, outcome: Outcome) {
        self.refreshes.with_label_values(&[root, outcome.label()]).inc();
    }
}
