//! PROXY protocol headers, case by case, and the properties that hold for all of them.

use std::net::{IpAddr, SocketAddr};

use doorman_http::Peer;
use doorman_preface::{
    Claim, HEADER_BYTES_MAX, Header, HeaderFault, ProxyVersion, Transport, read_header,
    write_header,
};
use proptest::prelude::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads `header` with bytes behind it, and cut at every place: no cut may change the outcome.
#[track_caller]
fn read(header: &[u8]) -> Result<Claim, HeaderFault> {
    let followed = [header, b"GET / HTTP/1.1\r\n"].concat();
    let whole = read_header(&followed);
    for cut in 0..header.len() {
        match read_header(&header[..cut]) {
            Ok(Header::Partial) => {}
            early => assert_eq!(early, whole, "cut at {cut}: {header:?}"),
        }
    }
    match whole? {
        Header::Partial => panic!("partial with bytes behind it: {header:?}"),
        Header::Whole { consumed, claim } => {
            assert_eq!(consumed, header.len(), "{header:?}");
            Ok(claim)
        }
    }
}

fn client(client: &str, server: &str) -> Claim {
    Claim::Client {
        client: client.parse().expect("an address"),
        server: server.parse().expect("an address"),
    }
}

#[test]
fn lines_of_version_1() {
    let rows: &[(&str, Claim)] = &[
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
            client("192.0.2.1:56324", "198.51.100.2:443"),
        ),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            client("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", client("[2001:db8::1]:1", "[::1]:2")),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            client(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("PROXY UNKNOWN\r\n", Claim::Socket),
        ("PROXY UNKNOWN ffff::1 whatever it says 65535\r\n", Claim::Socket),
    ];
    for (line, claim) in rows {
        assert_eq!(read(line.as_bytes()), Ok(*claim), "{line:?}");
    }
}

#[test]
fn lines_that_are_refused() {
    use HeaderFault::{Address, LineEnd, LineLength, Port, Signature, Words};
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), 108);
    let just = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(read(just.as_bytes()), Ok(Claim::Socket));
    let rows: &[(&str, HeaderFault)] = &[
        ("GET / HTTP/1.1\r\n", Signature),
        ("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Signature),
        ("PROXY\r\n", Signature),
        (" PROXY UNKNOWN\r\n", Signature),
        (&long, LineLength),
        ("PROXY UNKNOWN\n", LineEnd),
        ("PROXY UNKNOWN a\rb\r\n", LineEnd),
        ("PROXY UNKNOWN a\0b\r\n", LineEnd),
        ("PROXY \r\n", Words),
        ("PROXY unknown\r\n", Words),
        ("PROXY UNKNOWNS\r\n", Words),
        ("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", Words),
        ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Words),
        ("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", Words),
        ("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Words),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Words),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", Words),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", Words),
        ("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", Address),
        ("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", Address),
        ("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", Address),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", Address),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Address),
        ("PROXY TCP6 ::1 ::2%eth0 1 2\r\n", Address),
        ("PROXY TCP6 [::1] ::2 1 2\r\n", Address),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", Port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n", Port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Port),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", Port),
    ];
    for (line, fault) in rows {
        assert_eq!(read(line.as_bytes()), Err(*fault), "{line:?}");
    }
}

fn v2(command: u8, family: u8, counted: &[u8]) -> Vec<u8> {
    let length = u16::try_from(counted.len()).expect("a short header").to_be_bytes();
    [SIGNATURE, &[command, family], &length, counted].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB];

