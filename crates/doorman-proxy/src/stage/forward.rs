//! Questions to servers on behalf of gates, by the way that requests go: the upstream's balancer, pools and TLS.

use std::rc::Rc;

use bytes::BytesMut;
use doorman_http::{Frame, RequestHead};
use doorman_net::Net;
use doorman_net::dial::DialError;

use crate::exchange::Exchange;
use crate::gate::{Asker, Said};
use crate::house::{CorePlan, Proxy};
use crate::stage::{fetch, stick};
use crate::stop::Fault;

/// Bytes of an answer that are read: a client is shown a page by which to sign in, and no more.
const CONTENT_MAX: usize = 64 * 1024;

/// Who asks.
pub(crate) struct Messenger<'a, N: Net> {
    pub(crate) proxy: &'a Proxy<N>,
    pub(crate) plan: &'a Rc<CorePlan<N>>,
}

impl<N: Net> Asker for Messenger<'_, N> {
    async fn ask(
        &self,
        upstream: usize,
        question: Box<RequestHead>,
        exchange: &Exchange,
    ) -> Result<Said, Fault> {
        let Self { proxy, plan } = *self;
        let now = proxy.core.clock.now();
        // The client's request is logged, and not what it took to judge it.
        let mut beside = exchange.beside(question, proxy.unread(), now);
        let _ = stick::tie(plan, upstream, &mut beside);
        let mut answer =
            fetch::send(proxy, plan, &plan.plan.asking, upstream, &mut beside).await?.answer;
        beside.record().status = answer.head.status;
        let mut content = BytesMut::new();
        let is_whole = loop {
            match answer.body.frame().await {
                None => break true,
                Some(Ok(Frame::Data(data))) if content.len() + data.len() <= CONTENT_MAX => {
                    content.extend_from_slice(data.as_slice());
                }
                Some(Ok(Frame::Data(_))) => break false,
                Some(Ok(Frame::Trailers(_))) => {}
                Some(Err(_)) => {
                    return Err(Fault::Upstream(DialError::Malformed("it broke off")));
                }
            }
        };
        Ok(Said { head: answer.head, content: is_whole.then(|| content.freeze()) })
    }
}
