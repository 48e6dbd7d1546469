//! PROXY protocol headers: no panic, a prefix never decides otherwise than the whole, and what is
//! claimed reads back when it is written. The first byte says where to cut.
#![no_main]

use doorman_http::Peer;
use doorman_preface::{
    Claim, HEADER_BYTES_MAX, Header, ProxyVersion, Transport, read_header, write_header,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, input)) = input.split_first() else { return };
    let outcome = read_header(input);
    let at = usize::from(cut) * 7 % (input.len() + 1);
    let early = read_header(&input[..at]);
    if early != Ok(Header::Partial) {
        assert_eq!(early, outcome);
    }
    let Ok(Header::Whole { consumed, claim }) = outcome else { return };
    assert!(consumed <= input.len() && consumed <= HEADER_BYTES_MAX);
    let Claim::Client { client, server } = claim else { return };
    // A mapped address is written as what it stands for.
    if client.ip().to_canonical() != client.ip() || server.ip().to_canonical() != server.ip() {
        return;
    }
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let mut out = Vec::new();
        write_header(&mut out, version, Transport::Stream, Peer::Inet(client), Peer::Inet(server));
        assert_eq!(read_header(&out), Ok(Header::Whole { consumed: out.len(), claim }));
    }
});
