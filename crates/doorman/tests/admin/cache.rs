//! What operators see of the cache, and what they do to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An origin whose answers depend on the path alone: `/t/A/B` is tagged, `/vary` varies, `/cookie`
/// sets one, `/big` is large, and all are fresh for an hour.
struct Origin {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "a test of the real network")]
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = answer(stream.unwrap());
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::from("x");
    while !line.trim_end().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let path = first.split(' ').nth(1).unwrap_or("/");
    let fields = match path {
        "/vary" => "Vary: X-A\r\n".to_owned(),
        "/cookie" => "Set-Cookie: a=b\r\n".to_owned(),
        _ => match path.strip_prefix("/t/") {
            Some(tags) => format!("Cache-Tag: {}\r\n", tags.replace('/', ", ")),
            None => String::new(),
        },
    };
    let body =
        if path.starts_with("/big") { "b".repeat(600_000) } else { format!("this is {path}") };
    let head = format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\n{fields}Connection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes())
}

/// A proxy with a store `web` in front of an origin, and what it has fetched.
struct House {
    story: Story,
    origin: Origin,
}

impl House {
    fn new(name: &str) -> Self {
        let origin = Origin::start();
        let mut story = Story::new(name);
        write(&story, &origin, "memory 64MiB");
        story.start(Stdio::null());
        Self { story, origin }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.story.port)
    }

    /// Fetches these, so that they are stored.
    fn fetch(&self, paths: &[&str]) {
        for path in paths {
            assert_eq!(self.story.get(self.story.port, path).0, 200, "{path}");
        }
    }

    /// Runs a command; gives its exit code and what it wrote.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.story.run(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (_, out, err) = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"))
    }

    fn paths(&self) -> Vec<String> {
        let listed = self.json(&["cache", "ls"]);
        let root = self.url("");
        let objects = listed["objects"].as_array().unwrap().iter();
        let path =
            |one: &Value| one["url"].as_str().unwrap().strip_prefix(&root).unwrap().to_owned();
        objects.map(path).collect()
    }
}

fn write(story: &Story, origin: &Origin, store: &str) {
    let route = format!(" cache web {{ ignore-query utm_* }}\n proxy 127.0.0.1:{}", origin.port);
    write_routes(story, store, &route);
}

fn write_routes(story: &Story, store: &str, routes: &str) {
    story.write("", routes);
    let text = story.read("doorman.conf");
    let text = text.replace("\nsite ", &format!("\nstore web {{ {store} }}\nsite "));
    fs::write(story.path("doorman.conf"), text).unwrap();
}

const ALL: [&str; 5] = ["/a", "/d/1", "/d/2", "/t/one", "/t/one/two"];

#[test]
fn purges_of_each_kind() {
    let house = House::new("purges");
    let check = |what: &[&str], objects: u64, left: &[&str]| {
        house.fetch(&ALL);
        assert_eq!(house.paths(), ALL);
        let done = house.json(&[&["purge"], what].concat());
        assert_eq!(done["objects"], objects, "{what:?}: {done}");
        assert_eq!(done["stores"][0]["store"], "web");
        assert!(done["bytes"].as_u64().unwrap() > 100 * objects, "{done}");
        assert_eq!(house.paths(), left, "{what:?}");
    };
    check(&[&house.url("/a")], 1, &ALL[1..]);
    // What routes leave out of keys finds the same, and so does what the key has not.
    check(&[&house.url("/a?utm_source=x")], 1, &ALL[1..]);
    check(&[&house.url("/d/*")], 2, &["/a", "/t/one", "/t/one/two"]);
    check(&["--tag", "one"], 2, &ALL[..3]);
    check(&["--tag", "two"], 1, &ALL[..4]);
    check(&["--site", "127.0.0.1"], 5, &[]);
    check(&["--site", &format!("127.0.0.1:{}", house.story.port)], 5, &[]);
    check(&["--all", "--store", "web"], 5, &[]);
    house.fetch(&["/a"]);
    let (code, out, _) = house.run(&["purge", &house.url("/a")]);
    assert!(code == 0 && out.starts_with("purged 1 object, "), "{code} {out}");
    assert!(out.contains("\n  in web: 1 object, "), "{out}");
    for nothing in [&[&*house.url("/a")][..], &["--tag", "three"], &["--site", "b.test"]] {
        let told = house.run(&[&["purge"], nothing].concat());
        assert_eq!(told, (0, "nothing that is stored matches\n".to_owned(), String::new()));
    }
    let log = house.story.read("stderr");
    assert!(log.contains("tag \"two\"; 1 objects"), "{log}");
}

