//! Stories about the admin API, the metrics and the logs, told over the binary as it is installed.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use doorman_testkit::port::free as free_port;
use serde_json::Value;

mod cache;

const BINARY: &str = env!("CARGO_BIN_EXE_doorman");

struct Story {
    folder: PathBuf,
    port: u16,
    metrics: u16,
    child: Option<Child>,
}

impl Story {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("doorman-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, port: free_port(), metrics: free_port(), child: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a configuration with these lines in `global` and these routes.
    fn write(&self, global: &str, routes: &str) {
        let text = format!(
            "doorman 1\nglobal {{\n admin unix:{}\n metrics 127.0.0.1:{}\n workers 2\n data {}\n{global}\n}}\n\
             site http://127.0.0.1:{} {{\n{routes}\n}}\n",
            self.path("admin.sock").display(),
            self.metrics,
            self.path("data").display(),
            self.port
        );
        fs::write(self.path("doorman.conf"), text).unwrap();
    }

    /// Starts it and waits until it serves: the admin socket is there last.
    fn start(&mut self, stdout: Stdio) {
        let mut command = Command::new(BINARY);
        command.args(["run", "-c"]).arg(self.path("doorman.conf"));
        self.start_as(command, stdout);
    }

    fn start_as(&mut self, mut command: Command, stdout: Stdio) {
        let stderr = fs::File::create(self.path("stderr")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
        self.child = Some(child);
        loop {
            let child = self.child.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended by {status}: {}", self.read("stderr"));
            }
            if UnixStream::connect(self.path("admin.sock")).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn end(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.take().unwrap().wait().unwrap()
    }

    /// Asks over a connection of its own; gives status and content.
    #[expect(clippy::disallowed_methods, reason = "a test of the real network")]
    fn get(&self, port: u16, path: &str) -> (u16, String) {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        ask(stream, "GET", path, &format!("127.0.0.1:{port}"))
    }

    fn call(&self, method: &str, path: &str) -> (u16, Value) {
        let stream = UnixStream::connect(self.path("admin.sock")).unwrap();
        let (status, body) = ask(stream, method, path, "localhost");
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let admin = format!("unix:{}", self.path("admin.sock").display());
        Command::new(BINARY).args(arguments).args(["--admin", &admin]).output().unwrap()
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let (_, page) = self.get(self.metrics, "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Waits until a file holds so many lines; the test's own deadline is the runner's.
    fn lines(&self, name: &str, count: usize) -> Vec<String> {
        loop {
            let text = self.read(name);
            if text.matches('\n').count() >= count {
                return text.lines().map(str::to_owned).collect();
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ask(mut stream: impl Read + Write, method: &str, path: &str, host: &str) -> (u16, String) {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: test/1\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

const ROUTES: &str = " route /a { respond 200 \"hello\" }\n route /b { respond 204 }";

#[test]
fn a_reload_that_is_good() {
    let mut story = Story::new("good");
    story.write("", ROUTES);
    story.start(Stdio::null());
    let port = story.port;
    assert_eq!(story.get(port, "/a"), (200, "hello".to_owned()));
    let (old, fresh) = (story.metrics, free_port());
    story.metrics = fresh;
    story.write("", &ROUTES.replace("hello", "again"));
    let (status, answer) = story.call("POST", "/reload");
    assert_eq!((status, &answer["result"], &answer["generation"]), (200, &"ok".into(), &2.into()));
    assert_eq!(answer["warnings"], Value::Array(Vec::new()));
    // The cores hear of it by a message; each answers by the new plan from its next turn on.
    while story.get(port, "/a").1 != "again" {}
    assert_eq!(story.metric("doorman_config_reloads_total{result=\"ok\"}"), Some(1.0));
    let refused = TcpStream::connect_timeout(
        &(Ipv4Addr::LOCALHOST, old).into(),
        std::time::Duration::from_secs(1),
    );
    assert!(refused.is_err(), "the old metrics address is closed");
    assert_eq!(story.call("GET", "/reload").0, 405);
    assert_eq!(story.call("GET", "/nothing").0, 404);
    assert!(story.end().success());
    assert!(!story.path("admin.sock").exists());
}

#[test]
fn a_reload_that_is_bad_keeps_the_plan_and_tells_all() {
    let mut story = Story::new("bad");
    story.write("", ROUTES);
    story.start(Stdio::null());
    story.write("", " route /a { respnd 200 }\n route /b { respond 9000 }\n rute * { }");
    let (status, answer) = story.call("POST", "/reload");
    assert_eq!((status, &answer["result"]), (422, &"failed".into()));
    let found = answer["diagnostics"].as_array().unwrap();
    assert_eq!(found.len(), 3, "{answer:#}");
    assert!(answer["text"].as_str().unwrap().contains("respnd"));
    assert_eq!(story.get(story.port, "/a"), (200, "hello".to_owned()));
    let output = story.run(&["reload"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("respnd"));
    let output = story.run(&["status", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["config"]["last_reload"]["result"], "failed");
    assert_eq!(story.metric("doorman_config_reloads_total{result=\"failed\"}"), Some(2.0));
    fs::remove_file(story.path("doorman.conf")).unwrap();
    let (status, answer) = story.call("POST", "/reload");
    assert_eq!(status, 422);
    assert!(answer["error"].as_str().unwrap().contains("doorman.conf"), "{answer}");
    story.write("", ROUTES);
    assert_eq!(story.run(&["reload"]).status.code(), Some(0));
    assert_eq!(story.run(&["status"]).status.code(), Some(0));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test of the real network")]
fn a_port_in_use_refuses_the_reload_and_changes_nothing() {
    let mut story = Story::new("in-use");
    story.write("", ROUTES);
    story.start(Stdio::null());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let (site, metrics) = (story.port, story.metrics);
    for (own, other) in [(taken_port, metrics), (site, taken_port)] {
        (story.port, story.metrics) = (own, other);
        story.write("", &ROUTES.replace("hello", "changed"));
        let (status, answer) = story.call("POST", "/reload");
        assert_eq!(status, 422);
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(&format!(":{taken_port}")), "{error}");
        assert_eq!(story.get(site, "/a"), (200, "hello".to_owned()));
        assert_eq!(story.get(metrics, "/metrics").0, 200);
    }
    assert_eq!(story.run(&["reload"]).status.code(), Some(1));
}

#[test]
fn status_has_its_shape() {
    let mut story = Story::new("status");
    story.write("", &format!("{ROUTES}\n proxy 127.0.0.1:{}", free_port()));
    story.start(Stdio::null());
    assert_eq!(story.get(story.port, "/x").0, 502);
    let (status, mut report) = story.call("GET", "/status");
    assert_eq!(status, 200);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "version",
            "pid",
            "uptime_seconds",
            "state",
            "drain_seconds_left",
            "config",
            "listeners",
            "relays",
            "connections",
            "upstreams",
            "stores",
            "certificate_problems",
            "overrides",
            "now",
            "access_log_dropped",
            "panics",
            "problems",
            "hardening"
        ]
    );
    assert_eq!(report["pid"], story.child.as_ref().unwrap().id());
    assert_eq!(report["state"], "running");
    assert_eq!(report["config"]["generation"], 1);
    assert_eq!(report["config"]["last_reload"], Value::Null);
    assert_eq!(report["config"]["hash"].as_str().unwrap().len(), 16);
    let server = report["upstreams"][0]["servers"][0].take();
    assert_eq!((&server["in_flight"], &server["picks"]), (&0.into(), &1.into()));
    assert_eq!((&server["resting"], &server["state"]), (&true.into(), &"resting".into()));
    let keys: Vec<&str> = server.as_object().unwrap().keys().map(String::as_str).collect();
    let known =
        ["name", "in_flight", "picks", "resting", "state", "since", "why", "checks", "changes"];
    assert!(known.iter().all(|key| keys.contains(key)), "{keys:?}");
}

#[test]
fn metrics_count_exactly() {
    let mut story = Story::new("metrics");
    story.write("", ROUTES);
    story.start(Stdio::null());
    for n in 0..100 {
        let (path, expect) = match n % 10 {
            0..6 => ("/a", 200),
            6..9 => ("/b", 204),
            _ => ("/c", 404),
        };
        assert_eq!(story.get(story.port, path).0, expect);
    }
    let site = format!("http://127.0.0.1:{}", story.port);
    let requests = |route: &str, code: u16| {
        story.metric(&format!(
            "doorman_http_requests_total{{site=\"{site}\",route=\"{route}\",code=\"{code}\",proto=\"1.1\"}}"
        ))
    };
    // A record is closed once its answer was written, so the last may still be on its way.
    while requests("_none", 404) != Some(10.0) {}
    assert_eq!((requests("/a", 200), requests("/b", 204)), (Some(60.0), Some(30.0)));
    let of = |name: &str| story.metric(&format!("{name}{{site=\"{site}\",route=\"/a\"}}"));
    assert_eq!(of("doorman_http_response_bytes_total"), Some(300.0));
    assert_eq!(of("doorman_http_request_duration_seconds_count"), Some(60.0));
    let accepted = format!(
        "doorman_connections_total{{listener=\":{}\",proto=\"h1\",result=\"accepted\"}}",
        story.port
    );
    assert_eq!(story.metric(&accepted), Some(100.0));
    assert_eq!(story.metric("doorman_access_log_dropped_total"), Some(0.0));
    assert!(story.metric("process_open_fds").is_some_and(|open| open > 3.0));
}

/// A line with what differs from run to run replaced.
fn masked(line: &str, port: u16) -> String {
    let mut value: Value = serde_json::from_str(line).unwrap();
    for (key, mask) in [("time", "T"), ("request_id", "R")] {
        assert!(value[key].as_str().is_some_and(|text| text.len() > 20), "{line}");
        value[key] = mask.into();
    }
    assert!(value["total_us"].is_u64(), "{line}");
    value["total_us"] = 0.into();
    value.to_string().replace(&port.to_string(), "PORT")
}

#[test]
fn lines_of_each_format_rotation_and_the_end() {
    let mut story = Story::new("log");
    let to = |format: &str| format!(" log access {format} {}", story.path("access.log").display());
    let (json, combined, pretty) = (to("json"), to("combined"), to("pretty"));
    story.write(&json, ROUTES);
    story.start(Stdio::null());
    assert_eq!(story.get(story.port, "/a?q=%0a\"x").0, 200);
    let lines = story.lines("access.log", 1);
    assert_eq!(
        masked(&lines[0], story.port),
        concat!(
            r#"{"time":"T","request_id":"R","site":"http://127.0.0.1:PORT","route":"/a","#,
            r#""client":"127.0.0.1","method":"GET","host":"127.0.0.1:PORT","path":"/a","#,
            r#""query":"q=%0a\"x","proto":"HTTP/1.1","status":200,"bytes_in":0,"bytes_out":5,"#,
            r#""total_us":0,"end":"ok","user_agent":"test/1"}"#
        )
    );
    fs::rename(story.path("access.log"), story.path("old.log")).unwrap();
    story.signal("USR1");
    while !story.path("access.log").exists() {}
    assert_eq!(story.get(story.port, "/b").0, 204);
    assert!(story.lines("access.log", 1)[0].contains("\"status\":204"));
    assert_eq!(story.read("old.log").lines().count(), 1);

    story.write(&combined, ROUTES);
    assert_eq!(story.run(&["reload"]).status.code(), Some(0));
    // A line that crosses a page of the file may be seen before its end is written.
    let combined = |text: &str| {
        let whole = text.lines().filter(|line| line.ends_with('"'));
        whole.rev().find(|line| line.contains(" - - [")).map(str::to_owned)
    };
    let line = loop {
        assert_eq!(story.get(story.port, "/a").0, 200);
        if let Some(line) = combined(&story.read("access.log")) {
            break line;
        }
    };
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.ends_with("] \"GET /a HTTP/1.1\" 200 5 \"-\" \"test/1\""), "{line}");

    story.write(&pretty, ROUTES);
    assert_eq!(story.run(&["reload"]).status.code(), Some(0));
    while !story.read("access.log").contains(" ms  ") {
        assert_eq!(story.get(story.port, "/a").0, 200);
    }
    assert!(!story.read("access.log").contains('\x1b'), "a file is no terminal");
    // What is written just before the end is not lost.
    assert_eq!(story.get(story.port, "/last").0, 404);
    assert!(story.end().success());
    assert!(story.read("access.log").contains("/last"), "{}", story.read("access.log"));
}

#[test]
fn a_reader_of_stdout_that_goes_away_is_no_harm() {
    let mut story = Story::new("stdout");
    story.write(" log access json stdout", ROUTES);
    story.start(Stdio::piped());
    let stdout = story.child.as_mut().unwrap().stdout.take().unwrap();
    assert_eq!(story.get(story.port, "/a").0, 200);
    let mut first = String::new();
    let mut reader = BufReader::new(stdout);
    reader.read_line(&mut first).unwrap();
    assert!(first.contains("\"status\":200"));
    drop(reader);
    assert_eq!(story.get(story.port, "/b").0, 204);
    while story.call("GET", "/status").1["access_log_dropped"] != 1 {}
    assert_eq!(story.get(story.port, "/a").0, 200);
    assert!(story.end().success());
    assert!(story.read("stderr").contains("cannot write the access log"));
}

#[test]
fn nobody_answers() {
    let output = Command::new(BINARY)
        .args(["status", "--admin", "unix:/nonexistent/doorman.sock"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("unix:/nonexistent/doorman.sock") && text.contains("help:"), "{text}");
    let output = Command::new(BINARY).args(["reload", "--admin", "nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_second_proxy_does_not_take_the_socket() {
    let mut story = Story::new("second");
    story.write("", ROUTES);
    story.start(Stdio::null());
    let other = Story::new("second-other");
    let text = story.read("doorman.conf");
    let text = text.replace(&story.port.to_string(), &other.port.to_string());
    let text = text.replace(&story.metrics.to_string(), &other.metrics.to_string());
    let config: &Path = &other.path("doorman.conf");
    fs::write(config, text).unwrap();
    let output = Command::new(BINARY).args(["run", "-c"]).arg(config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process listens there"));
    assert_eq!(story.call("GET", "/status").0, 200);
}
