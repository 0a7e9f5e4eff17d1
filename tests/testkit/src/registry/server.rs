//! The listener, on a thread and a runtime of its own: when that ends, everything is closed.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::access::{self, Access};
use super::answer::answer;
use super::authority::Authority;
use super::behaviour::{Behaviours, Occasion};
use super::flow::{Cut, Flow};
use super::hostile;
use super::ledger::{InFlight, Ledger, Seen};
use super::route::{Target, pairs};
use super::store::Store;
use super::wire::{Excess, Wire};

/// As much of a request's body as is read: a form with a token.
const MOST_OF_A_BODY: usize = 64 * 1024;

/// Everything that outlives a listener.
#[derive(Debug)]
pub(super) struct State {
    pub(super) host: String,
    pub(super) access: Access,
    pub(super) authority: Option<Arc<Authority>>,
    pub(super) client: Option<(String, String)>,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) referrers: bool,
    pub(super) page_size: Option<usize>,
    pub(super) latency: Duration,
    pub(super) store: Mutex<Store>,
    pub(super) behaviours: Mutex<Behaviours>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    version: Version,
    excess: Excess,
}

impl Request {
    pub(super) fn authorization(&self) -> Option<String> {
        access::authorization(&self.headers)
    }

    /// Where more can be put behind the answer, if there is such a place.
    pub(super) fn excess(&self) -> Option<Excess> {
        hostile::has_room_behind(self.version).then(|| self.excess.clone())
    }
}

impl State {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("no panic while it is held")
    }

    pub(super) fn behaviours(&self) -> MutexGuard<'_, Behaviours> {
        self.behaviours.lock().expect("no panic while it is held")
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic while it is held")
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    async fn serve(&self, request: hyper::Request<Incoming>, excess: Excess) -> Result<Response<Flow>, Cut> {
        let in_flight = InFlight::begin(&self.ledger);
        let request = self.read(request, excess).await;
        tokio::time::sleep(self.latency).await;
        let authorization = request.authorization();
        let judged = self.access.judge(&request.target, authorization.as_deref());
        let (may_pass, authorized) = (judged.is_ok(), authorization.is_some());
        let occasion = Occasion { route: request.target.route(&request.method), may_pass, authorized };
        let behaviour = self.behaviours().take(occasion);
        let honest = judged.map_or_else(|refusal| refusal, |()| answer(self, &request));
        let response = match behaviour {
            Some((behaviour, turn)) => hostile::perform(&behaviour, turn, &request, honest).await?,
            None => honest.send(),
        };
        Ok(response.map(|flow| {
            let flow = flow.of(in_flight);
            if request.method == Method::HEAD { flow.without_body() } else { flow }
        }))
    }

    /// Reads and notes a request.
    async fn read(&self, request: hyper::Request<Incoming>, excess: Excess) -> Request {
        let (head, body) = request.into_parts();
        let target = Target::of(head.uri.path());
        let query = head.uri.query().unwrap_or_default();
        // Nothing but a form that is posted is of interest.
        let body = match head.method {
            Method::POST => Limited::new(body, MOST_OF_A_BODY).collect().await.map(|body| body.to_bytes()),
            _ => Ok(bytes::Bytes::new()),
        };
        let body = body.map_or_else(|_| String::new(), |body| String::from_utf8_lossy(&body).into_owned());
        self.ledger().note(Seen {
            sequence: 0,
            route: target.route(&head.method),
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: query.to_owned(),
            authorization: access::authorization(&head.headers),
            headers: head.headers.clone(),
            version: head.version,
            body: body.clone(),
        });
        let query = pairs(query);
        let (method, headers, version) = (head.method, head.headers, head.version);
        Request { method, target, query, headers, body, version, excess }
    }
}

/// A listener and its connections.
#[derive(Debug)]
pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Port 0: any.
    pub(super) fn bind(port: u16) -> io::Result<(TcpListener, u16)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok((listener, port))
    }

    pub(super) fn start(listener: TcpListener, state: &Arc<State>) -> Self {
        let state = Arc::clone(state);
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = listen(listener, state) => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("registry".to_owned()).spawn(run).expect("a thread can be had");
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has said why on its own, if it panicked.
            let _ended = thread.join();
        }
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
    loop {
        // Too many open files, or somebody who left before he was let in: the next one may fare better.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            stream.set_nodelay(true).expect("a TCP option of a TCP stream");
            match &state.tls {
                None => converse(stream, &state).await,
                Some(tls) => {
                    if let Ok(stream) = TlsAcceptor::from(Arc::clone(tls)).accept(stream).await {
                        converse(stream, &state).await;
                    }
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: &Arc<State>) {
    let excess = Excess::default();
    let io = TokioIo::new(Wire::new(stream, excess.clone()));
    let service = service_fn(|request| {
        let (state, excess) = (Arc::clone(state), excess.clone());
        async move { state.serve(request, excess).await }
    });
    // Whoever hangs up, or is hung up on, has ended the conversation.
    let _ended = auto::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
}
