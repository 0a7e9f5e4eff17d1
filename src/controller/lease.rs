//! Which replica does what only one should do: a Lease (`coordination.k8s.io/v1`) in our namespace.
//!
//! Nothing that a review depends on asks for it. Two who both believe to hold it for a moment do no harm: what they write is
//! the same, or is refused by its resourceVersion.

use tokio::sync::watch;

use crate::evidence::cluster::connection::Connection;

use super::Names;

/// Whether this replica holds the Lease. All clones are one.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    #[must_use]
    pub fn held(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is gained or lost.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Whoever told of it ended, and nothing will change any more.
            std::future::pending::<()>().await;
        }
    }

    /// Held for ever, by whoever is alone; for tests too.
    #[must_use]
    pub fn always() -> Self {
        Self(watch::channel(true).1)
    }
}

/// Contends for the Lease until the process ends; the second part is to be run.
pub fn contend(_connection: Connection, _names: &Names) -> (Leadership, impl Future<Output = ()> + Send + use<>) {
    let (_sender, receiver) = watch::channel(false);
    (Leadership(receiver), async { todo!("lease") })
}
