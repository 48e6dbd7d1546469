//! The PROXY protocol's header ahead of a connection.
//!
//! It is looked at before it is taken, so that not a byte more than the header leaves the socket:
//! what follows (TLS, a request) finds its connection as if there had been no header, and wires know
//! nothing of it. Connections of which none is expected never come here.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::ready;

use doorman_http::Peer;
use doorman_preface::{Claim, Header, read_header};
use tokio::io::{AsyncReadExt, ReadBuf};

use crate::seam::Stream;

/// Tells of a peer whether its connections must begin with a header.
pub type Announcers = Rc<dyn Fn(&Peer) -> bool>;

/// What is looked at in one go. The longest line of version 1 and what common balancers send in
/// version 2 fit; a longer header takes several looks.
const LOOK: usize = 512;

/// Reads the header off the front of `stream`.
///
/// # Errors
/// The connection ended within it, or it is malformed.
pub(super) async fn take<S: Stream>(stream: &mut S) -> io::Result<Claim> {
    let mut header = Vec::with_capacity(LOOK);
    loop {
        let taken = header.len();
        look(stream, &mut header).await?;
        let found = read_header(&header)
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
        let (own, claim) = match found {
            // All of it belongs to the header, so it can leave the socket.
            Header::Partial => (header.len(), None),
            Header::Whole { consumed, claim } => (consumed, Some(claim)),
        };
        header.truncate(own);
        stream.read_exact(&mut header[taken..]).await?;
        if let Some(claim) = claim {
            return Ok(claim);
        }
    }
}

/// Appends bytes that wait in the socket, at least one.
async fn look<S: Stream>(stream: &mut S, seen: &mut Vec<u8>) -> io::Result<()> {
    let mut room = [0; LOOK];
    let n = poll_fn(|cx| {
        let mut buffer = ReadBuf::new(&mut room);
        ready!(stream.poll_peek(cx, &mut buffer))?;
        std::task::Poll::Ready(Ok::<_, io::Error>(buffer.filled().len()))
    })
    .await?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    seen.extend_from_slice(&room[..n]);
    Ok(())
}
