//! Our own certificates in a cluster: a CA and a leaf in a Secret that all replicas share, and the `caBundle` of our
//! webhook configuration.
//!
//! At any moment every replica shows a leaf that the bundle in force vouches for: a new CA is in the bundle before it signs
//! anything that is shown, and an old one leaves it when nothing of it is valid any more ([`rotation`]). Secret and
//! configuration are read by name every few seconds; only the holder of the lease writes, and what it writes carries the
//! resourceVersion that it read. A Secret that somebody spoils or deletes takes no certificate out of use: what is gone is
//! made anew beside what the replicas still show. That is the way to have a new CA before its time, too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::evidence::cluster::connection::Connection;
use crate::request::printable;
use crate::server::admin::PartStatus;
use crate::server::tls::issue::{Authority, Leaf};
use crate::server::tls::{Identity, TlsError};

use super::Names;
use super::lease::Leadership;

use bundle::{Live, Present};
use rotation::{MOST_AUTHORITIES, Seen, State, Subject, takes_over};
use secret::{Place, Stored};
use trouble::{Told, Trouble};

mod bundle;
mod rotation;
mod secret;
pub(in crate::controller) mod trouble;

/// Between two looks at the Secret and the configuration: two small reads of each replica.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks for which a replica that starts leaves it to the others to bring back a Secret that is gone or spoilt, where there
/// may be others: the one with the lease still knows what it was, and needs one look.
const LEFT_TO_OTHERS: u32 = 4;
/// CAs of a bundle that stay trusted beside the first that we make: those of whoever answers there now.
const MOST_ADOPTED: usize = MOST_AUTHORITIES / 2;
/// Bytes of what is wrong with a Secret, in a message.
const EXCERPT: usize = 300;

/// Keeps Secret, identity and bundle in step.
pub struct Keeper {
    connection: Connection,
    configuration: String,
    place: Place,
    subject: Subject,
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

#[derive(Default)]
struct Memory {
    /// What the Secret was when it was whole.
    known: State,
    seen: Seen,
    shown: Option<(Arc<Identity>, Leaf)>,
    /// API servers were able to believe what is shown, once at least since the start.
    believed: bool,
}

impl Keeper {
    #[must_use]
    pub fn new(connection: Connection, names: Names) -> Self {
        let place = Place { name: names.secret(), namespace: names.namespace.clone() };
        let subject = Subject::new(names.host());
        Self {
            connection,
            configuration: names.webhook_configuration,
            place,
            subject,
            memory: Mutex::default(),
            troubles: Troubles::default(),
        }
    }

    /// The certificate of the Secret, which is made where there is none. Waits for the API server, and says so in the log.
    pub async fn obtain(&self) -> Arc<Identity> {
        let mut looks = 0;
        loop {
            self.look_at_the_bundle().await;
            if let Some(stored) = self.look_at_the_secret().await {
                if let Some((identity, _)) = &self.memory().shown {
                    return Arc::clone(identity);
                }
                // Where API servers trust nobody yet, nobody is there to be waited for.
                if looks >= LEFT_TO_OTHERS || self.memory().seen.is_empty() {
                    let written = self.write_the_secret(stored).await;
                    if written.is_some() {
                        looks = 0;
                        continue;
                    }
                }
                looks += 1;
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
        let memory = self.memory();
        if let Some((_, leaf)) = &memory.shown
            && !memory.believed
            && !memory.seen.is_empty()
            && !memory.seen.is_settled(leaf, &self.subject.host, Timestamp::now())
        {
            // The others are believed, so long as they are there: this one must not take their place.
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
        let mut memory = self.memory();
        memory.seen.look(Timestamp::now(), &trusted);
        self.note_belief(&mut memory);
        Some(live)
    }

    /// Whether there is a Secret, where it could be asked for; what can be shown of it is shown.
    async fn look_at_the_secret(&self) -> Option<Option<Stored>> {
        let read = self.place.read(self.connection.client()).await;
        let mut stored = self.troubles.reading.tell("the Secret with our certificates", read)?;
        let now = Timestamp::now();
        let flaws = stored.as_mut().map(|stored| stored.examine(&self.subject.host, now).to_vec()).unwrap_or_default();
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
        let told = trouble.filter(|_| stored.is_some() || memory.shown.is_some());
        self.troubles
            .contents
            .tell("the Secret with our certificates", told.map_or(Ok(()), |words| Err(Trouble::unusable(words))));
        if let Some(stored) = &stored {
            if flaws.is_empty() && stored.state.leaf.is_some() {
                memory.known = stored.state.clone();
            }
            self.show(&mut memory, &stored.state, now);
        }
        Some(stored)
    }

    fn show(&self, memory: &mut Memory, state: &State, now: Timestamp) {
        let Some(leaf) = &state.leaf else { return };
        let identity = match &memory.shown {
            Some((_, shown)) if !takes_over(now, &self.subject.host, shown, state, &memory.seen) => return,
            Some((identity, _)) => {
                identity.replace(Arc::clone(leaf.pair()));
                Arc::clone(identity)
            }
            None => Arc::new(Identity::shared(Arc::clone(leaf.pair()))),
        };
        tracing::info!(expires = %leaf.until(), "certificate of the cluster's Secret in use");
        memory.shown = Some((identity, leaf.clone()));
        self.note_belief(memory);
    }

    fn note_belief(&self, memory: &mut Memory) {
        if let Some((_, leaf)) = &memory.shown {
            memory.believed |= memory.seen.is_settled(leaf, &self.subject.host, Timestamp::now());
        }
    }

    /// What is in the Secret after all that is due was written; None where it could not be.
    async fn write_the_secret(&self, stored: Option<Stored>) -> Option<State> {
        let what = "writing the Secret with our certificates";
        let due = self.due(stored.as_ref(), Timestamp::now());
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
        let mut memory = self.memory();
        memory.known = state.clone();
        self.show(&mut memory, &state, Timestamp::now());
        Some(state)
    }

    fn due(&self, stored: Option<&Stored>, now: Timestamp) -> Result<State, TlsError> {
        let memory = self.memory();
        let state = match stored {
            Some(stored) if stored.flaws.is_empty() => stored.state.clone(),
            Some(stored) => stored.state.clone().mended(&memory.known),
            None if memory.known.leaf.is_some() => State::default().mended(&memory.known),
            // Whoever answers there now is believed until its time is over.
            None => State { authorities: memory.seen.trusted(MOST_ADOPTED), leaf: None },
        };
        state.advanced(now, &self.subject, &memory.seen)
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

fn injected(configuration: &str) -> Trouble {
    Trouble::unusable(format!(
        "cert-manager is told by an annotation of the ValidatingWebhookConfiguration {configuration} to fill in its caBundle, so \
         we leave it alone: take the annotation away, or mount cert-manager's certificate and name it with --tls-cert and --tls-key"
    ))
}

/// Without client and certificates.
impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("place", &self.place).field("subject", &self.subject).finish_non_exhaustive()
    }
}
