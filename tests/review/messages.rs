//! What people read.

use pratique_testkit::{Object, Webhook, deployment, pod, review};
use serde_json::json;

use crate::{LATEST, PINNED, TAGGED};

const ACME: &str = r#"
rules:
- name: hub
  images: ["docker.io/library/*"]
  tags: {deny: [latest]}
- name: acme
  images: ["ghcr.io/acme/**"]
  tags: {requireDigest: true}
- name: forbidden
  images: ["quay.io/**"]
  refuse: "quay is closed on Mondays; ask the platform team"
"#;

fn many(count: usize) -> Object {
    (0..count).fold(pod("web"), |pod, index| pod.container(&format!("c{index:03}"), &format!("nginx{index:03}:latest")))
}

#[tokio::test]
async fn two_refused_images_are_told_in_these_words() {
    let webhook = Webhook::setup().policy("acme", ACME).enforce("acme").start().await;
    let object = pod("web").init("migrate", "ghcr.io/acme/db:v1.4.2").container("web", LATEST);
    let answer = webhook.review(&review(&object)).await;
    assert_eq!(
        answer.message,
        "nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest; and 1 more image (policy acme)\n  \
           containers[web] nginx:latest\n    \
             tag-mutable: \"latest\" can change under you; pin a digest\n  \
           initContainers[migrate] ghcr.io/acme/db:v1.4.2\n    \
             digest-missing: the name has no digest; pin one as name@sha256:..."
    );
    assert_eq!((answer.code, answer.reason.as_str(), answer.retry_after), (Some(403), "Forbidden", None));
    assert_eq!(
        answer.annotations["denied"],
        "tag-mutable nginx:latest (acme, enforce); digest-missing ghcr.io/acme/db:v1.4.2 (acme, enforce)"
    );
}

#[tokio::test]
async fn the_first_line_alone_tells_image_reason_and_policy() {
    let webhook = Webhook::setup().policy("acme", ACME).enforce("acme").start().await;
    for (image, expected) in [
        (
            "nginx",
            "nginx: tag-mutable, no tag means \"latest\", which can change under you, pin a digest (policy acme)",
        ),
        (
            "ghcr.io/acme/a:v1",
            "ghcr.io/acme/a:v1: digest-missing, the name has no digest, pin one as name@sha256:... (policy acme)",
        ),
        (
            "quay.io/a/b:1",
            "quay.io/a/b:1: refused-by-rule, quay is closed on Mondays, ask the platform team (policy acme)",
        ),
        ("gcr.io/a/b:1", "gcr.io/a/b:1: image-unmatched, no rule of policy acme matches this image (policy acme)"),
    ] {
        let answer = webhook.review(&review(&pod("web").container("web", image))).await;
        assert_eq!(answer.first_line(), expected);
    }
}

#[tokio::test]
async fn kubectl_shows_it_as_it_shows_other_webhooks() {
    let webhook = Webhook::setup().policy("acme", ACME).enforce("acme").start().await;
    let created = webhook.review(&review(&pod("web").container("web", PINNED))).await;
    assert_eq!(created.as_kubectl(), "pod/web created");
    let refused = webhook.review(&review(&pod("web").container("web", LATEST))).await.as_kubectl();
    let expected =
        "Error from server (Forbidden): admission webhook \"images.pratique.dev\" denied the request: nginx:latest: ";
    assert!(refused.starts_with(expected), "{refused}");
    let warned = webhook.review(&review(&deployment("web").container("web", LATEST))).await;
    assert_eq!(
        warned.as_kubectl(),
        "Warning: containers[web] nginx:latest: tag-mutable: \"latest\" can change under you; pin a digest (policy acme)\n\
         deployment.apps/web created"
    );
}

#[tokio::test]
async fn an_image_used_twice_is_told_for_both_places() {
    let webhook = Webhook::enforcing("baseline").await;
    let answer = webhook.review(&review(&pod("web").init("a", LATEST).container("b", LATEST))).await;
    assert!(answer.first_line().contains("and 1 more image"), "{answer:?}");
    assert!(
        answer.message.contains("initContainers[a] nginx:latest")
            && answer.message.contains("\n  containers[b] nginx:latest")
    );
}

#[tokio::test]
async fn a_hundred_warnings_stay_within_the_limits_of_the_api_server_and_count_the_rest() {
    let webhook = Webhook::setup().warn("baseline").namespace("shop", &[]).start().await;
    // The client checks 256 characters each and 4,096 in all, for this and every answer.
    let answer = webhook.review(&review(&many(100))).await;
    let (last, shown) = answer.warnings.split_last().expect("there are warnings");
    let more: usize = last.split_whitespace().find_map(|word| word.parse().ok()).expect("the last one counts the rest");
    assert_eq!(shown.len() + more, 100, "{last}");
    assert!(shown.len() >= 20, "room is used: {} warnings", shown.len());
    assert!(shown[0].contains("c000"), "in the order of the pod: {}", shown[0]);
}

#[tokio::test]
async fn a_hundred_refused_images_still_make_a_message_that_can_be_read() {
    let webhook = Webhook::enforcing("baseline").await;
    let answer = webhook.review(&review(&many(100))).await;
    assert!(answer.first_line().contains("and 99 more images"), "{}", answer.first_line());
    assert!(answer.first_line().len() < 256 && answer.message.len() < 8_192, "{} bytes", answer.message.len());
}

#[tokio::test]
async fn a_hundred_audited_images_stay_within_an_annotation() {
    let webhook = Webhook::setup().audit("baseline").start().await;
    let answer = webhook.review(&review(&many(100))).await;
    assert!(answer.allowed && answer.annotations["audited"].ends_with("..."), "{:?}", answer.annotations);
}

