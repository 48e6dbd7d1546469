//! Where attackers are let loose: so many at once or in a second, from addresses of their own, until the time is
//! over; and what became of them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::ClientConfig;
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    task::LocalSet,
};

use super::{Doors, Kind, Manner, floods, guarded, h2, h3, slow, tls};
use crate::{failure::Failure, wire};

/// Attackers that begin in one turn, and how long a turn is.
const TURN: Duration = Duration::from_millis(5);
const TURNS_PER_SECOND: u32 = 200;
/// An attacker that was thrown out comes back after this long.
const BREATH: Duration = Duration::from_millis(100);
/// More who come and go are not let loose at once: doorman would be held up by what it could not see.
const UNDER_WAY_MAX: usize = 2000;
/// Addresses that attackers come from, so that no bound on ports stops them.
const ADDRESSES: u32 = 64;
/// From one byte to the next of an attacker that is slow.
pub(super) const DRIP: Duration = Duration::from_secs(5);

/// What all attackers of one attack share.
pub(super) struct Field {
    pub(super) doors: Doors,
    pub(super) tls: Arc<ClientConfig>,
    tally: RefCell<Tally>,
}

#[derive(Default)]
struct Tally {
    begun: u64,
    /// By doorman, with or without an answer.
    ended: u64,
    /// Things done beside beginning: requests, frames, streams.
    done: u64,
    open: u64,
    open_most: u64,
    statuses: BTreeMap<u16, u64>,
    reason: Option<String>,
}

/// Attacks for so many seconds and prints one line of what came of it.
pub(crate) fn run(doors: Doors, kind: Kind, manner: Manner, seconds: u64) -> Result<(), Failure> {
    // Whoever behaves goes before.
    rustix::process::setpriority_process(None, 19)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tls = Arc::new(wire::tls_config()?);
    let field = Rc::new(Field { doors, tls, tally: RefCell::default() });
    let end = Instant::now() + Duration::from_secs(seconds);
    let all = Rc::clone(&field).loose(kind, manner, arrivals(manner, seconds));
    LocalSet::new()
        .block_on(&runtime, async { tokio::time::timeout_at(end.into(), all).await.ok() });
    println!("{}", field.tally.borrow().line());
    Ok(())
}

/// Attackers that begin in a second. Those who are held are all there when half of the time has passed.
fn arrivals(manner: Manner, seconds: u64) -> u32 {
    match manner {
        Manner::Held(count) => {
            let half = u32::try_from(seconds.div_ceil(2)).unwrap_or(u32::MAX).max(1);
            count.div_ceil(half).max(1)
        }
        Manner::PerSecond(count) => count,
    }
}

impl Field {
    async fn loose(self: Rc<Self>, kind: Kind, manner: Manner, per_second: u32) {
        let mut number = 0;
        let mut turns = tokio::time::interval(TURN);
        let mut owed = 0;
        loop {
            turns.tick().await;
            owed += per_second;
            let mut count = owed / TURNS_PER_SECOND;
            owed %= TURNS_PER_SECOND;
            if let Manner::Held(all) = manner {
                count = count.min(all - number);
                if number == all {
                    return pending().await;
                }
            }
            for _ in 0..count {
                number += 1;
                if self.tally.borrow().open >= UNDER_WAY_MAX as u64
                    && matches!(manner, Manner::PerSecond(_))
                {
                    continue;
                }
                tokio::task::spawn_local(Rc::clone(&self).live(kind, manner, number));
            }
        }
    }

