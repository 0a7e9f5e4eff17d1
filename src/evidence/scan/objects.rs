//! `VulnerabilityReport` objects of trivy-operator, in the namespaces that the settings name: who can write one there can
//! clear an image.

use std::collections::HashMap;
use std::sync::Arc;

use crate::fact::report::{Report, Reports, ScannedManifest, Unusable};
use crate::image::Digest;

/// Objects of these, by the digests that they name.
#[derive(Debug, Default)]
pub struct Objects {
    by_digest: HashMap<Digest, Vec<Arc<Object>>>,
    /// How many there are, and how many of them cannot be used.
    pub usable: usize,
    pub unusable: usize,
}

/// One of them.
#[derive(Debug)]
struct Object {
    /// `namespace/name`
    place: Arc<str>,
    report: Result<Arc<Report>, Unusable>,
}

impl Objects {
    /// Takes one object, JSON as the API server has it. Who calls has checked the namespace.
    pub fn add(&mut self, _namespace: &str, _name: &str, _json: &serde_json::Value) {
        todo!()
    }

    /// What there is about a manifest: of each scanner the newest. None: nothing.
    #[must_use]
    pub fn about(&self, _manifest: &ScannedManifest) -> Option<Reports> {
        todo!()
    }
}
