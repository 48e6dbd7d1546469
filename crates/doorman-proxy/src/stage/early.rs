//! Requests in early data (RFC 8470): whether a site takes one, and what its origin is told.

use doorman_http::RequestHead;

use crate::exchange::Exchange;
use crate::plan::PlanSite;
use crate::stop::Fault;

/// The field that says that a request came in early data.
const EARLY_DATA: &[u8] = b"early-data";

/// Checks that a request which came in early data is for a site that takes it: it was sent on a connection that was
/// made for one, but may ask for any.
pub(crate) fn check(site: &PlanSite, exchange: &Exchange) -> Result<(), Fault> {
    if exchange.head.early && !site.early_data { Err(Fault::TooEarly) } else { Ok(()) }
}

/// Tells the origin, which may answer 425 and have the client ask again. What somebody in front of us said stays: it is
/// as true here (RFC 8470 section 5.1).
pub(crate) fn mark(head: &mut RequestHead) {
    if head.early {
        head.fields.remove(EARLY_DATA);
        head.fields.push(EARLY_DATA, b"1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_mark(early: bool, received: &[&[u8]], expect: &[&[u8]]) {
        let mut head = RequestHead::default();
        head.early = early;
        for value in received {
            head.fields.push(EARLY_DATA, value);
        }
        mark(&mut head);
        let sent: Vec<&[u8]> = head.fields.all_named(EARLY_DATA).collect();
        assert_eq!(sent, expect);
    }

    #[test]
    fn the_origin_is_told_once() {
        check_mark(false, &[], &[]);
        check_mark(true, &[], &[b"1"]);
        check_mark(false, &[b"1"], &[b"1"]);
        check_mark(true, &[b"1"], &[b"1"]);
        // RFC 8470 section 5.1: whatever else is there means the same.
        check_mark(true, &[b"0", b"1"], &[b"1"]);
    }
}
