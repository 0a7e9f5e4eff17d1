//! A connection on which more can be sent than HTTP has room for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much as is sent at once.
const PIECE: u64 = 16 * 1024;

/// How many bytes are to follow what is being sent, beyond what its framing has room for.
#[derive(Debug, Clone, Default)]
pub(super) struct Excess(Arc<AtomicU64>);

impl Excess {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::SeqCst);
    }
}

/// The connection.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    excess: Excess,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, excess: Excess) -> Self {
        Self { stream, excess }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// Whoever flushes has written all of his own; what exceeds it comes now.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let left = self.excess.0.load(Ordering::SeqCst);
            if left == 0 {
                return Pin::new(&mut self.stream).poll_flush(context);
            }
            let piece = vec![b' '; usize::try_from(left.min(PIECE)).expect("a piece is small")];
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &piece))?;
            self.excess.0.fetch_sub(u64::try_from(written).expect("a piece is small"), Ordering::SeqCst);
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
