//! Whether the API server asks us everything that it must ask: our live ValidatingWebhookConfiguration, compared with what
//! the program expects. What an administrator has weakened is said in the log, in `/readyz` and in a metric; nothing is put
//! right by us, and a replica does not become unready for it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::evidence::cluster::connection::Connection;
use crate::server::admin::PartStatus;

use super::Names;

/// Something that the live configuration lets through, or makes fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// The metric label: a few fixed words such as `resources` or `failure-policy`.
    pub what: &'static str,
    /// What it is and what to do, for a person.
    pub words: String,
}

/// What the last look found.
#[derive(Debug)]
pub struct Registration {
    found: ArcSwap<Result<Vec<Weakness>, String>>,
}

impl Registration {
    /// Registers `pratique_webhook_configuration_weakened{what}`.
    pub fn new(_registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        todo!("registration")
    }

    /// Looks again and again, until the process ends.
    pub async fn watch(self: Arc<Self>, _connection: Connection, _names: Names) {
        todo!("registration")
    }

    /// For `/readyz`: never unready.
    #[must_use]
    pub fn status(&self) -> PartStatus {
        let _ = &self.found;
        todo!("registration")
    }
}
