//! A well-behaved HTTP/3 client for stories, over the `h3` crate, which shares no line with what it
//! talks to.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use http::{HeaderMap, Request};
use tokio::task::JoinHandle;

use super::Line;
use super::drive::Drive;
use crate::sums::Sum;
use crate::tls::Tls;

/// A response over HTTP/3.
#[derive(Clone, Debug)]
pub struct H3Reply {
    /// The status code.
    pub status: u16,
    /// Status codes of interim responses, in order.
    pub interim: Vec<u16>,
    /// Their fields.
    pub interim_fields: Vec<HeaderMap>,
    /// Fields.
    pub fields: HeaderMap,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Option<HeaderMap>,
    /// What ended it before its end: the stream's or connection's error.
    pub error: Option<String>,
}

impl H3Reply {
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
pub struct H3 {
    line: Line,
    sender: SendRequest<OpenStreams, Bytes>,
    driver: JoinHandle<String>,
    drive: Drive,
}

impl H3 {
    /// Connects.
    ///
    /// # Errors
    /// What the system, TLS or the peer says.
    pub fn connect(address: SocketAddr, tls: &Tls) -> io::Result<Self> {
        let drive = Drive::start();
        let line = drive.wait(Line::open(address, tls))?;
        Self::over(line, drive)
    }

    /// Speaks over what is connected.
    pub(super) fn over(line: Line, drive: Drive) -> io::Result<Self> {
        let (sender, driver) = drive.wait(async {
            let connection = h3_quinn::Connection::new(line.connection.clone());
            let (mut driver, sender) =
                h3::client::new(connection).await.map_err(io::Error::other)?;
            let driver = tokio::spawn(async move {
                std::future::poll_fn(|cx| driver.poll_close(cx)).await.to_string()
            });
            Ok((sender, driver))
        })?;
        Ok(Self { line, sender, driver, drive })
    }

    /// Goes on from another port, as after a change of networks.
    ///
    /// # Errors
    /// What the system says.
    pub fn rebind(&self) -> io::Result<()> {
        let _entered = self.drive.enter();
        self.line.rebind()
    }

    /// One GET.
    ///
    /// # Errors
    /// There was no response.
    pub fn get(&mut self, uri: &str) -> io::Result<H3Reply> {
        let request = Request::get(uri).body(Bytes::new()).map_err(io::Error::other)?;
        self.request(request)
    }

    /// One request with its body.
    ///
    /// # Errors
    /// There was no response.
    pub fn request(&mut self, request: Request<Bytes>) -> io::Result<H3Reply> {
        let mut replies = self.requests(vec![(request, None)])?;
        replies.pop().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Many requests at once, some with trailers; their responses in the same order, or why there
    /// was none.
    ///
    /// # Errors
    /// They were not answered in time.
    pub fn requests(
        &mut self,
        requests: Vec<(Request<Bytes>, Option<HeaderMap>)>,
    ) -> io::Result<Vec<io::Result<H3Reply>>> {
        let sender = &self.sender;
        self.drive.wait(async {
            let exchanges: Vec<_> = requests
                .into_iter()
                .map(|(request, trailers)| {
                    tokio::spawn(exchange(sender.clone(), request, trailers))
                })
                .collect();
            let mut replies = Vec::new();
            for exchange in exchanges {
                replies.push(exchange.await.map_err(io::Error::other).flatten());
            }
            Ok(replies)
        })
    }

    /// Sends a GET and waits for nothing.
    ///
    /// # Errors
    /// It could not be sent.
    pub fn begin(&mut self, uri: &str) -> io::Result<H3Begun> {
        let request = Request::get(uri).body(()).map_err(io::Error::other)?;
        let mut sender = self.sender.clone();
        self.drive.wait(async {
            let mut stream = sender.send_request(request).await.map_err(io::Error::other)?;
            stream.finish().await.map_err(io::Error::other)?;
            Ok(H3Begun { stream })
        })
    }

    /// Sends the head of a request; what follows, and when the answer is read, is up to the test.
    ///
    /// # Errors
    /// It could not be sent.
    pub fn open(&mut self, head: Request<()>) -> io::Result<H3Begun> {
        let mut sender = self.sender.clone();
        self.drive.wait(async {
            let stream = sender.send_request(head).await.map_err(io::Error::other)?;
            Ok(H3Begun { stream })
        })
    }

    /// Sends more content of a request that was begun.
    ///
    /// # Errors
    /// It was not taken.
    pub fn send(&self, begun: &mut H3Begun, content: impl Into<Bytes>) -> io::Result<()> {
        let content = content.into();
        self.drive.wait(async { begun.stream.send_data(content).await.map_err(io::Error::other) })
    }

    /// Ends a request that was begun.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn finish(&self, begun: &mut H3Begun) -> io::Result<()> {
        self.drive.wait(async { begun.stream.finish().await.map_err(io::Error::other) })
    }

