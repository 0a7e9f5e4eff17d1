//! One connection, from the handshake to the last byte.
//!
//! Promises: whoever is slow, idle, or only pretends to speak TLS or HTTP is cut by the bounds and disturbs nobody; whoever
//! was asked something in time gets the whole answer, even if we hang up after it.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use crate::server::Bounds;
use crate::server::capacity::{Overdue, Place, Seat};
use crate::server::listener::closing;

/// At most one complaint about callers in this time: a scanner or a wrong `caBundle` must not fill the log.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// What the connections of one listener share.
pub(super) struct Host {
    router: Router,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    complaints: Mutex<Complaints>,
}

#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Host {
    pub(super) fn new(router: Router, tls: Option<TlsAcceptor>, bounds: Bounds) -> Self {
        let mut http1 = http1::Builder::new();
        // Its timer counts idle time as header time; `Seat` tells them apart.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(bounds.head);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new()).max_concurrent_streams(bounds.streams);
        // Room for several reviews of usual size in each direction; bodies are read as they come, so this is also all
        // that a connection buffers.
        http2.initial_stream_window_size(64 << 10).initial_connection_window_size(1 << 20).max_send_buf_size(64 << 10);
        http2.max_header_list_size(u32::try_from(bounds.head).unwrap_or(u32::MAX));
        Self { router, tls, bounds, http1, http2, complaints: Mutex::default() }
    }

    /// Says what went wrong with a caller, seldom enough.
    pub(super) fn complain(&self, what: &dyn Display) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.last.is_some_and(|last| last.elapsed() < COMPLAINT_PAUSE) {
            complaints.unsaid += 1;
            return;
        }
        let unsaid = std::mem::take(&mut complaints.unsaid);
        complaints.last = Some(Instant::now());
        drop(complaints);
        tracing::warn!(unsaid, "{what}");
    }
}

/// Serves one connection until it ends.
pub(super) async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    host: Arc<Host>,
    place: Place,
    stopped: watch::Receiver<bool>,
) {
    // Without it a multiplexed HTTP/2 connection waits 40 ms for acknowledgements. It fails only on dead sockets.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = &host.tls else {
        return serve_http1(stream, &host, &place.seat, stopped).await;
    };
    let handshake = tokio::select! {
        handshake = tokio::time::timeout(host.bounds.handshake_time, tls.accept(stream)) => handshake,
        () = place.seat.evicted() => return,
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return host.complain(&format_args!("TLS handshake with {peer} failed: {error}")),
        Err(_) => return host.complain(&format_args!("TLS handshake with {peer} took too long")),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(stream, &host, &place.seat, stopped).await;
    } else {
        serve_http1(stream, &host, &place.seat, stopped).await;
    }
}

async fn serve_http1<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &Host,
    seat: &Arc<Seat>,
    stopped: watch::Receiver<bool>,
) {
    let watched = Watched { stream, heads: Some(Arc::clone(seat)), linger: host.bounds.linger, farewell: None };
    let connection = host.http1.serve_connection(TokioIo::new(watched), service(&host.router, seat));
    tend(connection, seat, stopped, &host.bounds).await;
}

async fn serve_http2<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &Host,
    seat: &Arc<Seat>,
    stopped: watch::Receiver<bool>,
) {
    let watched = Watched { stream, heads: None, linger: host.bounds.linger, farewell: None };
    let connection = host.http2.serve_connection(TokioIo::new(watched), service(&host.router, seat));
    tend(connection, seat, stopped, &host.bounds).await;
}

/// The router, which is told by which seat a request came.
fn service(
    router: &Router,
    seat: &Arc<Seat>,
) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static> + use<> {
    let (router, seat) = (router.clone(), Arc::clone(seat));
    service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        let open = seat.request();
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&seat));
        async move {
            let _open = open;
            router.call(request).await
        }
    })
}

/// The two protocols' connections.
trait Connection: Future<Output = hyper::Result<()>> {
    /// No further requests: HTTP/1 closes after the answer in hand, HTTP/2 says GOAWAY.
    fn bow_out(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::Connection<I, S>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    fn bow_out(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Connection for http2::Connection<I, S, TokioExecutor>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static>,
{
    fn bow_out(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

enum Phase {
    Serving,
    /// The drain caught it before its first request, which may be on its way.
    Expecting(Instant),
    /// Told to end.
    Leaving(Instant),
}

async fn tend<C: Connection>(connection: C, seat: &Seat, mut stopped: watch::Receiver<bool>, bounds: &Bounds) {
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(seat.due(bounds.idle_time, bounds.head_time).0));
    let mut phase = Phase::Serving;
    loop {
        let due = || match phase {
            Phase::Serving => seat.due(bounds.idle_time, bounds.head_time),
            Phase::Expecting(since) => (since + bounds.linger, Overdue::Idle),
            Phase::Leaving(since) => {
                // Whatever is still in hand is bounded by its own deadline and by the grace.
                let (due, overdue) = seat.due(bounds.linger, bounds.head_time);
                (due.max(since + bounds.linger), overdue)
            }
        };
        tokio::select! {
            // In this order: what the connection has just read counts when the time is looked at.
            biased;
            _ = &mut connection => return,
            () = seat.evicted() => return,
            () = closing(&mut stopped), if matches!(phase, Phase::Serving) => {
                phase = if seat.asked() {
                    connection.as_mut().bow_out();
                    Phase::Leaving(Instant::now())
                } else {
                    Phase::Expecting(Instant::now())
                };
            }
            overdue = overdue(timer.as_mut(), due) => match (&phase, overdue) {
                (Phase::Leaving(_), _) | (Phase::Serving | Phase::Expecting(_), Overdue::Head) => return,
                (Phase::Serving | Phase::Expecting(_), Overdue::Idle) => {
                    connection.as_mut().bow_out();
                    phase = Phase::Leaving(Instant::now());
                }
            },
        }
    }
}

/// Waits until what is due is overdue. The timer is moved only when it must ring earlier, or rang too early: most
/// requests come and go without touching it.
async fn overdue(mut timer: Pin<&mut Sleep>, due: impl Fn() -> (Instant, Overdue)) -> Overdue {
    std::future::poll_fn(|context| {
        loop {
            let (at, overdue) = due();
            if at < timer.deadline() {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(context));
            if at <= Instant::now() {
                return Poll::Ready(overdue);
            }
            timer.as_mut().reset(at);
        }
    })
    .await
}

/// The stream below hyper: tells the seat when a head begins, and closes so that the other side can read our last words.
struct Watched<S> {
    stream: S,
    /// Whom to tell; HTTP/2 has frames that are no request.
    heads: Option<Arc<Seat>>,
    linger: Duration,
    farewell: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        if let Some(seat) = this.heads.as_ref().filter(|_| buffer.filled().len() > before) {
            seat.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    /// A socket closed with unread bytes in it resets the connection, and the other side loses an answer (a 413, say)
    /// that it had not read yet. So: say goodbye, then read and forget until it closes too, for a while.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let linger = this.linger;
        let farewell = this.farewell.get_or_insert_with(|| Box::pin(tokio::time::sleep(linger)));
        let mut scratch = [0; 4096];
        while farewell.as_mut().poll(context).is_pending() {
            let mut unread = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                Ok(()) | Err(_) => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
