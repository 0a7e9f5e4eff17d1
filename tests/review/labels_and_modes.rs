//! Who is judged by what: labels, defaults, floor, exemptions and dry runs.

use pratique::policy::Controllers;
use pratique_testkit::{Answer, Object, Webhook, deployment, pod, review};
use serde_json::json;

use crate::{LATEST, PINNED, TAGGED};

fn pod_with(image: &str) -> Object {
    pod("web").container("web", image)
}

async fn ask(webhook: &Webhook, namespace: &str, image: &str) -> Answer {
    webhook.review(&review(&pod_with(image)).in_namespace(namespace)).await
}

/// What a user and an auditor see of an answer: allowed, warned, audited.
fn seen(answer: &Answer) -> (bool, bool, bool) {
    (answer.allowed, !answer.warnings.is_empty(), answer.annotations.contains_key("audited"))
}

const UNTOUCHED: (bool, bool, bool) = (true, false, false);
const REFUSED: (bool, bool, bool) = (false, false, false);
const WARNED: (bool, bool, bool) = (true, true, false);
const AUDITED: (bool, bool, bool) = (true, false, true);

#[tokio::test]
async fn each_label_acts_in_its_own_mode_and_nowhere_else() {
    let webhook = Webhook::setup()
        .namespace("unlabelled", &[])
        .namespace("enforced", &[("enforce", "baseline")])
        .namespace("warned", &[("warn", "baseline")])
        .namespace("audited", &[("audit", "baseline")])
        .namespace("warned-more", &[("enforce", "baseline"), ("warn", "pinned")])
        .namespace("audited-more", &[("warn", "baseline"), ("audit", "pinned")])
        .namespace("all", &[("enforce", "pinned"), ("warn", "pinned"), ("audit", "pinned")])
        .start()
        .await;
    for (namespace, image, expected) in [
        ("unlabelled", LATEST, UNTOUCHED),
        ("enforced", LATEST, REFUSED),
        ("enforced", TAGGED, UNTOUCHED),
        ("warned", LATEST, WARNED),
        ("warned", TAGGED, UNTOUCHED),
        ("audited", LATEST, AUDITED),
        ("audited", TAGGED, UNTOUCHED),
        ("warned-more", LATEST, (false, true, false)),
        ("warned-more", TAGGED, WARNED),
        ("warned-more", PINNED, UNTOUCHED),
        ("audited-more", LATEST, (true, true, true)),
        ("audited-more", TAGGED, AUDITED),
        ("audited-more", PINNED, UNTOUCHED),
        // The refusal says it: no warning says the same beside it.
        ("all", TAGGED, (false, false, true)),
        ("all", PINNED, UNTOUCHED),
    ] {
        let answer = ask(&webhook, namespace, image).await;
        assert_eq!(seen(&answer), expected, "{image} in {namespace}: {answer:?}");
    }
}

