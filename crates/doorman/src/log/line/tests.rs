use super::*;

fn line() -> Line<'static> {
    Line {
        unix_nanos: 1_700_000_000_123_000_000,
        request_id: b"018bcfe5-687b-7000-8000-000000000001",
        place: Some(("shop.example", "/api/*")),
        client: Some([203, 0, 113, 9].into()),
        head: Some(Head {
            method: b"GET",
            host: b"shop.example",
            path: b"/api/orders",
            query: Some(b"q=1"),
            version: "HTTP/1.1",
            agent: Some(b"curl/8"),
            referer: None,
        }),
        status: 200,
        bytes_in: 0,
        bytes_out: 1234,
        connect_micros: Some(40),
        answer_micros: Some(2960),
        total_micros: 3456,
        end: End::Ok,
        detail: None,
        server: Some(("api", "one", 1)),
        sticky: Some("hit"),
        cached: None,
        coded: None,
        kept_coding: None,
        decoded: None,
        code_reason: None,
        optimized: None,
        optimize_reason: None,
        inspected: None,
        hinted: 0,
        again: &[],
        waited_micros: 0,
        tls: Some("TLSv1.3"),
        early: true,
        client_cert: Some("CN=ann"),
        anomaly: None,
        user: Some("ann"),
    }
}

