//! Servers that are drained, taken out and weighed while the proxy runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use doorman_testkit::process::{Program, folder, free_address};
use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Farm, House, PATIENCE};

const BINARY: &str = env!("CARGO_BIN_EXE_doorman");

/// Runs a command against a house.
fn run(house: &House, arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .current_dir(house.process.folder())
        .args(arguments)
        .args(["--admin", "unix:admin.sock"])
        .output()
        .expect("the built program")
}

#[track_caller]
pub(crate) fn well(house: &House, arguments: &[&str]) -> String {
    let output = run(house, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    text
}

#[track_caller]
pub(crate) fn json(house: &House, arguments: &[&str]) -> Value {
    serde_json::from_str(&well(house, &[arguments, &["--json"]].concat())).expect("JSON")
}

/// A server of an upstream as `doorman upstreams --json` shows it.
#[track_caller]
pub(crate) fn server(house: &House, name: &str) -> Value {
    let all = json(house, &["upstreams"]);
    let upstreams = all["upstreams"].as_array().expect("upstreams").iter();
    let mut servers = upstreams.flat_map(|one| one["servers"].as_array().expect("servers"));
    servers.find(|one| one["name"] == name).cloned().unwrap_or_else(|| panic!("{name} in {all:#}"))
}

/// The program in a data folder that outlives it.
fn in_data(data: &Path, address: SocketAddr, text: &str) -> House {
    let process = Program::new(BINARY)
        .file("doorman.conf", whole(data, address, text))
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    House { process, address }
}

fn whole(data: &Path, address: SocketAddr, text: &str) -> String {
    let site = format!("site http://*:{}", address.port());
    format!(
        "doorman 1\nglobal {{ data {}; bind 127.0.0.1; admin unix:admin.sock; workers 1 }}\n{}\n",
        data.display(),
        text.replace("@SITE", &site)
    )
}

fn reload(house: &House, data: &Path, text: &str) -> String {
    let path = house.process.folder().join("doorman.conf");
    std::fs::write(path, whole(data, house.address, text)).expect("our own folder");
    well(house, &["reload"])
}

/// Load that goes on until it is ended; it gives how many requests there were and how many failed.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<usize>>,
}

