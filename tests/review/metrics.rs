//! What `/metrics`, `/readyz` and `/healthz` say.

use pratique::policy::Controllers;
use pratique_testkit::reqwest::Method;
use pratique_testkit::{Webhook, deployment, pod, review};

use crate::{LATEST, PINNED, TAGGED};

#[tokio::test]
async fn the_metrics_of_the_contract_are_there_with_help_and_type() {
    let webhook = Webhook::setup().warn("baseline").audit("pinned").start().await;
    webhook.review(&review(&pod("web").container("web", LATEST))).await;
    webhook.review(&review(&pod("web").container("web", PINNED))).await;
    let text = webhook.get("/metrics").await.text();
    for (name, kind) in [
        ("pratique_reviews_total", "counter"),
        ("pratique_review_duration_seconds", "histogram"),
        ("pratique_refusals_total", "counter"),
        ("pratique_cache_lookups_total", "counter"),
        ("pratique_certificate_expiry_timestamp_seconds", "gauge"),
        ("pratique_policy_info", "gauge"),
        ("pratique_manifests_stale", "gauge"),
        ("pratique_panics_total", "counter"),
        ("pratique_build_info", "gauge"),
    ] {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name}:\n{text}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
}

#[tokio::test]
async fn reviews_are_counted_by_operation_and_verdict() {
    let webhook = Webhook::enforcing("pinned").await;
    let (bad, good) = (pod("web").container("web", TAGGED), pod("web").container("web", PINNED));
    for _ in 0..3 {
        webhook.review(&review(&bad)).await;
    }
    webhook.review(&review(&good)).await;
    webhook.review(&review(&bad).update_of(&bad)).await;
    webhook.review(&review(&bad).operation("DELETE")).await;
    webhook.review(&review(&pod("web").without_pod_spec())).await;
    for (operation, verdict, expected) in [
        ("create", "refused", 3.0),
        ("create", "admitted", 1.0),
        ("update", "admitted", 1.0),
        ("delete", "admitted", 1.0),
        ("create", "undetermined", 1.0),
    ] {
        let series = format!("pratique_reviews_total{{operation=\"{operation}\",verdict=\"{verdict}\"}}");
        assert_eq!(webhook.metric(&series).await, Some(expected), "{series}");
    }
    assert_eq!(webhook.metric("pratique_review_duration_seconds_count").await, Some(7.0));
}

#[tokio::test]
async fn what_is_answered_without_a_review_is_counted_by_status() {
    let webhook = Webhook::enforcing("baseline").await;
    let series = |status: u16| format!("pratique_http_refusals_total{{status=\"{status}\"}}");
    assert_eq!(webhook.metric(&series(400)).await, Some(0.0));
    webhook.post("{}").await;
    webhook.post("no JSON").await;
    webhook.review(&review(&pod("web").container("web", LATEST))).await;
    assert_eq!((webhook.metric(&series(400)).await, webhook.metric(&series(503)).await), (Some(2.0), Some(0.0)));
}

#[tokio::test]
async fn refusals_are_counted_by_mode_policy_and_reason() {
    let webhook = Webhook::setup()
        .enforce("pinned")
        .warn("baseline")
        .audit("pinned")
        .controllers(Controllers::Warn)
        .start()
        .await;
    webhook.review(&review(&pod("web").container("a", LATEST).container("b", TAGGED))).await;
    webhook.review(&review(&deployment("web").container("web", TAGGED))).await;
    for (mode, policy, reason, expected) in [
        ("enforce", "pinned", "digest-missing", 2.0),
        ("warn", "baseline", "tag-mutable", 1.0),
        ("warn", "pinned", "digest-missing", 1.0),
        ("audit", "pinned", "digest-missing", 3.0),
    ] {
        let series = format!("pratique_refusals_total{{mode=\"{mode}\",policy=\"{policy}\",reason=\"{reason}\"}}");
        assert_eq!(webhook.metric(&series).await, Some(expected), "{series}");
    }
}

#[tokio::test]
async fn no_label_holds_what_a_request_brought() {
    let webhook = Webhook::setup().enforce("pinned").namespace("shop", &[("enforce", "leaky-policy")]).start().await;
    let leaky = pod("leaky-pod").namespace("shop").container("leaky-container", "leaky.example/leaky:leaky");
    webhook.review(&review(&leaky)).await;
    webhook.review(&review(&leaky.clone().namespace("leaky-too"))).await;
    webhook.review(&review(&leaky).operation("LEAKY")).await;
    let text = webhook.get("/metrics").await.text();
    let found: Vec<&str> = text.lines().filter(|line| line.to_lowercase().contains("leaky")).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[tokio::test]
async fn refusals_are_counted_by_namespaces_that_exist_and_all_others_together() {
    let setup = Webhook::setup().enforce("pinned").audit("baseline").namespace("shop", &[]);
    let webhook = setup.exempt("kube-system").start().await;
    let bad = pod("web").container("web", LATEST);
    for namespace in ["shop", "invented", "invented-too", "kube-system"] {
        webhook.review(&review(&bad.clone().namespace(namespace))).await;
    }
    webhook.review(&review(&pod("web").namespace("shop").container("web", PINNED))).await;
    let text = webhook.get("/metrics").await.text();
    let found = text.lines().filter_map(|line| line.strip_prefix("pratique_namespace_refusals_total"));
    let expected = [
        r#"{mode="audit",resource_namespace="other"} 2"#,
        r#"{mode="audit",resource_namespace="shop"} 1"#,
        r#"{mode="enforce",resource_namespace="other"} 2"#,
        r#"{mode="enforce",resource_namespace="shop"} 1"#,
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_policies_in_force_are_told() {
    let webhook = Webhook::setup().policy("acme", "rules: [{name: all, images: [\"**\"], admit: true}]").start().await;
    for policy in ["acme", "baseline", "restricted"] {
        assert_eq!(
            webhook.metric(&format!("pratique_policy_info{{policy=\"{policy}\"}}")).await,
            Some(1.0),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_is_told_and_lies_ahead() {
    let webhook = Webhook::setup().start().await;
    let end = webhook.metric("pratique_certificate_expiry_timestamp_seconds").await.expect("it is told");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(end > now + 86_400.0, "{end}");
}

#[tokio::test]
async fn health_and_readiness_answer_and_readiness_names_its_parts() {
    let webhook = Webhook::setup().start().await;
    assert_eq!(webhook.get("/healthz").await.status, 200);
    let ready = webhook.get("/readyz").await;
    assert_eq!(ready.status, 200);
    for part in ["manifests", "certificate"] {
        assert!(ready.text().contains(part), "{}", ready.text());
    }
    assert_eq!(webhook.get("/nothing").await.status, 404);
    assert_eq!(webhook.get("/validate").await.status, 404);
}

#[tokio::test]
async fn the_webhook_port_tells_nothing_of_itself() {
    let webhook = Webhook::setup().start().await;
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(webhook.send(webhook.request(Method::GET, path)).await.status, 404, "{path}");
    }
}
