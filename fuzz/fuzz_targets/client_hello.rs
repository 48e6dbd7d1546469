//! The server name of a ClientHello: no panic, a prefix never decides otherwise than the whole, and a
//! name is one that a host may have. The first byte says where to cut.
#![no_main]

use doorman_preface::{Hello, read_hello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let outcome = read_hello(input);
    let at = usize::from(cut) * 7 % (input.len() + 1);
    let early = read_hello(&input[..at]);
    if early != Ok(Hello::Partial) {
        assert_eq!(early, outcome);
    }
    if let Ok(Hello::Name(name)) = outcome {
        assert!((1..=253).contains(&name.len()) && !name.ends_with('.'));
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    }
});
