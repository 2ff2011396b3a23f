//! A connection that fails when its peer leaves unread what was sent: a slow reader is dropped, and not waited for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// For how many bytes the patience is, at least: it begins anew when so many have been written. A peer that reads byte by
/// byte would otherwise be waited for without end.
const SHARE: usize = 64 << 10;

/// A connection that may have to wait for its peer to read, for so long in all until 64 KiB more are written. A write that
/// has to wait longer fails with [`io::ErrorKind::TimedOut`].
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    patience: Duration,
    left: Duration,
    /// How much was written with this patience.
    written: usize,
    /// Since when nothing can be written, and until it is too long.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Timed<S> {
    /// With so much patience.
    pub const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, left: patience, written: 0, waiting: None }
    }

    fn within_patience(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = &written {
            if let Some((since, _)) = self.waiting.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            self.written += result.as_ref().map_or(0, |bytes| *bytes);
            if self.written >= SHARE {
                (self.written, self.left) = (0, self.patience);
            }
            return written;
        }
        let left = self.left;
        let (_, waiting) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.within_patience(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, buffers);
        this.within_patience(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn mk_connection() -> (Timed<DuplexStream>, DuplexStream) {
        let (own, peer) = duplex(1024);
        (Timed::new(own, PATIENCE), peer)
    }

    /// Reads `bytes` every so often, until the connection is closed.
    async fn read(mut peer: DuplexStream, bytes: usize, pause: Duration) {
        let mut buffer = vec![0; bytes];
        while peer.read_exact(&mut buffer).await.is_ok() {
            sleep(pause).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_dropped() {
        let (mut connection, _peer) = mk_connection();
        let begun = Instant::now();
        let error = connection.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_trickle_is_dropped_as_well() {
        let (mut connection, peer) = mk_connection();
        let reading = tokio::spawn(read(peer, 1, Duration::from_secs(1)));
        let begun = Instant::now();
        let error = connection.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < 2 * PATIENCE, "{:?}", begun.elapsed());
        drop(connection);
        reading.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_on_is_waited_for_however_long_it_takes() {
        let (mut connection, peer) = mk_connection();
        let reading = tokio::spawn(read(peer, 1024, Duration::from_millis(100)));
        let begun = Instant::now();
        connection.write_all(&vec![0; 1 << 20]).await.unwrap();
        assert!(begun.elapsed() > 2 * PATIENCE, "{:?}", begun.elapsed());
        drop(connection);
        reading.await.unwrap();
    }
}
