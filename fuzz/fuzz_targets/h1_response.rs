//! Response heads: no panic, and what would be written to a client reads back with the same status,
//! fields and framing. The first byte says what was asked.
#![no_main]

use doorman_h1::{
    Asked, AskedMethod, AskedUpgrade, Coding, Framing, Limits, Progress, Reply, read_response, write_interim,
    write_response_head,
};
use doorman_http::{Length, ResponseHead, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&kind, input)) = input.split_first() else { return };
    let asked = Asked {
        method: match kind & 3 {
            0 => AskedMethod::Head,
            1 => AskedMethod::Connect,
            _ => AskedMethod::Other,
        },
        upgrade: match kind >> 2 & 3 {
            0 => Some(AskedUpgrade::WebSocket(*b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
            1 => Some(AskedUpgrade::Other(b"foo/2")),
            _ => None,
        },
    };
    let mut head = ResponseHead::new(200);
    let outcome = read_response(input, &Limits::default(), &asked, &mut head);
    let at = usize::from(kind) * 7 % input.len().max(1);
    let mut ignored = ResponseHead::new(200);
    let early =
        read_response(&input[..at.min(input.len())], &Limits::default(), &asked, &mut ignored);
    if early != Ok(Progress::Partial) {
        assert_eq!(early, outcome);
    }
    let Ok(Progress::Done { consumed, framing }) = outcome else { return };
    assert!(consumed <= input.len());
    assert!((100..=599).contains(&head.status));
    if asked.method == AskedMethod::Connect {
        return;
    }

    let mut sent = Vec::new();
    let is_head = asked.method == AskedMethod::Head;
    let coding = if head.status < 200 && head.status != 101 {
        write_interim(&mut sent, &head);
        Coding::None
    } else {
        let client = if kind & 16 == 0 { Version::Http10 } else { Version::Http11 };
        let reply = Reply { client, head_request: is_head, keep_alive: true };
        write_response_head(&mut sent, &head, &reply, framing.body.length())
    };
    // The writer adds what is made anew: a few lines more than were read.
    let roomy =
        Limits { fields: 110, head_bytes: 40 * 1024, request_line: 9 * 1024, ..Limits::default() };
    let mut back = ResponseHead::new(200);
    let Ok(Progress::Done { consumed, framing: again }) =
        read_response(&sent, &roomy, &asked, &mut back)
    else {
        panic!("what would be sent is refused: {}", String::from_utf8_lossy(&sent));
    };
    assert_eq!(consumed, sent.len());
    assert_eq!(back.status, head.status);
    let kept = |head: &ResponseHead| -> Vec<(Vec<u8>, Vec<u8>)> {
        head.fields.iter().map(|(_, n, v)| (n.to_vec(), v.to_vec())).collect()
    };
    assert_eq!(kept(&back), kept(&head));
    assert_eq!(back.declared_length, head.declared_length);
    match (coding, framing.body.length()) {
        (Coding::Chunked, _) => assert_eq!(again.body, Framing::Chunked),
        (Coding::Sized, Length::Known(n)) => assert_eq!(again.body, Framing::Known(n)),
        (Coding::UntilClose, _) if head.status == 101 => assert_eq!(again.body, Framing::Tunnel),
        (Coding::UntilClose, _) => assert_eq!(again.body, Framing::UntilClose),
        _ => assert_eq!(again.body, Framing::Empty),
    }
});
