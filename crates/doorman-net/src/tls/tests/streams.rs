//! Streams under TLS, on a line in memory that hands bytes over in pieces of any size and makes everybody wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::*;
use crate::seam::{Glimpse, Stream};

/// One direction of a line.
#[derive(Default)]
struct Way {
    bytes: VecDeque<u8>,
    /// How many bytes have been read of it.
    read: usize,
    is_over: bool,
    /// Calls that wrote.
    writes: usize,
}

/// How much one call moves, and how often it has to wait first.
#[derive(Clone, Copy)]
enum Pace {
    /// All that is there.
    Free,
    /// Up to so many bytes, by dice; one call of four waits.
    Pieces(usize),
    /// All, but nothing behind the byte with this number before it was asked for once more.
    CutAt(usize),
    /// Nothing is taken.
    Full,
    /// The peer has closed by a reset.
    Broken,
}

struct End {
    from: Rc<RefCell<Way>>,
    to: Rc<RefCell<Way>>,
    reading: Pace,
    writing: Pace,
    dice: Cell<u64>,
}

fn line(seed: u64) -> (End, End) {
    let (a, b) = (Rc::<RefCell<Way>>::default(), Rc::<RefCell<Way>>::default());
    let end = |from: &Rc<RefCell<Way>>, to: &Rc<RefCell<Way>>, seed| End {
        from: Rc::clone(from),
        to: Rc::clone(to),
        reading: Pace::Free,
        writing: Pace::Free,
        dice: Cell::new(seed | 1),
    };
    (end(&a, &b, seed), end(&b, &a, !seed))
}

impl End {
    fn paced(mut self, pace: Pace) -> Self {
        (self.reading, self.writing) = (pace, pace);
        self
    }

    fn roll(&self, sides: usize) -> usize {
        let mut x = self.dice.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.dice.set(x);
        usize::try_from(x >> 33).unwrap() % sides
    }

    /// How many of `n` bytes move now; `None`: wait.
    fn share(&self, pace: Pace, n: usize) -> Option<usize> {
        match pace {
            Pace::Free | Pace::CutAt(_) => Some(n),
            Pace::Full | Pace::Broken => None,
            Pace::Pieces(most) => (self.roll(4) > 0).then(|| n.min(1 + self.roll(most))),
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut way = this.from.borrow_mut();
        let mut n = way.bytes.len().min(buffer.remaining());
        if n == 0 {
            return if way.is_over { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        if let Pace::CutAt(at) = this.reading {
            if way.read == at {
                this.reading = Pace::Free;
                return Poll::Pending;
            }
            n = n.min(at.checked_sub(way.read).unwrap_or(n));
        }
        let Some(n) = this.share(this.reading, n) else { return Poll::Pending };
        way.read += n;
        for byte in way.bytes.drain(..n) {
            buffer.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.writing, Pace::Broken) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let Some(n) = self.share(self.writing, bytes.len()) else { return Poll::Pending };
        let mut way = self.to.borrow_mut();
        way.writes += 1;
        way.bytes.extend(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.poll_write(cx, &all)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to.borrow_mut().is_over = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.to.borrow_mut().is_over = true;
    }
}

impl Stream for End {
    fn poll_peek(&mut self, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        unreachable!("nobody peeks below TLS")
    }

    fn poll_glimpse(&mut self, _: &mut Context<'_>) -> Poll<Glimpse> {
        let way = self.from.borrow();
        match (way.bytes.is_empty(), way.is_over) {
            (false, _) => Poll::Ready(Glimpse::Bytes),
            (true, true) => Poll::Ready(Glimpse::Finished),
            (true, false) => Poll::Pending,
        }
    }

    fn is_gone(&mut self) -> bool {
        false
    }

    fn has_news(&mut self) -> bool {
        !self.from.borrow().bytes.is_empty()
    }

    fn reset_on_close(&mut self) {}
}

/// More turns than any of these tests needs.
const TURNS: usize = 2_000_000;

/// Lets both work until both are done.
#[track_caller]
fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut a, mut b) = (None, None);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..TURNS {
        if a.is_none()
            && let Poll::Ready(done) = one.as_mut().poll(&mut cx)
        {
            a = Some(done);
        }
        if b.is_none()
            && let Poll::Ready(done) = other.as_mut().poll(&mut cx)
        {
            b = Some(done);
        }
        if a.is_some() && b.is_some() {
            break;
        }
    }
    (a.expect("one end"), b.expect("the other end"))
}

/// What it comes to in one turn.
fn now<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

struct Ground {
    client: Arc<ClientConfig>,
    server: ServerTls,
}

impl Ground {
    fn new(make: Make, early: Option<EarlyData>) -> Self {
        let clock = clock();
        let table = table(vec![loaded(&certificate(&["a.example"]))], vec![], &clock);
        let mut options = options("listener", &clock);
        options.early_data = early;
        let tickets = TicketKeys::new(clock.clone()).unwrap();
        let mut client = ClientConfig::clone(&make(&clock));
        client.enable_early_data = true;
        Self { client: Arc::new(client), server: ServerTls::new(options, table, &tickets).unwrap() }
    }

    fn client_session(&self) -> ClientConnection {
        let name = ServerName::try_from("a.example").unwrap();
        ClientConnection::new(Arc::clone(&self.client), name).unwrap()
    }

    /// Both ends, before a word was said.
    fn ends(&self, (a, b): (End, End)) -> (TlsStream<End>, TlsStream<End>) {
        let server = ServerConnection::new(Arc::clone(self.server.config())).unwrap();
        (TlsStream::new(a, self.client_session()), TlsStream::new(b, server))
    }

    /// Both ends after a handshake on a line that keeps nobody waiting.
    fn shaken(&self) -> (TlsStream<End>, TlsStream<End>) {
        let (mut client, mut server) = self.ends(line(1));
        let (a, b) = both(
            async {
                poll_fn(|cx| client.poll_handshake(cx)).await?;
                client.flush().await
            },
            poll_fn(|cx| server.poll_handshake(cx)),
        );
        a.unwrap();
        b.unwrap();
        (client, server)
    }
}

type Make = fn(&Arc<TestClock>) -> Arc<ClientConfig>;

const CLIENTS: [Make; 2] = [client, client_tls12];

fn text(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(31).wrapping_add(seed) % 251) as u8).collect()
}

