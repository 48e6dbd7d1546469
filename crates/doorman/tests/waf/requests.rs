//! Heads of requests before rules.

use crate::rig::{FRONTS, Front, House, said};

const OWN: &str = "waf starter rules own.conf";

#[test]
fn an_attack_is_refused_and_the_origin_never_hears_of_it() {
    let house = House::with(OWN);
    for front in FRONTS {
        let got = house.ask(front, "GET", "/x?q=an+attack", &[], b"");
        assert_eq!(got.status, 403, "{front:?}");
        let got = house.ask(front, "GET", "/x", &[("x-probe", "attack")], b"");
        assert_eq!(got.status, 403, "{front:?}");
        // What the built-in rules find without help.
        let sqli =
            "/x?id=1%27%20or%20%271%27%3D%271%27%20union%20select%20password%20from%20users--";
        assert_eq!(house.ask(front, "GET", sqli, &[], b"").status, 403, "{front:?}");
    }
    assert_eq!(house.asked(), 0);
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/x?q=kind", &[], b"").status, 200, "{front:?}");
    }
    assert_eq!(house.asked(), 4);
}

#[test]
fn a_mode_that_detects_lets_pass_and_tells() {
    let house = House::with("waf starter mode detect rules own.conf");
    for front in FRONTS {
        let path = format!("/{front:?}");
        let got = house.ask(front, "GET", &format!("{path}?q=attack"), &[], b"");
        assert_eq!(got.status, 200, "{front:?}");
        let line = house.line(&path);
        assert!(
            line.contains("\"waf\":\"detect\"") && line.contains("\"waf_rules\":[100"),
            "{line}"
        );
    }
    assert_eq!(house.asked(), 4);
    assert_eq!(house.metric("doorman_waf_rule_matches_total{rule=\"100\"}"), 4.0);
}

#[test]
fn a_rule_says_its_status_and_the_page_is_the_house_s() {
    let house = House::with(&format!("{OWN}\nerror-page 418 respond \"short and stout\""));
    let got = house.get("/pot", &[("x-teapot", "1")]);
    assert_eq!((got.status, &*got.body), (418, &b"short and stout"[..]));
    let got = house.get("/else", &[("x-elsewhere", "1")]);
    assert_eq!((got.status, got.field("location")), (302, Some("https://elsewhere.test/why")));
    let got = house.get("/plain?q=attack", &[("accept", "application/json")]);
    assert_eq!(got.status, 403);
    assert!(String::from_utf8_lossy(&got.body).contains(got.field("x-request-id").unwrap_or("?")));
    assert_eq!(house.asked(), 0);
    let line = house.line("/plain");
    assert!(line.contains("\"end\":\"waf-block\"") && line.contains("rule 100"), "{line}");
}

#[test]
fn routes_have_levels_of_their_own() {
    let site = "route /strict/* { waf starter level 2; proxy web }\n\
                route /off/* { waf off; proxy web }\n\
                waf starter\nproxy web";
    let house = House::with(site);
    let probe = [("x-original-url", "/admin")];
    assert_eq!(house.get("/lax", &probe).status, 200);
    assert_eq!(house.get("/strict/x", &probe).status, 403);
    assert_eq!(house.get("/strict/x", &[]).status, 200);
    let sqli = "?id=1%27%20union%20select%20password%20from%20users--";
    assert_eq!(house.get(&format!("/lax{sqli}"), &[]).status, 403);
    assert_eq!(house.get(&format!("/off/x{sqli}"), &[]).status, 200);
    let line = house.line("/off/x");
    assert!(!line.contains("\"waf"), "{line}");
}

#[test]
fn what_is_excluded_is_not_looked_at_and_nothing_else() {
    let site = "route /search/* { waf exclude 100 arg q; proxy web }\n\
                route /by-path/* { waf exclude 100 arg q path /by-path/free/* method GET; proxy web }\n\
                waf starter rules own.conf\nproxy web";
    let house = House::with(site);
    let status = |target: &str| house.get(target, &[]).status;
    assert_eq!(status("/search/x?q=attack"), 200);
    assert_eq!(status("/search/x?p=attack"), 403);
    assert_eq!(status("/other?q=attack"), 403);
    assert_eq!(status("/by-path/free/x?q=attack"), 200);
    assert_eq!(status("/by-path/bound/x?q=attack"), 403);
    let head = house.ask(Front::Plain, "DELETE", "/by-path/free/x?q=attack", &[], b"");
    assert_eq!(head.status, 403);
}

#[test]
fn what_is_stored_is_not_served_to_an_attack() {
    let site = "store s { memory 64MiB }\n---\ncache s ttl 1h\nwaf starter rules own.conf";
    let house = House::before(site, |_| said("Cache-Control: max-age=600\r\n", "stored"));
    assert_eq!(house.get("/page", &[]).status, 200);
    assert_eq!(house.get("/page", &[]).status, 200);
    assert_eq!(house.asked(), 1);
    let got = house.get("/page", &[("x-probe", "attack")]);
    assert_eq!(got.status, 403);
    assert_ne!(got.body, b"stored");
    assert_eq!(house.asked(), 1);
}

#[test]
fn rules_see_what_was_sent_by_every_wire() {
    let rules = r#"
SecRule REQUEST_PROTOCOL "@streq HTTP/1.1" "id:110,phase:1,pass,log,msg:'one'"
SecRule REQUEST_PROTOCOL "@streq HTTP/2.0" "id:111,phase:1,pass,log,msg:'two'"
SecRule REQUEST_PROTOCOL "@streq HTTP/3.0" "id:112,phase:1,pass,log,msg:'three'"
SecRule REQUEST_URI_RAW "@rx ^/a/\.\./[A-Z0-9a-z]+\?x=%41$" "id:113,phase:1,pass,log,msg:'target'"
SecRule REQUEST_HEADERS:Host "@beginsWith localhost:" "id:114,phase:1,pass,log,msg:'host'"
SecRule REQUEST_COOKIES:two "@streq 2" "id:115,phase:1,pass,log,msg:'cookie'"
SecRule &REQUEST_HEADERS:Cookie "@eq 1" "id:116,phase:1,pass,log,msg:'joined'"
SecRule REQUEST_HEADERS:Content-Length "@streq 3" "id:117,phase:1,pass,log,msg:'length'"
SecRule REQUEST_LINE "@rx ^POST /a/\.\./[A-Z0-9a-z]+\?x=%41 HTTP/" "id:118,phase:1,pass,log,msg:'line'"
"#;
    let house = House::with("waf starter mode detect");
    house.write("probe.conf", rules);
    house.configure("waf starter mode detect rules probe.conf");
    house.reload(" is in force");
    for (front, version) in
        [(Front::Plain, 110), (Front::H1, 110), (Front::H2, 111), (Front::H3, 112)]
    {
        let target = format!("/a/../{front:?}?x=%41");
        let mut fields =
            vec![("cookie", "one=1"), ("cookie", "two=2"), ("content-type", "text/plain")];
        if matches!(front, Front::H2 | Front::H3) {
            fields.push(("content-length", "3"));
        }
        let got = house.ask(front, "POST", &target, &fields, b"abc");
        assert_eq!(got.status, 200, "{front:?}");
        for rule in [version, 113, 114, 115, 116, 117, 118] {
            let path = format!("\"rule\":{rule},");
            house.told(&format!("/{front:?}"), &path);
        }
    }
}
