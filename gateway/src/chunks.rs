//! A body of a few pieces that are there already, none of which is copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body of at most three pieces.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    pieces: [Bytes; 3],
}

impl From<Bytes> for Chunks {
    fn from(only: Bytes) -> Self {
        Self { pieces: [only, Bytes::new(), Bytes::new()] }
    }
}

impl From<[Bytes; 3]> for Chunks {
    fn from(pieces: [Bytes; 3]) -> Self {
        Self { pieces }
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_pieces_come_in_their_order_and_are_counted() {
        let chunks = Chunks::from(["a".into(), Bytes::new(), "bc".into()]);
        assert_eq!(chunks.size_hint().exact(), Some(3));
        assert_eq!(chunks.collect().await.unwrap().to_bytes(), "abc");
        assert!(Chunks::default().is_end_stream());
    }
}
