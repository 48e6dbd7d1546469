//! What a pool lends, over real sockets: it is about what the system knows and the event loop may
//! not have heard yet.

#![expect(clippy::disallowed_methods, reason = "the origin stands outside of the proxy")]

use std::future::poll_fn;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use doorman_http::{Conn, Instant, RequestHead};

use super::{
    Asking, DialManner, DialTimeouts, Dialler, Lane, Need, Pool, PoolLimits, Protocol, Server,
};
use crate::os::Os;
use crate::seam::Address;
use crate::{Clock, Limits};

const UNASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";

/// A pool with one idle connection, and its other end.
struct Stage {
    pool: Rc<Pool<crate::os::OsStream>>,
    origin: TcpStream,
    put: Instant,
}

impl Stage {
    async fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clock = Clock::system();
        let pool = Pool::new(PoolLimits::default());
        let address = Address::Inet(listener.local_addr().unwrap());
        let server = Server {
            address,
            tls: None,
            tls_single: None,
            protocol: Protocol::H1,
            manner: DialManner::default(),
            limits: Limits::default(),
        };
        let dialler = Dialler::new(Os::new(1), clock, server, Rc::clone(&pool));
        let timeouts = DialTimeouts::default();
        let Ok(Lane::Single(connection)) =
            dialler.connect(&timeouts, Need::Request, &Conn::nobody()).await
        else {
            panic!("no connection of its own");
        };
        let (mut origin, _) = listener.accept().unwrap();
        // The answer is there before its request, so that one thread is enough.
        origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let head = RequestHead::default();
        let limits = Limits::default();
        let asking = Asking {
            head: &head,
            host: b"localhost",
            secure: false,
            interim: None,
            limits: &limits,
            timeouts,
        };
        let answer = connection.ask(asking, &mut None).await.unwrap();
        assert_eq!((answer.head.status, pool.idle()), (200, 1));
        Self { pool, origin, put: clock.instant() }
    }
}

fn run(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story);
}

#[test]
fn a_quiet_connection_is_lent() {
    run(async {
        let stage = Stage::set().await;
        assert!(stage.pool.take(stage.put).is_some());
        let stage = Stage::set().await;
        assert!(stage.pool.take(stage.put + Duration::from_secs(1)).is_some());
    });
}

/// H1P-18: nothing lets the event loop run between the bytes' arrival and the look.
#[test]
fn what_came_since_the_loops_last_turn_is_seen() {
    run(async {
        let mut stage = Stage::set().await;
        stage.origin.write_all(UNASKED).unwrap();
        assert!(stage.pool.take(stage.put + Duration::from_millis(2)).is_none());

        let stage = Stage::set().await;
        drop(stage.origin);
        assert!(stage.pool.take(stage.put + Duration::from_millis(2)).is_none());
    });
}

/// H1P-18: a task that has used up its turn must still see what the event loop knows.
#[test]
fn a_task_without_budget_looks_all_the_same() {
    run(async {
        let mut stage = Stage::set().await;
        stage.origin.write_all(UNASKED).unwrap();
        // Yielding lets the event loop run.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        poll_fn(|cx| {
            while pin!(tokio::task::coop::consume_budget()).poll(cx).is_ready() {}
            Poll::Ready(())
        })
        .await;
        assert!(stage.pool.take(stage.put).is_none());
    });
}
