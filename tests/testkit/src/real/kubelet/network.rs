//! What kube-proxy and the Pod network do for the API server: connections to the addresses of Services and Pods, asked for
//! at a socket by HTTP CONNECT, and doors for who is outside.
//!
//! As behind kube-proxy, a new connection to a Service goes to the next of its ready endpoints (where none is ready, of those
//! that end and still serve) and stays with it; without any it is refused at once. Endpoints are what the real endpoint
//! controller says.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Handle;

use super::held;
use crate::real::cluster::steady_port;

/// A request to connect is a line or two.
const REQUEST: usize = 4096;

pub(super) struct Network {
    table: Mutex<Table>,
    doors: Mutex<BTreeMap<String, u16>>,
    runtime: Handle,
}

#[derive(Default)]
struct Table {
    /// Which port of which Service an address and a port are.
    services: BTreeMap<(String, u16), String>,
    /// Where the endpoints of a port of a Service really listen, by `namespace/name:port`.
    endpoints: BTreeMap<String, Vec<SocketAddr>>,
    /// Where a port of a Pod is really listened at.
    pods: BTreeMap<(String, u16), SocketAddr>,
    next: usize,
    refused: usize,
}

impl Network {
    pub(super) fn open(socket: &Path) -> Arc<Self> {
        let network = Self { table: Mutex::default(), doors: Mutex::default(), runtime: Handle::current() };
        let network = Arc::new(network);
        let listener = UnixListener::bind(socket).expect("one Kubelet is enough for a cluster");
        let accepting = Arc::clone(&network);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(tunnel(caller, Arc::clone(&accepting)));
            }
        });
        network
    }

    /// A port of a Pod is listened at somewhere else.
    pub(super) fn forward(&self, ip: &str, port: u16, to: SocketAddr) {
        held(&self.table).pods.insert((ip.to_owned(), port), to);
    }

    /// Nobody listens at a Pod any more.
    pub(super) fn forget(&self, ip: &str) {
        held(&self.table).pods.retain(|(known, _), _| known != ip);
    }

    pub(super) fn pod(&self, ip: &str, port: u16) -> Option<SocketAddr> {
        held(&self.table).pods.get(&(ip.to_owned(), port)).copied()
    }

    pub(super) fn refused(&self) -> usize {
        held(&self.table).refused
    }

    /// What Services there are, and who is behind them.
    pub(super) fn follow(&self, services: &[Service], slices: &[EndpointSlice]) {
        let mut table = held(&self.table);
        table.services.clear();
        let mut endpoints = BTreeMap::new();
        for service in services {
            let (Some(namespace), Some(name)) = (&service.metadata.namespace, &service.metadata.name) else { continue };
            let Some(spec) = &service.spec else { continue };
            for port in spec.ports.iter().flatten() {
                let Ok(number) = u16::try_from(port.port) else { continue };
                let key = format!("{namespace}/{name}:{number}");
                for ip in spec.cluster_ips.iter().flatten() {
                    table.services.insert((ip.clone(), number), key.clone());
                }
                let ours = slices.iter().filter(|slice| {
                    let label = |name: &str| slice.metadata.labels.as_ref().and_then(|labels| labels.get(name));
                    slice.metadata.namespace.as_ref() == Some(namespace)
                        && label("kubernetes.io/service-name") == Some(name)
                });
                endpoints.insert(key, behind(ours, port.name.as_deref().unwrap_or_default(), &table.pods));
            }
        }
        table.endpoints = endpoints;
    }

    /// A port of 127.0.0.1 that stands for a port of a Service.
    pub(super) fn door(self: &Arc<Self>, namespace: &str, service: &str, port: u16) -> u16 {
        let key = format!("{namespace}/{service}:{port}");
        *held(&self.doors).entry(key.clone()).or_insert_with(|| {
            let door = steady_port();
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, door)).expect("the port is free");
            listener.set_nonblocking(true).expect("a listener can be set so");
            let network = Arc::clone(self);
            self.runtime.spawn(async move {
                let listener = TcpListener::from_std(listener).expect("a listener stays one");
                while let Ok((caller, _)) = listener.accept().await {
                    let Some(endpoint) = held(&network.table).choose(&key) else { continue };
                    tokio::spawn(async move {
                        let Ok(backend) = TcpStream::connect(endpoint).await else { return };
                        let _hint = caller.set_nodelay(true);
                        join(caller, backend).await;
                    });
                }
            });
            door
        })
    }

    fn route(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let mut table = held(&self.table);
        let address = (host.to_owned(), port);
        if let Some(key) = table.services.get(&address).cloned() {
            return table.choose(&key);
        }
        // Kubelets, and what an ExternalName names, are on this machine; nothing leaves it.
        let here = matches!(host, "localhost" | "127.0.0.1").then_some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        table.pods.get(&address).copied().or(here)
    }
}

