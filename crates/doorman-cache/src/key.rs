//! The key of a URL: what a stored response is found by, and what `purge` names.
//!
//! A key is the host, the port, the scheme, the path and the query (RFC 9111 section 2), each ended
//! by a NUL, which none of them can hold: so no two URLs have one key, whatever they are made of. The
//! order is such that all keys of a host, and all below a path, begin with the same bytes, and those
//! of nothing else do.
//!
//! Keys are found by a hash and told apart by their bytes. The hash is seeded, so that nobody who does
//! not know the seed can fill one bucket; two keys with one hash are still two keys.

use std::fmt;

use doorman_http::target::{self, TargetError};
use doorman_http::{RequestHead, Scheme, Version, mix};

/// What keys are hashed with. One for each store, drawn when it is made.
#[derive(Clone, Copy, Debug)]
pub struct KeySeed {
    lanes: [u64; 2],
    mask: u128,
}

impl KeySeed {
    /// A seed of 128 bits.
    #[must_use]
    pub const fn new(low: u64, high: u64) -> Self {
        Self { lanes: [low, high], mask: u128::MAX }
    }

    /// The same seed with hashes of so many bits only: tests learn from it what happens to keys that
    /// share a hash. With 0 bits all keys do.
    #[must_use]
    pub const fn narrowed(self, bits: u32) -> Self {
        let mask = match 1u128.checked_shl(bits) {
            Some(bound) => bound - 1,
            None => u128::MAX,
        };
        Self { mask, ..self }
    }

    /// The hash of these bytes: two lanes that take in eight bytes at a time by a multiplication whose
    /// upper and lower half are folded together.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u128 {
        let [mut low, mut high] = self.lanes;
        let (odd, other) = (high | 1, low | 1);
        let mut take = |word: u64| {
            low = fold(low ^ word, 0x9E37_79B9_7F4A_7C15 ^ odd);
            high = fold(high.rotate_left(23) ^ word, 0xD6E8_FEB8_6659_FD93 ^ other);
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            take(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, byte) in last.iter_mut().zip(rest) {
            *to = *byte;
        }
        take(u64::from_le_bytes(last));
        // Of two texts that differ in NULs at their end only the length tells which is which.
        take(bytes.len() as u64);
        (u128::from(mix(high)) << 64 | u128::from(mix(low ^ high.rotate_left(32)))) & self.mask
    }
}

/// The product's halves, one over the other.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves, each in 64 bits")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

/// What of a query makes another URL. What is left out of the key must be left out of the request that
/// fills the cache, too ([`KeyRules::asked`]): an origin that sees it could answer by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRules {
    /// Parameters that make no difference. A name that ends in `*` stands for all that begin as it
    /// does; `*` alone for all.
    pub ignore_query: Box<[Box<[u8]>]>,
    /// If this is there, the only parameters that make a difference; written as above.
    pub only_query: Option<Box<[Box<[u8]>]>>,
    /// Whether parameters with different names make the same URL in any order. Those with one name keep
    /// theirs.
    pub sort_query: bool,
}

impl KeyRules {
    /// Whether queries are taken as they come.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.ignore_query.is_empty() && self.only_query.is_none() && !self.sort_query
    }

    fn counts(&self, parameter: &[u8]) -> bool {
        let name = name_of(parameter);
        let has = |names: &[Box<[u8]>]| names.iter().any(|pattern| is_named(pattern, name));
        !has(&self.ignore_query) && self.only_query.as_deref().is_none_or(has)
    }

    /// Appends `?` and what counts of the query; nothing if there is no query, or nothing of it counts.
    fn append(&self, query: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(query) = query else { return };
        if self.is_plain() {
            out.push(b'?');
            out.extend_from_slice(query);
            return;
        }
        let mut mark = b'?';
        let mut write = |parameter: &[u8]| {
            out.push(mark);
            out.extend_from_slice(parameter);
            mark = b'&';
        };
        let counted = query.split(|&b| b == b'&').filter(|parameter| self.counts(parameter));
        if self.sort_query {
            let mut sorted: Vec<_> = counted.collect();
            sorted.sort_by_key(|parameter| name_of(parameter));
            sorted.into_iter().for_each(&mut write);
        } else {
            counted.for_each(&mut write);
        }
    }

    /// The query that the origin must be asked with for a response that is to be stored under the key:
    /// `Some` if it differs from the one that came, with `None` in it if there is to be none.
    #[must_use]
    pub fn asked(&self, query: Option<&[u8]>) -> Option<Option<Vec<u8>>> {
        if self.is_plain() {
            return None;
        }
        let mut asked = Vec::new();
        self.append(query, &mut asked);
        let asked = if asked.is_empty() { None } else { Some(asked.split_off(1)) };
        (asked.as_deref() != query).then_some(asked)
    }
}

fn name_of(parameter: &[u8]) -> &[u8] {
    parameter.split(|&b| b == b'=').next().unwrap_or_default()
}

fn is_named(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// The key of a URL, with its hash. Its memory can be used again: [`UrlKey::set`].
#[derive(Clone, Default)]
pub struct UrlKey {
    bytes: Vec<u8>,
    hash: u128,
}

impl PartialEq for UrlKey {
    /// All bytes count; the hash only tells early that they differ.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes == other.bytes
    }
}

impl Eq for UrlKey {}

impl fmt::Debug for UrlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlKey({})", url_of(&self.bytes))
    }
}

impl UrlKey {
    /// The key of what a request asks for.
    #[must_use]
    pub fn of(head: &RequestHead, rules: &KeyRules, seed: &KeySeed) -> Self {
        let mut key = Self::default();
        key.set(head, rules, seed);
        key
    }

