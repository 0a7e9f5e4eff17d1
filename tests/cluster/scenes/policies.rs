//! Policies that change, go and come back while they judge.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{does, fails, pod, stage};
use crate::installed::Installed;

const TOGGLED: usize = 30;
/// Who asks at the same time.
const CALLERS: usize = 4;

/// The image of one host is welcome and that of the other is refused, by a word that says which policy it was.
fn contradicting(welcome: &str, refused: &str, why: &str) -> Value {
    json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "toggled"}, "spec": {"rules": [
        {"name": "one", "images": [format!("{welcome}/**")], "admit": true},
        {"name": "other", "images": [format!("{refused}/**")], "refuse": why},
    ]}})
}

/// What is said of a Pod with an image of each host: the words that it is refused by.
async fn asked(pods: &Api<Pod>) -> String {
    let containers = json!([{"name": "a", "image": "a.example/web:1"}, {"name": "b", "image": "b.example/web:1"}]);
    let pod = json!({"metadata": {"generateName": "web-"}, "spec": {"containers": containers}});
    let pod: Pod = serde_json::from_value(pod).expect("it is a Pod");
    match pods.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await {
        Ok(_) => "admitted".to_owned(),
        Err(kube::Error::Api(status)) => status.message.clone(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn no_answer_is_half_of_one_policy_and_half_of_the_next() {
    let stage = stage().await;
    let cluster = stage.cluster();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("pratique.dev", "v1alpha1", "ImagePolicy"));
    let policies = Api::<DynamicObject>::all_with(cluster.client().await, &kind);
    let states = [
        contradicting("a.example", "b.example", "the first says no"),
        contradicting("b.example", "a.example", "the second says no"),
    ];
    let apply = async |state: &Value| {
        let how = PatchParams::apply("scenes").force();
        policies.patch("toggled", &how, &Patch::Apply(state)).await.expect("it can be written");
    };
    apply(&states[0]).await;
    let namespace = cluster.fresh_namespace("toggled", &[("pratique.dev/enforce", "toggled")]).await;
    let pods = Api::<Pod>::namespaced(cluster.client().await, &namespace);
    eventually("it is in force", async || asked(&pods).await.contains("the first says no")).await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (pods, stopped) = (Api::<Pod>::namespaced(cluster.client().await, &namespace), stopped.clone());
        callers.spawn(async move {
            let mut answers = Vec::new();
            while !*stopped.borrow() {
                answers.push(asked(&pods).await);
            }
            answers
        });
    }
    for round in 1..=TOGGLED {
        apply(&states[round % 2]).await;
        let words = ["the first says no", "the second says no"][round % 2];
        // Every other time until it is seen, so that each of the two does judge.
        if round % 4 < 2 {
            eventually("the change is in force", async || asked(&pods).await.contains(words)).await;
        }
    }
    stop.send_replace(true);
    let mut answers = Vec::new();
    while let Some(caller) = callers.join_next().await {
        answers.extend(caller.expect("no caller panics"));
    }
    let different: BTreeSet<&str> = answers.iter().map(String::as_str).collect();
    println!("{} answers while the policy was changed {TOGGLED} times", answers.len());
    assert_eq!(different, BTreeSet::from([FIRST, SECOND]));
}

const FIRST: &str = "admission webhook \"images.pratique.dev\" denied the request: b.example/web:1: refused-by-rule, the first says no (policy toggled)
  containers[b] b.example/web:1
    refused-by-rule: the first says no";
const SECOND: &str = "admission webhook \"images.pratique.dev\" denied the request: a.example/web:1: refused-by-rule, the second says no (policy toggled)
  containers[a] a.example/web:1
    refused-by-rule: the second says no";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_policy_that_is_deleted_refuses_what_names_it_and_is_mended_while_a_replica_is_down() {
    const LENT: &str = "{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: lent}, spec: {rules: [{name: all, images: ['**'], admit: true}]}}";
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).manifest(LENT).start().await;
    cluster.namespace("shop", &[("pratique.dev/enforce", "lent"), ("pratique.dev/warn", "lent")]).await;
    installed.would_accept(&pod("shop", "web", "nginx:1"));
    does(&installed, "delete imgpol lent");
    let create = || installed.create(&pod("shop", "web", "nginx:1"), &[]);
    eventually("it is known to be gone", async || create().stderr.contains("denied the request")).await;
    assert_eq!(create().stderr, GONE);
    // Not by the other replica either.
    for _ in 0..20 {
        installed.would_reject(&pod("shop", "web", "nginx:1"), &["policy-unknown"]);
    }
    installed.kill(0);
    let survivor = installed.webhook(1);
    eventually("one is left", async || installed.forwarder().ready() == [survivor]).await;
    let made = cluster.kubectl_with_input(&["apply", "-f", "-"], LENT);
    assert_eq!(made.stdout, "imagepolicy.pratique.dev/lent created\n", "{made:?}");
    eventually("it is in force again", async || create().code == Some(0)).await;
}

const GONE: &str = "Warning: policy-unknown: policy \"lent\" is named for warn here and does not exist; add it or correct the name
Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"images.pratique.dev\" denied the request: policy-unknown, policy \"lent\" is named for enforce here and does not exist, add it or correct the name
  policy-unknown: policy \"lent\" is named for enforce here and does not exist; add it or correct the name
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn kubectl_lists_policies_at_a_glance_and_refuses_one_that_is_wrong() {
    let stage = stage().await;
    let good = "{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: glance}, spec: {rules: [{name: more, images: ['x.example/**'], admit: true}, {name: all, images: ['**'], tags: {deny: [latest]}}]}}";
    stage.accepts(good);
    let table = |flags: &str| {
        let table = does(stage, &format!("get imgpol glance{flags}"));
        table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    eventually("it has a status", async || table("").iter().all(|line| line.len() == 5)).await;
    let [ref head, ref row] = table("")[..] else { panic!("not two lines: {:?}", table("")) };
    assert_eq!(head.join(" "), "NAME RULES ACCEPTED READY AGE");
    assert_eq!(row[..4].join(" "), "glance 2 True True");
    let [ref head, ref row] = table(" -o wide")[..] else { panic!("not two lines: {:?}", table(" -o wide")) };
    assert_eq!(head.join(" "), "NAME RULES ACCEPTED READY REASON AGE");
    assert_eq!(row[..5].join(" "), "glance 2 True True Valid");
    let wrong = good.replace("glance", "wrong").replace("deny: [latest]", "dney: [latest]");
    assert_eq!(stage.rejects(&wrong, &[]), WRONG);
    let missing = fails(stage, "get imgpol wrong");
    assert_eq!(missing, "Error from server (NotFound): imagepolicies.pratique.dev \"wrong\" not found\n");
}

const WRONG: &str = "The ImagePolicy \"wrong\" is invalid: spec.rules[1].tags: Invalid value: demands nothing: write deny, allow, `requireDigest: true` or `repointed: deny`\n";
