//! What nodes are: their platforms, as `status.nodeInfo` and the labels `kubernetes.io/os` and `kubernetes.io/arch` say.
//! What the kubelet has reported of itself comes before labels, which others may write.

use std::sync::Arc;

use arc_swap::ArcSwap;
use k8s_openapi::ClusterResourceScope;
use kube::Api;
use kube::api::ObjectMeta;
use rpds::HashTrieMapSync;
use serde::Deserialize;

use crate::image::Platform;

use super::connection::Connection;
use super::watching::trimmed::core_resource;
use super::watching::{self, Health, Presence, Sink};

/// Longer than any name of an operating system or architecture: what is longer is none.
const LONGEST: usize = 63;

/// The platforms of the nodes at each moment; with what the settings add.
#[derive(Debug)]
pub struct Nodes {
    /// Of the settings: always among them.
    added: Arc<[Platform]>,
    known: ArcSwap<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashTrieMapSync<Arc<str>, Arc<Platform>>,
    /// Each once, those of the settings first.
    platforms: Arc<[Platform]>,
    /// What all nodes are, where they are all alike; without any node what the settings say, where that is one.
    alike: Option<Platform>,
}

impl Nodes {
    /// Without any node: what the settings say.
    #[must_use]
    pub fn new(added: Arc<[Platform]>) -> Self {
        let known = Known::of(&added, HashTrieMapSync::default(), &[]);
        Self { added, known: ArcSwap::from_pointee(known) }
    }

    /// Every platform of a node; empty where nobody knows.
    #[must_use]
    pub fn platforms(&self) -> Arc<[Platform]> {
        Arc::clone(&self.known.load().platforms)
    }

    /// What this node is. One that is not known is what all the others are, where they are all alike.
    #[must_use]
    pub fn platform(&self, node: &str) -> Option<Platform> {
        let known = self.known.load();
        known.by_name.get(node).map(|platform| Platform::clone(platform)).or_else(|| known.alike.clone())
    }
}

impl Known {
    /// `counted`: the platforms of the nodes, each once.
    fn of(added: &Arc<[Platform]>, by_name: HashTrieMapSync<Arc<str>, Arc<Platform>>, counted: &[Counted]) -> Self {
        let of_nodes = || counted.iter().map(|counted| &*counted.platform);
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in added.iter().chain(of_nodes()) {
            if !platforms.iter().any(|known| same(known, platform)) {
                platforms.push(platform.clone());
            }
        }
        let alike = match (counted, &*platforms) {
            ([one], _) => Some(Platform::clone(&one.platform)),
            ([], [one]) => Some(one.clone()),
            _ => None,
        };
        Self { by_name, platforms: platforms.into(), alike }
    }
}

/// The settings may name a variant, nodes have none.
fn same(one: &Platform, other: &Platform) -> bool {
    one.variant == other.variant && one.is_for_same_nodes(other)
}

/// How many nodes are of a platform.
#[derive(Debug)]
struct Counted {
    platform: Arc<Platform>,
    nodes: usize,
}

/// What is kept of a node.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Wire")]
struct Node {
    metadata: ObjectMeta,
    platform: Option<Platform>,
}

core_resource!(Node, ClusterResourceScope, "Node", "nodes", metadata: false);