impl Load {
    pub(crate) fn on(house: &House, clients: usize) -> Self {
        let (is_over, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..clients).map(|_| {
            let (is_over, count, address) =
                (Arc::clone(&is_over), Arc::clone(&count), house.address);
            thread::spawn(move || {
                let mut failed = 0;
                while !is_over.load(Ordering::Relaxed) {
                    failed += usize::from(!asks_well(address));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        });
        let threads = threads.collect();
        let load = Self { is_over, count, threads };
        load.wait(20);
        load
    }

    /// Waits until so many more requests have ended.
    pub(crate) fn wait(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        let begun = std::time::Instant::now();
        while self.count.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < PATIENCE, "the load stands still");
            thread::yield_now();
        }
    }

    pub(crate) fn end(self) -> (usize, usize) {
        self.is_over.store(true, Ordering::Relaxed);
        let failed = self.threads.into_iter().map(|one| one.join().expect("a client")).sum();
        (self.count.load(Ordering::Relaxed), failed)
    }
}

fn asks_well(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

#[test]
fn a_drain_under_load_costs_no_request_and_shows() {
    let farm = Farm::of(&["a", "b", "c"]);
    let house = House::before(&farm, "");
    let load = Load::on(&house, 3);
    let told = well(&house, &["upstreams", "drain", "o/a", "--reason", "new disk", "--for", "2h"]);
    assert!(told.starts_with("o/a: drain instead of ready, for "), "{told}");
    // Requests that were on their way when it was told may still come.
    load.wait(30);
    let before = farm["a"].asked();
    load.wait(60);
    assert_eq!(farm["a"].asked(), before, "a is asked although it drains");
    let seen = server(&house, "a");
    assert_eq!((&seen["state"], &seen["candidate"]), (&"draining".into(), &false.into()));
    assert!(seen["why"].as_str().unwrap().contains("new disk"), "{seen:#}");
    assert!(seen["since"].is_u64() && seen["until"].is_u64(), "{seen:#}");
    well(&house, &["upstreams", "down", "o/b"]);
    load.wait(30);
    let before = farm["b"].asked();
    load.wait(60);
    assert_eq!(farm["b"].asked(), before);
    for name in ["o/a", "o/b"] {
        assert!(well(&house, &["upstreams", "ready", name]).contains("as the file says"));
    }
    let before = [farm["a"].asked(), farm["b"].asked()];
    load.wait(60);
    assert!(farm["a"].asked() > before[0] && farm["b"].asked() > before[1]);
    let (count, failed) = load.end();
    assert_eq!(failed, 0, "of {count}");
    let said = house.process.said();
    let lines: Vec<_> = said.iter().filter(|line| line.contains("o/a: drain by")).collect();
    assert_eq!(lines.len(), 1, "one line for a change: {lines:?}");
}

#[test]
fn a_weight_shows_in_picks() {
    let farm = Farm::of(&["a", "b"]);
    let house = House::before(&farm, "");
    well(&house, &["upstreams", "weight", "3", "o/a", "--forever"]);
    let shares = house.shares(40);
    assert_eq!(shares, [("a".to_owned(), 30), ("b".to_owned(), 10)]);
    let seen = server(&house, "a");
    assert_eq!((&seen["weight"], &seen["file_weight"]), (&3.into(), &1.into()));
    well(&house, &["upstreams", "weight", "0", "o/a"]);
    assert_eq!(house.shares(10), [("b".to_owned(), 10)]);
    assert!(server(&house, "a")["why"].as_str().unwrap().contains("weight 0"));
    let table = well(&house, &["upstreams"]);
    assert!(table.contains("0(1)") && table.contains("weight 0 instead of 1"), "{table}");
    well(&house, &["upstreams", "weight", "1", "o/a"]);
    assert_eq!(house.shares(10), [("a".to_owned(), 5), ("b".to_owned(), 5)]);
}

#[test]
fn what_cannot_be_changed_is_said_and_nothing_is() {
    let farm = Farm::of(&["a"]);
    let house = House::before(&farm, "");
    let long = "x".repeat(300);
    for (arguments, code, word) in [
        (&["upstreams", "drain", "p/a"][..], 1, "no server `p/a`"),
        (&["upstreams", "drain", "o/"], 1, "no server `o/`"),
        (&["upstreams", "drain", "o/a", "--reason", &long], 1, "reason"),
        (&["upstreams", "drain", "o/a", "--within", "2h", "--for", "1h"], 2, "ends before"),
        (&["upstreams", "weight", "70000", "o/a"], 2, "65535"),
        (&["upstreams", "drain", "o/a", "--for", "soon"], 2, "soon"),
    ] {
        let output = run(&house, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
    assert_eq!(json(&house, &["upstreams"])["overrides"], Value::Array(Vec::new()));
    assert_eq!(house.get("/").status, 200);
}

#[test]
fn an_override_survives_a_restart_and_a_kill() {
    let farm = Farm::of(&["a", "b"]);
    let (data, address) = (folder(), free_address());
    let text = format!("upstream o {{\n{}}}\n@SITE {{ proxy o }}", farm.servers(|_| String::new()));
    let mut house = in_data(data.path(), address, &text);
    well(&house, &["upstreams", "down", "o/a", "--reason", "burnt", "--forever"]);
    well(&house, &["upstreams", "weight", "7", "o/b"]);
    for signal in [Signal::KILL, Signal::TERM] {
        house.process.signal(signal).expect("our own child");
        house.process.wait().expect("an end");
        house = in_data(data.path(), address, &text);
        assert_eq!(house.shares(6), [("b".to_owned(), 6)], "the first request already");
        assert_eq!(server(&house, "b")["weight"], 7);
        assert!(server(&house, "a")["why"].as_str().unwrap().contains("burnt"));
    }
    // What the file says meanwhile counts at a start too.
    house.process.stop().expect("an end");
    let other = text.replace("name b;", "name b; weight 2;");
    let house = in_data(data.path(), address, &other);
    assert!(!house.process.wait_for_words("the override `weight 7` of o/b").is_empty());
    assert_eq!(server(&house, "b")["weight"], 2);
    assert_eq!(server(&house, "a")["state"], "down");
}

#[test]
fn a_file_that_says_something_else_wins_with_a_notice() {
    let farm = Farm::of(&["a", "b"]);
    let data = folder();
    let text = |weight: u32| {
        let servers = farm.servers(|name| match name {
            "a" => format!("weight {weight}"),
            _ => String::new(),
        });
        format!("upstream o {{\n{servers}}}\n@SITE {{ proxy o }}")
    };
    let house = in_data(data.path(), free_address(), &text(1));
    well(&house, &["upstreams", "weight", "3", "o/a"]);
    well(&house, &["upstreams", "drain", "o/b"]);
    // A reload that leaves the servers as they are leaves the overrides too.
    let told = reload(&house, data.path(), &format!("# a word\n{}", text(1)));
    assert!(!told.contains("override"), "{told}");
    assert_eq!(house.shares(8), [("a".to_owned(), 8)]);
    let told = reload(&house, data.path(), &text(2));
    assert!(told.contains("the file said `weight 1` and says `weight 2` now"), "{told}");
    assert_eq!(server(&house, "a")["weight"], 2);
    assert_eq!(server(&house, "b")["state"], "draining", "the other one is kept");
    // A server that is gone takes its override along.
    let servers = farm.servers(|_| String::new());
    let first = servers.lines().next().expect("a line");
    let told =
        reload(&house, data.path(), &format!("upstream o {{\n{first}\n}}\n@SITE {{ proxy o }}"));
    assert!(told.contains("the file has no such server any more"), "{told}");
    assert_eq!(json(&house, &["upstreams"])["overrides"], Value::Array(Vec::new()));
    assert!(!data.path().join("overrides.json").exists());
}

#[test]
fn an_override_ends_by_itself() {
    let farm = Farm::of(&["a", "b"]);
    let house = House::before(&farm, "");
    well(&house, &["upstreams", "down", "o/a", "--for", "1s"]);
    assert!(!house.process.wait_for_words("o/a: the override `down` has ended").is_empty());
    house.until("a is asked again", |reply| reply.server == "a");
    assert_eq!(server(&house, "a")["state"], "ready");
    assert_eq!(json(&house, &["upstreams"])["overrides"], Value::Array(Vec::new()));
}

/// A server of tunnels: it switches protocols and sends back what comes, until the end.
fn tunnels() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_exact(&mut byte).is_err() {
                        return;
                    }
                    head.push(byte[0]);
                }
                let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
                let _ = stream.write_all(switch.as_bytes());
                while stream.read_exact(&mut byte).is_ok() {
                    let _ = stream.write_all(&byte);
                }
            });
        }
    });
    address
}

