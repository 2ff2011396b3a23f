//! A body of pieces that are there already, none of which is copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body of these pieces: mostly three.
#[derive(Debug, Default)]
pub(crate) struct Chunks<P = [Bytes; 3]> {
    pieces: P,
}

impl From<Bytes> for Chunks {
    fn from(only: Bytes) -> Self {
        Self { pieces: [only, Bytes::new(), Bytes::new()] }
    }
}

impl<P> From<P> for Chunks<P>
where
    P: AsRef<[Bytes]>,
{
    fn from(pieces: P) -> Self {
        Self { pieces }
    }
}

impl<P> Body for Chunks<P>
where
    P: AsRef<[Bytes]> + AsMut<[Bytes]> + Unpin,
{
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.pieces.as_mut().iter_mut().find(|piece| !piece.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.as_ref().iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.as_ref().iter().map(|piece| piece.len() as u64).sum())
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
        let many: Vec<Bytes> = ["a", "b", "", "c", "d"].map(Bytes::from).into();
        assert_eq!(Chunks::from(many).collect().await.unwrap().to_bytes(), "abcd");
        assert!(<Chunks>::default().is_end_stream());
    }
}
