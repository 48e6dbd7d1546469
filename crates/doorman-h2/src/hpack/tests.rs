//! Examples of the RFC, and what one side writes the other reads.

use doorman_http::FieldId;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ALL: Bounds = Bounds { kept: usize::MAX, read: usize::MAX };

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Trouble> {
    let mut lines = Vec::new();
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    decoder.decode(block, ALL, |line| {
        assert_eq!((line.kind, line.judged), (Name::of(line.name), Value::of(line.value)));
        lines.push((text(line.name), text(line.value)));
    })?;
    Ok(lines)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// RFC 7541 appendices C.3, without Huffman code, and C.4, with it.
#[test]
fn requests_of_the_rfc() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::new();
        let mut check = |n: usize, path: &str, scheme: &str, more: Option<(&str, &str)>| {
            let mut expected = vec![
                (":method", "GET"),
                (":scheme", scheme),
                (":path", path),
                (":authority", "www.example.com"),
            ];
            expected.extend(more);
            let own = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
            let expected: Vec<_> = expected.into_iter().map(own).collect();
            assert_eq!(decoded(&mut decoder, &hex(blocks[n])).unwrap(), expected);
        };
        check(0, "/", "http", None);
        check(1, "/", "http", Some(("cache-control", "no-cache")));
        check(2, "/index.html", "https", Some(("custom-key", "custom-value")));
    }
}

fn written(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        encoder.field(FieldId::of(name.as_bytes()), name.as_bytes(), value.as_bytes(), &mut out);
    }
    out
}

#[test]
fn what_repeats_becomes_one_byte_and_what_changes_never_enters() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::new());
    let mut lengths = Vec::new();
    for n in 0..4 {
        let id = format!("request-{n}");
        let fields = [("server", "origin/1.0"), ("x-own", "same"), ("x-request-id", &id)];
        let block = written(&mut encoder, &fields);
        lengths.push(block.len());
        let read = decoded(&mut decoder, &block).unwrap();
        assert!(read.iter().zip(&fields).all(|(a, b)| (&*a.0, &*a.1) == *b));
    }
    assert_eq!((lengths[0], lengths[1]), (lengths[0], lengths[0] - 1), "a shorter index of a name");
    assert!(lengths[2] == lengths[3] && lengths[2] == 2 + 1 + 13 + 1 + 9, "{lengths:?}");
}

#[test]
fn secrets_are_marked_and_stay_out_of_tables() {
    let mut encoder = Encoder::default();
    for _ in 0..3 {
        let block = written(&mut encoder, &[("set-cookie", "a=b")]);
        assert_eq!(block[0] & 0xF0, 0x10);
    }
}

#[test]
fn every_status_reads_back() {
    for status in 100..600 {
        let mut out = Vec::new();
        Encoder::default().status(status, &mut out);
        let read = decoded(&mut Decoder::new(), &out).unwrap();
        assert_eq!(read, [(":status".to_owned(), status.to_string())]);
    }
}

/// A table that the peer makes smaller and larger again is emptied on both sides.
#[test]
fn changes_of_the_table_are_told_h2d_18() {
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::new());
    let fields = [("server", "a"), ("vary", "b")];
    for _ in 0..3 {
        decoded(&mut decoder, &written(&mut encoder, &fields)).unwrap();
    }
    for (sizes, begins) in
        [(&[0, 4096][..], &[0x20, 0x3f][..]), (&[100], &[0x3f, 69]), (&[u32::MAX], &[0x3f])]
    {
        for size in sizes {
            encoder.resize(*size);
        }
        let block = written(&mut encoder, &fields);
        assert!(block.starts_with(begins), "{block:?}");
        for block in [block, written(&mut encoder, &fields), written(&mut encoder, &fields)] {
            let read = decoded(&mut decoder, &block).unwrap();
            assert_eq!(read[1], ("vary".to_owned(), "b".to_owned()));
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        heads in vec(vec((0usize..12, 0usize..5, 0usize..300), 0..12), 1..20),
        sizes in vec(0u32..5000, 20),
    ) {
        const NAMES: [&str; 12] = [
            "server", "date", "content-type", "etag", "set-cookie", "x-a", "x-b", "x-c", "x-d",
            "x-e", "location", "cache-control",
        ];
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::new());
        for (head, size) in heads.iter().zip(sizes) {
            if size % 4 == 0 {
                encoder.resize(size);
            }
            let values: Vec<String> = head
                .iter()
                .map(|(_, letter, length)| ["a", "b", "c", "d", "e"][*letter].repeat(*length))
                .collect();
            let fields: Vec<(&str, &str)> =
                head.iter().zip(&values).map(|(field, value)| (NAMES[field.0], &**value)).collect();
            let read = decoded(&mut decoder, &written(&mut encoder, &fields)).unwrap();
            let read: Vec<(&str, &str)> = read.iter().map(|(a, b)| (&**a, &**b)).collect();
            prop_assert_eq!(read, fields);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(blocks in vec(vec(any::<u8>(), 0..60), 0..10)) {
        let mut decoder = Decoder::new();
        for block in blocks {
            if decoded(&mut decoder, &block).is_err() {
                break;
            }
        }
    }
}