/// Shakes hands, says all of `said`, says that nothing more comes, and hears the other one out.
async fn talk(mut stream: TlsStream<End>, said: &[u8]) -> io::Result<Vec<u8>> {
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    stream.write_all(said).await?;
    stream.shutdown().await?;
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await?;
    Ok(heard)
}

#[test]
fn bytes_come_whole_in_whatever_pieces() {
    for make in CLIENTS {
        let ground = Ground::new(make, None);
        for seed in 1..24 {
            let most = [1, 2, 5, 7, 100, 5000, 20_000][seed % 7];
            let length = if most < 100 { 700 } else { seed * 3001 };
            let (a, b) = line((seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let pace = Pace::Pieces(most);
            let (client, server) = ground.ends((a.paced(pace), b.paced(pace)));
            let (up, down) = (text(1, length), text(2, length / 2));
            let (heard, asked) = both(talk(client, &up), talk(server, &down));
            assert!(asked.unwrap() == up, "{seed}");
            assert!(heard.unwrap() == down, "{seed}");
        }
    }
}

#[test]
fn a_cut_at_any_byte_changes_nothing() {
    for make in CLIENTS {
        let ground = Ground::new(make, None);
        let mut at = 0;
        loop {
            let (a, b) = line(7);
            let seen = Rc::clone(&b.from);
            let (client, server) = ground.ends((a, b.paced(Pace::CutAt(at))));
            let (heard, asked) = both(talk(client, b"question"), talk(server, b"answer"));
            assert_eq!((&*heard.unwrap(), &*asked.unwrap()), (&b"answer"[..], &b"question"[..]));
            at += 1;
            if at > seen.borrow().read {
                break;
            }
        }
        assert!(at > 300, "a handshake and a question are longer");
    }
}

#[test]
fn an_end_that_was_said_is_told_from_one_that_was_not() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    now(client.write_all(b"last")).unwrap().unwrap();
    now(client.shutdown()).unwrap().unwrap();
    let mut heard = Vec::new();
    now(server.read_to_end(&mut heard)).unwrap().unwrap();
    assert_eq!(heard, b"last");
    // The other direction is open still.
    now(server.write_all(b"answer")).unwrap().unwrap();
    now(server.shutdown()).unwrap().unwrap();
    heard.clear();
    now(client.read_to_end(&mut heard)).unwrap().unwrap();
    assert_eq!(heard, b"answer");

    let (mut client, mut server) = ground.shaken();
    now(client.write_all(b"last")).unwrap().unwrap();
    drop(client);
    heard.clear();
    let error = now(server.read_to_end(&mut heard)).unwrap().unwrap_err();
    assert_eq!((error.kind(), &*heard), (io::ErrorKind::UnexpectedEof, &b"last"[..]));
}

#[test]
fn an_end_within_the_handshake_is_an_error() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.ends(line(3));
    assert!(now(poll_fn(|cx| client.poll_handshake(cx))).is_none());
    drop(client);
    let end = now(poll_fn(|cx| server.poll_handshake(cx))).unwrap();
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn records_that_wait_leave_in_one_write() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    let sent = Rc::clone(&client.below().from);
    assert_eq!(sent.borrow().writes, 1, "the flight; the ticket waits");
    let long = text(5, 50_000);
    let slices = [&long[..10], &long[10..40_000], &long[40_000..]].map(IoSlice::new);
    let n = now(poll_fn(|cx| Pin::new(&mut server).poll_write_vectored(cx, &slices)));
    assert_eq!(n.unwrap().unwrap(), long.len());
    assert_eq!(sent.borrow().writes, 2, "a ticket and four records");
    let mut heard = vec![0; long.len()];
    now(client.read_exact(&mut heard)).unwrap().unwrap();
    assert!(heard == long);
}