impl Table {
    fn choose(&mut self, key: &str) -> Option<SocketAddr> {
        let endpoints = self.endpoints.get(key).map(Vec::as_slice).unwrap_or_default();
        if endpoints.is_empty() {
            self.refused += 1;
            return None;
        }
        self.next += 1;
        Some(endpoints[self.next % endpoints.len()])
    }
}

/// Who listens behind a port of a Service.
fn behind<'slice>(
    slices: impl Iterator<Item = &'slice EndpointSlice>,
    port: &str,
    pods: &BTreeMap<(String, u16), SocketAddr>,
) -> Vec<SocketAddr> {
    let (mut ready, mut ending) = (Vec::new(), Vec::new());
    for slice in slices {
        let named = slice.ports.iter().flatten().find(|its| its.name.as_deref().unwrap_or_default() == port);
        let Some(number) = named.and_then(|its| u16::try_from(its.port?).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            let at = endpoint.addresses.iter().filter_map(|ip| pods.get(&(ip.clone(), number)).copied());
            if conditions.ready != Some(false) {
                ready.extend(at);
            } else if conditions.serving == Some(true) && conditions.terminating == Some(true) {
                ending.extend(at);
            }
        }
    }
    if ready.is_empty() { ending } else { ready }
}

/// One connection of the API server: to whom, and then back and forth.
async fn tunnel(mut caller: tokio::net::UnixStream, network: Arc<Network>) {
    let Some((host, port)) = target(&mut caller).await else { return };
    let backend = match network.route(&host, port) {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    let Some(backend) = backend else {
        let _caller_left = caller.write_all(b"HTTP/1.1 503 connection refused\r\nContent-Length: 0\r\n\r\n").await;
        return;
    };
    if caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
        join(caller, backend).await;
    }
}

/// Reads `CONNECT host:port HTTP/1.1` and the lines that follow, to the empty one.
async fn target(caller: &mut (impl AsyncRead + Unpin)) -> Option<(String, u16)> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < REQUEST {
        request.push(caller.read_u8().await.ok()?);
    }
    let request = String::from_utf8(request).ok()?;
    let (host, port) = request.strip_prefix("CONNECT ")?.split_once(" HTTP/1.1\r\n")?.0.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}

async fn join(mut caller: impl AsyncRead + AsyncWrite + Unpin, mut backend: TcpStream) {
    // Small writes must not wait for each other.
    let _hint = backend.set_nodelay(true);
    // Until both have ended it, or either broke it.
    let _ended = tokio::io::copy_bidirectional(&mut caller, &mut backend).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(endpoints: &serde_json::Value) -> EndpointSlice {
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1"}, "ports": [{"name": "https", "port": 8443}], "endpoints": endpoints});
        serde_json::from_value(slice).unwrap()
    }

    fn endpoint(ip: &str, ready: bool, terminating: bool) -> serde_json::Value {
        json!({"addresses": [ip], "conditions": {"ready": ready, "serving": true, "terminating": terminating}})
    }

    #[test]
    fn connections_go_to_ready_endpoints_and_to_ending_ones_only_where_there_is_no_other() {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let pods = BTreeMap::from([
            (("10.244.0.1".to_owned(), 8443), address(1)),
            (("10.244.0.2".to_owned(), 8443), address(2)),
        ]);
        let (ready, ending) = (endpoint("10.244.0.1", true, false), endpoint("10.244.0.2", false, true));
        let behind = |endpoints, port| behind([slice(&endpoints)].iter(), port, &pods);
        assert_eq!(behind(json!([ready, ending]), "https"), [address(1)]);
        assert_eq!(behind(json!([ending]), "https"), [address(2)]);
        assert!(behind(json!([endpoint("10.244.0.1", false, false)]), "https").is_empty());
        assert!(behind(json!([ready]), "metrics").is_empty());
    }
}
