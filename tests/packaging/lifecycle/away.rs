//! While no replica is there: nobody is locked out, and what is enforced is refused.

use pratique_testkit::DIGEST;

use super::{ROLLED_OUT, Way, judges, namespaces};
use crate::place::Place;

const EVERY_NODE: &str = "node-1 node-2 node-3";
const NO_REPLICA_IS_LEFT: &str =
    "kubectl -n pratique-system wait --for=delete pod -l app.kubernetes.io/name=pratique --timeout=60s";

/// The first installation, where nothing starts: no image, no node, no right to it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn nothing_is_refused_before_a_namespace_is_labelled_even_without_any_replica() {
    let place = Place::new().await;
    place.run(&format!("kubectl cordon {EVERY_NODE}"));
    place.run(&Way::overlay("audit-only").install);
    namespaces(&place);
    refused_where_labelled_alone(&place, "never");
    // Into an empty cluster, and what was waited for comes: nothing has to be done twice.
    place.run(&format!("kubectl uncordon {EVERY_NODE}\n{ROLLED_OUT}"));
    place.run("kubectl delete namespace shop strict");
    judges(&place, false).await;
    place.run(&format!("kubectl -n pratique-system scale deployment/pratique --replicas=0\n{NO_REPLICA_IS_LEFT}"));
    refused_where_labelled_alone(&place, "scaled");
    // The way out, for one namespace.
    place.run("kubectl label namespace strict pratique.dev/enforce-\nkubectl -n strict run out --image=registry.invalid/web:latest");
}

fn refused_where_labelled_alone(place: &Place, name: &str) {
    for image in ["registry.invalid/web:latest".to_owned(), format!("registry.invalid/web@{DIGEST}")] {
        let tag = if image.contains('@') { "pinned" } else { "mutable" };
        place.run(&format!("kubectl -n shop run {name}-{tag} --image={image}"));
        place.fails(&format!("kubectl -n strict run {name}-{tag} --image={image}"), &["failed calling webhook"]);
    }
}

/// On purpose, with `Fail` everywhere.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn replicas_that_are_deleted_by_force_come_back_by_themselves_and_the_cluster_goes_on_meanwhile() {
    let place = Place::new().await;
    place.run(&format!("{}\n{ROLLED_OUT}", Way::overlay("enforce").install));
    judges(&place, true).await;
    place.run(&format!(
        "kubectl -n strict create deployment web --image=registry.invalid/web@{DIGEST} --replicas=2
        kubectl -n strict rollout status deployment/web --timeout=60s"
    ));
    // Nothing takes the place of what is deleted, so there is time to look.
    place.run(&format!("kubectl cordon {EVERY_NODE}"));
    place.run("kubectl -n pratique-system delete pods --all --force --grace-period=0");
    // A connection to who was killed is noticed by the next who asks.
    for namespace in ["shop", "strict"] {
        place.fails(
            &format!("kubectl -n {namespace} run meanwhile --image=registry.invalid/web@{DIGEST}"),
            &["failed calling webhook"],
        );
    }
    place.run(
        "kubectl -n kube-system wait --for=create serviceaccount/default --timeout=20s
        kubectl -n kube-system run meanwhile --image=registry.invalid/web:latest
        kubectl -n strict label pod pinned still=labelled
        kubectl -n strict delete pod pinned
        kubectl -n strict scale deployment/web --replicas=1
        kubectl -n strict create configmap meanwhile
        kubectl label namespace shop still=labelled
        kubectl cordon node-1
        kubectl delete pods --all -n shop",
    );
    place.run(&format!("kubectl uncordon {EVERY_NODE}\n{ROLLED_OUT}"));
    let again = format!("kubectl -n strict run again --image=registry.invalid/web@{DIGEST} --dry-run=server");
    place.eventually(&again, |outcome| outcome.code == Some(0)).await;
    place.fails(
        "kubectl -n strict run again --image=registry.invalid/web:latest",
        &["denied the request", "tag-mutable"],
    );
}
