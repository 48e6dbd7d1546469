//! What holds for any bytes: cuts change nothing, and what is written reads back.

use doorman_h2::End;
use doorman_http::ResponseHead;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::*;

/// Frames of a client, most of them right, some not.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let stream = || prop_oneof![9 => (0u32..6).prop_map(|n| 2 * n + 1), 1 => 0u32..20];
    let payload = || vec(any::<u8>(), 0..40);
    let one = prop_oneof![
        4 => (0u32..6).prop_map(|n| get(2 * n + 1)),
        4 => (0u32..6, 0usize..30).prop_map(|(n, length)| {
            post(2 * n + 1, &[("content-length", &length.to_string())])
        }),
        4 => (0u32..6).prop_map(|n| post(2 * n + 1, &[])),
        6 => (stream(), 0u8..2, payload()).prop_map(|(id, flags, text)| frame(DATA, flags, id, &text)),
        2 => (stream(), payload()).prop_map(|(id, text)| frame(DATA, PADDED, id, &text)),
        2 => stream().prop_map(reset),
        2 => (stream(), 1u32..1000).prop_map(|(id, more)| window(id, more)),
        1 => (1u16..9, 0u32..70_000).prop_map(|(id, value)| settings(&[(id, value)])),
        1 => any::<[u8; 8]>().prop_map(|text| frame(PING, 0, 0, &text)),
        1 => stream().prop_map(|id| frame(HEADERS, 5, id, &block(&[("sum", "1")]))),
        1 => (stream(), vec(any::<u8>(), 0..20)).prop_map(|(id, text)| frame(HEADERS, 5, id, &text)),
        1 => (0u8..12, any::<u8>(), stream(), payload())
            .prop_map(|(kind, flags, id, text)| frame(kind, flags, id, &text)),
    ];
    vec(one, 0..24).prop_map(|frames| frames.concat())
}

/// Everything that comes of bytes: what was seen, what was answered, what content there is.
fn outcome(bytes: &[u8], cut: usize) -> String {
    let mut connection = greeted();
    let seen = feed(&mut connection, bytes, cut);
    let output = connection.output().to_vec();
    let content: Vec<_> = seen.streams.iter().map(|id| content(&mut connection, *id)).collect();
    format!("{seen:?}\n{output:?}\n{content:?}")
}

proptest! {
    #[test]
    fn cuts_change_nothing(bytes in frames(), cut in 1usize..60) {
        prop_assert_eq!(outcome(&bytes, cut), outcome(&bytes, usize::MAX));
    }

    #[test]
    fn what_is_written_is_a_frame_for_each_thing(
        pieces in vec(0usize..40_000, 0..6),
        status in 200u16..600,
        wrote in 0usize..50_000,
    ) {
        let mut connection = greeted();
        let more = [window(0, 1_000_000), settings(&[(4, 1_000_000)]), get(1)].concat();
        let stream = feed(&mut connection, &more, usize::MAX).streams[0];
        drain(&mut connection);
        connection.head(stream, &ResponseHead::new(status), None, End::Open);
        let mut taken = 0;
        let mut bytes = Vec::new();
        for length in pieces {
            taken += connection.data(stream, &vec![7; length]);
            // Some of it leaves in the middle of whatever it is.
            let n = wrote.min(connection.output().len());
            bytes.extend_from_slice(&connection.output()[..n]);
            connection.wrote(n);
        }
        connection.finish(stream);
        bytes.extend_from_slice(connection.output());
        let frames = crate::support::frames(&bytes);
        prop_assert_eq!(frames[0].0, HEADERS);
        let data: usize = frames[1..].iter().map(|frame| {
            assert_eq!(frame.0, DATA);
            assert!(frame.3.len() <= 16_384);
            frame.3.len()
        }).sum();
        prop_assert_eq!(data, taken);
        let ends = frames.iter().filter(|frame| frame.1 & END_STREAM != 0).count();
        prop_assert_eq!((ends, frames.last().unwrap().1 & END_STREAM), (1, END_STREAM));
    }
}
