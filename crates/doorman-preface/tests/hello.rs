//! The first message of TLS, case by case, and the properties that hold for all of them.

use doorman_preface::{HELLO_BYTES_MAX, Hello, HelloFault, read_hello};
use proptest::prelude::*;

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted(content)].concat()
}

fn name(text: &[u8]) -> Vec<u8> {
    extension(0, &counted(&[&[0][..], &counted(text)].concat()))
}

/// A message with these extensions; `None`: without the list.
fn message(extensions: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([8; 32]);
    body.extend(counted(&[0x13, 1, 0x13, 2]));
    body.extend([1, 0]);
    body.extend(extensions.map(counted).unwrap_or_default());
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

/// The message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &counted(part)].concat()).collect()
}

/// Reads it whole, in records of every kind, and cut at every place.
#[track_caller]
fn read(message: &[u8]) -> Result<Hello, HelloFault> {
    let whole = read_hello(&records(message, 1 << 14));
    for size in [1, 2, 5, 64] {
        assert_eq!(read_hello(&records(message, size)), whole, "in records of {size}");
    }
    let one = records(message, 1 << 14);
    for cut in 0..one.len() {
        let early = read_hello(&one[..cut]);
        assert!(early == Ok(Hello::Partial) || early == whole, "cut at {cut}: {early:?}");
    }
    whole
}

fn named(text: &str) -> Result<Hello, HelloFault> {
    Ok(Hello::Name(text.into()))
}

#[test]
fn names_are_found() {
    let other = extension(43, &[2, 3, 4]);
    let padding = extension(21, &[0; 1000]);
    let rows: &[(Vec<u8>, Result<Hello, HelloFault>)] = &[
        (message(Some(&name(b"shop.example.com"))), named("shop.example.com")),
        (message(Some(&name(b"Shop.EXAMPLE.com."))), named("shop.example.com")),
        (message(Some(&[&other[..], &name(b"a"), &padding].concat())), named("a")),
        (message(Some(&name(b"under_score.test"))), named("under_score.test")),
        (message(Some(&other)), Ok(Hello::Nameless)),
        (message(Some(b"")), Ok(Hello::Nameless)),
        (message(None), Ok(Hello::Nameless)),
        (message(Some(&extension(0, &counted(&[9, 0, 1, b'x'])))), Ok(Hello::Nameless)),
    ];
    for (message, expected) in rows {
        assert_eq!(read(message), *expected);
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let two_names = counted(&[&[0][..], &counted(b"a"), &[0], &counted(b"b")].concat());
    let cut = message(Some(&name(b"a.test")));
    let mut short = cut.clone();
    short.truncate(cut.len() - 1);
    short[3] -= 1;
    let rows: &[(Vec<u8>, HelloFault)] = &[
        (message(Some(&[name(b"a"), name(b"b")].concat())), HelloFault::Twice),
        (message(Some(&extension(0, &two_names))), HelloFault::Twice),
        (message(Some(&extension(0, b""))), HelloFault::Length),
        (message(Some(&extension(0, &counted(b"")))), HelloFault::Length),
        (message(Some(&extension(0, &[0, 1, 0, 0, 0]))), HelloFault::Length),
        (message(Some(&[0, 0, 0])), HelloFault::Length),
        (short, HelloFault::Length),
        (message(Some(&name(b""))), HelloFault::Name),
        (message(Some(&name(b"."))), HelloFault::Name),
        (message(Some(&name(b"a..b"))), HelloFault::Name),
        (message(Some(&name(b"a\0b"))), HelloFault::Name),
        (message(Some(&name(b"a b"))), HelloFault::Name),
        (message(Some(&name(b"a/b"))), HelloFault::Name),
        (message(Some(&name("ä".as_bytes()))), HelloFault::Name),
        (message(Some(&name(&[b'a'; 64]))), HelloFault::Name),
        (message(Some(&name(&b"a.".repeat(128)))), HelloFault::Name),
        (vec![2, 0, 0, 0], HelloFault::Message),
    ];
    for (at, (message, fault)) in rows.iter().enumerate() {
        assert_eq!(read(message), Err(*fault), "row {at}");
    }
    // 127 labels and their dots are the longest name there is.
    let longest = b"a.".repeat(127);
    assert_eq!(read(&message(Some(&name(&longest)))), named(&"a.".repeat(127)[..253]));
}

#[test]
fn records_that_are_none_of_the_message() {
    let hello = message(Some(&name(b"a.test")));
    for bytes in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x\r\n", b"\x16\x02\0\0", b"\0"] {
        assert_eq!(read_hello(bytes), Ok(Hello::NotTls), "{bytes:?}");
    }
    let mut cut = records(&hello[..20], 64);
    cut.extend([23, 3, 1, 0, 1, 0]);
    assert_eq!(read_hello(&cut), Err(HelloFault::Record));
    assert_eq!(read_hello(&[22, 3, 1, 0, 0]), Err(HelloFault::Record));
    assert_eq!(read_hello(&[22, 3, 1, 0x40, 1]), Err(HelloFault::TooLarge));
    assert_eq!(read_hello(&[22, 3, 1, 0, 4, 1, 1, 0, 0]), Err(HelloFault::TooLarge));
    for bytes in [&b""[..], b"\x16", b"\x16\x03"] {
        assert_eq!(read_hello(bytes), Ok(Hello::Partial));
    }
}

#[test]
fn what_is_held_has_a_bound() {
    let hello = message(Some(&extension(21, &[0; 16_000])));
    let small = records(&hello, 8);
    assert!(small.len() > HELLO_BYTES_MAX);
    assert_eq!(read_hello(&small), Err(HelloFault::TooLarge));
    assert_eq!(read_hello(&small[..HELLO_BYTES_MAX]), Err(HelloFault::TooLarge));
    assert_eq!(read_hello(&small[..HELLO_BYTES_MAX - 1]), Ok(Hello::Partial));
}

proptest! {
    #[test]
    fn a_prefix_never_decides_otherwise(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        size in 1usize..300,
        flip in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = records(&message(Some(&[name(b"a.test"), body].concat())), size);
        let at = flip.index(bytes.len());
        bytes[at] = byte;
        let whole = read_hello(&bytes);
        let early = read_hello(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(early == Ok(Hello::Partial) || early == whole);
    }
}
