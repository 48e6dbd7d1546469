//! Header blocks of HTTP/2, one after another on a connection: no panic, bounds hold, and what is taken
//! for a request is one.
#![no_main]

use doorman_h2::{Connection, Event, Limits, Settings};
use doorman_http::{FieldId, Instant, RequestHead, Scheme};
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

// The first byte of each block is its length.
fuzz_target!(|input: &[u8]| {
    let limits = Limits { head_bytes: 4096, fields: 20, streams: 1000 };
    let head = Box::<RequestHead>::default;
    let settings = Settings { limits, scheme: Scheme::Https, head, may_trail: |_| true };
    let mut connection = Connection::new(settings, Instant(0));
    let mut bytes = PREFACE.to_vec();
    let (mut rest, mut id) = (input, 1u32);
    while let Some((length, behind)) = rest.split_first() {
        let (block, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        let [_, a, b, c] = u32::try_from(block.len()).expect("a byte").to_be_bytes();
        bytes.extend_from_slice(&[a, b, c, 1, 5]);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(block);
        (rest, id) = (behind, id + 2);
    }
    let mut input = &bytes[..];
    while let Ok(Some(event)) = connection.read(&mut input, Instant(0)) {
        let Event::Request(opened) = event else { continue };
        let head = &opened.head;
        assert!(head.fields.len() <= 22, "and one for cookies, one for a tunnel");
        if opened.verdict.is_ok() {
            assert!(!head.host().is_empty());
            assert!(head.is_asterisk() || head.path().starts_with(b"/"));
            for (id, name, value) in head.fields.iter() {
                assert!(!name.is_empty() && !name.contains(&b':'));
                assert!(!name.iter().any(u8::is_ascii_uppercase));
                assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
                assert!(!matches!(id, FieldId::Connection | FieldId::TransferEncoding));
            }
        }
        connection.release(opened.stream);
    }
});
