//! What is looked at: kinds, the places of a pod spec, and what passes because it can bring no image.

use pratique::policy::Controllers;
use pratique_testkit::{
    Object, Webhook, cron_job, custom, daemon_set, deployment, job, pod, pod_template, replica_set,
    replication_controller, review, stateful_set,
};
use serde_json::json;

use crate::{LATEST, PINNED};

/// Every built-in kind, with the path of its first image.
fn kinds() -> [(Object, &'static str); 9] {
    [
        (pod("web"), "spec"),
        (deployment("web"), "spec.template.spec"),
        (replica_set("web"), "spec.template.spec"),
        (stateful_set("web"), "spec.template.spec"),
        (daemon_set("web"), "spec.template.spec"),
        (replication_controller("web"), "spec.template.spec"),
        (job("web"), "spec.template.spec"),
        (cron_job("web"), "spec.jobTemplate.spec.template.spec"),
        (pod_template("web"), "template.spec"),
    ]
}

#[tokio::test]
async fn every_kind_is_judged_when_it_is_created() {
    let webhook = Webhook::enforcing("baseline").await;
    for (object, _) in kinds() {
        let good = review(&object.clone().container("web", PINNED));
        assert!(webhook.review(&good).await.allowed, "{}", good["request"]["kind"]);
        let bad = review(&object.container("web", LATEST));
        let answer = webhook.review(&bad).await;
        assert!(!answer.allowed && answer.message.contains("containers[web] nginx:latest"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_kind_is_judged_when_its_image_changes_and_passes_when_it_stays() {
    let webhook = Webhook::enforcing("baseline").await;
    for (object, _) in kinds() {
        let (old, new) = (object.clone().container("web", PINNED), object.container("web", LATEST));
        let changed = review(&new).update_of(&old);
        assert!(!webhook.review(&changed).await.allowed, "{}", changed["request"]["kind"]);
        let answer = webhook.review(&review(&new).update_of(&new)).await;
        assert!(answer.allowed, "{answer:?}");
        assert_eq!(answer.annotations["basis"], "Unchanged");
    }
}

#[tokio::test]
async fn a_kind_without_the_pod_spec_that_it_must_have_is_undetermined_and_refused() {
    let webhook = Webhook::enforcing("baseline").await;
    for (object, path) in kinds() {
        let answer = webhook.review(&review(&object.clone().without_pod_spec())).await;
        assert!(!answer.allowed && answer.first_line().contains("pod-spec-missing"), "{answer:?}");
        assert!(answer.message.contains(path), "the path is told: {answer:?}");
        let answer = webhook.review(&review(&object)).await;
        assert!(!answer.allowed && answer.message.contains("pod-spec-missing"), "no container: {answer:?}");
    }
}

#[tokio::test]
async fn an_update_without_a_pod_spec_is_undetermined_and_never_unchanged() {
    let webhook = Webhook::enforcing("baseline").await;
    for (object, _) in kinds() {
        let empty = object.without_pod_spec();
        let answer = webhook.review(&review(&empty).update_of(&empty)).await;
        assert!(!answer.allowed && answer.message.contains("pod-spec-missing"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_place_of_a_pod_spec_is_looked_at() {
    let webhook = Webhook::enforcing("baseline").await;
    let good = || pod("web").container("web", PINNED);
    for (object, title) in [
        (good().init("migrate", LATEST), "initContainers[migrate]"),
        (good().sidecar("proxy", LATEST), "initContainers[proxy]"),
        (good().container("side", LATEST), "containers[side]"),
        (good().ephemeral("debug", LATEST), "ephemeralContainers[debug]"),
        (good().image_volume("model", LATEST), "volumes[model]"),
        (good().init("a", PINNED).init("b", PINNED).init("c", LATEST), "initContainers[c]"),
    ] {
        let answer = webhook.review(&review(&object)).await;
        let lines: Vec<&str> = answer.message.lines().collect();
        assert!(!answer.allowed, "{title} was not looked at");
        assert_eq!(lines[1], format!("  {title} nginx:latest"), "{answer:?}");
    }
    let all = good().init("a", PINNED).sidecar("b", PINNED).ephemeral("c", PINNED).image_volume("d", PINNED);
    assert!(webhook.review(&review(&all)).await.allowed);
}

#[tokio::test]
async fn an_image_that_is_missing_or_empty_is_invalid() {
    let webhook = Webhook::enforcing("baseline").await;
    let base = || review(&pod("web").container("web", PINNED).image_volume("model", PINNED));
    for changed in [
        base().without("/request/object/spec/containers/0/image"),
        base().set("/request/object/spec/containers/0/image", json!("")),
        base().set("/request/object/spec/containers/0/image", json!(null)),
        base().without("/request/object/spec/volumes/0/image/reference"),
        base().set("/request/object/spec/volumes/0/image", json!({})),
    ] {
        let answer = webhook.review(&changed).await;
        assert!(!answer.allowed && answer.message.contains("image-invalid"), "{answer:?}");
    }
}

#[tokio::test]
async fn volumes_of_other_sorts_are_no_images() {
    let webhook = Webhook::enforcing("baseline").await;
    let base = review(&pod("web").container("web", PINNED));
    let volumes = json!([{"name": "a", "emptyDir": {}}, {"name": "b", "configMap": {"name": "image"}}]);
    assert!(webhook.review(&base.set("/request/object/spec/volumes", volumes)).await.allowed);
}

#[tokio::test]
async fn old_groups_of_a_kind_count_as_the_kind() {
    let webhook = Webhook::enforcing("baseline").await;
    for (group, version, kind, resource) in [
        ("extensions", "v1beta1", "Deployment", "deployments"),
        ("apps", "v1beta2", "DaemonSet", "daemonsets"),
        ("extensions", "v1beta1", "ReplicaSet", "replicasets"),
        ("batch", "v1beta1", "Job", "jobs"),
    ] {
        let object = custom(group, version, kind, resource, "spec.template.spec").container("web", LATEST);
        assert!(!webhook.review(&review(&object)).await.allowed, "{group} {kind}");
    }
}

#[tokio::test]
async fn a_custom_kind_is_judged_where_the_configuration_names_it() {
    let rollout = || custom("argoproj.io", "v1alpha1", "Rollout", "rollouts", "spec.template.spec");
    let service = || custom("serving.knative.dev", "v1", "Service", "services", "spec.template.spec");
    let webhook = Webhook::setup()
        .enforce("baseline")
        .controllers(Controllers::Enforce)
        .workload("argoproj.io", "Rollout", "spec.template.spec")
        .start()
        .await;
    assert!(!webhook.review(&review(&rollout().container("web", LATEST))).await.allowed);
    assert!(webhook.review(&review(&rollout().container("web", PINNED))).await.allowed);
    let answer = webhook.review(&review(&rollout().without_pod_spec())).await;
    assert!(!answer.allowed && answer.message.contains("pod-spec-missing"), "{answer:?}");
    assert!(webhook.review(&review(&service().container("web", LATEST))).await.allowed, "nobody named it");
}

#[tokio::test]
async fn a_custom_kind_is_a_controller_and_warned_by_default() {
    let webhook = Webhook::setup().enforce("baseline").workload("argoproj.io", "Rollout", "spec.template.spec");
    let webhook = webhook.start().await;
    let rollout = custom("argoproj.io", "v1alpha1", "Rollout", "rollouts", "spec.template.spec");
    let answer = webhook.review(&review(&rollout.container("web", LATEST))).await;
    assert!(answer.allowed && answer.warnings.len() == 1, "{answer:?}");
}

#[tokio::test]
async fn delete_and_connect_start_no_container() {
    let webhook = Webhook::enforcing("pinned").await;
    for operation in ["DELETE", "CONNECT"] {
        let answer = webhook.review(&review(&pod("web").container("web", LATEST)).operation(operation)).await;
        assert!(answer.allowed, "{operation}: {answer:?}");
        assert_eq!(answer.annotations["basis"], "NothingDemanded");
    }
}

#[tokio::test]
async fn kinds_that_make_no_pods_pass() {
    let webhook = Webhook::enforcing("pinned").await;
    for (group, kind, resource) in [
        ("", "ConfigMap", "configmaps"),
        ("", "Service", "services"),
        ("rbac.authorization.k8s.io", "Role", "roles"),
        ("example.com", "Pod", "pods"),
        ("example.com", "Deployment", "deployments"),
    ] {
        let object = custom(group, "v1", kind, resource, "spec").container("web", LATEST);
        assert!(webhook.review(&review(&object)).await.allowed, "{group}/{kind}");
    }
}

#[tokio::test]
async fn subresources_that_carry_no_pod_spec_pass() {
    let webhook = Webhook::enforcing("pinned").await;
    for (group, kind, resource, sub_resource, owner) in [
        ("autoscaling", "Scale", "deployments", "scale", "apps"),
        ("policy", "Eviction", "pods", "eviction", ""),
        ("", "Binding", "pods", "binding", ""),
    ] {
        let object = custom(group, "v1", kind, resource, "spec").without_pod_spec();
        let review = review(&object).sub_resource(sub_resource).set("/request/resource/group", json!(owner));
        let answer = webhook.review(&review).await;
        assert!(answer.allowed, "{resource}/{sub_resource}: {answer:?}");
    }
}

#[tokio::test]
async fn a_resize_passes_since_it_changes_resources_alone() {
    let webhook = Webhook::enforcing("pinned").await;
    let pod = pod("web").container("web", LATEST);
    assert!(webhook.review(&review(&pod).update_of(&pod).sub_resource("resize")).await.allowed);
}

#[tokio::test]
async fn the_status_of_a_pod_changes_no_image() {
    let webhook = Webhook::enforcing("pinned").await;
    let pod = pod("web").container("web", LATEST);
    let answer = webhook.review(&review(&pod).update_of(&pod).sub_resource("status")).await;
    assert!(answer.allowed, "{answer:?}");
}

#[tokio::test]
async fn a_review_that_names_two_things_at_once_is_refused() {
    let webhook = Webhook::enforcing("pinned").await;
    let base = || review(&pod("web").container("web", PINNED));
    for changed in [
        base().set("/request/kind/kind", json!("ConfigMap")),
        base().set("/request/resource/resource", json!("configmaps")),
        base().set("/request/object/kind", json!("ConfigMap")),
        base().set("/request/kind/group", json!("example.com")),
    ] {
        let answer = webhook.review(&changed).await;
        assert!(!answer.allowed && answer.message.contains("review-unreadable"), "{answer:?}");
    }
}