#[test]
fn headers_of_version_2() {
    let known = client("192.0.2.1:56324", "198.51.100.2:443");
    let v6: Vec<u8> = [[0x20; 16], [0x30; 16]].concat().into_iter().chain([0, 1, 0, 2]).collect();
    let with_tlvs = [V4, &[0x04, 0, 0, 0xEA, 0, 2, 1, 2]].concat();
    let rows: &[(u8, u8, &[u8], Claim)] = &[
        (0x21, 0x11, V4, known),
        (0x21, 0x11, &with_tlvs, known),
        (
            0x21,
            0x21,
            &v6,
            client(
                "[2020:2020:2020:2020:2020:2020:2020:2020]:1",
                "[3030:3030:3030:3030:3030:3030:3030:3030]:2",
            ),
        ),
        (0x20, 0x00, b"", Claim::Socket),
        (0x20, 0x11, V4, Claim::Socket),
        (0x20, 0xFF, b"anything", Claim::Socket),
        (0x21, 0x00, b"", Claim::Socket),
        (0x21, 0x00, b"anything", Claim::Socket),
        (0x21, 0x12, V4, Claim::Socket),
        (0x21, 0x31, &[b'/'; 216], Claim::Socket),
    ];
    for (command, family, counted, claim) in rows {
        let header = v2(*command, *family, counted);
        assert_eq!(read(&header), Ok(*claim), "{command:x} {family:x}");
    }
}

#[test]
fn headers_of_version_2_that_are_refused() {
    use HeaderFault::{Checksum, Kind, Length, Tlv};
    let tlv = |bytes: &[u8]| [V4, bytes].concat();
    let rows: &[(u8, u8, &[u8], HeaderFault)] = &[
        (0x11, 0x11, V4, Kind),
        (0x31, 0x11, V4, Kind),
        (0x22, 0x11, V4, Kind),
        (0x21, 0x41, V4, Kind),
        (0x21, 0x13, V4, Kind),
        (0x21, 0x11, &V4[..11], Length),
        (0x21, 0x21, V4, Length),
        (0x21, 0x31, V4, Length),
        (0x21, 0x11, &tlv(&[0x04]), Tlv),
        (0x21, 0x11, &tlv(&[0x04, 0, 1]), Tlv),
        (0x21, 0x11, &tlv(&[0x04, 0xFF, 0xFF, 0]), Tlv),
        (0x21, 0x11, &tlv(&[0x03, 0, 4, 0, 0, 0, 0]), Checksum),
        (0x21, 0x11, &tlv(&[0x03, 0, 3, 0, 0, 0]), Checksum),
    ];
    for (command, family, counted, fault) in rows {
        let header = v2(*command, *family, counted);
        assert_eq!(read(&header), Err(*fault), "{command:x} {family:x} {counted:?}");
    }
    let mut long = v2(0x21, 0x11, V4);
    let length = u16::try_from(HEADER_BYTES_MAX - 15).unwrap();
    long[14..16].copy_from_slice(&length.to_be_bytes());
    assert_eq!(read_header(&long), Err(Length), "before its bytes have come");
}

/// CRC-32C bit by bit, apart from the reader's.
fn slow_sum(bytes: &[u8]) -> u32 {
    let mut sum = !0u32;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82F6_3B78 } else { sum >> 1 };
        }
    }
    !sum
}

#[test]
fn a_checksum_is_verified_where_there_is_one() {
    let summed = |before: &[u8], behind: &[u8]| {
        let mut header = v2(0x21, 0x11, &[V4, before, &[0x03, 0, 4, 0, 0, 0, 0], behind].concat());
        let at = header.len() - behind.len() - 4;
        let sum = slow_sum(&header).to_be_bytes();
        header[at..at + 4].copy_from_slice(&sum);
        header
    };
    let known = client("192.0.2.1:56324", "198.51.100.2:443");
    for (before, behind) in
        [(&b""[..], &b""[..]), (&[4, 0, 1, 9], &[4, 0, 0]), (&[], &[1, 0, 2, 8, 8])]
    {
        let header = summed(before, behind);
        assert_eq!(read(&header), Ok(known));
        // With another type it is no checksum any more, and there is nothing to verify.
        let kind = 16 + V4.len() + before.len();
        for at in (16..header.len()).filter(|at| *at != kind) {
            let mut wrong = header.clone();
            wrong[at] ^= 1;
            assert_ne!(read(&wrong), Ok(known), "byte {at}");
        }
    }
    let mut twice = summed(&[3, 0, 4, 0, 0, 0, 0], b"");
    assert_eq!(read(&twice), Err(HeaderFault::Checksum));
    // Only the last one right is no better.
    twice.truncate(16);
    assert_eq!(read_header(&twice), Ok(Header::Partial));
}

