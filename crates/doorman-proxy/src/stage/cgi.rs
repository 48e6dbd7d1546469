//! Asking a FastCGI application: what it is told, and what it cannot take.

use std::rc::Rc;

use doorman_fastcgi::{Asked, ReplyLimits, Script, ScriptFault, find_script, write_variables};
use doorman_http::{Body, Length, Method, Peer, RequestHead};
use doorman_net::dial::fastcgi::{self, Complaints};
use doorman_net::dial::{Answer, DialError, DialTimeouts};
use doorman_net::{Limits, Net};
use doorman_transform::{Context, expand_value};

use crate::again::Again;
use crate::exchange::Exchange;
use crate::house::{Books, CoreServer, Proxy};
use crate::plan::PlanCgi;
use crate::record::ServerPlace;
use crate::stage::{admit, edit};
use crate::stop::Fault;

/// What is collected of a body that does not say its length: CGI has to be told it beforehand
/// (RFC 3875 section 4.1.2). A longer one needs `buffer request`, or a client that says it.
const UNSIZED_MAX: usize = 1024 * 1024;

/// What every try of a request has in common.
pub(crate) struct Asking<'a> {
    pub(crate) cgi: &'a PlanCgi,
    pub(crate) script: &'a Prepared,
    pub(crate) host: &'a [u8],
    pub(crate) limits: &'a Limits,
    pub(crate) timeouts: &'a DialTimeouts,
}

/// A request that an application can take.
pub(crate) struct Prepared {
    script: Script,
    params: Vec<(String, Vec<u8>)>,
    content_length: Option<u64>,
}

/// Finds the script, fills in what the operator wants told, and learns the body's length.
pub(crate) async fn prepare(cgi: &PlanCgi, exchange: &mut Exchange) -> Result<Prepared, Fault> {
    let script = cgi.script(&exchange.head)?;
    let params = edit::with_facts(exchange, |head, facts| {
        let context = Context { head, facts };
        let fill = |(name, template): &(String, _)| {
            expand_value(template, &context).map(|value| (name.clone(), value.into_owned()))
        };
        cgi.params.iter().map(fill).collect::<Result<Vec<_>, _>>()
    })
    .map_err(|_| Fault::BadEdit("param"))?;
    let content_length = match exchange.body.as_ref().map_or(Length::Absent, Body::length) {
        Length::Absent => None,
        Length::Known(n) => Some(n),
        Length::Unknown => Some(collect(exchange).await?),
    };
    Ok(Prepared { script, params, content_length })
}

impl PlanCgi {
    /// The script that a request is for.
    pub(crate) fn script(&self, head: &RequestHead) -> Result<Script, Fault> {
        let script = find_script(head.path(), self.split.as_deref(), self.index.as_deref());
        script.map_err(|fault| match fault {
            ScriptFault::Path => Fault::BadPath,
            ScriptFault::Missing => Fault::NoScript,
        })
    }
}

/// Collects a body that does not say its length; gives it.
async fn collect(exchange: &mut Exchange) -> Result<u64, Fault> {
    let Some(mut body) = exchange.body.take() else { return Ok(0) };
    let gathered = admit::gather(UNSIZED_MAX, &mut body).await.map_err(Fault::Client)?;
    let whole = gathered.into_whole().ok_or(Fault::LengthRequired)?;
    let length = whole.len() as u64;
    exchange.body = Some(Body::whole(whole));
    Ok(length)
}

/// Asks one application, on an idle connection or a new one.
pub(crate) async fn ask<N: Net>(
    proxy: &Proxy<N>,
    server: &CoreServer<N>,
    asking: Asking<'_>,
    exchange: &mut Exchange,
) -> Result<Answer, DialError> {
    let Some(dialler) = &server.cgi else { return Err(DialError::Unprocessed) };
    let variables = variables(&asking, exchange);
    let clock = &proxy.core.clock;
    if let Some(connection) = dialler.pooled(clock.recent()) {
        match once(proxy, server, connection, &asking, &variables, exchange).await {
            Err(DialError::Closed { reused: true }) if super::fetch::may_repeat(exchange) => {
                server.place.counters.retries[Again::Stale.place()].add(1);
                exchange.record().again.push(Again::Stale);
            }
            other => return other,
        }
    }
    let client = exchange.conn();
    let connection = dialler.connect(asking.timeouts.connect, &client).await?;
    once(proxy, server, connection, &asking, &variables, exchange).await
}

fn variables(asking: &Asking<'_>, exchange: &Exchange) -> Vec<u8> {
    let conn = exchange.conn();
    let inet = |peer: Peer| match peer {
        Peer::Inet(address) => Some(address),
        Peer::Unix => None,
    };
    let client = exchange.client();
    // Of a client that a trusted proxy named, the port is not known.
    let direct = inet(conn.peer).filter(|peer| Some(peer.ip().to_canonical()) == client);
    let prepared = asking.script;
    let mut variables = Vec::with_capacity(2048);
    let asked = Asked {
        head: &exchange.head,
        host: asking.host,
        script: &prepared.script,
        root: &asking.cgi.root,
        client,
        client_port: direct.map(|peer| peer.port()),
        server: inet(conn.local),
        content_length: prepared.content_length,
    };
    write_variables(&mut variables, &asked, &prepared.params);
    variables
}

async fn once<N: Net>(
    proxy: &Proxy<N>,
    server: &CoreServer<N>,
    connection: Box<fastcgi::Connection<N::Stream>>,
    asking: &Asking<'_>,
    variables: &[u8],
    exchange: &mut Exchange,
) -> Result<Answer, DialError> {
    let record = exchange.record();
    record.connected = Some(proxy.core.clock.instant());
    if let Some(guard) = &mut record.guard {
        guard.reached();
    }
    let ear = Ear {
        books: Rc::clone(&proxy.books),
        place: Rc::clone(&server.place),
        request_id: exchange.id(),
    };
    let asking = fastcgi::Asking {
        variables,
        is_head: exchange.head.method == Method::Head,
        complaints: Rc::new(ear),
        limits: ReplyLimits { bytes: asking.limits.head_bytes, fields: asking.limits.fields },
        timeouts: *asking.timeouts,
    };
    let answer = connection.ask(asking, &mut exchange.body).await?;
    exchange.record().answered = Some(proxy.core.clock.instant());
    Ok(answer)
}

/// Hears what an application complains of while it works on one request.
struct Ear {
    books: Rc<Books>,
    place: Rc<ServerPlace>,
    request_id: [u8; 36],
}

impl Complaints for Ear {
    fn heard(&self, text: &[u8]) {
        self.books.complained(&self.place, &self.request_id, text);
    }
}
