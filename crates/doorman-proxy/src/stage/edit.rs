//! Edits of heads on the way to the origin and back.

use doorman_http::{FieldId, IpText, Peer, RequestHead, Response, Scheme};
use doorman_transform::{Context, Facts, Origin, rewrite_cookies};

use super::fetch::Reply;
use crate::exchange::Exchange;
use crate::plan::{HostEdit, PlanRoute, PlanServer, RouteEdits};
use crate::stop::Fault;

/// Edits the request before it is sent: paths, then fields, then who asked.
pub(crate) fn request(route: &PlanRoute, exchange: &mut Exchange) -> Result<(), Fault> {
    let edits = &route.edits;
    if let Some(prefix) = &edits.strip_prefix {
        prefix.apply(&mut exchange.head).map_err(|_| Fault::BadEdit("strip-prefix"))?;
    }
    if !edits.rewrites.is_empty() {
        with_facts(exchange, |head, facts| {
            edits.rewrites.iter().try_for_each(|rewrite| rewrite.apply(head, facts).map(drop))
        })
        .map_err(|_| Fault::BadEdit("rewrite made a path that cannot be asked for"))?;
    }
    if !edits.request.is_empty() {
        with_facts(exchange, |head, facts| edits.request.apply_to_request(head, facts));
    }
    exchange.forward(edits.forwarded);
    Ok(())
}

/// Calls `edit` with what placeholders need. Text of addresses is made only here, where somebody
/// asks for it.
pub(crate) fn with_facts<T>(
    exchange: &mut Exchange,
    edit: impl FnOnce(&mut RequestHead, &Facts<'_>) -> T,
) -> T {
    let (id, conn) = (exchange.id(), exchange.conn());
    let client_ip = exchange.client().map(IpText::new);
    let port = |peer: &Peer| match peer {
        Peer::Inet(address) => Some(address.port()),
        Peer::Unix => None,
    };
    let groups = exchange.captures.groups();
    let facts = Facts {
        client_ip: client_ip.as_ref().map_or("", IpText::as_str),
        client_port: port(&conn.peer),
        local_port: port(&conn.local),
        request_id: std::str::from_utf8(&id).unwrap_or_default(),
        captures: &groups,
    };
    edit(&mut exchange.head, &facts)
}

impl RouteEdits {
    /// What `Host` says to a server.
    pub(crate) fn host(
        &self,
        exchange: &mut Exchange,
        server: &PlanServer,
    ) -> Result<Vec<u8>, Fault> {
        let mut host = match &self.host {
            HostEdit::Preserve if exchange.head.authority().is_empty() => {
                server.authority.as_bytes().to_vec()
            }
            HostEdit::Preserve => exchange.head.authority().to_vec(),
            HostEdit::Upstream => server.authority.as_bytes().to_vec(),
            HostEdit::Value(template) => with_facts(exchange, |head, facts| {
                let context = Context { head, facts };
                doorman_transform::expand_value(template, &context).map(|value| value.into_owned())
            })
            .map_err(|_| Fault::BadEdit("host"))?,
        };
        for rewrite in &self.rewrites {
            let rewritten =
                with_facts(exchange, |head, facts| rewrite.host(&host, &Context { head, facts }));
            match rewritten {
                Ok(Some(other)) => host = other,
                Ok(None) => {}
                Err(_) => {
                    return Err(Fault::BadEdit("rewrite made a host that cannot be asked for"));
                }
            }
        }
        Ok(host)
    }
}

/// Edits an answer that the house gives on purpose: the operator's fields belong on it too.
pub(crate) fn own(route: &PlanRoute, exchange: &mut Exchange, response: &mut Response) {
    if !route.edits.response.is_empty() {
        with_facts(exchange, |head, facts| {
            let context = Context { head, facts };
            route.edits.response.apply_to_response(&mut response.head.fields, &context);
        });
    }
}

/// Edits the response of an origin.
pub(crate) fn response(
    route: &PlanRoute,
    exchange: &mut Exchange,
    reply: Reply,
    date: [u8; 29],
) -> Response {
    let Reply { answer, host, server } = reply;
    let mut response = Response { head: answer.head, body: answer.body };
    let fields = &mut response.head.fields;
    // RFC 9110 section 6.6.1: whoever passes a response on adds the date that it lacks.
    if !fields.has(FieldId::Date) {
        fields.push_id(FieldId::Date, &date);
    }
    let edits = &route.edits;
    let moves = !edits.location.is_off()
        && (fields.has(FieldId::Location)
            || fields.has(FieldId::ContentLocation)
            || fields.has(FieldId::Refresh));
    if !moves && edits.cookies.is_empty() && edits.response.is_empty() {
        return response;
    }
    let scheme = exchange.head.scheme;
    with_facts(exchange, |head, facts| {
        let context = Context { head, facts };
        if moves {
            let origin = Origin {
                upstream_scheme: if server.secure { Scheme::Https } else { Scheme::Http },
                upstream_authority: server.authority.as_bytes(),
                sent_host: &host,
                public_scheme: scheme,
                public_authority: head.authority(),
                stripped: edits.strip_prefix.as_ref(),
            };
            edits.location.apply(&mut response.head.fields, &origin, &context);
        }
        if !edits.cookies.is_empty() {
            rewrite_cookies(&edits.cookies, &mut response.head.fields, &context);
        }
        if !edits.response.is_empty() {
            edits.response.apply_to_response(&mut response.head.fields, &context);
        }
    });
    response
}