    /// Gives a request up that was begun.
    pub fn cancel(&self, begun: &mut H3Begun) {
        let _entered = self.drive.enter();
        begun.stream.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
        begun.stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
    }

    /// Waits for the head of the answer to a request that was begun.
    ///
    /// # Errors
    /// There was none.
    pub fn head(&self, begun: &mut H3Begun) -> io::Result<http::Response<()>> {
        self.drive.wait(async { begun.stream.recv_response().await.map_err(io::Error::other) })
    }

    /// The next piece of the answer's content; `None` at its end.
    ///
    /// # Errors
    /// It was cut, or did not come.
    pub fn piece(&self, begun: &mut H3Begun) -> io::Result<Option<Vec<u8>>> {
        self.drive.wait(async {
            let piece = begun.stream.recv_data().await.map_err(io::Error::other)?;
            Ok(piece.map(|mut piece| piece.copy_to_bytes(piece.remaining()).to_vec()))
        })
    }

    /// The answer's trailers, behind its content.
    ///
    /// # Errors
    /// The answer was cut.
    pub fn trailers(&self, begun: &mut H3Begun) -> io::Result<Option<HeaderMap>> {
        self.drive.wait(async { begun.stream.recv_trailers().await.map_err(io::Error::other) })
    }

    /// Waits for the status of a request that was begun.
    ///
    /// # Errors
    /// There was none.
    pub fn status(&self, begun: &mut H3Begun) -> io::Result<u16> {
        self.drive.wait(async {
            let head = begun.stream.recv_response().await.map_err(io::Error::other)?;
            Ok(head.status().as_u16())
        })
    }

    /// Reads the rest of what was begun; how many bytes of content there were.
    ///
    /// # Errors
    /// It did not come to its end.
    pub fn rest(&self, mut begun: H3Begun) -> io::Result<u64> {
        self.drive.wait(async {
            let mut read = 0;
            while let Some(piece) = begun.stream.recv_data().await.map_err(io::Error::other)? {
                read += piece.remaining() as u64;
            }
            Ok(read)
        })
    }

    /// Closes the connection and lets the peer know.
    ///
    /// # Errors
    /// It took too long.
    pub fn close(self) -> io::Result<()> {
        self.drive.wait(async {
            self.line.connection.close(0x100_u32.into(), b"");
            self.line.endpoint.wait_idle().await;
            Ok(())
        })
    }

    /// Waits until the peer has ended the connection; how it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn wait_for_end(self) -> io::Result<String> {
        drop(self.sender);
        self.drive.wait(async { self.driver.await.map_err(io::Error::other) })
    }
}

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// A request that was sent, and whose answer is read when a test wants it.
pub struct H3Begun {
    stream: Stream,
}

async fn exchange(
    mut sender: SendRequest<OpenStreams, Bytes>,
    request: Request<Bytes>,
    trailers: Option<HeaderMap>,
) -> io::Result<H3Reply> {
    let (head, body) = request.into_parts();
    let stream: Stream =
        sender.send_request(Request::from_parts(head, ())).await.map_err(io::Error::other)?;
    let (mut send, mut recv) = stream.split();
    let upload = tokio::spawn(async move {
        // The peer may answer without wanting the rest; the response tells.
        if !body.is_empty() && send.send_data(body).await.is_err() {
            return;
        }
        if let Some(trailers) = trailers
            && send.send_trailers(trailers).await.is_err()
        {
            return;
        }
        let _ = send.finish().await;
    });
    let (mut interim, mut interim_fields) = (Vec::new(), Vec::new());
    let head = loop {
        let head = recv.recv_response().await.map_err(io::Error::other)?;
        if !head.status().is_informational() {
            break head.into_parts().0;
        }
        interim.push(head.status().as_u16());
        interim_fields.push(head.into_parts().0.headers);
    };
    let mut reply = H3Reply {
        status: head.status.as_u16(),
        interim,
        interim_fields,
        fields: head.headers,
        body: Vec::new(),
        trailers: None,
        error: None,
    };
    loop {
        match recv.recv_data().await {
            Ok(Some(mut piece)) => {
                while piece.has_remaining() {
                    let chunk = piece.chunk();
                    reply.body.extend_from_slice(chunk);
                    let n = chunk.len();
                    piece.advance(n);
                }
            }
            Ok(None) => break,
            Err(error) => {
                reply.error = Some(error.to_string());
                upload.abort();
                return Ok(reply);
            }
        }
    }
    match recv.recv_trailers().await {
        Ok(trailers) => reply.trailers = trailers,
        Err(error) => reply.error = Some(error.to_string()),
    }
    upload.abort();
    Ok(reply)
}
