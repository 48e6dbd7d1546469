//! What ten thousand certificates cost: memory for each, and the time of a handshake against that with one.
//!
//! `cargo run --release -p doorman-net --example certificates`. Both tables are measured in turn, so that a machine
//! that is busy slows both down; the figure is the median of the rounds.

#![expect(clippy::disallowed_methods, reason = "it measures time")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot set its stage has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorman_net::Clock;
use doorman_net::tls::{
    Certificate, CertificateSource, Certificates, ClientTls, ClientTlsOptions, MinimumVersion,
    PemFile, ServerTls, ServerTlsOptions, TicketKeys, TlsPolicy, Verify,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection};

const MANY: usize = 10_000;
const ROUNDS: usize = 21;
const HANDSHAKES: u32 = 200;

fn main() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "example root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(params, key);
    let clock = Clock::system();
    let one = server(clock, &issuer, 1);
    let before = resident();
    let begun = Instant::now();
    let many = server(clock, &issuer, MANY);
    let took = begun.elapsed();
    let each = (resident() - before) / MANY;
    println!("{MANY} certificates: {each} bytes each, made and loaded in {took:.1?}");
    let client = client(clock);
    let mut ratios = Vec::new();
    let (mut few_each, mut many_each) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS {
        let few = time(&client, &one, |_| 0);
        let with_many = time(&client, &many, |n| (n * 7919 + round * 613) % MANY);
        few_each = few_each.min(few);
        many_each = many_each.min(with_many);
        ratios.push(with_many.as_secs_f64() / few.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "a handshake, both ends: {few_each:.1?} with one, {many_each:.1?} with {MANY} (best rounds)"
    );
    println!("ratio: median {:.3}", ratios[ROUNDS / 2]);
}

fn name(n: usize) -> String {
    format!("shop-{n}.customers.example")
}

fn server(clock: Clock, issuer: &Issuer<'static, KeyPair>, count: usize) -> ServerTls {
    let sources = (0..count).map(|n| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name(n)]).unwrap();
        let chain = params.signed_by(&key, issuer).unwrap().pem();
        let key = key.serialize_pem();
        let chain = PemFile { path: Path::new("chain.pem"), bytes: chain.as_bytes() };
        let key = PemFile { path: Path::new("key.pem"), bytes: key.as_bytes() };
        let certificate = Arc::new(Certificate::from_pem(chain, key).unwrap());
        CertificateSource::Loaded { certificate, names: Vec::new() }
    });
    let table = Certificates::new(sources.collect(), Vec::new(), Arc::new(clock));
    let options = ServerTlsOptions {
        realm: "example".to_owned(),
        minimum: MinimumVersion::Tls12,
        alpn: vec![b"http/1.1".to_vec()],
        policy: TlsPolicy::default(),
        clients: None,
        early_data: None,
        record_bytes_max: None,
        clock: Arc::new(clock),
    };
    let tickets = TicketKeys::new(Arc::new(clock)).unwrap();
    ServerTls::new(options, Arc::new(table), &tickets).unwrap()
}

fn client(clock: Clock) -> Arc<ClientConfig> {
    let mut options = ClientTlsOptions::new(Arc::new(clock));
    options.verify = Verify::Off;
    let config = ClientTls::new(options).unwrap().config().clone();
    let mut config = Arc::unwrap_or_clone(config);
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// The time of one handshake, both ends of it.
fn time(client: &Arc<ClientConfig>, server: &ServerTls, pick: impl Fn(usize) -> usize) -> Duration {
    let begun = Instant::now();
    for n in 0..HANDSHAKES {
        handshake(client, server, &name(pick(n as usize)));
    }
    begun.elapsed() / HANDSHAKES
}

fn handshake(client: &Arc<ClientConfig>, server: &ServerTls, name: &str) {
    let name = name.to_owned().try_into().unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut wire.as_slice()).unwrap();
    let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().unwrap();
    let config = server.choose(&accepted.client_hello()).unwrap();
    let mut server = accepted.into_connection(config).map_err(|(error, _)| error).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets().unwrap();
        }
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut bytes = wire.as_slice();
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets().unwrap();
        }
    }
}

/// Resident memory, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).unwrap() * 1024
}
