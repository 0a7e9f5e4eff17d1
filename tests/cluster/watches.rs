//! Watches of a real API server: what they keep up with, what happens to them, and what they say of it.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use pratique::evidence::budget::Deadline;
use pratique::evidence::cluster::connection::Connection;
use pratique::evidence::cluster::nodes::Nodes;
use pratique::evidence::cluster::pods::Pods;
use pratique::evidence::cluster::watching::{Health, Presence, Sink, WatchState, Watches, follow};
use pratique::evidence::cluster::{namespaces, nodes, pods};
use pratique::evidence::scope::Namespaces;
use pratique::fact::{Fact, Labels};
use pratique::image::{Digest, Platform, Reference};
use pratique_testkit::real::{Cluster, Forwarder};
use serde_json::json;
use tokio::task::JoinSet;

/// Longer than the longest pause between two attempts, and an API server that starts.
const LONG: Duration = Duration::from_secs(90);

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < LONG, "still not so after {LONG:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn connection(kubeconfig: &Path) -> Connection {
    Connection::open(Some(kubeconfig)).await.expect("the kubeconfig can be used")
}

/// Namespaces as they are watched, until it is dropped.
struct Watched {
    namespaces: Arc<Namespaces>,
    health: Health,
    _tasks: JoinSet<()>,
}

async fn watch_namespaces(kubeconfig: &Path) -> Watched {
    let connection = connection(kubeconfig).await;
    let watches = Watches::new(&prometheus::Registry::new()).expect("the registry is empty");
    let (namespaces, health) = (Arc::new(Namespaces::live(connection.clone())), watches.enter("namespaces"));
    let mut tasks = JoinSet::new();
    tasks.spawn(namespaces::follow(connection, health.clone(), Arc::clone(&namespaces)));
    Watched { namespaces, health, _tasks: tasks }
}

impl Watched {
    /// The policy by which it is enforced, which may be empty; none: it is not known.
    fn enforce(&self, name: &str) -> Option<String> {
        match self.namespaces.known(name, Timestamp::now()) {
            Fact::Known(seen) => Some(seen.value.enforce.unwrap_or_default()),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        }
    }

    async fn is_current(&self) {
        until("the watch is current", async || self.health.state() == WatchState::Current).await;
    }

