//! FastCGI applications: what they are told, how their answers are read, and what becomes of clients
//! when they fail. One is written in Rust and plays what a story says; the other is Debian's PHP.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use doorman_testkit::fastcgi::{
    Request, answer, end, read_head, read_record, read_request, record, stderr, stdout,
};
use doorman_testkit::sums::{Pattern, Sum};
use tempfile::TempDir;

use crate::rig::client::{Failure, once};
use crate::rig::{Ask, Back, Client, Front, House, PATIENCE, Pair};

const FRONTS: [Front; 3] = [Front::H1, Front::H1Tls, Front::H2];

/// An application on a free port of the loopback; a thread for each connection.
struct Responder {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Responder {
    fn start(script: impl Fn(&mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let connections = Arc::new(AtomicUsize::new(0));
        let (counted, script) = (Arc::clone(&connections), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_nodelay(true);
                counted.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                thread::spawn(move || script(&mut stream));
            }
        });
        Self { address, connections, seen: Arc::default() }
    }

    /// Answers every request with what `tell` makes of it, and keeps connections as it is asked to.
    fn serving(tell: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = Arc::clone(&seen);
        let responder = Self::start(move |stream| {
            while let Some(request) = read_request(stream)? {
                let (told, keep) = (tell(&request), request.keep);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                stream.write_all(&told)?;
                if !keep {
                    break;
                }
            }
            Ok(())
        });
        Self { seen, ..responder }
    }

