//! Who somebody is.

use doorman_testkit::origin::{Script, Seen};

use crate::rig::{FRONTS, House, said};

/// `open sesame`, by SHA-512-crypt.
const HASH: &str = "$6$doorman1$kZKTo0wSzFSbdl/wOUxUumYgDW7TGlh5piSlEvgpnRFiGusVctkN9Pk9IBp8ZUxx3Daqy/9oj7I2vN5Zl.7D9.";
/// SHA-256 of `key-of-the-shop`.
const KEY: &str = "d0ddc66349f3b4f5e52d479167db0408480e105b7813f91ffc99be06f9c63ffb";
/// A secret of tokens, and tokens that are signed with it until 2100.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ADA: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoic2hvcCIsInN1YiI6ImFkYSIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6WyJyZWFkZXIiLCJ3cml0ZXIiXX0.HJMIlwHraP5BHQILbmJmhRYxGSm-TtSzm26oMijQOo4";
const BOB: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoic2hvcCIsInN1YiI6ImJvYiIsImV4cCI6NDEwMjQ0NDgwMCwicm9sZSI6Imd1ZXN0In0.P2vy25Ee-TX7uv4IjfjNXv2HBAgXIMGyf0XJ32JaNAQ";
const OLD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoic2hvcCIsInN1YiI6Im9sZCIsImV4cCI6MTAwMDAwMDAwMCwicm9sZSI6InJlYWRlciJ9.MuH-e4umASWqE0JDPNMu7ghJpeIrwfU4pElVFMy4hDc";
const NONE: &str = "eyJhbGciOiAibm9uZSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pc3N1ZXIudGVzdCIsICJhdWQiOiAic2hvcCIsICJzdWIiOiAiZXZlIiwgImV4cCI6IDQxMDI0NDQ4MDB9.";

/// Says what the origin was told of who asks.
fn told(seen: &Seen) -> Script {
    let all =
        ["x-auth-user", "x-user", "x_user", "x-api-client"].map(|name| seen.all(name).join("|"));
    said("", all.join(","))
}

/// `alice:open sesame` and `alice:open barley`, as browsers send them.
const RIGHT: &str = "Basic YWxpY2U6b3BlbiBzZXNhbWU=";
const WRONG: &str = "Basic YWxpY2U6b3BlbiBiYXJsZXk=";

#[test]
fn names_and_passwords_let_in_by_every_wire_and_origins_hear_the_name_from_us_alone() {
    let house = House::before(&format!("basic-auth user alice '{HASH}' realm Office"), told);
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[], b"");
        assert_eq!(got.status, 401, "{front:?}");
        let asks = got.field("www-authenticate").expect("a challenge");
        assert!(asks.starts_with("Basic realm=\"Office\""), "{asks}");
        assert_eq!(house.ask(front, "GET", "/", &[("authorization", WRONG)], b"").status, 401);
        let fields = [("authorization", RIGHT), ("x-auth-user", "root"), ("x_auth_user", "root")];
        let got = house.ask(front, "GET", "/", &fields, b"");
        assert_eq!((got.status, got.body.as_slice()), (200, &b"alice,,,"[..]), "{front:?}");
    }
    assert_eq!(house.asked(), FRONTS.len());
    // Two cores write what they refuse in no order.
    let line = house.process.wait_for_words("no-credentials");
    assert!(line.contains("\"end\":\"unauthorized\""), "{line}");
}

#[test]
fn keys_are_taken_from_fields_and_queries_and_go_no_further() {
    let site =
        format!("api-key header X-Api-Key query key key shop sha256:{KEY} forward X-Api-Client");
    let house = House::before(&site, |seen| {
        let target = seen.target().to_owned();
        said("", format!("{} {target}", seen.all("x-api-client").join("|")))
    });
    assert_eq!(house.get("/", &[]).status, 401);
    assert_eq!(house.get("/", &[("x-api-key", "another")]).status, 401);
    let got = house.get("/a?b=1", &[("x-api-key", "key-of-the-shop")]);
    assert_eq!((got.status, got.body.as_slice()), (200, &b"shop /a?b=1"[..]));
    let got = house.get("/a?b=1&key=key-of-the-shop&c=2", &[]);
    assert_eq!((got.status, got.body.as_slice()), (200, &b"shop /a?b=1&c=2"[..]));
    let both = [("x-api-key", "key-of-the-shop")];
    assert_eq!(house.get("/?key=key-of-the-shop", &both).status, 400);
}

