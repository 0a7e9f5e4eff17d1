//! The listener as callers meet it: real TLS on the loopback, well-behaved callers and others.

mod admin;
mod certificates;
mod clients;
mod drain;
mod hostile;
mod requests;

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admission::{Malformed, Reply};
use crate::server::tls::{ClientAuthentication, Identity, TlsError, server_config};
use crate::server::validate::{desk, routes};
use crate::server::{Bounds, Drain, Running, listen};

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// How long a test waits for what must happen: far more than it takes, and the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nobody waits for a test server to settle.
fn quick() -> Bounds {
    Bounds { settle: Duration::ZERO, ..Bounds::default() }
}

/// A server whose reviews do what their body says.
struct Served {
    running: Running,
    drain: Drain,
    authority: String,
    /// Lets the reviews go that said `wait`.
    release: watch::Sender<bool>,
    /// How many reviews said `wait`.
    waiting: watch::Receiver<usize>,
}

impl Served {
    async fn start(bounds: &Bounds) -> Self {
        let (identity, bundle) = Identity::self_made(&[]).unwrap();
        Self::start_as(Arc::new(identity), bundle.pem(), None, bounds).await
    }

    async fn start_as(
        identity: Arc<Identity>,
        authority: &str,
        client: Option<Arc<ClientAuthentication>>,
        bounds: &Bounds,
    ) -> Self {
        let (release, released) = watch::channel(false);
        let (arrived, waiting) = watch::channel(0);
        let drain = Drain::default();
        let answer = move |body: Vec<u8>, deadline: Instant| {
            let mut released = released.clone();
            let arrived = arrived.clone();
            async move {
                match body.as_slice() {
                    b"panic" => panic!("the body asked for it"),
                    b"malformed" => return Err(Malformed("no uid".to_owned())),
                    b"hang" => std::future::pending().await,
                    b"deadline" => {
                        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
                        return Ok(Reply { body: left.to_string().into_bytes() });
                    }
                    b"wait" => {
                        arrived.send_modify(|count| *count += 1);
                        let _ = released.wait_for(|released| *released).await;
                    }
                    _ => {}
                }
                Ok(Reply { body: body.len().to_string().into_bytes() })
            }
        };
        let router = routes(desk(answer, bounds), None, drain.clone());
        let tls = server_config(identity, client).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let running = listen(address, router, Some(tls), bounds, drain.clone()).await.unwrap();
        Self { running, drain, authority: authority.to_owned(), release, waiting }
    }

    fn address(&self) -> SocketAddr {
        self.running.address()
    }

    fn caller(&self, protocol: Protocol) -> Caller {
        Caller { address: self.address(), authority: self.authority.clone(), certificate: None, protocol }
    }

    async fn connect(&self, protocol: Protocol) -> Session {
        self.caller(protocol).connect().await.unwrap()
    }

    async fn until_waiting(&self, count: usize) {
        let mut waiting = self.waiting.clone();
        within(waiting.wait_for(|waiting| *waiting >= count)).await.unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Somebody who calls.
#[derive(Clone)]
struct Caller {
    address: SocketAddr,
    authority: String,
    certificate: Option<Arc<CertifiedKey>>,
    protocol: Protocol,
}

impl Caller {
    async fn tls(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_root_certificates(roots);
        let mut config = match &self.certificate {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::clone(key)))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match self.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("pratique.pratique-system.svc").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    async fn connect(&self) -> std::io::Result<Session> {
        let stream = within(self.tls()).await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let stream = TokioIo::new(stream);
        let sender = match self.protocol {
            Protocol::Http1 => {
                let (sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Session { sender, certificate })
    }
}

type Sent = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// An open connection.
struct Session {
    sender: Sender,
    certificate: Vec<u8>,
}

enum Sender {
    Http1(hyper::client::conn::http1::SendRequest<Sent>),
    Http2(hyper::client::conn::http2::SendRequest<Sent>),
}

/// An answer, read to its end.
struct Answer {
    status: u16,
    head: Response<()>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        Some(self.head.headers().get(name)?.to_str().unwrap())
    }
}

impl Session {
    /// Sends without waiting for the answer.
    fn send(&mut self, request: Request<Sent>) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => futures(sender.send_request(request)),
            Sender::Http2(sender) => futures(sender.send_request(request)),
        };
        async move { within(answer).await }
    }

    async fn ask(&mut self, request: Request<Sent>) -> hyper::Result<Answer> {
        read(self.send(request).await?).await
    }

    async fn post(&mut self, body: &str) -> hyper::Result<Answer> {
        self.ask(review(body)).await
    }

    /// Whether the other side said that it takes no more requests here.
    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

fn futures(answer: impl Future<Output = hyper::Result<Response<Incoming>>> + Send + 'static) -> Answering {
    Box::pin(answer)
}

async fn read(response: Response<Incoming>) -> hyper::Result<Answer> {
    let (head, body) = response.into_parts();
    let body = within(body.collect()).await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Ok(Answer { status: head.status.as_u16(), head: Response::from_parts(head, ()), body })
}

/// A request as API servers send it.
fn review(body: &str) -> Request<Sent> {
    with_body(Full::new(Bytes::from(body.to_owned())))
}

fn with_body(body: impl Body<Data = Bytes, Error = std::convert::Infallible> + Send + Sync + 'static) -> Request<Sent> {
    Request::post("https://pratique.pratique-system.svc/validate?timeout=10s")
        .header("host", "pratique.pratique-system.svc")
        .header("content-type", "application/json")
        .body(body.boxed())
        .unwrap()
}

/// A body of unknown length in chunks of 1,000 bytes, which may never end.
struct Chunks {
    count: usize,
    end: bool,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.count, self.end) {
            (0, true) => Poll::Ready(None),
            (0, false) => Poll::Pending,
            (count, _) => {
                self.count = count - 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; 1_000])))))
            }
        }
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it must not take so long")
}

/// Looks again and again until it is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    within(async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