    /// Makes it the key of what a request asks for: of its authority, which for an absolute target is
    /// the target's (RFC 9112 section 3.2.2), and of its path in normal form.
    pub fn set(&mut self, head: &RequestHead, rules: &KeyRules, seed: &KeySeed) {
        self.bytes.clear();
        let query = head.query().map_or(0, |query| query.len() + 1);
        self.bytes.reserve(head.host().len() + head.path().len() + query + 14);
        append(head, rules, &mut self.bytes);
        self.hash = seed.hash(&self.bytes);
    }

    /// The key of a URL that somebody wrote: the one that a request for it has.
    ///
    /// # Errors
    /// It is no absolute `http` or `https` URL, or what is wrong with it.
    pub fn parse(url: &str, rules: &KeyRules, seed: &KeySeed) -> Result<Self, TargetError> {
        Ok(Self::of(&request(url)?, rules, seed))
    }

    /// The key that was written to a disk as [`UrlKey::bytes`]; `None` if they are no key.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], seed: &KeySeed) -> Option<Self> {
        let mut parts = bytes.split(|&b| b == 0);
        let (_, port) = (parts.next()?, parts.next()?);
        let (scheme, rest) = (parts.next()?, parts.next()?);
        let is_port = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
        let is_scheme = matches!(scheme, b"http" | b"https");
        let is_slice = |slice: &[u8]| !slice.is_empty() && slice.iter().all(u8::is_ascii_digit);
        let is_key = is_port
            && is_scheme
            && rest.first() == Some(&b'/')
            && parts.next().is_none_or(is_slice)
            && parts.next().is_none();
        is_key.then(|| Self { bytes: bytes.to_vec(), hash: seed.hash(bytes) })
    }

    /// The key of a slice of what this is the key of. All keys of slices begin with
    /// [`UrlKey::slices`].
    #[must_use]
    pub fn slice(&self, index: u64, seed: &KeySeed) -> Self {
        let mut bytes = self.slices();
        bytes.extend_from_slice(index.to_string().as_bytes());
        let hash = seed.hash(&bytes);
        Self { bytes, hash }
    }

    /// What the keys of all slices of this URL begin with, and no other key.
    #[must_use]
    pub fn slices(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.push(0);
        bytes
    }

    /// Whether a key is one of a slice.
    #[must_use]
    pub fn is_slice(key: &[u8]) -> bool {
        key.iter().filter(|&&byte| byte == 0).count() > 3
    }

    /// What tells it apart from every other key.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its hash; other keys may have the same.
    #[must_use]
    pub const fn hash(&self) -> u128 {
        self.hash
    }
}

fn append(head: &RequestHead, rules: &KeyRules, out: &mut Vec<u8>) {
    append_site(head.host(), head.port().filter(|&port| port != head.scheme.default_port()), out);
    out.extend_from_slice(head.scheme.as_str().as_bytes());
    out.push(0);
    out.extend_from_slice(head.path());
    rules.append(head.query(), out);
}

fn append_site(host: &[u8], port: Option<u16>, out: &mut Vec<u8>) {
    out.extend_from_slice(host);
    out.push(0);
    if let Some(port) = port {
        out.extend_from_slice(port.to_string().as_bytes());
    }
    out.push(0);
}

/// The request that a client would make for a URL.
fn request(url: &str) -> Result<RequestHead, TargetError> {
    let (name, _) = url.split_once("://").ok_or(TargetError::Form)?;
    let scheme = Scheme::from_bytes(name.as_bytes()).ok_or(TargetError::Scheme)?;
    // With this version a request needs no Host field.
    let mut head = RequestHead::default();
    (head.scheme, head.version) = (scheme, Version::Http10);
    head.set_target(url.as_bytes()).map_err(|error| match error {
        doorman_http::HeadError::Target(error) => error,
        doorman_http::HeadError::Host => TargetError::Host,
    })?;
    Ok(head)
}

/// What the keys of all URLs begin with that begin with `url`. A query in it is compared with what the
/// key rules leave of queries.
///
/// # Errors
/// As for [`UrlKey::parse`]; and [`TargetError::DotSegment`] for a path that ends in a dot segment: it
/// would stand for more than what is written there.
pub fn prefix(url: &str) -> Result<Vec<u8>, TargetError> {
    let head = request(url)?;
    let last = head.received_path().rsplit(|&b| b == b'/').next().unwrap_or_default();
    if head.query().is_none() && !last.is_empty() && head.path().ends_with(b"/") {
        return Err(TargetError::DotSegment);
    }
    let mut bytes = Vec::new();
    append(&head, &KeyRules::default(), &mut bytes);
    Ok(bytes)
}

/// What the keys of all URLs of a host begin with: on every port if none is named, by either scheme.
///
/// # Errors
/// What is wrong with the host.
pub fn site(authority: &str) -> Result<Vec<u8>, TargetError> {
    let checked = target::authority(authority.as_bytes())?;
    let host = authority.as_bytes().get(..checked.host_len).unwrap_or_default();
    let mut bytes = host.to_ascii_lowercase();
    bytes.push(0);
    if let Some(port) = checked.port {
        bytes.extend_from_slice(port.to_string().as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}

/// The URL that the bytes of a key are of, for people.
#[must_use]
pub fn url_of(key: &[u8]) -> String {
    let mut parts = key.splitn(5, |&b| b == 0).map(String::from_utf8_lossy);
    let mut part = || parts.next().unwrap_or_default();
    let (host, port, scheme, rest) = (part(), part(), part(), part());
    let colon = if port.is_empty() { "" } else { ":" };
    let url = format!("{scheme}://{host}{colon}{port}{rest}");
    match parts.next() {
        Some(slice) => format!("{url} slice {slice}"),
        None => url,
    }
}

#[cfg(test)]
mod tests;