#[derive(Deserialize)]
struct Wire {
    metadata: WireMetadata,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    name: Option<String>,
    resource_version: Option<String>,
    labels: Option<NodeLabels>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeLabels {
    #[serde(rename = "kubernetes.io/os")]
    os: Option<String>,
    #[serde(rename = "kubernetes.io/arch")]
    architecture: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    node_info: Option<NodeInfo>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NodeInfo {
    operating_system: Option<String>,
    architecture: Option<String>,
}

impl From<Wire> for Node {
    fn from(Wire { metadata, status }: Wire) -> Self {
        let WireMetadata { name, resource_version, labels } = metadata;
        let info = status.and_then(|status| status.node_info).unwrap_or_default();
        let labels = labels.unwrap_or_default();
        let reported = platform(info.operating_system, info.architecture);
        let platform = reported.or_else(|| platform(labels.os, labels.architecture));
        Self { metadata: ObjectMeta { name, resource_version, ..ObjectMeta::default() }, platform }
    }
}

fn platform(os: Option<String>, architecture: Option<String>) -> Option<Platform> {
    let is_word = |text: &String| {
        let of_words = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !text.is_empty() && text.len() <= LONGEST && text.bytes().all(of_words)
    };
    let (os, architecture) = (os.filter(is_word)?, architecture.filter(is_word)?);
    Some(Platform { os, architecture, variant: None })
}

/// Keeps them up with the cluster, until the process ends.
pub async fn follow(connection: Connection, health: Health, nodes: Arc<Nodes>) {
    let api: Api<Node> = Api::all(connection.client());
    watching::follow(api, Presence::Expected, health, Platforms::new(nodes)).await;
}

/// Nodes by name, and their platforms counted.
#[derive(Debug, Default)]
struct Table {
    by_name: HashTrieMapSync<Arc<str>, Arc<Platform>>,
    counted: Vec<Counted>,
    /// Nodes that do not say what they are.
    silent: std::collections::BTreeSet<String>,
}

impl Table {
    /// True: something is another than it was.
    fn insert(&mut self, name: String, platform: Option<Platform>) -> bool {
        let before = self.by_name.get(name.as_str());
        let unchanged = match (before, &platform) {
            (Some(before), Some(platform)) => **before == *platform,
            (None, None) => self.silent.contains(&name),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if unchanged {
            return false;
        }
        self.remove(&name);
        match platform {
            Some(platform) => {
                let platform = self.count(platform);
                self.by_name.insert_mut(name.into(), platform);
            }
            None => {
                self.silent.insert(name);
            }
        }
        true
    }

    fn remove(&mut self, name: &str) -> bool {
        let Some(platform) = self.by_name.get(name).cloned() else { return self.silent.remove(name) };
        self.by_name.remove_mut(name);
        if let Some(at) = self.counted.iter().position(|counted| *counted.platform == *platform) {
            self.counted[at].nodes -= 1;
            if self.counted[at].nodes == 0 {
                self.counted.remove(at);
            }
        }
        true
    }

    fn count(&mut self, platform: Platform) -> Arc<Platform> {
        match self.counted.iter_mut().find(|counted| *counted.platform == platform) {
            Some(counted) => {
                counted.nodes += 1;
                Arc::clone(&counted.platform)
            }
            None => {
                let platform = Arc::new(platform);
                self.counted.push(Counted { platform: Arc::clone(&platform), nodes: 1 });
                platform
            }
        }
    }
}

struct Platforms {
    nodes: Arc<Nodes>,
    table: Table,
    listed: Table,
}

impl Platforms {
    fn new(nodes: Arc<Nodes>) -> Self {
        Self { nodes, table: Table::default(), listed: Table::default() }
    }

    fn publish(&self) {
        let Table { by_name, counted, .. } = &self.table;
        self.nodes.known.store(Arc::new(Known::of(&self.nodes.added, by_name.clone(), counted)));
    }
}

impl Sink<Node> for Platforms {
    fn restart(&mut self) {
        self.listed = Table::default();
    }

    fn list(&mut self, object: Node) {
        if let Some(name) = object.metadata.name {
            self.listed.insert(name, object.platform);
        }
    }

    fn complete(&mut self) {
        self.table = std::mem::take(&mut self.listed);
        self.publish();
    }

    fn apply(&mut self, object: Node) {
        // Nodes report themselves every few minutes, and hardly ever become others.
        if object.metadata.name.is_some_and(|name| self.table.insert(name, object.platform)) {
            self.publish();
        }
    }

    fn delete(&mut self, object: Node) {
        if object.metadata.name.is_some_and(|name| self.table.remove(&name)) {
            self.publish();
        }
    }

    fn len(&self) -> usize {
        self.table.by_name.size() + self.table.silent.len()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn node(name: &str, info: Option<(&str, &str)>, labels: Option<(&str, &str)>) -> Node {
        let info = info.map(|(os, architecture)| {
            serde_json::json!({"operatingSystem": os, "architecture": architecture, "kernelVersion": "6.1", "bootID": "b"})
        });
        let labels = labels.map(|(os, architecture)| {
            serde_json::json!({"kubernetes.io/os": os, "kubernetes.io/arch": architecture, "zone": "a"})
        });
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "resourceVersion": "1", "labels": labels, "annotations": {"a": "b"}},
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {"nodeInfo": info, "images": [{"names": ["a"], "sizeBytes": 1}]},
        }))
        .expect("a Node as the API server writes it")
    }

