//! What it costs to make texts smaller, and what it saves: throughput of each kind over a generated page and what
//! belongs to it.
//!
//! Run `cargo bench -p doorman-optimize --bench text`. Each number is the median of several rounds.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant as Clock;

use doorman_optimize::text::{Bounds, Html, css, js, json, svg};

const ROUNDS: usize = 9;
/// Sections of each text: some hundred kilobytes.
const SECTIONS: usize = 1000;

fn main() {
    let bounds = Bounds::default();
    println!("kind     bytes in   bytes out   saved %   MiB/s");
    row("html", &html(), |text| {
        let (mut html, mut out) = (Html::default(), Vec::with_capacity(text.len()));
        for piece in text.chunks(16 << 10) {
            html.push(piece, &mut out);
        }
        html.finish(&mut out);
        out
    });
    row("css", &sheet(), |text| css(text, &bounds).expect("a sheet"));
    row("js", &script(), |text| js(text, &bounds).expect("a script"));
    row("json", &values(), |text| json(text, &bounds).expect("JSON"));
    row("svg", &image(), |text| svg(text, &bounds).expect("an image"));
}

fn row(kind: &str, text: &str, minify: impl Fn(&[u8]) -> Vec<u8>) {
    let made = minify(text.as_bytes());
    let mut seconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Clock::now();
            black_box(minify(black_box(text.as_bytes())));
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let mebibytes = text.len() as f64 / f64::from(1 << 20);
    println!(
        "{kind:<6} {:>10} {:>11} {:>9.1} {:>7.0}",
        text.len(),
        made.len(),
        100.0 - 100.0 * made.len() as f64 / text.len() as f64,
        mebibytes / seconds[ROUNDS / 2]
    );
}

/// A text of a start, sections that differ by their number, and an end.
fn text(start: &str, section: &str, end: &str) -> String {
    let mut made = String::from(start);
    for number in 0..SECTIONS {
        let section = section.replace('%', &number.to_string());
        let _ = made.write_str(&section);
    }
    made + end
}

fn html() -> String {
    text(
        "<!doctype html>\n<html>\n  <head>\n    <title>Page</title>\n  </head>\n  <body>\n",
        "    <!-- section % -->\n    <section id=\"s%\"   class=\"card wide\">\n      <h2>Title %</h2>\n      <p>Some words, \
         and <b>more</b> of <a href=\"/page/%\">them</a>,\n        over two lines.</p>\n      <ul>\n        <li>one</li>\n        \
         <li>two</li>\n      </ul>\n    </section>\n",
        "  </body>\n</html>\n",
    )
}

fn sheet() -> String {
    text(
        "@charset \"utf-8\";\n",
        "/* section % */\n.card-% > .title:hover,\n.card-% .text {\n    color: rgba(0, 0, 0, 0.5);\n    margin: 0 auto;\n    \
         background: url(\"/image/%.png\") no-repeat;\n}\n\n@media (min-width: 600px) {\n    .card-% { width: calc(100% - 2px); }\n}\n",
        "",
    )
}

fn script() -> String {
    text(
        "\"use strict\";\n",
        "/**\n * Does what % does.\n */\nfunction section%(name, list) {\n    // Each of them.\n    for (const item of list) {\n        \
         if (/^a[b/]c$/.test(item.name) && item.count / 2 > 1) {\n        \
             \x20   item.text = `${ name } and ${ item.name }`;\n        \
         }\n    }\n    return list.map((item) => item.text);\n}\n",
        "",
    )
}

fn values() -> String {
    text(
        "[\n",
        "  {\n    \"number\": %,\n    \"name\": \"Some name, with a comma\",\n    \"list\": [ 1, 2.5, null, true ]\n  },\n",
        "  null\n]\n",
    )
}

fn image() -> String {
    text(
        "<svg xmlns=\"http://www.w3.org/2000/svg\">\n",
        "  <!-- shape % -->\n  <g id=\"g%\">\n    <path d=\"M 0 0 L % 10 Z\"\n          fill=\"none\" />\n    <text>Words %</text>\n  </g>\n",
        "</svg>\n",
    )
}
