//! Cookies of ours in heads: found in requests and taken off, set in responses once and no more.

use doorman_http::{FieldId, Fields};

use crate::plan::{Number, PlanCookie};

/// Values under our name that are looked at; browsers send one for each path that it was set for.
/// Each costs a seal, and a head has room for hundreds.
const VALUES_MAX: usize = 4;

/// What our cookie says; `None`: there is none.
#[expect(clippy::option_option, reason = "a cookie that says nothing is still one")]
pub(crate) fn look(cookie: &PlanCookie, fields: &Fields, now: u64) -> Option<Option<Number>> {
    let mut values = values(fields, cookie.name.as_bytes()).take(VALUES_MAX).peekable();
    values.peek()?;
    Some(values.find_map(|value| cookie.read(value, now)))
}

/// The same, and takes it off: it is between the client and us.
#[expect(clippy::option_option, reason = "a cookie that says nothing is still one")]
pub(crate) fn take(cookie: &PlanCookie, fields: &mut Fields, now: u64) -> Option<Option<Number>> {
    let said = look(cookie, fields, now)?;
    take_off(fields, cookie.name.as_bytes());
    Some(said)
}

/// The values of all cookies of that name (RFC 6265 section 4.2).
pub(crate) fn values<'a>(fields: &'a Fields, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    pairs(fields).filter_map(move |pair| value_of(pair, name))
}

fn pairs(fields: &Fields) -> impl Iterator<Item = &[u8]> {
    let lines = fields.all(FieldId::Cookie);
    lines.flat_map(|line| line.split(|&b| b == b';')).map(<[u8]>::trim_ascii)
}

/// The value of a pair of that name.
pub(crate) fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = pair.strip_prefix(name)?.trim_ascii_start();
    rest.strip_prefix(b"=").map(<[u8]>::trim_ascii)
}

/// Takes all cookies of that name off; the others are sent on as they are, in one line.
fn take_off(fields: &mut Fields, name: &[u8]) {
    let mut rest = Vec::new();
    for pair in pairs(fields).filter(|pair| !pair.is_empty() && value_of(pair, name).is_none()) {
        if !rest.is_empty() {
            rest.extend_from_slice(b"; ");
        }
        rest.extend_from_slice(pair);
    }
    fields.remove_id(FieldId::Cookie);
    if !rest.is_empty() {
        fields.push_id(FieldId::Cookie, &rest);
    }
}

/// Takes what an origin sets under our name off a response: two cookies of one name would be a
/// matter of luck (RFC 6265 section 4.1.1).
pub(crate) fn take_back(fields: &mut Fields, name: &[u8]) {
    let is_ours = |line: &[u8]| value_of(line.trim_ascii_start(), name).is_some();
    if !fields.has(FieldId::SetCookie) || !fields.all(FieldId::SetCookie).any(is_ours) {
        return;
    }
    let others: Vec<Vec<u8>> =
        fields.all(FieldId::SetCookie).filter(|line| !is_ours(line)).map(<[u8]>::to_vec).collect();
    fields.remove_id(FieldId::SetCookie);
    others.iter().for_each(|line| fields.push_id(FieldId::SetCookie, line));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&str]) -> Fields {
        let mut fields = Fields::new();
        lines.iter().for_each(|line| fields.push_id(FieldId::Cookie, line.as_bytes()));
        fields
    }

    #[test]
    fn our_cookie_is_taken_off_and_the_others_stay() {
        let check = |lines: &[&str], found: &[&str], rest: &[&str]| {
            let mut fields = cookies(lines);
            let seen: Vec<_> = values(&fields, b"dm").map(<[u8]>::to_vec).collect();
            assert_eq!(seen, found.iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>());
            take_off(&mut fields, b"dm");
            let left: Vec<_> = fields.all(FieldId::Cookie).map(<[u8]>::to_vec).collect();
            assert_eq!(left, rest.iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>());
        };
        check(&["dm=x"], &["x"], &[]);
        check(&["a=1; dm=x; b=2"], &["x"], &["a=1; b=2"]);
        check(&["a=1;dm=x ;b=2"], &["x"], &["a=1; b=2"]);
        check(&["a=1", "dm=x", "dm=y; b=\"2;\""], &["x", "y"], &["a=1; b=\"2; \""]);
        check(&["dmx=1; xdm=2; dm"], &[], &["dmx=1; xdm=2; dm"]);
        check(&["dm = x"], &["x"], &[]);
        check(&["dm="], &[""], &[]);
    }

    #[test]
    fn the_name_is_ours_in_responses() {
        let mut fields = Fields::new();
        for line in ["a=1; Path=/", "dm=theirs; Path=/", "dmx=2"] {
            fields.push_id(FieldId::SetCookie, line.as_bytes());
        }
        take_back(&mut fields, b"dm");
        let left: Vec<_> = fields.all(FieldId::SetCookie).collect();
        assert_eq!(left, [&b"a=1; Path=/"[..], b"dmx=2"]);
    }
}
