//! Nodes for a real API server, on which our own Pods really run: what scheduler, kubelet, kube-proxy and Pod network do,
//! as far as our Pods can tell.
//!
//! Pods are bound to nodes and get addresses. A container of an image that has a [`Workload`] is a process of this machine,
//! with arguments, environment and volumes as its Pod says (in a folder of its own: paths that it mounts are rewritten),
//! probed, restarted, and ended as kubelets do it; any other is said to run and to be ready. Services, Pods and the logs of
//! containers are reached through the API server's own network ([`Cluster::with_network`]), so that nothing that is
//! installed has to be changed for it: addresses and ports are those of the cluster, and no process listens but on
//! 127.0.0.1.
//!
//! Not as on nodes: no image is pulled, no limit holds, a process sees the whole machine, and the API server is reached by
//! `--kubeconfig`, since the place where Pods find their token is one for the whole machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::sync::Notify;

use super::Cluster;
use container::Journal;
use network::Network;
use node::Nodes;
use pod::Local;

mod command;
mod container;
mod logs;
mod network;
mod node;
mod pod;
mod status;
mod volumes;

/// How often everything is looked at: a roll-out of two replicas takes seconds.
const PACE: Duration = Duration::from_millis(100);
/// So many of the last lines of each log are shown where a test has failed.
const SHOWN: usize = 20;
/// So many of the last complaints are kept.
const COMPLAINTS: usize = 50;

/// What containers of an image run.
#[derive(Debug, Clone)]
pub struct Workload {
    image: String,
    binary: String,
    appended: Vec<(String, Vec<String>)>,
    environment: Vec<(String, String)>,
}

impl Workload {
    /// An image by its repository, whatever its tag or digest, is this program.
    #[must_use]
    pub fn new(image: &str, binary: &str) -> Self {
        Self { image: image.to_owned(), binary: binary.to_owned(), appended: Vec::new(), environment: Vec::new() }
    }

    /// Arguments beside those that the Pod gives, where its first one is `subcommand`. In them `{kubeconfig}` is a kubeconfig
    /// with the token that the Pod mounts, `{port:NAME}` the address at which its port of that name is forwarded to, and
    /// `{service:NAMESPACE/NAME:PORT}` an address of this machine that stands for a Service.
    #[must_use]
    pub fn appends(mut self, subcommand: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self.appended.push((subcommand.to_owned(), arguments));
        self
    }

    /// A variable beside those that the Pod gives.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn runs(&self, image: &str) -> bool {
        repository(image) == self.image
    }
}

/// An image without its tag and its digest.
fn repository(image: &str) -> &str {
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    match named.rsplit_once(':') {
        // What follows the colon of a port has a slash.
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => named,
    }
}

/// Nodes are ready, and Pods run on them, until it is dropped; then their processes are ended.
pub struct Kubelet {
    shared: Arc<Shared>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// What those who look on may see.
struct Shared {
    network: Arc<Network>,
    journals: Mutex<BTreeMap<String, Journal>>,
    complaints: Mutex<Vec<String>>,
}

impl Kubelet {
    /// For a cluster [`Cluster::with_network`]; returns when the nodes are there.
    pub async fn start(cluster: &Cluster, nodes: usize, workloads: Vec<Workload>) -> Self {
        let (told, started) = tokio::sync::oneshot::channel();
        let stop = Arc::<Notify>::default();
        let stopped = Arc::clone(&stop);
        let (kubeconfig, server) = (cluster.kubeconfig().to_owned(), cluster.server());
        let (folder, socket) = (cluster.folder().join("pods"), cluster.network());
        let run = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime can be made");
            runtime.block_on(async {
                let network = Network::open(&socket);
                let shared = Shared { network, journals: Mutex::default(), complaints: Mutex::default() };
                let shared = Arc::new(shared);
                let port = logs::serve(&shared).await;
                let client = Cluster::client_of(&kubeconfig).await;
                let nodes = Nodes::register(&client, nodes, port).await;
                let _listener_left = told.send(Arc::clone(&shared));
                let surroundings = Surroundings { client, server, folder, workloads, shared };
                tokio::select! {
                    () = stopped.notified() => {}
                    () = surroundings.keep(nodes) => {}
                }
            });
            // Probes and connections that go on are nobody's.
            runtime.shutdown_background();
        };
        let thread = Some(std::thread::spawn(run));
        let shared = started.await.expect("the nodes can be registered");
        Self { shared, stop, thread }
    }

