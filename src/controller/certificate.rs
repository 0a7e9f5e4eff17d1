//! Our own certificates in a cluster: a CA and a leaf in a Secret that all replicas share, and the `caBundle` of our
//! webhook configuration.
//!
//! At any moment every replica shows a leaf that the bundle in force vouches for: a new CA is in the bundle before it signs
//! anything that is shown, and an old one leaves it when nothing of it is valid any more (`rotation`). Secret and
//! configuration are read by name every few seconds; only the holder of the lease writes, and what it writes carries the
//! resourceVersion that it read. A Secret that somebody spoils or deletes takes no certificate out of use: what is gone is
//! made anew beside what the replicas still show. That is the way to have a new CA before its time, too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::evidence::cluster::connection::Connection;
use crate::request::printable;
use crate::server::admin::PartStatus;
use crate::server::tls::Identity;
use crate::server::tls::issue::Authority;

use super::Names;
use super::lease::Leadership;

use bundle::{Live, Present};
use replica::{Found, Replica};
use rotation::{State, Subject};
use secret::{Place, Stored};
use trouble::{Told, Trouble};

mod bundle;
mod replica;
mod rotation;
mod secret;
pub(in crate::controller) mod trouble;

/// Between two looks at the Secret and the configuration: two small reads of each replica.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes of what is wrong with a Secret, in a message.
const EXCERPT: usize = 300;

/// Keeps Secret, identity and bundle in step.
pub struct Keeper {
    connection: Connection,
    configuration: String,
    place: Place,
    memory: Mutex<Memory>,
    troubles: Troubles,
}

/// How it is with reading the Secret, with what stands in it, with writing it, and with the bundle.
#[derive(Default)]
struct Troubles {
    reading: Told,
    contents: Told,
    writing: Told,
    bundle: Told,
    writing_bundle: Told,
}

/// What it knows, and the identity in which it is shown.
struct Memory {
    replica: Replica,
    identity: Option<Arc<Identity>>,
}

impl Keeper {
    #[must_use]
    pub fn new(connection: Connection, names: Names) -> Self {
        let place = Place { name: names.secret(), namespace: names.namespace.clone(), host: names.host() };
        let replica = Replica::new(Subject::new(names.host()));
        Self {
            connection,
            configuration: names.webhook_configuration,
            place,
            memory: Mutex::new(Memory { replica, identity: None }),
            troubles: Troubles::default(),
        }
    }