#[test]
fn a_soft_purge_keeps_what_is_stored() {
    let house = House::new("soft");
    house.fetch(&["/a"]);
    let (code, out, _) = house.run(&["purge", "--soft", &house.url("/a")]);
    assert!(code == 0 && out.starts_with("made stale 1 object, "), "{code} {out}");
    let shown = house.json(&["cache", "show", &house.url("/a")]);
    assert_eq!(shown["objects"][0]["state"], "purged", "{shown}");
    // It has no validator, so it is fetched again.
    let before = house.origin.asked();
    house.fetch(&["/a", "/a"]);
    assert_eq!(house.origin.asked(), before + 1);
}

#[test]
fn who_may_not_purge_and_what_cannot_be() {
    let house = House::new("refusals");
    house.fetch(&["/a"]);
    let check = |what: &[&str], code: i32, why: &str| {
        let told = house.run(&[&["purge"], what].concat());
        assert!(told.0 == code && told.2.contains(why), "{what:?}: {told:?}");
        assert_eq!(house.paths(), ["/a"]);
    };
    check(&["--all", "--store", "wbe"], 1, "there is no store `wbe`");
    check(&["ftp://a.test/"], 2, "is not a URL");
    check(&["http://a.test/x/..*"], 2, "is not the beginning of a URL");
    check(&["--site", "a/b"], 2, "is not a host");
    check(&[], 2, "required");
    check(&["a.test", "--all"], 2, "cannot be used with");
    assert_eq!(house.story.call("GET", "/cache/purge?all=true").0, 405);
    assert_eq!(house.story.call("POST", "/cache/purge").0, 400);
    assert_eq!(house.run(&["cache", "ls", "--limit", "0"]).0, 2);
    let (code, _, err) = house.run(&["cache", "--store", "wbe"]);
    assert!(code == 1 && err.contains("there is no store `wbe`"), "{err}");
    let (status, body) = house.story.call("GET", "/cache/ls?limit=many");
    assert!(status == 400 && body["error"].is_string(), "{body}");
    assert_eq!(house.story.call("GET", "/cache/ls?limit=5001").0, 400);

    let text =
        house.story.read("doorman.conf").replace("admin.sock\n", "admin.sock { read-only }\n");
    fs::write(house.story.path("doorman.conf"), text).unwrap();
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    while house.story.call("POST", "/cache/purge?all=true").0 != 403 {
        house.fetch(&["/a"]);
    }
    check(&["--all"], 5, "the admin API is read-only");
    assert_eq!(house.run(&["cache"]).0, 0);
}

#[test]
fn what_is_stored_is_shown() {
    let house = House::new("shown");
    house.fetch(&["/a", "/a", "/t/one/two", "/vary", "/cookie"]);
    let (code, out, _) = house.run(&["cache", "ls", &house.url("/")]);
    let rows: Vec<_> =
        out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(code, 0);
    assert_eq!(rows[0].last(), Some(&"URL"), "{out}");
    assert_eq!(rows[1].first(), Some(&"web"), "{out}");
    assert_eq!(rows[1][rows[1].len() - 3..], ["1", "1", &*house.url("/a")], "{out}");
    assert_eq!(rows.len(), 4, "{out}");
    let (_, out, _) = house.run(&["cache", "ls", "--limit", "2"]);
    assert!(out.contains(&house.url("/t/one/two")) && !out.contains("/vary"), "{out}");
    assert!(out.ends_with("a prefix narrows it down\n"), "{out}");
    assert_eq!(house.run(&["cache", "ls", "b.test"]).1, "nothing is stored\n");

    let (_, out, _) = house.run(&["cache", "show", &house.url("/vary")]);
    for line in
        ["  status      200\n", "  differs by  x-a (Vary): none\n", "fresh for ", "in memory\n"]
    {
        assert!(out.contains(line), "{line}: {out}");
    }
    let made = format!("made by     site http://127.0.0.1:{}, route ", house.story.port);
    assert!(out.contains(&made), "{out}");
    let (_, out, _) = house.run(&["cache", "show", &house.url("/t/one/two")]);
    assert!(out.contains("  tags        one two\n"), "{out}");
    let (code, _, err) = house.run(&["cache", "show", &house.url("/cookie")]);
    assert!(code == 1 && err.contains("nothing is stored for"), "{err}");

    let (code, out, _) = house.run(&["cache", "why", &house.url("/cookie")]);
    assert!(code == 0 && out.starts_with("not stored in web, "), "{out}");
    assert!(out.contains("ago: Set-Cookie present and no rule allows it"), "{out}");
    let (_, out, _) = house.run(&["cache", "why", &house.url("/a")]);
    assert!(out.starts_with("stored in web: 1 variant, it is in memory, "), "{out}");
    let (_, out, _) = house.run(&["cache", "why", &house.url("/never")]);
    assert!(out.starts_with("nothing is known of it"), "{out}");

    let (_, out, _) = house.run(&["cache"]);
    assert!(out.starts_with("web\n  memory      3 objects, "), "{out}");
    assert!(
        out.contains("  requests    5: hit 1, miss 3, refused 1; 20.0 % answered from it\n"),
        "{out}"
    );
    assert!(out.contains("  not stored  set-cookie 1\n"), "{out}");
    let (_, out, _) = house.run(&["status"]);
    assert!(out.contains("store        web  memory: 3 objects, "), "{out}");
    assert!(out.contains(" of 64.0 MiB  20.0 % of 5 requests answered from it\n"), "{out}");
}

