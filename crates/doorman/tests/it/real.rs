//! Real peers and real sizes: nginx as an origin, curl as a client, browsers' request heads, bodies
//! of 1 GiB, and 10,000 connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use doorman_testkit::sums::{Pattern, Sum};
use tempfile::TempDir;

use crate::rig::client::once;
use crate::rig::house::free_port;
use crate::rig::origin::reply;
use crate::rig::wire::{Content, Framing};
use crate::rig::{Ask, Back, Client, Front, House, Origin, PATIENCE, Pair, Wire};

const FRONTS: [Front; 4] = [Front::H1, Front::H1Tls, Front::H2, Front::H2c];

/// A Debian nginx with a folder of files.
struct Nginx {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, at) = (free_port(), folder.path().display().to_string());
        std::fs::create_dir(folder.path().join("root")).expect("our own folder");
        let page = Pattern { seed: 11 }.bytes(300_000);
        std::fs::write(folder.path().join("root/page.bin"), page).expect("our own folder");
        std::fs::create_dir(folder.path().join("root/sub")).expect("our own folder");
        let text = format!(
            "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes 1; events {{ }}
             http {{ access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b;
             fastcgi_temp_path {at}/c; uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
             server {{ listen 127.0.0.1:{port}; root {at}/root; client_max_body_size 0;
             location /put {{ client_body_in_single_buffer on; return 200 ok; }} }} }}"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, text).expect("our own folder");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&path)
            .stderr(Stdio::null())
            .spawn()
            .expect("the Debian package nginx is installed");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "nginx is not up");
            std::thread::yield_now();
        }
        Self { port, child, folder }
    }

    fn house(&self, front: Front) -> House {
        let text = format!("upstream o {{ server 127.0.0.1:{} }} @SITE {{ proxy o }}", self.port);
        House::with(Pair { front, back: Back::H1 }, "", &text)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker follows a master that was asked to end.
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
        let _ = self.folder.path();
    }
}

#[test]
fn nginx_serves_files_ranges_and_conditions() {
    let nginx = Nginx::start();
    let page = Pattern { seed: 11 }.bytes(300_000);
    for front in FRONTS {
        let house = nginx.house(front);
        let mut client = Client::connect(&house);
        let whole = client.ask(&Ask::get("/page.bin"));
        assert_eq!((whole.status, whole.body()), (200, &page[..]), "{front:?}");
        let tag = whole.field("etag").expect("a tag").to_owned();
        assert!(whole.field("server").is_some_and(|server| server.contains("nginx")));
        let head = client.ask(&Ask::new("HEAD", "/page.bin"));
        assert_eq!((head.field("content-length"), head.body()), (Some("300000"), &b""[..]));
        let range = client.ask(&Ask::get("/page.bin").field("range", "bytes=1000-1999"));
        assert_eq!((range.status, range.body()), (206, &page[1000..2000]));
        assert_eq!(range.field("content-range"), Some("bytes 1000-1999/300000"));
        let far = client.ask(&Ask::get("/page.bin").field("range", "bytes=900000-"));
        assert_eq!(far.status, 416);
        let same = client.ask(&Ask::get("/page.bin").field("if-none-match", &tag));
        assert_eq!((same.status, same.body()), (304, &b""[..]));
        assert_eq!(client.ask(&Ask::get("/none")).status, 404);
        // Nginx makes this one absolute, with its own port: it must lead to us.
        let moved = client.ask(&Ask::get("/sub"));
        assert_eq!(moved.status, 301);
        let location = moved.field("location").expect("a place").to_owned();
        assert!(!location.contains(&nginx.port.to_string()), "{location}");
        let sent = client.ask(&Ask::post("/put", vec![b'x'; 100_000]));
        assert_eq!((sent.status, sent.text().as_str()), (200, "ok"));
    }
}

