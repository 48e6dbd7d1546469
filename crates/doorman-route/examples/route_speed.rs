//! Measures route look-ups: `cargo run --release -p doorman-route --example route_speed`.
//!
//! Only the standard library, one thread, no warm cache beyond what the loop itself warms.

use std::hint::black_box;

use doorman_http::RequestHead;
use doorman_route::{
    Address, Capture, Condition, HostPattern, PathPattern, Query, RouteSpec, SiteSpec, Table,
    ValueMatch,
};

const ROUNDS: u32 = 2_000_000;

fn route(path: PathPattern, when: Vec<Condition>) -> RouteSpec {
    RouteSpec { methods: Vec::new(), path, when, capture: Capture::Skip }
}

fn site(host: &str, count: usize) -> SiteSpec {
    let mut routes: Vec<_> = (0..count)
        .map(|n| match n % 4 {
            0 => PathPattern::Exact(format!("/pages/page-{n}").into()),
            _ => PathPattern::Prefix(format!("/api/v1/service-{n}").into()),
        })
        .map(|path| route(path, Vec::new()))
        .collect();
    let beta = Condition::Header("x-beta".into(), ValueMatch::Present);
    routes.push(route(PathPattern::Any, vec![beta]));
    routes.push(route(PathPattern::Regex("^/img/.*[.](png|jpe?g)$".into()), Vec::new()));
    routes.push(route(PathPattern::Any, Vec::new()));
    let host = HostPattern::Name(host.into());
    SiteSpec { addresses: vec![Address { listener: 0, host }], routes }
}

fn head(target: &str) -> RequestHead {
    let mut head = RequestHead::default();
    for (name, value) in [
        ("Host", "shop-7.example.com"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ] {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    head.set_target(target.as_bytes()).expect("the target is valid");
    head
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn main() {
    for count in [10, 100, 1_000] {
        let sites: Vec<_> =
            (0..20).map(|n| site(&format!("shop-{n}.example.com"), count)).collect();
        let table = Table::new(&sites).expect("the routes are valid");
        for (name, target) in [
            ("prefix", "/api/v1/service-9/items/4711?page=2"),
            ("exact", "/pages/page-8"),
            ("regex", "/img/2026/11/photo-of-a-door.png"),
            ("fallback", "/index.html"),
        ] {
            let head = head(target);
            let start = std::time::Instant::now();
            for _ in 0..ROUNDS {
                let query = Query { listener: 0, head: black_box(&head), client: None };
                let _ = black_box(table.find(&query));
            }
            let each = start.elapsed() / ROUNDS;
            println!("{count:>5} routes, {name:<8} {each:>10.1?} per look-up");
        }
    }
}
