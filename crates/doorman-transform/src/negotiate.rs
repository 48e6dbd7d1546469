//! Which content coding an answer gets, of those that the operator offers (RFC 9110 section 12.5.3).

use doorman_http::coding::{AcceptEncoding, Coding};

/// The coding that the client likes best, and among equals the one that stands first in `offered`;
/// `None` for an answer as it is.
///
/// An answer as it is goes out if the client says nothing, takes nothing that is offered, or has
/// written that it likes `identity` better. It does, too, where the client rules out `identity` and
/// everything that is offered: to answer without a coding is what the RFC suggests then, and a client
/// that gets something it can mostly read is better served than one that gets an error.
#[must_use]
pub fn choose(accept: &AcceptEncoding, offered: &[Coding]) -> Option<Coding> {
    if accept.is_absent() {
        return None;
    }
    let mut best = None;
    // Nothing with a weight of 0 is taken.
    let mut least = accept.identity_q().max(1);
    for &coding in offered {
        let q = accept.q(coding);
        if q >= least {
            best = Some(coding);
            least = q + 1;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use doorman_http::RequestHead;

    use super::*;

    const OFFERED: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    fn chosen(lines: &[&str], offered: &[Coding]) -> Option<&'static str> {
        let mut request = RequestHead::default();
        for line in lines {
            request.fields.push(b"Accept-Encoding", line.as_bytes());
        }
        choose(&AcceptEncoding::of(&request), offered).map(Coding::token)
    }

    #[test]
    fn rfc_9110_12_5_3() {
        for (lines, expect) in [
            // What real clients send.
            (&["gzip, deflate, br, zstd"][..], Some("zstd")),
            (&["gzip, deflate, br"], Some("br")),
            (&["gzip, deflate"], Some("gzip")),
            (&["gzip"], Some("gzip")),
            (&["deflate, gzip;q=1.0, *;q=0.5"], Some("gzip")),
            // The examples of the section.
            (&["compress, gzip"], Some("gzip")),
            (&[""], None),
            (&["*"], Some("zstd")),
            (&["compress;q=0.5, gzip;q=1.0"], Some("gzip")),
            (&["gzip;q=1.0, identity; q=0.5, *;q=0"], Some("gzip")),
            // Nothing said.
            (&[], None),
            // Weights go before the server's order, which decides among equals.
            (&["zstd;q=0.5, br;q=0.8, gzip;q=0.7"], Some("br")),
            (&["zstd;q=0.8, br;q=0.8, gzip;q=0.8"], Some("zstd")),
            (&["gzip, br;q=0.999"], Some("gzip")),
            (&["gzip;q=0.001"], Some("gzip")),
            (&["gzip;q=0.001, br;q=0.002"], Some("br")),
            (&["gzip;q=1.000, zstd;q=1"], Some("zstd")),
            (&["br;q=0, gzip;q=0, zstd;q=0"], None),
            (&["gzip;q=0.000, br"], Some("br")),
            // The thing itself wins only where that is said.
            (&["identity"], None),
            (&["identity, gzip"], Some("gzip")),
            (&["identity;q=1, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some("gzip")),
            (&["identity;q=0.3, gzip;q=0.5"], Some("gzip")),
            (&["identity;q=0, gzip;q=0.5"], Some("gzip")),
            // It is ruled out, and nothing that is offered fits: as it is, all the same.
            (&["identity;q=0"], None),
            (&["*;q=0"], None),
            (&["compress, *;q=0"], None),
            (&["identity;q=0, deflate"], None),
            (&["*;q=0, gzip;q=0.1"], Some("gzip")),
            // What is not named is what `*` says.
            (&["*;q=0.5"], Some("zstd")),
            (&["gzip, *;q=0.5"], Some("gzip")),
            (&["gzip;q=0.5, *"], Some("zstd")),
            (&["*, zstd;q=0"], Some("br")),
            (&["*;q=0.5, identity;q=0.7"], None),
            // Names and lines.
            (&["X-GZip"], Some("gzip")),
            (&["BR"], Some("br")),
            (&["gzip", "br"], Some("br")),
            (&["gzip", "", "zstd;q=0.1"], Some("gzip")),
            // What cannot be read is not there.
            (&["gzip;q=2"], None),
            (&["gzip;q=abc, br"], Some("br")),
            (&["g zip, br;;, zstd;q=0.0001"], None),
            (&["\u{1f4a9}"], None),
            (&[",,, ,gzip,,"], Some("gzip")),
            (&["gzip;level=9"], Some("gzip")),
        ] {
            assert_eq!(chosen(lines, &OFFERED), expect, "{lines:?}");
        }
    }

    #[test]
    fn nothing_is_chosen_that_is_not_offered() {
        assert_eq!(chosen(&["gzip, br, zstd"], &[]), None);
        assert_eq!(chosen(&["gzip, br;q=0.5, zstd"], &[Coding::Brotli]), Some("br"));
        assert_eq!(chosen(&["*"], &[Coding::Gzip, Coding::Zstd]), Some("gzip"));
        assert_eq!(chosen(&["zstd"], &[Coding::Gzip, Coding::Brotli]), None);
    }
}