fn curl(house: &House, arguments: &[&str], path: &str) -> String {
    let (scheme, port) = (house.front.scheme(), house.address.port());
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "30", "--resolve", &format!("localhost:{port}:127.0.0.1")]);
    match house.front {
        Front::H1 => {}
        Front::H1Tls => {
            command.arg("--http1.1").arg("--cacert").arg(house.authority());
        }
        Front::H2c => {
            command.arg("--http2-prior-knowledge");
        }
        Front::H2 => {
            command.arg("--http2").arg("--cacert").arg(house.authority());
        }
        // Debian's does not speak it; aioquic and a browser do, in tests/h3.
        Front::H3 => unreachable!("not one of FRONTS"),
    }
    let output = command
        .args(arguments)
        .arg(format!("{scheme}://localhost:{port}{path}"))
        .output()
        .expect("the Debian package curl is installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{:?} {arguments:?}: {errors}", house.front);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn curl_is_served() {
    let origin = Origin::serving(Back::H1, |seen| {
        let told = format!("{} {} {}", seen.method(), seen.target(), seen.content.length());
        reply("200 OK", "", told.as_bytes())
    });
    for front in FRONTS {
        let house = House::before(Pair { front, back: Back::H1 }, &origin, "");
        let version = if front.is_h2() { "2" } else { "1.1" };
        assert_eq!(curl(&house, &[], "/a?b=c"), "GET /a?b=c 0");
        assert_eq!(
            curl(&house, &["-o", "/dev/null", "-w", "%{http_version} %{http_code}"], "/"),
            format!("{version} 200")
        );
        assert_eq!(curl(&house, &["-d", "hello"], "/post"), "POST /post 5");
        assert_eq!(
            curl(&house, &["-H", "Transfer-Encoding: chunked", "-d", "hello"], "/post"),
            "POST /post 5"
        );
        assert!(curl(&house, &["-I"], "/head").starts_with(&format!("HTTP/{version} 200")));
        // Above 1 MiB curl waits for 100 Continue.
        let large = house.folder().join("large");
        std::fs::write(&large, vec![b'x'; 3 << 20]).expect("our own folder");
        let large = large.display().to_string();
        assert_eq!(curl(&house, &["-T", &large], "/put"), "PUT /put 3145728");
        assert_eq!(
            curl(&house, &["-H", "Expect: 100-continue", "-d", "hello"], "/post"),
            "POST /post 5"
        );
    }
}

const CHROME: &str = "GET /shop?item=1&x=%20y HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.8\r\n\
Cookie: a=1; session=\"q w\"; _ga=GA1.1.1\r\n\r\n";
const FIREFOX: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\nSec-GPC: 1\r\nConnection: keep-alive\r\n\
Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: cross-site\r\n\
Priority: u=0, i\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\r\n";
const SAFARI: &str = "GET /a/b.html HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Dest: document\r\n\
User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 \
     (KHTML, like Gecko) Version/26.0 Safari/605.1.15\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n\
Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\r\n";

