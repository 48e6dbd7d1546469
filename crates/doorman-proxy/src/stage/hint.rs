//! Early hints (RFC 8297): a client that waits for a page is told by 103 what earlier answers to the
//! same request had it fetch.
//!
//! Who gets one is decided narrowly. There are clients of HTTP/1.1, and boxes before them, that take a
//! 103 for the answer, and no browser makes anything of one there (section 3 advises against it): so
//! only clients of HTTP/2 and HTTP/3 are sent one, if they say that they open a page. And nobody is
//! whose answer is at hand: it is sent where an origin is asked, or another request's fetch waited for.

use std::sync::Arc;

use doorman_http::{FieldId, Method, RequestHead, Response, ResponseHead};
use doorman_transform::early_links;

use super::deliver;
use crate::exchange::Exchange;
use crate::hints::{ClientMark, HintKey, Hinting, User, Whose};
use crate::plan::PlanHints;
use crate::record::Cached;

/// What kind of request it is (Fetch Metadata). Scripts cannot set it.
const SEC_FETCH_MODE: &[u8] = b"sec-fetch-mode";

/// Finds out what a request has to do with early hints, before it is edited.
pub(crate) fn begin(hints: &PlanHints, exchange: &mut Exchange) {
    let head = &exchange.head;
    if matches!(kind(head), Kind::Other(_)) {
        return;
    }
    let takes_them = exchange.interim.as_ref().is_some_and(|interim| interim.takes_hints());
    let is_open = refusal(head).is_none() && takes_them;
    let has_certificate = exchange.conn_ref().tls.as_ref().is_some_and(|tls| tls.client.is_some());
    let user = if head.fields.has(FieldId::Authorization) || has_certificate {
        User::Named
    } else if head.fields.has(FieldId::Cookie) {
        User::Cookies
    } else {
        User::Unknown
    };
    let (known, key) = (Arc::clone(&hints.known), key(hints, head));
    exchange.hinting = Some(Box::new(Hinting { known, key, is_open, user }));
}

/// What a request is for, as it says.
enum Kind {
    /// To open a page.
    Page,
    /// It does not say, but may be for a page.
    Unsaid,
    /// For something else; why.
    Other(&'static str),
}

fn kind(head: &RequestHead) -> Kind {
    if head.method != Method::Get || head.upgrade.is_some() {
        return Kind::Other("it is no GET");
    }
    match head.fields.first_named(SEC_FETCH_MODE) {
        None => Kind::Unsaid,
        Some(mode) if mode.eq_ignore_ascii_case(b"navigate") => Kind::Page,
        Some(_) => Kind::Other("it does not open a page (Sec-Fetch-Mode)"),
    }
}

/// Why a request's client is sent no 103, whatever it comes by.
pub(crate) fn refusal(head: &RequestHead) -> Option<&'static str> {
    match kind(head) {
        Kind::Page => None,
        Kind::Unsaid => Some("it does not say that it opens a page (Sec-Fetch-Mode: navigate)"),
        Kind::Other(why) => Some(why),
    }
}

fn key(hints: &PlanHints, head: &RequestHead) -> HintKey {
    let mut bytes = hints.place.to_vec();
    bytes.extend_from_slice(head.host());
    bytes.push(0);
    bytes.extend_from_slice(head.path());
    if let Some(query) = head.query() {
        bytes.push(b'?');
        bytes.extend_from_slice(query);
    }
    hints.known.key(&bytes)
}

/// Sends what is known, once, now that the client has to wait.
pub(crate) fn send(exchange: &mut Exchange) {
    let now = exchange.started().instant;
    let Some(hinting) = exchange.hinting.as_deref_mut().filter(|hinting| hinting.is_open) else {
        return;
    };
    hinting.is_open = false;
    let mut head = ResponseHead::new(103);
    let mut links = 0;
    hinting.known.tell(hinting.key, now, |link| {
        head.fields.push_id(FieldId::Link, link);
        links += 1;
    });
    if links > 0
        && let Some(interim) = &exchange.interim
    {
        interim.send(&head);
        exchange.record().hinted = links;
    }
}

