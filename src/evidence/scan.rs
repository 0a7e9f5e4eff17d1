//! Scan reports: read in whatever form a scanner wrote them, from wherever people already put them.
//!
//! [`mod@format`] reads bytes, [`directory`] watches folders, [`objects`] holds those of a cluster. What is attested comes
//! with the signatures (`evidence::signature`). Reports are untrusted input: bounded before they are read, never logged,
//! and one that cannot be used never hides another. What a report is about, digests alone say.

use prometheus::{IntGaugeVec, Opts, Registry};

use crate::fact::report::Origin;

pub mod directory;
pub mod format;
pub mod objects;

/// How many reports of one origin there are, by what they are good for: `usable`, or the label of their defect. Each
/// origin registers its own part of one metric.
pub fn reports_gauge(metrics: &Registry, origin: Origin) -> Result<IntGaugeVec, prometheus::Error> {
    let help =
        "Scan reports that are known, by where they come from and whether they can be used, else by their defect";
    let options = Opts::new("pratique_scan_reports", help).const_label("source", origin.label());
    let gauge = IntGaugeVec::new(options, &["state"])?;
    metrics.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}
