use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::super::routes;
use super::*;
use crate::server::Drain;

fn nothing() -> MethodRouter {
    super::super::desk(|_, _| async { Ok(Reply { body: b"image".to_vec() }) }, &Bounds::default())
}

fn linter() -> Lint {
    Arc::new(|object: String| {
        Box::pin(async move {
            let mistake = |path: &str| Mistake { path: path.to_owned(), ..Mistake::about("acme", "wrong") };
            match serde_json::from_str::<Value>(&object).unwrap()["spec"].as_str().unwrap() {
                "bad" => Err(vec![mistake("spec.rules"), mistake("")]),
                "slow" => std::future::pending().await,
                "panic" => panic!("the policy asked for it"),
                _ => Ok(vec![mistake("spec.name")]),
            }
        })
    })
}

fn review(kind: &str, spec: &str) -> String {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1",
            "kind": {"group": "pratique.dev", "version": "v1alpha1", "kind": kind},
            "operation": "CREATE",
            "object": {"spec": spec},
        },
    })
    .to_string()
}

async fn posted(router: &Router, path: &str, body: String) -> (StatusCode, String) {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
    let answer = router.clone().call(request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn router() -> Router {
    routes(nothing(), Some(desk(linter(), &Bounds::default())), Drain::default())
}

async fn said(spec: &str) -> Value {
    let (status, body) = posted(&router(), "/validate/imagepolicies?timeout=1s", review("ImagePolicy", spec)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let response = serde_json::from_str::<Value>(&body).unwrap()["response"].take();
    assert_eq!(response["uid"], "1");
    response
}

#[tokio::test]
async fn a_policy_gets_what_its_linter_says_and_pods_are_answered_beside_it() {
    let fine = said("fine").await;
    assert_eq!((&fine["allowed"], &fine["warnings"]), (&json!(true), &json!(["spec.name: wrong"])));
    let bad = said("bad").await;
    assert_eq!((&bad["allowed"], &bad["status"]["code"]), (&json!(false), &json!(422)));
    assert_eq!(bad["status"]["message"], "spec.rules: wrong; and 1 more\n  spec.rules: wrong\n  wrong");
    let (status, body) = posted(&router(), "/validate", "{}".to_owned()).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "image"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_told_in_time_passes_with_a_warning() {
    let slow = said("slow").await;
    let words = "pratique: the policy could not be checked in time; see its status";
    assert_eq!((&slow["allowed"], &slow["warnings"]), (&json!(true), &json!([words])));
}

#[tokio::test]
async fn a_pod_that_is_sent_here_is_not_let_in_and_a_panic_is_an_error() {
    let path = "/validate/imagepolicies";
    let (status, body) = posted(&router(), path, review("Pod", "fine")).await;
    assert!(status == StatusCode::OK && body.contains("\"allowed\":false") && body.contains("to /validate"), "{body}");
    let (status, _) = posted(&router(), path, review("ImagePolicy", "panic")).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let (status, _) = posted(&router(), path, "{}".to_owned()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_a_linter_there_is_no_such_path() {
    let alone = routes(nothing(), None, Drain::default());
    let (status, body) = posted(&alone, "/validate/imagepolicies", review("ImagePolicy", "fine")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
}
