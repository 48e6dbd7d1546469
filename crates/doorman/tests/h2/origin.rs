//! An origin that speaks HTTP/2 frame by frame, as a story tells it to, without TLS.
//!
//! It does not read header blocks: stories tell requests apart by their bodies. Each connection is a
//! thread that plays the story's script.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use doorman_testkit::h2::{Frame, PREFACE, flag, hpack, kind};

/// The longest that a story waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing that has not come by then will come.
const QUIET: Duration = Duration::from_millis(300);

/// What an origin has seen.
#[derive(Default)]
pub(crate) struct Book {
    /// Whole requests: connection, stream and body.
    pub(crate) requests: Vec<(usize, u32, Vec<u8>)>,
    /// RST_STREAM from the proxy: stream and code.
    pub(crate) resets: Vec<(u32, u32)>,
    pub(crate) connections: usize,
    pub(crate) open: usize,
    /// The most streams that were open at once on one connection.
    pub(crate) most_streams: usize,
    /// DATA frames that came.
    pub(crate) data_frames: usize,
    /// Bytes of DATA that were sent.
    pub(crate) sent: usize,
}

/// The origin.
pub(crate) struct FrameOrigin {
    pub(crate) address: SocketAddr,
    book: Arc<(Mutex<Book>, Condvar)>,
}

/// A connection, as its script sees it.
pub(crate) struct Talk {
    stream: TcpStream,
    /// The how-manieth connection, from zero.
    pub(crate) index: usize,
    open: Vec<(u32, Vec<u8>)>,
    book: Arc<(Mutex<Book>, Condvar)>,
}

impl FrameOrigin {
    /// Plays `script` on each connection, after prefaces have been exchanged with `settings`.
    pub(crate) fn start(
        settings: &[(u16, u32)],
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let book = Arc::new((Mutex::new(Book::default()), Condvar::new()));
        let (script, settings, kept) = (Arc::new(script), settings.to_vec(), Arc::clone(&book));
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (script, settings) = (Arc::clone(&script), settings.clone());
                let mut talk = Talk { stream, index, open: Vec::new(), book: Arc::clone(&kept) };
                change(&kept, |book| {
                    book.connections += 1;
                    book.open += 1;
                });
                std::thread::spawn(move || {
                    // How it ends is seen by the proxy.
                    let _ = talk.greet(&settings).and_then(|()| script(&mut talk));
                    change(&talk.book, |book| book.open -= 1);
                });
            }
        });
        Self { address, book }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, ready: impl Fn(&Book) -> bool) {
        let waited = self.book.1.wait_timeout_while(self.book(), PATIENCE, |book| !ready(book));
        let (_book, limit) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!limit.timed_out(), "no {what}");
    }

    /// What was sent, once nothing more has been sent for a while.
    pub(crate) fn settled(&self) -> usize {
        let mut book = self.book();
        loop {
            let sent = book.sent;
            let waited = self.book.1.wait_timeout_while(book, QUIET, |book| book.sent == sent);
            let (now, limit) = waited.unwrap_or_else(PoisonError::into_inner);
            if limit.timed_out() {
                return sent;
            }
            book = now;
        }
    }
}

fn change<T>(book: &(Mutex<Book>, Condvar), act: impl FnOnce(&mut Book) -> T) -> T {
    let output = act(&mut book.0.lock().unwrap_or_else(PoisonError::into_inner));
    book.1.notify_all();
    output
}