#[tokio::test]
async fn the_worst_reason_comes_first_whatever_the_order_of_the_pod() {
    let webhook = Webhook::setup().policy("acme", ACME).enforce("acme").start().await;
    let object = pod("web").container("a", "ghcr.io/acme/a:v1").container("b", LATEST).container("c", "quay.io/x/y:1");
    let answer = webhook.review(&review(&object)).await;
    assert!(answer.first_line().starts_with("quay.io/x/y:1: refused-by-rule"), "{answer:?}");
    let titles: Vec<_> =
        answer.message.lines().filter_map(|line| line.trim().strip_suffix("v1").or(Some(line.trim()))).collect();
    let place = |title: &str| titles.iter().position(|line| line.starts_with(title));
    assert!(
        place("containers[c]") < place("containers[b]") && place("containers[b]") < place("containers[a]"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn what_a_pod_brings_cannot_forge_lines_or_colours() {
    let webhook = Webhook::setup().enforce("baseline").warn("baseline").audit("baseline").start().await;
    for image in [
        "nginx:latest\n  containers[other] ghcr.io/acme/fine@sha256:1\n    admitted",
        "\u{1b}[2K\u{1b}[32mnginx:latest",
        "nginx:latest\r\nWarning: all is well",
        "nginx:\u{202e}tsetal",
        "nginx:latest\u{0}",
        "nginx\u{85}\u{2028}:latest",
    ] {
        // The client refuses control characters in messages, warnings and annotations.
        let answer = webhook.review(&review(&pod("web").container("web", image))).await;
        assert!(!answer.allowed && answer.message.contains("image-invalid"), "{answer:?}");
        assert_eq!(answer.message.lines().count(), 3, "{}", answer.message);
        let shown = format!("{}{}{:?}", answer.message, answer.warnings.concat(), answer.annotations);
        assert!(!shown.contains(['\u{202e}', '\u{2028}', '\u{85}']), "{shown:?}");
    }
    let name = "web]\n  containers[fake\u{1b}[0m";
    let answer = webhook.review(&review(&pod("web").container(name, LATEST))).await;
    assert_eq!(answer.message.lines().count(), 3, "{}", answer.message);
}

#[tokio::test]
async fn names_of_any_length_make_messages_of_a_bounded_one() {
    let webhook = Webhook::setup().enforce("baseline").warn("baseline").audit("baseline").start().await;
    for long in ["a".repeat(100_000), "ä".repeat(50_000), "a/".repeat(50_000) + "a:latest"] {
        let answer = webhook.review(&review(&pod("web").container(&long, &long))).await;
        assert!(!answer.allowed && answer.message.len() < 8_192, "{} bytes", answer.message.len());
    }
}

#[tokio::test]
async fn an_operator_s_words_are_shown_as_they_are_and_bounded() {
    let spec = r#"
rules:
- name: no
  images: ["**"]
  refuse: "see https://wiki.acme.example/images <now>"
"#;
    let webhook = Webhook::setup().policy("closed", spec).enforce("closed").start().await;
    let answer = webhook.review(&review(&pod("web").container("web", PINNED))).await;
    assert!(
        answer.message.ends_with("\n    refused-by-rule: see https://wiki.acme.example/images <now>"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_unreadable_review_says_what_could_not_be_read() {
    let webhook = Webhook::enforcing("baseline").await;
    let base = || review(&pod("web").container("web", PINNED));
    for (changed, expected) in [
        (
            base().set("/apiVersion", json!("admission.k8s.io/v1beta1")),
            "only admission.k8s.io/v1 AdmissionReview is understood",
        ),
        (base().set("/request/operation", json!("PATCH")), "operation \"PATCH\" is unknown"),
        (base().set("/request/object/spec", json!([])), "expected an object"),
    ] {
        let answer = webhook.review(&changed).await;
        assert!(!answer.allowed && answer.message.contains(expected), "{expected}: {answer:?}");
    }
}

#[tokio::test]
async fn allowed_and_denied_tags_are_named_in_the_refusal() {
    let spec = r#"
rules:
- name: releases
  images: ["**"]
  tags: {allow: ["v*.*.*", "release-*"]}
"#;
    let webhook = Webhook::setup().policy("releases", spec).enforce("releases").start().await;
    let answer = webhook.review(&review(&pod("web").container("web", TAGGED))).await;
    let expected =
        "tag-not-allowed: \"1.27\" is not among the allowed tags (v*.*.*, release-*); use one or pin a digest";
    assert!(answer.message.ends_with(expected), "{answer:?}");
    assert!(webhook.review(&review(&pod("web").container("web", "nginx:v1.2.3"))).await.allowed);
}

#[tokio::test]
async fn a_warning_of_many_words_is_cut_and_keeps_its_image_code_and_policy() {
    for word in ["long ", "länger "] {
        let spec = format!("rules:\n- name: no\n  images: [\"**\"]\n  refuse: \"{}end\"\n", word.repeat(60));
        let webhook = Webhook::setup().policy("closed", &spec).warn("closed").start().await;
        let answer = webhook.review(&review(&pod("web").container("web", PINNED))).await;
        let warning = &answer.warnings[0];
        // The client checks that it has 256 characters at most.
        assert!(warning.starts_with("containers[web] nginx@sha256:7031"), "{warning}");
        assert!(warning.contains("refused-by-rule: ") && warning.ends_with("... (policy closed)"), "{warning}");
        assert!(warning.chars().count() > 200, "room is used: {warning}");
    }
}
