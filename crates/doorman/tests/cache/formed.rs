//! Smaller forms of what is stored: images in other formats and sizes, texts without what nobody reads.
//! They are made beside the requests, so stories ask until one is there.

use doorman_testkit::origin::Script;

use crate::rig::{Ask, FRONTS, Front, Got, House, Setup, fresh, said};

/// What browsers of today send for an image.
const BROWSER: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

const STYLE: &str = "/* a comment */\nbody   {\n    color : red ;\n}\n";

/// An image that shrinks: a slow change of colour, 320 by 200.
fn picture() -> Vec<u8> {
    let (width, height) = (320u32, 200u32);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("what we made ourselves");
    let shade = |at: u32| u8::try_from(at % 251).expect("what we made ourselves");
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| [shade(x + y), shade(x * 2), shade(y * 3 + x * x / 64)])
        .collect();
    writer.write_image_data(&pixels).expect("what we made ourselves");
    writer.finish().expect("what we made ourselves");
    file
}

fn image(fields: &str) -> Script {
    fresh(&format!("Content-Type: image/png\r\nETag: \"p1\"\r\n{fields}"), picture())
}

fn optimizing(options: &str) -> String {
    format!("@CACHE; {options}; proxy web")
}

/// Asks until the answer has this type.
#[track_caller]
fn until_type(house: &House, ask: &Ask, content_type: &str) -> Got {
    until_type_by(house, Front::Plain, ask, content_type)
}

#[track_caller]
fn until_type_by(house: &House, front: Front, ask: &Ask, content_type: &str) -> Got {
    let is_it = |got: &Got| got.field("content-type") == Some(content_type);
    house.until(content_type, || is_it(&house.ask(front, ask)));
    house.ask(front, ask)
}

fn size(webp_or_png: &[u8]) -> (u32, u32) {
    let probe = doorman_optimize::image::Probe::of(webp_or_png).expect("what we made ourselves");
    (probe.width, probe.height)
}

#[test]
fn an_image_is_given_in_a_format_that_the_client_names() {
    let site = optimizing("optimize images { formats webp }");
    let setup = Setup { site: &site, secure: true, ..Setup::default() };
    let house = House::start(&setup, |_, _| image(""));
    let wanted = Ask::get("/p.png").with("accept", BROWSER);
    let first = house.ask(Front::Plain, &wanted);
    assert_eq!(first.field("content-type"), Some("image/png"), "nobody waits for a form");
    assert_eq!(first.field("vary"), Some("Accept"));
    let made = until_type(&house, &wanted, "image/webp");
    assert!(made.body.len() < first.body.len());
    assert_eq!(size(&made.body), (320, 200));
    assert_eq!(made.field("etag"), Some("W/\"p1\""), "CIN-12: other bytes");
    assert_eq!(made.field("vary"), Some("Accept"));
    assert_eq!(made.field("accept-ranges"), None);
    for front in FRONTS {
        // What is asked for by TLS is another resource.
        let got = until_type_by(&house, front, &wanted, "image/webp");
        assert!(got.body == made.body, "{front:?}");
        // Who does not name the format gets the original, by whatever front.
        for accept in ["image/png,*/*", "*/*", "image/webp;q=0"] {
            let got = house.ask(front, &Ask::get("/p.png").with("accept", accept));
            assert!(got.body == first.body, "{front:?} {accept}");
            assert_eq!(got.field("vary"), Some("Accept"), "{front:?} {accept}");
            assert_eq!(got.field("etag"), Some("\"p1\""), "{front:?} {accept}");
        }
        let head = Ask::new("HEAD", "/p.png").with("accept", BROWSER);
        let got = house.ask(front, &head);
        assert_eq!(got.field("content-type"), Some("image/webp"), "{front:?}");
        let length = made.body.len().to_string();
        assert_eq!(got.field("content-length"), Some(&*length), "{front:?}");
        let got = house.ask(front, &wanted.clone().with("if-none-match", "W/\"p1\""));
        assert_eq!((got.status, got.field("etag")), (304, Some("W/\"p1\"")), "{front:?}");
        let got = house.ask(front, &wanted.clone().with("range", "bytes=0-7"));
        assert_eq!((got.status, &got.body[..]), (206, &first.body[..8]), "{front:?}");
    }
    assert_eq!(house.asked("/p.png"), 2, "the origin was asked once for each scheme");
    let made = "doorman_optimize_forms_total{kind=\"webp\",result=\"made\"}";
    assert_eq!(house.metric(made), 2);
}