    /// The certificate of the Secret, which is made where there is none. Waits for the API server, and says so in the log.
    pub async fn obtain(&self) -> Arc<Identity> {
        loop {
            self.look_at_the_bundle().await;
            let stored = self.look_at_the_secret().await;
            if let Some(stored) = stored
                && self.memory().replica.starts_anew()
            {
                self.write_the_secret(stored).await;
            }
            if let Some(identity) = &self.memory().identity {
                return Arc::clone(identity);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes over what is new, renews what is due, and writes the bundle, until the process ends.
    pub async fn keep(self: Arc<Self>, mut leadership: Leadership) {
        loop {
            self.look(leadership.held()).await;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = leadership.changed() => {}
            }
        }
    }

    /// For `/readyz`: what stands in the way of a renewal or of the bundle.
    #[must_use]
    pub fn status(&self) -> PartStatus {
        let Troubles { reading, contents, writing, bundle, writing_bundle } = &self.troubles;
        let told = [reading, contents, writing, bundle, writing_bundle];
        let words: Vec<_> = told.iter().filter_map(|told| told.trouble()).map(|trouble| trouble.words).collect();
        if self.memory().replica.is_not_believed_yet() {
            let also = words.iter().map(|words| format!("; {words}")).collect::<String>();
            return PartStatus::NotReady(format!("no API server trusts our certificate yet{also}"));
        }
        if words.is_empty() { PartStatus::Ready } else { PartStatus::Degraded(words.join("; ")) }
    }

    /// The configuration first: what the Secret says is then not older than the bundle that is replaced.
    async fn look(&self, leads: bool) {
        let live = self.look_at_the_bundle().await;
        let Some(stored) = self.look_at_the_secret().await else { return };
        if !leads {
            return;
        }
        let Some(state) = self.write_the_secret(stored).await else { return };
        if let Some(Live::Present(present)) = live
            && !present.injected
            && present.differs(&state.authorities)
        {
            self.write_the_bundle(&present, &state.authorities).await;
        }
    }

    async fn look_at_the_bundle(&self) -> Option<Live> {
        let live = match bundle::look(self.connection.client(), &self.configuration).await {
            Ok(live) => live,
            // What was seen stays seen: it is we who cannot look.
            Err(trouble) => return self.troubles.bundle.tell("the bundle of CAs", Err(trouble)),
        };
        let (trusted, trouble) = match &live {
            Live::Missing(words) => (Vec::new(), Some(Trouble::unusable(words.clone()))),
            Live::Present(present) => (present.trusted(), present.injected.then(|| injected(&self.configuration))),
        };
        self.troubles.bundle.tell("the bundle of CAs", trouble.map_or(Ok(()), Err));
        self.memory().replica.look(Timestamp::now(), &trusted);
        Some(live)
    }

    /// Whether there is a Secret, where it could be asked for; what can be shown of it is shown.
    async fn look_at_the_secret(&self) -> Option<Option<Stored>> {
        let read = self.place.read(self.connection.client()).await;
        let mut stored = self.troubles.reading.tell("the Secret with our certificates", read)?;
        let now = Timestamp::now();
        let flaws = stored.as_mut().map(|stored| stored.examine(&self.place.host, now).to_vec()).unwrap_or_default();
        let trouble = match &stored {
            None => Some(format!("the Secret {} is gone; the replica with the lease makes it anew", self.place.name)),
            Some(_) if flaws.is_empty() => None,
            Some(_) => Some(format!(
                "the Secret {} cannot be used as it is ({}); what was in use stays so, and the replica with the lease mends it",
                self.place.name,
                printable(&flaws.join(", "), EXCERPT)
            )),
        };
        let mut memory = self.memory();
        // At the first start there is none, and that is nothing to tell.
        let told = trouble.filter(|_| stored.is_some() || memory.identity.is_some());
        self.troubles
            .contents
            .tell("the Secret with our certificates", told.map_or(Ok(()), |words| Err(Trouble::unusable(words))));
        memory.take(now, stored.as_ref().map(Stored::found));
        Some(stored)
    }

    /// What is in the Secret after all that is due was written; None where it could not be.
    async fn write_the_secret(&self, stored: Option<Stored>) -> Option<State> {
        let what = "writing the Secret with our certificates";
        let due = self.memory().replica.due(Timestamp::now(), stored.as_ref().map(Stored::found));
        let due = due.map_err(|error| Trouble::unusable(crate::server::tls::chain_of_causes(&error)));
        let state = self.troubles.writing.tell(what, due)?;
        if stored.as_ref().is_some_and(|stored| stored.state == state && stored.flaws.is_empty()) {
            return Some(state);
        }
        let client = self.connection.client();
        let written = match stored {
            Some(stored) => self.place.replace(client, stored, &state).await,
            None => self.place.create(client, &state).await,
        };
        // Where somebody else was first, the next look sees what they wrote.
        if !self.troubles.writing.tell(what, written)? {
            return None;
        }
        let expires = state.leaf.as_ref().map(|leaf| leaf.until().to_string());
        tracing::info!(authorities = state.authorities.len(), expires, "wrote the Secret with our certificates");
        self.memory().take(Timestamp::now(), Some(Found { state: &state, whole: true }));
        Some(state)
    }

    async fn write_the_bundle(&self, present: &Present, authorities: &[Authority]) {
        let client = self.connection.client();
        let written = bundle::write(client, &self.configuration, present, authorities).await;
        if self.troubles.writing_bundle.tell("writing the bundle of CAs", written) == Some(true) {
            tracing::info!(authorities = authorities.len(), configuration = %self.configuration, "wrote the bundle of CAs");
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn take(&mut self, now: Timestamp, found: Option<Found<'_>>) {
        let Some(leaf) = self.replica.take(now, found) else { return };
        let pair = Arc::clone(leaf.pair());
        match &self.identity {
            Some(identity) => identity.replace(pair),
            None => self.identity = Some(Arc::new(Identity::shared(pair))),
        }
        tracing::info!(expires = %leaf.until(), "certificate of the cluster's Secret in use");
    }
}

fn injected(configuration: &str) -> Trouble {
    Trouble::unusable(format!(
        "cert-manager is told by an annotation of the ValidatingWebhookConfiguration {configuration} to fill in its caBundle, so \
         we leave it alone: take the annotation away, or mount cert-manager's certificate and name it with --tls-cert and --tls-key"
    ))
}

/// Without client and certificates.
impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("place", &self.place).finish_non_exhaustive()
    }
}