#[test]
fn browsers_heads_pass_unchanged() {
    let origin = Origin::serving(Back::H1, |_| reply("200 OK", "", b"page"));
    let house = House::before(Pair::PLAIN, &origin, "");
    let mut client = Wire::connect(&house);
    for (n, request) in [CHROME, FIREFOX, SAFARI].into_iter().enumerate() {
        assert_eq!(client.ask(request).text(), "page");
        let head = origin.seen()[n].head.clone();
        assert_eq!(head.line, request.lines().next().unwrap());
        let hop = |name: &str| name.eq_ignore_ascii_case("connection");
        let ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"];
        let mine = |name: &str| ours.iter().any(|own| name.eq_ignore_ascii_case(own));
        let sent: Vec<(String, String)> = request
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| !hop(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let came: Vec<(String, String)> = head
            .fields
            .iter()
            .filter(|(name, _)| !hop(name) && !mine(name))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        assert_eq!(came, sent, "request {n}");
    }
}

const GIB: u64 = 1 << 30;

/// Takes and gives bodies that are made and checked on the fly.
fn giant() -> Origin {
    Origin::start(Back::H1, |talk| {
        while let Some(head) = talk.head()? {
            let mut content = Content::default();
            let length = head.field("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            talk.wire.body(Framing::Length(length), &mut content)?;
            if head.line.starts_with("POST") {
                let told = format!("{} {}", content.length(), content.sum.value());
                talk.send(reply("200 OK", "", told.as_bytes()))?;
                continue;
            }
            talk.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n"))?;
            give(&mut |piece| talk.send(piece))?;
        }
        Ok(())
    })
}

/// One piece again and again, each with its number in front: a piece that is lost, doubled or moved
/// changes the checksum.
fn give(send: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut piece = Pattern { seed: 9 }.bytes(1 << 20);
    for n in 0..GIB >> 20 {
        piece[..8].copy_from_slice(&n.to_le_bytes());
        send(&piece)?;
    }
    Ok(())
}

fn giant_sum() -> u64 {
    let mut sum = Sum::default();
    give(&mut |piece| {
        sum.add(piece);
        Ok(())
    })
    .expect("nothing can fail");
    sum.value()
}

#[test]
fn one_gib_both_ways_over_h1() {
    let origin = giant();
    let house = House::before(Pair::PLAIN, &origin, "");
    let expected = giant_sum();
    let mut client = Wire::connect(&house);
    client
        .send(format!("POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: {GIB}\r\n\r\n"))
        .unwrap();
    give(&mut |piece| client.send(piece)).expect("the whole body");
    assert_eq!(client.reply("POST").expect("an answer").text(), format!("{GIB} {expected}"));
    let down = client.ask(Ask::get("/down").bytes());
    assert_eq!((down.content.length(), down.content.sum.value()), (GIB, expected));
}

#[test]
fn one_gib_both_ways_over_h2() {
    let origin = giant();
    let house = House::before(Pair { front: Front::H2, back: Back::H1 }, &origin, "");
    let expected = giant_sum();
    let mut client = crate::rig::client::H2::connect(&house);
    let told = client.upload("/up", GIB, give);
    assert_eq!(told, format!("{GIB} {expected}"));
    let down =
        client.exchange_within(&Ask::get("/down"), Duration::from_secs(120)).expect("an answer");
    assert_eq!((down.content.length(), down.content.sum.value()), (GIB, expected));
}

const MANY: usize = 10_000;

/// 10,000 connections that stay open after a request each, while others are served. Three
/// descriptors a connection: ours, the proxy's, none of the origin's. Only a limit of descriptors
/// that is too low skips it.
#[test]
fn ten_thousand_connections_stay_open() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.unwrap_or(u64::MAX);
    if limit < MANY as u64 + 1000 {
        eprintln!("skipped: {limit} descriptors are too few for {MANY} connections");
        return;
    }
    let origin = Origin::serving(Back::H1, |_| reply("200 OK", "", b"here"));
    let house = House::before(Pair::PLAIN, &origin, "");
    let ask = Ask::get("/").bytes();
    let expected = b"here";
    let before = house.resident();
    let mut open = Vec::with_capacity(MANY);
    let mut room = [0; 4096];
    let mut exchange = |stream: &mut TcpStream| {
        stream.write_all(&ask).expect("a connection that is open");
        let mut read = 0;
        while !room[..read].ends_with(expected) {
            let n = stream.read(&mut room[read..]).expect("an answer");
            assert!(n > 0, "closed");
            read += n;
        }
        read
    };
    for n in 0..MANY {
        // Loopback addresses of their own for every 10,000 would be needed only beyond the ports.
        let mut stream =
            TcpStream::connect(house.address).unwrap_or_else(|error| panic!("{n}: {error}"));
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        exchange(&mut stream);
        open.push(stream);
    }
    let each = house.resident().saturating_sub(before) / MANY as u64;
    eprintln!("{each} bytes of resident memory a connection");
    assert!(each < 12 * 1024, "{each} bytes a connection");
    for front in 0..3 {
        assert_eq!(once(&house, &Ask::get("/other")).expect("an answer").text(), "here", "{front}");
    }
    for (n, stream) in open.iter_mut().enumerate() {
        assert!(exchange(stream) > 0, "connection {n}");
    }
    drop(open);
    assert_eq!(once(&house, &Ask::get("/after")).expect("an answer").status, 200);
}
