//! Records (section 3.3): eight bytes of head, content, padding.
//!
//! The reader takes what an application sends. It hands content out where it lies, as a range of
//! the input, so that a body passes without being copied; it keeps only how much of the record at
//! hand is still to come.

use std::fmt;
use std::ops::Range;

/// Bytes of a record's head.
pub const HEAD_BYTES: usize = 8;
/// Bytes of content that one record may hold: what its length can say, rounded down to a multiple
/// of eight, so that no record needs padding but the last.
pub const CONTENT_BYTES_MAX: usize = 65_528;

/// The version of the protocol.
const VERSION: u8 = 1;
/// The id of the one request on a connection.
const REQUEST_ID: u16 = 1;
/// The role of an application that answers requests.
const ROLE_RESPONDER: u16 = 1;
/// Records without content that may follow each other. The end of a stream is one; an application
/// that sends nothing but those would keep us busy.
const EMPTY_MAX: u8 = 32;

/// The kinds of records that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request begins.
    BeginRequest,
    /// A request is over.
    EndRequest,
    /// Meta-variables.
    Params,
    /// The request's body.
    Stdin,
    /// The response.
    Stdout,
    /// What the application complains of.
    Stderr,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::BeginRequest => 1,
            Self::EndRequest => 3,
            Self::Params => 4,
            Self::Stdin => 5,
            Self::Stdout => 6,
            Self::Stderr => 7,
        }
    }

    /// The kinds that an application sends unasked.
    const fn of_application(number: u8) -> Option<Self> {
        match number {
            3 => Some(Self::EndRequest),
            6 => Some(Self::Stdout),
            7 => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// Whether the application is to leave the connection open behind the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepConnection {
    /// It may serve another.
    Yes,
    /// It is closed.
    No,
}

/// Appends the head of a record with `length` bytes of content, at most [`CONTENT_BYTES_MAX`], and
/// no padding.
pub fn write_head(out: &mut Vec<u8>, kind: Kind, length: usize) {
    debug_assert!(length <= CONTENT_BYTES_MAX, "a record's length fits");
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let [id_high, id_low] = REQUEST_ID.to_be_bytes();
    out.extend_from_slice(&[VERSION, kind.number(), id_high, id_low, high, low, 0, 0]);
}

/// Appends the record that begins a request.
pub fn write_begin(out: &mut Vec<u8>, keep: KeepConnection) {
    write_head(out, Kind::BeginRequest, 8);
    let [high, low] = ROLE_RESPONDER.to_be_bytes();
    let flags = u8::from(keep == KeepConnection::Yes);
    out.extend_from_slice(&[high, low, flags, 0, 0, 0, 0, 0]);
}

/// Appends the records of a stream of meta-variables, its end included.
pub fn write_params(out: &mut Vec<u8>, pairs: &[u8]) {
    for part in pairs.chunks(CONTENT_BYTES_MAX) {
        write_head(out, Kind::Params, part.len());
        out.extend_from_slice(part);
    }
    write_head(out, Kind::Params, 0);
}

/// How the protocol says that a request ended (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// In order.
    Complete,
    /// The application takes one request at a time, and had one.
    CannotMultiplex,
    /// It has no room for the request, and did not look at it.
    Overloaded,
    /// It does not answer requests.
    UnknownRole,
}

/// What an application says at the end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The program's own exit status; it says nothing about the response.
    pub application: u32,
    /// How it ended.
    pub protocol: Protocol,
}

/// Why what an application sends cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// Not version 1.
    Version,
    /// A kind that nobody asked for.
    Kind,
    /// Of another request.
    RequestId,
    /// An end of another length, or with a protocol status that does not exist.
    End,
    /// Too many records without content.
    Empty,
    /// Output behind the end of the output.
    Output,
}

impl RecordFault {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Version => "FastCGI record of another version",
            Self::Kind => "FastCGI record of a kind that nobody asked for",
            Self::RequestId => "FastCGI record of another request",
            Self::End => "malformed end of a FastCGI request",
            Self::Empty => "too many FastCGI records without content",
            Self::Output => "FastCGI output behind its end",
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for RecordFault {}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing yet: all of the input was taken in.
    More,
    /// Content of the response.
    Output,
    /// Content of a complaint.
    Complaint,
    /// The end of the request.
    End(Ended),
}

