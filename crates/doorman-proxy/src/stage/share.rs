//! Which upstream of a route takes a request, where clients stay on their side of a split.
//!
//! A client without any number or key is sent on in turn, so that the shares stay exact. When the
//! client's upstream cannot be reached at all, the request goes to the next one by its lots: a canary
//! that fell over must not take its share of clients along. The client still belongs where it was.

use doorman_balance::Split;
use doorman_http::{FieldId, Response};

use crate::exchange::Exchange;
use crate::plan::{PlanRoute, PlanShare, ShareBy};
use crate::stage::{cookies, key};

/// Where a request goes: indices of upstreams.
pub(crate) struct Ways {
    /// The one to be asked.
    pub(crate) first: usize,
    /// Those to be asked when it cannot be reached, the next one last.
    others: Vec<usize>,
    /// What the client's cookie is to say from now on.
    number: Option<u64>,
}

impl Ways {
    /// This one alone.
    pub(crate) const fn only(upstream: usize) -> Self {
        Self { first: upstream, others: Vec::new(), number: None }
    }

    /// Turns to the next one, if there is one.
    pub(crate) fn another(&mut self) -> bool {
        let next = self.others.pop();
        self.first = next.unwrap_or(self.first);
        next.is_some()
    }
}

/// The ways of a request. `dice` gives a number to a client that has none.
pub(crate) fn ways(
    route: &PlanRoute,
    targets: &[(usize, u32)],
    split: Option<&Split>,
    exchange: &mut Exchange,
    dice: impl FnOnce() -> u64,
) -> Ways {
    if let Some(share) = &route.share
        && let Some((client, number)) = client(share, exchange, dice)
    {
        let mut others: Vec<usize> = doorman_balance::ways(&share.shares, client)
            .filter_map(|way| Some(targets.get(way)?.0))
            .collect();
        others.reverse();
        if let Some(first) = others.pop() {
            return Ways { first, others, number };
        }
    }
    let first = targets[split.and_then(Split::pick).unwrap_or(0)].0;
    Ways { first, others: Vec::new(), number: None }
}

/// The number of the client, and whether it is to be told; `None` if nothing tells whose the request is.
fn client(
    share: &PlanShare,
    exchange: &mut Exchange,
    dice: impl FnOnce() -> u64,
) -> Option<(u64, Option<u64>)> {
    let cookie = match &share.by {
        ShareBy::Key(of) => return Some((key::of(of, exchange)?, None)),
        ShareBy::Cookie(cookie) => cookie,
    };
    let now = exchange.started().unix_seconds();
    Some(match cookies::take(cookie, &mut exchange.head.fields, now).flatten() {
        Some(known) => (known.number, (!known.fresh).then_some(known.number)),
        None => {
            let number = dice();
            (number, Some(number))
        }
    })
}

/// Where a request would go, and why, in words.
pub(crate) fn tell(share: &PlanShare, exchange: &mut Exchange) -> (Option<usize>, String) {
    let (client, words) = match &share.by {
        ShareBy::Key(of) => match key::of(of, exchange) {
            Some(client) => (Some(client), "by its key, always".to_owned()),
            None => (None, "it has no key: in turn".to_owned()),
        },
        ShareBy::Cookie(cookie) => {
            let now = exchange.started().unix_seconds();
            let name = &cookie.name;
            match cookies::look(cookie, &exchange.head.fields, now).flatten() {
                Some(known) => (Some(known.number), format!("by its cookie {name}, always")),
                None => (None, format!("no good cookie {name}: it is given a number")),
            }
        }
    };
    (client.and_then(|client| doorman_balance::ways(&share.shares, client).next()), words)
}

/// Gives the client its number.
pub(crate) fn mark(route: &PlanRoute, ways: &Ways, exchange: &Exchange, response: &mut Response) {
    let Some(PlanShare { by: ShareBy::Cookie(cookie), .. }) = &route.share else { return };
    let fields = &mut response.head.fields;
    cookies::take_back(fields, cookie.name.as_bytes());
    if let Some(number) = ways.number {
        let now = exchange.started().unix_seconds();
        fields.push_id(FieldId::SetCookie, &cookie.set(number, exchange.head.scheme, now));
    }
}
