//! An API server that answers what it was told to, in that order, and then hangs.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::{Notify, watch};

#[derive(Clone)]
pub(in crate::evidence) enum Reply {
    Json(String),
    /// The same, when the test says so.
    HeldBack(String),
    Status(u16),
    Events(Events),
    Hang,
    Away,
}

#[derive(Clone)]
pub(in crate::evidence) struct Events {
    lines: Vec<String>,
    after: Duration,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Open,
    Closes,
    Breaks,
}

impl Reply {
    /// These at once, and nothing more.
    pub(in crate::evidence) fn events(lines: &[String]) -> Self {
        Self::Events(Events { lines: lines.to_vec(), after: Duration::ZERO, end: End::Open })
    }

    fn with(self, change: impl FnOnce(&mut Events)) -> Self {
        let Self::Events(mut events) = self else { panic!("of events only") };
        change(&mut events);
        Self::Events(events)
    }

    /// How long it then takes to its end.
    pub(in crate::evidence) fn after(self, after: Duration) -> Self {
        self.with(|events| events.after = after)
    }

    pub(in crate::evidence) fn closes(self) -> Self {
        self.with(|events| events.end = End::Closes)
    }

    pub(in crate::evidence) fn breaks(self) -> Self {
        self.with(|events| events.end = End::Breaks)
    }

    pub(in crate::evidence) fn held_back(self) -> Self {
        let Self::Json(text) = self else { panic!("of pages only") };
        Self::HeldBack(text)
    }
}

/// A page of a list.
pub(in crate::evidence) fn page(names: &[&str], version: &str, more: &str) -> Reply {
    let items: Vec<_> = names.iter().map(|name| json!({"metadata": {"name": name, "resourceVersion": "1"}})).collect();
    let metadata = json!({"resourceVersion": version, "continue": more});
    Reply::Json(json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}).to_string())
}

/// A namespace, as its metadata.
pub(in crate::evidence) fn namespace(name: &str, policy: &str) -> Reply {
    let metadata = json!({"name": name, "resourceVersion": "1", "labels": {"pratique.dev/enforce": policy}});
    let object = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata});
    Reply::Json(object.to_string())
}

pub(in crate::evidence) fn event(kind: &str, name: &str, version: &str) -> String {
    json!({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}).to_string()
}

pub(in crate::evidence) fn bookmark(version: &str) -> String {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"resourceVersion": version}});
    json!({"type": "BOOKMARK", "object": object}).to_string()
}

pub(in crate::evidence) fn error(code: u16) -> String {
    json!({"type": "ERROR", "object": status(code)}).to_string()
}

fn status(code: u16) -> serde_json::Value {
    let reason = if code == 403 { "Forbidden" } else { "" };
    let message = "\u{1b}[31mwritten by somebody else";
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code})
}

#[derive(Clone, Default)]
pub(in crate::evidence) struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
    accepts: Arc<Mutex<Vec<String>>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    held_back: watch::Sender<bool>,
    over: watch::Sender<bool>,
    go_on: Notify,
}

impl Script {
    pub(in crate::evidence) fn of(replies: Vec<Reply>) -> Self {
        Self { replies: Arc::new(Mutex::new(replies.into())), ..Self::default() }
    }

    pub(in crate::evidence) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// Path and query of each request.
    pub(in crate::evidence) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// What each request would have.
    pub(in crate::evidence) fn accepts(&self) -> Vec<String> {
        self.accepts.lock().unwrap().clone()
    }

    /// The last of it was begun.
    pub(in crate::evidence) async fn is_over(&self) {
        self.progress.over.subscribe().wait_for(|over| *over).await.expect("the script is ours");
    }

    pub(in crate::evidence) async fn is_held_back(&self) {
        self.progress.held_back.subscribe().wait_for(|held| *held).await.expect("the script is ours");
    }

    pub(in crate::evidence) fn release(&self) {
        self.progress.go_on.notify_one();
    }

    async fn answer(self, reply: Option<Reply>) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
        let json = |code: u16, text: String| {
            let text = stream::iter([Ok(Frame::data(Bytes::from(text)))]);
            Ok(Response::builder().status(code).body(BoxBody::new(StreamBody::new(text))).expect("a response"))
        };
        match reply {
            Some(Reply::Json(text)) => json(200, text),
            Some(Reply::HeldBack(text)) => {
                self.progress.held_back.send_replace(true);
                self.progress.go_on.notified().await;
                json(200, text)
            }
            Some(Reply::Status(code)) => json(code, status(code).to_string()),
            Some(Reply::Events(events)) => Ok(Response::new(BoxBody::new(StreamBody::new(events.stream())))),
            Some(Reply::Away) => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
            Some(Reply::Hang) | None => std::future::pending().await,
        }
    }
}

impl Events {
    fn stream(self) -> impl futures_util::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync {
        let Self { lines, after, end } = self;
        let lines = stream::iter(lines.into_iter().map(|line| Ok(Frame::data(Bytes::from(line + "\n")))));
        let last = stream::once(async move {
            tokio::time::sleep(after).await;
            match end {
                End::Open => std::future::pending().await,
                End::Closes => None,
                End::Breaks => Some(Err(io::Error::from(io::ErrorKind::ConnectionReset))),
            }
        });
        lines.chain(last.filter_map(std::future::ready))
    }
}

impl tower_service::Service<Request<Body>> for Script {
    type Response = Response<BoxBody<Bytes, io::Error>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.asked.lock().unwrap().push(request.uri().to_string());
        let accept = request.headers().get("accept").map_or("", |value| value.to_str().expect("text"));
        self.accepts.lock().unwrap().push(accept.to_owned());
        let (reply, left) = {
            let mut replies = self.replies.lock().unwrap();
            (replies.pop_front(), replies.len())
        };
        if left == 0 {
            self.progress.over.send_replace(true);
        }
        Box::pin(self.clone().answer(reply))
    }
}

/// What was logged.
#[derive(Clone, Default)]
pub(in crate::evidence) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(in crate::evidence) fn subscriber(&self) -> impl tracing::Subscriber + use<> {
        let log = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish()
    }

    pub(in crate::evidence) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.0.lock().unwrap()).lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
