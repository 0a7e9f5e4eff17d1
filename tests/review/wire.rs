//! Bytes that are no review, or almost one: an HTTP error or a refusal, never an admission.

use pratique_testkit::reqwest::Method;
use pratique_testkit::{Answer, Protocol, Raw, Review, Webhook, pod, review};
use serde_json::{Value, json};

use crate::{LATEST, PINNED};

/// A review that is admitted as it stands, so that whatever is refused is refused for the one thing that was changed.
fn good() -> Review {
    review(
        &pod("web")
            .init("init", PINNED)
            .container("web", PINNED)
            .ephemeral("debug", PINNED)
            .image_volume("model", PINNED),
    )
}

fn is_refusal(raw: &Raw) -> bool {
    let body: Value = serde_json::from_slice(&raw.body).unwrap_or_default();
    raw.status == 200 && body["response"]["allowed"] == false
}

#[tokio::test]
async fn the_review_that_all_of_these_start_from_is_admitted_over_both_protocols() {
    let webhook = Webhook::enforcing("pinned").await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        assert!(webhook.client(protocol).review(&good()).await.allowed, "{protocol:?}");
    }
}

#[tokio::test]
async fn the_uid_is_echoed_byte_for_byte() {
    let webhook = Webhook::enforcing("pinned").await;
    for uid in ["1", "a b", "\"quoted\\\"", "grüße", "\u{1}", &"x".repeat(128)] {
        // The client compares it.
        assert!(webhook.review(&good().set("/request/uid", json!(uid))).await.allowed, "{uid:?}");
    }
}

#[tokio::test]
async fn without_a_uid_there_is_nobody_to_answer() {
    let webhook = Webhook::enforcing("pinned").await;
    let without = good().without("/request/uid").text();
    let empty = good().set("/request/uid", json!("")).text();
    let null = good().set("/request/uid", json!(null)).text();
    let number = good().set("/request/uid", json!(7)).text();
    let endless = good().set("/request/uid", json!("x".repeat(100_000))).text();
    let bare = good()["request"].to_string();
    for body in [&without, &empty, &null, &number, &endless, &bare] {
        let raw = webhook.post(body.clone()).await;
        assert_eq!((raw.status.as_u16(), raw.admits()), (400, false), "{}", raw.text());
    }
}

#[tokio::test]
async fn what_is_no_json_object_is_a_bad_request_that_says_so() {
    let webhook = Webhook::enforcing("pinned").await;
    for body in [
        &b""[..],
        b"null",
        b"true",
        b"7",
        b"\"AdmissionReview\"",
        b"[]",
        b"{}",
        b"{\"request\":null}",
        b"{\"request\":[]}",
        b"apiVersion: admission.k8s.io/v1",
        b"\xff\xfe{\x00}\x00",
        b"\x1f\x8b\x08\x00",
        b"<html>",
    ] {
        let raw = webhook.post(body.to_vec()).await;
        assert_eq!(raw.status, 400, "{body:?}");
        assert!(!raw.text().trim().is_empty() && !raw.admits(), "{body:?}");
    }
    let trailing = good().text() + "{}";
    assert!(!webhook.post(trailing).await.admits(), "something follows the review");
}

