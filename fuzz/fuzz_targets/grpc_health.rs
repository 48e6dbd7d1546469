//! The answer of a server's health service: no panic, and whoever passes has said SERVING in a message that is
//! whole. The first byte says which statuses stand around it.
#![no_main]

use doorman_balance::health::grpc::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&kind, body)) = input.split_first() else { return };
    let status: Option<&[u8]> = match kind % 4 {
        0 => None,
        1 => Some(b"0"),
        2 => Some(b"5"),
        _ => Some(body),
    };
    let http = if kind < 0x80 { 200 } else { 503 };
    if judge(http, body, status).is_ok() {
        assert_eq!(http, 200);
        let [compressed, a, b, c, d, message @ ..] = body else { panic!("no message") };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        // A field takes a byte for its key and one for its value at least.
        assert!(*compressed == 0 && (2..=message.len()).contains(&length));
    }
});
