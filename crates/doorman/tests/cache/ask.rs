//! A request as a story writes it, and an answer as it reads it, whatever the wire between them.

use bytes::Bytes;
use doorman_testkit::reply::Reply;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    target: String,
    host: Option<String>,
    fields: Vec<(String, String)>,
    body: Option<String>,
}

impl Ask {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: None,
            fields: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn all(mut self, fields: &[(&str, &str)]) -> Self {
        for (name, value) in fields {
            self = self.with(name, value);
        }
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// As HTTP/1.1 sends it.
    pub(crate) fn bytes(&self, port: u16) -> String {
        let host = self.host.clone().unwrap_or_else(|| format!("localhost:{port}"));
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            head += &format!("{name}: {value}\r\n");
        }
        match &self.body {
            Some(body) => head + &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            None => head + "\r\n",
        }
    }

    pub(crate) fn request(&self, port: u16) -> http::Request<Bytes> {
        let host = self.host.clone().unwrap_or_else(|| format!("localhost:{port}"));
        let mut request = http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("https://{host}{}", self.target));
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        let body = self.body.clone().unwrap_or_default();
        request.body(Bytes::from(body)).expect("a request")
    }
}

/// An answer as a client got it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether it ended as its framing said.
    pub(crate) whole: bool,
}

impl Got {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.fields.iter().find(same).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the cache says of itself.
    pub(crate) fn said(&self) -> &str {
        self.field("cache-status").unwrap_or_default()
    }

    /// Its age as the client is told, seconds.
    pub(crate) fn age(&self) -> Option<u64> {
        self.field("age").map(|age| age.parse().unwrap_or_else(|_| panic!("no age: {age:?}")))
    }

    /// A whole 200 with this content.
    #[track_caller]
    pub(crate) fn is(&self, text: &str) {
        assert_eq!((self.status, self.text().as_str(), self.whole), (200, text, true), "{self:?}");
    }

    pub(crate) fn of_map(status: u16, map: &http::HeaderMap, body: Vec<u8>, whole: bool) -> Self {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields = map.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self { status, fields, body, whole }
    }

    pub(crate) fn of_reply(reply: Reply) -> Self {
        let whole = reply.is_complete();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let fields = reply.fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Self { status: reply.status, fields, body: reply.body, whole }
    }
}