    /// These nodes, and nothing of the settings.
    pub(in crate::evidence::cluster) fn known(nodes: &[(&str, Platform)]) -> Nodes {
        let all = Arc::new(Nodes::new(Arc::new([])));
        let mut sink = Platforms::new(Arc::clone(&all));
        for (name, platform) in nodes {
            sink.apply(node(name, Some((&platform.os, &platform.architecture)), None));
        }
        drop(sink);
        Arc::into_inner(all).expect("the sink is gone")
    }

    fn of(os: &str, architecture: &str) -> Platform {
        Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    #[test]
    fn what_the_kubelet_reports_comes_before_labels_and_what_is_no_word_is_nothing() {
        let (arm, amd) = (Some(("linux", "arm64")), Some(("linux", "amd64")));
        let long = "a".repeat(64);
        assert_eq!(node("n", arm, amd).platform, Some(of("linux", "arm64")));
        assert_eq!(node("n", None, amd).platform, Some(of("linux", "amd64")));
        assert_eq!(node("n", None, None).platform, None);
        for wrong in ["", "a b", "arm64\n", &long] {
            assert_eq!(node("n", Some(("linux", wrong)), amd).platform, Some(of("linux", "amd64")), "{wrong:?}");
            assert_eq!(node("n", Some((wrong, "arm64")), None).platform, None, "{wrong:?}");
        }
    }

    #[test]
    fn platforms_are_each_there_once_after_those_of_the_settings_and_go_with_their_last_node() {
        let nodes = Arc::new(Nodes::new(Arc::new([of("linux", "amd64")])));
        let mut sink = Platforms::new(Arc::clone(&nodes));
        let arm = |name| node(name, Some(("linux", "arm64")), None);
        sink.restart();
        sink.list(arm("one"));
        assert_eq!(*nodes.platforms(), [of("linux", "amd64")], "not all are listed yet");
        sink.complete();
        sink.apply(arm("two"));
        sink.apply(node("three", Some(("linux", "x86_64")), None));
        sink.apply(node("four", None, None));
        assert_eq!(*nodes.platforms(), [of("linux", "amd64"), of("linux", "arm64")]);
        assert_eq!(sink.len(), 4);
        sink.delete(arm("one"));
        sink.delete(node("four", None, None));
        assert_eq!(*nodes.platforms(), [of("linux", "amd64"), of("linux", "arm64")]);
        sink.apply(node("two", Some(("linux", "amd64")), None));
        assert_eq!(*nodes.platforms(), [of("linux", "amd64")]);
        assert_eq!(sink.len(), 2);
    }

    #[test]
    fn a_node_that_is_not_known_is_what_all_the_others_are() {
        let (arm, amd) = (of("linux", "arm64"), of("linux", "amd64"));
        assert_eq!(known(&[("a", arm.clone())]).platform("b"), Some(arm.clone()));
        assert_eq!(known(&[("a", arm.clone()), ("b", amd.clone())]).platform("c"), None, "they are not alike");
        assert_eq!(known(&[("a", arm.clone()), ("b", amd.clone())]).platform("b"), Some(amd.clone()));
        assert_eq!(Nodes::new(Arc::new([amd.clone()])).platform("a"), Some(amd.clone()), "as the settings say");
        assert_eq!(Nodes::new(Arc::new([amd, arm])).platform("a"), None);
        assert_eq!(Nodes::new(Arc::new([])).platform("a"), None);
    }

    #[test]
    fn a_node_that_reports_what_is_known_changes_nothing() {
        let nodes = Arc::new(Nodes::new(Arc::new([])));
        let mut sink = Platforms::new(Arc::clone(&nodes));
        sink.apply(node("a", Some(("linux", "arm64")), None));
        let before = nodes.known.load_full();
        sink.apply(node("a", Some(("linux", "arm64")), None));
        assert!(Arc::ptr_eq(&before, &nodes.known.load_full()));
    }
}