#[test]
fn stores_are_measured_and_follow_a_reload() {
    let house = House::new("measured");
    house.fetch(&["/a", "/a", "/cookie", "/big", "/t/one"]);
    assert_eq!(house.json(&["purge", "--tag", "one"])["objects"], 1);
    let metric = |name: &str, rest: &str| {
        house.story.metric(&format!("doorman_cache_{name}{{store=\"web\"{rest}}}"))
    };
    for (name, rest, expect) in [
        ("requests_total", ",result=\"hit\"", 1.0),
        ("requests_total", ",result=\"miss\"", 3.0),
        ("requests_total", ",result=\"refused\"", 1.0),
        ("requests_total", ",result=\"bypass\"", 0.0),
        ("hit_bytes_total", "", 10.0),
        ("refreshes_total", "", 0.0),
        ("objects", ",tier=\"memory\"", 2.0),
        ("limit_bytes", ",tier=\"memory\"", 67_108_864.0),
        ("evictions_total", ",tier=\"memory\"", 0.0),
        ("fills_total", ",result=\"stored\"", 3.0),
        ("fills_total", ",result=\"updated\"", 0.0),
        ("fills_total", ",result=\"cut\"", 0.0),
        ("refused_total", ",reason=\"set-cookie\"", 1.0),
        ("refused_total", ",reason=\"no-store\"", 0.0),
        ("purged_total", "", 1.0),
        ("waits_total", "", 0.0),
        ("fetches", "", 0.0),
    ] {
        // A record is closed once its answer was written, so the last may still be on its way.
        while name == "requests_total" && metric(name, rest) < Some(expect) {}
        assert_eq!(metric(name, rest), Some(expect), "{name}{rest}");
    }
    let used = metric("bytes", ",tier=\"memory\"").unwrap();
    assert!((600_000.0..700_000.0).contains(&used), "{used}");

    write(&house.story, &house.origin, "memory 1MiB");
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    assert_eq!(metric("limit_bytes", ",tier=\"memory\""), Some(1_048_576.0));
    assert_eq!(metric("objects", ",tier=\"memory\""), Some(2.0), "what fits stays");
    write(&house.story, &house.origin, "memory 64MiB");
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    house.fetch(&["/big/1", "/big/2", "/big/3"]);
    assert_eq!(metric("objects", ",tier=\"memory\""), Some(5.0));
    write(&house.story, &house.origin, "memory 1MiB");
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    assert!(metric("bytes", ",tier=\"memory\"") <= Some(1_048_576.0));
    assert!(metric("evictions_total", ",tier=\"memory\"") >= Some(3.0), "of four only one fits");
}

