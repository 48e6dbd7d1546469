//! Request and response heads: the values every room decides by.

use crate::desync::Anomaly;
use crate::field::{Several, Span, span};
use crate::scan::{find, is_simple_path};
use crate::target::{self, Authority, Connect, Form, Scheme, TargetError};
use crate::{FieldId, Fields, Method, Version, path};

/// What a client asks to switch to (RFC 9110 section 7.8). The h2c token never gets this far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// `websocket` (RFC 6455).
    WebSocket,
    /// Any other protocol; its name is in the received `Upgrade` field.
    Other,
}

/// Why a head that was read well is refused all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The request target or the authority is not valid.
    Target(TargetError),
    /// HTTP/1.1 without `Host`, or more than one (RFC 9112 section 3.2).
    Host,
}

/// A request's method, target and fields, whatever wire it came by.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// Protocol version, as a label.
    pub version: Version,
    /// `https` if the client's own connection was secure.
    pub scheme: Scheme,
    /// Header fields. `Host` is among them as received; [`RequestHead::authority`] wins over it.
    pub fields: Fields,
    /// A protocol the client asks to switch to.
    pub upgrade: Option<Upgrade>,
    /// Whether the client takes nothing but that protocol for a success: to an extended CONNECT, any 2xx
    /// would open the tunnel (RFC 8441 section 5).
    pub insists: bool,
    /// Whether the client waits for `100 Continue`.
    pub expects_continue: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// Whether it came in early data and goes on before the handshake has ended, so that it may be a copy of
    /// an earlier one (RFC 8470 section 5.1).
    pub early: bool,
    /// What is odd about it, the worst of it; `None`: nothing.
    pub anomaly: Option<Anomaly>,
    /// Whether nothing may follow it on the connections that it came and goes by.
    pub alone: bool,
    authority: Span,
    host: Span,
    port: Option<u16>,
    path: Span,
    query: Option<Span>,
    received_path: Span,
    received_query: Option<Span>,
    received_target: Span,
    asterisk: bool,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            method: Method::Get,
            version: Version::Http11,
            scheme: Scheme::Http,
            fields: Fields::new(),
            upgrade: None,
            insists: false,
            expects_continue: false,
            takes_trailers: false,
            early: false,
            anomaly: None,
            alone: false,
            authority: Span::default(),
            host: Span::default(),
            port: None,
            path: Span::default(),
            query: None,
            received_path: Span::default(),
            received_query: None,
            received_target: Span::default(),
            asterisk: false,
        }
    }
}

