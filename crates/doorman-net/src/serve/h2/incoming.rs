//! A request's content and trailers. The client's window opens because they were taken: that is the
//! back-pressure.

use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use doorman_h2::Content;
use doorman_http::{Body, BodyError, Frame, Interim, Length, ResponseHead, Source};

use super::house::Talk;
use crate::alarm::Alarm;
use crate::serve::pace::Pace;

pub(super) struct Incoming {
    talk: Rc<Talk>,
    alarm: Alarm,
    /// Of content whose length is declared.
    pace: Option<Pace>,
    wants_continue: bool,
    /// What a client sends through a tunnel: whoever asked the origin keeps the time.
    is_tunnel: bool,
}

impl Incoming {
    fn new(talk: &Rc<Talk>, wants_continue: bool, is_tunnel: bool) -> Self {
        let alarm = Alarm::new(talk.house.clock);
        Self { talk: Rc::clone(talk), alarm, pace: None, wants_continue, is_tunnel }
    }

    /// The body of a request that declares that length.
    pub(super) fn body(talk: &Rc<Talk>, length: Option<u64>, expects_continue: bool) -> Body {
        if talk.with(|connection, stream| connection.has_ended(stream)) {
            return match length {
                Some(_) => Body::whole(Bytes::new()),
                None => Body::empty(),
            };
        }
        let house = &talk.house;
        let pace = length.map(|_| Pace::new(house.clock, house.settings.body_idle));
        let mut source = Self::new(talk, expects_continue, false);
        source.pace = pace;
        Body::pulled(Box::new(source), length.map_or(Length::Unknown, Length::Known))
    }

    /// What a client sends through a tunnel.
    pub(super) fn tunnel(talk: &Rc<Talk>) -> Body {
        let source = Self::new(talk, false, true);
        Body::pulled(Box::new(source), Length::Absent)
    }

    /// Ready once a request that declares no content has kept that (`true`), or broken it.
    pub(super) fn poll_none(talk: &Talk, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<bool> {
        match talk.house.content(talk.stream, cx.waker()) {
            Content::End | Content::Trailers(_) => Poll::Ready(true),
            Content::Data(_) | Content::Cut(_) => Poll::Ready(false),
            Content::Nothing => alarm.poll(cx).map(|()| false),
        }
    }
}

impl Source for Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if std::mem::take(&mut self.wants_continue) {
            self.talk.send(&ResponseHead::new(100));
        }
        let frame = match self.talk.house.content(self.talk.stream, cx.waker()) {
            Content::Data(bytes) => {
                if let Some(pace) = &mut self.pace {
                    pace.moved(bytes.len());
                }
                Some(Ok(Frame::Data(bytes.into())))
            }
            Content::Trailers(fields) => Some(Ok(Frame::Trailers(fields))),
            Content::End => None,
            Content::Cut(Some(reason)) => Some(Err(BodyError::ClientMalformed(reason))),
            Content::Cut(None) => Some(Err(BodyError::ClientClosed)),
            Content::Nothing => {
                if let Some(pace) = &mut self.pace {
                    ready!(pace.poll_late(cx));
                    return Poll::Ready(Some(Err(BodyError::ClientTimeout)));
                }
                if !self.is_tunnel {
                    self.alarm.set_if_clear(self.talk.house.settings.body_idle);
                    ready!(self.alarm.poll(cx));
                    return Poll::Ready(Some(Err(BodyError::ClientTimeout)));
                }
                return Poll::Pending;
            }
        };
        self.alarm.clear();
        Poll::Ready(frame)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What is not taken must not fill the connection's window.
        self.talk.with(|connection, stream| connection.ignore(stream));
    }
}
