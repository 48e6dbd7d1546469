//! Edits of heads on the way to the origin and back.

use doorman_http::{FieldId, FieldSet, IpText, Peer, RequestHead, Response, Scheme};
use doorman_transform::{Context, Facts, Origin, rewrite_cookies};

use super::deliver;
use super::fetch::Reply;
use crate::exchange::Exchange;
use crate::plan::{CLIENT_CERT, CLIENT_CERT_CHAIN, HostEdit, PlanRoute, PlanServer, RouteEdits};
use crate::stop::Fault;
use doorman_net::dial::Answer;

/// Edits the request before it is sent: paths, then fields, then who asked.
pub(crate) fn request(route: &PlanRoute, exchange: &mut Exchange) -> Result<(), Fault> {
    let edits = &route.edits;
    if !edits.identities.is_empty() {
        identify(edits, exchange);
    }
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

/// Takes off what clients say of who they proved to be, and writes what they did prove.
fn identify(edits: &RouteEdits, exchange: &mut Exchange) {
    for name in &*edits.identities {
        exchange.head.fields.remove(name.as_bytes());
    }
    if !edits.client_cert {
        return;
    }
    let conn = exchange.conn();
    let Some(client) = conn.tls.as_ref().and_then(|tls| tls.client.as_ref()) else { return };
    let mut chain = client.chain.iter();
    let fields = &mut exchange.head.fields;
    if let Some(own) = chain.next() {
        // RFC 9440 section 2.2: a byte sequence of RFC 8941, the certificate's DER.
        fields.push(CLIENT_CERT.as_bytes(), byte_sequence(own).as_bytes());
    }
    let chain: Vec<String> = chain.map(|der| byte_sequence(der)).collect();
    if !chain.is_empty() {
        fields.push(CLIENT_CERT_CHAIN.as_bytes(), chain.join(", ").as_bytes());
    }
}

/// A byte sequence (RFC 8941 section 3.3.5): base64 between colons.
fn byte_sequence(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
    text.push(':');
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > group.len() { '=' } else { char::from(DIGITS[index]) });
        }
    }
    text.push(':');
    text
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
        client: conn.tls.as_ref().and_then(|tls| tls.client.as_deref()),
        captures: &groups,
    };
    edit(&mut exchange.head, &facts)
}

impl RouteEdits {
    /// What `Host` says to a server.
    pub(crate) fn host(&self, exchange: &mut Exchange, server: &PlanServer) -> Result<Host, Fault> {
        let mut host = match &self.host {
            HostEdit::Preserve if exchange.head.authority().is_empty() => Host::Server,
            HostEdit::Preserve => Host::Preserved,
            HostEdit::Upstream => Host::Server,
            HostEdit::Value(template) => Host::Made(
                with_facts(exchange, |head, facts| {
                    let context = Context { head, facts };
                    let value = doorman_transform::expand_value(template, &context);
                    value.map(|value| value.into_owned())
                })
                .map_err(|_| Fault::BadEdit("host"))?,
            ),
        };
        for rewrite in &self.rewrites {
            let rewritten = with_facts(exchange, |head, facts| {
                rewrite.host(host.bytes(head, server), &Context { head, facts })
            });
            match rewritten {
                Ok(Some(other)) => host = Host::Made(other),
                Ok(None) => {}
                Err(_) => {
                    return Err(Fault::BadEdit("rewrite made a host that cannot be asked for"));
                }
            }
        }
        Ok(host)
    }
}

/// What `Host` says to a server. Mostly it is written somewhere already.
pub(crate) enum Host {
    /// The authority that the client sent.
    Preserved,
    /// The server's own.
    Server,
    /// Made for this request.
    Made(Vec<u8>),
}

impl Host {
    /// Its bytes.
    pub(crate) fn bytes<'a>(&'a self, head: &'a RequestHead, server: &'a PlanServer) -> &'a [u8] {
        match self {
            Self::Preserved => head.authority(),
            Self::Server => server.authority.as_bytes(),
            Self::Made(host) => host,
        }
    }
}

