//! What the scenarios of compression need beside others: the proof that a coded answer decodes to what the
//! origin said, and its length under load, because who compresses less spends less. For hits there is the
//! coded body as doorman keeps it, so that its peers, and doorman without compression, send as many bytes.

use std::{
    fs,
    io::{Read, Write},
    thread,
    time::Duration,
};

use crate::{
    bench::{
        cache::PASSES_MAX,
        contender::{Contender, Ground},
        gates::ungated,
        load::Seen,
        scenario::{Coded, Coding, Scenario, Tier, Way},
        waf::unwatched,
    },
    failure::{During, Failure},
    wire::Dialer,
};

/// Folder of the files that nginx serves, in the guard's.
pub(super) const STATIC: &str = "static";
/// Answers that are looked at under load, evenly spread over it.
const WITNESSES: u32 = 3;
/// Longest answer that is taken to pieces here.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Ground {
    /// Asks as the load does, and returns the body as it was sent when it decodes to what it should.
    pub(super) fn coded_answer(
        &self,
        scenario: &Scenario,
        coded: Coded,
    ) -> Result<Vec<u8>, Failure> {
        let (path, port, token) = (scenario.path(0), self.ports.plain, coded.coding.token());
        let mut stream = Dialer::new(port)?.plain()?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: {token}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).during("reading a coded answer")?;
        let answer = Answer::read(&bytes)
            .ok_or_else(|| Failure::new(format!("{path} has no whole answer by {token}")))?;
        if answer.status != "200" || answer.coding.as_deref() != Some(token) {
            let Answer { status, coding, .. } = answer;
            let what = format!("{path} has status {status} and the coding {coding:?}, not {token}");
            return Err(Failure::new(what));
        }
        let length = usize::try_from(scenario.body_bytes)?;
        if decoded(&answer.body, coded.coding)? != coded.kind.text(length) {
            return Err(Failure::new(format!("{path} does not decode to what the origin said")));
        }
        Ok(answer.body)
    }

    /// The load, with a look at some answers meanwhile; they count as its requests. Returns the length of a
    /// coded body, where bodies are coded.
    pub(super) fn watched_load(
        &self,
        scenario: &Scenario,
        seconds: u64,
    ) -> Result<(Seen, Option<u64>), Failure> {
        let Some(coded) = scenario.coded() else {
            return Ok((self.load(scenario, seconds)?, None));
        };
        let pause = Duration::from_secs(seconds) / (WITNESSES + 1);
        thread::scope(|scope| {
            let witness = scope.spawn(move || {
                let mut bytes = 0;
                for _ in 0..WITNESSES {
                    thread::sleep(pause);
                    bytes += self.coded_answer(scenario, coded)?.len() as u64;
                }
                Ok(bytes / u64::from(WITNESSES))
            });
            let seen = self.load(scenario, seconds);
            let bytes: Result<u64, Failure> =
                witness.join().map_err(|_| Failure::new("the witness of the load died"))?;
            let (seen, bytes) = (seen?, bytes.during("looking at an answer under load")?);
            Ok((Seen { requests: seen.requests + u64::from(WITNESSES), ..seen }, Some(bytes)))
        })
    }

    /// Asks until two answers are the same and the origin was not asked for the second: what is kept is
    /// whole, and nobody is at work on something better.
    pub(super) fn fill_with_coded(&self, scenario: &Scenario, coded: Coded) -> Result<(), Failure> {
        let mut before = Vec::new();
        for _ in 0..PASSES_MAX {
            let asked = self.asked()?;
            let body = self.coded_answer(scenario, coded).during("filling the cache")?;
            if body == before && self.asked()? == asked {
                return Ok(());
            }
            before = body;
        }
        Err(Failure::new("the coded answer does not stay in its cache"))
    }

    /// The same scenario with a body of as many bytes that nobody codes, or without rules.
    pub(crate) fn as_plain(&self, scenario: &Scenario) -> Result<Scenario, Failure> {
        if let Some(watch) = scenario.watch() {
            return Ok(unwatched(scenario, watch));
        }
        if scenario.gate().is_some() {
            return Ok(ungated(scenario));
        }
        let body_bytes = fs::metadata(self.coded_file(scenario)?)?.len();
        Ok(Scenario { way: Way::Cache(Tier::Memory), body_bytes, ..*scenario })
    }

    /// The coded body as doorman keeps it, made by it when it is first asked for. Beside it stands what was
    /// coded, which nginx looks for.
    pub(super) fn coded_file(&self, scenario: &Scenario) -> Result<std::path::PathBuf, Failure> {
        let plain = self.file(&format!("{STATIC}{}", scenario.path(0)));
        let file = plain.with_extension("gz");
        let coded = scenario.coded().ok_or_else(|| Failure::new("there is nothing to code"))?;
        if file.is_file() {
            return Ok(file);
        }
        let mut doorman = self.start(Contender::Doorman, scenario)?;
        self.await_right_answer(&mut doorman, scenario).during("making a coded file")?;
        self.fill_with_coded(scenario, coded)?;
        let body = self.coded_answer(scenario, coded)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&plain, coded.kind.text(usize::try_from(scenario.body_bytes)?))?;
        fs::write(&file, body)?;
        Ok(file)
    }
}

