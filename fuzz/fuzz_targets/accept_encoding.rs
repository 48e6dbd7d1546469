//! `Accept-Encoding`, a line of the input for each of its lines: no panic, no weight beyond what there is; the
//! order of lines and the case of letters change nothing; what is refused once stays refused; and what is chosen
//! is offered, taken, and liked as well as anything else.
#![no_main]

use doorman_http::RequestHead;
use doorman_http::coding::{AcceptEncoding, Coding, WEIGHT_MAX};
use doorman_transform::negotiate::choose;
use libfuzzer_sys::fuzz_target;

fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> AcceptEncoding {
    let mut request = RequestHead::default();
    for line in lines {
        request.fields.push(b"Accept-Encoding", line);
    }
    AcceptEncoding::of(&request)
}

fuzz_target!(|input: &[u8]| {
    let lines = || input.split(|&b| b == b'\n');
    let said = read(lines());
    assert_eq!(read(lines().rev()), said, "order");
    let upper = input.to_ascii_uppercase();
    assert_eq!(read(upper.split(|&b| b == b'\n')), said, "case");
    assert!(!said.is_absent() && said.identity_q() <= WEIGHT_MAX);
    for coding in Coding::ALL {
        assert!(said.q(coding) <= WEIGHT_MAX);
        let refusal = format!("{};q=0", coding.token());
        assert_eq!(read(lines().chain([refusal.as_bytes()])).q(coding), 0);
    }

    for offered in [&Coding::ALL[..], &Coding::ALL[1..], &Coding::ALL[..1], &[]] {
        let best = offered.iter().map(|&coding| said.q(coding)).max().unwrap_or(0);
        match choose(&said, offered) {
            Some(coding) => {
                assert!(offered.contains(&coding) && said.q(coding) > 0);
                assert!(said.q(coding) == best && best >= said.identity_q());
            }
            None => assert!(best == 0 || best < said.identity_q()),
        }
    }
});
