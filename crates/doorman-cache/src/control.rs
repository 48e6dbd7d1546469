//! `Cache-Control` of responses and requests (RFC 9111 section 5.2), read leniently and judged
//! strictly.
//!
//! What a peer wrote in a wrong way was still meant to say something: a directive that forbids holds
//! however its argument looks, and one that allows counts as "expired at once" unless its argument is
//! a whole number. So a fault in the text can make a response less fresh, never fresher.

/// The most seconds that any directive counts for: 2^31, as RFC 9111 section 1.2.2 advises.
pub const SECONDS_MAX: u32 = 1 << 31;

/// One directive of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    /// The name, as written.
    pub(crate) name: &'a [u8],
    pub(crate) argument: Argument<'a>,
}

/// What stands behind a directive's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    Absent,
    /// A token, or what stands between quotes, escapes not taken off.
    Text(&'a [u8]),
    /// Neither: all that stands behind the name.
    Malformed(&'a [u8]),
}

impl<'a> Directive<'a> {
    pub(crate) const fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The seconds of the argument, at most [`SECONDS_MAX`]; `None` if it is no whole number.
    pub(crate) fn seconds(&self) -> Option<u32> {
        match self.argument {
            Argument::Text(text) => seconds(text),
            Argument::Absent | Argument::Malformed(_) => None,
        }
    }

    /// The names in an argument that lists fields; see [`field_names`].
    pub(crate) fn field_names(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        match self.argument {
            Argument::Text(text) => field_names(text),
            Argument::Absent | Argument::Malformed(_) => None,
        }
    }
}

/// The names in a list of fields (RFC 9111 sections 5.2.2.4 and 5.2.2.7). `None` unless it holds one
/// at least and nothing but names: then the directive means the whole response.
pub(crate) fn field_names(text: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let names = || text.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|n| !n.is_empty());
    let valid = names().all(doorman_http::is_token) && names().next().is_some();
    valid.then(names)
}

/// `delta-seconds` (RFC 9111 section 1.2.2), at most [`SECONDS_MAX`].
pub(crate) fn seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let grow = |n: u32, b: &u8| (n.saturating_mul(10)).saturating_add(u32::from(b - b'0'));
    Some(text.iter().fold(0, grow).min(SECONDS_MAX))
}

/// The directives of one line of the field.
pub(crate) const fn directives(line: &[u8]) -> Directives<'_> {
    Directives { rest: line, is_broken: false }
}

/// See [`directives`].
#[derive(Clone, Debug)]
pub(crate) struct Directives<'a> {
    rest: &'a [u8],
    /// A quote was never closed. It must hide nothing that forbids, so the rest is read as if no quote
    /// meant anything; and it must show nothing that allows, so no argument counts any more.
    is_broken: bool,
}

impl<'a> Iterator for Directives<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        while !self.rest.is_empty() {
            let element = self.element().trim_ascii();
            if !element.is_empty() {
                return Some(directive(element, self.is_broken));
            }
        }
        None
    }
}

impl<'a> Directives<'a> {
    /// Takes what stands before the next comma that is outside of quotes. Every byte is looked at a
    /// fixed number of times, however many quotes there are.
    fn element(&mut self) -> &'a [u8] {
        let list = self.rest;
        let mut at = 0;
        while let Some(&byte) = list.get(at) {
            at += match byte {
                b',' => break,
                b'"' if !self.is_broken => quoted_len(&list[at..]).unwrap_or_else(|| {
                    self.is_broken = true;
                    1
                }),
                _ => 1,
            };
        }
        self.rest = list.get(at + 1..).unwrap_or_default();
        &list[..at]
    }
}

/// Bytes of the quoted string that `text` begins with, its quotes included (RFC 9110 section 5.6.4).
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn directive(element: &[u8], is_broken: bool) -> Directive<'_> {
    let name_len = element.iter().position(|&b| !is_name_byte(b)).unwrap_or(element.len());
    let (name, rest) = element.split_at(name_len);
    let argument = match rest {
        _ if is_broken => Argument::Malformed(rest),
        [] => Argument::Absent,
        [b'=', text @ ..] => argument(text),
        _ => Argument::Malformed(rest),
    };
    Directive { name, argument }
}

