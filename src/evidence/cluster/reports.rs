//! `VulnerabilityReport` objects of trivy-operator as watches bring them, of the namespaces that the settings name and of no
//! other. Where the cluster does not have their CRD there are none, until it comes.
//!
//! An object is up to 1.5 MB of JSON: it is read while it arrives, and only what it says is kept.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::{join, join_all};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::fact::{Fault, Trouble};
use crate::policy::document::wording::quoted;

use super::super::scan::objects::{Objects, Parsed};
use super::connection::Connection;
use super::watching::{self, Presence, Sink, Watches};

/// As in the watches' states and metrics.
pub(crate) const RESOURCE: &str = "vulnerabilityreports";

/// Keeps the reports of these namespaces up with the cluster, until the process ends. Before all of them were listed once,
/// `objects` says that it cannot tell ([`Objects::unread`]).
pub async fn follow(
    connection: Connection,
    watches: Arc<Watches>,
    namespaces: Vec<String>,
    objects: Arc<ArcSwap<Objects>>,
) {
    let together = Arc::new(Together::new(namespaces.iter().cloned().collect(), objects));
    let of_each = namespaces.into_iter().map(|namespace| {
        let health = watches.enter(RESOURCE);
        let (sink, together) = (OfNamespace::new(&namespace, &together), Arc::clone(&together));
        let api: Api<VulnerabilityReport> = Api::namespaced(connection.client(), &namespace);
        let listed = {
            let health = health.clone();
            // Also where the cluster does not have the kind.
            async move {
                health.listed().await;
                together.change(|all| all.unread.retain(|unread| *unread != namespace));
            }
        };
        join(watching::follow(api, Presence::Optional, health, sink), listed)
    });
    join_all(of_each).await;
}

/// The reports of all namespaces, as reviews see them.
struct Together {
    all: Mutex<All>,
    published: Arc<ArcSwap<Objects>>,
}

struct All {
    objects: Objects,
    /// Namespaces of which nothing was listed so far.
    unread: BTreeSet<String>,
}

impl Together {
    fn new(namespaces: BTreeSet<String>, published: Arc<ArcSwap<Objects>>) -> Self {
        let together = Self { all: Mutex::new(All { objects: Objects::default(), unread: namespaces }), published };
        together.change(|_| ());
        together
    }

    /// One step for those who read.
    fn change(&self, change: impl FnOnce(&mut All)) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut all);
        let trouble = trouble(&all.unread);
        all.objects.set_unread(trouble);
        // A clone shares everything. Under the lock, so that an older one never comes after a newer.
        self.published.store(Arc::new(all.objects.clone()));
    }

    fn len(&self) -> usize {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.objects.usable + all.objects.unusable
    }
}

fn trouble(unread: &BTreeSet<String>) -> Option<Trouble> {
    let first = unread.first()?;
    let more = match unread.len() {
        1 => String::new(),
        several => format!(" and {} more", several - 1),
    };
    let words = format!(
        "the scan reports of namespace {}{more} have not been read from the API server so far (/readyz says why)",
        quoted(first)
    );
    Some(Trouble::new(Fault::Outage, words))
}

/// The reports of one namespace.
struct OfNamespace {
    namespace: String,
    /// Of those that are in force.
    names: BTreeSet<String>,
    listing: Vec<(String, Parsed)>,
    together: Arc<Together>,
}

impl OfNamespace {
    fn new(namespace: &str, together: &Arc<Together>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            names: BTreeSet::new(),
            listing: Vec::new(),
            together: Arc::clone(together),
        }
    }

    /// Whether it is of this namespace: who can write elsewhere must not clear an image.
    fn is_ours(&self, object: &VulnerabilityReport) -> bool {
        object.metadata.namespace.as_deref() == Some(&self.namespace)
    }
}

impl Sink<VulnerabilityReport> for OfNamespace {
    fn restart(&mut self) {
        self.listing.clear();
    }

    fn list(&mut self, object: VulnerabilityReport) {
        if self.is_ours(&object) {
            self.listing.push((object.name_any(), object.parsed));
        }
    }

    fn complete(&mut self) {
        let listed = std::mem::take(&mut self.listing);
        let names: BTreeSet<String> = listed.iter().map(|(name, _)| name.clone()).collect();
        let before = std::mem::replace(&mut self.names, names);
        let (gone, namespace) = (before.difference(&self.names), &self.namespace);
        self.together.change(|All { objects, unread }| {
            for name in gone {
                objects.delete(namespace, name);
            }
            for (name, parsed) in listed {
                objects.put(namespace, &name, parsed);
            }
            unread.remove(namespace);
        });
    }

    fn apply(&mut self, object: VulnerabilityReport) {
        if !self.is_ours(&object) {
            return;
        }
        let name = object.name_any();
        self.together.change(|all| all.objects.put(&self.namespace, &name, object.parsed));
        self.names.insert(name);
    }

    fn delete(&mut self, object: VulnerabilityReport) {
        if !self.is_ours(&object) {
            return;
        }
        let name = object.name_any();
        self.together.change(|all| all.objects.delete(&self.namespace, &name));
        self.names.remove(&name);
    }

    /// Of all namespaces: they are one resource.
    fn len(&self) -> usize {
        self.together.len()
    }
}

/// One object, read.
#[derive(Clone)]
struct VulnerabilityReport {
    metadata: ObjectMeta,
    parsed: Parsed,
}

impl<'de> Deserialize<'de> for VulnerabilityReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = serde_json::Value::deserialize(deserializer)?;
        let metadata = object.get_mut("metadata").map(serde_json::Value::take).unwrap_or_default();
        let ObjectMeta { name, namespace, uid, resource_version, .. } =
            ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?;
        let metadata = ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() };
        if let Some(fields) = object.as_object_mut() {
            // Items of a list need not repeat what they are.
            fields.entry("apiVersion").or_insert_with(|| format!("{GROUP}/{VERSION}").into());
            fields.entry("kind").or_insert_with(|| KIND.into());
        }
        Ok(Self { metadata, parsed: Parsed::of(&object) })
    }
}

/// What the objects are.
const GROUP: &str = "aquasecurity.github.io";
const VERSION: &str = "v1alpha1";
const KIND: &str = "VulnerabilityReport";

impl kube::Resource for VulnerabilityReport {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        RESOURCE.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl fmt::Debug for VulnerabilityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VulnerabilityReport").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
