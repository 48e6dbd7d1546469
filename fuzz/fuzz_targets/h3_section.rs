//! Field sections of HTTP/3: no panic, and what is taken for a request is one.
#![no_main]

use doorman_h3::{Limits, read_request, read_trailers};
use doorman_http::{FieldId, RequestHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|section: &[u8]| {
    let limits = Limits { section_bytes: 8 * 1024, fields: 50 };
    let mut head = RequestHead::default();
    let outcome = read_request(section, &limits, &mut head);
    assert!(head.fields.len() <= 51, "and one for all cookies");
    if outcome.is_ok() {
        assert!(!head.host().is_empty());
        assert!(head.is_asterisk() || head.path().starts_with(b"/"));
        for (id, name, value) in head.fields.iter() {
            assert!(!name.is_empty() && !name.contains(&b':'));
            assert!(!name.iter().any(u8::is_ascii_uppercase));
            assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            assert!(!matches!(id, FieldId::Connection | FieldId::TransferEncoding));
        }
    }
    if let Ok(fields) = read_trailers(section, &limits, |_| true) {
        assert!(fields.len() <= 50);
    }
});
