//! Pull secrets from the API server: each is read by name when a pod or its service account refers to it, and kept for a
//! while; none is ever listed, unless the settings say `pullSecrets: all`.
//!
//! Promises: nothing of a Secret is quoted or printed, and what one namespace brings is never used for another. A Secret
//! that is not there is none, as for the kubelet; one that could not be read is a trouble, which is told where the registry
//! then refuses.

use std::sync::Arc;

use crate::evidence::budget::Patience;
use crate::evidence::registry::credentials::Keyring;
use crate::fact::Trouble;
use crate::policy::plan::Wait;
use crate::request;

use super::connection::Connection;
use super::pull_secrets::Usage;

/// What a pod brings to pull with.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// In the order in which they are tried: those that the pod names, those of its service account, and with
    /// [`Usage::All`] the others of the namespace. None twice.
    pub keyrings: Vec<Arc<Keyring>>,
    /// Why a part of them could not be had.
    pub trouble: Option<Trouble>,
}

/// Secrets and service accounts by namespace and name, as they were read.
#[derive(Debug)]
pub struct LiveSecrets {}

impl LiveSecrets {
    #[must_use]
    pub fn new(_connection: Connection) -> Self {
        todo!("secrets")
    }

    /// Reads what is not known, for as long as `wait` says.
    pub async fn brought(
        &self,
        _usage: Usage,
        _namespace: &str,
        _asked: &request::PullSecrets,
        _wait: Wait,
        _patience: Patience,
    ) -> Brought {
        todo!("secrets")
    }

    /// A registry refused what they hold: reads again those that were read more than a moment ago. None: they are what they
    /// were, or were read a moment ago.
    pub async fn again(
        &self,
        _usage: Usage,
        _namespace: &str,
        _asked: &request::PullSecrets,
        _wait: Wait,
        _patience: Patience,
    ) -> Option<Brought> {
        todo!("secrets")
    }
}
