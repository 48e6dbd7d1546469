//! Pages are made smaller as they pass, since most are made for one client and never stored.

use std::task::{Context, Poll};

use bytes::Bytes;
use doorman_http::{Body, BodyError, FieldId, Frame, Length, Source};
use doorman_net::dial::Answer;
use doorman_optimize::text::{Html, Kind, is_readable_charset, kind_of};
use doorman_transform::{forbids_change, other_form};

use crate::exchange::Exchange;
use crate::record::Cached;

/// Makes a page smaller. What is answered from a store has a form of its own there.
pub(crate) fn passing(exchange: &mut Exchange, mut answer: Answer) -> Answer {
    let head = &answer.head;
    let is_stored = exchange
        .record()
        .cached
        .is_some_and(|cached| !matches!(cached, Cached::Refused | Cached::Bypass | Cached::Absent));
    let is_other = head.is_bodiless() || head.status == 206 || head.status == 101;
    if is_stored || is_other || head.fields.has(FieldId::ContentEncoding) {
        return answer;
    }
    let Some(content_type) = head.fields.sole(FieldId::ContentType) else { return answer };
    if kind_of(content_type) != Some(Kind::Html) || !is_readable_charset(content_type) {
        return answer;
    }
    if forbids_change(&head.fields) || forbids_change(&exchange.head.fields) {
        exchange.record().optimize_reason = Some("no-transform");
        return answer;
    }
    exchange.record().optimized = Some(Kind::Html.word());
    other_form(&mut answer.head);
    if !answer.body.is_finished() {
        let inner = std::mem::replace(&mut answer.body, Body::empty());
        let page = Page { inner, html: Html::default(), end: None };
        answer.body = Body::pulled(Box::new(page), Length::Unknown);
    }
    answer
}

struct Page {
    inner: Body,
    html: Html,
    /// What is said behind the last byte, once all has come.
    end: Option<Option<Frame>>,
}

impl Page {
    /// The page has ended: what was held goes first.
    fn finish(&mut self, trailers: Option<Frame>) -> Option<Frame> {
        let mut out = Vec::new();
        self.html.finish(&mut out);
        self.end = Some(trailers);
        data(out)
    }
}

fn data(out: Vec<u8>) -> Option<Frame> {
    (!out.is_empty()).then(|| Frame::Data(Bytes::from(out).into()))
}

impl Source for Page {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            if let Some(trailers) = &mut self.end {
                return Poll::Ready(trailers.take().map(Ok));
            }
            let out = match self.inner.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(Frame::Data(piece)))) => {
                    let mut out = Vec::with_capacity(piece.len());
                    self.html.push(piece.as_slice(), &mut out);
                    data(out)
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(trailers))) => self.finish(Some(trailers)),
                Poll::Ready(None) => self.finish(None),
            };
            if let Some(frame) = out {
                return Poll::Ready(Some(Ok(frame)));
            }
        }
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    struct Pieces(Vec<Result<Frame, BodyError>>);

    impl Source for Pieces {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    fn piece(text: &'static str) -> Result<Frame, BodyError> {
        Ok(Frame::Data(Bytes::from_static(text.as_bytes()).into()))
    }

    fn read(pieces: Vec<Result<Frame, BodyError>>) -> (String, Option<BodyError>) {
        let inner = Body::pulled(Box::new(Pieces(pieces)), Length::Unknown);
        let mut page = Page { inner, html: Html::default(), end: None };
        let mut cx = Context::from_waker(Waker::noop());
        let mut text = Vec::new();
        loop {
            match page.poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => text.extend_from_slice(data.as_slice()),
                Poll::Ready(Some(Ok(Frame::Trailers(_)))) => text.push(b'!'),
                Poll::Ready(Some(Err(error))) => {
                    return (String::from_utf8_lossy(&text).into_owned(), Some(error));
                }
                Poll::Ready(None) | Poll::Pending => {
                    return (String::from_utf8_lossy(&text).into_owned(), None);
                }
            }
        }
    }

    #[test]
    fn a_page_passes_whole_and_a_cut_stays_a_cut() {
        let check = |pieces, text: &str, error| assert_eq!(read(pieces), (text.to_owned(), error));
        check(vec![], "", None);
        check(vec![piece("<p>a"), piece(" b</p>")], "<p>a b</p>", None);
        check(vec![piece("<p>a</p><!-- a com"), piece("ment --><p>")], "<p>a</p><p>", None);
        check(vec![piece("<p>a<!-- never en")], "<p>a<!-- never en", None);
        let trailers = || Ok(Frame::Trailers(doorman_http::Fields::default()));
        check(vec![piece("<p>a</p><!-"), trailers()], "<p>a</p><!-!", None);
        let cut = BodyError::UpstreamClosed;
        check(vec![piece("<p>a"), Err(cut)], "<p>a", Some(cut));
    }
}
