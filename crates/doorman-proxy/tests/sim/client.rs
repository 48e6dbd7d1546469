//! A client of the simulation: several requests, some pipelined, and a close look at each answer.

use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Net};
use doorman_testkit::sim::{Sim, SimStream};
use tokio::io::{AsyncWriteExt, ReadHalf};

use crate::message::{Ended, Kind, Message, Reader, Sent, chunks, draw, pattern};
use crate::{Ledger, address};

/// Requests of one client.
const REQUESTS: u64 = 6;
/// Virtual time within which an exchange must have come to an end of whatever kind: two rounds of
/// the longest timeouts (a minute each) and of the longest stalls.
const EXCHANGE_MAX: Duration = Duration::from_secs(600);

const KINDS: [&str; 8] =
    ["length", "chunked", "close", "early", "short", "unfinished", "garbage", "surplus"];

/// Bodies beyond this may be too long to be sent again, when an origin leaves them out.
pub(crate) const TOLD_AGAIN_MAX: usize = 5_000;

/// A request and how it is put on the wire.
struct Plan {
    id: u64,
    sent: Sent,
    kind: &'static str,
    length: usize,
    chunked: bool,
}

pub(crate) async fn run(sim: Sim, seed: u64, number: u64, gentle: bool, ledger: Rc<Ledger>) {
    let net = sim.net_from("198.51.100.7".parse().expect("an address"));
    let mut next = 0;
    while next < REQUESTS {
        let Ok(stream) = net.connect(&Address::Inet(address("192.0.2.1:80"))).await else {
            assert!(!gentle, "the proxy refused a connection");
            return;
        };
        let (read, mut write) = tokio::io::split(stream);
        let mut reader = Reader::new(read);
        // Several at once, or one after the other.
        let batch = 1 + draw(seed, number * 97 + next, 3).min(REQUESTS - next - 1);
        let plans: Vec<Plan> =
            (next..next + batch).map(|n| plan(seed, number * REQUESTS + n)).collect();
        next += batch;
        for plan in &plans {
            ledger.sent.borrow_mut().insert(plan.id, plan.sent.clone());
        }
        // Written beside reading: an answer may come, or the proxy go, before all is written.
        let request: Vec<u8> = plans.iter().flat_map(bytes).collect();
        let writer = tokio::task::spawn_local(async move {
            let _ = write.write_all(&request).await;
            // Kept open until the answers are read.
            std::future::pending::<()>().await;
        });
        let exchange = converse(&mut reader, &plans, gentle);
        if tokio::time::timeout(EXCHANGE_MAX * u32::try_from(batch).expect("small"), exchange)
            .await
            .is_err()
        {
            panic!(
                "I9: client {number} waits for ever: {:?}",
                plans.iter().map(|p| p.kind).collect::<Vec<_>>()
            );
        }
        writer.abort();
    }
}

fn plan(seed: u64, id: u64) -> Plan {
    let at = |place: u64, below: u64| draw(seed, id * 31 + place, below);
    let method = ["GET", "GET", "HEAD", "POST", "PUT"][usize::try_from(at(1, 5)).expect("small")];
    let size = |place| {
        usize::try_from([0, 1, 100, 5_000, 70_000][usize::try_from(at(place, 5)).expect("small")])
            .expect("small")
    };
    let body =
        if matches!(method, "POST" | "PUT") { pattern(id ^ 0xB0D7, size(2)) } else { Vec::new() };
    let kinds = KINDS.len() as u64 - u64::from(!crate::has_surplus(seed));
    let kind = KINDS[usize::try_from(at(3, kinds)).expect("small")];
    Plan { id, sent: Sent { method, body }, kind, length: size(4), chunked: at(5, 2) == 0 }
}

fn bytes(plan: &Plan) -> Vec<u8> {
    let Plan { id, sent, kind, length, chunked } = plan;
    let mut out = format!(
        "{} /{kind}/{length} HTTP/1.1\r\nHost: a.test\r\nX-Id: {id}\r\nX-Forwarded-For: 6.6.6.6\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n",
        sent.method
    )
    .into_bytes();
    if !matches!(sent.method, "POST" | "PUT") {
        out.extend_from_slice(b"\r\n");
    } else if *chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        out.extend(chunks(&sent.body, *id));
    } else {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", sent.body.len()).as_bytes());
        out.extend_from_slice(&sent.body);
    }
    out
}

/// Reads the answers to a batch, in order.
async fn converse(reader: &mut Reader<ReadHalf<SimStream>>, plans: &[Plan], gentle: bool) {
    for plan in plans {
        let Some(answer) = read(reader, plan).await else {
            // After an answer that closed the connection, or a misfortune, the rest has none.
            let closes = plans
                .iter()
                .any(|p| p.kind != "length" && p.kind != "chunked" && p.kind != "surplus");
            assert!(!gentle || closes, "request {} ({}) got no answer", plan.id, plan.kind);
            return;
        };
        judge(plan, &answer, gentle);
        if answer.ended != Ended::Whole || answer.field("connection") == Some("close") {
            return;
        }
    }
}

async fn read(reader: &mut Reader<ReadHalf<SimStream>>, plan: &Plan) -> Option<Message> {
    loop {
        let mut answer = reader.head().await?;
        let kind = if plan.sent.method == "HEAD" { Kind::Bodiless } else { Kind::Response };
        reader.body(&mut answer, kind).await;
        if answer.status() >= 200 {
            return Some(answer);
        }
    }
}

/// I4 and I5: an answer is the request's own, and one that looks whole is whole.
fn judge(plan: &Plan, answer: &Message, gentle: bool) {
    let good = answer.status() == 200;
    // What an origin refuses late may be too long to be told again.
    let told_again = plan.sent.body.len() <= TOLD_AGAIN_MAX || answer.status() != 503;
    if gentle && told_again && matches!(plan.kind, "length" | "chunked" | "close" | "surplus") {
        assert!(good, "request {} ({}): {answer:?}", plan.id, plan.kind);
    }
    if !good {
        assert!(matches!(answer.status(), 400 | 408 | 413 | 502 | 503 | 504), "{answer:?}");
        return;
    }
    assert_eq!(answer.field("x-id"), Some(plan.id.to_string().as_str()), "I5: another's answer");
    if plan.sent.method == "HEAD" {
        return;
    }
    let expected = pattern(plan.id, plan.length);
    assert!(expected.starts_with(&answer.body), "I5: another's bytes in the answer to {}", plan.id);
    if answer.ended == Ended::Whole {
        match plan.kind {
            "short" | "unfinished" => panic!("I4: a cut body ({}) looks whole", plan.kind),
            // A cut connection is how such a body ends: nobody can tell.
            "close" if !gentle => {}
            _ => assert_eq!(answer.body.len(), expected.len(), "I4: {} looks whole", plan.kind),
        }
    }
}
