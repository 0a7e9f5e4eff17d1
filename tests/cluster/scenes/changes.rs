//! Changes that bring no image in go through, whatever is there already; who judges is not for everybody to change.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use pratique_testkit::eventually;
use serde_json::json;

use super::{deployment, does, fails, kubectl, pod, stage};
use crate::installed::Installed;

/// Namespaces that are made while Pods are already on their way to them.
const NEW_NAMESPACES: usize = 20;

/// Who may change namespaces, and may bind no policy.
const TEAM: &str = "
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: edits-namespaces}, rules: [{apiGroups: [''], resources: [namespaces], verbs: ['*']}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: edits-namespaces}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edits-namespaces}, subjects: [{kind: User, name: team}]}
";

/// Until both replicas refuse `latest` in a namespace whose label has just been set.
async fn enforced(stage: &Installed<'_>, namespace: &str) {
    let mut refused = 0;
    eventually("the label is known", async || {
        let outcome = stage.create(&pod(namespace, "asks", "nginx:latest"), &["--dry-run=server"]);
        refused = if outcome.stderr.contains("denied the request") { refused + 1 } else { 0 };
        refused >= 10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_runs_is_left_alone_when_its_image_would_be_refused_today() {
    let stage = stage().await;
    let namespace = stage.cluster().fresh_namespace("yesterday", &[]).await;
    let finalizer = "name: old, finalizers: [a.example/kept]";
    stage.accepts(&pod(&namespace, "old", "nginx:latest").replace("name: old", finalizer));
    stage.accepts(&deployment(&namespace, "old", "nginx:latest"));
    does(stage, &format!("label namespace {namespace} pratique.dev/enforce=tags"));
    enforced(stage, &namespace).await;

    let said = |line: &str| does(stage, &format!("{line} -n {namespace}"));
    assert_eq!(said("label pod old team=a"), "pod/old labeled\n");
    assert_eq!(said("annotate pod old a.example/why=b"), "pod/old annotated\n");
    assert_eq!(said("scale deployment old --replicas=2"), "deployment.apps/old scaled\n");
    assert_eq!(said("label deployment old team=a"), "deployment.apps/old labeled\n");
    assert_eq!(said(r#"patch deployment old -p '{"spec": {"paused": true}}'"#), "deployment.apps/old patched\n");
    // The same image again, among new labels of the template: nothing that was not there.
    let labels = r#"{"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}"#;
    assert_eq!(said(&format!("patch deployment old -p '{labels}'")), "deployment.apps/old patched\n");
    let seconds = r#"{"spec": {"activeDeadlineSeconds": 1000}}"#;
    assert_eq!(said(&format!("patch pod old -p '{seconds}'")), "pod/old patched\n");
    let toleration = r#"[{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "a", "operator": "Exists"}}]"#;
    assert_eq!(said(&format!("patch pod old --type=json -p '{toleration}'")), "pod/old patched\n");
    // While it goes, too.
    let deleted = said("delete pod old --wait=false --force --grace-period=0");
    assert!(deleted.ends_with(&format!("pod \"old\" force deleted from {namespace} namespace\n")), "{deleted}");
    let refused = fails(stage, &format!("set image pod/old web=other:latest -n {namespace}"));
    assert!(refused.contains("denied the request: other:latest: tag-mutable"), "{refused}");
    let gone = r#"{"metadata": {"finalizers": null}}"#;
    assert_eq!(said(&format!("patch pod old --type=merge -p '{gone}'")), "pod/old patched\n");
    eventually("it is gone", async || {
        let left = kubectl(stage, &format!("get pod old -n {namespace}"));
        left.code == Some(1) && left.stderr.contains("NotFound")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn server_side_apply_is_judged_like_every_other_way() {
    let stage = stage().await;
    let namespace = stage.cluster().fresh_namespace("applied", &[("pratique.dev/enforce", "tags")]).await;
    let apply = |yaml: &str| stage.cluster().kubectl_with_input(&["apply", "--server-side", "-f", "-"], yaml);
    let refused = apply(&pod(&namespace, "web", "nginx:latest"));
    let words = "admission webhook \"images.pratique.dev\" denied the request: nginx:latest: tag-mutable";
    assert!(refused.code == Some(1) && refused.stderr.contains(words), "{refused:?}");
    for image in ["nginx:1.29", "nginx:1.29", "nginx:1.30"] {
        let applied = apply(&pod(&namespace, "web", image));
        let told = (applied.stdout.as_str(), applied.stderr.as_str());
        assert_eq!(told, ("pod/web serverside-applied\n", ""), "{image}");
    }
    let refused = apply(&pod(&namespace, "web", "nginx:latest"));
    assert!(refused.code == Some(1) && refused.stderr.contains(words), "{refused:?}");
    let warned = apply(&deployment(&namespace, "web", "nginx:latest"));
    let told = (warned.stdout.as_str(), warned.stderr.starts_with("Warning: "));
    assert_eq!(told, ("deployment.apps/web serverside-applied\n", true), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_label_that_says_who_judges_is_changed_by_nobody_who_may_not_bind_the_policy() {
    let stage = stage().await;
    let cluster = stage.cluster();
    let namespace = cluster.fresh_namespace("tampered", &[("pratique.dev/enforce", "tags")]).await;
    assert_eq!(cluster.kubectl_with_input(&["apply", "-f", "-"], TEAM).code, Some(0));
    let team = cluster.kubeconfig_as("team", &[]);
    let labels = |change: &str| cluster.kubectl_as(&team, &["label", "--overwrite", "namespace", &namespace, change]);
    eventually("they may change namespaces", async || labels("team=a").code == Some(0)).await;
    for change in ["pratique.dev/enforce-", "pratique.dev/enforce=floor"] {
        let refused = labels(change);
        assert_eq!((refused.code, refused.stderr), (Some(1), tampered(&namespace)), "{change}");
    }
    stage.rejects(&pod(&namespace, "web", "nginx:latest"), &["nginx:latest: tag-mutable"]);
}

fn tampered(namespace: &str) -> String {
    format!(
        "Error from server (Forbidden): namespaces \"{namespace}\" is forbidden: ValidatingAdmissionPolicy \
         'namespace-labels.pratique.dev' with binding 'namespace-labels.pratique.dev' denied request: the label \
         pratique.dev/enforce says which policy judges the namespace: to set, change or remove it you need the verb \
         \"bind\" on imagepolicies.pratique.dev, for the policy that it names and for the one that it named before\n"
    )
}

/// A namespace, what its Pods need and a Pod in it, one right after the other; what becomes of the Pod.
async fn at_once(client: &Client, name: &str, policy: &str) -> Result<(), String> {
    let namespace = json!({"metadata": {"name": name, "labels": {"pratique.dev/enforce": policy}}});
    let namespace: Namespace = serde_json::from_value(namespace).expect("it is one");
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "default"}})).expect("it is one");
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx:latest"}]}});
    let pod: Pod = serde_json::from_value(pod).expect("it is one");
    let how = PostParams::default();
    Api::all(client.clone()).create(&how, &namespace).await.expect("a namespace can be made");
    // The controllers make one as well: whoever is first.
    match Api::namespaced(client.clone(), name).create(&how, &account).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        Err(error) => panic!("no service account: {error}"),
    }
    loop {
        match Api::namespaced(client.clone(), name).create(&how, &pod).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.message.contains("error looking up service account") => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_pod_in_a_namespace_that_has_just_been_made_is_judged_by_its_label() {
    let stage = stage().await;
    let client = stage.cluster().client().await;
    for number in 0..NEW_NAMESPACES {
        let refused = at_once(&client, &format!("at-once-refuses-{number}"), "tags").await;
        let words = "denied the request: nginx:latest: tag-mutable";
        assert!(refused.as_ref().is_err_and(|error| error.contains(words)), "{number}: {refused:?}");
        let admitted = at_once(&client, &format!("at-once-admits-{number}"), "floor").await;
        assert_eq!(admitted, Ok(()), "{number}");
    }
}
