//! A listener: accepts within the bounds, and goes away without losing a request.
//!
//! The drain: [`Running::drain`] first says so (readiness, `Connection: close`) and goes on accepting while Services
//! still send callers here, then closes the door, says GOAWAY, and lets what is in flight finish within the grace.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::server::capacity::Capacity;
use crate::server::connection::{Host, welcome};
use crate::server::{Bounds, Drain};

/// How long to wait after a failed accept: it fails for want of files or memory, and those come back when others leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; choose an address of this machine and a port that is free")]
pub struct ListenError {
    pub address: SocketAddr,
    #[source]
    pub source: io::Error,
}

/// Listens on `address` and answers with `router`, over TLS where a configuration is given.
pub async fn listen(
    address: SocketAddr,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: &Bounds,
    drain: Drain,
) -> Result<Running, ListenError> {
    let failed = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let host = Arc::new(Host::new(router, tls.map(TlsAcceptor::from), bounds.clone()));
    let door = Door { listener, host, capacity: Capacity::new(seats(bounds)), stopped };
    let (settle, grace) = (bounds.settle, bounds.grace);
    Ok(Running { address, drain, stop, settle, task: tokio::spawn(door.keep(grace)) })
}

/// A listener at work; dropping it cuts every connection.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    drain: Drain,
    stop: watch::Sender<bool>,
    settle: Duration,
    task: JoinHandle<usize>,
}

impl Running {
    /// Where it listens; the port is known even if port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when nobody accepts any more though nobody asked for a drain: a bug of ours, and the end of all answers.
    pub async fn broken(&mut self) {
        let ended = (&mut self.task).await;
        tracing::error!(address = %self.address, ?ended, "the listener ended by itself; please report it as a bug");
    }

    /// Drains as described above and returns how many connections had to be cut when the grace was over.
    pub async fn drain(mut self) -> usize {
        self.drain.start();
        tokio::time::sleep(self.settle).await;
        self.stop.send_replace(true);
        match (&mut self.task).await {
            Ok(cut) => cut,
            Err(error) => {
                tracing::error!(%error, "the listener ended in a panic; please report it as a bug");
                0
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Door {
    listener: TcpListener,
    host: Arc<Host>,
    capacity: Arc<Capacity>,
    stopped: watch::Receiver<bool>,
}

impl Door {
    async fn keep(self, grace: Duration) -> usize {
        let mut stopped = self.stopped.clone();
        let mut guests = JoinSet::new();
        loop {
            tokio::select! {
                () = closing(&mut stopped) => break,
                Some(ended) = guests.join_next() => report(ended),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer, &mut guests),
                    Err(error) => {
                        self.host.complain(&format_args!("cannot accept connections: {error}"));
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        let farewell = async { while guests.join_next().await.map(report).is_some() {} };
        if tokio::time::timeout(grace, farewell).await.is_ok() {
            return 0;
        }
        // Dropping the set cuts those that are left.
        guests.len()
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, guests: &mut JoinSet<()>) {
        match self.capacity.seat() {
            Some(place) => {
                guests.spawn(welcome(stream, peer, Arc::clone(&self.host), place, self.stopped.clone()));
            }
            None => self.host.complain(&format_args!("no room for {peer}: every connection is having a review judged")),
        }
    }
}

/// Returns when the door is closed, or nobody is left who could close it.
pub(super) async fn closing(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection ended in a panic; please report it as a bug");
    }
}

/// The bound on connections, within half of the files that we may open; the rest is for registries, caches and logs.
/// The soft limit of files is raised to the hard one first, as Go's runtime does: containers often start at 1,024.
fn seats(bounds: &Bounds) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let half = files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    if half < bounds.connections {
        tracing::warn!(connections = half, "fewer connections than usual: raise the limit of open files (ulimit -n)");
    }
    bounds.connections.min(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_that_ends_by_itself_is_noticed() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut running = listen(address, Router::new(), None, &Bounds::admin(), Drain::default()).await.unwrap();
        let moment = Duration::from_millis(50);
        tokio::time::timeout(moment, running.broken()).await.expect_err("it is at work");
        running.task.abort();
        tokio::time::timeout(Duration::from_secs(10), running.broken()).await.expect("it has ended");
    }
}
