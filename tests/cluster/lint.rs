//! What somebody who writes a policy reads of its mistakes, word for word.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use k8s_openapi::serde_json::json;
use pratique::admission::policy_review::{Mistakes, Question, Warnings, decode, encode};
use pratique::evidence::cluster::connection::Connection;
use pratique::evidence::cluster::policies::{self, Surroundings};
use pratique::policy::document::Mistake;
use pratique::server::tls::{self, Identity};
use pratique::server::{self, Bounds, Drain};
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;

use crate::shipped;

fn policy(name: &str, rule: &str) -> String {
    format!(
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  rules:\n  - {rule}\n"
    )
}

const VALID: &str = "{name: all, images: ['**'], admit: true}";
/// Passes the schema of the CRD, which keeps unknown fields so that we can name them.
const INVALID: &str = "{name: all, images: ['**'], admit: true, tag: {deny: [latest]}, imagse: []}";

/// A webhook for policies alone, and the configuration that makes the API server ask it.
async fn asked(cluster: &Cluster) -> server::Running {
    let connection = Connection::open(Some(cluster.kubeconfig())).await.expect("a kubeconfig that can be used");
    let surroundings = Surroundings { roots: ["public".to_owned()].into() };
    let lines = |list: Vec<Mistake>| list.iter().map(|its| format!("{}: {}", its.path, its.message)).collect();
    let answer = move |body: Bytes| {
        let (connection, surroundings) = (connection.clone(), surroundings.clone());
        async move {
            let review = decode(&body).expect("the API server sends reviews");
            let opinion = match review.question {
                Question::Lint(object) => policies::lint(&connection, &surroundings, &object).await,
                Question::Unchanged => Ok(Vec::new()),
                Question::Unanswerable(why) => panic!("{why}"),
            };
            let opinion = opinion.map(|list| Warnings(lines(list))).map_err(|list| Mistakes(lines(list)));
            ([("content-type", "application/json")], encode(&review.uid, &opinion).body)
        }
    };
    let (identity, bundle) = Identity::self_made(&[]).expect("a certificate");
    let tls = tls::server_config(Arc::new(identity), None).expect("a configuration");
    let bounds = Bounds::default();
    let router = Router::new().route("/validate/imagepolicies", post(answer));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let running = server::listen(address, router, Some(tls), &bounds, Drain::default()).await.expect("a port");
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "policies"},
        "webhooks": [{
            "name": "policies.pratique.dev",
            "clientConfig": {
                "url": format!("https://{}/validate/imagepolicies", running.address()),
                "caBundle": bundle.base64(),
            },
            "rules": [{
                "apiGroups": ["pratique.dev"], "apiVersions": ["v1alpha1"], "resources": ["imagepolicies"],
                "operations": ["CREATE", "UPDATE"], "scope": "Cluster",
            }],
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    });
    let applied = cluster.kubectl_with_input(&["create", "-f", "-"], &configuration.to_string());
    assert_eq!(applied.code, Some(0), "{applied:?}");
    running
}

// kubectl is waited for in one thread while the webhook answers in another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_mistake_is_read_at_once_and_what_does_not_change_the_spec_passes() {
    let cluster = Cluster::start().await;
    shipped::definition(&cluster).await;
    let apply = |name: &str, rule: &str, how: &[&str]| {
        let arguments = [&["apply", "-f", "-"], how].concat();
        cluster.kubectl_with_input(&arguments, &policy(name, rule))
    };
    // It was invalid before anybody asked.
    let old = apply("old", INVALID, &[]);
    assert_eq!(old.code, Some(0), "{old:?}");
    let _running = asked(&cluster).await;
    let dry_run = ["--dry-run=server"];
    eventually("the API server asks", async || apply("new", INVALID, &dry_run).code == Some(1)).await;

    let refused = apply("new", INVALID, &[]);
    let words = "The request is invalid: error when creating \"STDIN\": admission webhook \"policies.pratique.dev\" denied the \
                 request: spec.rules[0].imagse: unknown field; did you mean `images`?; and 1 more\n  \
                 spec.rules[0].imagse: unknown field; did you mean `images`?\n  \
                 spec.rules[0].tag: unknown field; did you mean `tags`?\n";
    assert_eq!(refused.stderr, words);
    let fine = apply("new", VALID, &[]);
    assert_eq!((fine.stdout.as_str(), fine.stderr.as_str()), ("imagepolicy.pratique.dev/new created\n", ""));
    let labelled = cluster.kubectl(&["label", "imgpol", "old", "team=shop"]);
    assert_eq!(labelled.stdout, "imagepolicy.pratique.dev/old labeled\n", "{labelled:?}");
    let finalized = r#"{"metadata":{"finalizers":["example.com/held"]}}"#;
    for patch in [finalized, r#"{"metadata":{"finalizers":null}}"#, r#"{"status":{"rules":7}}"#] {
        let sub = if patch.contains("status") { "--subresource=status" } else { "--subresource=" };
        let patched = cluster.kubectl(&["patch", "imgpol", "old", "--type=merge", sub, "-p", patch]);
        assert_eq!(patched.code, Some(0), "{patch}: {patched:?}");
    }
    let still_wrong = apply("old", &INVALID.replace("all", "other"), &[]);
    assert!(still_wrong.code == Some(1) && still_wrong.stderr.contains("policies.pratique.dev"), "{still_wrong:?}");
    let deleted = cluster.kubectl(&["delete", "imgpol", "old"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
}