#[test]
fn a_purge_reaches_the_disk() {
    let origin = Origin::start();
    let mut story = Story::new("disk");
    let disk = format!("memory 1MiB; disk 64MiB {}", story.path("store").display());
    write(&story, &origin, &disk);
    story.start(Stdio::null());
    let mut house = House { story, origin };
    // Each takes more than half of the memory.
    let paths = ["/big/1", "/big/2", "/big/3"];
    house.fetch(&paths);
    let metric = |house: &House, name: &str, rest: &str| {
        house.story.metric(&format!("doorman_cache_{name}{{store=\"web\"{rest}}}"))
    };
    while metric(&house, "objects", ",tier=\"disk\"") != Some(3.0) {}
    assert_eq!(metric(&house, "limit_bytes", ",tier=\"disk\""), Some(67_108_864.0));
    assert_eq!(metric(&house, "disk_writes_total", ",result=\"written\""), Some(3.0));
    assert_eq!(metric(&house, "disk_failing", ""), Some(0.0));
    assert_eq!(house.paths(), paths);
    let shown = house.json(&["cache", "show", &house.url("/big/1")]);
    assert_eq!(shown["objects"][0]["tier"], "disk", "{shown}");
    let done = house.json(&["purge", &house.url("/big/2")]);
    assert_eq!((&done["objects"], &done["settled"]), (&1.into(), &true.into()), "{done}");
    assert!(done["bytes"].as_u64().unwrap() > 600_000, "{done}");
    let (_, out, _) = house.run(&["cache"]);
    assert!(out.contains("\n  disk        2 objects, "), "{out}");

    // Killed: what was purged does not come back, and the rest does.
    let mut killed = house.story.child.take().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    house.story.start(Stdio::null());
    assert_eq!(house.paths(), ["/big/1", "/big/3"]);
    let asked = house.origin.asked();
    house.fetch(&["/big/1"]);
    assert_eq!(house.origin.asked(), asked);
    assert_eq!(house.json(&["purge", "--all"])["settled"], true);
    assert!(house.paths().is_empty());
}

/// Routes of one store may leave different parts of queries out: what is named as clients ask for it is
/// found under the keys of all of them.
#[test]
fn routes_that_share_a_store() {
    let house = House::new("shared");
    let to = format!("proxy 127.0.0.1:{}", house.origin.port);
    let one = format!(" route /one {{ cache web {{ ignore-query a }}; {to} }}\n");
    let two = format!(" route /two {{ cache web {{ only-query b }}; {to} }}\n");
    let plain = format!(" route * {{ cache web; {to} }}\n");
    write_routes(&house.story, "memory 64MiB", &[&*one, &two, &plain].concat());
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    while house.story.get(house.story.port, "/two?a=1&b=1").0 == 200
        && !house.paths().contains(&"/two?b=1".to_owned())
    {}
    house.json(&["purge", "--all"]);
    house.fetch(&["/one?a=1&b=1", "/two?a=1&b=1", "/three?a=1&b=1"]);
    assert_eq!(house.paths(), ["/one?b=1", "/three?a=1&b=1", "/two?b=1"]);
    for (path, route) in [("/one", "/one"), ("/two", "/two"), ("/three", "*")] {
        let url = house.url(&format!("{path}?a=1&b=1"));
        let shown = house.json(&["cache", "show", &url]);
        assert_eq!(shown["objects"][0]["made_by"]["route"], route, "{shown}");
    }
    for path in ["/one", "/two"] {
        let url = house.url(&format!("{path}?b=1&a=2"));
        // The order of parameters counts, but of them only one is left.
        assert_eq!(house.json(&["purge", &url])["objects"], 1, "{path}");
    }
    // Whose route has gone stays until it is purged.
    let other = format!(" route /four {{ cache web; {to} }}\n respond 200");
    write_routes(&house.story, "memory 64MiB", &other);
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    let (_, out, _) = house.run(&["cache", "show", &house.url("/three?a=1&b=1")]);
    assert!(out.contains("  made by     a route that is there no more\n"), "{out}");
    assert_eq!(house.json(&["purge", "--site", "127.0.0.1"])["objects"], 1);
}

