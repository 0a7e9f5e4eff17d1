//! A namespace that the watch has not brought yet: one bounded read of the API server.
//!
//! What was read is kept for a moment, so that a burst of Pods in a new namespace asks once, and no longer than until the
//! watch has the namespace: from then on it is the watch that tells.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Api;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::evidence::budget::Deadline;
use crate::evidence::cluster::connection::Connection;
use crate::evidence::cluster::namespaces::Namespace;
use crate::evidence::cluster::watching::wording::{self, Asked};
use crate::fact::{Fact, Fault, Labels, Seen, Source, Trouble};
use crate::policy::document::wording::quoted;

/// For so long a read may take: it takes milliseconds, and what cannot be told is tried again by who asked us.
const LONGEST_READ: Duration = Duration::from_millis(500);
/// So long before the deadline of the review it is given up, so that there is time left to say so.
const SPARED: Duration = Duration::from_millis(50);
/// So long what was read is kept: a watch is behind by less.
const KEPT: Duration = Duration::from_secs(5);
/// So many namespaces at most are kept or asked for: as many as a burst has, within a moment.
const MOST: usize = 1024;
/// The longest name of a namespace (RFC 1123 label).
const LONGEST_NAME: usize = 63;

const ASKED: Asked<'static> = Asked { verb: "get", group: "", resource: "namespaces" };

type Outcome = Result<Labels, Trouble>;

/// Reads namespaces one by one; what was read is kept for a moment, and asked once at a time.
#[derive(Debug)]
pub(super) struct Live {
    connection: Connection,
    reads: Arc<Mutex<HashMap<Arc<str>, Read>>>,
}

/// One that is under way, or was good a moment ago.
#[derive(Debug, Clone)]
struct Read {
    outcome: watch::Receiver<Option<Outcome>>,
    begun: Instant,
}

impl Live {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, reads: Arc::default() }
    }

    /// Known, or unavailable: the API server has just said that it is about to create something in this namespace, so that
    /// there being none is no answer.
    pub(super) async fn labels(&self, namespace: &str, deadline: Deadline) -> Fact<Labels> {
        if !is_name(namespace) {
            let words = format!("{} is no name of a namespace", quoted(namespace));
            return Fact::Unavailable(Trouble::new(Fault::Broken, words));
        }
        let mut read = match self.read(namespace) {
            Ok(read) => read.outcome,
            Err(trouble) => return Fact::Unavailable(trouble),
        };
        let until = Instant::from_std(deadline.sparing(SPARED)).min(Instant::now() + LONGEST_READ);
        let outcome = match timeout_at(until, read.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone(),
            // The read is over and has told nothing: it was broken off.
            Ok(Err(_)) => Some(Err(away(namespace))),
            Err(_) => None,
        };
        match outcome {
            Some(Ok(labels)) => {
                Fact::Known(Seen { value: labels, at: jiff::Timestamp::now(), source: Source::Current })
            }
            Some(Err(trouble)) => Fact::Unavailable(trouble),
            None => Fact::Unavailable(late(namespace)),
        }
    }

    /// What the watch has, or had a moment ago, is told by it alone: a namespace that is deleted and made again may have
    /// other labels.
    pub(super) fn forget(&self, has: impl Fn(&str) -> bool) {
        self.lock().retain(|name, _| !has(name));
    }

    /// The one that is under way or was good a moment ago, else a new one.
    fn read(&self, namespace: &str) -> Result<Read, Trouble> {
        let now = Instant::now();
        let mut reads = self.lock();
        if let Some(read) = reads.get(namespace).filter(|read| read.begun + KEPT > now) {
            return Ok(read.clone());
        }
        if reads.len() >= MOST {
            reads.retain(|_, read| read.begun + KEPT > now);
        }
        if reads.len() >= MOST {
            let words = format!("more than {MOST} new namespaces are being asked for at once");
            return Err(Trouble::new(Fault::Outage, words));
        }
        let (told, outcome) = watch::channel(None);
        let (name, read) = (Arc::<str>::from(namespace), Read { outcome, begun: now });
        reads.insert(Arc::clone(&name), read.clone());
        drop(reads);
        // Not the work of the review that asks first: others wait for it too, and it may be over before.
        let (api, all) = (Api::all(self.connection.client()), Arc::clone(&self.reads));
        tokio::spawn(async move {
            let outcome = ask(&api, &name).await;
            if outcome.is_err() {
                // What could not be told is asked again by whoever comes next.
                let mut reads = all.lock().unwrap_or_else(PoisonError::into_inner);
                if reads.get(&name).is_some_and(|read| read.begun == now) {
                    reads.remove(&name);
                }
            }
            told.send_replace(Some(outcome));
        });
        Ok(read)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Read>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(api: &Api<Namespace>, name: &str) -> Outcome {
    match timeout(LONGEST_READ, api.get(name)).await {
        Ok(Ok(namespace)) => Ok(namespace.labels),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => {
            Err(Trouble::new(Fault::Outage, format!("the API server has no namespace {} yet", quoted(name))))
        }
        Ok(Err(error)) => {
            let words =
                format!("the labels of namespace {} are not known: {}", quoted(name), wording::why(ASKED, &error));
            Err(Trouble::new(Fault::Outage, words))
        }
        Err(_) => Err(late(name)),
    }
}

fn late(name: &str) -> Trouble {
    let words = format!("the API server has not told the labels of namespace {} in time", quoted(name));
    Trouble::new(Fault::Deadline, words)
}

fn away(name: &str) -> Trouble {
    Trouble::new(Fault::Outage, format!("asking for the labels of namespace {} was broken off", quoted(name)))
}

/// It becomes part of a path.
fn is_name(text: &str) -> bool {
    let of_names = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(of_names)
}

#[cfg(test)]
mod tests;
