//! gRPC through the proxy, with a client and a server that others wrote, and what a call is told when
//! something goes wrong here.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use doorman_testkit::h2::{Frame, flag, hpack, kind};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::origin::{FrameOrigin, Talk, head};
use crate::peers::{self, Server};

/// Whom the server is under TLS, and who says so.
pub(crate) struct Identity {
    folder: TempDir,
}

impl Identity {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("entropy");
        let authority = params.self_signed(&key).expect("our own parameters");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("entropy");
        let leaf = CertificateParams::new(vec!["origin.test".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("our own parameters");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |name, text: String| {
            std::fs::write(folder.path().join(name), text).expect("our own folder");
        };
        write("ca.pem", authority.pem());
        write("chain.pem", leaf.pem());
        write("key.pem", key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// `None` where there is no gRPC to be had.
pub(crate) fn server(tls: Option<&Identity>) -> Option<Server> {
    let files = tls.map(|identity| [identity.path("key.pem"), identity.path("chain.pem")]);
    Some(peers::python()?.serve("grpc_server.py", files.iter().flatten().map(String::as_str)))
}

pub(crate) fn client(arguments: &[&str]) -> (bool, String) {
    peers::run("grpc_client.py", arguments)
}

/// The program with this upstream, on a plain port and one with TLS.
pub(crate) struct House {
    pub(crate) process: Process,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
}

impl House {
    pub(crate) fn before(upstream: &str, route: &str) -> Self {
        let (plain, secure) = (free_address(), free_address());
        let text = format!(
            "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock; log access json stdout }}\n\
             listen {plain} protocols h1 h2c\n\
             upstream o {{ {upstream} }}\n\
             site http://*:{} {{ {route}; proxy o }}\n\
             site https://localhost:{} {{ tls internal; {route}; proxy o }}\n",
            plain.port(),
            secure.port()
        );
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .arguments(&["run", "-c", "doorman.conf"])
            .start_listening(&[plain, secure]);
        Self { process, plain, secure }
    }

    pub(crate) fn root(&self) -> String {
        let mut places = ["data/ca/root.pem", "data/ca/ca/root.pem"]
            .map(|place| self.process.folder().join(place))
            .into_iter();
        let place = places.find(|place| place.exists());
        place.expect("tls internal has made its authority").display().to_string()
    }

    pub(crate) fn plain_place(&self) -> String {
        self.plain.to_string()
    }

    pub(crate) fn secure_place(&self) -> String {
        format!("localhost:{}", self.secure.port())
    }
}

pub(crate) const OPTIONS: &str = "forwarded off";

#[test]
fn every_kind_of_call_crosses_every_pair() {
    let identity = Identity::new();
    for tls in [None, Some(&identity)] {
        let Some(server) = server(tls) else { return };
        let upstream = match tls {
            None => format!("server {}; protocol h2c", server.address),
            Some(identity) => format!(
                "server https://{}; protocol h2; tls ca {} name origin.test",
                server.address,
                identity.path("ca.pem")
            ),
        };
        let house = House::before(&upstream, OPTIONS);
        let (well, said) = client(&[&house.plain_place()]);
        assert!(well, "h2c: {said}");
        let (well, said) = client(&[&house.secure_place(), &house.root()]);
        assert!(well, "h2: {said}");
    }
}

#[test]
fn a_server_that_chooses_http_2_is_spoken_to_so() {
    let identity = Identity::new();
    let Some(server) = server(Some(&identity)) else { return };
    let house = House::before(
        &format!(
            "server https://{}; protocol auto; tls ca {} name origin.test",
            server.address,
            identity.path("ca.pem")
        ),
        OPTIONS,
    );
    let (well, said) = client(&[&house.plain_place()]);
    assert!(well, "{said}");
}

#[test]
fn faults_are_told_in_grpcs_words() {
    let nowhere = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("a bound socket")
    };
    let Some(server) = server(None) else { return };
    for (upstream, route, code) in [
        (format!("server {nowhere}; protocol h2c"), OPTIONS, "UNAVAILABLE"),
        (
            format!("server {}; protocol h2c", server.address),
            "timeout head 300ms",
            "DEADLINE_EXCEEDED",
        ),
        (
            format!("server {}; protocol h2c", server.address),
            "timeout response 300ms",
            "DEADLINE_EXCEEDED",
        ),
        (format!("server {}; protocol h2c", server.address), "body max 1B", "RESOURCE_EXHAUSTED"),
    ] {
        let house = House::before(&upstream, route);
        for place in [&[house.plain_place()][..], &[house.secure_place(), house.root()]] {
            let root = place.get(1).map(String::as_str);
            let arguments =
                [&[&*place[0], "fails", code][..], &root.into_iter().collect::<Vec<_>>()];
            let (well, said) = client(&arguments.concat());
            assert!(well && said.contains("request "), "{route} {code}: {said}");
        }
    }
    // A call that no route takes.
    let address = free_address();
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 1; bind 127.0.0.1; admin unix:admin.sock }}\n\
         listen {address} protocols h2c\nsite http://*:{} {{ route /other {{ respond 200 }} }}\n",
        address.port()
    );
    let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[address]);
    let (well, said) = client(&[&address.to_string(), "fails", "UNIMPLEMENTED"]);
    assert!(well, "{said}");
}

