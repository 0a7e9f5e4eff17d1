//! An API server for tests: it has the Secrets and accounts that it is told, and counts what it is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::evidence::cluster::connection::Connection;

/// It stops with the test's runtime.
pub(in crate::evidence::cluster) struct Played {
    holds: Arc<Holds>,
    kubeconfig: PathBuf,
}

#[derive(Default)]
struct Holds {
    objects: Mutex<BTreeMap<String, Value>>,
    /// What is answered instead, by the beginning of paths.
    instead: Mutex<BTreeMap<String, u16>>,
    asked: Mutex<Vec<String>>,
    /// For so long one object is thought about.
    pause: Mutex<Duration>,
    version: AtomicU64,
}

impl Played {
    pub(in crate::evidence::cluster) async fn start() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let holds = Arc::new(Holds::default());
        let router = Router::new()
            .route("/api/v1/namespaces/{namespace}/{resource}/{name}", get(one))
            .route("/api/v1/namespaces/{namespace}/{resource}", get(list))
            .fallback(unknown)
            .with_state(Arc::clone(&holds));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let kubeconfig = std::env::temp_dir().join(format!("pratique-played-{}-{number}", std::process::id()));
        let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "it", "user": {}}]});
        std::fs::write(&kubeconfig, text.to_string()).unwrap();
        Self { holds, kubeconfig }
    }

    pub(in crate::evidence::cluster) async fn connection(&self) -> Connection {
        Connection::open(Some(&self.kubeconfig)).await.unwrap()
    }

    fn put(&self, namespace: &str, resource: &str, name: &str, mut object: Value) {
        let version = self.holds.version.fetch_add(1, Ordering::Relaxed);
        object["metadata"] = json!({"namespace": namespace, "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string()});
        self.holds.objects.lock().unwrap().insert(format!("{namespace}/{resource}/{name}"), object);
    }

    pub(in crate::evidence::cluster) fn secret(&self, namespace: &str, name: &str, kind: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, String> = data.iter().map(|(key, text)| (*key, BASE64.encode(text))).collect();
        self.put(namespace, "secrets", name, json!({"type": kind, "data": data}));
    }

    /// A pull secret for this host.
    pub(in crate::evidence::cluster) fn pull_secret(&self, namespace: &str, name: &str, host: &str) {
        let text = json!({"auths": {host: {"username": "u", "password": "hunter2"}}}).to_string();
        self.secret(namespace, name, "kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", &text)]);
    }

    pub(in crate::evidence::cluster) fn account(&self, namespace: &str, name: &str, secrets: &[&str]) {
        let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
        self.put(namespace, "serviceaccounts", name, json!({"imagePullSecrets": secrets}));
    }

    /// Whatever begins like this (`namespace/resource`) is answered so.
    pub(in crate::evidence::cluster) fn answer(&self, beginning: &str, code: u16) {
        self.holds.instead.lock().unwrap().insert(beginning.to_owned(), code);
    }

    pub(in crate::evidence::cluster) fn answer_well(&self) {
        self.holds.instead.lock().unwrap().clear();
    }

    pub(in crate::evidence::cluster) fn pause(&self, pause: Duration) {
        *self.holds.pause.lock().unwrap() = pause;
    }

    /// What was asked since it was called last.
    pub(in crate::evidence::cluster) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.holds.asked.lock().unwrap())
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.kubeconfig);
    }
}

fn failure(code: u16) -> Response {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "reason": if code == 404 { "NotFound" } else { "ForTheTest" }, "message": "hunter2 of a hostile server"});
    (StatusCode::from_u16(code).unwrap(), body(&status)).into_response()
}

fn body(value: &Value) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "application/json")], value.to_string())
}

fn instead(holds: &Holds, place: &str) -> Option<Response> {
    holds.asked.lock().unwrap().push(place.to_owned());
    let instead = holds.instead.lock().unwrap();
    let found = instead.iter().find(|(beginning, _)| place.starts_with(beginning.as_str()));
    found.map(|(_, code)| failure(*code))
}

async fn one(
    State(holds): State<Arc<Holds>>,
    Path((namespace, resource, name)): Path<(String, String, String)>,
) -> Response {
    let pause = *holds.pause.lock().unwrap();
    tokio::time::sleep(pause).await;
    let place = format!("{namespace}/{resource}/{name}");
    if let Some(response) = instead(&holds, &place) {
        return response;
    }
    match holds.objects.lock().unwrap().get(&place) {
        Some(object) => body(object).into_response(),
        None => failure(404),
    }
}

/// In pages, by type, as the API server does.
async fn list(
    State(holds): State<Arc<Holds>>,
    Path((namespace, resource)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let query = uri.query().unwrap_or_default().replace("%3D", "=").replace("%2F", "/");
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|its| its.split_once('=')).collect();
    let selector = query.get("fieldSelector").copied().unwrap_or_default();
    if let Some(response) = instead(&holds, &format!("{namespace}/{resource}?{selector}")) {
        return response;
    }
    let kind = selector.strip_prefix("type=").unwrap_or_default().to_owned();
    let beginning = format!("{namespace}/{resource}/");
    let objects = holds.objects.lock().unwrap();
    let all = objects.iter().filter(|(place, object)| place.starts_with(&beginning) && object["type"] == *kind);
    let all: Vec<&Value> = all.map(|(_, object)| object).collect();
    let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
    let limit: usize = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
    let page: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
    let next = from + page.len();
    let token = if next < all.len() { next.to_string() } else { String::new() };
    let metadata = json!({"resourceVersion": "1", "continue": token});
    body(&json!({"apiVersion": "v1", "kind": "SecretList", "metadata": metadata, "items": page})).into_response()
}

async fn unknown(State(holds): State<Arc<Holds>>, uri: Uri) -> Response {
    holds.asked.lock().unwrap().push(format!("unexpected {uri}"));
    failure(404)
}