    /// A port of 127.0.0.1 that forwards to a port of a Service, for who is not in the cluster.
    #[must_use]
    pub fn door(&self, namespace: &str, service: &str, port: u16) -> u16 {
        self.shared.network.door(namespace, service, port)
    }

    /// Where a port of a Pod is really listened at; none: the Pod is away, or nobody listens.
    #[must_use]
    pub fn listens(&self, pod_ip: &str, port: u16) -> Option<std::net::SocketAddr> {
        self.shared.network.pod(pod_ip, port)
    }

    /// Everything that the containers of a Pod have printed, also of one that is gone.
    #[must_use]
    pub fn log(&self, namespace: &str, pod: &str) -> String {
        let prefix = format!("{namespace}/{pod}/");
        let journals = held(&self.shared.journals);
        journals.iter().filter(|(name, _)| name.starts_with(&prefix)).map(|(_, journal)| journal.text()).collect()
    }

    /// What to print when a test has failed: what did not work here, how often a Service had no endpoint, and the end of
    /// each log.
    #[must_use]
    pub fn account(&self) -> String {
        let complaints = held(&self.shared.complaints).clone();
        let refused = format!("{} connections found nobody", self.shared.network.refused());
        let journals = held(&self.shared.journals);
        let logs = journals.iter().map(|(name, journal)| {
            let log = journal.text();
            let lines: Vec<&str> = log.lines().collect();
            format!("--- {name}\n{}", lines[lines.len().saturating_sub(SHOWN)..].join("\n"))
        });
        complaints.into_iter().chain([refused]).chain(logs).collect::<Vec<_>>().join("\n")
    }

    /// How many connections to Services found no endpoint.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.network.refused()
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // What it panicked with stands in the output already.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    /// Said once, however often it happens.
    fn complain(&self, what: String) {
        let mut complaints = held(&self.complaints);
        if complaints.last() != Some(&what) {
            complaints.push(what);
        }
        let surplus = complaints.len().saturating_sub(COMPLAINTS);
        complaints.drain(..surplus);
    }
}

/// What every Pod needs to be run.
struct Surroundings {
    client: Client,
    server: String,
    folder: PathBuf,
    workloads: Vec<Workload>,
    shared: Arc<Shared>,
}

impl Surroundings {
    async fn keep(&self, mut nodes: Nodes) {
        let mut pods = BTreeMap::new();
        loop {
            if let Err(error) = self.look(&mut nodes, &mut pods).await {
                // An API server that is away is asked again.
                self.shared.complain(format!("looking at the cluster: {error}"));
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn look(&self, nodes: &mut Nodes, local: &mut BTreeMap<String, Local>) -> kube::Result<()> {
        // What the API server has in its cache will do: the next look is soon.
        let any = ListParams::default().match_any();
        nodes.stay_ready(&self.client).await?;
        let pods = Api::<Pod>::all(self.client.clone()).list(&any).await?.items;
        nodes.bind(&self.client, &pods).await?;
        let uids: Vec<&str> = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        // Those that were deleted by force are gone at once.
        local.retain(|uid, _| uids.contains(&uid.as_str()));
        for pod in pods.iter().filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())) {
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            let known = local.entry(uid).or_insert_with(|| Local::new(self, pod));
            if let Err(error) = known.advance(self, pod).await {
                self.shared.complain(format!("{}: {error}", known.name()));
            }
        }
        let services = Api::<Service>::all(self.client.clone()).list(&any).await?.items;
        let slices = Api::<EndpointSlice>::all(self.client.clone()).list(&any).await?.items;
        self.shared.network.follow(&services, &slices);
        Ok(())
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_known_by_its_repository_whatever_the_tag_or_digest() {
        let workload = Workload::new("registry.invalid:5000/team/web", "web");
        assert!(workload.runs("registry.invalid:5000/team/web:1"));
        assert!(workload.runs("registry.invalid:5000/team/web:1@sha256:00"));
        assert!(workload.runs("registry.invalid:5000/team/web"));
        assert!(!workload.runs("registry.invalid:5000/team/web2:1"));
        assert!(!workload.runs("registry.invalid/team/web:1"));
    }
}
