//! Trusted roots of Sigstore, by name: the public good instance's is compiled in, others come from files.
//!
//! Nothing is fetched at the start. A refresh over TUF goes on in the background, and the last good root stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sigstore_trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::Verifier;

use crate::policy::trust::RootName;

/// The name of the built-in root.
pub const PUBLIC: &str = "public";

/// One trusted root, ready to verify with.
pub struct Root {
    pub(super) verifier: Verifier,
    /// It has logs of certificates, so a certificate needs the promise of one (SCT).
    pub(super) has_certificate_logs: bool,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("has_certificate_logs", &self.has_certificate_logs).finish_non_exhaustive()
    }
}

impl Root {
    /// Reads a `trusted_root.json`; the error is a clause.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let root = TrustedRoot::from_json(json).map_err(|error| error.to_string())?;
        let has_certificate_logs = !root.ctlogs.is_empty();
        let verifier = Verifier::new(&root).map_err(|error| error.to_string())?;
        Ok(Self { verifier, has_certificate_logs })
    }
}

/// All roots of one moment.
#[derive(Debug)]
pub struct Roots {
    pub by_name: BTreeMap<RootName, Arc<Root>>,
    /// Another one whenever any root is another: facts are kept by it.
    pub generation: u64,
}

/// The roots in force.
#[derive(Debug)]
pub struct Trust {
    in_force: ArcSwap<Roots>,
}

impl Trust {
    /// The built-in root alone.
    pub fn built_in() -> Result<Self, String> {
        let public = Root::from_json(SigstoreInstance::PublicGood.embedded_trusted_root_json())?;
        let by_name = BTreeMap::from([(PUBLIC.into(), Arc::new(public))]);
        Ok(Self { in_force: ArcSwap::from_pointee(Roots { by_name, generation: 0 }) })
    }

    #[must_use]
    pub fn in_force(&self) -> Arc<Roots> {
        self.in_force.load_full()
    }
}