/// A tunnel through the house that has been used once.
fn tunnel(house: &House, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(house.address).expect("a house that is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let head = "HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(format!("GET {path} {head}").as_bytes()).expect("an open connection");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    echoes(&mut stream);
    stream
}

fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"x").expect("an open tunnel");
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("what was sent");
    assert_eq!(byte, *b"x");
}

#[test]
fn the_deadline_of_a_drain_ends_tunnels_in_order() {
    let text = format!(
        "upstream o {{ server {} {{ name a }} }}\nupstream p {{ server {} {{ name b }} }}\n\
         @SITE {{ route /p {{ proxy p }}; route * {{ proxy o }} }}",
        tunnels(),
        tunnels()
    );
    let house = House::with("workers 1", &text);
    let (mut one, mut other) = (tunnel(&house, "/"), tunnel(&house, "/p"));
    well(&house, &["upstreams", "drain", "o/a"]);
    echoes(&mut one);
    echoes(&mut other);
    // Without a deadline they stay; with one they end when it has come, and in order: no reset.
    well(&house, &["upstreams", "drain", "o/a", "--within", "1s"]);
    let mut rest = Vec::new();
    let read = one.read_to_end(&mut rest);
    assert!(matches!(read, Ok(0)), "{read:?} {rest:?}");
    echoes(&mut other);
    let seen = server(&house, "a");
    assert_eq!(seen["state"], "down", "{seen:#}");
    house.process.wait_for_times("o/a: its time to drain is over", 1);
}

