//! Files are made here, by the format's description; nothing is taken from those of others.

#![expect(clippy::cast_possible_truncation, reason = "the tests' own numbers are small")]

use proptest::prelude::*;

use super::*;

mod write;

pub(crate) use write::{Data, Database, database, map, number, text};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn country(code: &str) -> Data {
    map(vec![
        ("continent", text(&[("code", &[("", "EU")])])),
        ("country", map(vec![("geoname_id", number(77)), ("iso_code", Data::Text(code.into()))])),
        ("registered_country", text(&[("iso_code", &[("", "ZZ")])])),
    ])
}

fn asn(asn: u64) -> Data {
    map(vec![
        ("autonomous_system_number", number(asn)),
        ("autonomous_system_organization", Data::Text("Example".into())),
    ])
}

#[test]
fn countries_of_addresses() {
    let networks = [
        ("192.0.2.0/24", country("DE")),
        ("198.51.100.7/32", country("FR")),
        ("0.0.0.0/8", country("JP")),
        ("2001:db8::/33", country("SE")),
        ("2001:db8:8000::/128", country("DE")),
    ];
    for size in [24, 28, 32] {
        let file = database(6, size, &networks);
        let countries = Countries::open(&file).unwrap();
        for (asked, expect) in [
            ("192.0.2.0", Some("DE")),
            ("192.0.2.255", Some("DE")),
            ("::ffff:192.0.2.9", Some("DE")),
            ("2002:c000:0209::1", Some("DE")),
            ("192.0.1.255", None),
            ("192.0.3.0", None),
            ("198.51.100.6", None),
            ("198.51.100.7", Some("FR")),
            ("198.51.100.8", None),
            ("0.1.2.3", Some("JP")),
            ("::1.2.3.4", None),
            ("::192.0.2.1", None),
            ("2001:db8::", Some("SE")),
            ("2001:db8:7fff:ffff::1", Some("SE")),
            ("2001:db8:8000::", Some("DE")),
            ("2001:db8:8000::1", None),
            ("ffff::", None),
        ] {
            let found = countries.country(ip(asked));
            assert_eq!(
                found,
                expect.map(|code| code.as_bytes().try_into().unwrap()),
                "{asked} {size}"
            );
        }
        assert_eq!(countries.about(), &About { kind: "Test".into(), built: 1_700_000_000 });
        assert!((1..4_096).contains(&countries.bytes()));
    }
}

#[test]
fn files_of_ipv4_alone() {
    let file = database(4, 24, &[("192.0.2.0/24", country("DE"))]);
    let countries = Countries::open(&file).unwrap();
    assert_eq!(countries.country(ip("192.0.2.1")), Some(*b"DE"));
    assert_eq!(countries.country(ip("193.0.2.1")), None);
    assert_eq!(countries.country(ip("2001:db8::")), None);
}

#[test]
fn addresses_of_ipv4_in_other_clothes() {
    // As in the files that are published: other prefixes lead to the node of ::/96.
    let mut file =
        Database::new(6, &[("192.0.2.0/24", country("DE")), ("2001:db8::/32", country("FR"))]);
    file.alias("::ffff:0:0/96");
    file.alias("2002::/16");
    file.alias("2001::/32");
    let countries = Countries::open(&file.write(28)).unwrap();
    assert_eq!(countries.country(ip("::ffff:192.0.2.1")), Some(*b"DE"));
    assert_eq!(countries.country(ip("2002:c000:201::")), Some(*b"DE"));
    assert_eq!(countries.country(ip("2001:0:c000:201::")), None);
    assert_eq!(countries.country(ip("2001:db8::")), Some(*b"FR"));
}