/// Edits an answer that the house gives on purpose: the operator's fields belong on it too.
pub(crate) fn own(route: &PlanRoute, exchange: &mut Exchange, response: &mut Response) {
    strict_transport(&route.edits, exchange, response);
    if let Some(delivery) = &route.delivery {
        deliver::mark(delivery, exchange, response);
    }
    if !route.edits.response.is_empty() {
        with_facts(exchange, |head, facts| {
            let context = Context { head, facts };
            route.edits.response.apply_to_response(&mut response.head.fields, &context);
        });
    }
}

/// Says that this site is to be asked by TLS alone; never where TLS was not spoken, since anybody could
/// have said it there (RFC 6797 section 7.2). An origin's own word is replaced.
fn strict_transport(edits: &RouteEdits, exchange: &Exchange, response: &mut Response) {
    if let Some(hsts) = &edits.hsts
        && exchange.head.scheme == Scheme::Https
    {
        let _ = response.head.fields.set(b"strict-transport-security", hsts.as_bytes());
    }
}

/// Fields that may name the origin's own address.
const MOVES: FieldSet =
    FieldSet::of(&[FieldId::Location, FieldId::ContentLocation, FieldId::Refresh]);

/// Takes the marks of the server off what it answered: places that name it, and its cookies' domains
/// and paths. What comes out is the same whichever server of the upstream it was.
pub(crate) fn unmark(route: &PlanRoute, exchange: &mut Exchange, reply: Reply<'_>) -> Answer {
    let Reply { mut answer, host, server } = reply;
    let edits = &route.edits;
    let moves = !edits.location.is_off() && answer.head.fields.has_any(MOVES);
    if !moves && edits.cookies.is_empty() {
        return answer;
    }
    let scheme = exchange.head.scheme;
    with_facts(exchange, |head, facts| {
        let context = Context { head, facts };
        if moves {
            let origin = Origin {
                upstream_scheme: if server.tls.is_some() { Scheme::Https } else { Scheme::Http },
                upstream_authority: server.authority.as_bytes(),
                sent_host: host.bytes(head, server),
                public_scheme: scheme,
                public_authority: head.authority(),
                stripped: edits.strip_prefix.as_ref(),
            };
            edits.location.apply(&mut answer.head.fields, &origin, &context);
        }
        if !edits.cookies.is_empty() {
            rewrite_cookies(&edits.cookies, &mut answer.head.fields, &context);
        }
    });
    answer
}

/// Edits a response, whether an origin has just given it or it was kept, as the operator wishes.
pub(crate) fn response(
    route: &PlanRoute,
    exchange: &mut Exchange,
    answer: Answer,
    date: [u8; 29],
) -> Response {
    let mut response = Response { head: answer.head, body: answer.body };
    let fields = &mut response.head.fields;
    // RFC 9110 section 6.6.1: whoever passes a response on adds the date that it lacks.
    if !fields.has(FieldId::Date) {
        fields.push_id(FieldId::Date, &date);
    }
    own(route, exchange, &mut response);
    response
}

#[cfg(test)]
mod tests {
    use super::byte_sequence;

    /// The vectors of RFC 4648 section 10.
    #[test]
    fn byte_sequences() {
        for (bytes, expect) in [
            ("", "::"),
            ("f", ":Zg==:"),
            ("fo", ":Zm8=:"),
            ("foo", ":Zm9v:"),
            ("foob", ":Zm9vYg==:"),
            ("fooba", ":Zm9vYmE=:"),
            ("foobar", ":Zm9vYmFy:"),
        ] {
            assert_eq!(byte_sequence(bytes.as_bytes()), expect);
        }
        assert_eq!(byte_sequence(&[0xFB, 0xFF, 0xBF]), ":+/+/:");
    }
}