#[tokio::test]
async fn other_methods_paths_and_content_types_are_refused_by_their_status() {
    let webhook = Webhook::enforcing("pinned").await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS] {
        let raw = webhook.send(webhook.request(method.clone(), "/validate").body(good().text())).await;
        assert_eq!((raw.status.as_u16(), raw.admits()), (405, false), "{method}");
    }
    for content_type in ["text/plain", "application/yaml", "application/jsonx", "application/json, text/plain", ""] {
        let request = webhook.request(Method::POST, "/validate").header("content-type", content_type);
        let raw = webhook.send(request.body(good().text())).await;
        assert_eq!((raw.status.as_u16(), raw.admits()), (415, false), "{content_type:?}");
    }
    let none = webhook.send(webhook.request(Method::POST, "/validate").body(good().text())).await;
    assert_eq!(none.status, 415);
    let json = |path: &str| webhook.request(Method::POST, path).header("content-type", "application/json");
    for path in ["/", "/validate/", "/validat", "/healthz", "/metrics", "/readyz"] {
        let raw = webhook.send(json(path).body(good().text())).await;
        assert_eq!((raw.status.as_u16(), raw.admits()), (404, false), "{path}");
    }
    let charset = webhook.request(Method::POST, "/validate").header("content-type", "application/json; charset=utf-8");
    assert!(webhook.send(charset.body(good().text())).await.admits());
    let compressed = json("/validate").header("content-encoding", "gzip").body(good().text());
    assert_eq!(webhook.send(compressed).await.status, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_length_announced_or_not() {
    let webhook = Webhook::enforcing("pinned").await;
    let large = good().padded(20 << 20).text();
    assert_eq!(webhook.post(large).await.status, 413);
    let near = good().padded(6 << 20).text();
    assert!(webhook.post(near).await.admits(), "what an API server can send is read");
}

#[tokio::test]
async fn a_version_that_we_do_not_speak_is_refused_with_a_reason() {
    let webhook = Webhook::enforcing("pinned").await;
    for (field, value) in [
        ("/apiVersion", json!("admission.k8s.io/v1beta1")),
        ("/apiVersion", json!("admission.k8s.io/v2")),
        ("/apiVersion", json!("")),
        ("/apiVersion", json!(null)),
        ("/kind", json!("AdmissionRequest")),
        ("/kind", json!(null)),
    ] {
        let answer = webhook.review(&good().set(field, value.clone())).await;
        assert!(!answer.allowed && answer.message.contains("review-unreadable"), "{field} {value}: {answer:?}");
    }
    for field in ["/apiVersion", "/kind"] {
        assert!(!webhook.review(&good().without(field)).await.allowed, "{field}");
    }
}

#[tokio::test]
async fn a_field_of_a_wrong_type_is_a_refusal_with_a_reason() {
    let webhook = Webhook::enforcing("pinned").await;
    let texts = [
        "/apiVersion",
        "/kind",
        "/request/kind/group",
        "/request/kind/kind",
        "/request/resource/group",
        "/request/resource/resource",
        "/request/subResource",
        "/request/name",
        "/request/namespace",
        "/request/operation",
        "/request/object/kind",
        "/request/object/apiVersion",
        "/request/object/metadata/name",
        "/request/object/spec/initContainers/0/name",
        "/request/object/spec/containers/0/name",
        "/request/object/spec/containers/0/image",
        "/request/object/spec/ephemeralContainers/0/image",
        "/request/object/spec/volumes/0/image/reference",
    ];
    let lists = ["initContainers", "containers", "ephemeralContainers", "volumes"];
    let lists = lists.map(|list| format!("/request/object/spec/{list}"));
    let objects = [
        "/request/kind",
        "/request/resource",
        "/request/object",
        "/request/object/metadata",
        "/request/object/spec",
        "/request/object/spec/containers/0",
        "/request/object/spec/initContainers/0",
        "/request/object/spec/volumes/0",
        "/request/object/spec/volumes/0/image",
    ];
    let mut cases: Vec<(&str, Value)> = Vec::new();
    let wrong = [json!(7), json!(true), json!(1.5)];
    for field in texts {
        cases.extend(wrong.iter().cloned().chain([json!([]), json!({}), json!(["Pod"])]).map(|value| (field, value)));
    }
    for field in &lists {
        cases.extend(
            wrong
                .iter()
                .cloned()
                .chain([json!("nginx"), json!({}), json!({"0": {}})])
                .map(|value| (field.as_str(), value)),
        );
    }
    for field in objects {
        cases.extend(
            wrong.iter().cloned().chain([json!("Pod"), json!([]), json!(["web", PINNED])]).map(|value| (field, value)),
        );
    }
    cases.extend([json!("true"), json!(1), json!([]), json!({})].map(|value| ("/request/dryRun", value)));
    let mut admitted = Vec::new();
    for (field, value) in cases {
        let answer = webhook.review(&good().set(field, value.clone())).await;
        if answer.allowed {
            admitted.push(format!("{field} = {value}"));
        }
    }
    assert!(admitted.is_empty(), "admitted with a field of a wrong type: {admitted:#?}");
}

#[tokio::test]
async fn a_required_field_less_is_a_refusal() {
    let webhook = Webhook::enforcing("pinned").await;
    for field in [
        "/request/kind",
        "/request/kind/kind",
        "/request/resource",
        "/request/resource/resource",
        "/request/operation",
        "/request/object",
        "/request/object/spec",
        "/request/object/spec/containers",
    ] {
        assert!(!webhook.review(&good().without(field)).await.allowed, "{field}");
    }
}

#[tokio::test]
async fn nesting_without_end_is_refused_and_harms_nobody() {
    let webhook = Webhook::enforcing("pinned").await;
    let text = good().text();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 1_000, 100_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for place in ["\"metadata\":{", "\"request\":{", "\"userInfo\":{"] {
                let body = text.replacen(place, &format!("{place}\"example\":{deep},"), 1);
                let raw = webhook.post(body).await;
                assert!(!raw.admits() && raw.status.as_u16() < 500, "{depth} of {open} in {place}: {}", raw.status);
            }
            assert_eq!(webhook.post(deep).await.status, 400);
            assert!(!webhook.post(open.repeat(depth)).await.admits());
        }
    }
    assert!(webhook.review(&good()).await.allowed, "it is still there");
}

