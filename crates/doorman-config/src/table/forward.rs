//! The directive that asks another server.

use super::Kind::{Any, Choice, Duration, Field};
use super::Within::ForwardAuth;
use super::options::OPTIONS_WITHIN;
use super::{Directive, one, some};

pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "forward-auth",
        OPTIONS_WITHIN,
        &[one("TARGET|off", Any("http://HOST[:PORT][/PATH] or https://, or an upstream's name and a path such as auth/verify, or off"))],
        "Ask another server about each request, without its body: with 2xx it goes on, and 401, 403 and redirections to a place go to the client. Anything else, and no answer in time, refuse it. It is asked in any case, beside what basic-auth, api-key and jwt say. A nearer block replaces one of the site or a policy as a whole; off ends it.",
        "forward-auth http://127.0.0.1:9091/verify response-header Remote-User Remote-Groups",
    )
    .block(ForwardAuth)
    .default("off"),
    Directive::new("request-header", &[ForwardAuth], &[some("NAME", Field)], "The only fields of the request that it sees, beside X-Forwarded-Method, -Proto, -Host, -Uri and -For.", "request-header Cookie Authorization")
        .often()
        .default("all"),
    Directive::new("response-header", &[ForwardAuth], &[some("NAME", Field)], "Fields of its answer that the upstream sees. What clients send under these names never reaches an upstream.", "response-header Remote-User")
        .often()
        .default("none"),
    Directive::new("user", &[ForwardAuth], &[one("NAME", Field)], "The field of its answer that says who asks: for the log, and for limits by user.", "user Remote-User")
        .default("nobody is known"),
    Directive::new("method", &[ForwardAuth], &[one("GET|same", Choice(&["GET", "same"], &[]))], "The method it is asked with: GET, or that of the request.", "method same")
        .default("GET"),
    Directive::new("timeout", &[ForwardAuth], &[one("TIME", Duration)], "How long it may take before the request is answered 503, up to 1m.", "timeout 5s")
        .default("5s"),
];
