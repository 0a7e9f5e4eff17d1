//! `status` of ImagePolicies: the conditions `Accepted` and `Ready`, `observedGeneration`, the number of rules in force and
//! the list of what is wrong, written by the replica that holds the lease, and only where it would be another.

use std::sync::Arc;

use tokio::sync::watch;

use crate::evidence::cluster::connection::Connection;
use crate::evidence::cluster::policies::PolicySet;

use super::lease::Leadership;

/// Until the process ends.
pub async fn write(_connection: Connection, _sets: watch::Receiver<Arc<PolicySet>>, _leadership: Leadership) {
    todo!("status")
}