#[test]
fn a_ticket_that_nothing_leaves_with_leaves_before_the_wait() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    let sent = Rc::clone(&client.below().from);
    assert!(now(server.read(&mut [0; 8])).is_none());
    assert_eq!(sent.borrow().writes, 2);
    assert!(now(client.read(&mut [0; 8])).is_none());
    assert!(now(server.read(&mut [0; 8])).is_none());
    assert_eq!(sent.borrow().writes, 2, "nothing is left");
}

#[test]
fn a_peer_that_does_not_read_holds_a_writer_back() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    server.below().writing = Pace::Full;
    let mut taken = 0;
    while let Some(n) = now(server.write(&[7; 10_000])) {
        taken += n.unwrap();
        assert!(taken <= 80_000, "what waits is bounded");
    }
    assert!(now(server.flush()).is_none());
    server.below().writing = Pace::Free;
    now(server.flush()).unwrap().unwrap();
    let mut heard = vec![0; taken];
    now(client.read_exact(&mut heard)).unwrap().unwrap();
    assert!(heard.iter().all(|byte| *byte == 7));
}

#[test]
fn an_answer_is_read_of_a_peer_that_takes_no_more() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    client.below().writing = Pace::Full;
    now(client.write_all(b"an upload")).unwrap().unwrap();
    // It has gone, and what it said before is not seen yet.
    client.below().writing = Pace::Broken;
    assert!(now(client.read(&mut [0; 8])).is_none());
    now(server.write_all(b"answer")).unwrap().unwrap();
    let mut heard = [0; 6];
    now(client.read_exact(&mut heard)).unwrap().unwrap();
    assert_eq!(&heard, b"answer");
    let error = now(client.write(b"more")).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn what_is_no_tls_ends_it_with_an_alert() {
    let ground = Ground::new(client, None);
    let (mut client, mut server) = ground.shaken();
    let record = [23, 3, 3, 0, 20].iter().chain(&[9; 20]);
    client.below().to.borrow_mut().bytes.extend(record);
    let error = now(server.read(&mut [0; 8])).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = now(client.read(&mut [0; 8])).unwrap().unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

const EARLY: Option<EarlyData> = Some(EarlyData { streams: 1, head_bytes: 1 });

/// A client that has a ticket.
fn visited() -> Ground {
    let ground = Ground::new(client, EARLY);
    handshake(&ground.client, "a.example", ground.server.config()).unwrap();
    ground
}

/// What a client sends at first: its hello, and `early`.
fn first_flight(session: &mut ClientConnection, early: &[u8]) -> Vec<u8> {
    let taken = session.early_data().expect("a ticket").write(early).unwrap();
    assert_eq!(taken, early.len());
    let mut wire = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut wire).unwrap();
    }
    wire
}

/// A server's end that has read a hello, and whatever came with it.
async fn accept(mut io: End, config: &Arc<ServerConfig>) -> io::Result<TlsStream<End>> {
    let mut acceptor = Acceptor::default();
    let accepted = poll_fn(|cx| {
        loop {
            match acceptor.read_tls(&mut Below { io: &mut io, cx }) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                read => read.unwrap(),
            };
            if let Some(accepted) = acceptor.accept().unwrap() {
                return Poll::Ready(accepted);
            }
        }
    })
    .await;
    let session = accepted.into_connection(Arc::clone(config)).unwrap();
    let mut stream = TlsStream::new(io, session);
    stream.begin().await?;
    Ok(stream)
}

