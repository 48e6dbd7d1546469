//! Unidirectional streams: which is which (RFC 9114 section 6.2), and the control stream
//! (section 6.2.1), which carries the frames that concern the connection.

use crate::Sender;
use crate::code::{Code, Fault};
use crate::message::kind;
use crate::varint::{self, FrameHead};

/// Bytes of a SETTINGS frame: a peer has a handful of settings of up to 16 bytes each.
const SETTINGS_BYTES_MAX: usize = 1024;
/// Bytes of a frame that holds one integer (GOAWAY, MAX_PUSH_ID, CANCEL_PUSH).
const INTEGER_BYTES_MAX: usize = 8;

/// What a unidirectional stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// The control stream.
    Control,
    /// A pushed response. Only servers push.
    Push,
    /// Instructions of the peer's QPACK encoder.
    QpackEncoder,
    /// Instructions of the peer's QPACK decoder.
    QpackDecoder,
    /// Unknown, or reserved so that nobody relies on every type being known (section 6.2.3).
    Unknown,
}

/// Reads the type at a unidirectional stream's beginning and says how long it is.
#[must_use]
pub fn stream_kind(bytes: &[u8]) -> Option<(StreamKind, usize)> {
    let (kind, length) = varint::read(bytes)?;
    let kind = match kind {
        0x0 => StreamKind::Control,
        0x1 => StreamKind::Push,
        0x2 => StreamKind::QpackEncoder,
        0x3 => StreamKind::QpackDecoder,
        _ => StreamKind::Unknown,
    };
    Some((kind, length))
}

/// What the control stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The peer's settings. None of them concerns a server that neither pushes nor compresses with
    /// a table, nor a client that lets the server answer a head that is too large for it.
    Settings,
    /// A client will send no more requests: its argument counts pushes, and there are none. A server
    /// will take no more: [`ControlReader::goaway`] says from which stream on.
    GoAway,
    /// The client would take pushes. There are none.
    MaxPushId,
    /// A frame of an unknown type.
    Unknown,
}

/// Reads the frames of a control stream.
#[derive(Debug)]
pub struct ControlReader {
    sender: Sender,
    head: FrameHead,
    /// Type of the frame that is being read, and what is missing of it.
    frame: Option<(u64, u64)>,
    payload: Vec<u8>,
    has_settings: bool,
    push_id_max: Option<u64>,
    goaway: Option<u64>,
}

impl Default for ControlReader {
    /// A reader of a client's.
    fn default() -> Self {
        Self::of(Sender::Client)
    }
}

impl ControlReader {
    /// A reader at a stream's beginning.
    #[must_use]
    pub const fn of(sender: Sender) -> Self {
        Self {
            sender,
            head: FrameHead::new(),
            frame: None,
            payload: Vec::new(),
            has_settings: false,
            push_id_max: None,
            goaway: None,
        }
    }

    /// The id that the last GOAWAY named: of a server, the first stream that it does not take.
    #[must_use]
    pub const fn goaway(&self) -> Option<u64> {
        self.goaway
    }

