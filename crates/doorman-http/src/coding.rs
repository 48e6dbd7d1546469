//! Content codings, and the one reader of `Accept-Encoding` (RFC 9110 sections 8.4 and 12.5.3).
//!
//! What a client takes is read in one pass into a few numbers, without memory and whatever the length of
//! the field. Everything that asks what may be sent asks these numbers, so that no two parts of the proxy
//! understand one field in two ways. Elements that cannot be read count as if they were not there.

use crate::{FieldId, RequestHead, is_token};

/// A content coding that the proxy writes and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `br`, Brotli (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878).
    Zstd,
}

impl Coding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gzip, Self::Brotli, Self::Zstd];

    /// The coding's name in `Content-Encoding` and `Accept-Encoding`.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of that name, whatever its case. `x-gzip` is `gzip` (RFC 9110 section 8.4.1.3).
    #[must_use]
    pub const fn parse(token: &[u8]) -> Option<Self> {
        match token.len() {
            2 if token.eq_ignore_ascii_case(b"br") => Some(Self::Brotli),
            4 if token.eq_ignore_ascii_case(b"gzip") => Some(Self::Gzip),
            4 if token.eq_ignore_ascii_case(b"zstd") => Some(Self::Zstd),
            6 if token.eq_ignore_ascii_case(b"x-gzip") => Some(Self::Gzip),
            _ => None,
        }
    }
}

/// A weight of 1, in thousandths (RFC 9110 section 12.4.2).
pub const WEIGHT_MAX: u16 = 1000;

/// What browsers and tools of these years send: read by one comparison each.
const USUAL: [(&[u8], AcceptEncoding); 4] = [
    (b"gzip, deflate, br, zstd", AcceptEncoding::of_all([true, true, true])),
    (b"gzip, deflate, br", AcceptEncoding::of_all([true, true, false])),
    (b"gzip, deflate", AcceptEncoding::of_all([true, false, false])),
    (b"gzip", AcceptEncoding::of_all([true, false, false])),
];

/// Which codings a client takes, and how much it likes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptEncoding {
    is_absent: bool,
    /// By the order of [`Coding::ALL`]; `None` for what is not named.
    named: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// What `*` says.
    others: Option<u16>,
}

impl AcceptEncoding {
    /// What a request says.
    #[must_use]
    pub fn of(request: &RequestHead) -> Self {
        if !request.fields.has(FieldId::AcceptEncoding) {
            return Self { is_absent: true, ..Self::of_all([false; 3]) };
        }
        let mut lines = request.fields.all(FieldId::AcceptEncoding);
        if let (Some(line), None) = (lines.next(), lines.next())
            && let Some((_, said)) = USUAL.iter().find(|(usual, _)| *usual == line)
        {
            return *said;
        }
        let mut said = Self::of_all([false; 3]);
        for (token, weight) in accepted_codings(request) {
            let place = match Coding::parse(token) {
                Some(coding) => &mut said.named[coding as usize],
                None if token == b"*" => &mut said.others,
                None if token.eq_ignore_ascii_case(b"identity") => &mut said.identity,
                None => continue,
            };
            // Said twice, the lower counts: a client gets nothing that it might not read.
            *place = Some(place.map_or(weight, |before| before.min(weight)));
        }
        said
    }

    /// These named with the weight of 1, and nothing else said.
    const fn of_all(named: [bool; 3]) -> Self {
        let mut said = Self { is_absent: false, named: [None; 3], identity: None, others: None };
        let mut at = 0;
        while at < named.len() {
            if named[at] {
                said.named[at] = Some(WEIGHT_MAX);
            }
            at += 1;
        }
        said
    }

    /// Whether the client said nothing at all. By the letter it takes any coding then; those who send no
    /// field are tools that read none.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// How much the client likes a coding, in thousandths; 0 for one that it does not take.
    #[must_use]
    pub fn q(&self, coding: Coding) -> u16 {
        if self.is_absent {
            return WEIGHT_MAX;
        }
        self.named[coding as usize].or(self.others).unwrap_or(0)
    }

