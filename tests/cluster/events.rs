//! What `kubectl get events` says of a controller whose Pods are refused, written with the rights that we ship.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::serde_json::json;
use pratique::admission::decode::decode;
use pratique::admission::workload::Workloads;
use pratique::controller::Names;
use pratique::controller::events::{Untold, tell};
use pratique::decision::decide;
use pratique::evidence::cluster::connection::Connection;
use pratique::fact::{Fact, Facts, ImageFacts, Scope};
use pratique::observe::notice::{Noticeboard, noticeboard};
use pratique::policy::plan::plan;
use pratique::policy::{Bindings, Controllers, Policies, compile};
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use prometheus::Registry;

use crate::shipped;

/// Puts on the board what a review of this Deployment says, where `baseline` is enforced.
fn refuse(board: &Noticeboard, namespace: &str, name: &str, image: &str) {
    let containers = json!([{"name": "web", "image": image}]);
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "1",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "namespace": namespace,
            "name": name,
            "operation": "CREATE",
            "object": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": namespace, "uid": "a6aeab0e-9381-4626-9baa-a5ad558bcff5"},
                "spec": {"template": {"spec": {"containers": containers}}},
            },
        },
    });
    let request = decode(review.to_string().as_bytes(), &Workloads::default()).expect("a review");
    let bindings = Bindings {
        enforce: Some("baseline".into()),
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::new(),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    let by_name = compile::built_in().into_iter().map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
    let (at, policies) = (Timestamp::UNIX_EPOCH, Policies { by_name, bindings });
    let scope = Scope { labels: Fact::Absent(at), platforms: [].into(), scans: false };
    let plan = plan(&policies, &scope, &request);
    let nothing = |_| ImageFacts {
        resolved: Fact::Absent(at),
        recorded: Fact::Absent(at),
        admitted: Fact::Absent(at),
        examined: Vec::new(),
        scanned: None,
    };
    let facts = Facts { images: plan.wants.iter().map(nothing).collect() };
    board.put(&plan, &decide(&plan, &facts, at));
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_refused_deployment_has_one_event_which_counts_and_names_image_and_reason() {
    let cluster = Cluster::shared().await;
    let account = shipped::account(cluster).await;
    let namespace = cluster.fresh_namespace("events", &[]).await;
    let connection = Connection::open(Some(&account)).await.expect("a kubeconfig that can be used");
    let names = Names {
        namespace: "pratique-system".to_owned(),
        service: "pratique".to_owned(),
        webhook_configuration: "pratique".to_owned(),
        replica: "pratique-0".to_owned(),
    };
    let (board, notices) = noticeboard();
    let untold = Untold::new(&Registry::new()).expect("fresh collectors");
    let telling = tokio::spawn(tell(connection, names, notices, untold));

    refuse(&board, &namespace, "web", "nginx:latest");
    // The longest name that an object can have.
    let long = format!("{}.{}", "a".repeat(235), "b".repeat(17));
    refuse(&board, &namespace, &long, "nginx:latest");
    let columns = "custom-columns=K:.involvedObject.kind,N:.involvedObject.name,R:.reason,M:.message,T:.type";
    let events = || cluster.kubectl(&["get", "events", "-n", &namespace, "--no-headers", "-o", columns]).stdout;
    eventually("both have an Event", async || events().lines().count() == 2).await;
    let told = events();
    let web = told.lines().find(|line| line.split_whitespace().nth(1) == Some("web")).expect("of web");
    let words: Vec<&str> = web.split_whitespace().collect();
    assert_eq!(
        words.first_chunk::<5>(),
        Some(&["Deployment", "web", "ImagesRefused", "nginx:latest:", "tag-mutable,"])
    );
    assert!(web.ends_with("Warning") && web.contains("(policy baseline)"), "{web}");
    assert!(told.contains(&long), "{told}");

    // Said again until the series is due to be written.
    let series = ["get", "events.events.k8s.io", "-n", &namespace, "-o", "json"];
    eventually("the Event counts", async || {
        refuse(&board, &namespace, "web", "nginx:latest");
        let list = cluster.kubectl(&series).json();
        let items = list["items"].as_array().expect("a list").clone();
        items.iter().any(|event| event["regarding"]["name"] == "web" && event["series"]["count"].as_u64() > Some(1))
    })
    .await;
    assert_eq!(events().lines().count(), 2);

    // Nobody waits for a namespace that is gone.
    refuse(&board, "never-there", "web", "nginx:latest");
    refuse(&board, &namespace, "after", "nginx:latest");
    eventually("the next one is told", async || events().lines().count() == 3).await;
    assert!(!telling.is_finished());
}
