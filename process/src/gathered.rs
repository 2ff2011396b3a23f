//! A connection over which small pieces are written as one: to copy a head and a short body costs less than to hand the
//! kernel both.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes are copied at most.
const MOST: usize = 4096;

/// A connection over which pieces that have at most 4 KiB together are written as one.
#[derive(Debug)]
pub struct Gathered<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        if pieces.len() < 2 || pieces.iter().map(|piece| piece.len()).sum::<usize>() > MOST {
            return stream.poll_write_vectored(context, pieces);
        }
        let mut whole = SmallVec::<[u8; MOST]>::new();
        for piece in pieces {
            whole.extend_from_slice(piece);
        }
        stream.poll_write(context, &whole)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Notes how long each write is, of which it takes at most [`MOST`] bytes.
    #[derive(Default)]
    struct Noted(Vec<Vec<usize>>);

    impl AsyncWrite for Noted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(vec![bytes.len()]);
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            pieces: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.0.push(pieces.iter().map(|piece| piece.len()).collect());
            Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum::<usize>().min(MOST)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn small_pieces_are_written_as_one() {
        for (pieces, written) in [
            (vec![10, 20], vec![30]),
            (vec![MOST - 1, 1], vec![MOST]),
            (vec![MOST, 1], vec![MOST, 1]),
            (vec![10], vec![10]),
        ] {
            let buffers: Vec<_> = pieces.iter().map(|bytes| vec![b'x'; *bytes]).collect();
            let slices: Vec<_> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
            let mut stream = Gathered(Noted::default());
            let all = poll_fn(|context| Pin::new(&mut stream).poll_write_vectored(context, &slices)).await;
            let taken = pieces.iter().sum::<usize>().min(MOST);
            assert_eq!((all.unwrap(), stream.0.0), (taken, vec![written]));
        }
    }
}