#[test]
fn what_has_no_address_is_written_as_unknown() {
    let inet = Peer::Inet("192.0.2.1:1".parse().unwrap());
    let write = |version, transport, a, b| {
        let mut out = Vec::new();
        write_header(&mut out, version, transport, a, b);
        out
    };
    let unknown = b"PROXY UNKNOWN\r\n";
    assert_eq!(write(ProxyVersion::V1, Transport::Stream, Peer::Unix, inet), unknown);
    assert_eq!(write(ProxyVersion::V1, Transport::Stream, inet, Peer::Unix), unknown);
    assert_eq!(write(ProxyVersion::V1, Transport::Datagram, inet, inet), unknown);
    let header = write(ProxyVersion::V2, Transport::Stream, Peer::Unix, Peer::Unix);
    assert_eq!(header, v2(0x21, 0, b""));
    let header = write(ProxyVersion::V2, Transport::Datagram, inet, inet);
    assert_eq!(header[12..16], [0x21, 0x12, 0, 12]);
}

#[test]
fn ends_of_two_families_are_written_as_ipv6() {
    let v4 = Peer::Inet("192.0.2.1:1".parse().unwrap());
    let v6 = Peer::Inet("[2001:db8::1]:2".parse().unwrap());
    let mapped = Peer::Inet("[::ffff:192.0.2.1]:1".parse().unwrap());
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let claim = |a, b| {
            let mut out = Vec::new();
            write_header(&mut out, version, Transport::Stream, a, b);
            read(&out).unwrap()
        };
        assert_eq!(claim(v4, v6), client("[::ffff:192.0.2.1]:1", "[2001:db8::1]:2"));
        assert_eq!(claim(v6, v4), client("[2001:db8::1]:2", "[::ffff:192.0.2.1]:1"));
        assert_eq!(claim(mapped, v4), client("192.0.2.1:1", "192.0.2.1:1"));
    }
}

fn address() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let v4 =
        (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = (any::<[u8; 16]>(), any::<[u8; 16]>())
        .prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)))
        .prop_filter("a mapped address is IPv4", |(a, b)| {
            a.to_canonical() == *a && b.to_canonical() == *b
        });
    (prop_oneof![v4, v6], any::<(u16, u16)>())
        .prop_map(|((a, b), (c, d))| (SocketAddr::new(a, c), SocketAddr::new(b, d)))
}

proptest! {
    #[test]
    fn what_is_written_reads_back((from, to) in address(), first in any::<bool>()) {
        let version = if first { ProxyVersion::V1 } else { ProxyVersion::V2 };
        let mut out = Vec::new();
        write_header(&mut out, version, Transport::Stream, Peer::Inet(from), Peer::Inet(to));
        prop_assert_eq!(read(&out), Ok(Claim::Client { client: from, server: to }));
    }

    #[test]
    fn a_prefix_never_decides_otherwise(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "PROXY (TCP4|TCP6|UNKNOWN)[ 0-9a-f.:]{0,110}\r?\n?".prop_map(String::into_bytes),
            (any::<(u8, u8)>(), proptest::collection::vec(any::<u8>(), 0..300))
                .prop_map(|((command, family), counted)| v2(0x20 | command & 3, family & 0x33, &counted)),
        ],
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = read_header(&bytes);
        let early = read_header(&bytes[..cut.index(bytes.len() + 1)]);
        prop_assert!(early == Ok(Header::Partial) || early == whole);
        if let Ok(Header::Whole { consumed, .. }) = whole {
            prop_assert!(consumed <= bytes.len() && consumed <= HEADER_BYTES_MAX);
        }
    }
}
