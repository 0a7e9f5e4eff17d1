//! What the program does in its cluster beside answering: it keeps its certificate, writes what became of policies, tells
//! of refused controllers, and looks whether it is still asked everything that it must be asked.
//!
//! Nothing here is on the way of a review, and nothing here makes the API server ask us, or stop asking. Where several
//! replicas could do the same, the one that holds the [`lease`] does it.

pub mod certificate;
pub mod events;
mod failure;
pub mod lease;
pub mod registration;
pub mod status;

/// What our objects are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Our own namespace.
    pub namespace: String,
    /// The Service by which API servers call us; our Secret and our Lease are called after it.
    pub service: String,
    pub webhook_configuration: String,
    /// Who this replica is to the others: the name of its Pod.
    pub replica: String,
}

impl Names {
    /// The Secret with the certificates that we make.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("{}-certificates", self.service)
    }

    #[must_use]
    pub fn lease(&self) -> String {
        self.service.clone()
    }

    /// What API servers call us: the DNS name that a certificate must be for.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }
}