#[tokio::test]
async fn ten_thousand_containers_are_no_pod() {
    let webhook = Webhook::enforcing("pinned").await;
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let entries: Vec<Value> =
            (0..10_000).map(|index| json!({"name": format!("c{index}"), "image": PINNED})).collect();
        let answer = webhook.review(&good().set(&format!("/request/object/spec/{list}"), json!(entries))).await;
        assert!(!answer.allowed && answer.message.contains("containers, and at most"), "{list}: {answer:?}");
    }
    let volumes: Vec<Value> =
        (0..10_000).map(|index| json!({"name": format!("v{index}"), "image": {"reference": PINNED}})).collect();
    assert!(!webhook.review(&good().set("/request/object/spec/volumes", json!(volumes))).await.allowed);
}

/// The text with `key` standing twice in the object that begins at `at`: once as it is, once with another value.
fn doubled(text: &str, at: &str, key: &str, value: &str, first: bool) -> String {
    let start = text.find(at).unwrap_or_else(|| panic!("{at} is not in the review")) + at.len();
    let end = if first { start } else { closing(text, start) };
    let entry = if first { format!("\"{key}\":{value},") } else { format!(",\"{key}\":{value}") };
    format!("{}{entry}{}", &text[..end], &text[end..])
}

/// Where the object ends whose inside begins at `start`.
fn closing(text: &str, start: usize) -> usize {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (index, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    panic!("the object has no end");
}

#[tokio::test]
async fn a_key_that_stands_twice_never_lets_two_readers_see_two_things() {
    let webhook = Webhook::enforcing("pinned").await;
    let bad_list = format!("[{{\"name\":\"web\",\"image\":\"{LATEST}\"}}]");
    let bad_spec = format!("{{\"containers\":{bad_list}}}");
    let bad_object =
        format!("{{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"web\"}},\"spec\":{bad_spec}}}");
    let image = format!("\"{LATEST}\"");
    let bad_request = good().set("/request/object/spec/containers/0/image", json!(LATEST))["request"].to_string();
    let (top, request) = ("{", "\"request\":{");
    let (object, spec, container) = ("\"object\":{", "\"spec\":{", "\"containers\":[{");
    let volume = "\"volumes\":[{\"name\":\"model\",\"image\":{";
    for (at, key, value) in [
        (top, "request", bad_request.as_str()),
        (top, "apiVersion", "\"admission.k8s.io/v1beta1\""),
        (top, "kind", "\"Other\""),
        (request, "uid", "\"another\""),
        (request, "operation", "\"DELETE\""),
        (request, "namespace", "\"other\""),
        (request, "subResource", "\"resize\""),
        (request, "dryRun", "true"),
        (request, "kind", "{\"group\":\"\",\"version\":\"v1\",\"kind\":\"ConfigMap\"}"),
        (request, "resource", "{\"group\":\"\",\"version\":\"v1\",\"resource\":\"configmaps\"}"),
        (request, "object", bad_object.as_str()),
        (object, "kind", "\"ConfigMap\""),
        (object, "metadata", "{}"),
        (object, "spec", bad_spec.as_str()),
        (spec, "containers", bad_list.as_str()),
        (spec, "initContainers", bad_list.as_str()),
        (spec, "ephemeralContainers", bad_list.as_str()),
        (spec, "volumes", "[]"),
        (container, "image", image.as_str()),
        (container, "name", "\"other\""),
        (volume, "reference", image.as_str()),
    ] {
        let review = match key {
            // It must be there once to stand there twice.
            "subResource" => good().set("/request/subResource", json!("ephemeralcontainers")),
            _ => good(),
        };
        for escaped in [false, true] {
            let key =
                if escaped { format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..]) } else { key.to_owned() };
            for first in [true, false] {
                let body = doubled(&review.text(), at, &key, value, first);
                let raw = webhook.post(body).await;
                let fine = raw.status == 400 || is_refusal(&raw);
                assert!(fine && !raw.admits(), "{at} {key}, first: {first}: {} {}", raw.status, raw.text());
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_nobody_reads_may_stand_twice() {
    let webhook = Webhook::enforcing("pinned").await;
    let body = doubled(&good().text(), "\"object\":{", "status", "{}", true);
    let body = doubled(&body, "\"object\":{", "status", "{}", false);
    assert!(webhook.post(body).await.admits());
}

#[tokio::test]
async fn an_escaped_key_is_the_key_that_it_spells() {
    let webhook = Webhook::enforcing("pinned").await;
    let bad = good().set("/request/object/spec/containers/0/image", json!(LATEST)).text();
    for (plain, escaped) in [
        ("\"image\":", "\"im\\u0061ge\":"),
        ("\"containers\":", "\"\\u0063ontainers\":"),
        ("\"spec\":", "\"sp\\u0065c\":"),
    ] {
        assert!(is_refusal(&webhook.post(bad.replace(plain, escaped)).await), "{escaped}");
        assert!(webhook.post(good().text().replace(plain, escaped)).await.admits(), "{escaped}");
    }
}

#[tokio::test]
async fn a_review_cut_off_anywhere_is_no_review() {
    let webhook = Webhook::enforcing("pinned").await;
    let whole = include_str!("../fixtures/reviews/captured-reviews/pod-create-generatename.json");
    let client = webhook.client(Protocol::Http2);
    assert!(client.post(whole).await.admits(), "the whole is admitted");
    for length in 0..whole.trim_end().len() {
        let raw = client.post(&whole[..length]).await;
        assert!(!raw.admits() && raw.status.as_u16() < 500, "cut to {length} bytes: {} {}", raw.status, raw.text());
    }
}

#[tokio::test]
async fn both_protocols_give_the_same_answer() {
    let webhook = Webhook::enforcing("pinned").await;
    for review in [good(), good().set("/request/object/spec/containers/0/image", json!(LATEST))] {
        let (one, two) = (webhook.client(Protocol::Http1), webhook.client(Protocol::Http2));
        let (one, two) = (one.post(review.text()).await, two.post(review.text()).await);
        assert_ne!(one.version, two.version);
        assert_eq!(Answer::read(&review, &one.body), Answer::read(&review, &two.body));
    }
}

#[tokio::test]
async fn an_answer_says_its_length_and_its_type() {
    let webhook = Webhook::enforcing("pinned").await;
    let raw = webhook.post(good().text()).await;
    assert_eq!(raw.headers["content-type"], "application/json");
    assert_eq!(raw.headers["content-length"], raw.body.len().to_string());
}
