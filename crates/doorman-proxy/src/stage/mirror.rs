//! Copies of requests to another upstream, whose answers are thrown away.
//!
//! The client must not notice. So a copy is sent by a task of its own, which nobody waits for, and of
//! which there are only so many; a body is copied while it passes on its way to the origin, and the
//! copy begins when all of it has passed. What does not fit is left out and counted. A copy never
//! walks the corridor: it is not in the access log, counts against no client and makes no copies, and
//! it carries a mark by which another doorman behind it makes none either.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use doorman_http::{Body, BodyError, Conn, Frame, Length, Request, RequestHead, Source};
use doorman_net::{Net, within_deadline};
use doorman_route::Captures;

use crate::exchange::Exchange;
use crate::house::{CorePlan, Proxy};
use crate::metrics::Mirrored;
use crate::plan::{PlanMirror, Seat};
use crate::record::Place;
use crate::stage::{fetch, stick};

/// Bytes of an answer that are read so that its connection can be used again; a longer one is cut.
const ANSWER_MAX: usize = 1024 * 1024;

/// Which route of a plan.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) site: usize,
    pub(crate) route: usize,
}

/// Copies a request, if it is one of those that are to be copied. `dice` chooses.
pub(crate) fn begin<N: Net>(
    mirror: &PlanMirror,
    proxy: &Proxy<N>,
    plan: &Rc<CorePlan<N>>,
    at: At,
    exchange: &mut Exchange,
    dice: u64,
) {
    let head = &exchange.head;
    let marked = |name: &str| head.fields.first_named(name.as_bytes()).is_some();
    if dice % 10_000 >= u64::from(mirror.share)
        // What a tunnel carries is of its own two ends.
        || head.upgrade.is_some()
        || mirror.marker.as_deref().is_some_and(marked)
        || proxy.core.is_draining()
    {
        return;
    }
    let place = Rc::clone(&plan.places[at.site][at.route]);
    let length = exchange.body.as_ref().map_or(Length::Absent, Body::length);
    if matches!(length, Length::Known(n) if n > mirror.body_max as u64) {
        return place.counters.mirrored(Mirrored::TooLarge);
    }
    let Some(seat) = mirror.seat() else { return place.counters.mirrored(Mirrored::Full) };
    let copy = copy(mirror, proxy, plan, at, exchange, seat);
    if matches!(length, Length::Absent | Length::Known(0)) {
        return copy.send(Bytes::new());
    }
    if let Some(inner) = exchange.body.take() {
        let copying = Copying { inner, kept: BytesMut::new(), copy: Some(copy) };
        exchange.body = Some(Body::pulled(Box::new(copying), length));
    }
}

/// A copy that is ready but for its body.
struct Copy<N: Net> {
    shadow: Proxy<N>,
    plan: Rc<CorePlan<N>>,
    at: At,
    head: Box<RequestHead>,
    conn: Rc<Conn>,
    captures: Captures,
    request_id: [u8; 36],
    client: Option<std::net::IpAddr>,
    place: Rc<Place>,
    seat: Seat,
}

fn copy<N: Net>(
    mirror: &PlanMirror,
    proxy: &Proxy<N>,
    plan: &Rc<CorePlan<N>>,
    at: At,
    exchange: &mut Exchange,
    seat: Seat,
) -> Copy<N> {
    let mut head = Box::new(RequestHead::clone(&exchange.head));
    if let Some(marker) = &mirror.marker {
        head.fields.push(marker.as_bytes(), b"1");
    }
    // Nobody waits for leave to send the body: it is here.
    head.expects_continue = false;
    Copy {
        shadow: proxy.shadow(plan),
        plan: Rc::clone(plan),
        at,
        head,
        conn: exchange.conn(),
        captures: exchange.captures.clone(),
        request_id: exchange.id(),
        client: exchange.client(),
        place: Rc::clone(&plan.places[at.site][at.route]),
        seat,
    }
}

impl<N: Net> Copy<N> {
    fn send(self, body: Bytes) {
        tokio::task::spawn_local(async move {
            let place = Rc::clone(&self.place);
            let route = &self.plan.plan.sites[self.at.site].routes[self.at.route];
            let Some(limit) = route.mirror.as_ref().map(|mirror| mirror.timeout) else { return };
            let clock = self.shadow.core.clock;
            let answered = within_deadline(clock, limit, self.run(body)).await;
            place.counters.mirrored(match answered {
                Some(true) => Mirrored::Answered,
                Some(false) | None => Mirrored::Failed,
            });
        });
    }

    /// Whether an answer came.
    async fn run(self, body: Bytes) -> bool {
        let Self { shadow, plan, at, head, conn, captures, request_id, client, seat, .. } = self;
        let route = &plan.plan.sites[at.site].routes[at.route];
        let Some(mirror) = &route.mirror else { return false };
        let body = if body.is_empty() { Body::empty() } else { Body::whole(body) };
        let request = Request { head, body, interim: None };
        let now = shadow.core.clock.now();
        let mut exchange = Exchange::new(&conn, request, shadow.books(), now);
        exchange.captures = captures;
        let record = exchange.record();
        (record.request_id, record.client) = (request_id, client);
        let _ = stick::tie(&plan, mirror.upstream, &mut exchange);
        let asked = fetch::send(&shadow, &plan, route, mirror.upstream, &mut exchange).await;
        let Ok(mut reply) = asked else { return false };
        let mut left = ANSWER_MAX;
        while left > 0 {
            match reply.answer.body.frame().await {
                None => break,
                Some(Ok(Frame::Data(data))) => left = left.saturating_sub(data.len()),
                Some(Ok(Frame::Trailers(_))) => {}
                Some(Err(_)) => return false,
            }
        }
        drop(seat);
        true
    }
}

/// A body on its way to the origin, of which a copy is kept.
struct Copying<N: Net> {
    inner: Body,
    kept: BytesMut,
    /// `None` once the copy was sent or given up.
    copy: Option<Copy<N>>,
}

impl<N: Net> Copying<N> {
    fn keep(&mut self, data: &[u8]) {
        let Some(copy) = &self.copy else { return };
        let plan = &copy.plan.plan.sites[copy.at.site].routes[copy.at.route];
        let most = plan.mirror.as_ref().map_or(0, |mirror| mirror.body_max);
        if self.kept.len() + data.len() <= most {
            return self.kept.extend_from_slice(data);
        }
        self.give_up(Mirrored::TooLarge);
    }

    fn give_up(&mut self, why: Mirrored) {
        self.kept = BytesMut::new();
        if let Some(copy) = self.copy.take() {
            copy.place.counters.mirrored(why);
        }
    }

    fn whole(&mut self) {
        if let Some(copy) = self.copy.take() {
            copy.send(std::mem::take(&mut self.kept).freeze());
        }
    }
}

impl<N: Net> Source for Copying<N> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.inner.poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.whole(),
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                self.keep(data.as_slice());
                // Who knows the length need not ask whether there is more.
                if self.inner.length() == Length::Known(self.kept.len() as u64) {
                    self.whole();
                }
            }
            Poll::Ready(Some(Ok(Frame::Trailers(_)))) => {}
            Poll::Ready(Some(Err(_))) => self.give_up(Mirrored::Cut),
        }
        polled
    }

    fn poll_drive(&mut self, cx: &mut Context<'_>) {
        self.inner.poll_drive(cx);
    }
}

impl<N: Net> Drop for Copying<N> {
    fn drop(&mut self) {
        self.give_up(Mirrored::Cut);
    }
}
