//! Events (`events.k8s.io/v1`) about controllers whose Pods are or would be refused: one per object and reason, aggregated
//! into a series, limited in number, never for a dry run. Pods get none from us: who tried to make them tells of it.
//!
//! An Event is a courtesy: one that cannot be written is not tried again, since log and metrics have the decision. kube's
//! `Recorder` does not bound what it remembers, says the first message for ever, and makes names that an API server refuses
//! of long ones, so the series are kept here.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams, PostParams};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::time::Instant;

use crate::evidence::cluster::connection::Connection;
use crate::observe::notice::Notices;

use super::Names;
use super::failure::{Failures, described};

use series::{Said, Series};

mod series;

/// An API server that takes longer has other work to do, and the next notices wait behind this one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is not told, by why; on the registry.
#[derive(Debug, Clone)]
pub struct Untold(IntCounterVec);

/// Why an Event is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Too many were waiting.
    Waiting,
    /// There would be too many: of this object, or in all.
    Rate,
    /// The API server did not take it.
    Failed,
}

impl Why {
    const ALL: [Self; 3] = [Self::Waiting, Self::Rate, Self::Failed];

    fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Rate => "rate",
            Self::Failed => "failed",
        }
    }
}

impl Untold {
    /// Registers `pratique_events_dropped_total{why}`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Events about refused controllers that were not written, by why";
        let dropped = IntCounterVec::new(Opts::new("pratique_events_dropped_total", help), &["why"])?;
        registry.register(Box::new(dropped.clone()))?;
        for why in Why::ALL {
            dropped.with_label_values(&[why.label()]);
        }
        Ok(Self(dropped))
    }

    fn add(&self, why: Why, count: u64) {
        self.0.with_label_values(&[why.label()]).inc_by(count);
    }
}

/// Until the process ends, or nobody is left who could tell anything.
pub async fn tell(connection: Connection, names: Names, mut notices: Notices, untold: Untold) {
    let mut series = Series::new(names.service, names.replica, Instant::now());
    let mut failures = Failures::default();
    while let Some(notice) = notices.next().await {
        untold.add(Why::Waiting, notices.missed());
        let said = match series.next(&notice, Instant::now(), jiff::Timestamp::now()) {
            Ok(Some(said)) => said,
            Ok(None) => continue,
            Err(series::TooMany) => {
                untold.add(Why::Rate, 1);
                continue;
            }
        };
        let api = Api::<Event>::namespaced(connection.client(), series::place(&notice.namespace));
        match tokio::time::timeout(PATIENCE, write(&api, &said)).await {
            Ok(Ok(())) => {}
            failed => {
                untold.add(Why::Failed, 1);
                // What is not there cannot be continued.
                series.forget(&notice);
                let verb = said.verb();
                let (kind, words) = match failed {
                    Ok(Err(error)) => described(&error, verb, "events", "events.k8s.io"),
                    Ok(Ok(())) | Err(_) => ("late", format!("the API server took longer than {PATIENCE:?}")),
                };
                if failures.first(kind) {
                    tracing::warn!(why = words, "Events about refused controllers cannot be written; said once");
                }
            }
        }
    }
}

async fn write(api: &Api<Event>, said: &Said) -> Result<(), kube::Error> {
    match said {
        Said::New(event) => api.create(&PostParams::default(), event).await.map(drop),
        Said::Again { name, series } => {
            let patch = serde_json::json!({ "series": series });
            api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests;
