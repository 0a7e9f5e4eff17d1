//! `VulnerabilityReport` objects of trivy-operator among the manifests. Whether one can be used is no mistake of whoever
//! wrote the manifests: a scanner did.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::evidence::scan::objects::Objects;
use crate::policy::document::wording::quoted;
use crate::policy::document::{Mistake, Node};

use super::told;

/// What the objects are.
pub(super) const VERSION: &str = "aquasecurity.github.io/v1alpha1";
pub(super) const KIND: &str = "VulnerabilityReport";

/// Objects as they are written, by namespace and name.
#[derive(Debug, Default)]
pub struct ScanObjects(BTreeMap<(String, String), serde_json::Value>);

impl ScanObjects {
    pub(super) fn add(&mut self, document: &Node, source: &str) -> Result<(), Mistake> {
        let metadata = |key: &str| document.field("metadata")?.field(key)?.text().filter(|text| !text.is_empty());
        let (Some(namespace), Some(name)) = (metadata("namespace"), metadata("name")) else {
            let message = "a VulnerabilityReport needs metadata.namespace and metadata.name".to_owned();
            return Err(told(document, source, "metadata", message));
        };
        match self.0.entry((namespace.to_owned(), name.to_owned())) {
            Entry::Vacant(vacant) => {
                vacant.insert(document.to_json());
                Ok(())
            }
            Entry::Occupied(_) => {
                let message = format!("report {} is there already: keep one", quoted(&format!("{namespace}/{name}")));
                Err(told(document, source, "metadata.name", message))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The reports of these namespaces, and of no other: who can write one there can clear an image.
    #[must_use]
    pub fn of(&self, namespaces: &[String]) -> Objects {
        let mut objects = Objects::default();
        for ((namespace, name), json) in self.0.iter().filter(|((namespace, _), _)| namespaces.contains(namespace)) {
            objects.add(namespace, name, json);
        }
        objects
    }

    /// The namespaces that have some and are none of these: what is there counts nowhere.
    #[must_use]
    pub fn outside_of(&self, namespaces: &[String]) -> Vec<&str> {
        let mut outside: Vec<&str> = self.0.keys().map(|(namespace, _)| namespace.as_str()).collect();
        outside.dedup();
        outside.retain(|namespace| !namespaces.iter().any(|its| its == namespace));
        outside
    }
}
