use std::net::{Ipv4Addr, Ipv6Addr};

use doorman_http::is_field_value;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_795_000_000;

fn settings() -> Settings {
    Settings {
        difficulty: 8,
        ttl: Duration::from_secs(3_600),
        bind: Bind::Client { v4: 32, v6: 64 },
        no_script: Some(Duration::from_secs(10)),
        scope: "shop".into(),
    }
}

fn puzzle_of(change: impl FnOnce(&mut Settings)) -> Puzzle {
    let mut settings = settings();
    change(&mut settings);
    Puzzle::new(Secret::new(&[1; 32]), settings).unwrap()
}

fn puzzle() -> Puzzle {
    puzzle_of(|_| {})
}

const CLIENT: Client<'static> = Client {
    address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    user_agent: b"Browser/1",
    transport: Transport::Tls,
};

fn at(seconds: u64) -> Now {
    Now { unix_nanos: seconds * 1_000_000_000, ..Now::default() }
}

fn cookie(lines: &[String]) -> Fields {
    let mut fields = Fields::new();
    for line in lines {
        fields.push(b"Cookie", line.as_bytes());
    }
    fields
}

fn check(puzzle: &Puzzle, client: &Client<'_>, cookies: &[String], seconds: u64) -> Verdict {
    puzzle.check(client, &cookie(cookies), at(seconds), &[7; 16])
}