#[test]
fn the_running_process_explains_whom_it_picks_and_why_not_the_others() {
    let farm = Farm::of(&["a", "b", "c"]);
    let house = House::before(&farm, "balance least-requests");
    well(&house, &["upstreams", "drain", "o/a", "--reason", "new disk"]);
    farm["b"].stop();
    let held = [house.begin("/"), house.begin("/"), house.begin("/")];
    farm["b"].wait_asked(1);
    let url = format!("http://localhost:{}/", house.address.port());
    let before = [server(&house, "b"), server(&house, "c")];
    for _ in 0..5 {
        let text = well(&house, &["explain", &url, "--running"]);
        assert!(text.contains("draining: takes only requests that are bound to it"), "{text}");
        assert!(text.contains("new disk"), "{text}");
        assert!(text.contains("c: fewest requests in flight for its weight"), "{text}");
    }
    let value = json(&house, &["explain", &url, "--running"]);
    let way = &value["outcome"]["upstreams"][0];
    assert_eq!(way["pick"], "c: fewest requests in flight for its weight");
    let picked: Vec<_> = way["servers"]
        .as_array()
        .expect("servers")
        .iter()
        .map(|one| (one["running"]["candidate"] == true, one["running"]["picked"] == true))
        .collect();
    assert_eq!(picked, [(false, false), (true, false), (true, true)]);
    // A look changes nothing.
    assert_eq!([server(&house, "b"), server(&house, "c")], before);
    farm["b"].go_on();
    for asked in held {
        assert_eq!(asked.reply().status, 200);
    }
    // The configuration in force counts, not the file.
    let path = house.process.folder().join("doorman.conf");
    std::fs::write(&path, "doorman 1\nsite http://x.test { respond 200 }\n").expect("our folder");
    assert!(well(&house, &["explain", &url, "--running"]).contains("pick"));
}