#[test]
fn forms_of_records() {
    let flat = |name, value: &str| text(&[(name, &[("", value)])]);
    for (data, expect) in [
        (flat("country", "de"), Some(*b"DE")),
        (flat("country_code", "FR"), Some(*b"FR")),
        (
            map(vec![
                ("country", Data::Text("Germany".into())),
                ("country_code", Data::Text("DE".into())),
            ]),
            Some(*b"DE"),
        ),
        (flat("country", "Germany"), None),
        (flat("country", "1\u{0}"), None),
        (map(vec![]), None),
        (number(1), None),
    ] {
        let file =
            database(6, 24, &[("192.0.2.0/24", data.clone()), ("198.51.100.0/24", country("SE"))]);
        let countries = Countries::open(&file).unwrap();
        assert_eq!(countries.country(ip("192.0.2.1")), expect, "{data:?}");
    }
    for (data, expect) in [
        (asn(64_496), Some(64_496)),
        (asn(u64::from(u32::MAX)), Some(u32::MAX)),
        (asn(1 << 32), None),
        (asn(0), None),
        (flat("asn", "AS64496"), Some(64_496)),
        (flat("asn", "64496"), Some(64_496)),
        (flat("asn", "none"), None),
        (map(vec![("traits", asn(7))]), Some(7)),
        (country("DE"), None),
    ] {
        let file = database(6, 24, &[("192.0.2.0/24", data.clone()), ("198.51.100.0/24", asn(1))]);
        let networks = Networks::open(&file).unwrap();
        assert_eq!(networks.asn(ip("192.0.2.1")), expect, "{data:?}");
    }
}

#[test]
fn values_of_every_size() {
    for len in [0, 28, 29, 284, 285, 65_820, 65_821, 70_000] {
        let name = Data::Text("x".repeat(len));
        let others = Data::Array(vec![
            Data::Double(1.5),
            Data::Boolean(true),
            Data::Bytes(vec![0; 300]),
            Data::Signed(-1),
            Data::Wide(1),
            Data::Float(0.5),
            number(u64::MAX),
        ]);
        let data = map(vec![
            ("a", name),
            ("b", others),
            ("country", text(&[("iso_code", &[("", "DE")])])),
        ]);
        let file = database(6, 24, &[("192.0.2.0/24", data)]);
        assert_eq!(Countries::open(&file).unwrap().country(ip("192.0.2.1")), Some(*b"DE"), "{len}");
    }
}

#[test]
fn pointers_of_every_size() {
    // What is pointed to lies behind so many bytes.
    for before in [0, 2_040, 2_049, 526_330, 526_340] {
        let mut file = Database::new(6, &[("192.0.2.0/24", map(vec![("country", Data::Pointer)]))]);
        file.shared = Some((before, text(&[("iso_code", &[("", "DE")])])));
        let countries = Countries::open(&file.write(28)).unwrap();
        assert_eq!(countries.country(ip("192.0.2.1")), Some(*b"DE"), "{before}");
    }
    let mut file = Database::new(6, &[("192.0.2.0/24", map(vec![("country", Data::Pointer)]))]);
    file.shared = Some((0, Data::Pointer));
    let error = Countries::open(&file.write(28)).unwrap_err();
    assert!(matches!(error, GeoError::Broken("a pointer to a pointer", _)), "{error:?}");
}

#[test]
fn files_that_are_none() {
    let good = database(6, 24, &[("192.0.2.0/24", country("DE"))]);
    let check = |bytes: &[u8], expect: &str| {
        let error = Countries::open(bytes).unwrap_err().to_string();
        assert!(error.contains(expect), "{error} / {expect}");
    };
    check(b"", "is empty; fetch it again");
    check(b"x", "cut or of another kind; fetch");
    check(&good[..good.len() / 2], "cut or of another kind; fetch");
    check(b"\x1F\x8B\x08 and so on", "packed with gzip; unpack it");
    check(b"PK\x03\x04 and so on", "packed with zip; unpack it");
    check(b"<!DOCTYPE html>", "a page of HTML");
    check(&b"network,geoname_id\n".repeat(99), "it is text; give the .mmdb");
    // The midst is missing, the end is there.
    check(&[&good[..60], &good[good.len() - 250..]].concat(), "the file is ");
    let asns = database(6, 24, &[("192.0.2.0/24", asn(64_496))]);
    check(
        &asns,
        "of kind \"Test\", knows no country of any address; give a file of them to `geo country`",
    );
    let error = Networks::open(&good).unwrap_err().to_string();
    assert!(
        error.contains("knows no network of any address; give a file of them to `geo asn`"),
        "{error}"
    );
    for (name, value, expect) in [
        ("binary_format_major_version", 3, "version 3 of the format"),
        ("record_size", 25, "records are not of"),
        ("ip_version", 5, "neither of IPv4 nor of IPv6"),
        ("node_count", 0, "no number of nodes"),
        ("node_count", 1 << 20, "its tree alone takes 6291456 bytes"),
    ] {
        let mut file = Database::new(6, &[("192.0.2.0/24", country("DE"))]);
        file.claim = Some((name, value));
        check(&file.write(24), expect);
    }
}

