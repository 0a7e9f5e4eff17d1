//! The system's resolver, asked without letting one bad name server keep everybody else's names waiting.
//!
//! Each look-up is a thread of tokio's blocking pool until the system gives up, ten seconds and more, and names come
//! from whoever may create a Pod. So there are places for names that nobody has seen resolve, and others for those that
//! did; a look-up keeps its place until it ends, though nobody waits so long for it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Of tokio's 512 threads, which serve files too.
const PLACES: usize = 64;
/// Names that resolved: more registries than a cluster uses.
const NAMES: u64 = 1_000;
/// As long as is waited for a connection: the resolver sends again after five seconds, and nobody waits for that.
const WAIT: Duration = Duration::from_secs(3);

/// Who may look up how many names at once.
#[derive(Debug)]
pub(super) struct LookUps {
    resolved: Cache<Box<str>, ()>,
    strangers: Arc<Semaphore>,
    acquainted: Arc<Semaphore>,
}

/// One for the process, as is the pool of threads.
pub(super) static LOOK_UPS: LazyLock<LookUps> = LazyLock::new(LookUps::new);

impl LookUps {
    fn new() -> Self {
        let resolved = Cache::builder().max_capacity(NAMES).eviction_policy(EvictionPolicy::lru()).build();
        let places = || Arc::new(Semaphore::new(PLACES));
        Self { resolved, strangers: places(), acquainted: places() }
    }

    /// The addresses of a name, with port 0. `named`: the operator's own word, so it is no stranger.
    pub(super) async fn addresses(&self, name: &str, named: bool) -> io::Result<Vec<SocketAddr>> {
        let owned = name.to_owned();
        let look_up = async move { Ok(tokio::net::lookup_host((owned.as_str(), 0)).await?.collect()) };
        self.place(name, named, look_up).await
    }

    async fn place(
        &self,
        name: &str,
        named: bool,
        look_up: impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let acquainted = named || self.resolved.contains_key(name);
        let places = if acquainted { &self.acquainted } else { &self.strangers };
        let late = |what| io::Error::new(io::ErrorKind::TimedOut, what);
        let place = timeout(WAIT, Arc::clone(places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            return Err(late("too many names are being resolved"));
        };
        // A task of its own, so that the place is taken for as long as the thread is.
        let looking = tokio::spawn(async move {
            let found = look_up.await;
            drop(place);
            found
        });
        let found = timeout(WAIT, looking).await.map_err(|_| late("the name was not resolved in time"))?;
        let found = found.map_err(|_| io::Error::other("resolving the name failed"))??;
        self.resolved.insert(name.into(), ());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn never() -> io::Result<Vec<SocketAddr>> {
        std::future::pending().await
    }

    fn at_once() -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send {
        std::future::ready(Ok(vec![SocketAddr::from(([10, 0, 0, 1], 0))]))
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_never_resolve_keep_no_name_waiting_that_did() {
        let look_ups = Arc::new(LookUps::new());
        look_ups.place("ghcr.io", false, at_once()).await.unwrap();
        let stalled: Vec<_> = (0..PLACES)
            .map(|number| {
                let look_ups = Arc::clone(&look_ups);
                tokio::spawn(async move { look_ups.place(&format!("{number}.evil.example"), false, never()).await })
            })
            .collect();
        for stalled in stalled {
            assert_eq!(stalled.await.unwrap().unwrap_err().to_string(), "the name was not resolved in time");
        }
        // Their threads are still at it, though nobody waits.
        let another = look_ups.place("another.example", false, at_once()).await;
        assert_eq!(another.unwrap_err().to_string(), "too many names are being resolved");
        assert_eq!(look_ups.place("ghcr.io", false, at_once()).await.unwrap().len(), 1);
        assert_eq!(look_ups.place("mirror.example", true, at_once()).await.unwrap().len(), 1);
    }
}
