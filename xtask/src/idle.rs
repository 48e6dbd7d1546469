//! Opens many connections, makes one request on each, and holds them open and silent. Over TLS only the
//! socket is kept: the session's state on this side would be memory for nothing.

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
};

use crate::{
    failure::{During, Failure},
    wire::{self, Dialer, Wire},
};

/// Bytes of the one response on each connection.
const BODY_BYTES: u64 = 1024;

/// Prints "held" once all connections stand, waits for the end of its input, and prints how many of them
/// are open still.
pub(crate) fn run(port: u16, connections: usize, wire: Wire) -> Result<(), Failure> {
    let dialer = Dialer::new(port)?;
    let request = wire::get(&format!("/b/{BODY_BYTES}"));
    let mut held = Vec::with_capacity(connections);
    for count in 0..connections {
        held.push(open(&dialer, wire, &request).during(format!("connection {count}"))?);
    }
    println!("held");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{}", held.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count());
    Ok(())
}

fn open(dialer: &Dialer, wire: Wire, request: &[u8]) -> Result<TcpStream, Failure> {
    let (answer, stream) = match wire {
        Wire::Plain => {
            let mut stream = dialer.plain()?;
            (wire::ask(&mut stream, request)?, stream)
        }
        Wire::Tls => {
            let mut stream = dialer.tls()?;
            (wire::ask(&mut stream, request)?, stream.sock)
        }
    };
    if answer.status != 200 || answer.body_bytes != BODY_BYTES {
        return Err(Failure::new(format!("unexpected answer: {answer:?}")));
    }
    Ok(stream)
}

/// Session tickets may be waiting; only an end or an error behind them means closed.
fn is_open(stream: &mut TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