impl RequestHead {
    /// Makes the head ready to be filled again; keeps its memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::default() };
    }

    /// Notes something odd about it; the worst is kept.
    pub fn note(&mut self, anomaly: Anomaly) {
        self.anomaly = Some(self.anomaly.map_or(anomaly, |known| known.worse(anomaly)));
    }

    /// Turns an extended CONNECT for `websocket` (RFC 8441 section 5, RFC 9220) into what the house knows:
    /// a GET that asks for the upgrade and takes nothing else for a success. The wire adds a key, since the
    /// client has none.
    ///
    /// # Errors
    /// It asks for another version than there is (RFC 6455 section 4.1).
    pub fn ask_for_websocket(&mut self) -> Result<(), &'static str> {
        match self.fields.first(FieldId::SecWebSocketVersion) {
            Some(b"13") => {}
            Some(_) => return Err("Sec-WebSocket-Version other than 13"),
            None => self.fields.push_id(FieldId::SecWebSocketVersion, b"13"),
        }
        self.fields.remove_id(FieldId::SecWebSocketKey);
        self.method = Method::Get;
        self.upgrade = Some(Upgrade::WebSocket);
        self.insists = true;
        Ok(())
    }

    /// Takes the request target in. `bytes` is the target as received (RFC 9112 section 3.2);
    /// an absolute form's authority wins over `Host` (section 3.2.2).
    ///
    /// # Errors
    /// What is wrong with the target, or with the `Host` field that it is read together with.
    pub fn set_target(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        let target = self.fields.store(bytes);
        self.take_target(target)
    }

    /// Like [`RequestHead::set_target`] for a target that lies at `range` of the loaded head: what
    /// is written there in its normal form already is not copied again.
    ///
    /// # Errors
    /// As [`RequestHead::set_target`].
    pub fn set_target_at(&mut self, range: std::ops::Range<usize>) -> Result<(), HeadError> {
        self.take_target(span(range))
    }

    fn take_target(&mut self, target: Span) -> Result<(), HeadError> {
        let connect = if self.method == Method::Connect { Connect::Yes } else { Connect::No };
        self.received_target = target;
        let bytes = target.of(self.fields.bytes());
        match target::form(bytes, connect).map_err(HeadError::Target)? {
            Form::Origin => {
                self.authority_from_host()?;
                self.take_path_and_query(target)
            }
            Form::Absolute { scheme, authority, path } => {
                let is_rooted = bytes[path..].starts_with(b"/");
                // The connection decides how the request came, not what the client writes; https
                // on a plain port would make rules believe in a security that is not there.
                if scheme != self.scheme {
                    return Err(HeadError::Target(TargetError::Scheme));
                }
                self.authority_from_host()?;
                self.take_authority(target.part(authority)).map_err(HeadError::Target)?;
                let rest = target.part(path..target.len());
                let rooted = if is_rooted { rest } else { self.fields.store_after(b"/", rest) };
                self.take_path_and_query(rooted)
            }
            Form::Authority => self.take_authority(target).map_err(HeadError::Target),
            Form::Asterisk => {
                self.authority_from_host()?;
                self.set_asterisk()
            }
        }
    }

    /// Makes the target `*` (RFC 9110 section 9.3.7).
    ///
    /// # Errors
    /// [`TargetError::Form`] unless the method is OPTIONS.
    pub fn set_asterisk(&mut self) -> Result<(), HeadError> {
        if self.method != Method::Options {
            return Err(HeadError::Target(TargetError::Form));
        }
        self.asterisk = true;
        let star = self.fields.store(b"*");
        (self.path, self.received_path) = (star, star);
        self.received_target = star;
        Ok(())
    }

    fn authority_from_host(&mut self) -> Result<(), HeadError> {
        match self.fields.only(FieldId::Host) {
            Err(Several) => Err(HeadError::Host),
            Ok(Some(host)) => self.take_authority(host).map_err(HeadError::Target),
            Ok(None) if self.version == Version::Http11 => Err(HeadError::Host),
            Ok(None) => Ok(()),
        }
    }

    /// Sets the authority: from `Host`, `:authority` or an absolute target.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_authority(&mut self, bytes: &[u8]) -> Result<(), TargetError> {
        let authority = self.fields.store(bytes);
        self.take_authority(authority)
    }

    fn take_authority(&mut self, at: Span) -> Result<(), TargetError> {
        let bytes = at.of(self.fields.bytes());
        let Authority { host_len, port, has_upper } = target::authority(bytes)?;
        let host = at.part(0..host_len);
        self.authority = at;
        self.host = if has_upper { self.fields.store_lower(host) } else { host };
        self.port = port;
        Ok(())
    }

    /// Sets path and query as received; the path gets its normal form.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn set_path_and_query(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        let at = self.fields.store(bytes);
        self.received_target = at;
        self.take_path_and_query(at)
    }

    fn take_path_and_query(&mut self, at: Span) -> Result<(), HeadError> {
        let bytes = at.of(self.fields.bytes());
        let mark = find(b'?', bytes);
        let path = &bytes[..mark.unwrap_or(bytes.len())];
        self.received_path = at.part(0..path.len());
        self.query = mark.map(|i| at.part(i + 1..at.len()));
        self.received_query = self.query;
        self.path = if is_simple_path(path) {
            self.received_path
        } else {
            let mut normal = Vec::with_capacity(path.len());
            path::normalise(path, &mut normal).map_err(HeadError::Target)?;
            self.fields.store(&normal)
        };
        Ok(())
    }

    /// Replaces the path that the origin is asked for; `path` is normalised again, so an edit
    /// cannot leave the normal form.
    ///
    /// # Errors
    /// What is wrong with the new path.
    pub fn rewrite_path(&mut self, new: &[u8]) -> Result<(), TargetError> {
        if new.first() != Some(&b'/')
            || new.iter().any(|&b| b <= 0x20 || b >= 0x7F || b == b'#' || b == b'?')
        {
            return Err(TargetError::Byte);
        }
        let mut normal = Vec::with_capacity(new.len());
        path::normalise(new, &mut normal)?;
        self.path = self.fields.store(&normal);
        Ok(())
    }

    /// Replaces the query; `None` removes it with its question mark.
    ///
    /// # Errors
    /// [`TargetError::Byte`] for bytes that cannot stand in a request line.
    pub fn rewrite_query(&mut self, new: Option<&[u8]>) -> Result<(), TargetError> {
        if new.is_some_and(|q| q.iter().any(|&b| b <= 0x20 || b >= 0x7F || b == b'#')) {
            return Err(TargetError::Byte);
        }
        self.query = new.map(|q| self.fields.store(q));
        Ok(())
    }

    /// Host and port as the client wrote them; empty when it named none (HTTP/1.0).
    #[must_use]
    pub fn authority(&self) -> &[u8] {
        self.authority.of(self.fields.bytes())
    }

    /// Appends a field whose value is the authority; nothing if the client named none.
    pub fn push_authority(&mut self, id: FieldId) {
        if !self.authority().is_empty() {
            self.fields.push_span(id, self.authority);
        }
    }

    /// The host, lower case, without port and final dot; empty when the client named none.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.host.of(self.fields.bytes())
    }

    /// The port that the client wrote.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path in its normal form, edits included; `*` for `OPTIONS *`.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.path.of(self.fields.bytes())
    }

    /// The query without its question mark, edits included.
    #[must_use]
    pub fn query(&self) -> Option<&[u8]> {
        self.query.map(|q| q.of(self.fields.bytes()))
    }

    /// The path as the client sent it, for logs.
    #[must_use]
    pub fn received_path(&self) -> &[u8] {
        self.received_path.of(self.fields.bytes())
    }

    /// The query as the client sent it, for logs.
    #[must_use]
    pub fn received_query(&self) -> Option<&[u8]> {
        self.received_query.map(|q| q.of(self.fields.bytes()))
    }

    /// The target as the client sent it, in whatever form it did; path and query where it was sent in parts.
    #[must_use]
    pub fn received_target(&self) -> &[u8] {
        self.received_target.of(self.fields.bytes())
    }

    /// Whether the target is `*`: the request asks about the server as a whole.
    #[must_use]
    pub const fn is_asterisk(&self) -> bool {
        self.asterisk
    }

    /// The first cookie of that name (RFC 6265 section 4.2), without quotes taken off.
    #[must_use]
    pub fn cookie(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields.all(FieldId::Cookie).find_map(|line| {
            line.split(|&b| b == b';').find_map(|pair| {
                let pair = pair.trim_ascii();
                let equals = pair.iter().position(|&b| b == b'=')?;
                (pair[..equals].trim_ascii() == name).then(|| pair[equals + 1..].trim_ascii())
            })
        })
    }

    /// The first query parameter of that name, undecoded; empty for a name without `=`.
    #[must_use]
    pub fn query_parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.query()?.split(|&b| b == b'&').find_map(|pair| {
            let equals = pair.iter().position(|&b| b == b'=');
            let (key, value) = equals.map_or((pair, &b""[..]), |i| (&pair[..i], &pair[i + 1..]));
            (key == name).then_some(value)
        })
    }
}

