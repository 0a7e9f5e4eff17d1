//! From what happens to sets: objects are compiled as they come, keys are read, and what it comes to is told a moment later,
//! so that many changes make few sets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::super::connection::Connection;
use super::arriving::{Change, Inbox};
use super::keys::{self, Keys};
use super::ledger::Ledger;
use super::{PolicySet, Surroundings};

/// So long nothing more must happen before a set is told: nobody notices, and what belongs together comes together.
const QUIET: Duration = Duration::from_millis(100);
/// And so long at most after the first change of those that are told together.
const LATEST: Duration = Duration::from_secs(1);
/// For so long the first set waits for the Secrets that policies name.
const FIRST: Duration = Duration::from_secs(5);
/// Secrets that are read side by side.
const READS: usize = 8;
/// Waivers end at midnight; it is told within this.
const CLOCK: Duration = Duration::from_hours(1);

type Reads = FuturesUnordered<BoxFuture<'static, keys::Read>>;

pub(super) struct Keeper {
    connection: Connection,
    ledger: Ledger,
    keys: Keys,
    sets: watch::Sender<Arc<PolicySet>>,
    /// When everything was listed for the first time.
    listed: Option<Instant>,
    told: bool,
    changed: Option<Pending>,
    clock: Instant,
}

/// There is something to tell.
#[derive(Clone, Copy)]
struct Pending {
    first: Instant,
    last: Instant,
}

impl Keeper {
    pub(super) fn new(connection: Connection, surroundings: Surroundings, sets: watch::Sender<Arc<PolicySet>>) -> Self {
        let (ledger, keys) = (Ledger::new(surroundings), Keys::default());
        Self { connection, ledger, keys, sets, listed: None, told: false, changed: None, clock: Instant::now() + CLOCK }
    }

    /// Until the process ends.
    pub(super) async fn run(mut self, inbox: &Inbox) {
        let mut reads = Reads::new();
        loop {
            self.read_what_is_due(&mut reads);
            let wake = self.wake(reads.len());
            tokio::select! {
                () = inbox.news() => self.take(inbox.take()).await,
                Some(read) = reads.next(), if !reads.is_empty() => self.arrived(read),
                () = sleep_until(wake) => {}
            }
            self.tell();
        }
    }

    async fn take(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::All(all) => {
                    let names: BTreeSet<String> = all.iter().map(|its| its.name_any()).collect();
                    self.ledger.keep_only(&names);
                    for object in all {
                        self.ledger.take(object, &self.keys);
                        tokio::task::yield_now().await;
                    }
                    self.listed.get_or_insert_with(Instant::now);
                }
                Change::Is(object) => self.ledger.take(object, &self.keys),
                Change::Gone(object) => self.ledger.forget(&object),
            }
            // Compiling takes its time, and others have theirs.
            tokio::task::yield_now().await;
        }
        self.keys.named(&self.ledger.keys(), Instant::now());
        self.note();
    }

    fn arrived(&mut self, read: keys::Read) {
        let secret = read.secret.clone();
        if self.keys.arrived(read, Instant::now()) {
            self.ledger.keys_changed(&secret, &self.keys);
            self.note();
        }
    }

    fn read_what_is_due(&mut self, reads: &mut Reads) {
        while reads.len() < READS
            && let Some((secret, keys)) = self.keys.take_due(Instant::now())
        {
            let connection = self.connection.clone();
            reads.push(Box::pin(
                async move { keys::read(connection.client(), connection.namespace(), secret, keys).await },
            ));
        }
    }

    fn note(&mut self) {
        let now = Instant::now();
        let first = self.changed.map_or(now, |its| its.first);
        self.changed = Some(Pending { first, last: now });
    }

    /// When something is to be done next.
    fn wake(&self, reading: usize) -> Instant {
        let next_read = self.keys.next().filter(|_| reading < READS);
        [Some(self.clock), self.due(), next_read].into_iter().flatten().min().unwrap_or(self.clock)
    }

    /// When there is something to tell, and it is told.
    fn due(&self) -> Option<Instant> {
        let Pending { first, last } = self.changed?;
        let listed = self.listed?;
        let quiet = (last + QUIET).min(first + LATEST);
        if !self.told && self.ledger.waits() {
            return Some(listed + FIRST);
        }
        Some(quiet)
    }

    fn tell(&mut self) {
        let now = Instant::now();
        if now >= self.clock {
            self.clock = now + CLOCK;
            self.note();
        }
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        self.changed = None;
        let set = self.ledger.set(Timestamp::now());
        // A status that is written back comes as a change, and says nothing new of most.
        if self.told && self.sets.borrow().is_the_same_as(&set) {
            return;
        }
        self.told = true;
        self.sets.send_replace(Arc::new(set));
    }
}
