//! Values that may be an injection, of SQL or of HTML; some (by the first byte) made long: then the time in which a
//! target must end tells a reader that goes over them again and again. No panic; what is found could have been
//! expected; a fingerprint is of kinds that there are.
#![no_main]

use doorman_waf::operator::{Fingerprint, detect_sqli, detect_xss, may_be_sqli, may_be_xss};
use libfuzzer_sys::fuzz_target;

/// Bytes of a value that was made long.
const LONG: usize = 200_000;

fn ask(value: &[u8]) {
    let sql = detect_sqli(value);
    assert_eq!(sql, detect_sqli(value));
    if let Some(print) = &sql {
        assert!(may_be_sqli(value));
        let letters = print.as_bytes();
        assert!((1..=Fingerprint::LENGTH_MAX).contains(&letters.len()));
        assert!(letters.iter().all(u8::is_ascii_graphic), "{letters:?}");
    }
    assert!(!detect_xss(value) || may_be_xss(value));
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, value)) = input.split_first() else { return };
    ask(value);
    if first < 0xf0 || value.is_empty() {
        return;
    }
    // What stands first is often what decides how the rest is read.
    let (head, unit) = value.split_at(usize::from(first % 16).min(value.len() - 1));
    ask(&[head, &unit.repeat(LONG / unit.len())].concat());
});