    /// How much the client likes content that is not coded, in thousandths; 0 if it does not take it.
    /// What is not named is taken unless `*;q=0` rules it out, but nobody asked for it: it weighs as
    /// little as can be said.
    #[must_use]
    pub fn identity_q(&self) -> u16 {
        match (self.identity, self.others) {
            (Some(weight), _) => weight,
            (None, Some(0)) => 0,
            (None, _) => 1,
        }
    }
}

/// The codings that a request names, as they are written, each with its weight in thousandths; `*` and
/// `identity` are among them.
pub fn accepted_codings(request: &RequestHead) -> impl Iterator<Item = (&[u8], u16)> {
    let lines = request.fields.all(FieldId::AcceptEncoding);
    lines.flat_map(|line| line.split(|&b| b == b',')).filter_map(element)
}

fn element(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = element.split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let coding = parts.next().filter(|coding| is_token(coding))?;
    let mut q = WEIGHT_MAX;
    for parameter in parts {
        let (name, value) = parameter.split_at_checked(2)?;
        if name.eq_ignore_ascii_case(b"q=") {
            q = weight(value)?;
        }
    }
    Some((coding, q))
}

/// A weight in thousandths, as all fields of negotiation write it; `None` if it is no weight (RFC 9110
/// section 12.4.2).
#[must_use]
pub fn weight(text: &[u8]) -> Option<u16> {
    let (whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    match whole {
        b'0' if digits.iter().all(u8::is_ascii_digit) => {
            let places = [100, 10, 1].into_iter().zip(digits);
            Some(places.map(|(place, digit)| place * u16::from(digit - b'0')).sum())
        }
        b'1' if digits.iter().all(|&b| b == b'0') => Some(WEIGHT_MAX),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(lines: &[&str]) -> RequestHead {
        let mut request = RequestHead::default();
        for line in lines {
            request.fields.push(b"Accept-Encoding", line.as_bytes());
        }
        request
    }

    /// Weights of gzip, br, zstd and the thing itself.
    fn check(lines: &[&str], expect: [u16; 4]) {
        let said = AcceptEncoding::of(&request(lines));
        let got = Coding::ALL.map(|coding| said.q(coding));
        assert_eq!([got[0], got[1], got[2], said.identity_q()], expect, "{lines:?}");
        assert!(!said.is_absent());
    }

    #[test]
    fn weights() {
        check(&["gzip, deflate, br, zstd"], [1000, 1000, 1000, 1]);
        check(&["gzip"], [1000, 0, 0, 1]);
        check(&["br;q=1.0, gzip;q=0.8, *;q=0.1"], [800, 1000, 100, 1]);
        check(&["GZip ; Q=0.5,BR;q=0.25"], [500, 250, 0, 1]);
        check(&["x-gzip;q=0.3"], [300, 0, 0, 1]);
        check(&["X-GZIP"], [1000, 0, 0, 1]);
        check(&["gzip;q=0.001"], [1, 0, 0, 1]);
        check(&["gzip;q=0.05, br;q=0.50, zstd;q=1."], [50, 500, 1000, 1]);
        check(&["gzip;q=0, br;q=0.0, zstd;q=0.000"], [0, 0, 0, 1]);
        check(&["*"], [1000, 1000, 1000, 1]);
        check(&["*, br;q=0"], [1000, 0, 1000, 1]);
        check(&["*;q=0"], [0, 0, 0, 0]);
        check(&["*;q=0, gzip"], [1000, 0, 0, 0]);
        check(&["*;q=0, identity"], [0, 0, 0, 1000]);
        check(&["*;q=0, identity;q=0.2"], [0, 0, 0, 200]);
        check(&["identity;q=0"], [0, 0, 0, 0]);
        check(&["identity;q=0.5, gzip;q=0.4"], [400, 0, 0, 500]);
        check(&["IDENTITY"], [0, 0, 0, 1000]);
        check(&[""], [0, 0, 0, 1]);
        check(&[" , ,"], [0, 0, 0, 1]);
        check(&["gzip", "br;q=0.5"], [1000, 500, 0, 1]);
        check(&["gzip", "gzip;q=0"], [0, 0, 0, 1]);
        check(&["gzip, x-gzip;q=0.1"], [100, 0, 0, 1]);
        check(&["*;q=0.5", "*;q=0.2"], [200, 200, 200, 1]);
        check(&["foo, compress, deflate;q=0.5"], [0, 0, 0, 1]);
        check(&["gzip;a=b;q=0.5"], [500, 0, 0, 1]);
        // What is no weight takes its element with it.
        check(&["gzip;q=2, br;q=, zstd;q=0.0000"], [0, 0, 0, 1]);
        check(&["gzip;q=1.001, br;q=-1, zstd;q=.5"], [0, 0, 0, 1]);
        check(&["gzip;q, br; q=0.5, gz ip, zstd;q=0.5x"], [0, 500, 0, 1]);
        check(&["gzip;q=0\u{a0}.5, \u{80}br, zstd"], [0, 0, 1000, 1]);
    }

    #[test]
    fn nothing_said_takes_anything() {
        let said = AcceptEncoding::of(&request(&[]));
        assert!(said.is_absent());
        assert_eq!(Coding::ALL.map(|coding| said.q(coding)), [WEIGHT_MAX; 3]);
        assert_eq!(said.identity_q(), 1);
    }

    #[test]
    fn what_is_usual_is_read_as_it_would_be_else() {
        for (usual, said) in USUAL {
            let text = std::str::from_utf8(usual).unwrap();
            assert_eq!(AcceptEncoding::of(&request(&[text])), said, "{text}");
            assert_eq!(AcceptEncoding::of(&request(&[text, ""])), said, "{text}");
            assert_ne!(AcceptEncoding::of(&request(&[text, "gzip;q=0"])), said, "{text}");
        }
    }

    #[test]
    fn tokens_are_those_of_the_registry() {
        for coding in Coding::ALL {
            assert_eq!(Coding::parse(coding.token().as_bytes()), Some(coding));
            assert_eq!(Coding::parse(coding.token().to_uppercase().as_bytes()), Some(coding));
            assert_eq!(Coding::ALL[coding as usize], coding);
        }
        for token in ["", "*", "identity", "deflate", "brotli", "gzi", "x-br", "zstd "] {
            assert_eq!(Coding::parse(token.as_bytes()), None, "{token}");
        }
    }

    #[test]
    fn cde_12_long_fields_are_read_in_one_pass() {
        for piece in ["gzip;q=0.5,", ",", ";", "*;q=0,", "identity;;q=,", "\u{80}"] {
            let line = piece.repeat(20_000);
            let _ = AcceptEncoding::of(&request(&[&line, &line]));
        }
    }

    proptest! {
        #[test]
        fn cde_12_no_field_panics(
            value in prop::collection::vec(any::<u8>(), 0..60),
            text in "[gzipbr*;q=01., x-]{0,60}",
        ) {
            let mut request = RequestHead::default();
            request.fields.push(b"Accept-Encoding", &value);
            request.fields.push(b"Accept-Encoding", text.as_bytes());
            let said = AcceptEncoding::of(&request);
            for coding in Coding::ALL {
                prop_assert!(said.q(coding) <= WEIGHT_MAX);
            }
        }

        /// A weight that is written is the weight that is read.
        #[test]
        fn weights_are_read_exactly(weight in 0..=WEIGHT_MAX) {
            let text = format!("br;q={}.{:03}", weight / 1000, weight % 1000);
            prop_assert_eq!(AcceptEncoding::of(&request(&[&text])).q(Coding::Brotli), weight);
        }
    }
}
