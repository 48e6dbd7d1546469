//! Tokens of sticky cookies: no panic, and what reads is written as it was read.
#![no_main]

use doorman_balance::sticky::Token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((token, seal)) = Token::read(input) {
        assert_eq!(token.write(&seal), input);
        assert!(token.issued < 1 << 40);
        let _ = token.age(0);
    }
});