/// HEADERS of a call, in literals.
pub(crate) fn call(stream: u32, flags: u8, authority: &str, more: &[(&str, &str)]) -> Frame {
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/test.Calls/Wait"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    ];
    fields.extend(more.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    Frame::new(kind::HEADERS, flags | flag::END_HEADERS, stream, hpack::literals(&fields))
}

/// A call's own deadline is kept even for a client that does not watch it.
#[test]
fn a_calls_deadline_is_kept() {
    let origin = FrameOrigin::start(&[], Talk::drain);
    let house = House::before(&format!("server {}; protocol h2c", origin.address), OPTIONS);
    let mut client = Raw::connect(house.plain).expect("a connection");
    client.call(async |wire| wire.greet(&[]).await).expect("the greeting");
    let begun = Instant::now();
    let frame = call(1, flag::END_STREAM, &house.plain_place(), &[("grpc-timeout", "400m")]);
    let block = client
        .call(async |wire| {
            wire.send_frames(&[frame]).await?;
            let mut frames =
                wire.frames_until(|frame| frame.kind == kind::HEADERS && frame.stream == 1).await?;
            Ok(frames.pop().expect("a frame"))
        })
        .expect("an answer");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(10), "{took:?}");
    assert_eq!(block.status(), Some(200));
    assert_ne!(block.flags & flag::END_STREAM, 0, "trailers only");
    origin.wait("a reset of the call", |book| !book.resets.is_empty());
    let _ = house.process.wait_for_words("\"end\":\"upstream-timeout\"");
}

/// Trailers of a response and of a request arrive as trailers, from HTTP/2 to HTTP/2.
#[test]
fn trailers_only_responses_stay_so() {
    let origin = FrameOrigin::start(&[], |talk| {
        loop {
            let (stream, _) = talk.request()?;
            talk.over(stream);
            let fields = [("content-type", "application/grpc"), ("grpc-status", "5")];
            talk.send(&[head(stream, flag::END_STREAM, "200", &fields)])?;
        }
    });
    let house = House::before(&format!("server {}; protocol h2c", origin.address), OPTIONS);
    let mut client = Raw::connect(house.plain).expect("a connection");
    client.call(async |wire| wire.greet(&[]).await).expect("the greeting");
    let frame = call(1, flag::END_STREAM, &house.plain_place(), &[]);
    let answer = client
        .call(async |wire| {
            wire.send_frames(&[frame]).await?;
            let mut frames =
                wire.frames_until(|frame| frame.kind == kind::HEADERS && frame.stream == 1).await?;
            Ok(frames.pop().expect("a frame"))
        })
        .expect("an answer");
    assert_eq!((answer.status(), answer.flags & flag::END_STREAM), (Some(200), flag::END_STREAM));
}
