//! What an origin does on a connection, step by step.

use std::fmt::Display;
use std::sync::Arc;

use super::ledger::Seen;
use crate::sums::Pattern;

/// Something an origin does.
#[derive(Clone)]
pub enum Step {
    /// Reads a request's head.
    ReadHead,
    /// Reads a request with its body; sends `100 Continue` if the client expects it.
    ReadRequest,
    /// Reads that many bytes, whatever they are.
    ReadBytes(usize),
    /// Reads up to and with these bytes.
    ReadUntil(Vec<u8>),
    /// Reads until the peer ends.
    ReadEnd,
    /// Sends exactly these bytes.
    Send(Vec<u8>),
    /// Sends that many bytes of a pattern.
    SendPattern(Pattern, u64),
    /// Ends its direction and goes on reading.
    Finish,
    /// Closes by a reset; nothing comes after.
    Reset,
    /// Waits until the test releases the origin.
    Hold,
    /// Reads requests and answers each, until the peer ends or an answer closes.
    Serve(Answer),
    /// Closes in order; nothing comes after. The end of a connection's script does the same.
    Close,
}

/// How an origin answers a request.
pub type Answer = Arc<dyn Fn(&Seen) -> Script + Send + Sync>;

/// Steps in order.
#[derive(Clone, Default)]
pub struct Script {
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// No step.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With all steps of another behind its own.
    #[must_use]
    pub fn and(mut self, rest: Self) -> Self {
        self.steps.extend(rest.steps);
        self
    }

    /// These steps and one more.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Reads a request with its body.
    #[must_use]
    pub fn read_request(self) -> Self {
        self.then(Step::ReadRequest)
    }

    /// Reads a request's head.
    #[must_use]
    pub fn read_head(self) -> Self {
        self.then(Step::ReadHead)
    }

    /// Sends exactly these bytes.
    #[must_use]
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Send(bytes.as_ref().to_vec()))
    }

    /// Waits until the test releases the origin.
    #[must_use]
    pub fn hold(self) -> Self {
        self.then(Step::Hold)
    }

    /// Closes by a reset.
    #[must_use]
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Closes in order.
    #[must_use]
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }
}

/// A whole response with a counted body: `reply("200 OK", "X: 1\r\n", b"...")`.
#[must_use]
pub fn reply(status: impl Display, fields: &str, body: &[u8]) -> Script {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    Script::new().send([head.as_bytes(), body].concat())
}

/// Answers everything with this body; HEAD with its length alone.
#[must_use]
pub fn fixed(body: &'static str) -> Answer {
    Arc::new(move |seen| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let body = if seen.method() == "HEAD" { "" } else { body };
        Script::new().send(head + body)
    })
}

/// Answers with the request: its head, an empty line, its body. The fields `X-Body-Length` and
/// `X-Body-Sum` tell what was received even where the body was too long to be kept.
#[must_use]
pub fn echo() -> Answer {
    Arc::new(|seen| {
        let fields = format!(
            "Content-Type: text/plain\r\nX-Body-Length: {}\r\nX-Body-Sum: {:016x}\r\n",
            seen.body_length, seen.body_sum
        );
        let body = if seen.method() == "HEAD" {
            Vec::new()
        } else {
            [seen.head.as_slice(), &seen.body].concat()
        };
        reply("200 OK", &fields, &body)
    })
}

/// Answers with the request's body alone.
#[must_use]
pub fn mirror() -> Answer {
    Arc::new(|seen| {
        let fields = format!("X-Body-Sum: {:016x}\r\n", seen.body_sum);
        reply("200 OK", &fields, &seen.body)
    })
}

/// Answers with that many bytes of the pattern whose seed is `seed`, counted.
#[must_use]
pub fn big(seed: u64, length: u64) -> Answer {
    Arc::new(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        Script::new().send(head).then(Step::SendPattern(Pattern { seed }, length))
    })
}

/// Answers in these chunks, one send each, then `trailers` (whole lines).
#[must_use]
pub fn chunked(chunks: &[&str], trailers: &str) -> Answer {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut script = Script::new().send(head);
    for chunk in chunks {
        script = script.send(format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    let script = script.send(format!("0\r\n{trailers}\r\n"));
    Arc::new(move |_| script.clone())
}

/// Answers with a body that the connection's end ends.
#[must_use]
pub fn until_close(body: &'static str) -> Answer {
    Arc::new(move |_| Script::new().send("HTTP/1.1 200 OK\r\n\r\n").send(body).close())
}
