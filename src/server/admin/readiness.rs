//! How the process is, part by part: one answer for probes, and the same as metrics for who was not there when it happened.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use crate::server::Drain;
use crate::server::guard::text;

use super::{Part, PartStatus};

/// Every state of a part, as the metric label.
const STATES: [&str; 3] = ["ready", "degraded", "not-ready"];

impl PartStatus {
    fn label(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded(_) => "degraded",
            Self::NotReady(_) => "not-ready",
        }
    }
}

pub(super) struct Readiness {
    parts: Vec<Part>,
    leaving: Drain,
    ready: IntGauge,
    states: IntGaugeVec,
}

impl Readiness {
    /// Registers `pratique_ready` and `pratique_readiness_part{part, state}`.
    pub(super) fn register(parts: Vec<Part>, leaving: Drain, registry: &Registry) -> Result<Self, prometheus::Error> {
        let ready = IntGauge::new("pratique_ready", "1 while this replica says that reviews may be sent to it")?;
        let help = "1 for the state that a part of /readyz is in: ready, degraded (it works, and somebody should look), not-ready";
        let states = IntGaugeVec::new(Opts::new("pratique_readiness_part", help), &["part", "state"])?;
        registry.register(Box::new(ready.clone()))?;
        registry.register(Box::new(states.clone()))?;
        Ok(Self { parts, leaving, ready, states })
    }

    /// For `/readyz`.
    pub(super) fn answer(&self) -> Response {
        let draining = self.leaving.started();
        let mut ready = !draining;
        let mut lines = String::new();
        for part in &self.parts {
            let (sign, words) = match (part.status)() {
                PartStatus::Ready => ('+', "ready".to_owned()),
                PartStatus::Degraded(why) => ('!', format!("degraded: {why}")),
                PartStatus::NotReady(why) => {
                    ready = false;
                    ('-', why)
                }
            };
            // One line per part, whatever the reason looks like. Writing to a string cannot fail.
            let _ = writeln!(lines, "[{sign}] {}: {}", part.name, words.replace(['\n', '\r'], " "));
        }
        if draining {
            lines.push_str("[-] server: draining\n");
        }
        let (status, summary) =
            if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
        text(status, lines + summary)
    }

    /// For `/metrics`: the same, as it is now.
    pub(super) fn count(&self) {
        let mut ready = !self.leaving.started();
        for part in &self.parts {
            let status = (part.status)();
            ready &= !matches!(status, PartStatus::NotReady(_));
            for state in STATES {
                let holds = state == status.label();
                self.states.with_label_values(&[part.name, state]).set(i64::from(holds));
            }
        }
        self.ready.set(i64::from(ready));
    }
}
