//! A request's bytes taken apart in two ways: leniently, so that rules can be asked about what no strict
//! reader would take, and by the house's own parser, to know whether it would.

use doorman_h1::{Decoder, Limits, Progress, read_request};
use doorman_http::RequestHead;

/// A request as a lenient server sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// Empty if the line has none.
    pub(crate) protocol: Vec<u8>,
    /// Every field, in order; values without the white space around them.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content, chunks put together.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Takes apart whatever there is; no bytes are wrong.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let line = line(&mut rest);
        let (method, target, protocol) = request_line(line);
        let mut message = Self { method, target, protocol, ..Self::default() };
        while !rest.is_empty() {
            let line = self::line(&mut rest);
            if line.is_empty() {
                break;
            }
            message.take_line(line);
        }
        message.body = message.content(rest);
        message
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(is, _)| is.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    }

    fn take_line(&mut self, line: &[u8]) {
        let is_folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if let (true, Some((_, value))) = (is_folded, self.fields.last_mut()) {
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            return;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        self.fields.push((line[..colon].to_vec(), value.to_vec()));
    }

    fn content(&self, rest: &[u8]) -> Vec<u8> {
        let coding = self.field("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
        if coding.ends_with(b"chunked") {
            return chunks(rest);
        }
        let length = self
            .field("content-length")
            .and_then(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
        rest[..length.unwrap_or(0).min(rest.len())].to_vec()
    }
}

/// Takes a line off, with its end; what it says is given.
pub(crate) fn line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr::memchr(b'\n', rest);
    let (line, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
    *rest = after;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn request_line(line: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let line = line.trim_ascii();
    let Some(first) = memchr::memchr(b' ', line) else {
        return (line.to_vec(), Vec::new(), Vec::new());
    };
    let (method, rest) = (line[..first].to_vec(), line[first..].trim_ascii_start());
    match memchr::memrchr(b' ', rest) {
        Some(last) => (method, rest[..last].trim_ascii_end().to_vec(), rest[last + 1..].to_vec()),
        None => (method, rest.to_vec(), Vec::new()),
    }
}

/// The content of chunks, as far as they can be made out.
fn chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let size = line(&mut rest);
        let digits = size.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&size[..digits]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or(0).min(rest.len());
        if size == 0 {
            return content;
        }
        content.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
        line(&mut rest);
    }
}

/// Why the house's own parser refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What the answer says, or would if there were one.
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    /// There is no answer: the stream is reset, over wires that have streams.
    pub(crate) is_reset: bool,
}

/// The reason where frames hold less or more than a request says of itself.
pub(crate) const CUT: &str = "the content is not as long as Content-Length says";

/// Whether the house's own parser takes `bytes` as one request, head and content.
pub(crate) fn judge(bytes: &[u8]) -> Result<(), Refused> {
    let limits = Limits::default();
    let mut head = RequestHead::default();
    let refused = |status, reason| Refused { status, reason, is_reset: false };
    let cut = |reason| refused(408, reason);
    let (consumed, framing) = match read_request(bytes, &limits, &mut head) {
        Ok(Progress::Done { consumed, framing }) => (consumed, framing),
        Ok(Progress::Partial) => return Err(cut("the head does not end")),
        Err(refusal) => return Err(refused(refusal.status, refusal.reason)),
    };
    let mut body = Decoder::new(framing.body, &limits);
    let mut rest = bytes[consumed..].to_vec();
    let mut rest = rest.as_mut_slice();
    while !body.is_done() && !rest.is_empty() {
        let step = body.decode(rest);
        let step = step.map_err(|fault| refused(400, fault.reason))?;
        rest = &mut std::mem::take(&mut rest)[step.consumed..];
    }
    if body.is_done() { Ok(()) } else { Err(cut("the body does not end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The message in one line.
    #[track_caller]
    fn check(bytes: &str, expected: &str) {
        let message = Message::read(bytes.as_bytes());
        let line = [&message.method, &message.target, &message.protocol].map(|part| text(part));
        let fields =
            message.fields.iter().map(|(name, value)| format!("{}={}", text(name), text(value)));
        let fields: Vec<String> = fields.collect();
        assert_eq!(format!("{line:?} {fields:?} {:?}", text(&message.body)), expected, "{bytes:?}");
    }

    #[track_caller]
    fn check_judged(bytes: &str, expected: Option<(u16, &str)>) {
        let told = judge(bytes.as_bytes()).err().map(|refused| (refused.status, refused.reason));
        assert_eq!(told, expected, "{bytes:?}");
    }

    #[test]
    fn requests_are_taken_apart() {
        check(
            "GET /a?b HTTP/1.1\r\nHost: h\r\nEmpty:\r\n\r\n",
            r#"["GET", "/a?b", "HTTP/1.1"] ["Host=h", "Empty="] """#,
        );
        check(
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcdef",
            r#"["POST", "/", "HTTP/1.0"] ["Content-Length=3"] "abc""#,
        );
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            r#"["POST", "/", "HTTP/1.1"] ["Transfer-Encoding=chunked"] "abcde""#,
        );
    }

    #[test]
    fn whatever_there_is_is_taken_apart() {
        check("", r#"["", "", ""] [] """#);
        check("GET /\r\n\r\n", r#"["GET", "/", ""] [] """#);
        check("   GET  /a b  X \n\n", r#"["GET", "/a b", "X"] [] """#);
        check(
            "GET / HTTP/1.1\na: b\r\n  c\nnothing\n\nbody",
            r#"["GET", "/", "HTTP/1.1"] ["a=b c", "nothing="] """#,
        );
        check(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n99\r\nabc",
            r#"["POST", "/", "HTTP/1.1"] ["Transfer-Encoding=chunked"] "abc""#,
        );
    }

    #[test]
    fn the_house_judges() {
        check_judged("GET / HTTP/1.1\r\nHost: h\r\n\r\n", None);
        check_judged("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", None);
        check_judged(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            None,
        );
        check_judged(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab",
            Some((408, "the body does not end")),
        );
        check_judged("GET / HTTP/1.1\r\nHost: h\r\n", Some((408, "the head does not end")));
        assert_eq!(judge(b"GET / HTTP/1.1\r\n\r\n").map_err(|refused| refused.status), Err(400));
        assert_eq!(judge(b" GET / HTTP/1.1\r\n\r\n").map_err(|refused| refused.status), Err(400));
        assert_eq!(
            judge(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx")
                .map_err(|refused| refused.status),
            Err(400)
        );
    }
}
