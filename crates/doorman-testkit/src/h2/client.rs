//! A well-behaved HTTP/2 client for stories, over the `h2` crate, with calls that block.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use doorman_net::Address;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Response};
use tokio::runtime::LocalRuntime;
use tokio::task::JoinHandle;

use crate::raw::{blocking_runtime, dial, wait};
use crate::sums::Sum;
use crate::tls::Tls;

/// A response over HTTP/2.
#[derive(Clone, Debug)]
pub struct H2Reply {
    /// The status code.
    pub status: u16,
    /// Fields.
    pub fields: HeaderMap,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
    /// What ended it before its end: the stream's or connection's error.
    pub error: Option<String>,
}

impl H2Reply {
    /// The value of the first field with that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.to_str().ok()
    }

    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The checksum of the body.
    #[must_use]
    pub fn sum(&self) -> u64 {
        Sum::of(&self.body)
    }

    /// Whether it ended as a response must.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// A connection.
pub struct H2 {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
    runtime: LocalRuntime,
}

impl H2 {
    /// Connects without TLS, knowing that the peer speaks HTTP/2.
    ///
    /// # Errors
    /// What the system or the peer says.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, None)
    }

    /// Connects under TLS, offering `h2` alone.
    ///
    /// # Errors
    /// What the system, TLS or the peer says; `Unsupported` if TLS agreed on no `h2`.
    pub fn connect_tls(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        Self::open(address, Some(&tls.clone().offering(&["h2"])))
    }

    fn open(address: SocketAddr, tls: Option<&Tls>) -> io::Result<Self> {
        let runtime = blocking_runtime();
        let (sender, driver) = wait(&runtime, async {
            let lane = dial(&Address::Inet(address), tls).await?;
            let agreed = lane.session().map(|session| session.alpn_protocol() == Some(b"h2"));
            if agreed == Some(false) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let (sender, connection) = h2::client::handshake(lane).await.map_err(failed)?;
            Ok((sender, tokio::task::spawn_local(connection)))
        })?;
        Ok(Self { sender, driver, runtime })
    }

    /// One GET.
    ///
    /// # Errors
    /// There was no response.
    pub fn get(&mut self, uri: &str) -> io::Result<H2Reply> {
        let request = Request::get(uri).body(Bytes::new()).map_err(io::Error::other)?;
        self.request(request)
    }

    /// One request with its body.
    ///
    /// # Errors
    /// There was no response.
    pub fn request(&mut self, request: Request<Bytes>) -> io::Result<H2Reply> {
        let mut replies = self.requests(vec![request])?;
        replies.pop().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Many requests at once; their responses in the same order, or why there was none.
    ///
    /// # Errors
    /// They were not answered in time.
    pub fn requests(
        &mut self,
        requests: Vec<Request<Bytes>>,
    ) -> io::Result<Vec<io::Result<H2Reply>>> {
        let sender = &self.sender;
        wait(&self.runtime, async {
            let exchanges: Vec<_> = requests
                .into_iter()
                .map(|request| tokio::task::spawn_local(exchange(sender.clone(), request)))
                .collect();
            let mut replies = Vec::new();
            for exchange in exchanges {
                replies.push(exchange.await.map_err(io::Error::other).flatten());
            }
            Ok(replies)
        })
    }

    /// Waits until the peer has ended the connection; the error that it ended with.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn wait_for_end(self) -> io::Result<Option<h2::Error>> {
        drop(self.sender);
        let end = wait(&self.runtime, async { self.driver.await.map_err(io::Error::other) })?;
        Ok(end.err())
    }
}

async fn exchange(sender: SendRequest<Bytes>, request: Request<Bytes>) -> io::Result<H2Reply> {
    let mut sender = sender.ready().await.map_err(failed)?;
    let (head, mut body) = request.into_parts();
    let ends = body.is_empty();
    let (response, mut stream) =
        sender.send_request(Request::from_parts(head, ()), ends).map_err(failed)?;
    let upload = tokio::task::spawn_local(async move {
        while !body.is_empty() {
            stream.reserve_capacity(body.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            // The peer may answer without wanting the rest; the response tells.
            let Some(Ok(room)) = room else { return };
            let piece = body.split_to(room.min(body.len()));
            if stream.send_data(piece, body.is_empty()).is_err() {
                return;
            }
        }
    });
    let reply = receive(response).await;
    upload.abort();
    reply
}

async fn receive(response: ResponseFuture) -> io::Result<H2Reply> {
    let (head, mut stream) = Response::into_parts(response.await.map_err(failed)?);
    let mut reply = H2Reply {
        status: head.status.as_u16(),
        fields: head.headers,
        body: Vec::new(),
        trailers: None,
        error: None,
    };
    while let Some(piece) = stream.data().await {
        match piece {
            Ok(piece) => {
                // Cannot fail: as much was received.
                let _ = stream.flow_control().release_capacity(piece.len());
                reply.body.extend_from_slice(&piece);
            }
            Err(error) => {
                reply.error = Some(error.to_string());
                return Ok(reply);
            }
        }
    }
    match stream.trailers().await {
        Ok(trailers) => reply.trailers = trailers,
        Err(error) => reply.error = Some(error.to_string()),
    }
    Ok(reply)
}

fn failed(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