fn asked(puzzle: &Puzzle, client: &Client<'_>, cookies: &[String], seconds: u64) -> Ask {
    match check(puzzle, client, cookies, seconds) {
        Verdict::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

fn admitted(verdict: Verdict) -> (Paid, Vec<String>) {
    match verdict {
        Verdict::Admit(paid, cookies) => (paid, cookies),
        other => panic!("{other:?}"),
    }
}

fn token_of(ask: &Ask) -> String {
    let start = ask.page.find("token = \"").unwrap() + 9;
    ask.page[start..].split('"').next().unwrap().to_owned()
}

/// What the script of the page does.
fn solve(token: &str, difficulty: u32) -> String {
    let is_it = |n: &u64| leading_zeros(token.as_bytes(), n.to_string().as_bytes()) >= difficulty;
    format!("{PROOF_COOKIE}={token}.{}", (0..).find(is_it).unwrap())
}

/// What a browser sends back of `Set-Cookie`.
fn sent_back(set: &str) -> String {
    set.split(';').next().unwrap().to_owned()
}

fn clearance_of(puzzle: &Puzzle, client: &Client<'_>, seconds: u64) -> String {
    let proof = solve(&token_of(&asked(puzzle, client, &[], seconds)), 8);
    let (paid, set) = admitted(check(puzzle, client, &[proof], seconds + 1));
    assert_eq!(paid, Paid::Worked);
    sent_back(&set[0])
}

fn passes(puzzle: &Puzzle, client: &Client<'_>, cookies: &[String], seconds: u64) -> bool {
    matches!(check(puzzle, client, cookies, seconds), Verdict::Pass(_))
}

#[test]
fn who_works_comes_in_until_it_expires() {
    let puzzle = puzzle();
    let ask = asked(&puzzle, &CLIENT, &[], NOW);
    assert!(!ask.failed);
    let proof = solve(&token_of(&ask), 8);
    let (paid, set) = admitted(check(&puzzle, &CLIENT, &[format!("a=b; {proof}; c=d")], NOW + 3));
    assert_eq!(paid, Paid::Worked);
    assert!(set[0].starts_with("doorman-clearance="));
    assert!(
        set[0].ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"),
        "{}",
        set[0]
    );
    assert_eq!(set[1], "doorman-proof=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    let clearance = [sent_back(&set[0])];
    assert!(passes(&puzzle, &CLIENT, &clearance, NOW + 3));
    assert!(passes(&puzzle, &CLIENT, &clearance, NOW + 3 + 3_599));
    assert!(!passes(&puzzle, &CLIENT, &clearance, NOW + 3 + 3_600));
    // Among others of its name, however they came there.
    let among = [format!("doorman-clearance=x; {}", clearance[0])];
    assert!(passes(&puzzle, &CLIENT, &among, NOW + 3));
    let behind = [format!("{}{}", "doorman-clearance=x; ".repeat(COOKIES_MAX), clearance[0])];
    assert!(!passes(&puzzle, &CLIENT, &behind, NOW + 3));
}

#[test]
fn what_one_client_has_is_nothing_to_another() {
    let puzzle = puzzle();
    let proof = [solve(&token_of(&asked(&puzzle, &CLIENT, &[], NOW)), 8)];
    let clearance = [clearance_of(&puzzle, &CLIENT, NOW)];
    let moved = |address: Option<IpAddr>| Client { address, ..CLIENT };
    for other in [
        moved(Some(Ipv4Addr::new(192, 0, 2, 2).into())),
        moved(Some(Ipv6Addr::LOCALHOST.into())),
        moved(None),
        Client { user_agent: b"Browser/2", ..CLIENT },
        Client { user_agent: b"", ..CLIENT },
    ] {
        assert!(asked(&puzzle, &other, &proof, NOW + 1).failed, "{other:?}");
        assert!(!asked(&puzzle, &other, &clearance, NOW + 1).failed, "{other:?}");
    }
    // Mapped into IPv6 it is the same client.
    let mapped = moved(Some(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into()));
    assert!(passes(&puzzle, &mapped, &clearance, NOW + 2));
    // For another site, or with another secret, it is nothing either.
    let elsewhere = puzzle_of(|settings| settings.scope = "blog".into());
    assert!(!passes(&elsewhere, &CLIENT, &clearance, NOW + 2));
    let restarted = Puzzle::new(Secret::new(&[2; 32]), settings()).unwrap();
    assert!(!passes(&restarted, &CLIENT, &clearance, NOW + 2));
}

#[test]
fn how_much_of_an_address_counts() {
    let v6 = |text: &str| Client { address: Some(text.parse().unwrap()), ..CLIENT };
    for (bind, from, to, expect) in [
        (Bind::Client { v4: 24, v6: 64 }, "192.0.2.1", "192.0.2.254", true),
        (Bind::Client { v4: 24, v6: 64 }, "192.0.2.1", "192.0.3.1", false),
        (Bind::Client { v4: 0, v6: 0 }, "192.0.2.1", "10.0.0.1", true),
        (Bind::Client { v4: 0, v6: 0 }, "192.0.2.1", "::1", false),
        (Bind::Client { v4: 32, v6: 64 }, "2001:db8::1", "2001:db8::ffff", true),
        (Bind::Client { v4: 32, v6: 64 }, "2001:db8::1", "2001:db8:0:1::1", false),
        (Bind::Client { v4: 32, v6: 128 }, "2001:db8::1", "2001:db8::2", false),
        (Bind::Nobody, "2001:db8::1", "192.0.2.1", true),
    ] {
        let puzzle = puzzle_of(|settings| settings.bind = bind);
        let clearance = [clearance_of(&puzzle, &v6(from), NOW)];
        assert_eq!(passes(&puzzle, &v6(to), &clearance, NOW + 2), expect, "{bind:?} {from} {to}");
    }
}

#[test]
fn what_is_no_solution() {
    let puzzle = puzzle();
    let token = token_of(&asked(&puzzle, &CLIENT, &[], NOW));
    let good = solve(&token, 8);
    let number = good.rsplit('.').next().unwrap();
    let wrong =
        (0u64..).find(|n| leading_zeros(token.as_bytes(), n.to_string().as_bytes()) < 8).unwrap();
    let other = if token.as_bytes()[20] == b'A' { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..20], &token[21..]);
    for (value, seconds) in [
        (format!("{token}.{wrong}"), NOW),
        (format!("{token}."), NOW),
        (format!("{token}.{number}x"), NOW),
        (format!("{token}.+{number}"), NOW),
        (format!("{token}.{number}.{number}"), NOW),
        (format!("{token}.00000000000000000{number}"), NOW),
        (token.clone(), NOW),
        (format!("{}.{number}", &token[1..]), NOW),
        (format!("{token}=.{number}"), NOW),
        (solve(&forged, 8).replace("doorman-proof=", ""), NOW),
        (".1".to_owned(), NOW),
        ("x".repeat(8_000), NOW),
        (format!("{token}.{number}"), NOW + PUZZLE_LIFETIME.as_secs() + 1),
        (format!("{token}.{number}"), NOW - SKEW - 1),
    ] {
        let ask = asked(&puzzle, &CLIENT, &[format!("{PROOF_COOKIE}={value}")], seconds);
        assert!(ask.failed, "{value}");
        assert!(ask.page.contains("failed = true"));
        let cleared = ask.fields.iter().any(|(_, value)| value.starts_with("doorman-proof=; "));
        assert!(cleared, "{value}");
    }
    // Given out while puzzles were easier.
    let harder = puzzle_of(|settings| settings.difficulty = 9);
    assert!(asked(&harder, &CLIENT, std::slice::from_ref(&good), NOW).failed);
    for seconds in [NOW, NOW + PUZZLE_LIFETIME.as_secs(), NOW - SKEW] {
        assert_eq!(
            admitted(check(&puzzle, &CLIENT, std::slice::from_ref(&good), seconds)).0,
            Paid::Worked
        );
    }
}

#[test]
fn one_kind_of_seal_is_not_another() {
    let puzzle = puzzle();
    let token = token_of(&asked(&puzzle, &CLIENT, &[], NOW));
    let clearance = clearance_of(&puzzle, &CLIENT, NOW).replace("doorman-clearance=", "");
    for (name, value) in [
        (CLEARANCE_COOKIE, &token),
        (WAIT_COOKIE, &clearance),
        (PROOF_COOKIE, &clearance),
        (CLEARANCE_COOKIE, &"A".repeat(56)),
    ] {
        let _ = asked(&puzzle, &CLIENT, &[format!("{name}={value}")], NOW + 60);
    }
}

#[test]
fn who_waits_comes_in_for_a_shorter_time() {
    let puzzle = puzzle();
    let ask = asked(&puzzle, &CLIENT, &[], NOW);
    assert!(ask.page.contains("<noscript><meta http-equiv=\"refresh\" content=\"11\"></noscript>"));
    let set = ask.fields.iter().find(|(name, _)| *name == "set-cookie").unwrap();
    let wait = [sent_back(&set.1)];
    // Too early: the time that is left, and no new token, which would start it anew.
    let early = asked(&puzzle, &CLIENT, &wait, NOW + 4);
    assert!(early.page.contains("content=\"7\""));
    assert!(early.fields.iter().all(|(name, _)| *name != "set-cookie"));
    let (paid, set) = admitted(check(&puzzle, &CLIENT, &wait, NOW + 10));
    assert_eq!(paid, Paid::Waited);
    assert!(set[0].contains("; Max-Age=900; "), "{}", set[0]);
    assert!(set[1].starts_with("doorman-wait=; "));
    let clearance = [sent_back(&set[0])];
    assert!(matches!(check(&puzzle, &CLIENT, &clearance, NOW + 10), Verdict::Pass(Paid::Waited)));
    assert!(!passes(&puzzle, &CLIENT, &clearance, NOW + 10 + 900));
    // Nothing of it where it is off, and a token that is too old starts anew.
    let without = puzzle_of(|settings| settings.no_script = None);
    let ask = asked(&without, &CLIENT, &wait, NOW + 10);
    assert!(!ask.page.contains("http-equiv") && ask.page.contains("only be opened with scripts"));
    assert!(ask.fields.iter().all(|(name, _)| *name != "set-cookie"));
    let late = asked(&puzzle, &CLIENT, &wait, NOW + PUZZLE_LIFETIME.as_secs() + 1);
    assert!(late.fields.iter().any(|(name, _)| *name == "set-cookie"));
    // Nor for somebody else.
    let other = Client { user_agent: b"x", ..CLIENT };
    let _ = asked(&puzzle, &other, &wait, NOW + 10);
}

#[test]
fn the_page_stands_alone() {
    let ask = asked(&puzzle(), &CLIENT, &[], NOW);
    assert!(ask.page.len() < 8 * 1024, "{}", ask.page.len());
    for foreign in
        ["http://", "https://", "src=", "href=", "eval(", "new Function", "{nonce}", "{token}"]
    {
        assert!(!ask.page.contains(foreign), "{foreign}");
    }
    for word in ["<noscript>", "aria-live=\"polite\"", "lang=\"en\"", "color-scheme", "difficulty"]
    {
        assert_eq!(ask.page.contains(word), word != "difficulty", "{word}");
    }
    let policy = &ask.fields.iter().find(|(name, _)| *name == "content-security-policy").unwrap().1;
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
    let nonce = policy.split("nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(nonce.len(), 22);
    assert_eq!(ask.page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(ask.page.contains("bits = 8, failed = false"));
    assert!(ask.fields.iter().all(|(_, value)| is_field_value(value.as_bytes())));
    assert!(ask.fields.contains(&("cache-control", "no-store".to_owned())));
    let again = puzzle().check(&CLIENT, &Fields::new(), at(NOW), &[8; 16]);
    let Verdict::Ask(again) = again else { panic!("{again:?}") };
    assert_ne!(token_of(&ask), token_of(&again));
}

#[test]
fn settings_that_make_no_puzzle() {
    let bad = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        Puzzle::new(Secret::new(&[1; 32]), settings).unwrap_err()
    };
    assert_eq!(bad(&|s| s.difficulty = 0), PuzzleError::Difficulty);
    assert_eq!(bad(&|s| s.difficulty = 25), PuzzleError::Difficulty);
    assert_eq!(bad(&|s| s.ttl = Duration::ZERO), PuzzleError::Ttl);
    assert_eq!(bad(&|s| s.ttl = TTL_MAX + Duration::from_secs(1)), PuzzleError::Ttl);
    assert_eq!(bad(&|s| s.no_script = Some(Duration::from_secs(1))), PuzzleError::Wait);
    assert_eq!(bad(&|s| s.no_script = Some(Duration::from_secs(301))), PuzzleError::Wait);
    assert_eq!(bad(&|s| s.bind = Bind::Client { v4: 33, v6: 64 }), PuzzleError::Prefix);
    assert_eq!(bad(&|s| s.bind = Bind::Client { v4: 32, v6: 129 }), PuzzleError::Prefix);
}

#[test]
fn zeros_are_counted_over_bytes() {
    // SHA-256 of "abc" starts with 0xBA.
    assert_eq!(leading_zeros(b"a", b"bc"), 0);
    let most = (0..20_000u32).map(|n| leading_zeros(b"x", n.to_string().as_bytes())).max().unwrap();
    assert!((9..=32).contains(&most), "{most}");
}

proptest! {
    #[test]
    fn no_cookie_panics_or_passes(
        name in prop::sample::select(&[CLEARANCE_COOKIE, PROOF_COOKIE, WAIT_COOKIE][..]),
        value in prop_oneof!["\\PC{0,80}", "[A-Za-z0-9_-]{56}", "[A-Za-z0-9_-]{67}(\\.[0-9]{1,17})?"],
        seconds: u64,
    ) {
        let now = Now { unix_nanos: seconds, ..Now::default() };
        let verdict = puzzle().check(&CLIENT, &cookie(&[format!("{name}={value}")]), now, &[7; 16]);
        prop_assert!(matches!(verdict, Verdict::Ask(_)));
    }
}
