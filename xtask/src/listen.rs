//! Listening sockets on the loopback address. The standard library fixes the accept queue at a length
//! that 1,024 connections at once overflow (a dropped SYN costs a second), so the socket is made by hand.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::failure::{During, Failure};

/// Longest accept queue asked for; the kernel lowers it to `net.core.somaxconn`, which is 4,096 on Linux.
const ACCEPT_QUEUE: i32 = 4096;

/// A non-blocking listener on 127.0.0.1; port 0 lets the kernel choose.
pub(crate) fn loopback(port: u16) -> Result<TcpListener, Failure> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
        .during(format!("listening on 127.0.0.1:{port}"))?;
    listen(&socket, ACCEPT_QUEUE)?;
    Ok(TcpListener::from(socket))
}
