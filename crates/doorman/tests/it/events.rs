//! Server-sent events: what an origin has said reaches the client before the origin says more, however
//! little it is and over whichever wires it goes.

use crate::rig::{Flow, House, Origin, Pair, pairs};

pairs!(events_are_not_held_back);

const EVENTS: usize = 5;

fn event(n: usize) -> String {
    format!("id: {n}\ndata: {{\"n\": {n}}}\n\n")
}

/// In lock-step: the origin makes the next event, and first of all the first one, when the client has
/// told that it has read what came before.
fn events_are_not_held_back(pair: Pair) {
    let origin = Origin::start(pair.back, |talk| {
        talk.request()?;
        talk.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        )?;
        for n in 0..EVENTS {
            talk.wait_for_step(n + 1);
            let event = event(n);
            talk.send(format!("{:x}\r\n{event}\r\n", event.len()))?;
        }
        talk.wait_for_step(EVENTS + 1);
        talk.send("0\r\n\r\n")
    });
    let house = House::before(pair, &origin, "");
    let mut flow = Flow::get(&house, "/events").expect("200");
    for n in 0..EVENTS {
        origin.allow();
        let event = event(n);
        assert_eq!(flow.exactly(event.len()), event.as_bytes());
    }
    origin.allow();
    let (rest, end) = flow.rest();
    assert_eq!(rest, b"");
    end.expect("an orderly end");
}
