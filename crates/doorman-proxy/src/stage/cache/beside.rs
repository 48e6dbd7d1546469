//! A question of the house beside a request, on behalf of all.

use std::rc::Rc;

use doorman_cache::vary_of;
use doorman_http::{FieldId, Now, RequestHead};
use doorman_store::Object;

use super::Sought;
use super::seek::standardise_query;
use crate::exchange::Exchange;
use crate::house::Books;

/// What every origin may be told of what its clients understand.
const UNDERSTOOD: [FieldId; 2] = [FieldId::Accept, FieldId::AcceptEncoding];

/// What a trusted peer says of scheme and host.
const TOLD: [FieldId; 4] = [
    FieldId::Forwarded,
    FieldId::XForwardedProto,
    FieldId::XForwardedHost,
    FieldId::XForwardedPort,
];

/// A request for what `object` is an answer to: before edits, and with nothing of the client's but by
/// what this variant was chosen (CDE-13). It is edited like any other. `None` if it cannot be made.
pub(crate) fn beside(
    sought: &Sought<'_>,
    object: &Object,
    exchange: &Exchange,
    books: &Rc<Books>,
    now: Now,
) -> Option<Exchange> {
    let seen = &exchange.head;
    let mut head = Box::new(RequestHead::default());
    (head.version, head.scheme) = (seen.version, seen.scheme);
    if !seen.authority().is_empty() {
        head.fields.push_id(FieldId::Host, seen.authority());
        head.set_authority(seen.authority()).ok()?;
    }
    let mut target = seen.received_path().to_vec();
    if let Some(query) = seen.received_query() {
        target.push(b'?');
        target.extend_from_slice(query);
    }
    head.set_path_and_query(&target).ok()?;
    standardise_query(sought.cache, &mut head);
    let mut copy = |name: &[u8]| {
        if FieldId::of(name) == FieldId::Host || head.fields.first_named(name).is_some() {
            return;
        }
        for value in seen.fields.all_named(name) {
            head.fields.push(name, value);
        }
    };
    UNDERSTOOD.iter().for_each(|id| copy(id.name().as_bytes()));
    if exchange.is_trusted() {
        // Origins answer by these: with a redirect, for one, where another scheme is said.
        TOLD.iter().for_each(|id| copy(id.name().as_bytes()));
    }
    vary_of(object.selector()).iter().for_each(&mut copy);
    sought.cache.chosen.headers.iter().for_each(|name| copy(name));
    let chosen = sought.cache.chosen.cookies.iter();
    let pairs = chosen.filter_map(|name| Some([name, &b"="[..], seen.cookie(name)?].concat()));
    let pairs: Vec<Vec<u8>> = pairs.collect();
    if !pairs.is_empty() && !head.fields.has(FieldId::Cookie) {
        head.fields.push_id(FieldId::Cookie, &pairs.join(&b"; "[..]));
    }
    Some(exchange.beside(head, books, now))
}
