//! Somebody who creates Pods all the while, at a steady rate, and counts what became of them.
//!
//! As dry runs, in a namespace that enforces `baseline`, where every other Pod is one that must be refused, and in one without
//! any label, where those that are in order must be let in, whatever is installed. A call is lost where the API server had no
//! answer and `failurePolicy: Fail` refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use pratique_testkit::{DIGEST, PATIENCE, eventually};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::Place;

/// A debug build answers them beside everything else on two cores.
const PER_SECOND: u32 = 40;
/// What one call lost is lost by is seen in the first few.
const EXAMPLES: usize = 5;

/// It goes on until it is ended.
pub(crate) struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) right: usize,
    pub(crate) lost: usize,
    pub(crate) wrong: usize,
    slowest: Duration,
    examples: Vec<String>,
}

/// What is asked, and what the answer must be.
#[derive(Clone, Copy)]
enum Question {
    Refused,
    Admitted,
    AdmittedUnlabelled,
}

impl Load {
    /// Into namespaces that it makes; begins when Pods are refused in the labelled one.
    pub(crate) async fn start(place: &Place) -> Self {
        let cluster = place.cluster();
        let labelled = cluster.fresh_namespace("load", &[("pratique.dev/enforce", "baseline")]).await;
        let unlabelled = cluster.fresh_namespace("load", &[]).await;
        // Each is a connection of its own to the API server.
        let labelled = Api::<Pod>::namespaced(cluster.client().await, &labelled);
        let unlabelled = Api::<Pod>::namespaced(cluster.client().await, &unlabelled);
        eventually("Pods are refused there", async || {
            let mut tally = Tally::default();
            let answer = labelled.create(&dry_run(), &pod(Question::Refused)).await;
            tally.count(Question::Refused, Duration::ZERO, &answer);
            tally.right == 1
        })
        .await;
        let (tally, stop) = (Arc::<Mutex<Tally>>::default(), Arc::<AtomicBool>::default());
        let running = tokio::spawn(send(labelled, unlabelled, Arc::clone(&tally), Arc::clone(&stop)));
        Self { tally, stop, running }
    }

    fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls were answered.
    pub(crate) fn count(&self) -> usize {
        self.tally().count_all()
    }

    /// Waits for so many more answers.
    pub(crate) async fn more(&self, calls: usize) {
        let (before, started) = (self.count(), Instant::now());
        while self.count() < before + calls {
            assert!(started.elapsed() < PATIENCE * 6, "only {} calls were answered", self.tally());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// When all calls are answered.
    pub(crate) async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let Self { tally, running, .. } = self;
        running.await.expect("no call panics");
        tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, and none was lost, and none answered wrongly.
    #[expect(clippy::print_stdout, reason = "what was measured is shown")]
    pub(crate) async fn untroubled(self, place: &Place, what: &str) {
        self.more(100).await;
        let tally = self.end().await;
        println!("{what}: {tally}");
        let account = || place.kubelet().account();
        assert_eq!((tally.lost, tally.wrong), (0, 0), "{what}: {:#?}\n{}", tally.examples, account());
    }
}

async fn send(labelled: Api<Pod>, unlabelled: Api<Pod>, tally: Arc<Mutex<Tally>>, stop: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    for question in [Question::Refused, Question::Admitted, Question::AdmittedUnlabelled].into_iter().cycle() {
        ticks.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let client = match question {
            Question::Refused | Question::Admitted => labelled.clone(),
            Question::AdmittedUnlabelled => unlabelled.clone(),
        };
        let tally = Arc::clone(&tally);
        calls.spawn(async move {
            let started = Instant::now();
            let answer = client.create(&dry_run(), &pod(question)).await;
            tally.lock().unwrap_or_else(PoisonError::into_inner).count(question, started.elapsed(), &answer);
        });
        while calls.try_join_next().is_some_and(|ended| ended.is_ok()) {}
    }
    while let Some(ended) = calls.join_next().await {
        ended.expect("no call panics");
    }
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

fn pod(question: Question) -> Pod {
    let image = match question {
        Question::Refused => "registry.invalid/web:latest".to_owned(),
        Question::Admitted | Question::AdmittedUnlabelled => format!("registry.invalid/web@{DIGEST}"),
    };
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-"},
        "spec": {"containers": [{"name": "web", "image": image}]}});
    serde_json::from_value(pod).expect("it is a Pod")
}

impl Tally {
    fn count_all(&self) -> usize {
        let Self { right, lost, wrong, .. } = self;
        right + lost + wrong
    }

    fn count(&mut self, question: Question, took: Duration, answer: &kube::Result<Pod>) {
        self.slowest = self.slowest.max(took);
        let what = match answer {
            Ok(_) => "admitted".to_owned(),
            Err(kube::Error::Api(status)) => status.message.clone(),
            Err(error) => error.to_string(),
        };
        let denied = what.contains("denied the request");
        let count = match (question, answer.is_ok()) {
            (Question::Admitted | Question::AdmittedUnlabelled, true) => &mut self.right,
            (Question::Refused, false) if denied && what.contains("tag-mutable") => &mut self.right,
            (Question::Refused, true) => &mut self.wrong,
            (Question::Refused | Question::Admitted | Question::AdmittedUnlabelled, false) if denied => &mut self.wrong,
            (Question::Refused | Question::Admitted | Question::AdmittedUnlabelled, false) => &mut self.lost,
        };
        *count += 1;
        if self.count_all() > self.right + self.examples.len() && self.examples.len() < EXAMPLES {
            self.examples.push(what);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { right, lost, wrong, slowest, examples } = self;
        write!(f, "{right} right, {lost} lost, {wrong} wrong, the slowest {slowest:.1?}")?;
        examples.iter().take(1).try_for_each(|example| write!(f, "; such as: {example}"))
    }
}
