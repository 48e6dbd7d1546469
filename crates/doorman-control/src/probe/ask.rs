//! One check of one server: a new connection, made as a request's would be, one question, and an end to
//! the patience with its answer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use doorman_balance::health::{Check, CheckKind, Expect, grpc};
use doorman_http::{Body, Conn, FieldId, Frame, Method, RequestHead};
use doorman_net::dial::{
    Answer, Asking, DialError, DialTimeouts, Dialler, Need, Pool, PoolLimits, Protocol, Server,
};
use doorman_net::{Address, Clock, Limits, Net, within_deadline};

use super::Way;

/// Bytes of an answer's body. What says whether a server is well is short, and who sends more than
/// this to a check is not well (UPC-19).
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Characters of a reason that a library gives.
const WORDS_MAX: usize = 200;

const AGENT: &[u8] = concat!("doorman/", env!("CARGO_PKG_VERSION"), " (health check)").as_bytes();

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The server is well.
    Well,
    /// It is not, for this reason.
    Ill(String),
    /// It could not be asked, through no fault of its own.
    Unasked(String),
}

/// Makes one check. It ends within the check's timeout.
pub(super) async fn ask<N: Net>(net: &N, clock: Clock, way: &Way, check: &Check) -> Found {
    let stage = Cell::new("connecting");
    let timeout = check.pace.timeout;
    let call = Call { net, clock, way, port: check.port, timeout, stage: &stage };
    let asked = async {
        match &check.kind {
            CheckKind::Tcp => call.tcp().await,
            CheckKind::Http { method, path, host, fields, expect } => {
                let question = request(method, path, fields);
                match question {
                    Some(head) => call.http(&head, host.as_deref(), expect).await,
                    None => Err(Fault::Ill("the check's request cannot be sent".to_owned())),
                }
            }
            CheckKind::Grpc { service, host } => call.grpc(service, host.as_deref()).await,
        }
    };
    match within_deadline(clock, timeout, asked).await {
        Some(Ok(())) => Found::Well,
        Some(Err(Fault::Ill(why))) => Found::Ill(why),
        Some(Err(Fault::Ours(why))) => Found::Unasked(why),
        None => Found::Ill(format!("not done within {} while {}", words(timeout), stage.get())),
    }
}

/// Why a check did not pass.
enum Fault {
    Ill(String),
    Ours(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Ill(why)
    }
}

impl From<DialError> for Fault {
    /// A proxy that is out of files, ports or memory says so of itself, and takes no server for ill.
    fn from(error: DialError) -> Self {
        match error {
            DialError::Exhausted => Self::Ours(error.to_string()),
            DialError::Connect(kind) if is_ours(kind) => Self::Ours(error.to_string()),
            error => Self::Ill(plain(&error.to_string())),
        }
    }
}

/// Words as they may stand in a line of a log: what a library says of a handshake may quote the server.
fn plain(words: &str) -> String {
    let char = |c: char| if c.is_control() { ' ' } else { c };
    let mut text: String = words.chars().take(WORDS_MAX).map(char).collect();
    if words.chars().nth(WORDS_MAX).is_some() {
        text.push_str("...");
    }
    text
}

fn is_ours(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{AddrNotAvailable, OutOfMemory, QuotaExceeded};
    // Files that ran out have no kind of their own in the standard library.
    matches!(kind, AddrNotAvailable | OutOfMemory | QuotaExceeded)
        || kind == std::io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error()).kind()
}

struct Call<'a, N: Net> {
    net: &'a N,
    clock: Clock,
    way: &'a Way,
    port: Option<u16>,
    timeout: Duration,
    stage: &'a Cell<&'static str>,
}

