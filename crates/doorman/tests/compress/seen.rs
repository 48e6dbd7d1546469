//! What people see of it: the access log, the metrics, and `explain`.

use crate::decode::{CODINGS, encode};
use crate::rig::{FRONTS, House, page, text};

const LENGTH: usize = 50_000;

/// The number behind a name in a line of the log.
fn number(line: &str, name: &str) -> Option<f64> {
    let rest = line.split_once(&format!("\"{name}\":"))?.1;
    rest.split([',', '}']).next()?.parse().ok()
}

#[test]
fn the_log_and_the_metrics_say_what_was_done() {
    let house = House::with("compress", |_| page("", text(1, LENGTH)));
    for coding in CODINGS {
        let mut coded = 0;
        for front in FRONTS {
            let path = format!("/{coding}/{front:?}");
            let got = house.ask(front, "GET", &path, &[("accept-encoding", coding)]);
            got.is(coding, &text(1, LENGTH));
            let line = house.line(&path);
            assert!(line.contains(&format!("\"coding\":\"{coding}\"")), "{line}");
            assert_eq!(number(&line, "coded_bytes"), Some(LENGTH as f64), "{line}");
            assert!(!line.contains("\"code_reason\""), "{line}");
            coded += got.body.len();
        }
        let series = |name: &str| {
            let labels = format!("coding=\"{coding}\",direction=\"code\"");
            house.metric(&format!("doorman_coding_{name}_total{{{labels}}}"))
        };
        assert_eq!(series("bodies"), 4.0, "{coding}");
        assert_eq!(series("in_bytes"), (4 * LENGTH) as f64, "{coding}");
        assert_eq!(series("out_bytes"), coded as f64, "{coding}");
        let seconds = series("cpu_seconds");
        assert!(seconds > 0.0 && seconds < 10.0, "{coding}: {seconds}");
    }
    house.get("/none", &[]).is("identity", &text(1, LENGTH));
    let line = house.line("/none");
    assert!(line.contains("\"code_reason\":\"not-accepted\""), "{line}");
    assert!(!line.contains("\"coding\":"), "{line}");
}

#[test]
fn decoding_is_counted_too() {
    let house = House::with("decompress", |_| {
        page("Content-Encoding: br\r\n", encode("br", &text(1, LENGTH)))
    });
    house.get("/", &[]).is("identity", &text(1, LENGTH));
    let series = |name: &str| {
        let labels = "coding=\"br\",direction=\"decode\"";
        house.metric(&format!("doorman_coding_{name}_total{{{labels}}}"))
    };
    assert_eq!(series("bodies"), 1.0);
    assert_eq!(series("in_bytes"), encode("br", &text(1, LENGTH)).len() as f64);
    assert_eq!(series("out_bytes"), LENGTH as f64);
}

#[test]
fn a_route_without_it_says_nothing_of_it() {
    let house = House::with("", |_| page("", text(1, LENGTH)));
    let got = house.taking("/", "gzip");
    got.is("identity", &text(1, LENGTH));
    assert_eq!(got.field("vary"), None);
    let line = house.line("/");
    assert!(!line.contains("\"coding\"") && !line.contains("\"code_reason\""), "{line}");
}