#[test]
fn a_diff_shows_what_a_reload_would_bring_and_what_was_changed() {
    let farm = Farm::of(&["a", "b"]);
    let house = House::before(&farm, "");
    assert_eq!(well(&house, &["diff"]), "");
    well(&house, &["upstreams", "weight", "5", "o/a", "--reason", "bigger"]);
    let path = house.process.folder().join("doorman.conf");
    let good = std::fs::read_to_string(&path).expect("our own file");
    std::fs::write(&path, good.replace("name b;", "name b; weight 2;")).expect("our own folder");
    let output = run(&house, &["diff"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "doorman.conf  changed");
    assert!(lines[1].contains(" - server ") && lines[2].contains(" + server "), "{text}");
    assert!(lines[2].contains("name b; weight 2;"), "{text}");
    assert!(lines[3].starts_with("override o/a: weight 5 instead of 1, for "), "{text}");
    assert!(lines[3].ends_with(": bigger"), "{text}");
    std::fs::write(&path, good.replace("name b;", "nmae b;")).expect("our own folder");
    let output = run(&house, &["diff"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("would be refused") && said.contains("nmae"), "{said}");
    // Status tells of overrides too, and so do the metrics.
    assert!(well(&house, &["status"]).contains("override     o/a: weight 5 instead of 1"));
}

#[test]
fn what_may_hold_secrets_needs_the_token_over_tcp() {
    let farm = Farm::of(&["a"]);
    let admin = free_address();
    let servers = farm.servers(|_| String::new());
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; bind 127.0.0.1; admin {admin} {{ token-file token }} }}\n\
         upstream o {{\n{servers}}}\nsite http://*:{} {{ proxy o }}\n",
        address.port()
    );
    let process = Program::new(BINARY)
        .file("doorman.conf", text)
        .file("token", "0123456789abcdef0123\n")
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address, admin]);
    let call = |method: &str, path: &str, token: &str| {
        let mut stream = TcpStream::connect(admin).expect("the admin API");
        let fields = format!("Host: {admin}\r\nConnection: close\r\nContent-Length: 0\r\n{token}");
        stream
            .write_all(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n").as_bytes())
            .expect("an open connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).expect("a status")
    };
    let token = "Authorization: Bearer 0123456789abcdef0123\r\n";
    let explain =
        format!("/explain?url=http://localhost:{}/&method=GET&from=127.0.0.1", address.port());
    for (method, path, without) in [
        ("GET", "/diff", 401),
        ("GET", explain.as_str(), 401),
        ("GET", "/upstreams", 200),
        ("POST", "/upstreams/set?target=o/a&state=drain", 401),
    ] {
        assert_eq!(call(method, path, ""), without, "{path}");
        assert_eq!(call(method, path, token), 200, "{path}");
    }
    assert_eq!(call("GET", "/upstreams/set?target=o/a&state=drain", token), 405);
    drop(process);
}

/// A relay knows no end of a message, so what is cut is seen to be cut.
#[test]
fn the_deadline_of_a_drain_ends_relayed_connections() {
    let port = free_address();
    let text = format!(
        "upstream o {{ server {} {{ name a }} }}\nrelay {port} {{ proxy o }}\n@SITE {{ respond 200 }}",
        tunnels()
    );
    let house = House::with("workers 1", &text);
    let relayed = House { process: house.process, address: port };
    let mut one = tunnel(&relayed, "/");
    well(&relayed, &["upstreams", "drain", "o/a", "--within", "1s"]);
    echoes(&mut one);
    let mut rest = Vec::new();
    let read = one.read_to_end(&mut rest);
    let kind = read.map_err(|error| error.kind());
    assert_eq!((kind, rest), (Err(std::io::ErrorKind::ConnectionReset), Vec::new()));
}

/// A drain of the file is a word like others: an override stands over it, until the file changes.
#[test]
fn a_drain_of_the_file_is_overridden_too() {
    let farm = Farm::of(&["a", "b"]);
    let data = folder();
    let text = |options: &str| {
        let servers =
            farm.servers(|name| if name == "a" { options.to_owned() } else { String::new() });
        format!("upstream o {{\n{servers}}}\n@SITE {{ proxy o }}")
    };
    let house = in_data(data.path(), free_address(), &text("drain"));
    assert_eq!(house.shares(4), [("b".to_owned(), 4)]);
    assert!(server(&house, "a")["why"].as_str().unwrap().contains("the file says so"));
    let told = well(&house, &["upstreams", "ready", "o/a"]);
    assert!(told.contains("ready instead of drain"), "{told}");
    assert_eq!(house.shares(4), [("a".to_owned(), 2), ("b".to_owned(), 2)]);
    let told = reload(&house, data.path(), &text(""));
    assert!(told.contains("the file said `drain` and says `ready` now"), "{told}");
    assert_eq!(house.shares(4), [("a".to_owned(), 2), ("b".to_owned(), 2)]);
}

#[test]
fn a_server_that_is_made_ready_again_begins_slowly_where_that_is_said() {
    let farm = Farm::of(&["a", "b"]);
    let house = House::before(&farm, "slow-start 10m");
    assert_eq!(server(&house, "a")["state"], "ready", "a start is nothing to go slowly for");
    well(&house, &["upstreams", "down", "o/a"]);
    well(&house, &["upstreams", "ready", "o/a"]);
    let seen = server(&house, "a");
    assert_eq!(
        (&seen["state"], &seen["candidate"]),
        (&"slow-start".into(), &true.into()),
        "{seen:#}"
    );
    assert!(seen["until"].is_u64() && seen["since"].is_u64(), "{seen:#}");
    let shares = house.shares(40);
    let of_a = shares.iter().find(|(name, _)| name == "a").map_or(0, |(_, count)| *count);
    assert!(of_a < 10, "{shares:?}");
}
