//! Bodies that are made as they are sent.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use super::bomb::Bomb;
use super::ledger::InFlight;
use super::wire::Excess;

/// As much as is sent at once, so that nothing here grows with what is sent.
const PIECE: usize = 16 * 1024;
static SPACES: [u8; PIECE] = [b' '; PIECE];

/// The connection is to be cut.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the test wants the connection cut")
    }
}

impl std::error::Error for Cut {}

/// What a body is made of.
#[derive(Debug)]
pub(super) enum Source {
    Nothing,
    Whole(Bytes),
    /// The end, after what came before has left: an end before its time would take that along.
    Ending,
    /// Bytes, then spaces up to a length, or without end; and what follows it on the wire, beyond all framing.
    Padded {
        start: Bytes,
        left: Option<u64>,
        excess: Option<(Excess, u64)>,
    },
    Dripping {
        left: Bytes,
        interval: Duration,
        wait: Pin<Box<Sleep>>,
    },
    /// What is still to be sent; then it waits once, so that it leaves; then the cut.
    Broken {
        left: Bytes,
        waited: bool,
    },
    Bomb(Bomb),
}

impl Source {
    pub(super) fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Nothing } else { Self::Whole(bytes) }
    }

    pub(super) fn dripping(bytes: Bytes, interval: Duration) -> Self {
        Self::Dripping { left: bytes, interval, wait: Box::pin(sleep(interval)) }
    }

    /// The next piece.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let piece = match self {
            Self::Nothing | Self::Ending => None,
            Self::Whole(bytes) => {
                let bytes = bytes.clone();
                *self = Self::Nothing;
                Some(bytes)
            }
            Self::Padded { left: Some(0), .. } => {
                *self = Self::Ending;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Self::Padded { start, left, excess } => Some(padded(start, left, excess)),
            Self::Dripping { left, .. } if left.is_empty() => None,
            Self::Dripping { left, interval, wait } => {
                ready!(wait.as_mut().poll(context));
                wait.set(sleep(*interval));
                Some(left.split_to(1))
            }
            Self::Broken { left, .. } if !left.is_empty() => Some(std::mem::take(left)),
            Self::Broken { waited, .. } if !*waited => {
                *waited = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Self::Broken { .. } => return Poll::Ready(Some(Err(Cut))),
            Self::Bomb(bomb) => bomb.next(),
        };
        Poll::Ready(piece.map(Ok))
    }
}

/// The next piece of bytes that spaces follow.
fn padded(start: &mut Bytes, left: &mut Option<u64>, excess: &mut Option<(Excess, u64)>) -> Bytes {
    let most = left.map_or(PIECE, |left| usize::try_from(left).map_or(PIECE, |left| left.min(PIECE)));
    let piece = if start.is_empty() {
        Bytes::from_static(&SPACES[..most])
    } else {
        let mut piece = BytesMut::from(&start.split_to(most.min(start.len()))[..]);
        piece.resize(most, b' ');
        piece.freeze()
    };
    if let Some(left) = left {
        *left -= u64::try_from(most).expect("a piece is small");
        if *left == 0
            && let Some((wire, count)) = excess.take()
        {
            wire.add(count);
        }
    }
    piece
}

/// A body, and the note that its request is not yet answered.
#[derive(Debug)]
pub(super) struct Flow {
    source: Source,
    _in_flight: Option<InFlight>,
}

impl Flow {
    pub(super) fn new(source: Source) -> Self {
        Self { source, _in_flight: None }
    }

    /// The same, for a request that is answered when this has been sent.
    pub(super) fn of(self, in_flight: InFlight) -> Self {
        Self { _in_flight: Some(in_flight), ..self }
    }

    /// What remains of it in the answer to a HEAD.
    pub(super) fn without_body(self) -> Self {
        Self { source: Source::Nothing, ..self }
    }
}

/// Its length is never known here: what Content-Length says is said in the header, true or not.
impl Body for Flow {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = ready!(self.source.poll(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Nothing)
    }
}
