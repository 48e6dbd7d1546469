//! What the stories of cached pages have found, each in the smallest story that shows it.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Net};
use doorman_testkit::sim::{Faults, Sim, SimStream, simulate};
use tokio::io::AsyncWriteExt;

use crate::message::{Ended, Kind, Message, Reader, pattern};
use crate::{STORY_MAX, address, proxy};

const CONFIG: &str = "
store s { memory 4MiB }
upstream o { server 10.0.0.1:80 }
site http://*:80 { route * { cache s { slice 64KiB; lock 5s }; proxy o } }
";

fn tell<F: Future<Output = ()>>(story: impl FnOnce(Sim) -> F) {
    if let Err(stuck) = simulate(1, Faults::of(&[]), STORY_MAX, story) {
        panic!("{stuck:?}");
    }
}

/// An origin that answers by what it is asked, each time after a while.
fn origin(sim: &Sim, answer: impl Fn(&Message) -> (Duration, Vec<u8>) + 'static) {
    let mut listener = sim.listen(address("10.0.0.1:80")).expect("the address is free");
    let (sim, answer) = (sim.clone(), Rc::new(answer));
    tokio::task::spawn_local(async move {
        while let Ok((stream, ..)) = listener.accept().await {
            let (sim, answer, mut reader) = (sim.clone(), Rc::clone(&answer), Reader::new(stream));
            tokio::task::spawn_local(async move {
                while let Some(mut request) = reader.head().await {
                    reader.body(&mut request, Kind::Request).await;
                    let (wait, bytes) = answer(&request);
                    sim.wait(wait).await;
                    let _ = reader.stream().write_all(&bytes).await;
                }
            });
        }
    });
}

async fn ask(sim: &Sim, method: &str) -> Reader<SimStream> {
    let net = sim.net_from("198.51.100.7".parse().expect("an address"));
    let stream = net.connect(&Address::Inet(address("192.0.2.1:80"))).await;
    let mut reader = Reader::new(stream.expect("the proxy is there"));
    let head = format!("{method} /page HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    reader.stream().write_all(head.as_bytes()).await.expect("it is open");
    reader
}

async fn read(reader: &mut Reader<SimStream>) -> Message {
    let mut answer = reader.head().await.expect("an answer");
    reader.body(&mut answer, Kind::Response).await;
    answer
}

/// Whoever asked for no part is given none, and no 416: the range of the slice was not his.
#[test]
fn what_proves_to_be_no_slice_is_asked_for_as_its_client_did() {
    let private = "HTTP/1.1 206 X\r\nContent-Range: bytes 0-4/5\r\nCache-Control: private\r\n\
                   ETag: \"1\"\r\nContent-Length: 5\r\n\r\nwhole";
    let empty = "HTTP/1.1 416 X\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n";
    for (to_a_range, to_none) in [
        (private, "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 5\r\n\r\nwhole"),
        (empty, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        tell(move |sim| async move {
            origin(&sim, move |request| {
                let asked = request.field("range").is_some();
                (Duration::ZERO, if asked { to_a_range } else { to_none }.into())
            });
            let _proxy = proxy(&sim, CONFIG);
            let answer = read(&mut ask(&sim, "GET").await).await;
            assert_eq!(answer.status(), 200, "{answer:?}");
        });
    }
}

/// The second slice, of the second version, is on its way for somebody else when one who has begun
/// with the first version wants his.
#[test]
fn a_body_by_slices_is_of_one_version() {
    tell(|sim| async move {
        let version = Rc::new(Cell::new(1));
        let current = Rc::clone(&version);
        origin(&sim, move |request| {
            if request.start.starts_with("POST") {
                current.set(2);
                return (Duration::ZERO, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into());
            }
            let (version, is_first) =
                (current.get(), request.field("range") == Some("bytes=0-65535"));
            let range = if is_first { 0..65_536 } else { 65_536..131_072 };
            let mut out = format!(
                "HTTP/1.1 206 X\r\nContent-Range: bytes {}-{}/131072\r\nETag: \"{version}\"\r\n\
                 Cache-Control: max-age=60\r\nContent-Length: 65536\r\n\r\n",
                range.start,
                range.end - 1
            )
            .into_bytes();
            out.extend_from_slice(&pattern(version, 131_072)[range]);
            (Duration::from_secs(u64::from(!is_first)), out)
        });
        let _proxy = proxy(&sim, CONFIG);
        // It does not read what comes, so no more than the first slice is fetched for it.
        let mut slow = ask(&sim, "GET").await;
        sim.wait(Duration::from_millis(100)).await;
        read(&mut ask(&sim, "POST").await).await;
        let mut other = ask(&sim, "GET").await;
        sim.wait(Duration::from_millis(100)).await;
        let (mixed, _) = tokio::join!(read(&mut slow), read(&mut other));
        assert!(pattern(1, 131_072).starts_with(&mixed.body), "bytes of two versions");
        assert_eq!(mixed.ended, Ended::Cut);
    });
}
