//! Collecting a response before it goes on, where the route asks for that.

use doorman_http::{Body, BodyError, Length};
use doorman_net::dial::DialError;

use super::Reply;
use crate::plan::PlanRoute;
use crate::stage::admit;
use crate::stop::Fault;

/// Collects the response's body, where the route says so, so that the origin is free before a
/// slow client has read it. A body that is longer than the bound streams from there on.
pub(crate) async fn settle<'a>(
    route: &PlanRoute,
    mut reply: Reply<'a>,
) -> Result<Reply<'a>, Fault> {
    let Some(max) = route.buffer_response else { return Ok(reply) };
    let tunnel = reply.answer.head.status == 101;
    if tunnel || matches!(reply.answer.body.length(), Length::Absent | Length::Known(0)) {
        return Ok(reply);
    }
    let mut body = std::mem::replace(&mut reply.answer.body, Body::empty());
    let gathered = admit::gather(max, &mut body).await.map_err(|error| match error {
        BodyError::UpstreamTimeout => Fault::Upstream(DialError::ResponseTimeout),
        BodyError::UpstreamMalformed(why) => Fault::Upstream(DialError::Malformed(why)),
        _ => Fault::Upstream(DialError::ClosedInHead),
    })?;
    reply.answer.body = gathered.join(body);
    Ok(reply)
}