    async fn live(self: Rc<Self>, kind: Kind, manner: Manner, number: u32) {
        loop {
            {
                let mut tally = self.tally.borrow_mut();
                tally.begun += 1;
                tally.open += 1;
                tally.open_most = tally.open_most.max(tally.open);
            }
            let ended = self.attack(kind, number).await;
            {
                let mut tally = self.tally.borrow_mut();
                tally.open -= 1;
                if let Err(error) = ended {
                    tally.ended += 1;
                    tally.reason.get_or_insert(error.to_string());
                }
            }
            if let Manner::PerSecond(_) = manner {
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// One attacker's life. An error says that doorman ended it.
    async fn attack(&self, kind: Kind, number: u32) -> io::Result<()> {
        match kind {
            Kind::SlowHeads => slow::head(self, number).await,
            Kind::SlowBodies => slow::body(self, number).await,
            Kind::SlowReaders => slow::reader(self, number).await,
            Kind::Bulk => slow::bulk(self, number).await,
            Kind::Silence => slow::silence(self, number).await,
            Kind::Idle => slow::idle(self, number).await,
            Kind::WebSockets => slow::websocket(self, number).await,
            Kind::Pipelines => floods::pipeline(self, number).await,
            Kind::HugeHeads => floods::huge_head(self, number).await,
            Kind::Resets => floods::reset(self, number).await,
            Kind::Knocks => floods::knock(self, number).await,
            Kind::NotFound => guarded::not_found(self, number).await,
            Kind::Keys => guarded::keys(self, number).await,
            Kind::Passwords => guarded::passwords(self, number).await,
            Kind::Json => guarded::json(self, number).await,
            Kind::HalfHellos => tls::half_hello(self, number).await,
            Kind::Hellos => tls::hello(self, number).await,
            Kind::Handshakes => tls::handshake(self, number).await,
            Kind::TinyWindows => h2::tiny_windows(self, number).await,
            Kind::RapidResets => h2::rapid_resets(self, number).await,
            Kind::Pings => h2::pings(self, number).await,
            Kind::Settings => h2::settings(self, number).await,
            Kind::Continuations => h2::continuations(self, number).await,
            Kind::H3Resets => Box::pin(h3::resets(self)).await,
        }
    }

    /// A connection to the plain port, from one of many addresses.
    pub(super) async fn plain(&self, number: u32) -> io::Result<TcpStream> {
        connect(self.doors.plain, number, None).await
    }

    /// A connection whose side here takes few bytes.
    pub(super) async fn narrow(&self, number: u32) -> io::Result<TcpStream> {
        connect(self.doors.plain, number, Some(4096)).await
    }

    pub(super) async fn secure(&self, number: u32) -> io::Result<TcpStream> {
        connect(self.doors.tls, number, None).await
    }

    pub(super) fn did(&self, count: u64) {
        self.tally.borrow_mut().done += count;
    }

    pub(super) fn answered(&self, status: u16) {
        let mut tally = self.tally.borrow_mut();
        *tally.statuses.entry(status).or_default() += 1;
        tally.done += 1;
    }
}

async fn connect(to: SocketAddr, number: u32, receive: Option<u32>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive {
        socket.set_recv_buffer_size(bytes)?;
    }
    // The last octet is none that stands for the network or for all.
    let last = u8::try_from(number % ADDRESSES).unwrap_or_default() + 1;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 1, 0, last), 0)))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits so long; an error when doorman has closed meanwhile. What it says is not listened to.
pub(super) async fn wait(stream: &mut TcpStream, time: Duration) -> io::Result<()> {
    let end = Instant::now() + time;
    let mut piece = [0; 1024];
    loop {
        match tokio::time::timeout_at(end.into(), stream.read(&mut piece)).await {
            Err(_) => return Ok(()),
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
}

impl Tally {
    fn line(&self) -> String {
        let mut line = format!(
            "begun={} ended={} done={} open={}",
            self.begun, self.ended, self.done, self.open_most
        );
        for (status, count) in &self.statuses {
            // Writing to a string can't fail.
            _ = write!(line, " {status}={count}");
        }
        if let Some(reason) = &self.reason {
            _ = write!(line, " reason={reason}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_has_come_by_half_time() {
        for (manner, seconds, wanted) in [
            (Manner::Held(8000), 10, 1600),
            (Manner::Held(8000), 1, 8000),
            (Manner::Held(1), 10, 1),
            (Manner::PerSecond(300), 10, 300),
        ] {
            assert_eq!(arrivals(manner, seconds), wanted, "{manner:?}");
        }
    }
}
