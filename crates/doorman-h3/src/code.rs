//! Error codes, and the faults that end a stream or a connection with one.

/// Error codes of HTTP/3 (RFC 9114 section 8.1) and QPACK (RFC 9204 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// Nothing is wrong.
    NoError = 0x100,
    /// A rule was broken that has no code of its own.
    GeneralProtocolError = 0x101,
    /// The fault is ours.
    InternalError = 0x102,
    /// A stream was opened that must not be.
    StreamCreationError = 0x103,
    /// A stream ended that the connection needs.
    ClosedCriticalStream = 0x104,
    /// A frame came where it must not stand.
    FrameUnexpected = 0x105,
    /// A frame's layout or length is wrong.
    FrameError = 0x106,
    /// The peer causes more work than it may.
    ExcessiveLoad = 0x107,
    /// A stream or push id was used against the rules.
    IdError = 0x108,
    /// A setting is wrong.
    SettingsError = 0x109,
    /// The control stream did not begin with SETTINGS.
    MissingSettings = 0x10a,
    /// The request was not looked at; it may be sent again.
    RequestRejected = 0x10b,
    /// The request or its response is not wanted any more.
    RequestCancelled = 0x10c,
    /// The request's stream ended before the request did.
    RequestIncomplete = 0x10d,
    /// The message is malformed.
    MessageError = 0x10e,
    /// A field section cannot be decoded.
    QpackDecompressionFailed = 0x200,
    /// The encoder stream is wrong.
    QpackEncoderStreamError = 0x201,
    /// The decoder stream is wrong.
    QpackDecoderStreamError = 0x202,
}

impl Code {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// What the RFCs call the code with that number.
    #[must_use]
    pub const fn name_of(number: u64) -> &'static str {
        match number {
            0x100 => "H3_NO_ERROR",
            0x101 => "H3_GENERAL_PROTOCOL_ERROR",
            0x102 => "H3_INTERNAL_ERROR",
            0x103 => "H3_STREAM_CREATION_ERROR",
            0x104 => "H3_CLOSED_CRITICAL_STREAM",
            0x105 => "H3_FRAME_UNEXPECTED",
            0x106 => "H3_FRAME_ERROR",
            0x107 => "H3_EXCESSIVE_LOAD",
            0x108 => "H3_ID_ERROR",
            0x109 => "H3_SETTINGS_ERROR",
            0x10a => "H3_MISSING_SETTINGS",
            0x10b => "H3_REQUEST_REJECTED",
            0x10c => "H3_REQUEST_CANCELLED",
            0x10d => "H3_REQUEST_INCOMPLETE",
            0x10e => "H3_MESSAGE_ERROR",
            0x10f => "H3_CONNECT_ERROR",
            0x110 => "H3_VERSION_FALLBACK",
            0x200 => "QPACK_DECOMPRESSION_FAILED",
            0x201 => "QPACK_ENCODER_STREAM_ERROR",
            0x202 => "QPACK_DECODER_STREAM_ERROR",
            _ => "another reason",
        }
    }
}

/// A peer's fault that ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code that the connection is closed with.
    pub code: Code,
    /// The reason, for the log.
    pub reason: &'static str,
}

impl Fault {
    pub(crate) const fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason }
    }
}
