//! From an empty cluster to an empty cluster: overlays and chart installed, asked, upgraded and taken away.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use pratique_testkit::{DIGEST, PATIENCE};

use crate::place::Place;
use crate::place::remains::remains;

mod away;
mod cert_manager;
mod chart;
mod overlays;
mod server_side;

/// What says that all replicas are there.
const ROLLED_OUT: &str = "kubectl -n pratique-system rollout status deployment/pratique --timeout=120s";

/// A way to have Pratique in a cluster, as commands of a shell in our repository.
struct Way {
    name: &'static str,
    /// Into an empty cluster.
    install: String,
    uninstall: String,
    /// Whether Pods in a namespace without labels are refused.
    enforces: bool,
    /// What is left of us afterwards, by design.
    leaves: Vec<&'static str>,
}

impl Way {
    /// An overlay, by the commands that it shows itself.
    fn overlay(name: &'static str) -> Self {
        let file = format!("manifests/overlays/{name}/kustomization.yaml");
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("it is ours");
        let shown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
        assert!(!shown.is_empty(), "{name} does not show how it is installed");
        Self {
            name,
            install: shown.join("\n"),
            uninstall: format!("kubectl delete -k manifests/overlays/{name}"),
            enforces: name == "enforce",
            leaves: Vec::new(),
        }
    }
}

/// An overlay, installed and at work.
pub(crate) fn install(place: &Place, overlay: &str) {
    place.run(&format!(
        "kubectl apply -k manifests/overlays/{overlay}
        {ROLLED_OUT}
        kubectl wait --for=jsonpath='{{.webhooks[0].clientConfig.caBundle}}' validatingwebhookconfiguration/pratique"
    ));
}

/// Installed, asked, and taken away again: what remains is what users have written themselves.
async fn comes_and_goes(place: &Place, way: &Way) {
    assert_eq!(remains(place), BTreeSet::new(), "the cluster is not empty");
    place.run(&way.install);
    place.run(ROLLED_OUT);
    judges(place, way.enforces).await;
    taken_away(place, way).await;
}

/// What remains is what this way leaves, and what users have written themselves; and Pods can be made.
#[expect(clippy::print_stdout, reason = "what was measured is shown")]
async fn taken_away(place: &Place, way: &Way) {
    place.run(&way.uninstall);
    // Their labels are the users' own.
    let expected = way.leaves.iter().copied().chain(["Namespace strict"]).map(str::to_owned).collect();
    settles(place, &expected).await;
    println!("{}: remains {expected:?}", way.name);
    for namespace in ["shop", "strict"] {
        place.run(&format!("kubectl -n {namespace} run after --image=registry.invalid/web:latest"));
    }
}

/// What belongs to an object that is gone is collected by and by.
async fn settles(place: &Place, expected: &BTreeSet<String>) {
    let started = Instant::now();
    loop {
        let found = tokio::task::block_in_place(|| remains(place));
        if found == *expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE * 2, "there are, and should be:\n{found:#?}\n{expected:#?}");
    }
}

/// Makes the namespaces `shop`, without labels, and `strict`, which enforces `baseline`; and asks in both.
async fn judges(place: &Place, enforces: bool) {
    namespaces(place);
    let mutable = "run mutable --image=registry.invalid/web:latest";
    let pinned = format!("run pinned --image=registry.invalid/web@{DIGEST}");
    // What was just installed is asked after a moment.
    let asked = format!("kubectl -n shop {mutable} --dry-run=server");
    place.eventually(&asked, |outcome| outcome.stderr.contains("tag-mutable")).await;
    if enforces {
        place.fails(&format!("kubectl -n shop {mutable}"), &["denied the request", "tag-mutable"]);
    } else {
        let warned = place.shell(&format!("kubectl -n shop {mutable}"));
        assert!(warned.code == Some(0) && warned.stderr.contains("tag-mutable"), "{warned:?}");
    }
    place.fails(&format!("kubectl -n strict {mutable}"), &["denied the request", "tag-mutable"]);
    place.run(&format!("kubectl -n shop {pinned}\nkubectl -n strict {pinned}"));
    place.run("kubectl -n strict wait --for=condition=Ready pod/pinned");
}

/// With the service accounts that Pods need.
fn namespaces(place: &Place) {
    place.run(&format!(
        "kubectl create namespace shop
        kubectl create namespace strict
        kubectl label namespace strict pratique.dev/enforce=baseline
        for namespace in shop strict; do
            kubectl -n $namespace wait --for=create serviceaccount/default --timeout={}s
        done",
        PATIENCE.as_secs()
    ));
}
