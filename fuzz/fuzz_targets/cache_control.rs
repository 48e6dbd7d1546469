//! `Cache-Control` of responses and requests, targeted fields: no panic, what forbids holds whatever
//! stands around it, and what is stored can be written down and read back.
#![no_main]

use doorman_cache::{
    Admission, Asked, CacheRules, Control, Meta, SECONDS_MAX, admit, decide, may_serve_on_error,
    storable_head,
};
use doorman_http::{FieldId, Instant, Method, Now, RequestHead, ResponseHead};
use libfuzzer_sys::fuzz_target;

fn read(text: &[u8]) -> Control {
    Control::read(std::iter::once(text))
}

fn now(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000_000), unix_nanos: seconds * 1_000_000_000 }
}

fn head(targeted: &[u8]) -> ResponseHead {
    let mut head = ResponseHead::new(200);
    head.fields.push(b"CDN-Cache-Control", targeted);
    head.fields.push_id(FieldId::CacheControl, b"private");
    head
}

fuzz_target!(|input: &[u8]| {
    let control = read(input);
    assert_eq!(read(&input.to_ascii_uppercase()), control, "case");
    let more = [input, b", max-age=5"].concat();
    let stricter = read(&more);
    assert!(stricter.max_age.is_some_and(|seconds| seconds <= 5));
    for (before, after) in
        [(control.no_store, stricter.no_store), (control.private, stricter.private)]
    {
        assert!(after || !before, "a directive took another one back");
    }
    assert!(read(&[input, b", no-store"].concat()).no_store);
    assert!(read(&[b"no-store,", input].concat()).no_store);
    assert!(read(&[input, b",private"].concat()).private);

    let rules =
        CacheRules { targeted: [b"cdn-cache-control"[..].into()].into(), ..CacheRules::default() };
    let targeted = Control::of(&head(input).fields, &rules);
    assert!(targeted.targeted || targeted.private, "an invalid field hid the next one");
    let broken = Control::of(&head(&[input, b", &"].concat()).fields, &rules);
    assert!(!broken.targeted && broken.private);

    let mut request = RequestHead::default();
    request.fields.push_id(FieldId::CacheControl, input);
    let asked = Asked::of(&request, &rules);
    let mut response = ResponseHead::new(200);
    for id in [FieldId::CacheControl, FieldId::Age, FieldId::Date, FieldId::Expires] {
        response.fields.push_id(id, input);
    }
    response.fields.push_id(FieldId::Etag, b"\"a\"");
    response.fields.push_id(FieldId::Vary, input);
    let stored = storable_head(&response, &rules, now(1_000));
    assert!(stored.fields.first(FieldId::Age).is_none());
    let verdict = admit(&Method::Get, &Asked::default(), &response, &rules, now(1_000), now(1_001));
    if let Admission::Store(meta) = verdict {
        assert!(!control.no_store || control.must_understand);
        assert!(!control.private);
        assert!(meta.lifetime() <= SECONDS_MAX && meta.age(now(1_001)) <= SECONDS_MAX);
        let read = Meta::from_bytes(&meta.to_bytes()).expect("what was written");
        assert_eq!(read.to_bytes(), meta.to_bytes());
        let later = now(10_000);
        assert_eq!(read.recovered(later).age(later), meta.age(later));
        let _ = (decide(&asked, &meta, later), may_serve_on_error(&asked, &meta, later));
    }
});
