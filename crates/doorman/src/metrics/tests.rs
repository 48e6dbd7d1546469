use super::*;

/// Name, labels, value.
type Sample = (String, Vec<(String, String)>, f64);

/// Reads a page back: name, labels, value. Panics at what is no line of the format.
fn read(page: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value = value.parse().expect("a number");
        let Some((name, rest)) = series.split_once('{') else {
            samples.push((series.to_owned(), Vec::new(), value));
            continue;
        };
        let mut labels = Vec::new();
        let mut rest = rest.strip_suffix('}').expect("a closing brace");
        while !rest.is_empty() {
            let (label, after) = rest.split_once("=\"").expect("a label");
            let mut text = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().expect("a closing quote") {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().expect("an escaped character").1 {
                        'n' => text.push('\n'),
                        c => text.push(c),
                    },
                    (_, c) => text.push(c),
                }
            };
            labels.push((label.to_owned(), text));
            rest = after[end + 1..].trim_start_matches(',');
        }
        samples.push((name.to_owned(), labels, value));
    }
    samples
}

#[test]
fn what_is_written_can_be_read() {
    for value in ["plain", "a\"b", "a\\b", "a\nb", "\\n", "é {x=\"y\"} 1", "", "a,b=\"c\""] {
        let mut page = Page::default();
        page.one(
            "x_total",
            "Help with \\ and\nline.",
            Kind::Counter,
            &[("a", value), ("b", "z")],
            7,
        );
        let text = page.finish();
        let expect = vec![("a".to_owned(), value.to_owned()), ("b".to_owned(), "z".to_owned())];
        assert_eq!(read(&text), [("x_total".to_owned(), expect, 7.0)], "{value:?}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}

#[test]
fn a_family_without_samples_is_not_shown() {
    let mut page = Page::default();
    page.family("empty_total", "Nothing.", Kind::Counter);
    page.one("x", "X.", Kind::Gauge, &[], 1);
    assert_eq!(page.finish(), "# HELP x X.\n# TYPE x gauge\nx 1\n");
}

#[test]
fn seconds_are_exact() {
    for (micros, expect) in [
        (0, "0"),
        (1, "0.000001"),
        (5_000, "0.005"),
        (100_000, "0.1"),
        (1_000_000, "1"),
        (2_500_000, "2.5"),
        (u64::MAX, "18446744073709.551615"),
    ] {
        assert_eq!(text::seconds(micros), expect);
    }
}

#[test]
fn a_histogram_is_cumulated() {
    let mut sum = HistogramSum::default();
    let histogram = Histogram::default();
    for micros in [1, 6_000, 6_000, 20_000_000] {
        histogram.add(micros);
    }
    sum.add(&histogram);
    sum.add(&histogram);
    let mut page = Page::default();
    page.family("d", "D.", Kind::Histogram);
    sum.write(&mut page, &[("site", "s")]);
    let samples = read(&page.finish());
    assert_eq!(samples.len(), HISTOGRAM_SERIES);
    let find = |name: &str, le: &str| {
        let fits = |labels: &[(String, String)]| {
            le.is_empty() || labels.iter().any(|(label, value)| label == "le" && value == le)
        };
        samples.iter().find(|(n, labels, _)| n == name && fits(labels)).map(|(.., value)| *value)
    };
    for (name, le, expect) in [
        ("d_bucket", "0.005", 2.0),
        ("d_bucket", "0.01", 6.0),
        ("d_bucket", "10", 6.0),
        ("d_bucket", "+Inf", 8.0),
        ("d_count", "", 8.0),
        ("d_sum", "", 40.024_002),
    ] {
        assert_eq!(find(name, le), Some(expect), "{name} {le}");
    }
}

#[test]
fn series_beyond_the_ceiling_are_folded_and_stay_where_they_are() {
    let mut ceiling = Ceiling::default();
    let cost = 2 * HISTOGRAM_SERIES + 2;
    let room = SERIES_MAX / cost;
    let pair = |ceiling: &mut Ceiling, n: usize| {
        ceiling.pair("route", "site".into(), format!("/{n}").into(), cost)
    };
    for n in 0..room + 50 {
        let (site, _) = pair(&mut ceiling, n);
        assert_eq!(&*site == OTHER, n >= room, "{n}");
    }
    assert_eq!(ceiling.folded.len(), 50);
    // A cheap series would still fit, yet what was folded stays folded and what was shown stays.
    for n in (0..room + 50).rev() {
        assert_eq!(&*pair(&mut ceiling, n).0 == OTHER, n >= room, "{n}");
    }
    assert_eq!(ceiling.folded.len(), 50);
    assert!(ceiling.series <= SERIES_MAX);
}

#[test]
fn codes_beyond_the_ceiling_count_as_other() {
    let mut exporter = Exporter::default();
    let mut sum = StatusSum::default();
    sum.0[STATUSES.binary_search(&200).unwrap()] = 5;
    sum.0[STATUSES.binary_search(&404).unwrap()] = 3;
    sum.0[STATUSES.len()] = 2;
    let label = ["request", "s", "r", "1.1"];
    let seen = exporter.codes(&sum, &label);
    let text = |code: &str, n| (code.to_owned(), n);
    assert_eq!(seen, [text("200", 5), text("404", 3), text("_OTHER", 2)]);
    exporter.ceiling.series = SERIES_MAX;
    sum.0[STATUSES.binary_search(&500).unwrap()] = 4;
    let seen = exporter.codes(&sum, &label);
    assert_eq!(seen, [text("200", 5), text("404", 3), text("_OTHER", 6)]);
}
