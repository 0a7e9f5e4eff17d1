//! `VulnerabilityReport` objects of trivy-operator as watches bring them, of the namespaces that the settings name and of no
//! other. Where the cluster does not have their CRD there are none, until it comes.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::super::scan::objects::Objects;
use super::connection::Connection;
use super::watching::Watches;

/// Keeps the reports of these namespaces up with the cluster, until the process ends. Before all of them were listed once,
/// `objects` says that it cannot tell ([`Objects::unread`]).
pub async fn follow(
    _connection: Connection,
    _watches: Arc<Watches>,
    _namespaces: Vec<String>,
    _objects: Arc<ArcSwap<Objects>>,
) {
    todo!("reports")
}
