//! A namespace that the watch has not brought yet: one bounded read of the API server.

use crate::evidence::budget::Deadline;
use crate::evidence::cluster::connection::Connection;
use crate::fact::{Fact, Labels};

/// Reads namespaces one by one; what was read is kept for a moment, and asked once at a time.
#[derive(Debug)]
pub(super) struct Live {}

impl Live {
    pub(super) fn new(_connection: Connection) -> Self {
        todo!("namespaces")
    }

    /// Known, or unavailable: the API server has just said that it is about to create something in this namespace, so that
    /// there being none is no answer.
    pub(super) async fn labels(&self, _namespace: &str, _deadline: Deadline) -> Fact<Labels> {
        todo!("namespaces")
    }
}
