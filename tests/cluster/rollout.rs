//! What callers notice when replicas are replaced, killed or frozen while the API server goes on asking at a steady rate.
//!
//! Every other Pod is one that must be refused, so an answer can be wrong both ways. A call is lost where the API server
//! got no answer and `failurePolicy: Fail` refused. Nothing that must be refused is ever admitted, whatever is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use pratique_testkit::real::{Cluster, Probe};
use pratique_testkit::{DIGEST, PATIENCE, eventually};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::installed::Installed;

/// Of which each is a connection of its own to the API server.
const CLIENTS: usize = 4;
/// In a roll-out, with two replicas replaced twice.
const REVIEWS: usize = 10_000;
/// Reviews a second that a debug build answers beside everything else on two cores. Above what it can, calls are late and
/// then each is a connection of its own: that would measure handshakes.
const RATE: u32 = 100;
/// What one of these measures is not to be what another one costs.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// What `manifests/base/deployment.yaml` says of its readinessProbe.
const SHIPPED: Probe = Probe { period: Duration::from_secs(2), timeout: Duration::from_secs(1), failures: 2 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn no_call_is_lost_and_no_answer_is_wrong_while_both_replicas_are_replaced_twice() {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).start().await;
    let load = Load::start(&installed, RATE).await;
    let mut serving = vec![0, 1];
    for round in 0..2 {
        for _ in 0..2 {
            // As the Deployment says: one more first, and then one less.
            serving.push(installed.start_replica().await);
            let leaving = serving.remove(0);
            if round == 0 {
                installed.terminate(leaving);
            } else {
                // Whoever keeps the endpoints is late.
                installed.terminate_unannounced(leaving);
            }
            assert_eq!(installed.ended(leaving).await, Some(0), "{}", installed.log(leaving));
        }
    }
    let during = load.count();
    load.at_least(REVIEWS.max(during + 500)).await;
    let tally = load.end().await;
    println!("roll-out: {during} reviews while four replicas were replaced; in all {tally}");
    let refused = installed.forwarder().refused();
    assert_eq!((tally.lost, tally.wrong), (0, 0), "{refused} connections found nobody; {:#?}", tally.examples);
    assert!(tally.right >= REVIEWS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_killed_replica_costs_few_calls_and_admits_nothing() {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).probe(SHIPPED).start().await;
    let load = Load::start(&installed, RATE).await;
    load.at_least(300).await;
    for replica in [0, 1] {
        installed.wait_until_ready(replica).await;
    }
    let killed = Instant::now();
    installed.kill(0);
    let tally = recovered(&installed, load).await;
    let refused = installed.forwarder().refused();
    println!(
        "killed: {tally}; {refused} connections found nobody; untroubled again for 10 s after {:.1?}",
        killed.elapsed()
    );
    assert_eq!(tally.wrong, 0, "{:#?}", tally.examples);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_frozen_replica_costs_few_calls_and_admits_nothing() {
    let _alone = ALONE.lock().await;
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).probe(SHIPPED).start().await;
    // Not more at once than the API server lets wait: each lost call waits for the whole timeout.
    let load = Load::start(&installed, 20).await;
    load.at_least(100).await;
    for replica in [0, 1] {
        installed.wait_until_ready(replica).await;
    }
    let frozen = Instant::now();
    installed.freeze(0);
    let tally = recovered(&installed, load).await;
    let refused = installed.forwarder().refused();
    println!(
        "frozen: {tally}; {refused} connections found nobody; untroubled again for 10 s after {:.1?}",
        frozen.elapsed()
    );
    assert_eq!(tally.wrong, 0, "{:#?}", tally.examples);
    installed.thaw(0);
    installed.wait_until_ready(0).await;
}

/// Waits until the first replica is no endpoint any more and the second answers all there is.
async fn recovered(installed: &Installed<'_>, load: Load) -> Tally {
    let started = Instant::now();
    while installed.forwarder().ready() != [installed.webhook(1)] {
        let ready = installed.forwarder().ready();
        assert!(started.elapsed() < PATIENCE * 3, "{ready:?} are ready, and not {} alone", installed.webhook(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Twice the time that a call takes that nobody answers.
    while started.elapsed() < Duration::from_secs(10) || !load.untroubled_for(Duration::from_secs(10)) {
        assert!(started.elapsed() < PATIENCE * 6, "calls are lost still: {}", load.tally());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    load.end().await
}

/// Creates of Pods, as dry runs, one after the other whether or not those before were answered.
struct Load {
    tally: Arc<Mutex<Tally>>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<()>,
}

#[derive(Debug, Default, Clone)]
struct Tally {
    right: usize,
    lost: usize,
    wrong: usize,
    /// The first and the last call that was lost.
    trouble: Option<(Instant, Instant)>,
    slowest: Duration,
    examples: Vec<String>,
}

impl Load {
    async fn start(installed: &Installed<'_>, per_second: u32) -> Self {
        let cluster = installed.cluster();
        let namespace = cluster.fresh_namespace("load", &[("pratique.dev/enforce", "baseline")]).await;
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Api::<Pod>::namespaced(cluster.client().await, &namespace));
        }
        // The label is known, or else nothing would be refused there.
        let first = clients[0].clone();
        eventually("Pods are refused there", async || {
            let mut tally = Tally::default();
            tally.count(true, Duration::ZERO, first.create(&dry_run(), &pod(true)).await);
            tally.right == 1
        })
        .await;
        let (tally, stop) = (Arc::<Mutex<Tally>>::default(), Arc::<AtomicBool>::default());
        let running = tokio::spawn(send(clients, per_second, Arc::clone(&tally), Arc::clone(&stop)));
        Self { tally, stop, running }
    }

    fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self) -> usize {
        let Tally { right, lost, wrong, .. } = self.tally();
        right + lost + wrong
    }

    async fn at_least(&self, calls: usize) {
        let started = Instant::now();
        while self.count() < calls {
            assert!(started.elapsed() < Duration::from_mins(5), "only {} calls were answered", self.count());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn untroubled_for(&self, time: Duration) -> bool {
        self.tally().trouble.is_none_or(|(_, last)| last.elapsed() > time)
    }

    /// When all calls are answered.
    async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let Self { tally, running, .. } = self;
        running.await.expect("no call panics");
        tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn send(clients: Vec<Api<Pod>>, per_second: u32, tally: Arc<Mutex<Tally>>, stop: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = JoinSet::new();
    for (number, client) in clients.iter().cycle().enumerate() {
        ticks.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // In pairs, so that each client asks for both.
        let refuse = (number / CLIENTS).is_multiple_of(2);
        let (client, tally) = (client.clone(), Arc::clone(&tally));
        calls.spawn(async move {
            let started = Instant::now();
            let answer = client.create(&dry_run(), &pod(refuse)).await;
            tally.lock().unwrap_or_else(PoisonError::into_inner).count(refuse, started.elapsed(), answer);
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

fn pod(refuse: bool) -> Pod {
    let image =
        if refuse { "registry.invalid/web:latest".to_owned() } else { format!("registry.invalid/web@{DIGEST}") };
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-"},
        "spec": {"containers": [{"name": "web", "image": image}]}});
    serde_json::from_value(pod).expect("it is a Pod")
}

impl Tally {
    fn count(&mut self, refuse: bool, took: Duration, answer: kube::Result<Pod>) {
        self.slowest = self.slowest.max(took);
        let what = match &answer {
            Ok(_) => "admitted".to_owned(),
            Err(kube::Error::Api(status)) => status.message.clone(),
            Err(error) => error.to_string(),
        };
        match (refuse, answer) {
            (false, Ok(_)) => self.right += 1,
            (true, Err(_)) if what.contains("denied the request: registry.invalid/web:latest: tag-mutable") => {
                self.right += 1;
            }
            (true, Ok(_)) => self.mistaken(what),
            (_, Err(_)) if what.contains("denied the request") => self.mistaken(what),
            (_, Err(_)) => {
                self.lost += 1;
                let now = Instant::now();
                self.trouble = Some((self.trouble.map_or(now, |(first, _)| first), now));
                self.example(what);
            }
        }
    }

    fn mistaken(&mut self, what: String) {
        self.wrong += 1;
        self.example(what);
    }

    fn example(&mut self, what: String) {
        if self.examples.len() < 5 {
            self.examples.push(what);
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { right, lost, wrong, trouble, slowest, examples } = self;
        let within = trouble.map_or(Duration::ZERO, |(first, last)| last - first);
        write!(f, "{right} right, {lost} lost within {within:.1?}, {wrong} wrong, the slowest {slowest:.1?}")?;
        examples.iter().take(1).try_for_each(|example| write!(f, "; such as: {example}"))
    }
}
