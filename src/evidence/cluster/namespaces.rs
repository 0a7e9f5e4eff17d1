//! Namespaces as a watch brings them: of each its name and the labels that name policies, by `PartialObjectMetadata`, so
//! that nothing else of them ever leaves the API server.

use std::sync::Arc;

use super::super::scope::Namespaces;
use super::connection::Connection;
use super::watching::Health;

/// Keeps the labels of all namespaces up with the cluster, until the process ends.
pub async fn follow(_connection: Connection, _health: Health, _namespaces: Arc<Namespaces>) {
    todo!("namespaces")
}
