//! Events (`events.k8s.io/v1`) about controllers whose Pods are or would be refused: one per object and reason, aggregated
//! into a series, limited in number, never for a dry run. Pods get none from us: who tried to make them tells of it.

use crate::evidence::cluster::connection::Connection;
use crate::observe::notice::Notices;

use super::Names;

/// Until the process ends.
pub async fn tell(_connection: Connection, _names: Names, _notices: Notices) {
    todo!("events")
}
