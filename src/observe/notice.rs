//! Word of controllers whose Pods are or would be refused, for whoever tells the cluster of it. Bounded: where nobody takes
//! it, it is dropped, since log and metrics have it already.

use tokio::sync::mpsc;

use crate::decision::verdict::Verdict;
use crate::policy::plan::Plan;

/// Notices that may wait; a cluster that rolls out faster hears of the first ones.
const WAITING: usize = 256;

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
pub struct Noticeboard(mpsc::Sender<Notice>);

/// Where they are taken from.
#[derive(Debug)]
pub struct Notices(pub mpsc::Receiver<Notice>);

/// Both ends.
#[must_use]
pub fn noticeboard() -> (Noticeboard, Notices) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Noticeboard(sender), Notices(receiver))
}

impl Noticeboard {
    /// Where the verdict is about a controller, no dry run, and refuses or would refuse its Pods (modes enforce and warn).
    pub fn put(&self, _plan: &Plan<'_>, _verdict: &Verdict) {
        let _ = &self.0;
        todo!("events")
    }
}