#[test]
fn early_data_is_read_ahead_of_the_handshake_cut_at_any_byte() {
    let ground = visited();
    let mut length = usize::MAX;
    let mut at = 0;
    while at <= length {
        let mut session = ground.client_session();
        let flight = first_flight(&mut session, b"early ");
        length = flight.len();
        let (a, b) = line(5);
        a.to.borrow_mut().bytes.extend(&flight);
        let b = b.paced(Pace::CutAt(at));
        let config = ground.server.config();
        // A cut makes them wait for no more than one turn each.
        let (server, ()) = both(accept(b, config), async {});
        let mut server = server.unwrap();
        assert!(server.is_early(), "{at}");
        let ends = Rc::<RefCell<Vec<_>>>::default();
        let heard = Rc::clone(&ends);
        let alarm = crate::Alarm::new(crate::Clock::simulated(0));
        server.watch(alarm, Box::new(move |how| heard.borrow_mut().push(how)));
        let mut early = [0; 6];
        both(server.read_exact(&mut early), async {}).0.unwrap();
        assert_eq!((&early, server.is_early()), (b"early ", true), "{at}");
        // An answer needs nothing more from the client.
        now(server.write_all(b"answer")).unwrap().unwrap();
        assert!(now(server.read(&mut [0; 8])).is_none());
        assert!(ends.borrow().is_empty());

        let mut client = TlsStream::new(a, session);
        poll_fn_done(&mut client);
        let mut answer = [0; 6];
        now(client.read_exact(&mut answer)).unwrap().unwrap();
        assert_eq!(&answer, b"answer");
        now(client.write_all(b"late")).unwrap().unwrap();
        let mut late = [0; 4];
        both(server.read_exact(&mut late), async {}).0.unwrap();
        assert_eq!((&late, server.is_early()), (b"late", false));
        assert_eq!(*ends.borrow(), [Ok(())]);
        // The session brought the ticket for the next one.
        assert!(now(server.read(&mut [0; 8])).is_none());
        assert!(now(client.read(&mut [0; 8])).is_none());
        at += 1;
    }
    assert!(at > 300, "{at}");
}

/// Goes through the rest of a client's handshake, and keeps what it has to say.
fn poll_fn_done(client: &mut TlsStream<End>) {
    now(poll_fn(|cx| client.poll_handshake(cx))).expect("all is there").expect("a handshake");
}

#[test]
fn a_glimpse_goes_on_with_the_handshake() {
    let ground = visited();
    let mut session = ground.client_session();
    let (a, b) = line(5);
    a.to.borrow_mut().bytes.extend(first_flight(&mut session, b"early"));
    let mut server = now(accept(b, ground.server.config())).unwrap().unwrap();
    assert!(now(poll_fn(|cx| server.poll_glimpse(cx))).is_none() && server.is_early());
    let mut client = TlsStream::new(a, session);
    poll_fn_done(&mut client);
    now(client.flush()).unwrap().unwrap();
    assert!(now(poll_fn(|cx| server.poll_glimpse(cx))).is_none());
    assert!(!server.is_early(), "its Finished was seen");
    let mut early = [0; 5];
    now(server.read_exact(&mut early)).unwrap().unwrap();
    assert_eq!(&early, b"early", "what came before is there still");
    drop(client);
    assert_eq!(now(poll_fn(|cx| server.poll_glimpse(cx))), Some(Glimpse::Finished));
}

#[test]
fn a_client_that_goes_away_ahead_of_its_finished_is_told() {
    let ground = visited();
    let mut session = ground.client_session();
    let (a, b) = line(5);
    a.to.borrow_mut().bytes.extend(first_flight(&mut session, b"early"));
    let mut server = now(accept(b, ground.server.config())).unwrap().unwrap();
    let ends = Rc::<RefCell<Vec<_>>>::default();
    let heard = Rc::clone(&ends);
    let alarm = crate::Alarm::new(crate::Clock::simulated(0));
    server.watch(alarm, Box::new(move |how| heard.borrow_mut().push(how)));
    drop(a);
    assert_eq!(now(poll_fn(|cx| server.poll_glimpse(cx))), Some(Glimpse::Reset));
    assert_eq!(*ends.borrow(), [Err(Unfinished::Failed)]);
}

/// Clients keep to what their ticket says. One whose ticket says more is stopped by what we hold.
#[test]
fn more_early_data_than_is_taken_ends_it() {
    let ground = visited();
    let mut generous = ServerConfig::clone(ground.server.config());
    generous.max_early_data_size = 1 << 20;
    let generous = Arc::new(generous);
    for (length, is_taken) in [(16 * 1024, true), (16 * 1024 + 1, false), (50_000, false)] {
        // Its last ticket is the one that it shows.
        handshake(&ground.client, "a.example", &generous).unwrap();
        let mut session = ground.client_session();
        let (a, b) = line(5);
        let early = text(9, length);
        a.to.borrow_mut().bytes.extend(first_flight(&mut session, &early));
        let shaken = now(accept(b, ground.server.config())).unwrap();
        let read = shaken.and_then(|mut server| {
            let shaken = now(poll_fn(|cx| server.poll_handshake(cx)));
            shaken.unwrap_or(Ok(())).and_then(|()| {
                let mut heard = vec![0; length];
                now(server.read_exact(&mut heard)).expect("all is there").map(|_| heard)
            })
        });
        match read {
            Ok(heard) => assert!(is_taken && heard == early, "{length}"),
            Err(error) => {
                assert!(!is_taken, "{length} {error}");
                assert!(error.to_string().contains("TooMuchEarlyData"), "{error}");
            }
        }
    }
}
