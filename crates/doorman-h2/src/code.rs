//! Error codes, and the fault that ends a connection with one.

/// Error codes of HTTP/2 (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Nothing is wrong.
    NoError = 0x0,
    /// A rule was broken that has no code of its own.
    ProtocolError = 0x1,
    /// The fault is ours.
    InternalError = 0x2,
    /// More was sent than the window allows.
    FlowControlError = 0x3,
    /// A frame came for a stream that is over.
    StreamClosed = 0x5,
    /// A frame's length is wrong.
    FrameSizeError = 0x6,
    /// The request was not looked at; it may be sent again.
    RefusedStream = 0x7,
    /// The stream is not wanted any more.
    Cancel = 0x8,
    /// A header block cannot be decoded.
    CompressionError = 0x9,
    /// The client causes more work than it may.
    EnhanceYourCalm = 0xb,
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// A client's fault that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code that the connection is closed with.
    pub code: Code,
    /// The reason, for tests and logs.
    pub reason: &'static str,
}

impl Fault {
    pub(crate) const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// A fault of type PROTOCOL_ERROR.
pub(crate) const fn protocol(reason: &'static str) -> Fault {
    Fault::new(Code::ProtocolError, reason)
}
