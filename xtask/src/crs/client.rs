//! What sends the suite's requests over each wire.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

use super::h1::{self, Answered};
use super::message::{self, Refused};
use super::options::Wire;
use super::translate::translate;
use super::{h2, h3};
use crate::failure::Failure;

/// A client for one wire. No connection is used twice.
pub(crate) enum Client {
    H1,
    H2(Arc<ClientConfig>),
    H3(Box<h3::Client>),
}

/// A request that was sent, or what this wire cannot say of it.
pub(crate) type Exchanged = Result<Sent, String>;

/// A request that was sent.
pub(crate) struct Sent {
    /// What the parser says of it in this process.
    pub(crate) refused: Option<Refused>,
    pub(crate) answered: Answered,
}

impl Client {
    /// # Errors
    /// What the system, or TLS, says.
    pub(crate) fn new(wire: Wire) -> Result<Self, Failure> {
        Ok(match wire {
            Wire::None | Wire::H1 => Self::H1,
            Wire::H2 => Self::H2(h2::tls()?),
            Wire::H3 => Self::H3(Box::new(h3::Client::new()?)),
        })
    }

    /// Sends what `bytes` of HTTP/1.1 say.
    ///
    /// # Errors
    /// There is no server at the address.
    pub(crate) fn send(&self, server: SocketAddr, bytes: &[u8]) -> Result<Exchanged, Failure> {
        let (refused, answered) = match self {
            Self::H1 => (message::judge(bytes).err(), h1::send(server, bytes)?),
            Self::H2(tls) => match translate(bytes, Wire::H2) {
                Ok(request) => (h2::judge(&request).err(), h2::send(server, tls, &request)?),
                Err(told) => return Ok(Err(told)),
            },
            Self::H3(client) => match translate(bytes, Wire::H3) {
                Ok(request) => (h3::judge(&request).err(), client.send(server, &request)?),
                Err(told) => return Ok(Err(told)),
            },
        };
        Ok(Ok(Sent { refused, answered }))
    }
}
