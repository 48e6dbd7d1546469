//! gRPC over HTTP/3. There is no client of others for it, so one writes messages by hand, to a server
//! that others wrote.

use doorman_testkit::h3::{H3, H3Begun};
use doorman_testkit::tls::Tls;
use http::{HeaderMap, Request};

use crate::grpc::{House, OPTIONS, server};
use crate::origin::{FrameOrigin, Talk};

/// A message with its prefix.
pub(crate) fn message(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short");
    [&[0][..], &length.to_be_bytes(), content].concat()
}

/// A connection that makes calls.
pub(crate) struct Caller {
    client: H3,
    place: String,
}

/// A call under way.
pub(crate) struct Call {
    begun: H3Begun,
    came: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(house: &House) -> Self {
        let client = H3::connect(house.secure, &Tls::unverified("localhost"));
        Self { client: client.expect("a connection"), place: house.secure_place() }
    }

    pub(crate) fn call(&mut self, method: &str, more: &[(&str, &str)]) -> Call {
        let mut head = Request::post(format!("https://{}/test.Calls/{method}", self.place))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in more {
            head = head.header(*name, *value);
        }
        let begun = self.client.open(head.body(()).expect("a request")).expect("an open stream");
        Call { begun, came: Vec::new() }
    }

    fn say(&self, call: &mut Call, content: &[u8]) {
        self.client.send(&mut call.begun, message(content)).expect("an open stream");
    }

    pub(crate) fn finish(&self, call: &mut Call) {
        self.client.finish(&mut call.begun).expect("an open stream");
    }

    pub(crate) fn head(&self, call: &mut Call) -> HeaderMap {
        let head = self.client.head(&mut call.begun).expect("an answer");
        assert_eq!(head.status(), 200);
        head.into_parts().0.headers
    }

    /// The next message; `None` behind the last.
    pub(crate) fn hear(&self, call: &mut Call) -> std::io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((prefix, rest)) = call.came.split_at_checked(5) {
                let length = u32::from_be_bytes(prefix[1..].try_into().expect("four bytes"));
                if let Some((own, rest)) = rest.split_at_checked(length as usize) {
                    let own = own.to_vec();
                    call.came = rest.to_vec();
                    return Ok(Some(own));
                }
            }
            match self.client.piece(&mut call.begun)? {
                Some(piece) => call.came.extend(piece),
                None => {
                    assert_eq!(call.came, b"", "a message was cut");
                    return Ok(None);
                }
            }
        }
    }

    /// How an answer broke off. A reset may overtake what was sent before it.
    pub(crate) fn broke(&self, call: &mut Call) -> String {
        let end = self.client.head(&mut call.begun).and_then(|_| {
            while self.hear(call)?.is_some() {}
            Ok(())
        });
        end.expect_err("it looks whole").to_string()
    }

    pub(crate) fn trailers(&self, call: &mut Call) -> HeaderMap {
        self.client.trailers(&mut call.begun).expect("an end in order").expect("trailers")
    }

    /// One message there and all back, and the trailers.
    fn ask(&mut self, method: &str, content: &[u8]) -> (Vec<Vec<u8>>, HeaderMap) {
        let mut call = self.call(method, &[]);
        // A server that refuses at once wants none of this (RFC 9114 section 4.1.1): what counts is its answer.
        let _ = self.client.send(&mut call.begun, message(content));
        let _ = self.client.finish(&mut call.begun);
        let head = self.head(&mut call);
        if head.contains_key("grpc-status") {
            return (Vec::new(), head);
        }
        let mut messages = Vec::new();
        while let Some(message) = self.hear(&mut call).expect("an open stream") {
            messages.push(message);
        }
        (messages, self.trailers(&mut call))
    }
}

#[test]
fn every_kind_of_call_crosses_http_3() {
    let Some(server) = server(None) else { return };
    let house = House::before(&format!("server {}; protocol h2c", server.address), OPTIONS);
    let mut caller = Caller::new(&house);
    let (answer, trailers) = caller.ask("Unary", b"abc");
    assert_eq!((answer, &trailers["grpc-status"]), (vec![b"cba".to_vec()], &"0".parse().unwrap()));
    assert_eq!(trailers["x-end"], "of-unary");
    let large = vec![b'x'; 3_000_000];
    assert!(caller.ask("Unary", &large).0 == [large]);
    let (answer, trailers) = caller.ask("Refuse", b"");
    assert_eq!((answer.len(), &trailers["grpc-status"]), (0, &"5".parse().unwrap()));
    assert_eq!(trailers["x-why"], "said so");
    let (answer, trailers) = caller.ask("Down", b"100");
    let expected: Vec<_> = (0..100).map(|n| n.to_string().into_bytes()).collect();
    assert_eq!((answer, &trailers["x-end"]), (expected, &"of-down".parse().unwrap()));

    let mut up = caller.call("Up", &[]);
    (0..200).for_each(|_| caller.say(&mut up, &[b'y'; 1000]));
    caller.finish(&mut up);
    caller.head(&mut up);
    assert_eq!(caller.hear(&mut up).unwrap().unwrap(), b"200000");

    // Each message is sent only when the answer to the one before has come.
    let mut both = caller.call("Both", &[]);
    for n in 0..50 {
        caller.say(&mut both, format!("word {n}").as_bytes());
        if n == 0 {
            caller.head(&mut both);
        }
        let answer = caller.hear(&mut both).unwrap().unwrap();
        assert_eq!(answer, format!("WORD {n}").as_bytes());
    }
    caller.finish(&mut both);
    assert_eq!(caller.hear(&mut both).unwrap(), None);
    assert_eq!(caller.trailers(&mut both)["grpc-status"], "0");

    // Who gives up is heard of at the server.
    let mut waiting = caller.call("Wait", &[]);
    caller.say(&mut waiting, b"");
    caller.finish(&mut waiting);
    caller.ask("Unary", b"");
    caller.client.cancel(&mut waiting.begun);
    assert_eq!(caller.ask("WasCancelled", b"").0, [b"yes"]);
}

#[test]
fn faults_and_deadlines_are_told_over_http_3() {
    let Some(server) = server(None) else { return };
    let upstream = format!("server {}; protocol h2c", server.address);
    let check = |upstream: &str, route: &str, more: &[(&str, &str)], code: &str| {
        let house = House::before(upstream, route);
        let mut caller = Caller::new(&house);
        let mut call = caller.call("Wait", more);
        caller.say(&mut call, b"xyz");
        caller.finish(&mut call);
        let head = caller.head(&mut call);
        assert_eq!(head["grpc-status"], code, "{route}: {head:?}");
        assert!(head["grpc-message"].to_str().unwrap().contains("request "), "{head:?}");
        assert_eq!(caller.hear(&mut call).unwrap(), None);
        caller
            .client
            .trailers(&mut call.begun)
            .map(|trailers| assert!(trailers.is_none()))
            .unwrap();
    };
    // A server that watches the deadline as well would say it itself.
    let silent = FrameOrigin::start(&[], Talk::drain);
    let unheard = format!("server {}; protocol h2c", silent.address);
    check(&unheard, OPTIONS, &[("grpc-timeout", "400m")], "4");
    check(&upstream, "timeout head 300ms", &[], "4");
    check(&upstream, "body max 1B", &[], "8");
    check("server 127.0.0.1:9; protocol h2c", OPTIONS, &[], "14");
}
