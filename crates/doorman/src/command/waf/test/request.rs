//! A request as people have it: options of curl, or a raw request in a file.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use doorman_http::{Scheme, Version};
use doorman_net::Clock;
use doorman_net::os::ListenAddress;
use doorman_proxy::Plan;
use doorman_proxy::explain::{Door, Question, is_about_connection};

use crate::command::explain::question;

/// Bytes of a file that is read: more than any body that is held back.
const FILE_MAX: u64 = 65 << 20;

/// What curl sends of itself; rules look for what is missing, too.
const OWN_FIELDS: [(&str, &str); 2] = [("User-Agent", "curl/8.0"), ("Accept", "*/*")];

/// What the command line says.
pub(super) struct Wanted<'a> {
    pub(super) request: &'a str,
    pub(super) method: Option<&'a str>,
    pub(super) headers: Vec<String>,
    pub(super) data: Vec<String>,
    pub(super) from: IpAddr,
}

/// A request.
pub(super) enum Asked {
    Url(Box<Question>),
    File(Raw),
}

impl Wanted<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn read(&self) -> Result<Asked, String> {
        let is_file = self.request == "-" || Path::new(self.request).is_file();
        if self.request.contains("://") || !is_file {
            return self.url().map(|question| Asked::Url(Box::new(question)));
        }
        if self.method.is_some() || !self.headers.is_empty() || !self.data.is_empty() {
            return Err("a file says all of a request; -X, -H and -d go with a URL".to_owned());
        }
        let bytes = read(self.request)?;
        Raw::parse(&bytes, self.from).map(Asked::File)
    }

    fn url(&self) -> Result<Question, String> {
        let mut body = Vec::new();
        for (n, data) in self.data.iter().enumerate() {
            if n > 0 {
                body.push(b'&');
            }
            match data.strip_prefix('@') {
                Some(file) => body.extend(read(file)?),
                None => body.extend_from_slice(data.as_bytes()),
            }
        }
        let has_data = !self.data.is_empty();
        let mut own = OWN_FIELDS.to_vec();
        if has_data {
            own.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let mut fields = Vec::new();
        for header in &self.headers {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| format!("`{header}` is not written `Name: value`"))?;
            own.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            if !value.trim().is_empty() {
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        fields.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let method = self.method.unwrap_or(if has_data { "POST" } else { "GET" });
        let asked = question(method, self.request, fields, self.from, None)?;
        Ok(Question { body, ..asked })
    }
}

/// Bytes of a file, or of the standard input.
fn read(name: &str) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("cannot read {name}: {error}");
    let mut bytes = Vec::new();
    let read = match name {
        "-" => std::io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes),
        file => std::fs::File::open(file)
            .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes)),
    };
    if read.map_err(wrong)? as u64 > FILE_MAX {
        return Err(format!("{name} is longer than any request that rules look at"));
    }
    Ok(bytes)
}

/// A raw request, of which nobody has said where it comes to.
pub(super) struct Raw {
    method: String,
    target: String,
    version: Option<Version>,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    from: IpAddr,
}