    /// Takes the next frame from the front of `input`; `None` when all of it is read.
    ///
    /// # Errors
    /// A frame that must not come, or not like this.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Control>, Fault> {
        loop {
            let Some((kind, missing)) = self.frame else {
                if input.is_empty() {
                    return Ok(None);
                }
                let (n, found) = self.head.read(input);
                *input = &input[n..];
                if let Some((kind, length)) = found {
                    self.check(kind, length)?;
                    self.frame = Some((kind, length));
                }
                continue;
            };
            let n = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
            let (part, rest) = input.split_at(n);
            *input = rest;
            if is_known(kind) {
                self.payload.extend_from_slice(part);
            }
            let missing = missing - n as u64;
            if missing > 0 {
                self.frame = Some((kind, missing));
                return Ok(None);
            }
            self.frame = None;
            let payload = std::mem::take(&mut self.payload);
            return self.frame(kind, &payload).map(Some);
        }
    }

    /// Judges a frame by its type and length.
    fn check(&self, kind: u64, length: u64) -> Result<(), Fault> {
        if !self.has_settings && kind != kind::SETTINGS {
            return Err(Fault::new(Code::MissingSettings, "control stream without SETTINGS"));
        }
        let max = match kind {
            kind::SETTINGS if self.has_settings => {
                return Err(Fault::new(Code::FrameUnexpected, "a second SETTINGS"));
            }
            kind::SETTINGS => SETTINGS_BYTES_MAX,
            kind::MAX_PUSH_ID if self.sender == Sender::Server => {
                // Section 7.2.7.
                return Err(Fault::new(Code::FrameUnexpected, "MAX_PUSH_ID of a server"));
            }
            kind::GOAWAY | kind::MAX_PUSH_ID | kind::CANCEL_PUSH => INTEGER_BYTES_MAX,
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => {
                return Err(Fault::new(Code::FrameUnexpected, "frame of a request stream"));
            }
            kind if kind::is_of_http2(kind) => {
                return Err(Fault::new(Code::FrameUnexpected, "frame of HTTP/2"));
            }
            _ => return Ok(()),
        };
        if length > max as u64 {
            let code = if kind == kind::SETTINGS { Code::ExcessiveLoad } else { Code::FrameError };
            return Err(Fault::new(code, "control frame is too long"));
        }
        Ok(())
    }

    fn frame(&mut self, kind: u64, payload: &[u8]) -> Result<Control, Fault> {
        match kind {
            kind::SETTINGS => {
                settings(payload)?;
                self.has_settings = true;
                Ok(Control::Settings)
            }
            kind::GOAWAY => {
                let id = integer(payload)?;
                // A server names a stream that a client opens and both use (section 7.2.6).
                if self.sender == Sender::Server && !id.is_multiple_of(4) {
                    return Err(Fault::new(Code::IdError, "GOAWAY names no request stream"));
                }
                if self.goaway.is_some_and(|before| id > before) {
                    return Err(Fault::new(Code::IdError, "GOAWAY takes something back"));
                }
                self.goaway = Some(id);
                Ok(Control::GoAway)
            }
            kind::MAX_PUSH_ID => {
                let id = integer(payload)?;
                if self.push_id_max.is_some_and(|before| id < before) {
                    return Err(Fault::new(Code::IdError, "MAX_PUSH_ID takes something back"));
                }
                self.push_id_max = Some(id);
                Ok(Control::MaxPushId)
            }
            kind::CANCEL_PUSH => {
                integer(payload)?;
                Err(Fault::new(Code::IdError, "CANCEL_PUSH of a push that was never promised"))
            }
            _ => Ok(Control::Unknown),
        }
    }
}

const fn is_known(kind: u64) -> bool {
    matches!(kind, kind::SETTINGS | kind::GOAWAY | kind::MAX_PUSH_ID | kind::CANCEL_PUSH)
}

fn integer(payload: &[u8]) -> Result<u64, Fault> {
    match varint::read(payload) {
        Some((value, length)) if length == payload.len() => Ok(value),
        _ => Err(Fault::new(Code::FrameError, "frame that should hold one integer")),
    }
}

/// Checks settings (section 7.2.4). Identifiers of HTTP/2 are reserved, each may come once, and
/// two have only two values.
fn settings(mut payload: &[u8]) -> Result<(), Fault> {
    const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
    const H3_DATAGRAM: u64 = 0x33;
    let mut seen = Vec::new();
    while !payload.is_empty() {
        let pair = varint::read(payload).and_then(|(id, at)| {
            let (value, more) = varint::read(&payload[at..])?;
            Some((id, value, at + more))
        });
        let Some((id, value, length)) = pair else {
            return Err(Fault::new(Code::FrameError, "SETTINGS ends within a setting"));
        };
        payload = &payload[length..];
        let reason = match id {
            0x0 | 0x2..=0x5 => "setting of HTTP/2",
            _ if seen.contains(&id) => "setting given twice",
            ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM if value > 1 => "setting neither 0 nor 1",
            _ => {
                // Bounded by the frame's length: 512 settings of two bytes at most.
                seen.push(id);
                continue;
            }
        };
        return Err(Fault::new(Code::SettingsError, reason));
    }
    Ok(())
}
