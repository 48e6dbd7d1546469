//! A client for questions to servers that are no origin: HTTP with a bound on time and bytes.
//!
//! Over TLS, and in the clear only to this machine: what is asked here decides who somebody is, and whoever is on the
//! way could say that he is anybody. Redirects are answers and are not followed, so no server sends this client to
//! another one.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use doorman_net::tls::{ClientTls, ClientTlsOptions};
use doorman_net::{Clock, within_deadline};
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

const AGENT: &str = concat!("doorman/", env!("CARGO_PKG_VERSION"));
/// Clients for other authorities than those of the web that are kept: as many as issuers have one of their own.
const CLIENTS_MAX: usize = 16;
/// How long a connection is kept for the next question to the same server: a sign-in asks twice.
const IDLE: Duration = Duration::from_secs(10);

type Inner = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// `GET`, or `POST` where there is a form.
    pub form: Option<String>,
    /// Whom.
    pub url: String,
    /// Fields of the request, beside those that every one has.
    pub fields: Vec<(&'static str, String)>,
    /// Bytes of the answer's body that are taken at most.
    pub most: usize,
    /// How long all of it may take, connecting included.
    pub within: Duration,
    /// Whose certificates are believed; `None`: the authorities of the web.
    pub tls: Option<Arc<ClientTls>>,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, whatever it is.
    pub status: u16,
    /// `Content-Type`, as it was written.
    pub content_type: Option<String>,
    /// How long it may be kept, if it says so.
    pub max_age: Option<Duration>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The server cannot be asked, or broke off: why, in one line.
    Unreachable(String),
    /// It took longer than it may.
    Timeout,
    /// The answer is longer than it may be.
    TooLong,
}

/// Asks. Cheap to share; one for a process.
pub struct Asker {
    clock: Clock,
    web: Inner,
    /// Clients by whose certificates they believe; the one that was used last stands last.
    others: Mutex<Vec<(Weak<ClientTls>, Inner)>>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Asker {
    /// A client that believes the authorities of the web.
    ///
    /// # Errors
    ///
    /// The library of TLS says no.
    pub fn new(clock: Clock) -> Result<Self, String> {
        let mut options = ClientTlsOptions::new(Arc::new(clock));
        options.alpn = Vec::new();
        let tls = ClientTls::new(options).map_err(|error| error.to_string())?;
        Ok(Self { clock, web: client(&tls), others: Mutex::default() })
    }

    /// Asks one server once.
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub async fn ask(&self, question: Question) -> Result<Answer, AskError> {
        let client = match &question.tls {
            None => self.web.clone(),
            Some(tls) => self.other(tls),
        };
        let (most, within) = (question.most, question.within);
        let request = request(question).map_err(AskError::Unreachable)?;
        let asked = async {
            let response = client.request(request).await;
            let response = response.map_err(|error| {
                AskError::Unreachable(format!("it cannot be asked: {}", cause(&error)))
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    return AskError::TooLong;
                }
                AskError::Unreachable(format!("the answer broke off: {}", cause(&*error)))
            })?;
            let content_type = parts.headers.get(CONTENT_TYPE);
            Ok(Answer {
                status: parts.status.as_u16(),
                content_type: content_type.and_then(|kind| kind.to_str().ok()).map(str::to_owned),
                max_age: max_age(&parts.headers),
                body: body.to_bytes().to_vec(),
            })
        };
        within_deadline(self.clock, within, asked).await.unwrap_or(Err(AskError::Timeout))
    }

    fn other(&self, tls: &Arc<ClientTls>) -> Inner {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.retain(|(known, _)| known.strong_count() > 0);
        let at =
            others.iter().position(|(known, _)| std::ptr::eq(known.as_ptr(), &raw const **tls));
        let one = match at {
            Some(at) => others.remove(at),
            None => (Arc::downgrade(tls), client(tls)),
        };
        let client = one.1.clone();
        others.push(one);
        if others.len() > CLIENTS_MAX {
            others.remove(0);
        }
        client
    }
}