/// A response's status and fields.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Protocol version of the origin, as a label; ours for answers of the house.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// The length that the head declares of a body that is not sent: the answer to HEAD, and 304
    /// (RFC 9110 section 8.6). A body that is sent carries its own length.
    pub declared_length: Option<u64>,
    /// For 101: the protocol that the origin switched to.
    pub upgrade: Option<Upgrade>,
    reason: Span,
}

impl ResponseHead {
    /// A head without fields.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        Self {
            status,
            version: Version::Http11,
            fields: Fields::new(),
            declared_length: None,
            upgrade: None,
            reason: Span { start: 0, end: 0 },
        }
    }

    /// Makes the head ready to be filled again; keeps its memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self { fields, ..Self::new(200) };
    }

    /// Says where in the loaded fields' buffer the origin's reason phrase lies.
    pub fn set_reason(&mut self, range: std::ops::Range<usize>) {
        self.reason = span(range);
    }

    /// The origin's reason phrase; empty if it gave none.
    #[must_use]
    pub fn reason(&self) -> &[u8] {
        self.reason.of(self.fields.bytes())
    }

    /// Whether a response with this status never has a body (RFC 9110 section 6.4.1).
    #[must_use]
    pub const fn is_bodiless(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(
        method: Method,
        version: Version,
        host: &[&str],
        target: &str,
    ) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead { method, version, ..RequestHead::default() };
        for host in host {
            head.fields.push(b"Host", host.as_bytes());
        }
        head.set_target(target.as_bytes()).map(|()| head)
    }

    #[test]
    fn absolute_form_wins_over_host() {
        let head =
            head(Method::Get, Version::Http11, &["b.example"], "http://A.example:81?x=1").unwrap();
        assert_eq!(head.host(), b"a.example");
        assert_eq!(head.authority(), b"A.example:81");
        assert_eq!(head.port(), Some(81));
        assert_eq!(head.path(), b"/");
        assert_eq!(head.query(), Some(&b"x=1"[..]));
        assert_eq!(head.received_target(), b"http://A.example:81?x=1");
    }

    #[test]
    fn host_rules() {
        let host = Err(HeadError::Host);
        let get = |version, hosts: &[&str]| head(Method::Get, version, hosts, "/").map(|_| ());
        assert_eq!(get(Version::Http11, &[]), host);
        assert_eq!(get(Version::Http11, &["a", "a"]), host);
        assert_eq!(get(Version::Http10, &[]), Ok(()));
        assert_eq!(get(Version::Http11, &[""]), Err(HeadError::Target(TargetError::Host)));
        assert_eq!(get(Version::Http11, &["a,b"]), Err(HeadError::Target(TargetError::Host)));
    }

    #[test]
    fn forms_belong_to_methods() {
        let check = |method, target| head(method, Version::Http11, &["a"], target).map(|_| ());
        assert_eq!(check(Method::Options, "*"), Ok(()));
        assert_eq!(check(Method::Get, "*"), Err(HeadError::Target(TargetError::Form)));
        assert_eq!(check(Method::Get, "a:80"), Err(HeadError::Target(TargetError::Form)));
        assert_eq!(check(Method::Connect, "a:80"), Ok(()));
        assert_eq!(check(Method::Get, "https://a/"), Err(HeadError::Target(TargetError::Scheme)));
    }

    #[test]
    fn what_was_received_stays_while_edits_change_the_rest() {
        let mut head = head(Method::Get, Version::Http11, &["a"], "/a/../b?q=1").unwrap();
        assert_eq!(head.path(), b"/b");
        head.rewrite_path(b"/c/./d").unwrap();
        head.rewrite_query(None).unwrap();
        assert_eq!((head.path(), head.query()), (&b"/c/d"[..], None));
        assert_eq!(head.received_path(), b"/a/../b");
        assert_eq!(head.received_query(), Some(&b"q=1"[..]));
        assert_eq!(head.received_target(), b"/a/../b?q=1");
        assert_eq!(head.rewrite_path(b"/a\r\nx"), Err(TargetError::Byte));
        assert_eq!(head.rewrite_path(b"a"), Err(TargetError::Byte));
        assert_eq!(head.rewrite_query(Some(b"a b")), Err(TargetError::Byte));
    }

    #[test]
    fn cookies_and_parameters() {
        let mut head = head(Method::Get, Version::Http11, &["a"], "/?a=1&b&a=2").unwrap();
        head.fields.push(b"Cookie", b"x=1; y = 2;z");
        head.fields.push(b"Cookie", b"w=\"4\"");
        assert_eq!(head.cookie(b"x"), Some(&b"1"[..]));
        assert_eq!(head.cookie(b"y"), Some(&b"2"[..]));
        assert_eq!(head.cookie(b"w"), Some(&b"\"4\""[..]));
        assert_eq!(head.cookie(b"z"), None);
        assert_eq!(head.query_parameter(b"a"), Some(&b"1"[..]));
        assert_eq!(head.query_parameter(b"b"), Some(&b""[..]));
        assert_eq!(head.query_parameter(b"c"), None);
    }
}