impl Raw {
    /// Reads a request line, fields and a body; lines may end as editors end them.
    fn parse(bytes: &[u8], from: IpAddr) -> Result<Self, String> {
        let (head, mut body) = split(bytes);
        let head = std::str::from_utf8(head)
            .map_err(|_| "the head of the request is no text: percent-encode its bytes")?;
        let mut lines = head.lines().map(|line| line.trim_end_matches('\r'));
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(format!("`{first}` is no request line, such as `GET /path HTTP/1.1`"));
        };
        let version = match words.next() {
            None => None,
            Some("HTTP/1.0") => Some(Version::Http10),
            Some("HTTP/1.1") => Some(Version::Http11),
            Some("HTTP/2" | "HTTP/2.0") => Some(Version::Http2),
            Some(other) => return Err(format!("`{other}` is none of HTTP/1.0, HTTP/1.1, HTTP/2")),
        };
        let mut fields = Vec::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("`{line}` is not written `Name: value`"))?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("write the body as it is, without Transfer-Encoding".to_owned());
            }
            if name.eq_ignore_ascii_case("content-length") {
                body = cut(body, value)?;
            }
            // A reader of the wire takes these in; what rules are told of a body's length is made of the body.
            if !is_about_connection(name) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        }
        let (method, target) = (method.to_owned(), target.to_owned());
        Ok(Self { method, target, version, fields, body: body.to_vec(), from })
    }

    /// The question of it: where it comes to is what takes it first, by its host and port.
    ///
    /// # Errors
    /// What is wrong with it, or that nothing takes it.
    pub(super) fn place(self, plan: &Plan, clock: Clock) -> Result<Question, String> {
        if self.target.contains("://") {
            let fields = self.fields.into_iter();
            let fields = fields.filter(|(name, _)| !name.eq_ignore_ascii_case("host")).collect();
            let asked = question(&self.method, &self.target, fields, self.from, None)?;
            return Ok(Question { body: self.body, ..asked });
        }
        let host = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.map(|(_, host)| host.clone()).ok_or("the request has no Host field")?;
        let fields: Vec<_> =
            self.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).collect();
        let fields: Vec<(String, String)> = fields.into_iter().cloned().collect();
        let mut first = None;
        for (scheme, port) in doors(plan, port(&host)) {
            let url = format!("{}://{host}{}", scheme.as_str(), self.target);
            let asked = question(&self.method, &url, fields.clone(), self.from, None)?;
            let version = self.version.filter(|version| *version != Version::Http2);
            let asked =
                Question { door: Door::Port(port), version, body: self.body.clone(), ..asked };
            let explanation = plan.explain(&asked, clock);
            if explanation.waf.is_some() {
                return Ok(asked);
            }
            if first.is_none() && explanation.route.is_some() {
                first = Some(asked);
            }
        }
        first.ok_or_else(|| format!("nothing takes a request to {host}"))
    }
}

/// A head without the empty line behind it, and what follows.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(length) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[at..at + length];
        let next = at + length + 1;
        if at > 0 && (line.is_empty() || line == b"\r") {
            return (&bytes[..at], &bytes[next..]);
        }
        at = next;
    }
    (bytes, b"")
}

/// As many bytes as the request says it has: editors end the last line.
fn cut<'b>(body: &'b [u8], length: &str) -> Result<&'b [u8], String> {
    let known: usize = length.parse().map_err(|_| format!("`{length}` is no Content-Length"))?;
    body.get(..known).ok_or_else(|| {
        let has = body.len();
        format!("Content-Length says {known}, and the body has {has} bytes: leave the field out")
    })
}

/// The port that a host names.
fn port(host: &str) -> Option<u16> {
    let (_, port) = host.rsplit_once(':')?;
    port.parse().ok()
}

/// Where a request may come to: first what has this port, TLS before what has none.
fn doors(plan: &Plan, port: Option<u16>) -> Vec<(Scheme, u16)> {
    let mut doors: Vec<(Scheme, u16)> = Vec::new();
    for listener in &plan.listeners {
        let scheme = if listener.tls.is_some() { Scheme::Https } else { Scheme::Http };
        for address in &listener.addresses {
            if let ListenAddress::Inet(address) = address {
                doors.push((scheme, address.port()));
            }
        }
    }
    let is_meant = |&(scheme, at): &(Scheme, u16)| at == port.unwrap_or(scheme.default_port());
    doors.sort_by_key(|door| (!is_meant(door), door.0 != Scheme::Https));
    doors.dedup();
    doors
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let raw = Raw::parse(text.as_bytes(), IpAddr::V4(Ipv4Addr::LOCALHOST))?;
        let fields: Vec<_> = raw.fields.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let body = String::from_utf8_lossy(&raw.body).into_owned();
        Ok(format!("{} {} [{}] {body}", raw.method, raw.target, fields.join(",")))
    }

    #[test]
    fn files() {
        let check = |text: &str, expect: &str| assert_eq!(parse(text).as_deref(), Ok(expect));
        check("GET /a HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a [Host=x] ");
        check("GET /a\nHost: x\n", "GET /a [Host=x] ");
        check(
            "GET /a HTTP/1.1\nHost: x:80\nConnection: close\n\nbody\n",
            "GET /a [Host=x:80] body\n",
        );
        check("POST / HTTP/1.1\nContent-Length: 3\n\na=b\n", "POST / [] a=b");
        let faulty = |text: &str, why: &str| {
            let error = parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        };
        faulty("", "is no request line");
        faulty("GET\n", "is no request line");
        faulty("GET / FTP\n", "is none of");
        faulty("GET / HTTP/1.1\nHost\n\n", "is not written");
        faulty("GET / HTTP/1.1\nContent-Length: 9\n\nx", "leave the field out");
        faulty("GET / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\n\n", "without Transfer-Encoding");
    }
}
