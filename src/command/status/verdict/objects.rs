//! Policies by their status, and the lease.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::policy::document::wording::quoted;
use crate::request::printable;

use super::super::asked::Listed;
use super::super::line::{Line, few};

/// A holder renews every 3 seconds; the clocks of two machines are rarely a minute apart.
const STALE: SignedDuration = SignedDuration::from_secs(60);
/// Of what stands in a status, in a message.
const TOLD: usize = 300;
/// Policies that are not well and get a line each; the others are counted.
const LINES: usize = 10;

/// What an ImagePolicy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Policy {
    pub(in super::super) name: String,
    pub(in super::super) generation: Option<i64>,
    /// Which generation the rest speaks of; none: no replica has looked at it.
    pub(in super::super) observed: Option<i64>,
    /// Why it is not, where it is not.
    pub(in super::super) accepted: Option<Result<(), String>>,
    pub(in super::super) ready: Option<Result<(), String>>,
}

impl Policy {
    pub(in super::super) fn of(object: &DynamicObject) -> Self {
        let status = object.data.get("status");
        let condition = |kind: &str| {
            let conditions = status?.get("conditions")?.as_array()?;
            let text = |condition: &Value, field: &str| condition.get(field)?.as_str().map(str::to_owned);
            let found = conditions.iter().find(|its| text(its, "type").as_deref() == Some(kind))?;
            let holds = text(found, "status")? == "True";
            let message = printable(&text(found, "message").unwrap_or_default(), TOLD);
            Some(if holds { Ok(()) } else { Err(message) })
        };
        Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            generation: object.metadata.generation,
            observed: status.and_then(|status| status.get("observedGeneration")).and_then(Value::as_i64),
            accepted: condition("Accepted"),
            ready: condition("Ready"),
        }
    }

    /// None: all is well.
    fn line(&self) -> Option<Line> {
        let name = quoted(&self.name);
        match (&self.accepted, &self.ready) {
            (None, _) | (_, None) => {
                let words = format!("{name} has no status yet: see whether a replica holds the lease, and its log");
                Some(Line::warning("policies", words))
            }
            (Some(_), Some(_)) if self.observed.is_none() || self.observed != self.generation => {
                let words = format!(
                    "the status of {name} is of an earlier generation: see whether a replica holds the lease, and its log"
                );
                Some(Line::warning("policies", words))
            }
            (Some(Err(why)), Some(ready)) => {
                let force = ready.as_ref().err().map(|force| format!("; {force}")).unwrap_or_default();
                Some(Line::wrong("policies", format!("{name} is not accepted: {why}{force}")))
            }
            (Some(Ok(())), Some(Err(why))) => Some(Line::wrong("policies", format!("{name} is not ready: {why}"))),
            (Some(Ok(())), Some(Ok(()))) => None,
        }
    }
}

pub(in super::super) fn policies(listed: &Listed<Policy>) -> Vec<Line> {
    let mut lines: Vec<Line> = listed.items.iter().filter_map(Policy::line).collect();
    let untold = lines.len().saturating_sub(LINES);
    let well = listed.items.len() - lines.len();
    // What is wrong is told before what only waits.
    lines.sort_by_key(|line| std::cmp::Reverse(line.level));
    if untold > 0 {
        let rest = lines.split_off(LINES);
        let first = rest.first().cloned();
        lines.extend(first.map(|line| Line { words: format!("and {untold} more: see `kubectl get imgpol`"), ..line }));
    }
    let words = match listed.items.len() {
        0 => "no ImagePolicy is there; baseline and restricted are built in".to_owned(),
        _ => format!("{well} of {} in force as written, beside those that are built in", listed.items.len()),
    };
    if listed.cut {
        lines.push(Line::warning("policies", format!("there are more than the {} looked at", listed.items.len())));
    }
    lines.insert(0, Line::ok("policies", words));
    lines
}

pub(in super::super) fn no_kind() -> Line {
    let words = "the API server does not know the kind ImagePolicy, and no replica becomes ready without: apply the \
                 CustomResourceDefinition that we ship";
    Line::wrong("policies", words.to_owned())
}

/// Who writes status and keeps certificates.
pub(in super::super) fn lease(record: Option<&LeaseSpec>, now: Timestamp) -> Line {
    let without = "status is not written and certificates are not renewed meanwhile: see the logs of the replicas";
    let holder = record.and_then(|record| record.holder_identity.as_deref()).filter(|holder| !holder.is_empty());
    let renewed = record.and_then(|record| record.renew_time.as_ref());
    match (holder, renewed) {
        (Some(holder), Some(renewed)) => {
            let age = now.duration_since(renewed.0);
            let (holder, seconds) = (few(&[quoted(holder)]), age.as_secs().max(0));
            if age > STALE {
                let words = format!(
                    "{holder} held it and has not renewed it for {seconds} s, by this machine's clock; {without}"
                );
                Line::warning("lease", words)
            } else {
                Line::ok("lease", format!("held by {holder}, renewed {seconds} s ago"))
            }
        }
        (Some(_), None) | (None, _) => Line::warning("lease", format!("no replica holds it; {without}")),
    }
}