fn check(line: &Line<'_>, look: Look, expect: &str) {
    let mut out = Vec::new();
    line.write(look, &mut Stamp::default(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("{expect}\n"), "{look:?}");
}

#[test]
fn a_line_of_each_format() {
    let whole = line();
    check(
        &whole,
        Look::Json,
        concat!(
            r#"{"time":"2023-11-14T22:13:20.123Z","request_id":"018bcfe5-687b-7000-8000-000000000001","#,
            r#""site":"shop.example","route":"/api/*","client":"203.0.113.9","method":"GET","#,
            r#""host":"shop.example","path":"/api/orders","query":"q=1","proto":"HTTP/1.1","#,
            r#""status":200,"bytes_in":0,"bytes_out":1234,"connect_us":40,"answer_us":2960,"#,
            r#""total_us":3456,"end":"ok","upstream":"api","server":"one","attempts":1,"#,
            r#""sticky":"hit","tls":"TLSv1.3","early":true,"client_cert":"CN=ann","user":"ann","user_agent":"curl/8"}"#
        ),
    );
    check(
        &whole,
        Look::Combined,
        r#"203.0.113.9 - - [14/Nov/2023:22:13:20 +0000] "GET /api/orders?q=1 HTTP/1.1" 200 1234 "-" "curl/8""#,
    );
    let pretty = "GET  shop.example/api/orders?q=1  3.4 ms  1234 B  -> api/one";
    check(&whole, Look::Pretty, &format!("22:13:20.123 200 {pretty}"));
    check(&whole, Look::Colourful, &format!("22:13:20.123 \x1b[32m200\x1b[0m {pretty}"));
}

#[test]
fn further_tries_and_waits_are_told() {
    let mut out = Vec::new();
    let again = [Again::Connect, Again::Status(503), Again::Reset];
    let tried = Line { again: &again, waited_micros: 250_000, ..line() };
    tried.write(Look::Json, &mut Stamp::default(), &mut out);
    let text = String::from_utf8(out).unwrap();
    let expect = r#""attempts":1,"sticky":"hit","retries":["connect","503","reset"],"waited_us":250000,"tls""#;
    assert!(text.contains(expect), "{text}");
}

#[test]
fn what_the_cache_did_is_told() {
    for (cached, expect) in [
        (("hit", None), r#""attempts":1,"sticky":"hit","cache":"hit","tls""#),
        (("refused", Some("set-cookie")), r#""cache":"refused","cache_reason":"set-cookie","tls""#),
    ] {
        let mut out = Vec::new();
        let line = Line { cached: Some(cached), ..line() };
        line.write(Look::Json, &mut Stamp::default(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(expect), "{text}");
    }
}

#[test]
fn early_hints_are_told() {
    let mut out = Vec::new();
    let hinted = Line { hinted: 3, ..line() };
    hinted.write(Look::Json, &mut Stamp::default(), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#""sticky":"hit","early_hints":3,"tls""#), "{text}");
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = Line {
        place: None,
        client: None,
        head: None,
        status: 400,
        connect_micros: None,
        answer_micros: None,
        end: End::ClientMalformed,
        detail: Some("bad \"line\""),
        server: None,
        sticky: None,
        tls: None,
        early: false,
        client_cert: None,
        user: None,
        ..line()
    };
    check(
        &bare,
        Look::Json,
        concat!(
            r#"{"time":"2023-11-14T22:13:20.123Z","request_id":"018bcfe5-687b-7000-8000-000000000001","#,
            r#""status":400,"bytes_in":0,"bytes_out":1234,"total_us":3456,"end":"client-malformed","#,
            r#""detail":"bad \"line\""}"#
        ),
    );
    check(&bare, Look::Combined, r#"- - - [14/Nov/2023:22:13:20 +0000] "-" 400 1234 "-" "-""#);
    check(
        &bare,
        Look::Pretty,
        r#"22:13:20.123 400   3.4 ms  1234 B  client-malformed (bad \"line\")"#,
    );
}

/// What a hostile value becomes in JSON, and in the two formats for lines of text.
#[test]
fn nothing_from_the_network_breaks_out_of_its_field() {
    let table: [(&[u8], &str, &str); 14] = [
        (b"plain /a?b=c", "plain /a?b=c", "plain /a?b=c"),
        (b"a\"b", r#"a\"b"#, r#"a\"b"#),
        (b"a\\", r"a\\", r"a\\"),
        (b"a\nGET / 200", r"a\u000aGET / 200", r"a\x0aGET / 200"),
        (b"a\r\n", r"a\u000d\u000a", r"a\x0d\x0a"),
        (b"\0\t", r"\u0000\u0009", r"\x00\x09"),
        (b"\x1b]0;owned\x07", r"\u001b]0;owned\u0007", r"\x1b]0;owned\x07"),
        (b"\x7f", r"\u007f", r"\x7f"),
        ("\u{9b}31m".as_bytes(), r"\u009b31m", r"\xc2\x9b31m"),
        ("é".as_bytes(), "é", r"\xc3\xa9"),
        ("a\u{2028}b\u{2029}".as_bytes(), r"a\u2028b\u2029", r"a\xe2\x80\xa8b\xe2\x80\xa9"),
        ("\u{202e}txt.exe".as_bytes(), r"\u202etxt.exe", r"\xe2\x80\xaetxt.exe"),
        (b"\xff\xfeok", "\u{fffd}\u{fffd}ok", r"\xff\xfeok"),
        (b"half \xe2\x82", "half \u{fffd}", r"half \xe2\x82"),
    ];
    for (value, json, plain) in table {
        let mut out = Vec::new();
        json_text(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), json, "json {value:?}");
        let mut out = Vec::new();
        plain_text(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), plain, "plain {value:?}");
    }
}

#[test]
fn every_byte_everywhere_gives_one_line_that_is_json() {
    for byte in 0..=255u8 {
        let value = [b'a', byte, b'b', byte];
        let mut line = line();
        if let Some(head) = &mut line.head {
            head.method = &value;
            head.host = &value;
            head.path = &value;
            head.query = Some(&value);
            head.agent = Some(&value);
            head.referer = Some(&value);
        }
        for look in [Look::Json, Look::Combined, Look::Pretty] {
            let mut out = Vec::new();
            line.write(look, &mut Stamp::default(), &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.matches(is_risky).count(), 1, "{byte} {look:?}: {text}");
            assert!(text.ends_with('\n'));
            if look == Look::Json {
                let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(read["host"], String::from_utf8_lossy(&value).as_ref(), "{byte}");
            }
        }
    }
}

#[test]
fn long_values_are_cut_between_characters() {
    for lead in 0..5 {
        let value = format!("{}{}", "x".repeat(VALUE_MAX - 4 + lead), "€".repeat(9));
        let mut out = Vec::new();
        json_text(&mut out, value.as_bytes());
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{fffd}') && value.starts_with(&text), "{lead}");
        assert!(text.len() <= VALUE_MAX && text.len() > VALUE_MAX - 4, "{lead}");
    }
    let broken = [0x80u8; VALUE_MAX + 9];
    assert_eq!(cut(&broken).len(), VALUE_MAX);
    let mut out = Vec::new();
    plain_text(&mut out, &[b'a'; VALUE_MAX + 1]);
    assert_eq!(out.len(), VALUE_MAX);
}

#[test]
fn dates() {
    for (seconds, expect, common) in [
        (0, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"),
        (951_782_399, "2000-02-28T23:59:59.000Z", "28/Feb/2000:23:59:59 +0000"),
        (951_782_400, "2000-02-29T00:00:00.000Z", "29/Feb/2000:00:00:00 +0000"),
        (4_107_542_399, "2100-02-28T23:59:59.000Z", "28/Feb/2100:23:59:59 +0000"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z", "01/Mar/2100:00:00:00 +0000"),
        (2_147_483_648, "2038-01-19T03:14:08.000Z", "19/Jan/2038:03:14:08 +0000"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z", "31/Dec/2024:23:59:59 +0000"),
    ] {
        assert_eq!(timestamp(seconds * 1_000_000_000), expect.as_bytes());
        assert_eq!(common_time(seconds * 1_000_000_000), common.as_bytes());
    }
}

#[test]
fn a_stamp_that_is_kept_says_what_a_new_one_says() {
    let mut kept = Stamp::default();
    for nanos in [0, 1_999_999, 999_000_000, 1_000_000_000, 1_700_000_000_123_456_789, 5] {
        assert_eq!(*kept.at(nanos), timestamp(nanos));
    }
}

#[test]
fn numbers_read_as_the_standard_library_writes_them() {
    let powers = (0..20).flat_map(|n| [10u64.pow(n) - 1, 10u64.pow(n), 10u64.pow(n) + 1]);
    for value in powers.chain([42, u64::MAX]).chain((0..100_000_000).step_by(9973)) {
        let mut out = Vec::new();
        number(&mut out, b"=", value);
        assert_eq!(String::from_utf8(out).unwrap(), format!("={value}"));
    }
}
