//! What an answer from the store asks of the allocator, beside what every answer does; a coded form of
//! one asks no more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_config::{MemorySource, load};
use doorman_http::{Body, Conn, Peer, Request, RequestHead, Wire};
use doorman_net::Core;
use doorman_net::serve::Handler;
use doorman_net::tls::TicketKeys;
use doorman_proxy::{Books, CoreCounters, Ground, Journal, Plan, Proxy, Record};
use doorman_testkit::sim::{Faults, Sim, SimNet, SimStream, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

thread_local! {
    /// Calls of the allocator on this thread.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "the only way to count allocations is to be the allocator")]
// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory
// of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(at, layout) }
    }
}

const CONFIG: &str = "
store main { memory 8MiB }
upstream o { server 10.0.0.1:80; protocol h1 }
site http://*:80 {
    route /said { respond 200 said }
    route /coded { cache main; compress br; proxy o }
    route * { cache main; proxy o }
}
";

struct Silent;

impl Journal for Silent {
    fn write(&self, _: &Record) {}
}

/// The body that the origin gives: not small enough for any buffer to hold by chance.
const BODY: usize = 1_024;

#[test]
fn a_hit_asks_for_one_piece_of_memory_beside_every_answer() {
    let story = simulate(1, Faults::NONE, Duration::from_secs(60), tell);
    assert!(story.is_ok(), "{story:?}");
}

async fn tell(sim: Sim) {
    let mut listener = sim.listen(address("10.0.0.1:80")).expect("the address is free");
    tokio::task::spawn_local(async move {
        while let Ok((stream, ..)) = listener.accept().await {
            tokio::task::spawn_local(answer(stream));
        }
    });
    let proxy = proxy(&sim);
    let conn = Rc::new(Conn {
        peer: Peer::Inet(address("192.0.2.9:9")),
        local: Peer::Inet(address("192.0.2.1:80")),
        wire: Wire::H1,
        tls: None,
        listener: 0,
        held: Default::default(),
    });
    // The first are those that make what later ones use again.
    let mut counts = [0; 3];
    for _ in 0..10 {
        let said = ask(&proxy, &conn, "/said").await;
        let kept = ask(&proxy, &conn, "/kept").await;
        counts = [said, kept, ask(&proxy, &conn, "/coded").await];
    }
    let [said, kept, coded] = counts;
    assert!(kept <= said + 1, "{kept} pieces of memory for a hit, {said} for any answer");
    assert!(coded <= kept, "{coded} pieces of memory for a hit on a form, {kept} for any hit");
}

/// How often the allocator is asked for memory between a request and the end of its response.
async fn ask(proxy: &Proxy<SimNet>, conn: &Rc<Conn>, target: &str) -> usize {
    let mut head = Box::new(RequestHead::default());
    head.fields.push(b"Host", b"a.test");
    head.fields.push(b"Accept-Encoding", b"gzip, deflate, br, zstd");
    head.set_authority(b"a.test").expect("a host");
    head.set_target(target.as_bytes()).expect("a target");
    let request = Request { head, body: Body::empty(), interim: None };
    let before = CALLS.get();
    let mut response = proxy.handle(conn, request).await;
    assert_eq!(response.head.status, 200);
    let coding = response.head.fields.first_named(b"content-encoding");
    assert_eq!(coding.is_some(), target == "/coded");
    response.body.close(Ok(()));
    drop(response);
    CALLS.get() - before
}

async fn answer(mut stream: SimStream) {
    let mut request = [0; 4_096];
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
        let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/css\r\n\
                    Content-Length: 1024\r\n\r\n";
        let sent = stream.write_all(&[head.as_bytes(), &[b'a'; BODY]].concat()).await;
        if sent.is_err() {
            return;
        }
    }
}

fn proxy(sim: &Sim) -> Rc<Proxy<SimNet>> {
    let clock = sim.clock();
    let loaded = load(&MemorySource::new().file("hit.conf", CONFIG), "hit.conf");
    let config = Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
    let tickets = TicketKeys::new(Arc::new(clock)).expect("the system has randomness");
    let ground = Ground::new("/nonexistent".into(), clock, tickets);
    let plan = Plan::compile(&config, &ground).plan.expect("the configuration compiles");
    let books = Books::new(clock, Arc::new(CoreCounters::default()), Rc::new(Silent));
    Proxy::new(sim.net(), Core::new(clock), books, Arc::new(plan))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