fn argument(text: &[u8]) -> Argument<'_> {
    if text.first() == Some(&b'"') {
        return match quoted_len(text) {
            Some(len) if len == text.len() => Argument::Text(&text[1..len - 1]),
            _ => Argument::Malformed(text),
        };
    }
    if doorman_http::is_token(text) { Argument::Text(text) } else { Argument::Malformed(text) }
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// What a response says about being stored: `Cache-Control`, or the targeted field that stands in
/// its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `max-age`; 0 if it is there with something else than a whole number, here and below.
    pub max_age: Option<u32>,
    /// `s-maxage`
    pub s_maxage: Option<u32>,
    /// `stale-while-revalidate` (RFC 5861 section 3)
    pub stale_while_revalidate: Option<u32>,
    /// `stale-if-error` (RFC 5861 section 4)
    pub stale_if_error: Option<u32>,
    /// `no-store`
    pub no_store: bool,
    /// `no-cache` about the whole response.
    pub no_cache: bool,
    /// `private` about the whole response.
    pub private: bool,
    /// `no-cache` or `private` about some fields only.
    pub lists_fields: bool,
    /// `public`
    pub public: bool,
    /// `must-revalidate`
    pub must_revalidate: bool,
    /// `proxy-revalidate`
    pub proxy_revalidate: bool,
    /// `must-understand`
    pub must_understand: bool,
    /// `immutable` (RFC 8246)
    pub immutable: bool,
    /// It comes from a targeted field (RFC 9213), which speaks to shared caches alone.
    pub targeted: bool,
}

impl Control {
    /// Reads lines of `Cache-Control`. Of directives that are there more than once the strictest holds
    /// (RFC 9111 section 4.2.1).
    pub fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut control = Self::default();
        for directive in lines.flat_map(directives) {
            control.take(&directive);
        }
        control
    }

    /// Takes one directive in; says whether it is a known one.
    pub(crate) fn take(&mut self, directive: &Directive<'_>) -> bool {
        let Some(word) = Word::of(directive.name) else { return false };
        match word {
            Word::MaxAge => keep_lowest(&mut self.max_age, directive),
            Word::SMaxage => keep_lowest(&mut self.s_maxage, directive),
            Word::StaleWhileRevalidate => {
                keep_lowest(&mut self.stale_while_revalidate, directive);
            }
            Word::StaleIfError => keep_lowest(&mut self.stale_if_error, directive),
            Word::NoCache if directive.field_names().is_some() => self.lists_fields = true,
            Word::Private if directive.field_names().is_some() => self.lists_fields = true,
            Word::NoCache => self.no_cache = true,
            Word::Private => self.private = true,
            Word::NoStore => self.no_store = true,
            Word::MustRevalidate => self.must_revalidate = true,
            Word::ProxyRevalidate => self.proxy_revalidate = true,
            // What allows more than the default holds only if it is written right. To understand is
            // to read `no-store` away, so that belongs here.
            Word::Public => self.public |= directive.argument == Argument::Absent,
            Word::MustUnderstand => self.must_understand |= directive.argument == Argument::Absent,
            Word::Immutable => self.immutable |= directive.argument == Argument::Absent,
        }
        true
    }

    /// The lifetime that the directives state for a shared cache.
    #[must_use]
    pub fn lifetime(&self) -> Option<u32> {
        self.s_maxage.or(self.max_age)
    }

    /// `no-store` holds, `must-understand` taken into account: it lets a cache that knows the status
    /// ignore `no-store` (RFC 9111 section 5.2.2.3).
    #[must_use]
    pub const fn forbids_storing(&self, status_is_understood: bool) -> bool {
        self.no_store && !(self.must_understand && status_is_understood)
    }
}

/// The directives of responses that a shared cache knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    MaxAge,
    SMaxage,
    StaleWhileRevalidate,
    StaleIfError,
    NoStore,
    NoCache,
    Private,
    Public,
    MustRevalidate,
    ProxyRevalidate,
    MustUnderstand,
    Immutable,
}

const WORDS: [(&[u8], Word); 12] = [
    (b"max-age", Word::MaxAge),
    (b"s-maxage", Word::SMaxage),
    (b"stale-while-revalidate", Word::StaleWhileRevalidate),
    (b"stale-if-error", Word::StaleIfError),
    (b"no-store", Word::NoStore),
    (b"no-cache", Word::NoCache),
    (b"private", Word::Private),
    (b"public", Word::Public),
    (b"must-revalidate", Word::MustRevalidate),
    (b"proxy-revalidate", Word::ProxyRevalidate),
    (b"must-understand", Word::MustUnderstand),
    (b"immutable", Word::Immutable),
];

impl Word {
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        WORDS.iter().find(|(word, _)| name.eq_ignore_ascii_case(word)).map(|&(_, word)| word)
    }
}

fn keep_lowest(slot: &mut Option<u32>, directive: &Directive<'_>) {
    let value = directive.seconds().unwrap_or(0);
    *slot = Some(slot.map_or(value, |before| before.min(value)));
}
