//! The client who does nothing wrong: it asks at a steady rate, whether or not earlier answers have come (an
//! open loop), so what an attack holds up shows in its figures instead of slowing it down. Of eight requests five
//! go over connections that are kept, two over a new one each, and one over a new one with TLS.

use std::{
    cell::RefCell,
    fmt::Write as _,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::LocalSet};
use tokio_rustls::TlsConnector;

use super::{
    attacks::Doors,
    talk::{self, Answer},
};
use crate::{failure::Failure, handshakes::percentile, wire};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is asked for.
const REQUEST: &str = "GET /good/1024 HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Requests that come one behind the other, each by one of the ways.
const ROUND: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Kept,
    New,
    NewTls,
}

impl Way {
    fn of(number: u32) -> Self {
        match number % ROUND {
            0 => Self::NewTls,
            3 | 6 => Self::New,
            _ => Self::Kept,
        }
    }
}

#[derive(Default)]
struct Tally {
    kept_us: Vec<u64>,
    new_us: Vec<u64>,
    /// How much later than planned requests went out: what this process itself was held up.
    late_us: Vec<u64>,
    errors: u64,
    reason: Option<String>,
}

struct Client {
    doors: Doors,
    connector: TlsConnector,
    idle: RefCell<Vec<TcpStream>>,
    tally: RefCell<Tally>,
}

/// Asks for so many seconds and prints one line of figures.
pub(crate) fn run(doors: Doors, seconds: u64, per_second: u32) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Rc::new(Client {
        doors,
        connector: TlsConnector::from(std::sync::Arc::new(wire::tls_config()?)),
        idle: RefCell::default(),
        tally: RefCell::default(),
    });
    LocalSet::new().block_on(&runtime, Rc::clone(&client).ask_all(seconds, per_second));
    println!("{}", client.tally.borrow_mut().line());
    Ok(())
}

impl Client {
    async fn ask_all(self: Rc<Self>, seconds: u64, per_second: u32) {
        let step = Duration::from_secs(1) / per_second.max(1);
        let count = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(per_second);
        let begin = Instant::now();
        let mut asked = Vec::new();
        for number in 0..count {
            let due = begin + step * number;
            tokio::time::sleep_until(due.into()).await;
            let client = Rc::clone(&self);
            asked.push(tokio::task::spawn_local(client.ask(Way::of(number), due)));
        }
        for one in asked {
            _ = one.await;
        }
    }

    async fn ask(self: Rc<Self>, way: Way, due: Instant) {
        let sent = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, self.ask_by(way)).await;
        let took = microseconds(sent.elapsed());
        let mut tally = self.tally.borrow_mut();
        tally.late_us.push(microseconds(sent - due));
        match way {
            Way::Kept => tally.kept_us.push(took),
            Way::New | Way::NewTls => tally.new_us.push(took),
        }
        let reason = match answer {
            Ok(Ok(Answer { status: 200, .. })) => return,
            Ok(Ok(answer)) => format!("{way:?}: status {}", answer.status),
            Ok(Err(error)) => format!("{way:?}: {error}"),
            Err(_) => format!("{way:?}: no answer within {PATIENCE:?}"),
        };
        tally.errors += 1;
        tally.reason.get_or_insert(reason);
    }

    async fn ask_by(&self, way: Way) -> std::io::Result<Answer> {
        match way {
            Way::Kept => {
                let idle = self.idle.borrow_mut().pop();
                let (mut stream, was_idle) = match idle {
                    Some(stream) => (stream, true),
                    None => (connect(self.doors.plain).await?, false),
                };
                let mut answer = talk::ask(&mut stream, REQUEST.as_bytes()).await;
                if answer.is_err() && was_idle {
                    // A server may close one that rests at any time; every client asks again then (RFC 9112
                    // section 9.3.1).
                    stream = connect(self.doors.plain).await?;
                    answer = talk::ask(&mut stream, REQUEST.as_bytes()).await;
                }
                let answer = answer?;
                if answer.is_kept {
                    self.idle.borrow_mut().push(stream);
                }
                Ok(answer)
            }
            Way::New => {
                let mut stream = connect(self.doors.plain).await?;
                talk::ask(&mut stream, REQUEST.as_bytes()).await
            }
            Way::NewTls => {
                let stream = connect(self.doors.tls).await?;
                let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
                let mut stream = Box::pin(self.connector.connect(name, stream)).await?;
                talk::ask(&mut stream, REQUEST.as_bytes()).await
            }
        }
    }
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Tally {
    /// Figures as `name=value`, and at last why requests failed.
    fn line(&mut self) -> String {
        let mut line = format!("requests={} errors={}", self.late_us.len(), self.errors);
        let rows =
            [("kept", &mut self.kept_us), ("new", &mut self.new_us), ("late", &mut self.late_us)];
        for (name, values) in rows {
            values.sort_unstable();
            let [half, most] = [50, 99].map(|percent| percentile(values, percent));
            // Writing to a string can't fail.
            _ = write!(line, " {name}_p50={half} {name}_p99={most}");
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
    fn every_way_has_its_share() {
        let ways: Vec<Way> = (0..ROUND).map(Way::of).collect();
        let count = |way| ways.iter().filter(|one| **one == way).count();
        assert_eq!([Way::Kept, Way::New, Way::NewTls].map(count), [5, 2, 1]);
    }

    #[test]
    fn figures_are_told_with_their_reason() {
        let mut tally = Tally {
            kept_us: vec![3, 1],
            new_us: vec![7],
            late_us: vec![0; 3],
            errors: 1,
            reason: Some("New: status 503".into()),
        };
        assert_eq!(
            tally.line(),
            "requests=3 errors=1 kept_p50=3 kept_p99=3 new_p50=7 new_p99=7 late_p50=0 late_p99=0 \
             reason=New: status 503"
        );
    }
}