#[test]
fn sizes_are_those_of_a_list_and_come_from_one_original() {
    let images = "optimize images { formats webp; resize w; widths 80 160; preset tiny { width 20; height 10 } }";
    let site = optimizing(images);
    let setup = Setup { site: &site, ..Setup::default() };
    let house = House::start(&setup, |_, seen| {
        let fields = format!("X-Asked: {}\r\n", seen.target());
        image(&fields)
    });
    for (query, expect) in [
        ("?w=80", (80, 50)),
        ("?w=81", (160, 100)),
        ("?w=9999", (160, 100)),
        ("?w=tiny", (16, 10)),
        ("", (320, 200)),
        ("?w=huge", (320, 200)),
        ("?w=0", (320, 200)),
    ] {
        let ask = Ask::get(&format!("/p.png{query}")).with("accept", BROWSER);
        let got = until_type(&house, &ask, "image/webp");
        assert_eq!(size(&got.body), expect, "{query}");
        assert_eq!(got.field("x-asked"), Some("/p.png"), "{query}");
    }
    assert_eq!(house.asked("/p.png"), 1);
    assert_eq!(house.origin().requests().len(), 1, "no size was asked of the origin");
    // What else is in the query is another resource.
    let ask = Ask::get("/p.png?v=2&w=80").with("accept", BROWSER);
    assert_eq!(size(&until_type(&house, &ask, "image/webp").body), (80, 50));
    assert_eq!(house.asked("/p.png?v=2"), 1);
}

#[test]
fn a_browser_that_says_how_wide_it_shows_an_image_gets_that_width() {
    let site = optimizing("optimize images { formats webp; widths 80 160; hints on }");
    let setup = Setup { site: &site, ..Setup::default() };
    let house = House::start(&setup, |_, seen| match seen.target() {
        "/" => fresh("Content-Type: text/html\r\n", "<p>"),
        _ => image(""),
    });
    assert_eq!(
        house.get("/").field("accept-ch"),
        Some("Sec-CH-Width, Sec-CH-DPR, Sec-CH-Viewport-Width")
    );
    let ask = Ask::get("/p.png").with("accept", BROWSER).with("sec-ch-width", "100");
    let got = until_type(&house, &ask, "image/webp");
    assert_eq!(size(&got.body), (160, 100));
    let vary = got.field("vary").expect("what we made ourselves");
    assert!(vary.contains("Sec-CH-Width") && vary.contains("Accept"), "{vary}");
}

#[test]
fn what_cannot_be_made_is_the_original_and_not_tried_again() {
    let site = optimizing("optimize images { formats webp }; optimize css js json");
    let setup = Setup { site: &site, ..Setup::default() };
    let house = House::start(&setup, |_, seen| match seen.target() {
        "/cut.png" => fresh("Content-Type: image/png\r\n", &picture()[..200]),
        "/text.png" => fresh("Content-Type: image/png\r\n", "no image at all"),
        "/wrong.json" => fresh("Content-Type: application/json\r\n", "{ \"a\" : }"),
        "/latin.css" => fresh("Content-Type: text/css; charset=utf-16\r\n", STYLE),
        "/no.css" => {
            said("Cache-Control: max-age=60, no-transform\r\nContent-Type: text/css\r\n", STYLE)
        }
        _ => fresh("Content-Type: text/plain\r\n", "  as  it  is  "),
    });
    let targets = ["/cut.png", "/text.png", "/wrong.json", "/latin.css", "/no.css", "/plain"];
    for target in targets {
        let ask = Ask::get(target).with("accept", BROWSER);
        let first = house.ask(Front::Plain, &ask);
        for _ in 0..3 {
            let got = house.ask(Front::Plain, &ask);
            assert!(got.body == first.body, "{target}");
            assert_eq!(got.field("content-type"), first.field("content-type"), "{target}");
        }
    }
    let refused = "doorman_optimize_forms_total{kind=\"webp\",result=\"refused\"}";
    house.until("two refusals", || house.metric(refused) == 2);
    for target in ["/cut.png", "/text.png"] {
        house.ask(Front::Plain, &Ask::get(target).with("accept", BROWSER));
    }
    assert_eq!(house.metric(refused), 2);
}

#[test]
fn texts_lose_what_nobody_reads_and_are_coded_then() {
    let site = optimizing("optimize css js json; compress gzip { min 1B }");
    let setup = Setup { site: &site, ..Setup::default() };
    let house = House::start(&setup, |_, seen| match seen.target() {
        "/a.css" => fresh("Content-Type: text/css\r\nETag: \"c\"\r\n", STYLE.repeat(50)),
        "/a.js" => fresh("Content-Type: text/javascript\r\n", "let a  =  1 ; // one\n".repeat(50)),
        _ => fresh("Content-Type: application/json\r\n", "{ \"a\" : [ 1,  2 ] }"),
    });
    for (target, original) in [("/a.css", STYLE.len() * 50), ("/a.js", 21 * 50), ("/a.json", 19)] {
        house.until(target, || house.get(target).body.len() < original);
    }
    house.get("/a.json").is("{\"a\":[1,2]}");
    let plain = house.get("/a.css");
    assert_eq!(plain.field("etag"), Some("W/\"c\""));
    let coded = house.get_with("/a.css", &[("accept-encoding", "gzip")]);
    assert_eq!(coded.field("content-encoding"), Some("gzip"));
    assert_eq!(gunzip(&coded.body), plain.body, "the smaller form is what is coded");
    assert_eq!(house.asked("/a.css"), 1);
}

