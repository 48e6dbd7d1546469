//! The content of an answer that the proxy gives itself because something failed.
//!
//! It says what happened and which id to name when asking for help, and nothing of what stands
//! behind the proxy. It loads nothing from anywhere.

use bytes::Bytes;

/// Content of an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub body: Bytes,
}

/// The content for a status: HTML if `accept` (the request's `Accept`, RFC 9110 section 12.5.1)
/// names it and does not like plain text better, else plain text.
#[must_use]
pub fn error_page(status: u16, request_id: &str, accept: Option<&[u8]>) -> Page {
    if accept.is_some_and(likes_html) {
        html(status, request_id)
    } else {
        plain(status, request_id)
    }
}

fn plain(status: u16, request_id: &str) -> Page {
    let text = format!("{status} {}\nRequest id: {request_id}\n", reason(status));
    Page { content_type: "text/plain; charset=utf-8", body: text.into() }
}

fn html(status: u16, request_id: &str) -> Page {
    let (reason, advice) = (reason(status), advice(status));
    // An id may come from a trusted proxy's own field, so it is not taken for clean.
    let request_id = escape(request_id);
    let text = format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{status} {reason}</title>\n\
         <style>{STYLE}</style>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <h1>{status} {reason}</h1>\n\
         <p>{advice}</p>\n\
         <p>Request id: <code>{request_id}</code></p>\n\
         </main>\n\
         </body>\n\
         </html>\n"
    );
    Page { content_type: "text/html; charset=utf-8", body: text.into() }
}

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:1.1rem/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}\
    main{max-width:38rem;padding:2rem}h1{font-size:1.6rem;line-height:1.25}code{overflow-wrap:anywhere}";

/// What a visitor can do about it.
const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "You are not allowed to see this page.",
        404 | 410 => "There is nothing at this address. Check it for a typing mistake.",
        413 => "What you sent is larger than this site takes.",
        429 => "You have sent many requests in a short time. Wait a little and try again.",
        408 => "Your request took too long to arrive. Try again.",
        502..=504 => "The site does not answer at the moment. Try again in a few minutes.",
        _ if status / 100 == 4 => "This request cannot be answered as it was sent.",
        _ => "Something went wrong on our side. Try again in a few minutes.",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn likes_html(accept: &[u8]) -> bool {
    let (mut html, mut plain) = (0, 0);
    for range in accept.split(|&b| b == b',') {
        let mut parts = range.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let media = parts.next().unwrap_or_default();
        let quality = parts.find_map(quality).unwrap_or(1_000);
        if media.eq_ignore_ascii_case(b"text/html")
            || media.eq_ignore_ascii_case(b"application/xhtml+xml")
        {
            html = html.max(quality);
        } else if media.eq_ignore_ascii_case(b"text/plain") {
            plain = plain.max(quality);
        }
    }
    html > 0 && html >= plain
}

/// A `q` in thousandths (RFC 9110 section 12.4.2); one that cannot be read counts as 0.
fn quality(parameter: &[u8]) -> Option<u32> {
    let [b'q' | b'Q', b'=', value @ ..] = parameter else { return None };
    Some(match value {
        [b'1', ..] => 1_000,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 => {
            let padded = digits.iter().copied().chain([b'0'; 3]).take(3);
            padded.fold(0, |n, b| n * 10 + u32::from(b.wrapping_sub(b'0').min(9)))
        }
        _ => 0,
    })
}

/// The reason phrase of a status (RFC 9110 section 15 and the IANA registry); a general word for
/// one that is not registered.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => match status / 100 {
            1 => "Informational",
            2 => "Success",
            3 => "Redirection",
            4 => "Client Error",
            _ => "Server Error",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_for_who_asks_for_it() {
        for (accept, html) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("application/json"), false),
            (Some("TEXT/HTML;level=1;q=0.5, text/plain;q=0.4"), true),
            (Some("text/html;q=0.5, text/plain"), false),
            (Some("text/html;q=0"), false),
            (Some("text/html;q=0.000"), false),
            (Some("text/html;q=x"), false),
            (Some(""), false),
        ] {
            let page = error_page(502, "id", accept.map(str::as_bytes));
            assert_eq!(page.content_type.starts_with("text/html"), html, "{accept:?}");
        }
    }

    #[test]
    fn pages_name_status_and_id_and_load_nothing() {
        let page = error_page(404, "<b>&\"'", Some(b"text/html"));
        let text = std::str::from_utf8(&page.body).unwrap();
        assert!(text.contains("<h1>404 Not Found</h1>"));
        assert!(text.contains("<code>&lt;b&gt;&amp;&quot;&#39;</code>"));
        assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"));
        for outside in ["http:", "https:", "src=", "href=", "url(", "<script"] {
            assert!(!text.contains(outside), "{outside}");
        }
        let page = error_page(502, "7c", None);
        assert_eq!(&*page.body, b"502 Bad Gateway\nRequest id: 7c\n");
    }

    #[test]
    fn every_status_has_a_reason_and_advice() {
        for status in 100..=600 {
            assert!(!reason(status).is_empty() && !advice(status).is_empty());
        }
    }
}