    async fn is_lost(&self) -> String {
        let why = || match self.health.state() {
            WatchState::Lost { why, .. } => Some(why),
            WatchState::Starting(_) | WatchState::Current | WatchState::Absent => None,
        };
        until("the watch is lost", async || why().is_some()).await;
        why().unwrap_or_default()
    }
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn namespaces_are_listed_and_followed_and_one_that_the_watch_lacks_is_read() {
    let cluster = Cluster::start().await;
    cluster.namespace("before", &[("pratique.dev/enforce", "acme"), ("team", "shop")]).await;
    let watched = watch_namespaces(cluster.kubeconfig()).await;
    watched.health.listed().await;
    assert_eq!(watched.enforce("before"), Some("acme".to_owned()));
    assert_eq!(watched.enforce("default"), Some(String::new()));
    cluster.namespace("later", &[]).await;
    until("a new namespace is known", async || watched.enforce("later") == Some(String::new())).await;
    let labelled = cluster.kubectl(&["label", "namespace", "later", "pratique.dev/enforce=other"]);
    assert_eq!(labelled.code, Some(0), "{labelled:?}");
    until("a label is known", async || watched.enforce("later") == Some("other".to_owned())).await;

    // Of nothing that watches.
    let alone = Namespaces::live(connection(cluster.kubeconfig()).await);
    let deadline = || Deadline::at(Instant::now() + Duration::from_secs(5));
    let Fact::Known(read) = alone.labels("before", Timestamp::now(), deadline()).await else { panic!("it is there") };
    assert_eq!(read.value, Labels { enforce: Some("acme".to_owned()), ..Labels::default() });
    let Fact::Unavailable(none) = alone.labels("nowhere", Timestamp::now(), deadline()).await else { panic!("none") };
    assert_eq!(&*none.words, "the API server has no namespace `nowhere` yet");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn while_the_api_server_is_away_nothing_is_forgotten_and_it_is_followed_again_when_it_is_back() {
    let cluster = Cluster::start().await;
    cluster.namespace("kept", &[("pratique.dev/enforce", "acme")]).await;
    let watched = watch_namespaces(cluster.kubeconfig()).await;
    watched.is_current().await;
    cluster.stop_api_server();
    let why = watched.is_lost().await;
    assert!(
        why.starts_with("the connection to the API server broke off") || why.contains("cannot be reached"),
        "{why}"
    );
    assert_eq!(watched.enforce("kept"), Some("acme".to_owned()));
    cluster.start_api_server().await;
    let back = Instant::now();
    watched.is_current().await;
    println!("current again {:?} after the API server was", back.elapsed());
    cluster.namespace("after", &[]).await;
    until("what came after is known", async || watched.enforce("after") == Some(String::new())).await;
    assert_eq!(watched.enforce("kept"), Some("acme".to_owned()));
}

/// The same kubeconfig, by way of that port.
fn by_way_of(cluster: &Cluster, port: u16) -> PathBuf {
    let text = std::fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig is there");
    let by_way = text.replace(&cluster.server(), &format!("https://127.0.0.1:{port}"));
    assert_ne!(by_way, text, "the kubeconfig names the server");
    let path = cluster.folder().join("by-way.kubeconfig");
    std::fs::write(&path, by_way).expect("the folder can be written");
    path
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn after_a_compaction_everything_is_listed_anew() {
    let cluster = Cluster::start().await;
    let api_server: SocketAddr = cluster.server().trim_start_matches("https://").parse().expect("an address");
    let way = Forwarder::new().await;
    way.backends(&[api_server]);
    cluster.namespace("changed", &[("pratique.dev/enforce", "acme")]).await;
    let watched = watch_namespaces(&by_way_of(&cluster, way.port())).await;
    watched.is_current().await;
    cluster.stop_api_server();
    way.backends(&[]);
    watched.is_lost().await;
    cluster.start_api_server().await;
    let labelled = cluster.kubectl(&["label", "namespace", "changed", "pratique.dev/enforce=other", "--overwrite"]);
    assert_eq!(labelled.code, Some(0), "{labelled:?}");
    cluster.namespace("missed", &[]).await;
    cluster.compact().await;
    cluster.stop_api_server();
    cluster.start_api_server().await;
    assert_eq!(watched.enforce("changed"), Some("acme".to_owned()), "what was known stays");
    way.backends(&[api_server]);
    watched.is_current().await;
    until("what was missed is known", async || watched.enforce("missed") == Some(String::new())).await;
    assert_eq!(watched.enforce("changed"), Some("other".to_owned()));
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_burst_of_5000_namespaces_is_known_a_moment_after_the_last_was_made() {
    const BURST: usize = 5_000;
    let cluster = Cluster::start().await;
    let watched = watch_namespaces(cluster.kubeconfig()).await;
    watched.is_current().await;
    let client: Client = cluster.client().await;
    let began = Instant::now();
    let create = |number: usize| {
        let api: Api<Namespace> = Api::all(client.clone());
        let labels = [("pratique.dev/enforce".to_owned(), "acme".to_owned())].into();
        let metadata =
            ObjectMeta { name: Some(format!("burst-{number}")), labels: Some(labels), ..ObjectMeta::default() };
        async move {
            let namespace = Namespace { metadata, ..Namespace::default() };
            api.create(&PostParams::default(), &namespace).await.expect("it can be made");
        }
    };
    futures_util::stream::iter(0..BURST).map(create).buffer_unordered(32).for_each(std::future::ready).await;
    let made = began.elapsed();
    let acme = Some("acme".to_owned());
    until("all are known", async || (0..BURST).all(|number| watched.enforce(&format!("burst-{number}")) == acme)).await;
    let known = began.elapsed();
    println!("{BURST} namespaces made within {made:?}, and all known within {known:?}");
    assert_eq!(watched.health.state(), WatchState::Current);
    // In pages.
    let anew = watch_namespaces(cluster.kubeconfig()).await;
    anew.health.listed().await;
    assert!((0..BURST).all(|number| anew.enforce(&format!("burst-{number}")) == acme));
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_watch_that_is_forbidden_says_what_to_allow_and_works_when_it_is_allowed() {
    let cluster = Cluster::start().await;
    let watched = watch_namespaces(&cluster.kubeconfig_as("jane", &[])).await;
    let forbidden = "the API server forbids us to list namespaces: give the ClusterRole pratique the verb list on \
                     namespaces of the core group, and bind it to our service account";
    let expected = WatchState::Starting(Some(forbidden.to_owned()));
    until("it says so", async || watched.health.state() == expected).await;
    let role = ["create", "clusterrole", "lists", "--verb=list", "--resource=namespaces"];
    assert_eq!(cluster.kubectl(&role).code, Some(0));
    let bound = ["create", "clusterrolebinding", "lists", "--clusterrole=lists", "--user=jane"];
    assert_eq!(cluster.kubectl(&bound).code, Some(0));
    let why = watched.is_lost().await;
    assert_eq!(why, forbidden.replace("list", "watch"));
    assert_eq!(watched.enforce("default"), Some(String::new()), "what could be listed is in force");
    let role = ["create", "clusterrole", "watches", "--verb=watch", "--resource=namespaces"];
    assert_eq!(cluster.kubectl(&role).code, Some(0));
    let bound = ["create", "clusterrolebinding", "watches", "--clusterrole=watches", "--user=jane"];
    assert_eq!(cluster.kubectl(&bound).code, Some(0));
    watched.is_current().await;
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn pods_tell_what_their_tags_named_and_nodes_what_they_are() {
    let cluster = Cluster::start().await;
    let (client, connection) = (cluster.client().await, connection(cluster.kubeconfig()).await);
    let watches = Watches::new(&prometheus::Registry::new()).expect("the registry is empty");
    let (all_pods, all_nodes) = (Arc::new(Pods::default()), Arc::new(Nodes::new(Arc::new([]))));
    let mut tasks = JoinSet::new();
    tasks.spawn(pods::follow(connection.clone(), watches.enter("pods"), Arc::clone(&all_pods)));
    tasks.spawn(nodes::follow(connection, watches.enter("nodes"), Arc::clone(&all_nodes)));

    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "arm-1"}, "status": {"nodeInfo": {
        "operatingSystem": "linux", "architecture": "arm64", "machineID": "", "systemUUID": "", "bootID": "",
        "kernelVersion": "", "osImage": "", "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": ""}}});
    let node: Node = serde_json::from_value(node).expect("a Node");
    Api::<Node>::all(client.clone()).create(&PostParams::default(), &node).await.expect("it can be made");
    let arm = Platform { architecture: "arm64".to_owned(), ..Platform::default() };
    until("the node is known", async || *all_nodes.platforms() == [arm.clone()]).await;

    cluster.namespace("shop", &[]).await;
    let api: Api<Pod> = Api::namespaced(client, "shop");
    let spec = json!({"nodeName": "arm-1", "containers": [{"name": "web", "image": "registry.invalid/web:1"}]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec});
    let pod: Pod = serde_json::from_value(pod).expect("a Pod");
    api.create(&PostParams::default(), &pod).await.expect("it can be made");
    let digest = Digest::parse(&format!("sha256:{}", "ab".repeat(32))).expect("64 hex digits");
    let status = json!({"name": "web", "image": "registry.invalid/web:1", "ready": true, "restartCount": 0,
        "imageID": format!("registry.invalid/web@{digest}")});
    let status = json!({"status": {"phase": "Running", "containerStatuses": [status]}});
    api.patch_status("web", &PatchParams::default(), &Patch::Merge(&status)).await.expect("it can be changed");

    let address = Reference::parse("registry.invalid/web:1").expect("a name").address();
    until("the tag is known", async || all_pods.pulled_in("shop", &address).is_some()).await;
    assert_eq!(all_pods.pulled(&address, |_| true).map(|pulled| pulled.digest), Some(digest.clone()));
    let running = all_pods.running("shop", &digest, &all_nodes).expect("it runs");
    assert_eq!(running.platforms, [arm]);
    api.delete("web", &DeleteParams::default().grace_period(0)).await.expect("it can be deleted");
    until("it is forgotten", async || all_pods.running("shop", &digest, &all_nodes).is_none()).await;
    assert_eq!(watches.states(), [("pods", WatchState::Current), ("nodes", WatchState::Current)]);
}

/// A kind that is not there yet.
#[derive(Debug, Clone, serde::Deserialize)]
struct Widget {
    metadata: ObjectMeta,
}

impl kube::Resource for Widget {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Widget".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "example.org".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "widgets".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl Sink<Widget> for Names {
    fn restart(&mut self) {}

    fn list(&mut self, object: Widget) {
        self.apply(object);
    }

    fn complete(&mut self) {}

    fn apply(&mut self, object: Widget) {
        self.0.lock().expect("nobody panics").extend(object.metadata.name);
    }

    fn delete(&mut self, _: Widget) {}

    fn len(&self) -> usize {
        self.0.lock().expect("nobody panics").len()
    }
}

const WIDGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Cluster
  names: {kind: Widget, plural: widgets}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_kind_that_may_be_missing_is_absent_until_its_definition_comes() {
    let cluster = Cluster::start().await;
    let watches = Watches::new(&prometheus::Registry::new()).expect("the registry is empty");
    let (health, names) = (watches.enter("widgets"), Names::default());
    let api: Api<Widget> = Api::all(connection(cluster.kubeconfig()).await.client());
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(api, Presence::Optional, health.clone(), names.clone()));
    health.listed().await;
    assert_eq!(health.state(), WatchState::Absent);
    let made = cluster.kubectl_with_input(&["create", "-f", "-"], WIDGETS);
    assert_eq!(made.code, Some(0), "{made:?}");
    until("it is current", async || health.state() == WatchState::Current).await;
    let widget = "{apiVersion: example.org/v1, kind: Widget, metadata: {name: one}}";
    until("an object can be made", async || cluster.kubectl_with_input(&["apply", "-f", "-"], widget).code == Some(0))
        .await;
    until("it is told", async || names.0.lock().expect("nobody panics").contains(&"one".to_owned())).await;
}
