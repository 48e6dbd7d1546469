//! Heads of a FastCGI application's responses: no panic, a prefix never decides otherwise than the
//! whole, and what is taken holds no framing. The first byte says where to cut.
#![no_main]

use doorman_fastcgi::{Progress, ReplyLimits, read_reply};
use doorman_http::{ResponseHead, is_field_value, is_token};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let limits = ReplyLimits { bytes: 2048, fields: 20 };
    let read = |bytes: &[u8]| {
        let mut head = ResponseHead::new(200);
        (read_reply(bytes, limits, &mut head), head)
    };
    let (outcome, head) = read(input);
    let at = usize::from(cut) * 7 % (input.len() + 1);
    let (early, _) = read(&input[..at]);
    if early != Ok(Progress::Partial) {
        assert_eq!(early, outcome);
    }
    let Ok(Progress::Done { consumed, .. }) = outcome else { return };
    assert!(consumed <= input.len() && (200..=599).contains(&head.status));
    for (id, name, value) in head.fields.iter() {
        assert!(!id.is_hop_by_hop() && is_token(name) && is_field_value(value));
    }
});
