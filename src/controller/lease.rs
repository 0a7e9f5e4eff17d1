//! Which replica does what only one should do: a Lease (`coordination.k8s.io/v1`) in our namespace.
//!
//! Nothing that a review depends on asks for it. Two who both believe to hold it for a moment do no harm: what they write is
//! the same, or is refused by its resourceVersion.
//!
//! As client-go does it: whoever finds a record that has not changed for as long as it was to last, by their own clock, puts
//! themselves into it, with the resourceVersion that they read. No two clocks are compared. Whoever cannot renew it any more
//! stops believing to hold it before anybody else can take it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::evidence::cluster::connection::Connection;

use super::Names;
use super::certificate::trouble::{Asked, Told, Trouble, ask};

/// As long a record stands without being renewed. Nothing that waits for it is in a hurry.
const DURATION: Duration = Duration::from_secs(15);
/// The same for the record.
const DURATION_SECONDS: i32 = 15;
/// Between two tries to renew or to take it.
const TRY_EVERY: Duration = Duration::from_secs(3);
/// As long a holder may go on without having renewed: it gives up before others may take over.
const BELIEVED: Duration = Duration::from_secs(10);

/// Whether this replica holds the Lease. All clones are one.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    #[must_use]
    pub fn held(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is gained or lost.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Whoever told of it ended, and nothing will change any more.
            std::future::pending::<()>().await;
        }
    }

    /// Held for ever, by whoever is alone; for tests too.
    #[must_use]
    pub fn always() -> Self {
        Self(watch::channel(true).1)
    }
}

/// Contends for the Lease until the process ends; the second part is to be run.
#[expect(clippy::needless_pass_by_value, reason = "as all that runs until the process ends is given its connection")]
pub fn contend(connection: Connection, names: &Names) -> (Leadership, impl Future<Output = ()> + Send + use<>) {
    let (sender, receiver) = watch::channel(false);
    let contender = Contender {
        client: connection.client(),
        namespace: names.namespace.clone(),
        name: names.lease(),
        replica: names.replica.clone(),
        found: None,
    };
    (Leadership(receiver), contender.run(sender))
}

struct Contender {
    client: Client,
    namespace: String,
    name: String,
    replica: String,
    /// The record as it was found last, and since when it is so.
    found: Option<(Option<LeaseSpec>, Instant)>,
}

impl Contender {
    async fn run(mut self, held: watch::Sender<bool>) {
        let told = Told::default();
        let mut renewed: Option<Instant> = None;
        loop {
            // Before it is asked: by then the record may be a little older than the answer.
            let asked = Instant::now();
            let left = renewed.map_or(BELIEVED, |renewed| (renewed + BELIEVED).saturating_duration_since(asked));
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {
                    told.tell("the lease", Ok(()));
                    renewed = Some(asked);
                }
                Ok(Ok(false)) => {
                    told.tell("the lease", Ok(()));
                    renewed = None;
                }
                Ok(Err(trouble)) => {
                    told.tell::<()>("the lease", Err(trouble));
                    renewed = renewed.filter(|renewed| renewed.elapsed() < BELIEVED);
                }
                // It was held, and could not be renewed in time.
                Err(_) => {
                    let words = format!("the API server did not answer within {BELIEVED:?}, and the lease is given up");
                    told.tell::<()>("the lease", Err(Trouble::away(words)));
                    renewed = None;
                }
            }
            let holds = renewed.is_some();
            if held.send_if_modified(|held| std::mem::replace(held, holds) != holds) {
                tracing::info!(holds, lease = %self.name, "the lease");
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    /// Whether it is ours now.
    async fn attempt(&mut self) -> Result<bool, Trouble> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = self.name.clone();
        let asked = |verb| Asked { verb, resource: "leases.coordination.k8s.io", name: &name, role: "Role" };
        let Some(mut lease) = ask(asked("get"), api.get_opt(&name)).await? else {
            let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.record(None)) };
            return mine(ask(asked("create"), api.create(&PostParams::default(), &lease)).await);
        };
        if !self.is_free(lease.spec.as_ref()) {
            return Ok(false);
        }
        lease.spec = Some(self.record(lease.spec.as_ref()));
        mine(ask(asked("update"), api.replace(&name, &PostParams::default(), &lease)).await)
    }

    /// Ours, nobody's, or not renewed for as long as it was to last.
    fn is_free(&mut self, spec: Option<&LeaseSpec>) -> bool {
        let since = match &self.found {
            Some((found, since)) if found.as_ref() == spec => *since,
            Some(_) | None => {
                let now = Instant::now();
                self.found = Some((spec.cloned(), now));
                now
            }
        };
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let lasts = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        // Whatever somebody wrote there: none of us asks for longer.
        let lasts = lasts.map_or(DURATION, Duration::from_secs).min(DURATION);
        holder.is_empty() || holder == self.replica || since.elapsed() >= lasts
    }

    fn record(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let before = before.cloned().unwrap_or_default();
        let ours = before.holder_identity.as_deref() == Some(&self.replica);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            acquire_time: if ours { before.acquire_time.clone() } else { Some(now.clone()) },
            holder_identity: Some(self.replica.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            renew_time: Some(now),
            ..before
        }
    }
}

/// Somebody else being first is no trouble: they have it.
fn mine(written: Result<Lease, Trouble>) -> Result<bool, Trouble> {
    match written {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_conflict() => Ok(false),
        Err(trouble) => Err(trouble),
    }
}
