//! Our own certificates in a cluster: a CA and a leaf in a Secret that all replicas share, and the `caBundle` of our
//! webhook configuration.
//!
//! At any moment every replica shows a leaf that the bundle in force vouches for: a new CA is in the bundle before it signs
//! anything that is shown, and an old one leaves it when nothing of it is shown any more.

use std::sync::Arc;

use crate::evidence::cluster::connection::Connection;
use crate::server::admin::PartStatus;
use crate::server::tls::Identity;

use super::Names;
use super::lease::Leadership;

/// Keeps Secret, identity and bundle in step.
#[derive(Debug)]
pub struct Keeper {}

impl Keeper {
    #[must_use]
    pub fn new(_connection: Connection, _names: Names) -> Self {
        todo!("certificate")
    }

    /// The certificate of the Secret, which is made where there is none. Waits for the API server, and says so in the log.
    pub async fn obtain(&self) -> Arc<Identity> {
        todo!("certificate")
    }

    /// Takes over what is new, renews what is due, and writes the bundle, until the process ends.
    pub async fn keep(self: Arc<Self>, _leadership: Leadership) {
        todo!("certificate")
    }

    /// For `/readyz`: what stands in the way of a renewal or of the bundle.
    #[must_use]
    pub fn status(&self) -> PartStatus {
        todo!("certificate")
    }
}