/// What was read of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is.
    pub what: What,
    /// Where its content lies in the input; empty where there is none.
    pub content: Range<usize>,
    /// Bytes of the input that are done with, content included.
    pub consumed: usize,
}

/// Reads the records of one request.
#[derive(Debug, Default)]
pub struct Reader {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    kind: Option<Kind>,
    content_left: usize,
    padding_left: usize,
    end: [u8; 8],
    empty: u8,
    output_ended: bool,
    ended: bool,
}

impl Reader {
    /// A reader for a request that begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the end of the request has been read. What follows belongs to nobody.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Reads until there is something to hand out, or the input is at its end.
    ///
    /// # Errors
    /// Why the application's words cannot be used; the connection must be closed.
    pub fn read(&mut self, input: &[u8]) -> Result<Step, RecordFault> {
        let mut at = 0;
        let step = |what, content, consumed| Ok(Step { what, content, consumed });
        while !self.ended {
            let rest = &input[at..];
            if self.content_left > 0 {
                if rest.is_empty() {
                    return step(What::More, at..at, at);
                }
                let n = self.content_left.min(rest.len());
                self.content_left -= n;
                let content = at..at + n;
                at += n;
                match self.kind {
                    Some(Kind::Stdout) => return step(What::Output, content, at),
                    Some(Kind::Stderr) => return step(What::Complaint, content, at),
                    _ => {
                        let from = self.end.len() - self.content_left - n;
                        self.end[from..from + n].copy_from_slice(&input[content]);
                    }
                }
                continue;
            }
            if self.padding_left > 0 {
                if rest.is_empty() {
                    return step(What::More, at..at, at);
                }
                let n = self.padding_left.min(rest.len());
                self.padding_left -= n;
                at += n;
                continue;
            }
            if self.kind.take() == Some(Kind::EndRequest) {
                let ended = end(self.end)?;
                self.ended = true;
                return step(What::End(ended), at..at, at);
            }
            let n = (HEAD_BYTES - self.head_len).min(rest.len());
            self.head[self.head_len..self.head_len + n].copy_from_slice(&rest[..n]);
            self.head_len += n;
            at += n;
            if self.head_len < HEAD_BYTES {
                return step(What::More, at..at, at);
            }
            self.head_len = 0;
            self.begin()?;
        }
        step(What::More, at..at, at)
    }

    /// Judges the head of a record.
    fn begin(&mut self) -> Result<(), RecordFault> {
        let [version, kind, id_high, id_low, high, low, padding, _] = self.head;
        if version != VERSION {
            return Err(RecordFault::Version);
        }
        let kind = Kind::of_application(kind).ok_or(RecordFault::Kind)?;
        if u16::from_be_bytes([id_high, id_low]) != REQUEST_ID {
            return Err(RecordFault::RequestId);
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        match kind {
            Kind::EndRequest if length != self.end.len() => return Err(RecordFault::End),
            Kind::Stdout if self.output_ended && length > 0 => return Err(RecordFault::Output),
            Kind::Stdout => self.output_ended |= length == 0,
            _ => {}
        }
        if length == 0 {
            self.empty += 1;
            if self.empty > EMPTY_MAX {
                return Err(RecordFault::Empty);
            }
        } else {
            self.empty = 0;
        }
        self.kind = Some(kind);
        self.content_left = length;
        self.padding_left = usize::from(padding);
        Ok(())
    }
}

fn end([a, b, c, d, protocol, ..]: [u8; 8]) -> Result<Ended, RecordFault> {
    let protocol = match protocol {
        0 => Protocol::Complete,
        1 => Protocol::CannotMultiplex,
        2 => Protocol::Overloaded,
        3 => Protocol::UnknownRole,
        _ => return Err(RecordFault::End),
    };
    Ok(Ended { application: u32::from_be_bytes([a, b, c, d]), protocol })
}
