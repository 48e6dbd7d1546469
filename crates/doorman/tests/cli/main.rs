//! The command line as people and scripts meet it: the built binary over files in a temporary
//! folder. Expected texts stand in the tests, in one piece with what they come from.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use doorman_testkit::port::free as free_port;

mod explain;

/// A configuration with something of everything.
const SHOP: &str = r#"doorman 1

global {
    data            ./data
    trusted-proxies 10.0.0.0/8
}

upstream web {
    server 127.0.0.1:3000
    server 127.0.0.1:3001 weight 2
}

site shop.localhost {
    tls internal
    response-header set X-Shop {host}
    response-header remove Server

    route /static/* {
        strip-prefix /static
        proxy web
    }
    route POST /api/* when header X-Beta 1 {
        host upstream
        proxy 127.0.0.1:9000
    }
    route /old { redirect https://new.example{uri} 308 }
    respond 404 "nothing at {path}"
}
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, line: &str) -> Command {
        self.arguments(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn arguments(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorman"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for variable in ["NO_COLOR", "CLICOLOR_FORCE", "DOORMAN_ADMIN"] {
            command.env_remove(variable);
        }
        command.env("HOME", self.path()).env_remove("XDG_DATA_HOME").env_remove("XDG_RUNTIME_DIR");
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().unwrap())
    }
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn is(&self, code: i32, out: &str) {
        assert_eq!(self.out, out, "stderr: {}", self.err);
        assert_eq!(self.code, code, "stderr: {}", self.err);
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

#[test]
fn alone_it_shows_examples_first() {
    let folder = Folder::with(&[]);
    for line in ["", "--help", "-h"] {
        let ran = folder.run(line);
        assert_eq!(ran.code, 0, "{line}");
        assert!(ran.out.starts_with("Examples:\n  doorman demo"), "{}", ran.out);
    }
    assert_eq!(folder.run("nonsense").code, 2);
    assert_eq!(folder.run("check --nonsense").code, 2);
}

#[test]
fn check_says_everything_and_does_nothing() {
    let folder = Folder::with(&[
        ("doorman.conf", SHOP),
        ("bad.conf", "site http://a { proxy nowhere }\nsite http://b { roote / }\n"),
        ("cert.conf", "site https://a.internal { tls cert no.pem key no.key; respond 200 }\n"),
    ]);
    let good = folder.run("check");
    good.is(0, "");
    assert_eq!(good.err, "doorman.conf is valid: 1 site, 4 routes, 2 upstreams, 2 listeners\n");
    assert!(!folder.path().join("data").exists(), "a check makes no local authority");

    let bad = folder.run("check bad.conf --format short");
    assert_eq!(bad.code, 3, "{}", bad.out);
    assert!(bad.out.lines().count() >= 2, "all faults at once: {}", bad.out);
    assert!(bad.out.lines().all(|line| line.starts_with("bad.conf:")), "{}", bad.out);

    let cert = folder.run("check cert.conf --json");
    assert_eq!(cert.code, 3);
    let cert = cert.json();
    assert_eq!(cert["valid"], false);
    assert_eq!(cert["errors"], 1);
    assert_eq!(cert["diagnostics"][0]["code"], "E0603");
    assert_eq!(cert["diagnostics"][0]["primary"]["line"], 1);

    assert_eq!(folder.run("check missing.conf").code, 3);
}

/// Servers that answer, that are not there, and that speak TLS with a certificate that is trusted,
/// not trusted, or none at all.
#[test]
#[expect(clippy::disallowed_methods, reason = "the server stands outside of the proxy")]
fn check_deep_meets_every_server_and_only_warns() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["origin.test".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, der)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tls = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut server = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            let _ = server.complete_io(&mut stream);
        }
    });
    // Says nothing: the kernel accepts for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = silent.local_addr().unwrap().port();
    // A port that was ours a moment ago and is nobody's now.
    let closed = free_port();
    let text = format!(
        "upstream plain {{
            server 127.0.0.1:{plain} name open
            server 127.0.0.1:{closed} name shut
        }}
        upstream known {{ server https://127.0.0.1:{tls} name known; tls ca ca.pem name origin.test }}
        upstream other {{ server https://127.0.0.1:{tls} name other; tls ca ca.pem name other.test }}
        upstream stranger {{ server https://127.0.0.1:{tls} name stranger; tls name origin.test }}
        upstream mute {{ server https://127.0.0.1:{plain} name mute }}
        site http://a:8080 {{ proxy plain known other stranger mute }}\n"
    );
    let folder = Folder::with(&[("doorman.conf", &text), ("ca.pem", &certificate.pem())]);
    folder.run("check --format short").is(0, "");
    let deep = folder.run("check --deep");
    assert_eq!(deep.code, 0);
    for good in
        ["`open` of `plain`: connected\n", "`known` of `known`: connected, TLS handshake done"]
    {
        assert!(deep.err.contains(good), "{good}: {}", deep.err);
    }
    for bad in [
        "`shut` of `plain` cannot be used: connect: connection refused",
        "`other` of `other` cannot be used: TLS handshake: ",
        "`stranger` of `stranger` cannot be used: TLS handshake: ",
        "`mute` of `mute` cannot be used: connect: timed out",
    ] {
        assert!(deep.out.contains(&format!("warning[E0701]: {bad}")), "{bad}: {}", deep.out);
    }
    let told: serde_json::Value =
        serde_json::from_str(&folder.run("check --deep --json").out).unwrap();
    let servers = told["servers"].as_array().unwrap();
    let good: Vec<_> = servers
        .iter()
        .filter(|one| one["ok"] == true)
        .filter_map(|one| one["server"].as_str())
        .collect();
    assert_eq!((servers.len(), good), (6, vec!["open", "known"]));
}

#[test]
fn colour_is_for_terminals_and_those_who_ask() {
    let folder = Folder::with(&[("bad.conf", "site http://a { roote / }\n")]);
    let has_colour = |ran: &Ran| ran.out.contains('\x1b');
    assert!(!has_colour(&folder.run("check bad.conf")));
    assert!(has_colour(&folder.run("check bad.conf --color always")));
    let forced = folder.command("check bad.conf").env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(has_colour(&Ran::of(&forced)));
    let both = folder
        .command("check bad.conf")
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!has_colour(&Ran::of(&both)));
}

#[test]
fn tests_of_routes_hold_or_say_where_not() {
    let good = "\
# What the shop promises.
GET https://shop.localhost/static/a.js?x=1
expect route /static/* upstream web path /a.js?x=1 header X-Shop shop.localhost
GET http://shop.localhost/x
expect status 308 location https://shop.localhost/x
POST https://shop.localhost/api/1 header X-Beta 1
expect upstream 127.0.0.1:9000 host 127.0.0.1:9000 request-header X-Beta 1
GET https://shop.localhost/nope
expect status 404 body \"nothing at /nope\" site shop.localhost
";
    let bad = "\
GET https://shop.localhost/old
expect status 301
    # A request that is passed on has no status of its own.
GET https://shop.localhost/static/x
expect status 200 upstream api
";
    let folder = Folder::with(&[
        ("doorman.conf", SHOP),
        ("good.test", good),
        ("bad.test", bad),
        ("odd.test", "GET https://shop.localhost/\nexpect colour blue\n"),
        ("early.test", "expect status 200\n"),
    ]);
    folder.run("test good.test").is(0, "");
    folder.run("test good.test bad.test").is(
        1,
        "\
bad.test:2: expected status `301`, found `308`
    GET https://shop.localhost/old
bad.test:5: expected status `200`, but the request is passed on to an origin
    GET https://shop.localhost/static/x
bad.test:5: expected upstream `api`, found `web`
    GET https://shop.localhost/static/x
",
    );
    let json = folder.run("test bad.test --json").json();
    assert_eq!(json["requests"], 2);
    assert_eq!(json["failures"][0]["at"], "bad.test:2");
    for file in ["odd.test", "early.test"] {
        let ran = folder.run(&format!("test {file}"));
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(file), "{}", ran.err);
    }
    assert_eq!(folder.run("test missing.test").code, 1);
}

#[test]
fn fmt_writes_once() {
    let folder = Folder::with(&[
        ("doorman.conf", "site   http://a {\nrespond   200 # fine\n}\n"),
        ("bad.conf", "site http://a {\n"),
    ]);
    folder.run("fmt --check").is(1, "doorman.conf\n");
    let formatted = "site http://a {\n    respond 200  # fine\n}\n";
    folder.run("fmt --stdout").is(0, formatted);
    folder.run("fmt").is(0, "");
    let file = folder.path().join("doorman.conf");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), formatted);
    folder.run("fmt --check").is(0, "");
    assert_eq!(folder.run("fmt bad.conf").code, 3);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("bad.conf")).unwrap(),
        "site http://a {\n"
    );
}

#[test]
fn config_goes_to_json_and_back() {
    let folder = Folder::with(&[
        ("doorman.conf", "include more.conf\nsite http://a { respond 200 ${env:HOME} }\n"),
        ("more.conf", "site http://b { respond 200 }\n"),
    ]);
    folder.run("config show").is(
        0,
        "# file: doorman.conf\ninclude more.conf\nsite http://a { respond 200 ${env:HOME} }\n# file: more.conf\nsite http://b { respond 200 }\n",
    );
    let json = folder.run("config json");
    assert_eq!(json.code, 0, "{}", json.err);
    std::fs::write(folder.path().join("twin.json"), &json.out).unwrap();
    let text = folder.run("config text twin.json");
    assert_eq!(text.code, 0, "{}", text.err);
    std::fs::write(folder.path().join("back.conf"), &text.out).unwrap();
    assert_eq!(folder.run("config json back.conf").out, json.out);
    folder.run("check twin.json --format short").is(0, "");
    assert!(folder.run("config schema").json()["$defs"].is_object());
    std::fs::write(folder.path().join("bad.json"), "{").unwrap();
    assert_eq!(folder.run("config text bad.json").code, 3);
}

#[test]
fn help_knows_topics_directives_commands_and_codes() {
    let folder = Folder::with(&[]);
    for (word, part) in [
        ("routes", "first route"),
        ("strip-prefix", "Example: "),
        ("explain", "Usage: doorman explain"),
        ("e0207", "E0207"),
        ("E0603", "certificate"),
        ("directives", "# Directives"),
    ] {
        let ran = folder.run(&format!("help {word}"));
        assert_eq!(ran.code, 0, "{word}");
        assert!(ran.out.contains(part), "{word}: {}", ran.out);
    }
    let ran = folder.run("help strip-prefx");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("did you mean `strip-prefix`?"), "{}", ran.err);
    assert_eq!(folder.run("help").code, 0);
}

/// The reference page in the repository; `BLESS=1` writes it anew.
#[test]
fn the_reference_of_commands_is_current() {
    let page = Folder::with(&[]).run("help commands").out;
    let file = repository().join("docs/reference/commands.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(kept, page, "run this test with BLESS=1 and read what changed");
}

#[test]
fn completions_and_pages() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let ran = folder.run(&format!("completions {shell}"));
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("explain"), "{shell}");
    }
    assert!(folder.run("man").out.contains(".TH doorman"));
    assert!(folder.run("man explain").out.contains("explain"));
    assert_eq!(folder.run("man --to .").code, 0);
    assert!(folder.path().join("doorman-explain.1").exists());
    assert_eq!(folder.run("man nonsense").code, 2);
}

#[test]
fn proxy_prints_files_that_are_valid() {
    let folder = Folder::with(&[]);
    folder.run("proxy 3000 --print").is(
        0,
        "\
doorman 1

global {
    http-port  8080
    https-port 8443
    bind       127.0.0.1
    log        access pretty stdout
}

site localhost {
    tls   internal
    proxy 3000
}
",
    );
    for line in [
        "proxy 3000",
        "proxy 3000 3001 https://10.0.0.1:8443",
        "proxy [::1]:80 --site :8000",
        "proxy unix:/run/app.sock --site http://a.example:81",
        "proxy 3000 --site app.example.com",
        "proxy 3000 --port 9080 --tls-port 9443",
        "proxy 3000 3001 --cache --health /healthz",
        "proxy 3000 --compress --cache",
        "proxy 3000 --waf",
    ] {
        let ran = folder.run(&format!("{line} --print"));
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        std::fs::write(folder.path().join("printed.conf"), &ran.out).unwrap();
        folder.run("check printed.conf --format short").is(0, "");
        folder.run("fmt --check printed.conf").is(0, "");
    }
    // A public name gets a certificate that others trust, and who orders it agrees to terms.
    let named = folder.run("proxy 3000 --site app.example.com --print").out;
    assert!(named.contains("    # The certificate is ordered from Let's Encrypt"), "{named}");
    assert!(named.contains("tls   auto"), "{named}");
    // Who gives another name that others know must learn that nobody trusts its certificate yet.
    let named = folder.run("proxy 3000 --site *.example.com --print").out;
    assert!(named.contains("    # The certificate is signed by"), "{named}");
    // And what it is told to write instead must be right but for the files.
    let mended = named.replace("tls   internal", "tls cert a.pem key a.key");
    std::fs::write(folder.path().join("named.conf"), mended).unwrap();
    let ran = folder.run("check named.conf --format short");
    assert!(
        ran.code == 3 && ran.out.lines().all(|line| line.ends_with("no such file")),
        "{}",
        ran.out
    );
    let checked = folder.run("proxy 3000 --health /healthz?full=1 --site :8000 --print").out;
    assert!(checked.contains("    health GET /healthz?full=1\n"), "{checked}");
    std::fs::write(folder.path().join("checked.conf"), checked).unwrap();
    folder.run("check checked.conf --format short").is(0, "");
    let cached = folder.run("proxy 3000 --cache --print").out;
    assert!(cached.contains("\nstore app { memory 256MiB }\n"), "{cached}");
    assert!(cached.contains("    cache app\n"), "{cached}");
    let coded = folder.run("proxy 3000 --compress --print").out;
    assert!(coded.contains("    compress zstd br gzip\n"), "{coded}");
    let guarded = folder.run("proxy 3000 --waf --print").out;
    assert!(guarded.contains("    waf   starter level 1 mode block\n"), "{guarded}");
    assert_eq!(folder.run("proxy 3000 --health healthz").code, 2);
    assert_eq!(folder.run("proxy").code, 2);
    let sly = folder.arguments(&["proxy", "3000 }\nsite http://b { respond 200", "--print"]);
    assert_eq!(Ran::of(&{ sly }.output().unwrap()).code, 2);
    folder.run("demo --print");
    std::fs::write(folder.path().join("demo.conf"), folder.run("demo --print").out).unwrap();
    folder.run("check demo.conf --format short").is(0, "");
}

/// A process that is killed if a test fails.
struct Running {
    child: Child,
    said: String,
    rest: Option<BufReader<std::process::ChildStderr>>,
}

impl Running {
    /// Starts, and reads messages until one holds `ready`.
    fn start(mut command: Command, ready: &str) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe"));
        let mut said = String::new();
        while !said.contains(ready) {
            let before = said.len();
            lines.read_line(&mut said).expect("messages are text");
            assert!(said.len() > before, "it ended early: {said}");
        }
        Self { child, said, rest: Some(lines) }
    }

    /// Sends TERM and waits.
    fn stop(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        // The pipe is read to its end, so that nobody blocks on it.
        let mut rest = String::new();
        if let Some(mut lines) = self.rest.take() {
            let _ = lines.read_to_string(&mut rest);
        }
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-sS", "--max-time", "20"]).args(arguments).output();
    let output = output.expect("curl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the demo's WebSocket says to a text.
#[expect(clippy::disallowed_methods, reason = "a client stands outside of the proxy")]
fn echoed(port: u16, text: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let ask = format!(
        "GET /echo HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let length = u8::try_from(text.len()).unwrap();
    let masked = text.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let frame: Vec<u8> = [0x81, 0x80 | length, 1, 2, 3, 4].into_iter().chain(masked).collect();
    // A close in order, masked with zeros.
    let close = [0x88, 0x80, 0, 0, 0, 0];
    stream.write_all(&[ask.as_bytes(), &frame, &close].concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut said = String::new();
    let mut frames = &all[end..];
    while let [0x81, length, rest @ ..] = frames {
        let (text, rest) = rest.split_at(usize::from(*length));
        said += &String::from_utf8_lossy(text);
        frames = rest;
    }
    assert_eq!(frames, [0x88, 0], "a close for a close");
    said
}

#[test]
fn the_demo_serves_and_leaves_nothing_behind() {
    let folder = Folder::with(&[]);
    let (port, tls_port) = (free_port(), free_port());
    let line = format!("demo --port {port} --tls-port {tls_port}");
    let mut command = folder.command(&line);
    command.env("TMPDIR", folder.path());
    let demo = Running::start(command, "Stop with Ctrl-C");
    let http = format!("http://localhost:{port}");
    let both = curl(&[&format!("{http}/a")]) + &curl(&[&format!("{http}/b")]);
    assert!(both.contains("I am red") && both.contains("I am blue"), "{both}");
    let words = demo.said.split_whitespace();
    let root =
        words.skip_while(|word| *word != "--cacert").nth(1).expect("the tour names the root");
    let https = format!("https://localhost:{tls_port}/");
    let over_tls = curl(&["--cacert", root, "-w", "%{http_version}", &https]);
    assert!(over_tls.contains("I am") && over_tls.ends_with('2'), "{over_tls}");
    assert!(curl(&[&format!("{http}/stream")]).contains("line 10 of 10"));
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", &format!("{http}/slow")]), "504");
    assert_eq!(curl(&["-H", "X-Name: you", &format!("{http}/hello")]), "hello you\n");
    assert!(curl(&["-d", "some body", &format!("{http}/post")]).contains("POST /post"));
    let cached = format!("{http}/cached");
    assert_eq!(demo.said.matches(&format!("curl -i {cached} ")).count(), 3, "{}", demo.said);
    let stored = |expect: &str| {
        let answer = curl(&["-i", &cached]);
        let told =
            answer.lines().find(|line| line.to_ascii_lowercase().starts_with("cache-status:"));
        told.is_some_and(|told| told.contains(expect))
    };
    assert!(stored("; fwd=uri-miss; "), "a miss");
    assert!(stored("; hit"), "a hit");
    // As long as it is fresh.
    while !stored("; detail=refresh") {}
    assert!(demo.said.contains(&format!("{http}/echo")), "{}", demo.said);
    assert!(curl(&[&format!("{http}/echo")]).contains("new WebSocket("));
    let heard = echoed(port, b"hello");
    assert!(heard.contains(". I send back what you say.") && heard.ends_with("hello"), "{heard}");

    let second = folder.command(&line).output().unwrap();
    let second = Ran::of(&second);
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("choose other ports"), "{}", second.err);

    assert_eq!(demo.stop(), 0);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.flatten().map(|entry| entry.file_name()).collect();
    let demos = left.iter().filter(|name| name.to_string_lossy().starts_with("doorman-demo"));
    assert_eq!(demos.count(), 0, "{left:?}");
}

#[test]
fn a_watched_file_is_read_again() {
    let port = free_port();
    let text = |word: &str| {
        format!("global {{ data ./data }}\nsite http://*:{port} {{ respond 200 {word} }}\n")
    };
    let folder = Folder::with(&[("doorman.conf", &text("one"))]);
    let mut running = Running::start(folder.command("run --watch"), "doorman is ready");
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(curl(&[&url]), "one");
    let mut says = |word: &str| {
        let mut said = String::new();
        let lines = running.rest.as_mut().expect("it is running");
        while !said.contains(word) {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
    };
    std::fs::write(folder.path().join("doorman.conf"), "site {\n").unwrap();
    says("the old one stays in force");
    assert_eq!(curl(&[&url]), "one");
    std::fs::write(folder.path().join("doorman.conf"), text("two")).unwrap();
    says("is in force");
    assert_eq!(curl(&[&url]), "two");
    assert_eq!(running.stop(), 0);
}

/// A change between the moment in which a file is read and that in which it is watched: the program
/// waits in a pipe that the configuration includes while its first file changes.
#[test]
fn a_file_that_changes_while_the_program_starts_is_read_again() {
    let port = free_port();
    let text = |word: &str| {
        format!("global {{ data ./data }}\nsite http://*:{port} {{ respond 200 {word} }}\n")
    };
    let begun = text("\"${file:pipe}\"");
    let folder = Folder::with(&[("doorman.conf", &begun)]);
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let later = (folder.path().join("doorman.conf"), text("two"));
    let change = std::thread::spawn(move || {
        // Opened once the program reads it.
        let mut end = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
        std::fs::write(later.0, later.1).unwrap();
        end.write_all(b"one").unwrap();
    });
    let running = Running::start(folder.command("run --watch"), "doorman is ready");
    change.join().unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let is_read = (0..2000).any(|_| curl(&[&url]) == "two");
    assert!(is_read, "the change was missed");
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_faulty_configuration_does_not_run() {
    let folder = Folder::with(&[("doorman.conf", "site http://a { roote / }\n")]);
    let ran = folder.run("run");
    ran.is(3, "");
    assert!(ran.err.contains("error[E0201]"), "{}", ran.err);
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every example, and every configuration in the README, is one that doorman takes.
#[test]
fn examples_and_readme_are_valid() {
    let folder = Folder::with(&[]);
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(repository().join("examples")).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push((path.display().to_string(), text));
        }
    }
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap_or_default();
    for (number, block) in readme.split("\n```").enumerate().filter(|(number, _)| number % 2 == 1) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        let is_config = text.lines().any(|line| line.starts_with("site "));
        if matches!(language, "" | "conf" | "doorman") && is_config {
            texts.push((format!("README block {number}"), text.to_owned()));
        }
    }
    assert!(texts.len() > 1, "there are examples");
    for (name, text) in texts {
        std::fs::write(folder.path().join("doorman.conf"), text).unwrap();
        let ran = folder.run("check --format short");
        // Certificates that only the reader has cannot be there; all else must be right.
        let others = ran
            .out
            .lines()
            .filter(|line| line.contains("error[") && !line.ends_with("no such file"));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
        if name.ends_with(".conf") {
            folder.run("fmt --check doorman.conf").is(0, "");
        }
        assert!(matches!(ran.code, 0 | 3), "{name}: {}", ran.err);
    }
}