    fn last(&self) -> Request {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.last().expect("a request").clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn house(&self, front: Front, more: &str, options: &str) -> House {
        let text = format!(
            "upstream app {{ server {}; protocol fastcgi; {more} }} @SITE {{ {options}\nproxy app }}",
            self.address
        );
        House::with(Pair { front, back: Back::H1 }, "", &text)
    }
}

const PHP: &str = "root /srv/app/; index index.php; split-path .php";

fn plain(body: &[u8]) -> Vec<u8> {
    answer("Content-Type: text/plain\r\n", body)
}

#[test]
fn an_application_is_told_what_cgi_says() {
    let app = Responder::serving(|_| plain(b"yes"));
    for front in FRONTS {
        let house = app.house(
            front,
            &format!("{PHP}; param APP_ENV test; param SERVER_SOFTWARE \"{{host}}/{{method}}\""),
            "",
        );
        let ask = Ask::post("/dir/x.php/more%20info/a%2Fb?q=%20x&y", "a=b")
            .field("content-type", "application/x-www-form-urlencoded")
            .field("x-one", "1")
            .field("x-one", "2")
            .field("cookie", "a=b")
            .field("cookie", "c=d")
            .field("proxy", "http://evil.test/")
            .field("x_forwarded_for", "6.6.6.6")
            .field("x_two", "imitation")
            .field("x-two", "real")
            .field("content_length", "9")
            .field("authorization", "Basic eDp5");
        assert_eq!(once(&house, &ask).expect("an answer").text(), "yes", "{front:?}");
        let request = app.last();
        let secure = front != Front::H1;
        let port = house.address.port().to_string();
        let protocol = if front == Front::H2 { "HTTP/2.0" } else { "HTTP/1.1" };
        let rows = [
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_PROTOCOL", protocol),
            ("SERVER_NAME", "localhost"),
            ("SERVER_PORT", &port),
            ("SERVER_ADDR", "127.0.0.1"),
            ("SERVER_SOFTWARE", "localhost/POST"),
            ("REQUEST_SCHEME", if secure { "https" } else { "http" }),
            ("HTTPS", if secure { "on" } else { "" }),
            ("REQUEST_METHOD", "POST"),
            ("REQUEST_URI", "/dir/x.php/more%20info/a%2Fb?q=%20x&y"),
            ("DOCUMENT_URI", "/dir/x.php/more info/a%2Fb"),
            ("SCRIPT_NAME", "/dir/x.php"),
            ("SCRIPT_FILENAME", "/srv/app/dir/x.php"),
            ("PATH_INFO", "/more info/a%2Fb"),
            ("PATH_TRANSLATED", "/srv/app/more info/a%2Fb"),
            ("DOCUMENT_ROOT", "/srv/app"),
            ("QUERY_STRING", "q=%20x&y"),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
            ("REDIRECT_STATUS", "200"),
            ("APP_ENV", "test"),
            ("HTTP_HOST", "localhost"),
            ("HTTP_X_ONE", "1, 2"),
            ("HTTP_COOKIE", "a=b; c=d"),
            ("HTTP_AUTHORIZATION", "Basic eDp5"),
            ("HTTP_X_TWO", "real"),
            ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
            ("HTTP_PROXY", ""),
            ("HTTP_CONTENT_LENGTH", ""),
            ("HTTP_CONTENT_TYPE", ""),
            ("HTTP_CONNECTION", ""),
        ];
        for (name, value) in rows {
            assert_eq!(request.param(name), value, "{front:?} {name}");
        }
        assert!(request.param("REMOTE_PORT").parse::<u16>().is_ok());
        assert_eq!(request.params.len(), request.params_count, "no name twice: {request:?}");
        assert_eq!(request.stdin, b"a=b");
        assert!(!request.params.keys().any(|name| name.contains('-')), "{request:?}");
    }
}

#[test]
fn a_path_leads_to_its_script_or_to_none() {
    let app = Responder::serving(|request| {
        let told = [request.param("SCRIPT_FILENAME"), request.param("PATH_INFO")].join("|");
        plain(told.as_bytes())
    });
    let text = format!(
        "upstream app {{ server {}; protocol fastcgi; {PHP} }}
         @SITE {{ route /old/* {{ rewrite ^/old/(.*)$ /new/{{1}}; proxy app }}
                  route * {{ proxy app }} }}",
        app.address
    );
    let house = House::with(Pair::PLAIN, "", &text);
    let mut client = Client::connect(&house);
    let rows = [
        ("/", 200, "/srv/app/index.php|"),
        ("/sub/", 200, "/srv/app/sub/index.php|"),
        ("/a.php", 200, "/srv/app/a.php|"),
        ("/a%2ephp", 200, "/srv/app/a.php|"),
        ("/a.php/", 200, "/srv/app/a.php|/"),
        ("/a.php/b.php", 200, "/srv/app/a.php|/b.php"),
        ("/a.phpx.php", 200, "/srv/app/a.phpx.php|"),
        ("/x/../a.php", 200, "/srv/app/a.php|"),
        ("/old/a.php", 200, "/srv/app/new/a.php|"),
        ("/%C3%A4.php", 200, "/srv/app/ä.php|"),
        ("/a.phps", 404, ""),
        ("/a.PHP", 404, ""),
        ("/style.css", 404, ""),
        ("/a.php%2Fb", 404, ""),
        ("/upload/image.jpg%2Fx.php", 400, ""),
        ("/dir%2Fa.php", 400, ""),
        ("/a%0A.php", 400, ""),
    ];
    for (path, status, told) in rows {
        let answer = client.ask(&Ask::get(path));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.text(), told, "{path}");
        }
    }
    house.logged(&["no-script", "/style.css"]);
    let before = app.count();
    // A NUL never gets as far as a route.
    let nul = once(&house, &Ask::get("/a%00.php")).expect("an answer");
    assert_eq!((nul.status, app.count()), (400, before));
    // Without `split-path` the whole path is the script.
    let house = app.house(Front::H1, "root /srv", "");
    assert_eq!(once(&house, &Ask::get("/a/b")).expect("an answer").text(), "/srv/a/b|");
    assert_eq!(once(&house, &Ask::get("/a/")).expect("an answer").status, 404);
}

#[test]
fn heads_of_answers_are_read_strictly() {
    let rows: &[(&str, u16)] = &[
        ("Content-Type: text/html\r\n", 200),
        ("content-type:text/html\n", 200),
        ("Status: 404 Not Found\r\nContent-Type: text/html\r\n", 404),
        ("Status: 503\r\n", 503),
        ("Location: https://other.test/\r\n", 302),
        ("Status: 301 Moved\r\nLocation: /there\r\n", 301),
        ("Content-Type: a/b\r\nContent-Length: 4\r\n", 200),
        ("Content-Type: a/b\r\nConnection: close\r\nKeep-Alive: 5\r\n", 200),
        ("", 502),
        ("X-Only: this\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n", 502),
        ("Status: 99\r\n", 502),
        ("Status: 101 Switching\r\n", 502),
        ("Status: 600\r\n", 502),
        ("Status: 2000\r\n", 502),
        ("Status: OK\r\n", 502),
        ("Status: 200\r\nStatus: 200\r\n", 502),
        ("Location: /a\r\nLocation: /b\r\n", 502),
        ("Content-Type: a/b\r\nno colon\r\n", 502),
        ("Content-Type: a/b\r\n folded\r\n", 502),
        ("Content-Type : a/b\r\n", 502),
        ("Content-Type: a/b\r\nX: a\x01b\r\n", 502),
        ("Content-Type: a/b\r\nContent-Length: 4\r\nContent-Length: 4\r\n", 502),
        ("Content-Type: a/b\r\nContent-Length: +4\r\n", 502),
        ("Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n", 502),
    ];
    let heads: Vec<String> = rows.iter().map(|(head, _)| (*head).to_owned()).collect();
    let app = Responder::serving(move |request| {
        let at: usize = request.param("QUERY_STRING").parse().unwrap();
        // In records of three bytes: a head may be cut anywhere.
        let size = if at.is_multiple_of(2) { 3 } else { 65_535 };
        let output = [heads[at].as_bytes(), b"\r\nbody"].concat();
        [stdout(&output, size), end(0)].concat()
    });
    for front in FRONTS {
        let house = app.house(front, PHP, "");
        for (at, (head, status)) in rows.iter().enumerate() {
            let answer = once(&house, &Ask::get(&format!("/?{at}"))).expect("an answer");
            assert_eq!(answer.status, *status, "{front:?} {head:?}");
            if *status != 502 {
                assert_eq!(answer.text(), "body", "{front:?} {head:?}");
                assert_eq!(answer.field("keep-alive"), None);
            }
        }
    }
}

#[test]
fn bodies_pass_in_both_directions_and_connections_are_kept_when_asked_for() {
    let app = Responder::serving(|request| {
        let sum = format!("{}:{}\n", request.param("CONTENT_LENGTH"), Sum::of(&request.stdin));
        let body = [sum.as_bytes(), &request.stdin].concat();
        let output = [b"Content-Type: a/b\r\n\r\n", &body[..]].concat();
        let complaint = stderr(b"noted\n");
        [complaint.clone(), stdout(&output, 10_000), complaint, end(0)].concat()
    });
    for front in FRONTS {
        let before = app.connections.load(Ordering::SeqCst);
        let house = app.house(front, &format!("{PHP}; pool {{ idle 8 }}"), "");
        let mut client = Client::connect(&house);
        for length in [0, 1, 65_528, 65_529, 300_000, 3_000_000] {
            let body = Pattern { seed: 7 }.bytes(length);
            let expected = format!("{length}:{}\n", Sum::of(&body));
            let answer = client.ask(&Ask::post("/", body.clone()));
            assert_eq!(answer.status, 200, "{front:?} {length}");
            assert!(answer.body().starts_with(expected.as_bytes()), "{front:?} {length}");
            let whole = [expected.as_bytes(), &body[..]].concat();
            assert_eq!(answer.content.sum.value(), Sum::of(&whole), "{front:?} {length}");
            assert!(app.last().keep);
        }
        let opened = app.connections.load(Ordering::SeqCst) - before;
        // One for each core at most: a client's connection stays on its core.
        assert_eq!(opened, 1, "{front:?}");
        house.said("noted");
    }
}

/// Without `pool` an application such as php-fpm would lose a process to each idle connection.
#[test]
fn connections_are_not_kept_unless_the_operator_says_so() {
    let app = Responder::serving(|_| plain(b"yes"));
    let house = app.house(Front::H1, PHP, "");
    let mut client = Client::connect(&house);
    for _ in 0..3 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "yes");
        assert!(!app.last().keep);
    }
    assert_eq!(app.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn a_body_without_a_length_is_collected_up_to_a_bound() {
    let app = Responder::serving(|request| plain(request.param("CONTENT_LENGTH").as_bytes()));
    for front in FRONTS {
        let house = app.house(front, PHP, "");
        let chunked = |n: usize| Ask::new("POST", "/").chunked(vec![vec![b'x'; 1024]; n]);
        assert_eq!(once(&house, &chunked(1024)).expect("an answer").text(), "1048576", "{front:?}");
        let before = app.count();
        assert_eq!(once(&house, &chunked(1025)).expect("an answer").status, 411, "{front:?}");
        assert_eq!(app.count(), before);
        let house = app.house(front, PHP, "buffer request 2MiB");
        assert_eq!(once(&house, &chunked(1025)).expect("an answer").text(), "1049600", "{front:?}");
    }
}

#[test]
fn answers_without_content_end_where_they_must() {
    let app = Responder::serving(|request| match request.param("QUERY_STRING") {
        "204" => answer("Status: 204\r\n", b""),
        "304" => answer("Status: 304\r\nETag: \"x\"\r\n", b""),
        "surplus" => answer("Status: 204\r\n", b"surplus"),
        "empty" => answer("Content-Type: a/b\r\nContent-Length: 0\r\n", b""),
        _ => answer("Content-Type: a/b\r\nContent-Length: 5\r\n", b"hello"),
    });
    for front in FRONTS {
        let house = app.house(front, &format!("{PHP}; pool {{ idle 8 }}"), "");
        let mut client = Client::connect(&house);
        for (query, status) in [("204", 204), ("304", 304), ("surplus", 204), ("empty", 200)] {
            let answer = client.ask(&Ask::get(&format!("/?{query}")));
            assert_eq!((answer.status, answer.body()), (status, &b""[..]), "{front:?} {query}");
        }
        let head = client.ask(&Ask::new("HEAD", "/?head"));
        assert_eq!((head.status, head.field("content-length")), (200, Some("5")), "{front:?}");
        assert_eq!(client.ask(&Ask::get("/?get")).text(), "hello", "{front:?}");
    }
}

/// Plays `bytes` to every request and closes.
fn playing(bytes: Vec<u8>) -> Responder {
    Responder::start(move |stream| {
        read_request(stream)?;
        stream.write_all(&bytes)
    })
}

#[test]
fn a_cut_answer_is_seen_to_be_cut() {
    let head = "Content-Type: a/b\r\n\r\nhalf of it";
    let sized = "Content-Type: a/b\r\nContent-Length: 20\r\n\r\nhalf of it";
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("closed between records", stdout(head.as_bytes(), 99)),
        ("closed in a record", stdout(head.as_bytes(), 99)[..30].to_vec()),
        ("closed behind its output", [stdout(head.as_bytes(), 99), record(6, b"", 0)].concat()),
        (
            "another request's record",
            [stdout(head.as_bytes(), 99), vec![1, 6, 0, 2, 0, 1, 0, 0, 9]].concat(),
        ),
        (
            "another version",
            [stdout(head.as_bytes(), 99), vec![2, 6, 0, 1, 0, 1, 0, 0, 9]].concat(),
        ),
        ("given up", [stdout(head.as_bytes(), 99), end(2)].concat()),
        ("an end that is none", [stdout(head.as_bytes(), 99), record(3, b"x", 0)].concat()),
        (
            "output behind the end of it",
            [stdout(head.as_bytes(), 99), record(6, b"", 0), stdout(b"x", 9), end(0)].concat(),
        ),
        ("shorter than announced", [stdout(sized.as_bytes(), 99), end(0)].concat()),
        (
            "nothing but empty records",
            [stdout(head.as_bytes(), 99), record(7, b"", 0).repeat(100), end(0)].concat(),
        ),
    ];
    for (what, bytes) in rows {
        let app = playing(bytes);
        for front in FRONTS {
            let house = app.house(front, PHP, "");
            match once(&house, &Ask::get("/")) {
                // The reset may overtake the head.
                Err(Failure::Cut(200, _) | Failure::NoResponse(_)) => {}
                other => panic!("{front:?} {what}: {other:?}"),
            }
        }
    }
    let app = playing(
        [stdout(b"Content-Type: a/b\r\nContent-Length: 2\r\n\r\nlonger", 99), end(0)].concat(),
    );
    let house = app.house(Front::H1, PHP, "");
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").status, 502);
    house.logged(&["upstream-malformed", "longer than Content-Length"]);
}

#[test]
fn an_application_that_gives_no_head_is_a_bad_gateway() {
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        ("closed", Vec::new(), 502),
        ("closed in the head", stdout(b"Content-Type: a/b\r\n", 99), 502),
        ("ended without", end(0), 502),
        ("only complained", [stderr(b"PHP Fatal error"), end(0)].concat(), 502),
        ("HTTP", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec(), 502),
        ("a kind of ours", record(1, &[0; 8], 0), 502),
        ("a head without end", stdout(&[b'a'; 60_000].repeat(3), 60_000), 502),
        ("cannot multiplex", end(1), 502),
        ("overloaded", end(2), 503),
        ("no responder", end(3), 502),
    ];
    for (what, bytes, status) in rows {
        let app = playing(bytes);
        for front in FRONTS {
            let house = app.house(front, PHP, "");
            let answer = once(&house, &Ask::get("/")).expect("an answer");
            assert_eq!(answer.status, status, "{front:?} {what}");
        }
    }
}

#[test]
fn an_overloaded_application_is_no_reason_to_fail_while_another_has_room() {
    let busy = playing(end(2));
    let free = Responder::serving(|_| plain(b"yes"));
    let text = format!(
        "upstream app {{ server {}; server {}; protocol fastcgi; {PHP} }} @SITE {{ proxy app }}",
        busy.address, free.address
    );
    let house = House::with(Pair::PLAIN, "", &text);
    let mut client = Client::connect(&house);
    for _ in 0..4 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "yes");
    }
    assert!(busy.connections.load(Ordering::SeqCst) > 0, "it was asked");
    // A body that was sent is not sent again.
    let statuses: Vec<u16> = (0..4).map(|_| client.ask(&Ask::post("/", "x")).status).collect();
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
}

/// A kept connection that its application has closed is noticed, and the request asked once more.
#[test]
fn a_kept_connection_that_died_costs_no_request() {
    let app = Responder::start(|stream| {
        read_request(stream)?;
        stream.write_all(&plain(b"yes"))
    });
    let house = app.house(Front::H1, &format!("{PHP}; pool {{ idle 8 }}"), "");
    let mut client = Client::connect(&house);
    for _ in 0..5 {
        assert_eq!(client.ask(&Ask::get("/")).text(), "yes");
    }
    assert_eq!(app.connections.load(Ordering::SeqCst), 5);
}

#[test]
fn an_early_answer_arrives_while_the_body_is_still_sent() {
    let app = Responder::start(|stream| {
        read_head(stream)?;
        stream.write_all(&stdout(b"Status: 403\r\n\r\nno", 99))?;
        // The rest of the body is read, so that closing does not reset.
        while let Some((_, part)) = read_record(stream)? {
            if part.is_empty() {
                break;
            }
        }
        stream.write_all(&end(0))
    });
    let house = app.house(Front::H1, PHP, "");
    let answer = once(&house, &Ask::post("/", vec![b'x'; 2_000_000])).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
}

#[test]
fn an_application_that_is_too_slow_is_given_up() {
    let app = Responder::start(|stream| {
        let request = read_request(stream)?.expect("a request");
        if request.param("QUERY_STRING") == "body" {
            stream.write_all(&stdout(b"Content-Type: a/b\r\n\r\nbegun", 99))?;
        }
        // Until the proxy closes.
        let _ = stream.read(&mut [0]);
        Ok(())
    });
    let house = app.house(Front::H1, PHP, "timeout head 300ms idle 300ms");
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").status, 504);
    assert!(matches!(once(&house, &Ask::get("/?body")), Err(Failure::Cut(200, _))));
    house.logged(&["upstream-timeout", "\"query\":\"body\""]);
}

/// What an application complains of is the operator's to read, a page of it for each request.
#[test]
fn complaints_go_to_the_error_log_and_have_a_bound() {
    let app = Responder::serving(|_| {
        let flood = stderr(&b"flood flood flood flood flood\n".repeat(2000));
        [stderr(b"PHP Warning:  first\x1b[31m\nsecond line\n"), flood.clone(), flood, plain(b"yes")]
            .concat()
    });
    let house = app.house(Front::H1, PHP, "");
    assert_eq!(once(&house, &Ask::get("/")).expect("an answer").text(), "yes");
    let line = house.said("PHP Warning");
    assert!(line.contains("WARN") && line.contains("app") && !line.contains('\x1b'), "{line:?}");
    house.said("second line");
    house.logged(&["\"end\":\"ok\""]);
    assert!(house.times_said("flood flood") < 150, "{}", house.times_said("flood flood"));
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let app = Responder::serving(|request| plain(request.param("APP_ENV").as_bytes()));
    let text = |env: &str| {
        format!(
            "upstream app {{ server {}; protocol fastcgi; {PHP}; pool {{ idle 4 }}; param APP_ENV {env} }} @SITE {{ proxy app }}",
            app.address
        )
    };
    let house = House::with(Pair::PLAIN, "", &text("one"));
    let mut client = Client::connect(&house);
    assert_eq!(client.ask(&Ask::get("/")).text(), "one");
    house.rewrite("", &text("two"));
    house.signal(rustix::process::Signal::HUP);
    house.wait_said("configuration 2", 1);
    assert_eq!(client.ask(&Ask::get("/")).text(), "two");
    assert_eq!(app.connections.load(Ordering::SeqCst), 1, "the pool outlives the plan");
}

/// Debian's PHP with a folder of scripts.
struct Fpm {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl Fpm {
    fn start(scripts: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, at) = (crate::rig::house::free_port(), folder.path().display().to_string());
        for (name, text) in scripts {
            std::fs::write(folder.path().join(name), text).expect("our own folder");
        }
        let text = format!(
            "[global]\nerror_log = {at}/fpm.log\ndaemonize = no\n[www]\nlisten = 127.0.0.1:{port}\n\
             pm = static\npm.max_children = 4\ncatch_workers_output = no\n\
             php_admin_value[post_max_size] = 64M\nphp_admin_value[memory_limit] = 256M\n\
             php_admin_value[log_errors] = on\nphp_admin_value[error_log] =\n"
        );
        let path = folder.path().join("fpm.conf");
        std::fs::write(&path, text).expect("our own folder");
        let mut command = Command::new("/usr/sbin/php-fpm8.2");
        command.arg("-F").arg("-y").arg(&path);
        if rustix::process::geteuid().is_root() {
            // Its workers may then run as whom they like; ours own the folder.
            command.arg("-R");
            let text = std::fs::read_to_string(&path).expect("our own file")
                + "user = root\ngroup = root\n";
            std::fs::write(&path, text).expect("our own folder");
        }
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Debian package php-fpm is installed");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "php-fpm is not up");
            thread::yield_now();
        }
        Self { port, child, folder }
    }

    fn house(&self, front: Front, more: &str) -> House {
        let text = format!(
            "upstream php {{ server 127.0.0.1:{}; protocol fastcgi; root {}; index index.php; split-path .php; {more} }}
             @SITE {{ proxy php }}",
            self.port,
            self.folder.path().display()
        );
        House::with(Pair { front, back: Back::H1 }, "", &text)
    }
}

impl Drop for Fpm {
    fn drop(&mut self) {
        // Its workers follow a master that was asked to end.
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

const SCRIPTS: &[(&str, &str)] = &[
    (
        "index.php",
        "<?php header('X-Made-By: php'); echo $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['REQUEST_URI'], ' ', $_SERVER['PATH_INFO'] ?? '-', ' ', $_SERVER['REMOTE_ADDR'];",
    ),
    (
        "post.php",
        "<?php echo md5(file_get_contents('php://input')), ' ', $_SERVER['CONTENT_LENGTH'] ?? '-';",
    ),
    ("form.php", "<?php echo json_encode([$_POST, $_GET, $_COOKIE]);"),
    (
        "big.php",
        "<?php for ($i = 0; $i < 3000; $i++) { echo str_repeat(chr(65 + $i % 26), 1000); }",
    ),
    ("away.php", "<?php header('Location: /elsewhere'); setcookie('a', 'b');"),
    ("gone.php", "<?php http_response_code(410); echo 'gone';"),
    ("warn.php", "<?php error_log('something is odd'); echo 'said';"),
    (
        "die.php",
        "<?php header('Content-Type: text/plain'); echo str_repeat('x', 100000); flush(); posix_kill(getmypid(), 9); usleep(9000000);",
    ),
    ("slow.php", "<?php echo 'first'; ob_flush(); flush(); usleep(300000); echo ' second';"),
];

#[test]
fn php_answers_through_every_front() {
    let fpm = Fpm::start(SCRIPTS);
    for more in ["", "pool { idle 2 }"] {
        for front in FRONTS {
            let house = fpm.house(front, more);
            let mut client = Client::connect(&house);
            let index = client.ask(&Ask::get("/?a=b"));
            assert_eq!(index.text(), "GET /?a=b - 127.0.0.1", "{front:?}");
            assert_eq!(index.field("x-made-by"), Some("php"));
            let info = client.ask(&Ask::get("/index.php/users/7?x"));
            assert_eq!(info.text(), "GET /index.php/users/7?x /users/7 127.0.0.1", "{front:?}");
            let body = Pattern { seed: 3 }.bytes(2_000_000);
            let posted = client.ask(&Ask::post("/post.php", body.clone())).text();
            let again = client
                .ask(
                    &Ask::new("POST", "/post.php")
                        .chunked(vec![body[..500_000].to_vec(), body[500_000..900_000].to_vec()]),
                )
                .text();
            assert!(posted.ends_with(" 2000000") && again.ends_with(" 900000"), "{posted} {again}");
            let short = client.ask(&Ask::post("/post.php", body[..900_000].to_vec())).text();
            assert_eq!(short, again, "a chunked body arrives as a counted one");
            let form = Ask::post("/form.php?g=1", "a=1&b[]=2&b[]=3")
                .field("content-type", "application/x-www-form-urlencoded")
                .field("cookie", "k=v");
            let told = client.ask(&form).text();
            assert_eq!(told, r#"[{"a":"1","b":["2","3"]},{"g":"1"},{"k":"v"}]"#, "{front:?}");
            let big = client.ask(&Ask::get("/big.php"));
            assert_eq!((big.status, big.content.length()), (200, 3_000_000), "{front:?}");
            let away = client.ask(&Ask::get("/away.php"));
            assert_eq!((away.status, away.field("set-cookie")), (302, Some("a=b")));
            assert!(away.field("location").is_some_and(|to| to.ends_with("/elsewhere")));
            let gone = client.ask(&Ask::get("/gone.php"));
            assert_eq!((gone.status, gone.text().as_str()), (410, "gone"));
            let head = client.ask(&Ask::new("HEAD", "/index.php"));
            assert_eq!((head.status, head.body()), (200, &b""[..]));
            assert_eq!(client.ask(&Ask::get("/missing.php")).status, 404);
            assert_eq!(client.ask(&Ask::get("/style.css")).status, 404);
            assert_eq!(client.ask(&Ask::get("/slow.php")).text(), "first second");
            assert_eq!(client.ask(&Ask::get("/warn.php")).text(), "said");
            house.said("something is odd");
        }
    }
}

#[test]
fn php_that_is_killed_cuts_its_answer_and_nobody_elses() {
    let fpm = Fpm::start(SCRIPTS);
    for front in FRONTS {
        let house = fpm.house(front, "pool { idle 2 }");
        match once(&house, &Ask::get("/die.php")) {
            Err(Failure::Cut(200, _)) => {}
            other => panic!("{front:?}: {other:?}"),
        }
        house.logged(&["upstream-closed", "/die.php"]);
        assert!(once(&house, &Ask::get("/")).expect("an answer").text().starts_with("GET /"));
    }
}

/// More clients than PHP has processes: they wait for each other, and none is lost.
#[test]
fn php_serves_more_clients_than_it_has_processes() {
    let fpm = Fpm::start(SCRIPTS);
    let house = fpm.house(Front::H1, "");
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let mut client = Client::connect(&house);
                for _ in 0..5 {
                    assert_eq!(client.ask(&Ask::get("/index.php")).status, 200);
                }
            });
        }
    });
}