/// A site that wants tokens of a role.
fn tokens() -> String {
    format!(
        "jwt secret {SECRET} issuer https://issuer.test audience shop algorithms HS256 claim role reader forward sub X-User"
    )
}

#[test]
fn tokens_let_in_whom_their_claims_let_in() {
    let house = House::before(&tokens(), told);
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        let got = house.get("/", &[("authorization", &bearer), ("x-user", "root")]);
        let asks = got.field("www-authenticate").unwrap_or_default().to_owned();
        (got.status, String::from_utf8_lossy(&got.body).into_owned(), asks)
    };
    // The second is known already.
    for _ in 0..2 {
        let (status, body, _) = ask(ADA);
        assert_eq!((status, body.as_str()), (200, ",ada,,"));
    }
    let (status, _, asks) = ask(BOB);
    assert_eq!(status, 403);
    assert!(asks.contains("insufficient_scope"), "{asks}");
    for bad in [OLD, NONE, &ADA[..ADA.len() - 2], "a.b.c", ""] {
        let (status, _, asks) = ask(bad);
        assert_eq!(status, 401, "{bad}");
        assert!(asks.starts_with("Bearer"), "{asks}");
    }
    assert_eq!(house.asked(), 2);
}

#[test]
fn one_of_several_ways_suffices_and_limits_may_count_by_who_it_is() {
    let site = format!("{}\napi-key key shop sha256:{KEY}\nlimit 2/h burst 2 per user", tokens());
    let house = House::before(&site, told);
    let bearer = format!("Bearer {ADA}");
    let ada = || house.get("/", &[("authorization", &bearer)]).status;
    let shop = || house.get("/", &[("x-api-key", "key-of-the-shop")]).status;
    assert_eq!([ada(), ada(), ada()], [200, 200, 429]);
    assert_eq!([shop(), shop(), shop()], [200, 200, 429]);
}

#[test]
fn guessing_is_a_sign_that_bans() {
    let house = House::with("");
    house.configure(&format!(
        "basic-auth user alice '{HASH}'\nban 3 within 1m for 1h on auth-failure"
    ));
    house.reload(" is in force");
    // A client that has not been asked yet gives no sign.
    for _ in 0..4 {
        assert_eq!(house.get("/", &[]).status, 401);
    }
    for _ in 0..3 {
        assert_eq!(house.get("/", &[("authorization", WRONG)]).status, 401);
    }
    crate::bans::await_ban(&house);
    assert_eq!(house.get("/", &[("authorization", RIGHT)]).status, 403);
}

#[test]
fn what_somebody_may_see_is_kept_for_nobody_else() {
    const OTHER: &str = "5bd955e165d4e6c8cff8fd2cf2dd1d072a0547f1457bb9151e89165088e1f0a8";
    let site = format!(
        "store s {{ memory 8MiB }}\n---\ncache s ttl 1h\n\
         api-key key shop sha256:{KEY} key other sha256:{OTHER} forward X-Api-Client"
    );
    let house = House::before(&site, |seen| {
        said("Cache-Control: max-age=600\r\n", seen.all("x-api-client").join("|"))
    });
    let ask = |key| {
        let got = house.get("/page", &[("x-api-key", key)]);
        (got.status, String::from_utf8_lossy(&got.body).into_owned())
    };
    assert_eq!(ask("key-of-the-shop"), (200, "shop".to_owned()));
    assert_eq!(ask("key-of-another"), (200, "other".to_owned()));
    assert_eq!(house.get("/page", &[]).status, 401);
    assert_eq!(house.asked(), 2);
}
