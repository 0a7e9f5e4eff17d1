//! What stands for a Service and for those who keep its endpoints: a TCP forwarder on 127.0.0.1.
//!
//! As behind a Service, a new connection goes to the next of the backends that are ready, and stays with it whatever
//! happens to the backend or the list; without any backend that is ready it is closed at once. It has a runtime of its
//! own, so a test may wait in whatever way it likes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::cluster::steady_port;

/// How a kubelet asks whether a container is ready.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    pub period: Duration,
    /// An answer that takes longer is none.
    pub timeout: Duration,
    /// After so many answers in a row that are not 200 it is not ready; one that is 200 makes it ready.
    pub failures: u32,
}

impl Default for Probe {
    /// That of `manifests/base/deployment.yaml`, ten times as often, and with more patience: a busy machine is no fault.
    fn default() -> Self {
        Self { period: Duration::from_millis(200), timeout: Duration::from_secs(5), failures: 2 }
    }
}

/// It forwards until it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    state: Arc<Mutex<State>>,
    probes: Mutex<Vec<AbortHandle>>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<SocketAddr>,
    next: usize,
    /// How many connections each backend got.
    connections: BTreeMap<SocketAddr, usize>,
    /// Those that came while none was ready.
    refused: usize,
}

impl Forwarder {
    /// Without any backend.
    pub async fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime can be made");
        let state = Arc::new(Mutex::new(State::default()));
        let port = steady_port();
        let forwarding = Arc::clone(&state);
        let listening = runtime.spawn(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        let listener = listening.await.expect("binding does not panic").expect("the port is free");
        runtime.spawn(accept(listener, forwarding));
        Self { port, state, probes: Mutex::default(), runtime: Some(runtime) }
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on these are ready, and nobody is asked whether they are.
    pub fn backends(&self, ready: &[SocketAddr]) {
        self.stop_following();
        self.state().ready = ready.to_vec();
    }

    /// Those that are ready.
    #[must_use]
    pub fn ready(&self) -> Vec<SocketAddr> {
        self.state().ready.clone()
    }

    /// From now on each backend (where it answers reviews, where it answers probes) is ready while its `/readyz` says so.
    pub fn follow(&self, backends: Vec<(SocketAddr, SocketAddr)>, probe: Probe) {
        self.stop_following();
        // A backend that is still there is what it was until its probe says otherwise.
        self.state().ready.retain(|ready| backends.iter().any(|(backend, _)| backend == ready));
        let runtime = self.runtime.as_ref().expect("it is taken on dropping alone");
        let following = backends.into_iter().map(|(backend, admin)| {
            let state = Arc::clone(&self.state);
            runtime.spawn(follow(backend, admin, probe, state)).abort_handle()
        });
        held(&self.probes).extend(following);
    }

    fn stop_following(&self) {
        for probe in held(&self.probes).drain(..) {
            probe.abort();
        }
    }

    /// How many connections each backend got so far.
    #[must_use]
    pub fn connections(&self) -> BTreeMap<SocketAddr, usize> {
        self.state().connections.clone()
    }

    /// How many connections came while no backend was ready.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Also from within another runtime, which must not be made to wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl State {
    fn choose(&mut self) -> Option<SocketAddr> {
        if self.ready.is_empty() {
            self.refused += 1;
            return None;
        }
        self.next = (self.next + 1) % self.ready.len();
        let chosen = self.ready[self.next];
        *self.connections.entry(chosen).or_default() += 1;
        Some(chosen)
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((mut caller, _)) = listener.accept().await {
        let Some(backend) = held(&state).choose() else { continue };
        tokio::spawn(async move {
            // Dropping `caller` closes: a Service has no second choice for a connection either.
            let Ok(mut called) = TcpStream::connect(backend).await else { return };
            // Small writes must not wait for each other on either side.
            let _hints = (caller.set_nodelay(true), called.set_nodelay(true));
            // Until both have ended it, or either broke it.
            let _ended = tokio::io::copy_bidirectional(&mut caller, &mut called).await;
        });
    }
}

async fn follow(backend: SocketAddr, admin: SocketAddr, probe: Probe, state: Arc<Mutex<State>>) {
    let mut failed = 0;
    loop {
        let asked = tokio::task::spawn_blocking(move || get(admin, "/readyz", probe.timeout)).await;
        let answers = matches!(asked, Ok(Some((200, _))));
        failed = if answers { 0 } else { failed + 1 };
        {
            let ready = &mut held(&state).ready;
            let known = ready.contains(&backend);
            if answers && !known {
                ready.push(backend);
            } else if failed >= probe.failures {
                ready.retain(|ready| *ready != backend);
            }
        }
        tokio::time::sleep(probe.period).await;
    }
}

/// The status and the body of a plain HTTP answer; none where none comes in time.
#[must_use]
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Option<(u16, String)> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