/// Figures are for everybody who reaches the API; what clients asked for is for those with the token.
#[test]
fn what_clients_asked_for_is_shown_to_few() {
    let mut house = House::new("token");
    house.fetch(&["/a"]);
    let (port, token) = (free_port(), house.story.path("token"));
    fs::write(&token, "0123456789abcdef").unwrap();
    let text = house.story.read("doorman.conf");
    let old = format!("admin unix:{}", house.story.path("admin.sock").display());
    let new = format!("admin 127.0.0.1:{port} {{ token-file {} }}", token.display());
    fs::write(house.story.path("doorman.conf"), text.replace(&old, &new)).unwrap();
    assert_eq!(house.story.call("POST", "/reload").0, 200);
    while TcpStream::connect_timeout(
        &(Ipv4Addr::LOCALHOST, port).into(),
        std::time::Duration::from_secs(1),
    )
    .is_err()
    {}
    assert_eq!(house.story.get(port, "/cache").0, 200);
    for path in ["/cache/ls", "/cache/show?url=a.test", "/cache/why?url=a.test"] {
        assert_eq!(house.story.get(port, path).0, 401, "{path}");
    }
    let admin = format!("127.0.0.1:{port}");
    let run = |arguments: &[&str], with_token: bool| {
        let mut command = Command::new(BINARY);
        command.args(arguments).args(["--admin", &admin]).current_dir(&house.story.folder);
        if with_token {
            command.env("DOORMAN_ADMIN_TOKEN_FILE", &token);
        }
        let output = command.arg("--config").arg("/dev/null").output().unwrap();
        output.status.code()
    };
    for line in [&["cache", "ls"][..], &["purge", "--all"]] {
        assert_eq!(run(line, false), Some(5), "{line:?}");
        assert_eq!(run(line, true), Some(0), "{line:?}");
    }
    assert!(house.story.end().success());
}

/// The process may write no file beyond a size, which is how a full disk looks to it.
#[test]
fn a_disk_that_is_full_is_a_problem_and_no_more() {
    let origin = Origin::start();
    let mut story = Story::new("full");
    let disk = format!("memory 64MiB; disk 64MiB {}", story.path("store").display());
    write(&story, &origin, &disk);
    let mut command = Command::new("sh");
    let line = r#"trap '' XFSZ; ulimit -f 256; exec "$0" run -c "$1""#;
    command.args(["-c", line, BINARY]).arg(story.path("doorman.conf"));
    story.start_as(command, Stdio::null());
    let house = House { story, origin };
    house.fetch(&["/big/1", "/big/1"]);
    let failing = "doorman_cache_disk_failing{store=\"web\"}";
    while house.story.metric(failing) != Some(1.0) {}
    let (code, out, _) = house.run(&["status"]);
    assert!(code == 1 && out.contains("problem      store web: the cache on disk cannot"), "{out}");
    let (_, out, _) = house.run(&["cache"]);
    assert!(out.contains("  problem     the cache on disk cannot be written"), "{out}");
    let asked = house.origin.asked();
    house.fetch(&["/big/1"]);
    assert_eq!(house.origin.asked(), asked, "memory goes on");
}

/// The table in the docs has every reason, and no other.
#[test]
fn every_reason_is_described() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cache.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| Word | Why a response"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let mut described: Vec<_> =
        first.flat_map(|words| words.split('`').skip(1).step_by(2)).collect();
    let mut words = doorman_cache::NotStored::WORDS.to_vec();
    described.sort_unstable();
    words.sort_unstable();
    assert_eq!(described, words);
}

#[test]
fn explain_looks_and_counts_no_hit() {
    let house = House::new("explained");
    let explain = |path: &str, more: &[&str]| {
        house.json(&[&["explain", "--running", &house.url(path)], more].concat())
    };
    let told = explain("/a?utm_source=x", &[]);
    let cache = &told["outcome"]["cache"];
    assert_eq!(cache["store"], "web", "{told:#}");
    assert_eq!((&cache["decision"], &cache["key"]), (&"look".into(), &house.url("/a").into()));
    assert_eq!(cache["ways"][0]["stored"], Value::Null);
    house.fetch(&["/a"]);
    let asked = house.origin.asked();
    let told = explain("/a", &[]);
    let stored = &told["outcome"]["cache"]["ways"][0]["stored"];
    assert_eq!((&stored["use"], &stored["hits"]), (&"fresh".into(), &0.into()), "{told:#}");
    let told = explain("/a", &["-H", "Cache-Control: no-cache"]);
    let stored = &told["outcome"]["cache"]["ways"][0]["stored"];
    assert_eq!((&stored["use"], &stored["why"]), (&"validate".into(), &"request".into()));
    house.json(&["purge", "--soft", "--all"]);
    let told = explain("/a", &[]);
    assert_eq!(told["outcome"]["cache"]["ways"][0]["stored"]["why"], "purged");
    let (code, out, _) = house.run(&["explain", "--running", &house.url("/a")]);
    assert!(code == 0 && out.contains("stored    200, "), "{out}");
    let told = explain("/a", &["-X", "POST"]);
    assert_eq!(told["outcome"]["cache"]["decision"], "change");
    assert_eq!(house.origin.asked(), asked);
}
