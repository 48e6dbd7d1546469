//! How an authority is spoken to: HTTPS with a bound on time and bytes, and what it says about haste kept.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use doorman_net::tls::{ClientTls, ClientTlsOptions, Roots};
use doorman_net::{Clock, within_deadline};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

/// Bytes of an answer. A chain has less than ten KiB.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long one answer may take, connecting included.
const ANSWER: Duration = Duration::from_secs(30);
/// The most of an answer that is no problem document which is passed on in words.
const WORDS_MAX: usize = 200;
/// The longest that an authority is believed to want to be left alone, in seconds: a week.
const RETRY_AFTER_MAX: u64 = 7 * 24 * 3600;

/// When to ask for renewal information again if the authority does not say, in seconds (RFC 9773 section 4.3.2).
pub(super) const ASK_AGAIN: u64 = 6 * 3600;

const AGENT: &str = concat!("doorman/", env!("CARGO_PKG_VERSION"), " instant-acme");

tokio::task_local! {
    /// What the last refusal of the order at hand said about when to come again, in seconds.
    static HEARD: Cell<Option<u64>>;
}

/// Runs an order; also gives what a refusal said about when to come again.
pub(super) async fn listening<T>(order: impl Future<Output = T>) -> (T, Option<u64>) {
    HEARD
        .scope(Cell::new(None), async {
            let result = order.await;
            (result, HEARD.with(Cell::get))
        })
        .await
}

/// A client for one authority.
#[derive(Clone)]
pub(super) struct Https {
    inner: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
    clock: Clock,
}

impl Https {
    pub(super) fn new(roots: Roots, clock: Clock) -> Result<Self, String> {
        let mut options = ClientTlsOptions::new(Arc::new(clock));
        options.roots = roots;
        options.alpn = Vec::new();
        let tls = ClientTls::new(options).map_err(|error| error.to_string())?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.config().as_ref().clone())
            .https_only()
            .enable_http1()
            .build();
        let inner = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { inner, clock })
    }
}

/// A client that asks whether a name may have a certificate.
#[derive(Clone)]
pub(super) struct Asker {
    inner: Client<HttpsConnector<HttpConnector>, http_body_util::Empty<Bytes>>,
    clock: Clock,
}

/// How long the answer may take: a handshake waits for it.
const ASKED: Duration = Duration::from_secs(5);

impl Asker {
    pub(super) fn new(clock: Clock) -> Result<Self, String> {
        let mut options = ClientTlsOptions::new(Arc::new(clock));
        options.alpn = Vec::new();
        let tls = ClientTls::new(options).map_err(|error| error.to_string())?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.config().as_ref().clone())
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { inner: Client::builder(TokioExecutor::new()).build(connector), clock })
    }

    /// Whether `url` says yes to a name: status 200, and nothing else.
    pub(super) async fn may(&self, url: &str, name: &str) -> Result<bool, String> {
        // A host name needs no escapes in a query.
        let sign = if url.contains('?') { '&' } else { '?' };
        let request = Request::get(format!("{url}{sign}domain={name}"))
            .header(USER_AGENT, AGENT)
            .body(http_body_util::Empty::new())
            .map_err(|error| error.to_string())?;
        let asked = within_deadline(self.clock, ASKED, self.inner.request(request)).await;
        let answer = asked.ok_or_else(|| format!("{url} has not answered in time"))?;
        let answer = answer.map_err(|error| format!("{url} cannot be asked: {}", cause(&error)))?;
        Ok(answer.status() == http::StatusCode::OK)
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let (client, clock) = (self.inner.clone(), self.clock);
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let is_get = request.method() == Method::GET;
        Box::pin(async move {
            let asked = async {
                let response = client.request(request).await.map_err(|error| {
                    let cause = cause(&error);
                    Error::Other(format!("cannot ask {host}: {cause}").into())
                })?;
                let (parts, body) = response.into_parts();
                let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
                let body = body.map_err(|error| {
                    Error::Other(format!("the answer of {host} broke off: {error}").into())
                })?;
                Ok::<_, Error>((parts, body.to_bytes()))
            };
            let answer = within_deadline(clock, ANSWER, asked).await;
            let late = || {
                let seconds = ANSWER.as_secs();
                Error::Other(format!("{host} has not answered within {seconds} s").into())
            };
            let (mut parts, body) = answer.ok_or_else(late)??;
            // The library adds this to the time and would panic at more than a clock can hold.
            let now = clock.now().unix_seconds();
            let wait = parts.headers.get(RETRY_AFTER).and_then(|value| seconds(value, now));
            if let Some(wait) = wait {
                parts.headers.insert(RETRY_AFTER, HeaderValue::from(wait));
            } else if is_get {
                // Renewal information without it is worth reading too; the library insists.
                parts.headers.insert(RETRY_AFTER, HeaderValue::from(ASK_AGAIN));
            } else {
                parts.headers.remove(RETRY_AFTER);
            }
            if parts.status.is_client_error() || parts.status.is_server_error() {
                let _ = HEARD.try_with(|heard| heard.set(wait));
                let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                if !kind.is_some_and(|kind| kind.contains("json")) {
                    let words = words(&body);
                    let told = format!("{host} answers with status {}{words}", parts.status);
                    return Err(Error::Other(told.into()));
                }
            }
            Ok(Response::from_parts(parts, whole(body)).into())
        })
    }
}

fn whole(body: Bytes) -> http_body_util::Full<Bytes> {
    http_body_util::Full::new(body)
}

/// `Retry-After` in seconds from `now`: a number of them, or a date (RFC 9110 section 10.2.3). One that is past means
/// at once.
fn seconds(value: &HeaderValue, now: u64) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse::<u64>().unwrap_or(u64::MAX)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        let date = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
        date.saturating_sub(now)
    };
    Some(seconds.min(RETRY_AFTER_MAX))
}

/// The innermost reason of an error, which is the one that helps.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// The beginning of a body, as far as it is text.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(WORDS_MAX)]);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after() {
        let check = |text: &str, expect: Option<u64>| {
            let value = HeaderValue::from_str(text).unwrap();
            // 1994-11-06 08:49:00 UTC.
            assert_eq!(seconds(&value, 784_111_740), expect, "{text}");
        };
        check("30", Some(30));
        check(" 30 ", Some(30));
        check("99999999999999999999999", Some(RETRY_AFTER_MAX));
        check("18446744073709551615", Some(RETRY_AFTER_MAX));
        check("-1", None);
        check("", None);
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(37));
        check("Sun Nov  6 08:49:37 1994", Some(37));
        check("Sun, 06 Nov 1994 08:48:59 GMT", Some(0));
        check("Fri, 31 Dec 1999 23:59:59 GMT", Some(RETRY_AFTER_MAX));
        check("Sun, 06 Nov 1994 08:49:37 CET", None);
        check("Sun, 99 Nov 1994 08:49:37 GMT", None);
        check("soon", None);
    }

    #[test]
    fn words_of_a_body() {
        assert_eq!(words(b""), "");
        assert_eq!(words(b"\x1b[31mred\n"), ": [31mred");
        assert_eq!(words(&[b'a'; 500]).len(), WORDS_MAX + 2);
        assert_eq!(words(&[0xff]), ": \u{fffd}");
    }
}