impl<N: Net> Call<'_, N> {
    async fn tcp(&self) -> Result<(), Fault> {
        let dialler = self.dialler();
        let nobody = Conn::nobody();
        if self.way.tls.is_none() && self.way.protocol != Protocol::H3 {
            drop(dialler.connect_bare(self.timeout, None, &nobody).await?);
            return Ok(());
        }
        let lane = dialler.connect(&self.timeouts(), Need::Request, &nobody).await;
        dialler.pool().clear();
        drop(lane?);
        Ok(())
    }

    async fn http(
        &self,
        head: &RequestHead,
        host: Option<&str>,
        expect: &Expect,
    ) -> Result<(), Fault> {
        let dialler = self.dialler();
        let result = async {
            let mut answer = self.question(&dialler, head, host, Body::empty()).await?;
            expect.judge_head(answer.head.status, &answer.head.fields)?;
            let (body, _) = self.read(&mut answer.body).await?;
            expect.judge_body(&body)?;
            Ok(())
        };
        let result = result.await;
        dialler.pool().clear();
        result
    }

    async fn grpc(&self, service: &str, host: Option<&str>) -> Result<(), Fault> {
        let mut head = RequestHead::default();
        (head.method, head.takes_trailers) = (Method::Post, true);
        if head.set_path_and_query(grpc::PATH.as_bytes()).is_err() {
            return Err(Fault::Ill("the check's request cannot be sent".to_owned()));
        }
        head.fields.push(b"content-type", b"application/grpc");
        head.fields.push(b"user-agent", AGENT);
        let dialler = self.dialler();
        let result = async {
            let body = Body::whole(Bytes::from(grpc::request(service)));
            let mut answer = self.question(&dialler, &head, host, body).await?;
            let (body, status) = self.read(&mut answer.body).await?;
            let status = status
                .or_else(|| answer.head.fields.first_named(b"grpc-status").map(<[u8]>::to_vec));
            Ok(grpc::judge(answer.head.status, &body, status.as_deref())?)
        };
        let result = result.await;
        dialler.pool().clear();
        result
    }

    /// Connects, asks, and waits for the head of the answer.
    async fn question(
        &self,
        dialler: &Dialler<N>,
        head: &RequestHead,
        host: Option<&str>,
        body: Body,
    ) -> Result<Answer, Fault> {
        let timeouts = self.timeouts();
        let lane = dialler.connect(&timeouts, Need::Request, &Conn::nobody()).await?;
        self.stage.set("waiting for an answer");
        let limits = Limits::default();
        let asking = Asking {
            head,
            host: host.unwrap_or(&self.way.authority).as_bytes(),
            secure: self.way.tls.is_some(),
            interim: None,
            limits: &limits,
            timeouts,
        };
        Ok(lane.ask(asking, &mut Some(body)).await?)
    }

    /// The whole body, within its bound, and `grpc-status` of its trailers.
    async fn read(&self, body: &mut Body) -> Result<(Vec<u8>, Option<Vec<u8>>), Fault> {
        self.stage.set("reading the answer");
        let (mut bytes, mut status) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(Frame::Data(data)) => {
                    if bytes.len() + data.len() > BODY_BYTES_MAX {
                        let why = format!("an answer of more than {BODY_BYTES_MAX} bytes");
                        return Err(Fault::Ill(why));
                    }
                    bytes.extend_from_slice(data.as_slice());
                }
                Ok(Frame::Trailers(trailers)) => {
                    status = trailers.first_named(b"grpc-status").map(<[u8]>::to_vec);
                }
                Err(error) => return Err(Fault::Ill(error.to_string())),
            }
        }
        Ok((bytes, status))
    }

    /// A way with a pool that keeps nothing: each check has a connection of its own.
    fn dialler(&self) -> Dialler<N> {
        let way = self.way;
        let server = Server {
            address: with_port(&way.address, self.port),
            tls: way.tls.clone(),
            tls_single: way.tls_single.clone(),
            protocol: way.protocol,
            manner: way.manner,
            limits: Limits::default(),
        };
        let pool: Rc<Pool<N::Stream>> = Pool::new(PoolLimits { idle: 0, ..PoolLimits::default() });
        Dialler::new(self.net.clone(), self.clock, server, pool)
    }

    /// The check's own deadline is over all of it, and says where it stood; these never come first.
    const fn timeouts(&self) -> DialTimeouts {
        let later = self.timeout.saturating_mul(2);
        DialTimeouts { connect: self.timeout, response: later, idle: later, tunnel_idle: later }
    }
}

fn request(method: &str, path: &str, fields: &[(Box<str>, Box<str>)]) -> Option<RequestHead> {
    let method = Method::from_bytes(method.as_bytes())?;
    let mut head = RequestHead::default();
    head.method = method;
    head.set_path_and_query(path.as_bytes()).ok()?;
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    if !head.fields.has(FieldId::UserAgent) {
        head.fields.push(b"user-agent", AGENT);
    }
    Some(head)
}

fn with_port(address: &Address, port: Option<u16>) -> Address {
    let Some(port) = port else { return address.clone() };
    match address {
        Address::Inet(at) => Address::Inet((at.ip(), port).into()),
        Address::Name(name, _) => Address::Name(name.clone(), port),
        Address::Unix(path) => Address::Unix(path.clone()),
    }
}

/// A time as the configuration writes it.
pub(super) fn words(time: Duration) -> String {
    let millis = time.as_millis();
    if millis.is_multiple_of(1000) {
        format!("{} s", millis / 1000)
    } else {
        format!("{millis} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_a_line() {
        assert_eq!(plain("TLS handshake: no"), "TLS handshake: no");
        assert_eq!(plain("a\nb\x1b[31m"), "a b [31m");
        assert_eq!(plain(&"\u{e4}".repeat(1000)), format!("{}...", "\u{e4}".repeat(WORDS_MAX)));
    }

    #[test]
    fn times_as_people_write_them() {
        for (millis, expect) in [(2000, "2 s"), (1500, "1500 ms"), (0, "0 s")] {
            assert_eq!(words(Duration::from_millis(millis)), expect);
        }
    }
}