fn client(tls: &ClientTls) -> Inner {
    // rustls is told by the connector which protocols to offer.
    let mut config = tls.config().as_ref().clone();
    config.alpn_protocols = Vec::new();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(1);
    builder.build(connector)
}

fn request(question: Question) -> Result<Request<Full<Bytes>>, String> {
    let url: Uri = question.url.parse().map_err(|error| format!("it is no URL: {error}"))?;
    let is_secure = url.scheme_str() == Some("https");
    let is_own = url.scheme_str() == Some("http") && url.host().is_some_and(is_local);
    if !is_secure && !is_own {
        return Err("it is not asked without TLS: write an https:// URL".to_owned());
    }
    let method = if question.form.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(Full::new(Bytes::from(question.form.unwrap_or_default())));
    (*request.method_mut(), *request.uri_mut()) = (method.clone(), url);
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if method == Method::POST {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, kind);
    }
    for (name, value) in question.fields {
        let value = HeaderValue::from_str(&value);
        let value = value.map_err(|_| format!("the field {name} cannot be sent"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

/// Whether a host is this machine, by what it is called: nothing is looked up.
fn is_local(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = bare.to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}

/// How long an answer may be kept (RFC 9111 section 4.2.1): `max-age` less `Age`, and nothing where it may not be.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut max_age = None;
    for directive in lines.flat_map(|line| line.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" if max_age.is_none() => {
                let value = value.trim().trim_matches('"');
                // What cannot be read counts as stale (section 4.2.1).
                max_age = Some(value.parse::<u32>().unwrap_or(0));
            }
            _ => {}
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u32>().ok());
    let left = max_age?.saturating_sub(age.unwrap_or(0));
    Some(Duration::from_secs(u64::from(left)))
}

/// The innermost reason of an error, which is the one that helps.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_answers_may_be_kept() {
        let check = |lines: &[(HeaderName, &str)], expect: Option<u64>| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(max_age(&headers), expect.map(Duration::from_secs), "{lines:?}");
        };
        check(&[], None);
        check(&[(CACHE_CONTROL, "public")], None);
        check(&[(CACHE_CONTROL, "public, Max-Age=600, s-maxage=1")], Some(600));
        check(&[(CACHE_CONTROL, "public"), (CACHE_CONTROL, "max-age=\"60\"")], Some(60));
        check(&[(CACHE_CONTROL, "max-age=600"), (AGE, "200")], Some(400));
        check(&[(CACHE_CONTROL, "max-age=600"), (AGE, "900")], Some(0));
        check(&[(CACHE_CONTROL, "max-age=600"), (AGE, "soon")], Some(600));
        check(&[(CACHE_CONTROL, "max-age=60, max-age=600")], Some(60));
        check(&[(CACHE_CONTROL, "max-age=-1")], Some(0));
        check(&[(CACHE_CONTROL, "max-age=99999999999999999999")], Some(0));
        check(&[(CACHE_CONTROL, "max-age=600, no-store")], Some(0));
        check(&[(CACHE_CONTROL, "no-cache")], Some(0));
    }

    #[test]
    fn only_this_machine_is_asked_in_the_clear() {
        let ask = |url: &str| {
            let question = Question {
                form: None,
                url: url.to_owned(),
                fields: Vec::new(),
                most: 10,
                within: Duration::from_secs(1),
                tls: None,
            };
            request(question).is_ok()
        };
        for url in [
            "https://id.test/keys?a=b",
            "http://127.0.0.1:80/",
            "http://127.9.9.9/",
            "http://[::1]:8080/keys",
            "http://localhost/",
            "http://LocalHost/",
            "http://id.localhost:9/",
        ] {
            assert!(ask(url), "{url}");
        }
        for url in [
            "http://id.test/",
            "http://10.0.0.1/",
            "http://[2001:db8::1]/",
            "http://localhost.test/",
            "http://127.0.0.1.test/",
            "http://127.0.0.1@id.test/",
            "http://id.test#127.0.0.1",
            "http://0.0.0.0/",
            "http://[::ffff:10.0.0.1]/",
            "ftp://127.0.0.1/",
            "/keys",
            "127.0.0.1:80",
            "",
        ] {
            assert!(!ask(url), "{url}");
        }
    }
}
