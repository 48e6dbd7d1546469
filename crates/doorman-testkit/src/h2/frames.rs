//! A client that writes HTTP/2 frame by frame, legal or not.
//!
//! It knows the frame header (RFC 9113 section 4.1) and nothing else: no state machine, no window,
//! so it can do whatever an attacker can.

use std::io;

use doorman_net::seam::Stream;

use super::hpack;
use crate::wire::Wire;

/// What every connection of a client begins with (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 section 6).
pub mod kind {
    /// DATA.
    pub const DATA: u8 = 0;
    /// HEADERS.
    pub const HEADERS: u8 = 1;
    /// PRIORITY.
    pub const PRIORITY: u8 = 2;
    /// RST_STREAM.
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS.
    pub const SETTINGS: u8 = 4;
    /// PUSH_PROMISE.
    pub const PUSH_PROMISE: u8 = 5;
    /// PING.
    pub const PING: u8 = 6;
    /// GOAWAY.
    pub const GOAWAY: u8 = 7;
    /// WINDOW_UPDATE.
    pub const WINDOW_UPDATE: u8 = 8;
    /// CONTINUATION.
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags.
pub mod flag {
    /// END_STREAM, of DATA and HEADERS.
    pub const END_STREAM: u8 = 1;
    /// ACK, of SETTINGS and PING.
    pub const ACK: u8 = 1;
    /// END_HEADERS, of HEADERS and CONTINUATION.
    pub const END_HEADERS: u8 = 4;
    /// PADDED, of DATA and HEADERS.
    pub const PADDED: u8 = 8;
    /// PRIORITY, of HEADERS.
    pub const PRIORITY: u8 = 0x20;
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; the reserved bit is kept.
    pub stream: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame, as is.
    #[must_use]
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// HEADERS with these literals, complete in one frame.
    #[must_use]
    pub fn headers(stream: u32, flags: u8, fields: &[(&[u8], &[u8])]) -> Self {
        Self::new(kind::HEADERS, flags | flag::END_HEADERS, stream, hpack::literals(fields))
    }

    /// A GET without a body.
    #[must_use]
    pub fn get(stream: u32, authority: &str, path: &str) -> Self {
        let fields: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", path.as_bytes()),
        ];
        Self::headers(stream, flag::END_STREAM, &fields)
    }

    /// SETTINGS with these pairs.
    #[must_use]
    pub fn settings(pairs: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (name, value) in pairs {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// RST_STREAM with this error code.
    #[must_use]
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// WINDOW_UPDATE by this much.
    #[must_use]
    pub fn window(stream: u32, more: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, more.to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The error code of RST_STREAM and GOAWAY.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            kind::RST_STREAM => 0,
            kind::GOAWAY => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }

    /// The status that a HEADERS frame of a response begins with.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        (self.kind == kind::HEADERS).then(|| hpack::status(&self.payload))?
    }
}

impl<S: Stream> Wire<S> {
    /// Sends the preface and SETTINGS: no header table for the peer (so that statuses can be read
    /// back), and these.
    ///
    /// # Errors
    /// What the stream says.
    pub async fn greet(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let settings = [&[(1, 0)], settings].concat();
        self.send(&[PREFACE, &Frame::settings(&settings).bytes()].concat()).await
    }

    /// Sends these frames in one write.
    ///
    /// # Errors
    /// What the stream says.
    pub async fn send_frames(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        self.send(&bytes).await
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends; [`Wire::end`] says how.
    pub async fn frame(&mut self) -> io::Result<Frame> {
        let head = self.take_exactly(9).await?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.take_exactly(length).await?.to_vec();
        Ok(Frame { kind, flags, stream, payload })
    }

    /// Reads frames up to and with the first that `wanted` says yes to; acknowledges SETTINGS and
    /// PING on the way.
    ///
    /// # Errors
    /// `UnexpectedEof` when the connection ends before.
    pub async fn frames_until(
        &mut self,
        wanted: impl Fn(&Frame) -> bool,
    ) -> io::Result<Vec<Frame>> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await?;
            if matches!(frame.kind, kind::SETTINGS | kind::PING) && frame.flags & flag::ACK == 0 {
                let payload =
                    if frame.kind == kind::PING { frame.payload.clone() } else { Vec::new() };
                self.send_frames(&[Frame::new(frame.kind, flag::ACK, 0, payload)]).await?;
            }
            let done = wanted(&frame);
            frames.push(frame);
            if done {
                return Ok(frames);
            }
        }
    }
}