fn gunzip(coded: &[u8]) -> Vec<u8> {
    let bounds = doorman_transform::Bounds::default();
    let mut decoder = doorman_transform::Decoder::new(doorman_http::coding::Coding::Gzip, bounds);
    let mut out = Vec::new();
    let _ = decoder.push(coded, &mut out, 1 << 20).expect("what we made ourselves");
    decoder.finish().expect("what we made ourselves");
    out
}

#[test]
fn forms_go_with_what_they_were_made_of() {
    let site = optimizing("optimize css");
    let setup = Setup { site: &site, cache: "purge from 127.0.0.1", ..Setup::default() };
    let house = House::start(&setup, |n, _| {
        let style = format!("a   {{ order : {n} }}");
        fresh("Content-Type: text/css\r\n", style)
    });
    house.until("a form", || house.get("/a.css").text() == "a{order:0}");
    house.ask(Front::Plain, &Ask::new("PURGE", "/a.css"));
    assert_eq!(house.get("/a.css").text(), "a   { order : 1 }", "what is new is not the old form");
    house.until("a form of it", || house.get("/a.css").text() == "a{order:1}");
    // Without the word they are not given any more.
    house.reload(&Setup { site: "@CACHE; proxy web", cache: "purge from 127.0.0.1", ..setup });
    assert_eq!(house.get("/a.css").text(), "a   { order : 1 }");
}

const PAGE: &str = "<!doctype html>\n<html>\n  <!-- a word to people -->\n  <body>\n    <p>a  b</p>\n    <pre>  x\n</pre>\n  </body>\n</html>\n";

#[test]
fn pages_are_made_smaller_as_they_pass_and_in_the_store() {
    for (site, is_kept) in
        [("optimize html; proxy web", false), ("@CACHE; optimize html; proxy web", true)]
    {
        let setup = Setup { site, ..Setup::default() };
        let house = House::start(&setup, |_, seen| {
            match seen.target() {
            "/part" => Script::new()
                .send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9000\r\n\r\n<p>cut")
                .close(),
            "/no" => fresh("Content-Type: text/html\r\nCache-Control: no-transform\r\n", PAGE),
            "/text" => fresh("Content-Type: text/plain\r\n", PAGE),
            "/utf-16" => fresh("Content-Type: text/html; charset=utf-16\r\n", PAGE),
            _ => fresh("Content-Type: text/html\r\nETag: \"h\"\r\n", PAGE),
        }
        });
        house.until("a smaller page", || !house.get("/").text().contains("<!--"));
        let page = house.get("/");
        assert!(page.body.len() < PAGE.len(), "{site}");
        assert!(page.text().contains("<p>a  b</p>"), "{site}: {}", page.text());
        assert!(page.text().contains("<pre>  x\n</pre>"), "{site}: {}", page.text());
        assert_eq!(page.field("etag"), Some("W/\"h\""), "{site}");
        for target in ["/no", "/text", "/utf-16"] {
            for _ in 0..3 {
                house.get(target).is(PAGE);
            }
        }
        let cut = house.try_ask(Front::Plain, &Ask::get("/part"));
        assert!(cut.is_err() || cut.is_ok_and(|got| !got.whole), "{site}: a cut page looks whole");
        assert_eq!(house.asked("/") == 1, is_kept, "{site}");
    }
}

#[test]
fn vector_images_lose_what_nobody_sees() {
    let site = optimizing("optimize svg");
    let setup = Setup { site: &site, ..Setup::default() };
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\">\n  <!-- drawn by hand -->\n  <path d=\"M0 0\"/>\n</svg>\n";
    let house = House::start(&setup, move |_, seen| match seen.target() {
        "/entity.svg" => fresh(
            "Content-Type: image/svg+xml\r\n",
            "<!DOCTYPE svg [<!ENTITY a \"b\">]>\n<svg>\n  &a;\n</svg>",
        ),
        _ => fresh("Content-Type: image/svg+xml\r\n", svg),
    });
    house.until("a smaller image", || house.get("/a.svg").body.len() < svg.len());
    assert!(house.get("/a.svg").text().contains("<path d=\"M0 0\"/>"));
    let first = house.get("/entity.svg").text();
    for _ in 0..3 {
        house.get("/entity.svg").is(&first);
    }
}
