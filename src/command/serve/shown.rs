//! What the admin listener shows: the parts that readiness depends on, and metrics that are only worth computing when
//! somebody looks.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use prometheus::{IntGauge, Registry};

use crate::config::Config;
use crate::evidence::scan;
use crate::evidence::scan::directory::Progress;
use crate::fact::report::Origin;
use crate::observe::metrics::Metrics;
use crate::review::Review;
use crate::server::admin::{PartStatus, Refresh};
use crate::server::tls::Identity;

/// What is asked of reports before all of them are read waits, and is never answered with "there is none": so the process
/// is ready without them.
pub(super) fn read_so_far(progress: &Progress) -> PartStatus {
    let Progress { complete, read, seen, trouble } = progress;
    match (trouble, complete) {
        (Some(trouble), _) => PartStatus::Degraded(trouble.clone()),
        (None, false) => PartStatus::Degraded(format!("{read} of {seen} scan reports read so far")),
        (None, true) => PartStatus::Ready,
    }
}

pub(super) fn expiry(
    registry: &Registry,
    identity: &Arc<OnceLock<Arc<Identity>>>,
) -> Result<Refresh, prometheus::Error> {
    let help = "When the serving certificate ends, in seconds since 1970";
    let gauge = IntGauge::new("pratique_certificate_expiry_timestamp_seconds", help)?;
    registry.register(Box::new(gauge.clone()))?;
    let identity = Arc::clone(identity);
    Ok(Box::new(move || {
        if let Some(identity) = identity.get() {
            gauge.set(identity.expiry().as_second());
        }
    }))
}

/// Counts the objects in force whenever somebody looks.
pub(super) fn scan_objects(
    config: &Config,
    registry: &Registry,
    review: &Arc<Review>,
) -> Result<Refresh, prometheus::Error> {
    if config.scans.namespaces.is_empty() {
        return Ok(Box::new(|| ()));
    }
    let (gauge, review) = (scan::reports_gauge(registry, Origin::Object)?, Arc::clone(review));
    Ok(Box::new(move || {
        gauge.reset();
        for (state, count) in review.in_force().cluster.scan_objects.load().states() {
            gauge.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }))
}

/// Which waivers end soon or have ended.
pub(super) fn waivers(metrics: &Metrics, review: &Arc<Review>) -> Refresh {
    let (review, metrics) = (Arc::clone(review), metrics.clone());
    Box::new(move || metrics.waivers(&review.in_force().policies, Timestamp::now()))
}