fn decoded(body: &[u8], coding: Coding) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::GzDecoder::new(body).read_to_end(&mut text),
        Coding::Brotli => brotli::Decompressor::new(body, 4096).read_to_end(&mut text),
    }
    .during("decoding an answer")?;
    Ok(text)
}

/// An answer with its body as it was sent, without what frames it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    coding: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    /// `None` for what is no answer or not whole.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 4..)?);
        let (first, fields) = head.split_once("\r\n")?;
        let field = |wanted: &str| {
            let mut fields = fields.split("\r\n").filter_map(|line| line.split_once(':'));
            let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(value.trim().to_ascii_lowercase())
        };
        let body = if field("transfer-encoding").as_deref() == Some("chunked") {
            unchunked(rest)?
        } else {
            let length: usize = field("content-length")?.parse().ok()?;
            (rest.len() == length).then(|| rest.to_vec())?
        };
        let status = first.split(' ').nth(1)?.to_owned();
        Some(Self { status, coding: field("content-encoding"), body })
    }
}

/// The bytes of all chunks (RFC 9112 section 7.1), when the last one is there.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let begin = end + 2;
        let chunk_end = begin.checked_add(length)?;
        body.extend_from_slice(rest.get(begin..chunk_end)?);
        rest = rest.get(chunk_end..)?.strip_prefix(b"\r\n")?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Kind;

    fn check(bytes: &str, wanted: Option<(Option<&str>, &str)>) {
        let read = Answer::read(bytes.as_bytes());
        let read = read.map(|answer| (answer.coding, String::from_utf8(answer.body).unwrap()));
        let wanted = wanted.map(|(coding, body)| (coding.map(str::to_owned), body.to_owned()));
        assert_eq!(read, wanted, "{bytes:?}");
    }

    #[test]
    fn takes_answers_out_of_what_frames_them() {
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n";
        check(&format!("{head}Content-Length: 3\r\n\r\nabc"), Some((Some("gzip"), "abc")));
        check(&format!("{head}Content-Length: 4\r\n\r\nabc"), None);
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        for (rest, wanted) in [
            ("3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", Some((Some("gzip"), "abcd"))),
            ("A\r\n0123456789\r\n0\r\n\r\n", Some((Some("gzip"), "0123456789"))),
            ("0\r\n\r\n", Some((Some("gzip"), ""))),
            ("3\r\nabc\r\n", None),
            ("3\r\nabcd\r\n0\r\n\r\n", None),
            ("ffffffffffffffff\r\na", None),
            ("x\r\n", None),
            ("", None),
        ] {
            check(&format!("{chunked}{rest}"), wanted);
        }
        check("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", Some((None, "a")));
        check("HTTP/1.1 200 OK\r\n\r\na", None);
        check("", None);
    }

    #[test]
    fn texts_compress_as_real_ones_do() {
        for kind in Kind::ALL {
            for (bytes, least, most) in [(16 * 1024, 3.0, 5.0), (1024 * 1024, 3.5, 8.0)] {
                let text = kind.text(bytes);
                let level = flate2::Compression::new(6);
                let mut coder = flate2::read::GzEncoder::new(text.as_slice(), level);
                let mut coded = Vec::new();
                coder.read_to_end(&mut coded).unwrap();
                assert_eq!(decoded(&coded, Coding::Gzip).unwrap(), text);
                #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
                let ratio = bytes as f64 / coded.len() as f64;
                assert!((least..most).contains(&ratio), "{kind:?} of {bytes} bytes: {ratio:.2}");
            }
        }
    }
}