/// Learns from an answer as it goes to the client. What was kept from an earlier one says nothing new.
pub(crate) fn learn(exchange: &mut Exchange, response: &Response) {
    let Some(hinting) = exchange.hinting.take() else { return };
    let head = &response.head;
    let old = [Cached::Hit, Cached::Stale, Cached::Collapsed, Cached::Absent];
    let is_old = exchange.record().cached.is_some_and(|cached| old.contains(&cached));
    if head.status != 200 || is_old || !is_page(head) {
        return;
    }
    let whose = if is_personal(hinting.user, head) {
        Whose::One(ClientMark::of(exchange.client()))
    } else {
        Whose::All
    };
    let links = head.fields.all(FieldId::Link).flat_map(early_links);
    hinting.known.learn(hinting.key, links, whose, exchange.started().instant);
}

fn is_page(head: &ResponseHead) -> bool {
    let kind = head.fields.sole(FieldId::ContentType).unwrap_or_default();
    let kind = kind.split(|b| *b == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"text/html")
}

/// Whether an answer may be about its user. What cookies do to it is only known where it says so.
fn is_personal(user: User, head: &ResponseHead) -> bool {
    deliver::is_private(head)
        || match user {
            User::Named => true,
            User::Cookies => !deliver::is_shared(head),
            User::Unknown => false,
        }
        || varies_by_user(head)
}

fn varies_by_user(head: &ResponseHead) -> bool {
    let mut names = head.fields.all(FieldId::Vary).flat_map(|line| line.split(|b| *b == b','));
    let by_user = |name: &[u8]| {
        [&b"cookie"[..], b"authorization", b"*"].iter().any(|one| name.eq_ignore_ascii_case(one))
    };
    names.any(|name| by_user(name.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_one_users_is_taken_for_that() {
        let check = |user: User, fields: &[(&str, &str)], expect: bool| {
            let mut head = ResponseHead::new(200);
            fields.iter().for_each(|(name, value)| {
                head.fields.push(name.as_bytes(), value.as_bytes());
            });
            assert_eq!(is_personal(user, &head), expect, "{user:?} {fields:?}");
        };
        check(User::Unknown, &[], false);
        check(User::Unknown, &[("Cache-Control", "no-cache, max-age=0")], false);
        check(User::Unknown, &[("Vary", "Accept-Encoding, Origin")], false);
        check(User::Unknown, &[("Cache-Control", "max-age=1, Private")], true);
        check(User::Unknown, &[("Cache-Control", "private=\"x-user\"")], true);
        check(
            User::Unknown,
            &[("Cache-Control", "max-age=1"), ("Cache-Control", "no-store")],
            true,
        );
        check(User::Unknown, &[("Set-Cookie", "a=b")], true);
        check(User::Unknown, &[("Vary", "Accept-Encoding,cookie")], true);
        check(User::Unknown, &[("Vary", "*")], true);
        check(User::Cookies, &[], true);
        check(User::Cookies, &[("Cache-Control", "max-age=60")], true);
        check(User::Cookies, &[("Cache-Control", "public")], false);
        check(User::Cookies, &[("Cache-Control", "s-maxage=60")], false);
        check(User::Cookies, &[("Cache-Control", "public"), ("Set-Cookie", "a=b")], true);
        check(User::Named, &[("Cache-Control", "public")], true);
    }

    #[test]
    fn pages_are_known_by_their_type() {
        let check = |kind: &str, expect: bool| {
            let mut head = ResponseHead::new(200);
            head.fields.push_id(FieldId::ContentType, kind.as_bytes());
            assert_eq!(is_page(&head), expect, "{kind}");
        };
        check("text/html", true);
        check("Text/HTML ; charset=utf-8", true);
        check("text/html5", false);
        check("application/xhtml+xml", false);
        check("", false);
    }
}
