//! The line: everything else in the program exists to serve these eight statements.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::admission::workload::Workloads;
use crate::admission::{Malformed, Reply, decode, encode};
use crate::decision;
use crate::decision::verdict::{Answer, Verdict};
use crate::evidence::Evidence;
use crate::evidence::budget::Deadline;
use crate::evidence::cluster::Cluster;
use crate::observe::Observe;
use crate::policy::Policies;
use crate::policy::plan;
use crate::request::{Request, Subject};

/// Reviews that may wait for their end at once; beyond it they are dropped and counted, since nothing but log and records
/// misses them.
const UNFINISHED: usize = 1_024;
/// KiB of all of them together: that many ordinary ones, of 8 kB and a few containers. The largest have megabytes each.
const UNFINISHED_KIB: usize = 32 << 10;
/// What a container costs beside its texts.
const CONTAINER: usize = 512;
/// Finished side by side, mostly waiting, within the same bytes: a registry that lets each wait for twenty seconds must
/// not hold up the rest, nor have it dropped.
const FINISHED_AT_ONCE: usize = 1_024;

/// What reviews are judged by: policies of one moment, and of manifests everything else of the same one, so that a label and
/// the policy that it names come and go together.
#[derive(Debug)]
pub struct InForce {
    pub policies: Policies,
    pub cluster: Arc<Cluster>,
}

/// One process's way of answering.
#[derive(Debug)]
pub struct Review {
    workloads: Workloads,
    in_force: ArcSwap<InForce>,
    evidence: Evidence,
    observe: Observe,
    unfinished: mpsc::Sender<Open>,
    /// In KiB, for those that are unfinished.
    room: Arc<Semaphore>,
}

/// The reviews that a reply left unfinished: whoever runs the program drives them with [`Review::finish`].
#[derive(Debug)]
pub struct Unfinished(mpsc::Receiver<Open>);

/// A review that has its reply.
#[derive(Debug)]
struct Open {
    request: Request,
    /// What it admits is worth remembering when it is known.
    admitted: bool,
    _room: OwnedSemaphorePermit,
}

impl Review {
    #[must_use]
    pub fn new(workloads: Workloads, in_force: InForce, evidence: Evidence, observe: Observe) -> (Self, Unfinished) {
        let (unfinished, receiver) = mpsc::channel(UNFINISHED);
        let (in_force, room) = (ArcSwap::from_pointee(in_force), Arc::new(Semaphore::new(UNFINISHED_KIB)));
        (Self { workloads, in_force, evidence, observe, unfinished, room }, Unfinished(receiver))
    }

    /// Answers one review. [`Malformed`] where there is no uid to answer to; a panic is a refusal.
    pub async fn answer(&self, body: &[u8], deadline: Instant) -> Result<Reply, Malformed> {
        match unwinding(self.line(body, Deadline::at(deadline))).await {
            Ok(answer) => answer,
            Err(panicked) => self.answer_to_panic(body, &panicked),
        }
    }

    fn answer_to_panic(&self, body: &[u8], panicked: &Panicked) -> Result<Reply, Malformed> {
        let uid = decode::uid(body).ok_or_else(|| Malformed("the review could not be read".to_owned()))?;
        let verdict = decision::failed(self.in_force.load().policies.bindings.dry_run);
        self.observe.record_panic(&uid, &panicked.0, &verdict);
        Ok(encode::encode(&uid, &verdict))
    }

    async fn line(&self, body: &[u8], deadline: Deadline) -> Result<Reply, Malformed> {
        let (started, in_force) = (Instant::now(), self.in_force.load_full());
        let request = decode::decode(body, &self.workloads)?;
        let scope = self.evidence.scope(&in_force.cluster.namespaces, &request, deadline).await;
        let plan = plan::plan(&in_force.policies, &scope, &request);
        let facts = self.evidence.gather(&plan, &in_force.cluster, deadline).await;
        let verdict = decision::decide(&plan, &facts, Timestamp::now());
        self.evidence.remember(&verdict.records);
        self.observe.record(&plan, &verdict, started.elapsed());
        let reply = encode::encode(&request.uid, &verdict);
        if verdict.unfinished {
            self.leave_unfinished(request, matches!(verdict.answer, Answer::Admit(_)), body.len());
        }
        Ok(reply)
    }

    /// The same judgement for a request that is no AdmissionReview: `check`. Nothing is remembered or recorded.
    pub async fn judge(&self, request: &Request, deadline: Deadline) -> Verdict {
        let in_force = self.in_force.load_full();
        let scope = self.evidence.scope(&in_force.cluster.namespaces, request, deadline).await;
        let plan = plan::plan(&in_force.policies, &scope, request).for_a_report();
        let facts = self.evidence.gather(&plan, &in_force.cluster, deadline).await;
        decision::decide(&plan, &facts, Timestamp::now())
    }

    /// Replaces what is in force, in one step: a review reads either all of the old or all of the new.
    pub fn put_in_force(&self, in_force: InForce) {
        self.in_force.store(Arc::new(in_force));
    }

    /// What is in force now.
    #[must_use]
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// `bytes`: of the body, at least those of all texts that were read from it.
    fn leave_unfinished(&self, request: Request, admitted: bool, bytes: usize) {
        let containers = match &request.subject {
            Subject::Images { containers, old } => containers.len() + old.len(),
            Subject::Nothing(_) | Subject::Unreadable(_) => 0,
        };
        let size = u32::try_from((bytes + containers * CONTAINER).div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(size).ok();
        let open = room.map(|room| Open { request, admitted, _room: room });
        if open.is_none_or(|open| self.unfinished.try_send(open).is_err()) {
            self.observe.record_dropped();
        }
    }

    /// Finishes what replies left open, until the process ends. The outcome goes to log, metrics and records alone.
    pub async fn finish(&self, mut unfinished: Unfinished) {
        let open = futures_util::stream::poll_fn(|context| unfinished.0.poll_recv(context));
        open.for_each_concurrent(FINISHED_AT_ONCE, |open| async move {
            if let Err(Panicked(words)) = unwinding(self.finish_one(&open)).await {
                self.observe.record_unfinished_panic(&open.request.uid, &words);
            }
        })
        .await;
    }

    async fn finish_one(&self, Open { request, admitted, _room }: &Open) {
        let (in_force, deadline) = (self.in_force.load_full(), self.evidence.background_deadline());
        let scope = self.evidence.scope(&in_force.cluster.namespaces, request, deadline).await;
        let plan = plan::plan(&in_force.policies, &scope, request).patiently();
        let facts = self.evidence.gather(&plan, &in_force.cluster, deadline).await;
        let verdict = decision::decide(&plan, &facts, Timestamp::now());
        if *admitted {
            self.evidence.remember(&verdict.records);
        }
        self.observe.record_finished(&plan, &verdict);
    }
}

/// The future panicked, with these words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

impl Panicked {
    fn with(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<&str>().copied().map(ToOwned::to_owned);
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        Self(words.unwrap_or_else(|| "a panic without words".to_owned()))
    }
}

/// Runs a future to its end or its panic. What it shares with others is behind locks that do not poison and snapshots
/// that are replaced whole, so nothing half-done is seen afterwards.
pub(crate) async fn unwinding<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(Panicked::with(panic.as_ref()))),
    })
    .await
}

#[cfg(test)]
mod tests;
