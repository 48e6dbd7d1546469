//! A request and its answer before rules: told of them piece by piece, and stopped where they say so.
//!
//! What rules see is made of the one parsed request, as it was received. A body is held back until they
//! have seen it, and then sent on unchanged; what is a stream is not held, since whoever sends it waits for
//! an answer to its beginning. The corridor asks here before the store and before an origin, so that
//! what is stored is shown to nobody who would not have been let to an origin, and before an answer is
//! stored.

mod answer;
mod held;
mod request;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use doorman_http::{Body, FieldId, Length, Peer};
use doorman_net::Clock;
use doorman_waf::{Facts, How, Refusal, Transaction};

use crate::exchange::Exchange;
use crate::inspection::{Desk, Inspection, Passes};
use crate::plan::PlanWaf;
use crate::stop::Fault;

pub(crate) use answer::answer;
pub(crate) use request::{request, tell_head};

/// A status that tells of a refusal; other ones that a rule may have would tell of something else.
const REFUSALS: std::ops::RangeInclusive<u16> = 400..=599;

/// Where a redirect of a rule leads.
type Elsewhere = (u16, String);

/// How a request ends that rules do not let go on.
pub(crate) enum Ends {
    Fault(Fault),
    Redirect(Elsewhere),
}

impl From<Fault> for Ends {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a core inspects with.
pub(crate) struct Post<'a> {
    pub(crate) waf: &'a PlanWaf,
    pub(crate) desk: &'a Rc<Desk>,
    pub(crate) clock: Clock,
}

impl Post<'_> {
    /// An inspection that knows of nothing yet.
    pub(crate) fn begin(&self, exchange: &Exchange) -> Box<Inspection> {
        let conn = exchange.conn_ref();
        let peer = address(&conn.peer);
        let client = exchange.client().map_or(peer, |ip| SocketAddr::new(ip, peer.port()));
        let facts = Facts {
            client,
            server: address(&conn.local),
            now: exchange.started(),
            unique_id: String::from_utf8_lossy(&exchange.id()).into_owned(),
        };
        let transaction = Transaction::new(std::sync::Arc::clone(&self.desk.engine), facts);
        let PlanWaf { on_error, mode, events, .. } = self.waf;
        Inspection::new(self.desk, transaction, self.clock, *on_error, mode, events)
    }
}

/// An end of a connection as rules know them; a Unix socket is a process of this machine.
fn address(peer: &Peer) -> SocketAddr {
    match peer {
        Peer::Inet(address) => SocketAddr::new(address.ip().to_canonical(), address.port()),
        Peer::Unix => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
    }
}

/// What a verdict means to the corridor.
fn settle(passes: Passes) -> Result<(), Ends> {
    match passes {
        Passes::Yes => Ok(()),
        Passes::Unseen => Err(Fault::WafError.into()),
        Passes::Refused(refusal) => Err(refused(refusal)),
    }
}

fn refused(refusal: Refusal) -> Ends {
    let status = if REFUSALS.contains(&refusal.status) { refusal.status } else { 403 };
    match refusal.how {
        How::Redirect(to) => {
            let status =
                if matches!(refusal.status, 301..=303 | 307 | 308) { refusal.status } else { 302 };
            Ends::Redirect((status, to))
        }
        How::Deny | How::Drop => match refusal.rule {
            0 if status == 413 => Fault::BodyTooLarge.into(),
            rule => Fault::WafBlock(rule, status).into(),
        },
    }
}

/// Whether a body goes on piece by piece to one who waits for each.
fn has_content(body: &Body) -> bool {
    !matches!(body.length(), Length::Absent | Length::Known(0))
}

/// Takes away what clients say of codings: what is coded cannot be looked at.
pub(crate) fn want_plain(waf: &PlanWaf, exchange: &mut Exchange) {
    if waf.response {
        exchange.head.fields.remove_id(FieldId::AcceptEncoding);
    }
}