#[test]
fn trees_with_loops() {
    let mut file = Database::new(4, &[("192.0.2.0/24", country("DE"))]);
    file.nodes[0][0] = write::Record::Node(0);
    let error = Countries::open(&file.write(24)).unwrap_err();
    assert!(matches!(error, GeoError::Broken(..)), "{error:?}");
    // Each node leads to the next one twice: the paths are as many as there are addresses.
    let mut file = Database::new(4, &[("192.0.2.0/32", country("DE"))]);
    for at in 0..31 {
        file.nodes[at] = [write::Record::Node(at + 1); 2];
    }
    let error = Countries::open(&file.write(24)).unwrap_err();
    assert!(matches!(error, GeoError::Broken("a tree with loops", _)), "{error:?}");
}

#[test]
fn no_part_of_a_file_is_one() {
    let networks = [("192.0.2.0/24", country("DE")), ("2001:db8::/32", country("FR"))];
    let good = database(6, 28, &networks);
    for end in 0..good.len() {
        assert!(Countries::open(&good[..end]).is_err(), "{end}");
    }
    for start in 1..good.len() {
        assert!(Countries::open(&good[start..]).is_err(), "{start}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_known_is_the_longest_prefix(
        networks in prop::collection::vec((any::<u16>(), 0_u32..=16, 1_u64..6), 1..40),
        six in any::<bool>(),
        size in prop::sample::select(vec![24_u16, 28, 32]),
        asked in prop::collection::vec(any::<u16>(), 30),
    ) {
        // Sixteen bits of an address are used: networks touch and lie within each other.
        let address = |bits: u16| -> IpAddr {
            if six {
                Ipv6Addr::from_bits(u128::from(bits) << 80 | 0x2001 << 112).into()
            } else {
                [192, 0, (bits >> 8) as u8, bits as u8].into()
            }
        };
        let mut sorted = networks.clone();
        sorted.sort_by_key(|(_, length, _)| *length);
        let mut file = Database::new(6, &[]);
        let mut model = vec![0_u64; 1 << 16];
        for (bits, length, value) in sorted {
            let base = if length == 0 { 0 } else { bits >> (16 - length) << (16 - length) };
            file.insert(address(base), length as u8 + if six { 32 } else { 16 }, asn(value));
            let base = usize::from(base);
            model[base..base + (1 << (16 - length))].fill(value);
        }
        let networks = Networks::open(&file.write(size)).unwrap();
        for bits in asked {
            let expect = model[usize::from(bits)];
            prop_assert_eq!(networks.asn(address(bits)).map_or(0, u64::from), expect);
        }
    }

    #[test]
    fn bytes_that_are_changed_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = database(6, 24, &[("192.0.2.0/24", country("DE")), ("2001:db8::/32", country("FR"))]);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(countries) = Countries::open(&file) {
            for asked in ["192.0.2.1", "2001:db8::", "0.0.0.0", "255.255.255.255", "ffff::"] {
                let _ = countries.country(ip(asked));
            }
        }
        let _ = Networks::open(&file);
    }
}
