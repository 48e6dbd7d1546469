//! How a responder is asked: HTTP (RFC 6960 appendix A, RFC 5019 section 5) with a bound on time and bytes.
//!
//! In the clear, as the standard has it: the answer is signed, and a responder behind TLS would need an answer about
//! its own certificate first.

use std::time::Duration;

use bytes::Bytes;
use doorman_net::tls::Question;
use doorman_net::{Clock, within_deadline};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Bytes of an answer. One has one to two KiB, and with the whole chain of its signer not ten. It goes into every
/// handshake.
const ANSWER_BYTES_MAX: usize = 32 * 1024;
/// How long one answer may take, connecting included.
const ANSWER: Duration = Duration::from_secs(10);

const AGENT: &str = concat!("doorman/", env!("CARGO_PKG_VERSION"));

/// Asks responders.
#[derive(Clone)]
pub(super) struct Fetcher {
    client: Client<HttpConnector, Full<Bytes>>,
    clock: Clock,
}

impl Fetcher {
    pub(super) fn new(clock: Clock) -> Self {
        // Each is asked every few hours: a connection is not worth keeping.
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.pool_max_idle_per_host(0).build(HttpConnector::new());
        Self { client, clock }
    }

    /// What a responder sends, whatever it is.
    pub(super) async fn fetch(&self, question: Question) -> Result<Vec<u8>, String> {
        let asked = async {
            let response = self.client.request(request(question)?).await;
            let response =
                response.map_err(|error| format!("it cannot be asked: {}", cause(&error)))?;
            if response.status() != StatusCode::OK {
                return Err(format!("it answers with status {}", response.status()));
            }
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| format!("its answer broke off: {error}"))?;
            Ok(body.to_bytes().to_vec())
        };
        let late = || format!("it has not answered within {} s", ANSWER.as_secs());
        within_deadline(self.clock, ANSWER, asked).await.ok_or_else(late)?
    }
}

fn request(question: Question) -> Result<Request<Full<Bytes>>, String> {
    let Question { responder, question } = question;
    let builder = match doorman_net::tls::get_url(&responder, &question) {
        Some(url) => Request::get(url),
        None => Request::post(responder).header(CONTENT_TYPE, "application/ocsp-request"),
    };
    let is_get = builder.method_ref() == Some(&http::Method::GET);
    let body = if is_get { Bytes::new() } else { Bytes::from(question) };
    let builder = builder.header(USER_AGENT, AGENT).header(ACCEPT, "application/ocsp-response");
    builder.body(Full::new(body)).map_err(|error| format!("it cannot be asked: {error}"))
}

/// The innermost reason of an error, which is the one that helps.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}
