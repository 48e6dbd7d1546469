//! What is on its way to an application: encoded records, and pieces of the request's body in
//! records of their own, whose content is not copied.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use doorman_fastcgi::{
    CONTENT_BYTES_MAX, KeepConnection, Kind, write_begin, write_head, write_params,
};
use doorman_http::{Body, BodyError, Data, Frame};
use tokio::io::AsyncWrite;

use crate::heads::Out;
use crate::link::Link;
use crate::seam::Stream;

/// A request on its way.
#[derive(Default)]
pub(super) struct Sending {
    out: Out,
    /// A piece of the body, and how much of it belongs to the record whose head was encoded.
    piece: Option<Data>,
    in_record: usize,
    body: Option<Body>,
    end: End,
}

/// How the sending ended, if it did.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// It has not.
    #[default]
    Open,
    /// The end of the body is encoded.
    Whole,
    /// The application stopped reading; it may still answer.
    Broken,
    /// The client's body failed.
    Failed(BodyError),
}

impl Sending {
    /// Takes a request in.
    pub(super) fn begin(&mut self, keep: KeepConnection, variables: &[u8], body: Option<Body>) {
        let out = self.out.buffer();
        write_begin(out, keep);
        write_params(out, variables);
        self.body = body.filter(|body| !body.is_finished());
        self.end = End::Open;
        if self.body.is_none() {
            self.end_body();
        }
    }

    /// Whether bytes wait that the application is to read.
    pub(super) fn waits_for_reader(&self) -> bool {
        !self.out.is_empty() || self.in_record > 0
    }

    /// Whether the client is to send more of its body.
    pub(super) const fn waits_for_body(&self) -> bool {
        self.body.is_some()
    }

    /// Whether all of the request has left.
    pub(super) fn is_done(&self) -> bool {
        self.end == End::Whole && self.out.is_empty()
    }

    /// Why the client's body failed, if it did.
    pub(super) const fn failure(&self) -> Option<BodyError> {
        match self.end {
            End::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn end_body(&mut self) {
        write_head(self.out.buffer(), Kind::Stdin, 0);
        self.body = None;
        self.end = End::Whole;
    }

    /// Sends what can be sent. Ready when there is nothing left to send; says whether bytes moved.
    pub(super) fn poll<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link<S>,
        moved: &mut bool,
    ) -> Poll<()> {
        loop {
            if matches!(self.end, End::Broken | End::Failed(_)) {
                return Poll::Ready(());
            }
            self.next_record(cx, link);
            if !self.waits_for_reader() {
                return if self.waits_for_body() { Poll::Pending } else { Poll::Ready(()) };
            }
            match ready!(self.poll_write(cx, link)) {
                Ok(()) => *moved = true,
                Err(_) => {
                    self.give_up();
                    self.end = End::Broken;
                }
            }
        }
    }

    fn give_up(&mut self) {
        self.out.reuse();
        (self.piece, self.in_record, self.body) = (None, 0, None);
    }

    /// Encodes the head of the next record of the body, if a piece is at hand and none is under way.
    fn next_record<S: Stream>(&mut self, cx: &mut Context<'_>, link: &mut Link<S>) {
        if self.in_record > 0 {
            return;
        }
        if self.piece.is_none()
            && let Some(body) = &mut self.body
        {
            match body.poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(Frame::Data(data)))) => self.piece = Some(data),
                // CGI has no place for trailers.
                Poll::Ready(Some(Ok(Frame::Trailers(_))) | None) => self.end_body(),
                Poll::Ready(Some(Err(error))) => {
                    self.give_up();
                    // A cut body must not look like a whole one.
                    link.reset_on_close();
                    self.end = End::Failed(error);
                }
            }
        }
        if let Some(piece) = &self.piece {
            self.in_record = piece.len().min(CONTENT_BYTES_MAX);
            write_head(self.out.buffer(), Kind::Stdin, self.in_record);
        }
    }

    /// Writes all that waits.
    fn poll_write<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        link: &mut Link<S>,
    ) -> Poll<io::Result<()>> {
        while self.waits_for_reader() {
            let piece = self.piece.as_ref().map_or(&b""[..], Data::as_slice);
            let slices = [self.out.pending(), &piece[..self.in_record]].map(IoSlice::new);
            let first = usize::from(self.out.is_empty());
            let n = ready!(Pin::new(&mut *link).poll_write_vectored(cx, &slices[first..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        Pin::new(link).poll_flush(cx)
    }

    fn advance(&mut self, n: usize) {
        let encoded = n.min(self.out.pending().len());
        if encoded > 0 {
            self.out.advance(encoded);
        }
        let content = (n - encoded).min(self.in_record);
        self.in_record -= content;
        if let Some(piece) = &mut self.piece {
            bytes::Buf::advance(piece, content);
            if piece.is_empty() {
                self.piece = None;
            }
        }
    }
}
