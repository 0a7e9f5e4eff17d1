//! The end: SIGTERM loses no review.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pratique_testkit::reqwest::{self, Method};
use pratique_testkit::{Client, Directory, Program, eventually, pod, review};

use crate::{LATEST, PINNED, PRATIQUE};

/// Longer than the program may take: a Pod's default `terminationGracePeriodSeconds`.
const GRACE: Duration = Duration::from_secs(30);

/// What became of the requests of one caller.
#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    /// No connection was to be had, so nothing was sent: an API server goes to another replica.
    unsent: u32,
    lost: Vec<String>,
}

/// Asks over one kept connection, about forty times a second, until nobody listens any more.
async fn keep_asking(client: Client, stop: Arc<AtomicBool>) -> Tally {
    let body = review(&pod("web").container("web", PINNED)).text();
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) && tally.unsent < 3 {
        let request = client.request(Method::POST, "/validate?timeout=10s").header("content-type", "application/json");
        match client.try_send(request.body(body.clone())).await {
            Ok(raw) if raw.admits() => tally.answered += 1,
            Ok(raw) => tally.lost.push(format!("{}: {}", raw.status, raw.text())),
            Err(error) if error.is_connect() => tally.unsent += 1,
            Err(error) => tally.lost.push(chain(&error)),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    tally
}

fn chain(error: &reqwest::Error) -> String {
    let first: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(first), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn shop() -> Directory {
    let manifests = Directory::new();
    manifests.write("pinned.yaml", pratique_testkit::PINNED_POLICY);
    manifests.namespace("shop", &[("pratique.dev/enforce", "pinned")]);
    manifests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_request_is_answered_or_never_sent() {
    let mut program = Program::serve(PRATIQUE, &shop(), &[]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..8).map(|_| tokio::spawn(keep_asking(program.client().clone(), Arc::clone(&stop)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    program.terminate();
    let status = program.exited_within(GRACE).await;
    stop.store(true, Ordering::Relaxed);
    let status = status.unwrap_or_else(|| panic!("it runs on after {GRACE:?}:\n{}", program.log()));
    assert_eq!(status.code(), Some(0), "{}", program.log());
    let (mut answered, mut lost) = (0, Vec::new());
    for caller in callers {
        let tally = caller.await.expect("a caller does not panic");
        answered += tally.answered;
        lost.extend(tally.lost);
    }
    assert!(lost.is_empty(), "{} lost of {answered}: {lost:#?}", lost.len());
    assert!(answered > 100, "there was load: {answered}");
}

#[tokio::test]
async fn readiness_goes_first_and_reviews_are_answered_until_the_end() {
    let mut program = Program::serve(PRATIQUE, &shop(), &[]).await;
    let client = program.client().clone();
    assert_eq!(client.get("/readyz").await.status, 200);
    program.terminate();
    eventually("readiness is off", async || client.admin_get("/readyz").await.is_ok_and(|raw| raw.status == 503)).await;
    assert!(client.get("/readyz").await.text().contains("draining"));
    assert_eq!(client.get("/healthz").await.status, 200, "it must not be killed for going");
    let raw = client.post(review(&pod("web").container("web", PINNED)).text()).await;
    assert!(raw.admits());
    assert_eq!(raw.headers["connection"], "close", "callers must not come back on this connection");
    assert!(!client.review(&review(&pod("web").container("web", LATEST))).await.allowed, "judged as ever");
    assert!(program.is_running());
    let status = program.exited_within(GRACE).await.expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", program.log());
}

#[tokio::test]
async fn without_load_it_is_gone_well_within_the_grace() {
    let mut program = Program::serve(PRATIQUE, &shop(), &[]).await;
    let idle = program.client().connect(pratique_testkit::Protocol::Http1).await;
    let started = Instant::now();
    program.terminate();
    let status = program.exited_within(GRACE).await.expect("an idle connection does not hold it");
    assert_eq!(status.code(), Some(0), "{}", program.log());
    assert!(started.elapsed() < GRACE / 2, "{:?}", started.elapsed());
    drop(idle);
}

#[tokio::test]
async fn what_cannot_start_says_why_and_ends_with_an_error() {
    let manifests = shop();
    manifests.policy("broken", "rules: []");
    let path = manifests.path().display().to_string();
    let outcome = pratique_testkit::run(PRATIQUE, &["serve", "--manifests", &path, "--listen", "127.0.0.1:0"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("policy-broken.yaml"), "{outcome:?}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = pratique_testkit::run(PRATIQUE, &["serve", "--listen", &address, "--admin", "127.0.0.1:0"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains(&address), "the address is named: {outcome:?}");

    let missing = manifests.file("no-such-folder");
    let outcome = pratique_testkit::run(PRATIQUE, &["serve", "--manifests", &missing]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("no-such-folder"), "{outcome:?}");
}

#[tokio::test]
async fn a_program_without_certificates_prints_the_bundle_to_trust() {
    let manifests = shop();
    let path = manifests.path().display().to_string();
    let arguments = ["serve", "--manifests", &path, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let printed = pratique_testkit::first_line_of(PRATIQUE, &arguments).await;
    assert!(printed.starts_with("caBundle: LS0tLS1CRUdJTi"), "{printed}");
}