impl Talk {
    fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let mut preface = [0; PREFACE.len()];
        self.stream.read_exact(&mut preface)?;
        if preface != PREFACE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.send(&[Frame::settings(settings)])
    }

    /// How long a frame is waited for from now on.
    pub(crate) fn wait_at_most(&self, time: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(time))
    }

    pub(crate) fn send(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        let data = frames.iter().filter(|frame| frame.kind == kind::DATA);
        let sent = data.map(|frame| frame.payload.len()).sum::<usize>();
        change(&self.book, |book| book.sent += sent);
        self.stream.write_all(&bytes)
    }

    /// The next frame; SETTINGS and PING are acknowledged, and windows opened for what came.
    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        let frame = self.silent_frame()?;
        match frame.kind {
            kind::SETTINGS if frame.flags & flag::ACK == 0 => {
                self.send(&[Frame::new(kind::SETTINGS, flag::ACK, 0, [])])?;
            }
            kind::PING if frame.flags & flag::ACK == 0 => {
                self.send(&[Frame::new(kind::PING, flag::ACK, 0, frame.payload.clone())])?;
            }
            kind::DATA if !frame.payload.is_empty() => {
                let n = u32::try_from(frame.payload.len()).expect("a frame's length");
                self.send(&[Frame::window(0, n), Frame::window(frame.stream, n)])?;
            }
            _ => {}
        }
        Ok(frame)
    }

    /// The next frame, and nothing done about it.
    pub(crate) fn silent_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let frame = Frame { kind: head[3], flags: head[4], stream, payload };
        self.note(&frame);
        Ok(frame)
    }

    fn note(&mut self, frame: &Frame) {
        match frame.kind {
            kind::HEADERS if !self.open.iter().any(|(id, _)| *id == frame.stream) => {
                self.open.push((frame.stream, Vec::new()));
                let open = self.open.len();
                change(&self.book, |book| book.most_streams = book.most_streams.max(open));
            }
            kind::DATA => {
                change(&self.book, |book| book.data_frames += 1);
                if let Some((_, body)) = self.open.iter_mut().find(|(id, _)| *id == frame.stream) {
                    body.extend_from_slice(&frame.payload);
                }
            }
            kind::RST_STREAM => {
                self.open.retain(|(id, _)| *id != frame.stream);
                let code = frame.code().expect("a code");
                change(&self.book, |book| book.resets.push((frame.stream, code)));
            }
            _ => {}
        }
        if matches!(frame.kind, kind::HEADERS | kind::DATA)
            && frame.flags & flag::END_STREAM != 0
            && let Some((_, body)) = self.open.iter().find(|(id, _)| *id == frame.stream)
        {
            let request = (self.index, frame.stream, body.clone());
            change(&self.book, |book| book.requests.push(request));
        }
    }

    /// Reads up to the end of a request: its stream and its body.
    pub(crate) fn request(&mut self) -> io::Result<(u32, Vec<u8>)> {
        loop {
            let frame = self.frame()?;
            let ends = matches!(frame.kind, kind::HEADERS | kind::DATA)
                && frame.flags & flag::END_STREAM != 0;
            if let Some((id, body)) = self.open.iter().find(|(id, _)| *id == frame.stream)
                && ends
            {
                return Ok((*id, body.clone()));
            }
        }
    }

    /// Answers a stream with 200 and this body.
    pub(crate) fn answer(&mut self, stream: u32, body: &[u8]) -> io::Result<()> {
        self.over(stream);
        let length = body.len().to_string();
        let mut frames = vec![head(stream, 0, "200", &[("content-length", &length)])];
        frames.extend(body.chunks(16_384).map(|piece| Frame::new(kind::DATA, 0, stream, piece)));
        frames.push(Frame::new(kind::DATA, flag::END_STREAM, stream, []));
        self.send(&frames)
    }

    /// The stream is over for us.
    pub(crate) fn over(&mut self, stream: u32) {
        self.open.retain(|(id, _)| *id != stream);
    }

    /// Serves requests until the proxy closes.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        loop {
            let (stream, body) = self.request()?;
            self.answer(stream, &body)?;
        }
    }

    /// Reads until the proxy closes.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        loop {
            self.frame()?;
        }
    }
}

/// HEADERS of a response.
pub(crate) fn head(stream: u32, flags: u8, status: &str, more: &[(&str, &str)]) -> Frame {
    let mut fields: Vec<(&[u8], &[u8])> = vec![(b":status", status.as_bytes())];
    fields.extend(more.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    Frame::new(kind::HEADERS, flags | flag::END_HEADERS, stream, hpack::literals(&fields))
}

/// GOAWAY after this stream.
pub(crate) fn goaway(last: u32, code: u32) -> Frame {
    Frame::new(kind::GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
}