#[tokio::test]
async fn without_a_label_the_default_of_each_mode_judges() {
    for (setup, expected) in [
        (Webhook::setup(), UNTOUCHED),
        (Webhook::setup().enforce("baseline"), REFUSED),
        (Webhook::setup().warn("baseline"), WARNED),
        (Webhook::setup().audit("baseline"), AUDITED),
        (Webhook::setup().warn("baseline").audit("pinned"), (true, true, true)),
        (Webhook::setup().floor("baseline"), REFUSED),
    ] {
        let webhook = setup.namespace("shop", &[]).start().await;
        let answer = ask(&webhook, "shop", LATEST).await;
        assert_eq!(seen(&answer), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn a_label_replaces_the_default_of_its_own_mode_alone() {
    let webhook =
        Webhook::setup().enforce("pinned").warn("pinned").namespace("lower", &[("enforce", "baseline")]).start().await;
    assert_eq!(seen(&ask(&webhook, "lower", TAGGED).await), WARNED);
    assert_eq!(seen(&ask(&webhook, "lower", LATEST).await), (false, true, false));
}

#[tokio::test]
async fn no_label_lowers_the_floor() {
    let webhook = Webhook::setup()
        .floor("pinned")
        .namespace("lower", &[("enforce", "baseline"), ("warn", "baseline"), ("audit", "baseline")])
        .start()
        .await;
    let answer = ask(&webhook, "lower", TAGGED).await;
    assert!(!answer.allowed && answer.first_line().ends_with("(policy pinned)"), "{answer:?}");
    assert_eq!(seen(&ask(&webhook, "lower", PINNED).await), UNTOUCHED);
}

#[tokio::test]
async fn floor_and_label_both_judge_and_both_are_told() {
    let webhook = Webhook::setup().floor("pinned").namespace("both", &[("enforce", "baseline")]).start().await;
    let answer = ask(&webhook, "both", LATEST).await;
    assert!(answer.message.contains("tag-mutable") && answer.message.contains("digest-missing"), "{answer:?}");
}

#[tokio::test]
async fn a_label_that_names_no_policy_is_a_denial_in_its_mode() {
    let webhook = Webhook::setup()
        .namespace("enforced", &[("enforce", "no-such")])
        .namespace("warned", &[("warn", "no-such")])
        .namespace("audited", &[("audit", "no-such")])
        .start()
        .await;
    let answer = ask(&webhook, "enforced", PINNED).await;
    assert_eq!(seen(&answer), REFUSED);
    assert!(answer.first_line().contains("policy-unknown") && answer.message.contains("no-such"), "{answer:?}");
    let answer = ask(&webhook, "warned", PINNED).await;
    assert_eq!(seen(&answer), WARNED);
    assert!(answer.warnings[0].contains("policy-unknown") && answer.warnings[0].contains("no-such"), "{answer:?}");
    let answer = ask(&webhook, "audited", PINNED).await;
    assert_eq!(seen(&answer), AUDITED);
    assert!(answer.annotations["audited"].contains("policy-unknown"), "{answer:?}");
}

#[tokio::test]
async fn an_unknown_policy_in_one_mode_leaves_the_others_as_they_are() {
    let webhook = Webhook::setup().namespace("half", &[("enforce", "baseline"), ("warn", "no-such")]).start().await;
    assert_eq!(seen(&ask(&webhook, "half", LATEST).await), (false, true, false));
    assert_eq!(seen(&ask(&webhook, "half", TAGGED).await), WARNED);
}

#[tokio::test]
async fn an_empty_label_names_no_policy_and_never_nothing() {
    let webhook = Webhook::setup().warn("baseline").namespace("empty", &[("enforce", "")]).start().await;
    let answer = ask(&webhook, "empty", PINNED).await;
    assert!(!answer.allowed && answer.message.contains("policy-unknown"), "{answer:?}");
}

#[tokio::test]
async fn policy_names_are_compared_byte_for_byte() {
    let webhook = Webhook::setup()
        .namespace("upper", &[("enforce", "Baseline")])
        .namespace("padded", &[("enforce", "baseline ")])
        .start()
        .await;
    for namespace in ["upper", "padded"] {
        let answer = ask(&webhook, namespace, PINNED).await;
        assert!(!answer.allowed && answer.message.contains("policy-unknown"), "{answer:?}");
    }
}

#[tokio::test]
async fn other_labels_of_a_namespace_mean_nothing() {
    let webhook = Webhook::setup().start().await;
    webhook.manifests().namespace("other", &[("pod-security.kubernetes.io/enforce", "pinned")]);
    assert_eq!(seen(&ask(&webhook, "other", LATEST).await), UNTOUCHED);
}

#[tokio::test]
async fn an_exempt_namespace_passes_whatever_its_labels_and_the_floor_say() {
    let webhook = Webhook::setup()
        .floor("pinned")
        .enforce("pinned")
        .exempt("system")
        .namespace("system", &[("enforce", "pinned"), ("warn", "no-such")])
        .start()
        .await;
    let answer = ask(&webhook, "system", LATEST).await;
    assert_eq!(seen(&answer), UNTOUCHED);
    assert_eq!(answer.annotations["basis"], "Exempt");
    for similar in ["system2", "syste", "kube-system", ""] {
        assert!(!ask(&webhook, similar, LATEST).await.allowed, "{similar:?}");
    }
}

#[tokio::test]
async fn an_exempt_namespace_is_the_one_of_the_request_and_not_of_the_object() {
    let webhook = Webhook::setup().enforce("pinned").exempt("system").start().await;
    let review = review(&pod_with(LATEST).namespace("shop"));
    assert!(!webhook.review(&review.clone().set("/request/object/metadata/namespace", json!("system"))).await.allowed);
    assert!(!webhook.review(&review.set("/request/name", json!("system"))).await.allowed);
}

#[tokio::test]
async fn under_dry_run_every_refusal_becomes_an_audit_record() {
    let webhook = Webhook::setup()
        .dry_run()
        .enforce("pinned")
        .controllers(Controllers::Enforce)
        .namespace("unknown", &[("enforce", "no-such")])
        .start()
        .await;
    for (review, reason) in [
        (review(&pod_with(TAGGED)), "digest-missing"),
        (review(&deployment("web").container("web", TAGGED)), "digest-missing"),
        (review(&pod_with("Not A Reference")), "image-invalid"),
        (review(&pod_with(PINNED)).in_namespace("unknown"), "policy-unknown"),
        (review(&pod("web").without_pod_spec()), "pod-spec-missing"),
        (review(&pod_with(PINNED)).set("/request/object/spec", json!("text")), "review-unreadable"),
        (review(&pod_with(PINNED)).set("/apiVersion", json!("admission.k8s.io/v1beta1")), "review-unreadable"),
        (review(&pod_with(PINNED)).set("/request/operation", json!("PATCH")), "review-unreadable"),
    ] {
        let answer = webhook.review(&review).await;
        assert_eq!(seen(&answer), AUDITED, "{answer:?}");
        assert_eq!(answer.annotations["basis"], "DryRun");
        assert!(answer.annotations["audited"].contains(reason), "{reason}: {answer:?}");
    }
    assert_eq!(ask(&webhook, "shop", PINNED).await.annotations.get("audited"), None);
}

#[tokio::test]
async fn under_dry_run_a_body_without_a_uid_is_still_nobodys_review() {
    let webhook = Webhook::setup().dry_run().enforce("pinned").start().await;
    let raw = webhook.post(review(&pod_with(LATEST)).without("/request/uid").text()).await;
    assert_eq!((raw.status.as_u16(), raw.admits()), (400, false));
}

#[tokio::test]
async fn a_server_side_dry_run_is_judged_as_the_real_thing_would_be() {
    let webhook = Webhook::enforcing("pinned").await;
    for image in [LATEST, TAGGED, PINNED] {
        let real = webhook.review(&review(&pod_with(image))).await;
        let dry = webhook.review(&review(&pod_with(image)).dry_run()).await;
        assert_eq!((real.allowed, &real.message), (dry.allowed, &dry.message));
        assert_eq!(real.allowed, image == PINNED);
    }
}

#[tokio::test]
async fn controllers_are_warned_enforced_or_ignored_as_configured() {
    for (controllers, expected) in
        [(Controllers::Warn, WARNED), (Controllers::Enforce, REFUSED), (Controllers::Ignore, UNTOUCHED)]
    {
        let webhook = Webhook::setup().enforce("baseline").controllers(controllers).start().await;
        let answer = webhook.review(&review(&deployment("web").container("web", LATEST))).await;
        assert_eq!(seen(&answer), expected, "{controllers:?}: {answer:?}");
        assert!(!ask(&webhook, "shop", LATEST).await.allowed, "a pod is judged under {controllers:?}");
    }
}

#[tokio::test]
async fn the_floor_too_only_warns_a_controller_whose_pods_it_will_refuse() {
    let webhook = Webhook::setup().floor("baseline").start().await;
    let answer = webhook.review(&review(&deployment("web").container("web", LATEST))).await;
    assert_eq!(seen(&answer), WARNED);
    assert_eq!(answer.annotations["basis"], "SoftenedToWarning");
}

#[tokio::test]
async fn a_namespace_that_is_not_in_the_manifests_is_judged_by_the_defaults_and_the_floor() {
    let webhook = Webhook::setup().enforce("baseline").floor("pinned").namespace("known", &[]).start().await;
    let answer = ask(&webhook, "unheard-of", LATEST).await;
    assert!(answer.message.contains("tag-mutable") && answer.message.contains("digest-missing"), "{answer:?}");
}

#[tokio::test]
async fn nothing_that_the_author_of_a_pod_can_write_clears_it() {
    let webhook = Webhook::setup().enforce("baseline").namespace("shop", &[]).start().await;
    let base = || pod_with(LATEST);
    for (what, object) in [
        ("labels", base().label("pratique.dev/enforce", "none").label("pratique.dev/exempt", "true")),
        ("annotations", base().annotation("pratique.dev/enforce", "").annotation("pratique.dev/skip", "true")),
        ("an owner", base().owner("ReplicaSet", "web-1")),
        ("its deletion", base().deleting()),
    ] {
        let answer = webhook.review(&review(&object)).await;
        assert!(!answer.allowed, "cleared by {what}");
    }
    let replicas = review(&base()).set("/request/object/spec/replicas", json!(0));
    assert!(!webhook.review(&replicas).await.allowed);
    let user = review(&base()).set("/request/userInfo/username", json!("system:serviceaccount:kube-system:pratique"));
    assert!(!webhook.review(&user).await.allowed);
}
