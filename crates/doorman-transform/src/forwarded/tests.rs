use proptest::prelude::*;

use super::*;

fn peer(ip: &str) -> Peer {
    if ip == "unix" { Peer::Unix } else { Peer::Inet((ip.parse::<IpAddr>().unwrap(), 4711).into()) }
}

fn trusted(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 10,
        IpAddr::V6(ip) => ip.segments()[0] == 0xFD00,
    }
}

fn head(fields: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    head.fields.push(b"Host", b"A.example:81");
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.scheme = Scheme::Https;
    head.set_target(b"/").unwrap();
    head
}

fn check(mode: ForwardedMode, from: &str, fields: &[(&str, &str)], expect: &str) {
    let (mut head, peer) = (head(fields), peer(from));
    let trust = trust(&peer, trusted);
    forward(mode, &mut head, &peer, trust);
    let line = |(_, name, value): (_, &[u8], &[u8])| {
        format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
    };
    let got: Vec<_> = head.fields.iter().skip(1).map(line).collect();
    assert_eq!(got.join(" | "), expect, "{mode:?} {from} {fields:?}");
}

const SPOOFED: &[(&str, &str)] = &[
    ("X-Forwarded-For", "127.0.0.1"),
    ("x-forwarded-for", "127.0.0.2"),
    ("X_Forwarded_For", "127.0.0.3"),
    ("X-Forwarded_Proto", "https"),
    ("X.Real.IP", "127.0.0.1"),
    ("X-Forwarded-Host", "evil"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1"),
    ("X-Kept", "1"),
    ("X-Forwarded", "1"),
];

#[test]
fn nobody_writes_our_fields() {
    use ForwardedMode::{Both, Off, Rfc7239, XForwarded};
    const KEPT: &str = "X-Kept=1 | X-Forwarded=1";
    const X: &str =
        "x-forwarded-for=192.0.2.1 | x-forwarded-proto=https | x-forwarded-host=A.example:81";
    const F: &str = "forwarded=for=192.0.2.1;proto=https;host=\"A.example:81\"";
    check(XForwarded, "192.0.2.1", SPOOFED, &format!("{KEPT} | {X}"));
    check(Rfc7239, "192.0.2.1", SPOOFED, &format!("{KEPT} | {F}"));
    check(Both, "192.0.2.1", SPOOFED, &format!("{KEPT} | {F} | {X}"));
    check(Off, "192.0.2.1", SPOOFED, KEPT);
    check(Off, "192.0.2.1", &[], "");
}

#[test]
fn a_trusted_chain_goes_on() {
    use ForwardedMode::{Off, Rfc7239, XForwarded};
    let chain = &[
        ("X-Forwarded-For", "1.1.1.1, bad"),
        ("X-Forwarded-For", "10.0.0.9"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "public.example"),
        ("X-Forwarded-Port", "444"),
        ("X-Real-IP", "1.1.1.1"),
    ][..];
    check(
        XForwarded,
        "10.0.0.1",
        chain,
        "X-Real-IP=1.1.1.1 | x-forwarded-for=1.1.1.1, bad, 10.0.0.9, 10.0.0.1 | \
         x-forwarded-proto=http | x-forwarded-host=public.example | x-forwarded-port=444",
    );
    check(
        Rfc7239,
        "10.0.0.1",
        chain,
        "X-Real-IP=1.1.1.1 | forwarded=for=1.1.1.1, for=unknown, for=10.0.0.9, \
         for=10.0.0.1;proto=https;host=\"A.example:81\"",
    );
    check(
        Rfc7239,
        "fd00::1",
        &[("Forwarded", "for=\"[2001:db8::2]\"")],
        "forwarded=for=\"[2001:db8::2]\", for=\"[fd00::1]\";proto=https;host=\"A.example:81\"",
    );
    check(Off, "10.0.0.1", &[("Forwarded", "for=x")], "Forwarded=for=x");
    // Values that are none are replaced by what is known here.
    check(
        XForwarded,
        "10.0.0.1",
        &[
            ("X-Forwarded-Proto", "http, https"),
            ("X-Forwarded-Host", "a b"),
            ("X-Forwarded-Port", "x"),
        ],
        "x-forwarded-for=10.0.0.1 | x-forwarded-proto=https | x-forwarded-host=A.example:81",
    );
    check(
        XForwarded,
        "unix",
        &[("X-Forwarded-For", "1.1.1.1")],
        "x-forwarded-for=1.1.1.1 | x-forwarded-proto=https | x-forwarded-host=A.example:81",
    );
    check(Rfc7239, "unix", &[], "forwarded=for=unknown;proto=https;host=\"A.example:81\"");
}

#[test]
fn clients() {
    let long = vec!["10.0.0.2"; HOPS_MAX + 5].join(",");
    let far = format!("1.1.1.1,{long}");
    for (from, lines, expect) in [
        ("192.0.2.1", &["1.1.1.1"][..], Some("192.0.2.1")),
        ("::ffff:192.0.2.1", &[], Some("192.0.2.1")),
        ("10.0.0.1", &[], Some("10.0.0.1")),
        ("10.0.0.1", &["1.1.1.1"], Some("1.1.1.1")),
        ("::ffff:10.0.0.1", &["1.1.1.1"], Some("1.1.1.1")),
        ("10.0.0.1", &["9.9.9.9, 1.1.1.1, 10.0.0.7"], Some("1.1.1.1")),
        ("10.0.0.1", &["9.9.9.9", "1.1.1.1", "10.0.0.7"], Some("1.1.1.1")),
        ("10.0.0.1", &["10.0.0.8, 10.0.0.7"], Some("10.0.0.8")),
        ("10.0.0.1", &["1.1.1.1, evil, 10.0.0.7"], Some("10.0.0.7")),
        ("10.0.0.1", &["1.1.1.1, , 10.0.0.7,"], Some("1.1.1.1")),
        ("10.0.0.1", &["1.1.1.1:4000"], Some("1.1.1.1")),
        ("10.0.0.1", &["[2001:db8::2]:4000"], Some("2001:db8::2")),
        ("10.0.0.1", &["[2001:db8::2]"], Some("2001:db8::2")),
        ("10.0.0.1", &["2001:db8::2"], Some("2001:db8::2")),
        ("10.0.0.1", &["::ffff:1.1.1.1"], Some("1.1.1.1")),
        ("10.0.0.1", &["[1.1.1.1]"], Some("10.0.0.1")),
        ("10.0.0.1", &["[2001:db8::2]x"], Some("10.0.0.1")),
        ("10.0.0.1", &["01.1.1.1"], Some("10.0.0.1")),
        ("10.0.0.1", &["unknown"], Some("10.0.0.1")),
        ("10.0.0.1", &[&far], Some("10.0.0.2")),
        ("unix", &["9.9.9.9, 1.1.1.1"], Some("1.1.1.1")),
        ("unix", &[], None),
    ] {
        let fields: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        let head = head(&fields);
        let got = client_ip(&head.fields, &peer(from), trusted);
        assert_eq!(got, expect.map(|ip| ip.parse().unwrap()), "{from} {lines:?}");
    }
}

proptest! {
    /// What a client writes in front of a chain never changes who it is taken for.
    #[test]
    fn no_client_chooses_its_address(spoof in "[ -~]{0,40}", hops in 0usize..4) {
        let chain = format!("{spoof}, 192.0.2.7{}", ", 10.0.0.9".repeat(hops));
        let head = head(&[("X-Forwarded-For", &chain)]);
        let got = client_ip(&head.fields, &peer("10.0.0.1"), trusted);
        prop_assert_eq!(got, "192.0.2.7".parse().ok());
        let direct = client_ip(&head.fields, &peer("192.0.2.8"), trusted);
        prop_assert_eq!(direct, "192.0.2.8".parse().ok());
    }
}
