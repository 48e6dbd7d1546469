//! Load generator for HTTP/3: connections that are kept, some requests at a time on each of them. QUIC is
//! the `quinn` crate's; what little of HTTP/3 a load needs is written here ([`answer`]), because
//! whatever this program spends on the other core is throughput that no contender can show.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::QuicClientConfig,
};
use rustix::net::sockopt;
use tokio::task::LocalSet;

use crate::{
    failure::{During, Failure},
    h3load::answer::Answer,
    handshakes::percentile,
    wire,
};

pub(crate) mod answer;

/// Windows that never stop a server: what is measured is how it fills them.
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// Room for a burst of datagrams that this process has not got to; the kernel may grant less.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;
/// Time that responses under way at the end may still take.
const GRACE: Duration = Duration::from_secs(5);
/// Pieces of a response that are taken of a stream at once.
const PIECES: usize = 64;

/// What is asked for, how often at once, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) seconds: u64,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) body_bytes: u64,
}

#[derive(Default)]
struct Tally {
    latencies_us: Vec<u64>,
    errors: u64,
    /// The first of them, for a human.
    reason: Option<String>,
}

/// Puts the load on a server and prints one line that `bench::load` reads. Each stream asks at least
/// once, so that a load of no seconds is a check.
pub(crate) fn run(plan: Plan) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = client_config()?;
    let start = Instant::now();
    let tally = LocalSet::new().block_on(&runtime, load(plan, config, start));
    let mut tally = Rc::into_inner(tally).map_or_else(Tally::default, RefCell::into_inner);
    let elapsed = start.elapsed();
    tally.latencies_us.sort_unstable();
    if let Some(reason) = tally.reason {
        eprintln!("{reason}");
    }
    println!(
        "requests={} seconds={:.3} p50_us={} p99_us={} errors={}",
        tally.latencies_us.len(),
        elapsed.as_secs_f64(),
        percentile(&tally.latencies_us, 50),
        percentile(&tally.latencies_us, 99),
        tally.errors
    );
    Ok(())
}

async fn load(plan: Plan, config: ClientConfig, start: Instant) -> Rc<RefCell<Tally>> {
    let tally: Rc<RefCell<Tally>> = Rc::default();
    let clients: Vec<_> = (0..plan.connections)
        .map(|_| {
            let client = Client { plan, config: config.clone(), tally: Rc::clone(&tally), start };
            tokio::task::spawn_local(client.run())
        })
        .collect();
    let limit = start + Duration::from_secs(plan.seconds) + GRACE;
    for client in clients {
        if tokio::time::timeout_at(limit.into(), client).await.is_err() {
            let late = Failure::new("responses did not end");
            tally.borrow_mut().fail(&late);
        }
    }
    tally
}

impl Tally {
    fn fail(&mut self, failure: &Failure) {
        self.errors += 1;
        self.reason.get_or_insert_with(|| failure.to_string());
    }
}

/// One connection, on a socket of its own as clients have.
struct Client {
    plan: Plan,
    config: ClientConfig,
    tally: Rc<RefCell<Tally>>,
    start: Instant,
}

impl Client {
    async fn run(self) {
        if let Err(failure) = self.ask_all().await {
            self.tally.borrow_mut().fail(&failure);
        }
    }

    async fn ask_all(&self) -> Result<(), Failure> {
        let endpoint = endpoint()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.plan.port));
        let connection = endpoint.connect_with(self.config.clone(), address, "localhost")?.await?;
        let mut control = connection.open_uni().await?;
        control.write_all(answer::SETTINGS).await?;
        let request = Bytes::from(answer::get(self.plan.port, self.plan.body_bytes));
        let streams: Vec<_> = (0..self.plan.streams)
            .map(|_| {
                let repeat = Repeat {
                    connection: connection.clone(),
                    request: request.clone(),
                    body_bytes: self.plan.body_bytes,
                    tally: Rc::clone(&self.tally),
                    end: self.start + Duration::from_secs(self.plan.seconds),
                };
                tokio::task::spawn_local(repeat.run())
            })
            .collect();
        for stream in streams {
            let _ = stream.await;
        }
        connection.close(VarInt::from_u32(answer::NO_ERROR), b"");
        endpoint.wait_idle().await;
        Ok(())
    }
}

/// One request after the other.
struct Repeat {
    connection: Connection,
    request: Bytes,
    body_bytes: u64,
    tally: Rc<RefCell<Tally>>,
    end: Instant,
}

impl Repeat {
    async fn run(self) {
        loop {
            let start = Instant::now();
            match self.ask().await {
                Ok(()) => {
                    let elapsed = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.tally.borrow_mut().latencies_us.push(elapsed);
                }
                Err(failure) => {
                    self.tally.borrow_mut().fail(&failure);
                    if self.connection.close_reason().is_some() {
                        return;
                    }
                }
            }
            if Instant::now() >= self.end {
                return;
            }
        }
    }

    async fn ask(&self) -> Result<(), Failure> {
        let (mut sending, mut receiving) = self.connection.open_bi().await?;
        sending.write_chunk(self.request.clone()).await?;
        sending.finish()?;
        let mut answer = Answer::default();
        let mut pieces: [Bytes; PIECES] = std::array::from_fn(|_| Bytes::new());
        while let Some(count) = receiving.read_chunks(&mut pieces).await? {
            for piece in &mut pieces[..count] {
                answer.take(&std::mem::take(piece));
            }
        }
        answer.check(self.body_bytes)
    }
}

fn endpoint() -> Result<Endpoint, Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES)?;
    sockopt::set_socket_send_buffer_size(&socket, SOCKET_BYTES)?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
        .during("opening a socket for QUIC")
}

fn client_config() -> Result<ClientConfig, Failure> {
    let mut tls = wire::tls_config()?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW));
    config.transport_config(Arc::new(transport));
    Ok(config)
}
