//! Secrets that the length of a coded answer could give away (RXC-23).

use std::collections::BTreeSet;

use doorman_testkit::origin::Seen;

use crate::decode::CODINGS;
use crate::rig::{FRONTS, House, page, text};

const LENGTH: usize = 9_000;

fn by_path(seen: &Seen) -> doorman_testkit::origin::Script {
    let cookie = if seen.target() == "/cookie" { "Set-Cookie: session=1\r\n" } else { "" };
    page(cookie, text(1, LENGTH))
}

#[test]
fn rxc_23_answers_with_secrets_are_not_coded_unless_that_is_wanted() {
    let authorization = ("authorization", "Bearer secret");
    for (site, careful) in [
        ("compress", true),
        ("compress { breach careful }", true),
        ("compress { breach off }", false),
        ("compress { breach pad 64B }", false),
    ] {
        let house = House::with(site, by_path);
        let secret = if careful { "identity" } else { "gzip" };
        for front in FRONTS {
            let gzip = ("accept-encoding", "gzip");
            house.ask(front, "GET", "/", &[gzip]).is("gzip", &text(1, LENGTH));
            house.ask(front, "GET", "/cookie", &[gzip]).is(secret, &text(1, LENGTH));
            house.ask(front, "GET", "/", &[gzip, authorization]).is(secret, &text(1, LENGTH));
        }
        if careful {
            house.process.wait_for_times("\"code_reason\":\"secret\"", 8);
        }
    }
}

#[test]
fn rxc_23_padding_makes_equal_answers_differ_in_length() {
    const PAD: usize = 64;
    let plain = House::with("compress", by_path);
    let padded = House::with("compress { breach pad 64B }", by_path);
    for coding in CODINGS {
        let length = |house: &House| {
            let got = house.taking("/", coding);
            got.is(coding, &text(1, LENGTH));
            got.body.len()
        };
        let exact = length(&plain);
        assert_eq!(length(&plain), exact, "{coding}");
        let lengths: BTreeSet<usize> = (0..40).map(|_| length(&padded)).collect();
        assert!(lengths.len() >= 8, "{coding}: {lengths:?}");
        // The padding has a frame of its own, of a few bytes.
        let all = exact..=exact + PAD + 16;
        assert!(lengths.iter().all(|length| all.contains(length)), "{coding} {exact}: {lengths:?}");
    }
}
