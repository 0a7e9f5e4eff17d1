//! Word of controllers whose Pods are or would be refused, for whoever tells the cluster of it. Bounded: where nobody takes
//! it, it is dropped and counted, since log and metrics have it already.
//!
//! Said of what refuses Pods alone: a policy that enforces, whether or not the settings make a warning of it for a
//! controller. What only warns, Pods too, is in the reply to whoever wrote the object; an Event would call a refusal what is
//! none. Neither is it said of what may pass by itself when it is tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::admission::encode::first_line;
use crate::decision::verdict::{Answer, Denial, Verdict};
use crate::policy::Mode;
use crate::policy::plan::Plan;
use crate::request::{Role, printable};

/// Notices that may wait; a cluster that rolls out faster hears of the first ones.
const WAITING: usize = 256;
/// `note` of an Event has 1 kB at most (events.k8s.io/v1), and [`printable`] may end with one escaped character and three
/// dots more.
const MESSAGE_BYTES: usize = 1_024 - 16;

/// A controller whose Pods are or would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `apps/v1`
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Of the object; empty where it has none yet.
    pub uid: String,
    /// The code of the worst reason.
    pub reason: &'static str,
    /// The first line of what a refusal says.
    pub message: String,
}

/// Where notices are put.
#[derive(Debug, Clone)]
pub struct Noticeboard {
    notices: mpsc::Sender<Notice>,
    missed: Arc<AtomicU64>,
}

/// Where they are taken from.
#[derive(Debug)]
pub struct Notices {
    notices: mpsc::Receiver<Notice>,
    missed: Arc<AtomicU64>,
}

/// Both ends.
#[must_use]
pub fn noticeboard() -> (Noticeboard, Notices) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let missed = Arc::<AtomicU64>::default();
    (Noticeboard { notices: sender, missed: Arc::clone(&missed) }, Notices { notices: receiver, missed })
}

impl Noticeboard {
    /// Where the verdict is about a controller, no dry run, and its Pods are or would be refused by it.
    pub fn put(&self, plan: &Plan<'_>, verdict: &Verdict) {
        let request = plan.request;
        // An Event is about an object by its name, which a server may still have to make up.
        let told = request.role == Role::Controller && !request.dry_run && !plan.dry_run && !request.name.is_empty();
        if !told || !refusing(verdict).any(|denial| !denial.reason.retriable()) {
            return;
        }
        let Ok(place) = self.notices.try_reserve() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let denials: Vec<Denial> = refusing(verdict).cloned().collect();
        let Some(worst) = denials.first() else { return };
        place.send(Notice {
            api_version: request.api_version.clone(),
            kind: request.kind.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            uid: request.object_uid.clone(),
            reason: worst.reason.code(),
            message: printable(&first_line(&denials), MESSAGE_BYTES),
        });
    }
}

impl Notices {
    /// The next one; none when there is nobody left who could put one.
    pub async fn next(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// How many were dropped since this was asked last.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

/// What Pods are refused for, worst first: what refuses the controller itself, else what it is only warned of.
fn refusing(verdict: &Verdict) -> impl Iterator<Item = &Denial> {
    let refused = match &verdict.answer {
        Answer::Deny(denials) => denials.as_slice(),
        Answer::Admit(_) => &[],
    };
    let softened = verdict.warnings.iter().filter(|denial| denial.softened);
    refused.iter().filter(|denial| denial.mode == Mode::Enforce).chain(softened)
}

#[cfg(test)]
mod tests;
