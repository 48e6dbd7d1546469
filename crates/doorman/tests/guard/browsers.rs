//! What pages of other sites may do.

use doorman_testkit::chromium::{Chromium, HOST};
use doorman_testkit::tls::Authority;

use crate::rig::{FRONTS, House, said};

#[test]
fn preflights_are_answered_and_what_origins_say_of_it_is_replaced() {
    let site =
        "cors https://shop.test { methods GET PUT; headers X-Key; credentials on; max-age 5m }";
    let house = House::before(site, |_| said("Access-Control-Allow-Origin: *\r\n", "fine"));
    for front in FRONTS {
        let asks = [
            ("origin", "https://shop.test"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-key"),
        ];
        let got = house.ask(front, "OPTIONS", "/", &asks, b"");
        assert_eq!(got.status, 204, "{front:?}");
        assert_eq!(got.field("access-control-allow-origin"), Some("https://shop.test"));
        assert_eq!(got.field("access-control-max-age"), Some("300"));
    }
    assert_eq!(house.asked(), 0);
    let got = house.get("/", &[("origin", "https://shop.test")]);
    assert_eq!(got.field("access-control-allow-origin"), Some("https://shop.test"));
    assert_eq!(got.field("access-control-allow-credentials"), Some("true"));
    assert!(got.field("vary").is_some_and(|vary| vary.contains("Origin")), "{got:?}");
    let got = house.get("/", &[("origin", "https://evil.test")]);
    assert_eq!((got.status, got.field("access-control-allow-origin")), (200, None));
}

#[test]
fn pages_of_others_may_change_nothing() {
    let house = House::with("csrf on allow https://friend.test");
    let post = |fields: &[(&str, &str)]| {
        house.ask(crate::rig::Front::H2, "POST", "/", fields, b"x=1").status
    };
    assert_eq!(post(&[]), 200);
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]), 200);
    assert_eq!(post(&[("sec-fetch-site", "cross-site"), ("origin", "https://friend.test")]), 200);
    assert_eq!(post(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")]), 403);
    assert_eq!(post(&[("origin", "https://evil.test")]), 403);
    assert_eq!(house.asked(), 3);
    let evil = [("origin", "https://evil.test")];
    assert_eq!(house.ask(crate::rig::Front::Plain, "POST", "/worse", &evil, b"x=1").status, 403);
    assert!(house.line("/worse").contains("\"end\":\"cross-site\""));
}

#[test]
fn answers_make_browsers_careful() {
    let house =
        House::before("security-headers basic", |_| said("X-Frame-Options: DENY\r\n", "fine"));
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &[], b"");
        assert_eq!(got.field("x-content-type-options"), Some("nosniff"), "{front:?}");
        // What the origin says of its pages stands.
        assert_eq!(got.field("x-frame-options"), Some("DENY"));
        let tls = front != crate::rig::Front::Plain;
        assert_eq!(got.field("strict-transport-security").is_some(), tls, "{front:?}");
    }
}

#[test]
fn whoever_asks_for_a_page_pays_first_and_programs_do_not() {
    let house = House::with("challenge always { difficulty 8; no-script on }");
    let page = [("accept", "text/html,*/*;q=0.8"), ("user-agent", "Mozilla/5.0 (X11) Story")];
    for front in FRONTS {
        let got = house.ask(front, "GET", "/", &page, b"");
        assert_eq!(got.status, 403, "{front:?}");
        assert_eq!(got.field("cache-control"), Some("no-store"));
        assert!(String::from_utf8_lossy(&got.body).contains("<noscript>"), "{front:?}");
    }
    assert_eq!(house.asked(), 0);
    assert!(house.line("/").contains("\"end\":\"challenged\""));
    assert_eq!(house.get("/", &[("accept", "application/json")]).status, 200);
    let wrong = [page[0], page[1], ("cookie", "doorman-proof=a.1")];
    assert_eq!(house.get("/", &wrong).status, 403);
}

/// A browser does the work, gets its cookie, and is let in; what a program would send without it is not.
#[test]
fn a_browser_pays_and_is_let_in() {
    let house = House::with("challenge always { difficulty 10 }");
    // It shows no certificate here: any will do.
    let certificate = Authority::new().issue(&[HOST]).certificate_pem;
    let url = format!("http://{HOST}:{}/page", house.plain.port());
    let _page = Chromium::believing(&certificate).open(&url);
    let line = house.process.wait_for_words("\"path\":\"/page\"");
    assert!(line.contains("\"end\":\"challenged\""), "{line}");
    let line =
        house.process.wait_for_words("\"path\":\"/page\",\"proto\":\"HTTP/1.1\",\"status\":200");
    assert!(line.contains("Mozilla/5.0"), "{line}");
}
