//! The nodes: that they are there and ready, and which Pod is on which.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::{Value, json};

/// After forty seconds without a word a node is taken to be dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) struct Nodes {
    names: Vec<String>,
    heard: Instant,
    port: u16,
}

impl Nodes {
    /// `node-1`, `node-2`, ..., each in a zone of its own; their kubelets answer at `port`.
    pub(super) async fn register(client: &Client, count: usize, port: u16) -> Self {
        let names: Vec<String> = (1..=count).map(|number| format!("node-{number}")).collect();
        let nodes = Api::<Node>::all(client.clone());
        for name in &names {
            let labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": format!("zone-of-{name}")});
            let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
            let node = serde_json::from_value(node).expect("it is a Node");
            nodes.create(&PostParams::default(), &node).await.expect("a node can be made");
        }
        let nodes = Self { names, heard: Instant::now(), port };
        nodes.say_ready(client).await.expect("a node can say that it is ready");
        nodes
    }

    pub(super) async fn stay_ready(&mut self, client: &Client) -> kube::Result<()> {
        if self.heard.elapsed() < HEARTBEAT {
            return Ok(());
        }
        self.heard = Instant::now();
        self.say_ready(client).await
    }

    async fn say_ready(&self, client: &Client) -> kube::Result<()> {
        for name in &self.names {
            let patch = Patch::Merge(json!({"status": self.status()}));
            Api::<Node>::all(client.clone()).patch_status(name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    fn status(&self) -> Value {
        let now = jiff::Timestamp::now().to_string();
        let room = json!({"cpu": "8", "memory": "16Gi", "pods": "110"});
        json!({
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready",
                "lastHeartbeatTime": now, "lastTransitionTime": now}],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "osImage": "test",
                "kernelVersion": "0", "machineID": "", "systemUUID": "", "bootID": "", "kubeProxyVersion": "",
                "containerRuntimeVersion": "processes://0", "kubeletVersion": "v1.36.3"},
        })
    }

    /// As many of the Pods that one controller made on each node, of those that take any.
    pub(super) async fn bind(&self, client: &Client, pods: &[Pod]) -> kube::Result<()> {
        let mut waiting = pods.iter().filter(|pod| waits(pod)).peekable();
        if waiting.peek().is_none() {
            return Ok(());
        }
        let known = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
        let closed: Vec<String> = known
            .items
            .into_iter()
            .filter(|node| node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)))
            .filter_map(|node| node.metadata.name)
            .collect();
        let mut bound = BTreeMap::<(String, String), usize>::new();
        for pod in pods {
            if let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) {
                *bound.entry((owner(pod), node)).or_default() += 1;
            }
        }
        for pod in waiting {
            let count = |node: &String| bound.get(&(owner(pod), node.clone())).copied().unwrap_or_default();
            let open = self.names.iter().filter(|node| !closed.contains(node));
            let Some(node) = open.min_by_key(|node| count(node)).cloned() else { continue };
            bind(client, pod, &node).await?;
            *bound.entry((owner(pod), node)).or_default() += 1;
        }
        Ok(())
    }
}

fn waits(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    pod.metadata.deletion_timestamp.is_none()
        && spec.is_some_and(|spec| spec.node_name.is_none() && spec.scheduling_gates.is_none())
}

fn owner(pod: &Pod) -> String {
    let owners = pod.metadata.owner_references.iter().flatten();
    owners.map(|owner| owner.uid.clone()).next().or_else(|| pod.metadata.uid.clone()).unwrap_or_default()
}

async fn bind(client: &Client, pod: &Pod, node: &str) -> kube::Result<()> {
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let all = PostParams::default();
    match pods.create_subresource::<_, Status>("binding", name, &all, &binding).await {
        // Bound by the look before, or gone by now.
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
