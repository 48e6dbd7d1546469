//! Records and name-value pairs, case by case, and what holds for all of them.

use doorman_fastcgi::{
    CONTENT_BYTES_MAX, Ended, KeepConnection, Kind, Protocol, Reader, RecordFault, What,
    read_pairs, write_begin, write_head, write_pair, write_params,
};
use proptest::prelude::*;

fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("a record's length").to_be_bytes();
    let padded = vec![0xEE; usize::from(padding)];
    [&[1, kind, 0, 1, high, low, padding, 0], content, &padded].concat()
}

fn end(status: u8) -> Vec<u8> {
    record(3, &[0, 0, 0, 7, status, 0, 0, 0], 0)
}

#[derive(Debug, Default, PartialEq)]
struct Heard {
    output: Vec<u8>,
    complaints: Vec<u8>,
    ended: Option<Ended>,
    left: usize,
}

fn read_pieces(input: &[u8], size: usize) -> Result<Heard, RecordFault> {
    let (mut reader, mut heard) = (Reader::new(), Heard::default());
    let mut at = 0;
    for piece in input.chunks(size) {
        let mut rest = piece;
        loop {
            let step = reader.read(rest)?;
            let content = rest[step.content].to_vec();
            at += step.consumed;
            rest = &rest[step.consumed..];
            match step.what {
                What::Output => heard.output.extend(content),
                What::Complaint => heard.complaints.extend(content),
                What::End(ended) => {
                    heard.ended = Some(ended);
                    heard.left = input.len() - at;
                    return Ok(heard);
                }
                What::More => break,
            }
        }
    }
    Ok(heard)
}

/// However the bytes are cut, the same is heard.
#[track_caller]
fn read(input: &[u8]) -> Result<Heard, RecordFault> {
    let whole = read_pieces(input, usize::MAX);
    for size in [1, 2, 3, 7, 8, 9, 64] {
        assert_eq!(read_pieces(input, size), whole, "in pieces of {size}");
    }
    whole
}

#[test]
fn an_answer_is_read_with_its_complaints_and_its_end() {
    let parts = [
        record(7, b"odd", 5),
        record(6, b"Status: 200\r\n", 0),
        record(6, b"", 255),
        record(7, b"er", 0),
        end(0),
        b"left".to_vec(),
    ];
    let heard = read(&parts.concat()).expect("an answer");
    let ended = Ended { application: 7, protocol: Protocol::Complete };
    assert_eq!(
        heard,
        Heard {
            output: b"Status: 200\r\n".to_vec(),
            complaints: b"odder".to_vec(),
            ended: Some(ended),
            left: 4,
        }
    );
    for (status, protocol) in [
        (0, Protocol::Complete),
        (1, Protocol::CannotMultiplex),
        (2, Protocol::Overloaded),
        (3, Protocol::UnknownRole),
    ] {
        let heard = read(&end(status)).expect("an end");
        assert_eq!(heard.ended.map(|ended| ended.protocol), Some(protocol));
    }
    // An end is over with its padding.
    let padded = record(3, &[0; 8], 9);
    assert_eq!(read(&padded[..padded.len() - 1]).expect("a part").ended, None);
    assert!(read(&padded).expect("an end").ended.is_some());
}

#[test]
fn records_that_are_refused() {
    let rows: &[(Vec<u8>, RecordFault)] = &[
        (b"HTTP/1.1 200 OK\r\n".to_vec(), RecordFault::Version),
        (vec![0, 6, 0, 1, 0, 0, 0, 0], RecordFault::Version),
        (record(1, &[0; 8], 0), RecordFault::Kind),
        (record(5, b"x", 0), RecordFault::Kind),
        (record(10, b"", 0), RecordFault::Kind),
        (record(11, &[0; 8], 0), RecordFault::Kind),
        (record(0, b"", 0), RecordFault::Kind),
        (vec![1, 6, 0, 0, 0, 1, 0, 0, 1], RecordFault::RequestId),
        (vec![1, 6, 1, 1, 0, 1, 0, 0, 1], RecordFault::RequestId),
        (record(3, &[0; 7], 0), RecordFault::End),
        (record(3, &[0; 9], 0), RecordFault::End),
        (record(3, b"", 0), RecordFault::End),
        (end(4), RecordFault::End),
        ([record(6, b"a", 0), record(6, b"", 0), record(6, b"b", 0)].concat(), RecordFault::Output),
        (record(7, b"", 0).repeat(33), RecordFault::Empty),
        (record(6, b"", 3).repeat(33), RecordFault::Empty),
    ];
    for (bytes, fault) in rows {
        assert_eq!(read(bytes), Err(*fault), "{bytes:?}");
    }
    // Content makes up for records without.
    let patient =
        [record(7, b"", 0).repeat(32), record(7, b"x", 0), record(7, b"", 0).repeat(32), end(0)];
    assert!(read(&patient.concat()).is_ok());
}

#[test]
fn requests_are_written_as_the_specification_says() {
    let mut out = Vec::new();
    write_begin(&mut out, KeepConnection::Yes);
    assert_eq!(out, [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    out.clear();
    write_begin(&mut out, KeepConnection::No);
    assert_eq!(out[8..11], [0, 1, 0]);
    out.clear();
    write_params(&mut out, b"");
    assert_eq!(out, [1, 4, 0, 1, 0, 0, 0, 0]);
    out.clear();
    write_params(&mut out, &vec![b'x'; CONTENT_BYTES_MAX + 1]);
    assert_eq!(out.len(), CONTENT_BYTES_MAX + 1 + 3 * 8);
    out.clear();
    write_head(&mut out, Kind::Stdin, CONTENT_BYTES_MAX);
    assert_eq!(out, [1, 5, 0, 1, 255, 248, 0, 0]);
}

#[test]
fn pairs_know_short_and_long_lengths() {
    let (short, long) = (vec![b's'; 127], vec![b'l'; 128]);
    let mut out = Vec::new();
    write_pair(&mut out, &short, &long);
    assert_eq!(out[..5], [127, 128, 0, 0, 128]);
    assert_eq!(read_pairs(&out), Some(vec![(&short[..], &long[..])]));
    for cut in 1..out.len() {
        assert_eq!(read_pairs(&out[..cut]), None, "cut at {cut}");
    }
    assert_eq!(read_pairs(b""), Some(Vec::new()));
    assert_eq!(read_pairs(&[0x80, 0, 0, 1, 0, b'x']), Some(vec![(&b"x"[..], &b""[..])]));
}

proptest! {
    #[test]
    fn pairs_read_back(
        pairs in proptest::collection::vec(
            (proptest::collection::vec(any::<u8>(), 0..200), proptest::collection::vec(any::<u8>(), 0..300)),
            0..10,
        ),
    ) {
        let mut out = Vec::new();
        for (name, value) in &pairs {
            write_pair(&mut out, name, value);
        }
        let expected: Vec<(&[u8], &[u8])> =
            pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        prop_assert_eq!(read_pairs(&out), Some(expected));
    }

    #[test]
    fn cuts_change_nothing(
        records in proptest::collection::vec(
            (
                prop_oneof![Just(6u8), Just(7), Just(3), any::<u8>()],
                proptest::collection::vec(any::<u8>(), 0..40),
                any::<u8>(),
            ),
            0..8,
        ),
        size in 1usize..50,
    ) {
        let bytes: Vec<u8> =
            records.iter().flat_map(|(kind, content, padding)| record(*kind, content, *padding)).collect();
        prop_assert_eq!(read_pieces(&bytes, size), read_pieces(&bytes, usize::MAX));
    }
}
