//! The body of an answer: bytes, pieces that are made as they are read, or a stream without end.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Pieces are gathered until they are about so large: a record of TLS each, a few dozen objects.
const GATHERED: usize = 32 * 1024;

/// The body of an answer.
pub(super) struct Body {
    content: Content,
    /// Released once the body was sent or its reader is gone.
    held: Vec<OwnedSemaphorePermit>,
}

enum Content {
    Whole(Bytes),
    Pieces {
        rest: Box<dyn Iterator<Item = Bytes> + Send>,
        length: Option<u64>,
    },
    Stream(mpsc::Receiver<Bytes>),
}

impl Body {
    /// All at once.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Content::Whole(bytes.into()))
    }

    /// Piece by piece, each made when the one before was sent.
    pub(super) fn pieces(
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        let rest = Box::new(pieces);
        Self::of(Content::Pieces { rest, length })
    }

    /// Until the sender is gone.
    pub(super) fn stream(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self::of(Content::Stream(receiver))
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            held: Vec::new(),
        }
    }

    /// Whether it has no end of its own.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(_))
    }

    /// Keeps a permit until the body was sent.
    pub(super) fn hold(&mut self, permit: Option<OwnedSemaphorePermit>) {
        self.held.extend(permit);
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.content {
            Content::Whole(bytes) => std::mem::take(bytes),
            Content::Pieces { rest, length } => {
                let gathered = gather(rest.as_mut());
                if let Some(length) = length {
                    *length = length.saturating_sub(gathered.len() as u64);
                }
                gathered
            }
            Content::Stream(receiver) => {
                return receiver
                    .poll_recv(context)
                    .map(|received| received.map(|bytes| Ok(Frame::data(bytes))));
            }
        };
        if bytes.is_empty() {
            self.held.clear();
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Pieces { length, .. } => *length == Some(0),
            Content::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Pieces {
                length: Some(length),
                ..
            } => SizeHint::with_exact(*length),
            _ => SizeHint::default(),
        }
    }
}

fn gather(pieces: &mut (dyn Iterator<Item = Bytes> + Send)) -> Bytes {
    let mut gathered = BytesMut::new();
    for piece in pieces {
        if gathered.is_empty() && piece.len() >= GATHERED {
            return piece;
        }
        gathered.extend_from_slice(&piece);
        if gathered.len() >= GATHERED {
            break;
        }
    }
    gathered.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn pieces_make_the_whole() {
        let pieces: Vec<Bytes> = (0..5_000).map(|n| Bytes::from(format!("{n},"))).collect();
        let expected = pieces.concat();
        let length = Some(expected.len() as u64);
        let body = Body::pieces(pieces.into_iter(), length);
        assert_eq!(hyper::body::Body::size_hint(&body).exact(), length);
        let found = body.collect().await.unwrap().to_bytes();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_sender() {
        let (sender, receiver) = mpsc::channel(2);
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        sender.send(Bytes::from_static(b"b")).await.unwrap();
        drop(sender);
        let found = Body::stream(receiver).collect().await.unwrap().to_bytes();
        assert_eq!(found, "ab");
    }
}
