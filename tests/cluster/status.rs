//! What `kubectl get imgpol` says, written with the rights that we ship and no others.

use std::sync::Arc;

use k8s_openapi::serde_json::{self as json, Value};
use pratique::controller::lease::Leadership;
use pratique::controller::status;
use pratique::evidence::cluster::connection::Connection;
use pratique::evidence::cluster::policies::{InForce, PolicyObject, PolicySet};
use pratique::policy::document::Mistake;
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use tokio::sync::watch;

use crate::shipped;

fn policy(name: &str) -> String {
    format!(
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  rules:\n  \
         - {{name: all, images: ['**'], admit: true}}\n"
    )
}

fn create(cluster: &Cluster, name: &str) {
    let made = cluster.kubectl_with_input(&["create", "-f", "-"], &policy(name));
    assert_eq!(made.code, Some(0), "{made:?}");
}

fn read(cluster: &Cluster, name: &str) -> Value {
    cluster.kubectl(&["get", "imgpol", name, "--show-managed-fields", "-o", "json"]).json()
}

/// As a watch would have it.
fn object(live: &Value, mistakes: Vec<Mistake>, in_force: InForce) -> PolicyObject {
    PolicyObject {
        name: live["metadata"]["name"].as_str().expect("a name").into(),
        uid: live["metadata"]["uid"].as_str().expect("a uid").into(),
        generation: live["metadata"]["generation"].as_i64().expect("a generation"),
        mistakes,
        warnings: Vec::new(),
        in_force,
        status: live.get("status").cloned(),
    }
}

fn set(objects: Vec<PolicyObject>) -> Arc<PolicySet> {
    Arc::new(PolicySet { objects, ..PolicySet::built_in() })
}

/// The columns but the age.
fn columns(cluster: &Cluster, name: &str) -> String {
    let told = cluster.kubectl(&["get", "imgpol", name, "--no-headers"]);
    let words: Vec<&str> = told.stdout.split_whitespace().collect();
    words.split_last().map_or_else(String::new, |(_age, rest)| rest.join(" "))
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn kubectl_shows_at_a_glance_what_became_of_a_policy_and_nothing_is_written_twice() {
    let cluster = Cluster::start().await;
    shipped::definition(&cluster).await;
    let account = shipped::account(&cluster).await;
    // One of these is built in, with rules of its own.
    for name in ["baseline", "broken", "another"] {
        create(&cluster, name);
    }
    let mistake = Mistake { path: "spec.rules[0]".to_owned(), ..Mistake::about("ImagePolicy broken", "is wrong") };
    // The watch is behind: this one is gone already.
    let gone = object(&read(&cluster, "another"), Vec::new(), InForce::None);
    let deleted = cluster.kubectl(&["delete", "imgpol", "another"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    let of = |in_broken: InForce| {
        vec![
            gone.clone(),
            object(&read(&cluster, "baseline"), Vec::new(), InForce::This { rules: 1 }),
            object(&read(&cluster, "broken"), vec![mistake.clone(), mistake.clone()], in_broken),
        ]
    };

    let connection = Connection::open(Some(&account)).await.expect("a kubeconfig that can be used");
    let (sets, receiver) = watch::channel(set(of(InForce::None)));
    let writing = tokio::spawn(status::write(connection, receiver, Leadership::always()));
    eventually("both have a status", async || {
        columns(&cluster, "baseline").starts_with("baseline 1 True")
            && columns(&cluster, "broken") == "broken 0 False False"
    })
    .await;
    assert_eq!(columns(&cluster, "baseline"), "baseline 1 True True");
    let broken = read(&cluster, "broken");
    assert_eq!(broken["status"]["errors"], json::json!(["spec.rules[0]: is wrong", "spec.rules[0]: is wrong"]));
    assert_eq!(broken["status"]["conditions"][0]["message"], "spec.rules[0]: is wrong; and 1 more");
    assert_eq!(broken["metadata"]["managedFields"][0]["manager"], "pratique-status", "{broken}");
    assert_eq!(cluster.kubectl(&["get", "imgpol", "another"]).code, Some(1), "a status has made a policy");

    // What the watch brings back next, and again: nothing is written.
    let version = |name: &str| read(&cluster, name)["metadata"]["resourceVersion"].clone();
    let before = (version("baseline"), version("broken"));
    for _ in 0..3 {
        sets.send_replace(set(of(InForce::None)));
    }
    // A set that is written is behind them.
    let mut mended = of(InForce::None);
    mended.truncate(2);
    mended.push(object(&read(&cluster, "broken"), Vec::new(), InForce::This { rules: 1 }));
    sets.send_replace(set(mended));
    eventually("the mended one is", async || columns(&cluster, "broken") == "broken 0 True True").await;
    assert!(read(&cluster, "broken")["status"].get("errors").is_none(), "errors that are no more are still there");
    assert_eq!(version("baseline"), before.0);
    assert_ne!(version("broken"), before.1);
    assert!(!writing.is_finished());
}
