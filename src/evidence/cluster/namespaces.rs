//! Namespaces as a watch brings them: of each its name and the labels that name policies, by `PartialObjectMetadata`, so
//! that nothing else of them ever leaves the API server.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::ClusterResourceScope;
use kube::Api;
use kube::api::ObjectMeta;
use rpds::HashTrieMapSync;
use serde::Deserialize;

use crate::fact::Labels;

use super::super::scope::{Namespaces, policy_labels};
use super::connection::Connection;
use super::watching::trimmed::core_resource;
use super::watching::{self, Health, Presence, Sink};

/// What is asked of a namespace.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Wire")]
pub(in crate::evidence) struct Namespace {
    metadata: ObjectMeta,
    pub(in crate::evidence) labels: Labels,
}

core_resource!(Namespace, ClusterResourceScope, "Namespace", "namespaces", metadata: true);

#[derive(Deserialize)]
struct Wire {
    metadata: WireMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    name: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl From<Wire> for Namespace {
    fn from(Wire { metadata }: Wire) -> Self {
        let WireMetadata { name, resource_version, labels } = metadata;
        let labels = labels.unwrap_or_default();
        let labels = policy_labels(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Self { metadata: ObjectMeta { name, resource_version, ..ObjectMeta::default() }, labels }
    }
}

/// Keeps the labels of all namespaces up with the cluster, until the process ends.
pub async fn follow(connection: Connection, health: Health, namespaces: Arc<Namespaces>) {
    let api: Api<Namespace> = Api::all(connection.client());
    watching::follow(api, Presence::Expected, health, Labelled::new(namespaces)).await;
}

/// Most namespaces have the same labels as many others: those are kept once.
#[derive(Default)]
struct Shared {
    labels: HashMap<[Option<String>; 3], Arc<Labels>>,
    /// So many there may be before those that nobody has any more are dropped.
    sweep_at: usize,
}

/// Fewer than this are not worth looking through.
const SWEEP_AT_LEAST: usize = 64;

impl Shared {
    fn share(&mut self, labels: Labels) -> Arc<Labels> {
        if self.labels.len() >= self.sweep_at {
            self.labels.retain(|_, shared| Arc::strong_count(shared) > 1);
            self.sweep_at = SWEEP_AT_LEAST.max(2 * self.labels.len());
        }
        let Labels { enforce, warn, audit } = labels.clone();
        let shared = self.labels.entry([enforce, warn, audit]).or_insert_with(|| Arc::new(labels));
        Arc::clone(shared)
    }
}

struct Labelled {
    namespaces: Arc<Namespaces>,
    by_name: HashTrieMapSync<Arc<str>, Arc<Labels>>,
    /// What is listed now; in force when it is complete.
    listed: HashTrieMapSync<Arc<str>, Arc<Labels>>,
    shared: Shared,
}

impl Labelled {
    fn new(namespaces: Arc<Namespaces>) -> Self {
        let by_name = HashTrieMapSync::default();
        Self { namespaces, listed: by_name.clone(), by_name, shared: Shared::default() }
    }
}

impl Sink<Namespace> for Labelled {
    fn restart(&mut self) {
        self.listed = HashTrieMapSync::default();
    }

    fn list(&mut self, object: Namespace) {
        if let Some(name) = object.metadata.name {
            self.listed.insert_mut(name.into(), self.shared.share(object.labels));
        }
    }

    fn complete(&mut self) {
        self.by_name = std::mem::take(&mut self.listed);
        self.namespaces.replace(self.by_name.clone());
    }

    fn apply(&mut self, object: Namespace) {
        let Some(name) = object.metadata.name else { return };
        if self.by_name.get(name.as_str()).is_some_and(|known| **known == object.labels) {
            return;
        }
        self.by_name.insert_mut(name.into(), self.shared.share(object.labels));
        self.namespaces.replace(self.by_name.clone());
    }

    fn delete(&mut self, object: Namespace) {
        if object.metadata.name.is_some_and(|name| self.by_name.remove_mut(name.as_str())) {
            self.namespaces.replace(self.by_name.clone());
        }
    }

    fn len(&self) -> usize {
        self.by_name.size()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use crate::fact::{Fact, Seen, Source};

    use super::*;

    fn namespace(name: &str, enforce: Option<&str>) -> Namespace {
        let mut labels = serde_json::json!({"kubernetes.io/metadata.name": name, "team": "shop"});
        if let Some(enforce) = enforce {
            labels["pratique.dev/enforce"] = enforce.into();
        }
        serde_json::from_value(serde_json::json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "uid": "u", "resourceVersion": "7", "labels": labels, "annotations": {"a": "b"}},
        }))
        .expect("a namespace as the API server writes it")
    }

    /// None: it is not known; empty: it has no such label.
    fn labels_of(namespaces: &Namespaces, name: &str) -> Option<String> {
        match namespaces.known(name, Timestamp::UNIX_EPOCH) {
            Fact::Known(Seen { value, source: Source::Current, .. }) => Some(value.enforce.unwrap_or_default()),
            Fact::Known(_) | Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        }
    }

    #[test]
    fn what_is_listed_anew_replaces_the_old_in_one_step() {
        let namespaces = Arc::new(Namespaces::default());
        let mut sink = Labelled::new(Arc::clone(&namespaces));
        sink.restart();
        sink.list(namespace("old", Some("acme")));
        assert_eq!(labels_of(&namespaces, "old"), None, "nothing is in force before all is listed");
        sink.complete();
        assert_eq!(labels_of(&namespaces, "old"), Some("acme".to_owned()));
        sink.restart();
        sink.list(namespace("new", None));
        assert_eq!(labels_of(&namespaces, "old"), Some("acme".to_owned()), "what was known stays");
        assert_eq!(labels_of(&namespaces, "new"), None);
        sink.complete();
        assert_eq!((labels_of(&namespaces, "old"), labels_of(&namespaces, "new")), (None, Some(String::new())));
        assert_eq!(sink.len(), 1);
    }

    #[test]
    fn changes_are_in_force_as_they_come() {
        let namespaces = Arc::new(Namespaces::default());
        let mut sink = Labelled::new(Arc::clone(&namespaces));
        sink.restart();
        sink.complete();
        sink.apply(namespace("shop", None));
        assert_eq!(labels_of(&namespaces, "shop"), Some(String::new()));
        sink.apply(namespace("shop", Some("acme")));
        assert_eq!(labels_of(&namespaces, "shop"), Some("acme".to_owned()));
        assert!(namespaces.says_enforce("shop"));
        sink.delete(namespace("shop", None));
        assert_eq!(labels_of(&namespaces, "shop"), None);
    }

    #[test]
    fn namespaces_with_the_same_labels_share_them_and_those_of_none_are_dropped() {
        let mut shared = Shared::default();
        let labels = |policy: String| Labels { enforce: Some(policy), ..Labels::default() };
        let first = shared.share(labels("acme".to_owned()));
        assert!(Arc::ptr_eq(&first, &shared.share(labels("acme".to_owned()))));
        for number in 0..10_000 {
            shared.share(labels(format!("policy-{number}")));
        }
        assert!(shared.labels.len() <= SWEEP_AT_LEAST, "{}", shared.labels.len());
        assert!(Arc::ptr_eq(&first, &shared.share(labels("acme".to_owned()))), "what is in use is not dropped");
    }
}
