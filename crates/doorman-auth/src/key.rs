//! API keys, in a field or in the query.
//!
//! One decision shaped this gate: keys are long and made by chance, unlike passwords, so one plain SHA-256 is
//! enough to store them, and a key is found by its hash: as fast among a hundred thousand as among three, and
//! in a time that says nothing of how much of a key was right.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use doorman_http::{FieldId, Fields, is_token};
use sha2::{Digest, Sha256};

use crate::basic::of_scheme;
use crate::lines::{self, BadLines};
use crate::outcome::{Challenge, Identity, Outcome, RealmError, Refusal, Scheme, Via};

/// Longest key, bytes.
pub const KEY_MAX: usize = 512;
/// Most keys of one gate.
pub const KEYS_MAX: usize = 1_000_000;
/// Longest name of a key, bytes.
pub const NAME_MAX: usize = 256;
/// The field that keys are in unless another is named.
pub const HEADER: &str = "X-Api-Key";

/// Keys by their hash.
#[derive(Clone, Default)]
pub struct Keys {
    by_hash: HashMap<[u8; 32], Arc<Identity>>,
}

/// How many there are is no secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.by_hash.len())
    }
}

/// Why a key is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The name is empty, too long, holds a colon or a control character.
    Name,
    /// The hash is not `sha256:` and 64 hexadecimal digits.
    Hash,
    /// It is the hash of nothing, which anybody has.
    Empty,
    /// The same key is there already, under this name.
    Twice(Box<str>),
    /// There are [`KEYS_MAX`] already.
    TooMany,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "the key's name is empty, longer than {NAME_MAX} bytes, or holds a colon or a control character; \
                 choose another"
            ),
            Self::Hash => f.write_str(
                "the key's hash is not sha256: and 64 hexadecimal digits; make one with `doorman hash --key`",
            ),
            Self::Empty => {
                f.write_str("the hash is that of no key at all; make one with `doorman hash --key`")
            }
            Self::Twice(name) => {
                write!(f, "the same key is there already, as {name:?}; take one of the two out")
            }
            Self::TooMany => write!(f, "there are {KEYS_MAX} keys already; take some out"),
        }
    }
}

impl std::error::Error for KeyError {}

impl Keys {
    /// No key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key by its hash, `sha256:HEX`. A name may have several, so that one can follow the other.
    ///
    /// # Errors
    /// Name or hash is not taken; nothing changes then.
    pub fn add(&mut self, name: &str, hash: &str) -> Result<(), KeyError> {
        if name.len() > NAME_MAX || name.contains(':') {
            return Err(KeyError::Name);
        }
        let identity = Identity::named(name, Via::Key).ok_or(KeyError::Name)?;
        let hash = hash.strip_prefix("sha256:").and_then(unhex).ok_or(KeyError::Hash)?;
        if hash == hash_of(b"") {
            return Err(KeyError::Empty);
        }
        let is_full = self.by_hash.len() >= KEYS_MAX;
        match self.by_hash.entry(hash) {
            Entry::Occupied(there) => Err(KeyError::Twice(there.get().user.clone())),
            Entry::Vacant(_) if is_full => Err(KeyError::TooMany),
            Entry::Vacant(place) => {
                place.insert(Arc::new(identity));
                Ok(())
            }
        }
    }

    /// Adds the keys of a file: `name:sha256:HEX` a line. Empty lines and those that start with `#` are passed
    /// over.
    ///
    /// # Errors
    /// All lines that hold none; the others are added all the same.
    pub fn add_file(&mut self, text: &[u8]) -> Result<(), BadLines> {
        lines::each(text, |_, line| {
            let Some((name, hash)) = line.split_once(':') else {
                return Err("has no colon; write it as name:sha256:HEX".to_owned());
            };
            self.add(name, hash).map_err(|why| why.to_string())
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Whether there is none, so that nobody can come in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Whose key this is. Looked up by its hash: what a clock could tell is how far two hashes agree, and
    /// nobody can choose a hash.
    fn find(&self, key: &[u8]) -> Option<&Arc<Identity>> {
        self.by_hash.get(&hash_of(key))
    }
}

fn hash_of(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// A new key out of 32 bytes of chance, and its hash as a file holds it.
#[must_use]
pub fn make(chance: &[u8; 32]) -> (String, String) {
    let key = Base64UrlUnpadded::encode_string(chance);
    let hash = stored(key.as_bytes());
    (key, hash)
}

/// The hash of a key as a file holds it: `sha256:HEX`.
#[must_use]
pub fn stored(key: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in hash_of(key) {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Where a key is looked for. One of them at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    header: Option<Box<str>>,
    query: Option<Box<str>>,
}

impl Places {
    /// In the field of this name, and in the parameter of this name in the query. Where the field is
    /// `Authorization`, the key stands behind the scheme `ApiKey` or `Bearer`. `None`: there is no place at
    /// all, or the field's name is not a token, or the parameter's is empty.
    #[must_use]
    pub fn new(header: Option<&str>, query: Option<&str>) -> Option<Self> {
        let valid = header.is_none_or(|name| is_token(name.as_bytes()))
            && query.is_none_or(|name| !name.is_empty())
            && (header.is_some() || query.is_some());
        valid.then(|| Self { header: header.map(Into::into), query: query.map(Into::into) })
    }
}

/// The gate.
#[derive(Debug)]
pub struct ApiKey {
    keys: Keys,
    places: Places,
    challenge: Challenge,
}

impl ApiKey {
    /// A gate for these keys, looked for in these places.
    ///
    /// # Errors
    /// The realm cannot be one.
    pub fn new(keys: Keys, places: Places, realm: &str) -> Result<Self, RealmError> {
        Ok(Self { keys, places, challenge: Challenge::new(Scheme::ApiKey, realm)? })
    }

    /// What clients are asked for; see [`Refusal::challenge`].
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Says who asks. `query` is the target's, without its question mark. Never work.
    pub fn check(&self, fields: &Fields, query: Option<&[u8]>) -> Outcome {
        match self.find(fields, query) {
            Ok(identity) => Outcome::Pass(identity),
            Err(refusal) => Outcome::Refuse(refusal),
        }
    }

    fn find(&self, fields: &Fields, query: Option<&[u8]>) -> Result<Arc<Identity>, Refusal> {
        let in_header = match &self.places.header {
            Some(name) => in_field(fields, name)?,
            None => None,
        };
        let in_query = match (&self.places.query, query) {
            (Some(name), Some(query)) => in_query(query, name)?,
            _ => None,
        };
        let key = match (in_header, in_query) {
            (Some(_), Some(_)) => return Err(Refusal::DuplicateCredentials),
            (Some(key), None) => self.whose(key)?,
            (None, Some(key)) => self.whose(&key)?,
            (None, None) => return Err(Refusal::NoCredentials),
        };
        Ok(Arc::clone(key))
    }

    fn whose(&self, key: &[u8]) -> Result<&Arc<Identity>, Refusal> {
        match key.len() {
            0 => Err(Refusal::MalformedCredentials),
            1..=KEY_MAX => self.keys.find(key).ok_or(Refusal::BadCredentials),
            _ => Err(Refusal::CredentialsTooLong),
        }
    }

    /// The query without the key, for what goes on from here: an origin and its log need not see it. `None`:
    /// nothing is to change.
    #[must_use]
    pub fn without_key(&self, query: &[u8]) -> Option<Vec<u8>> {
        let name = self.places.query.as_deref()?.as_bytes();
        let is_key = |pair: &&[u8]| unescape(split(pair).0) == name;
        query.split(|&byte| byte == b'&').find(is_key)?;
        let kept: Vec<_> = query.split(|&byte| byte == b'&').filter(|pair| !is_key(pair)).collect();
        Some(kept.join(&b'&'))
    }
}

fn in_field<'a>(fields: &'a Fields, name: &'a str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut lines = fields.all_named(name.as_bytes());
    let Some(value) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Refusal::DuplicateCredentials);
    }
    if FieldId::of(name.as_bytes()) != FieldId::Authorization {
        return Ok(Some(value));
    }
    match of_scheme(value, b"ApiKey") {
        Err(Refusal::NoCredentials) => match of_scheme(value, b"Bearer") {
            // Another scheme is for another gate, and the query may hold the key.
            Err(Refusal::NoCredentials) => Ok(None),
            other => other.map(Some),
        },
        other => other.map(Some),
    }
}

fn in_query(query: &[u8], name: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let pairs = query.split(|&byte| byte == b'&').map(split);
    let mut found = pairs.filter(|(key, _)| unescape(key) == name.as_bytes());
    let Some((_, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Refusal::DuplicateCredentials);
    }
    Ok(Some(unescape(value)))
}

/// Name and value of a pair of a query.
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|&byte| byte == b'=') {
        Some(at) => (&pair[..at], &pair[at + 1..]),
        None => (pair, b""),
    }
}

/// Takes percent escapes back; what is none stays as it is. `+` stays too: keys may hold it, and no key holds
/// a space.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = match (byte, behind) {
            (b'%', [high, low, ..]) => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &behind[2..];
            }
            None => {
                out.push(byte);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gate(header: Option<&str>, query: Option<&str>) -> ApiKey {
        let mut keys = Keys::new();
        for (name, key) in [("ann", "key-1"), ("ann", "key-2"), ("bob", "a+b c%")] {
            keys.add(name, &stored(key.as_bytes())).unwrap();
        }
        ApiKey::new(keys, Places::new(header, query).unwrap(), "r").unwrap()
    }

    fn check(
        gate: &ApiKey,
        lines: &[(&str, &str)],
        query: Option<&str>,
        expect: Result<&str, Refusal>,
    ) {
        let mut fields = Fields::new();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        let found = match gate.check(&fields, query.map(str::as_bytes)) {
            Outcome::Pass(identity) => Ok(identity.user.to_string()),
            Outcome::Refuse(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expect.map(str::to_owned), "{lines:?} {query:?}");
    }

    #[test]
    fn keys_in_a_field() {
        use Refusal::*;
        let gate = gate(Some(HEADER), None);
        let long = "k".repeat(KEY_MAX + 1);
        for (lines, expect) in [
            (&[("x-api-key", "key-1")][..], Ok("ann")),
            (&[("X-API-KEY", "key-2")], Ok("ann")),
            (&[("x-api-key", "a+b c%")], Ok("bob")),
            (&[("x-api-key", "key-3")], Err(BadCredentials)),
            (&[("x-api-key", "KEY-1")], Err(BadCredentials)),
            (&[("x-api-key", "key-1 ")], Err(BadCredentials)),
            (&[("x-api-key", "")], Err(MalformedCredentials)),
            (&[("x-api-key", &long)], Err(CredentialsTooLong)),
            (&[("x-api-key", &long[1..])], Err(BadCredentials)),
            (&[("x-api-key", "key-1"), ("x-api-key", "key-1")], Err(DuplicateCredentials)),
            (&[("x_api_key", "key-1")], Err(NoCredentials)),
            (&[("authorization", "Bearer key-1")], Err(NoCredentials)),
            (&[], Err(NoCredentials)),
        ] {
            check(&gate, lines, Some("X-Api-Key=key-1&api_key=key-1"), expect);
        }
    }

    #[test]
    fn keys_behind_a_scheme() {
        use Refusal::*;
        let gate = gate(Some("Authorization"), Some("k"));
        for (value, query, expect) in [
            ("ApiKey key-1", "", Ok("ann")),
            ("bearer key-1", "", Ok("ann")),
            ("key-1", "", Err(NoCredentials)),
            ("Basic key-1", "", Err(NoCredentials)),
            ("Basic key-1", "k=key-1", Ok("ann")),
            ("Bearer key-1", "k=key-1", Err(DuplicateCredentials)),
            ("Bearer", "", Err(MalformedCredentials)),
            ("", "", Err(MalformedCredentials)),
        ] {
            check(&gate, &[("Authorization", value)], Some(query), expect);
        }
    }

    #[test]
    fn keys_in_the_query() {
        use Refusal::*;
        let gate = gate(None, Some("api_key"));
        for (query, expect) in [
            (Some("api_key=key-1"), Ok("ann")),
            (Some("a=b&api_key=key%2D1&c"), Ok("ann")),
            (Some("api%5Fkey=key-2"), Ok("ann")),
            (Some("api_key=a+b%20c%"), Ok("bob")),
            (Some("api_key=a%2Bb%20c%25"), Ok("bob")),
            (Some("api_key=key-1&api%5fkey=key-1"), Err(DuplicateCredentials)),
            (Some("api_key=key-1=x"), Err(BadCredentials)),
            (Some("api_key"), Err(MalformedCredentials)),
            (Some("API_KEY=key-1"), Err(NoCredentials)),
            (Some("xapi_key=key-1"), Err(NoCredentials)),
            (Some(""), Err(NoCredentials)),
            (None, Err(NoCredentials)),
        ] {
            check(&gate, &[("x-api-key", "key-1")], query, expect);
        }
    }

    #[test]
    fn what_goes_on_has_no_key() {
        let gate = gate(None, Some("api_key"));
        for (query, expect) in [
            ("api_key=1", Some("")),
            ("a=1&api_key=1&b", Some("a=1&b")),
            ("api%5fkey=1&a=1&&", Some("a=1&&")),
            ("a=api_key", None),
            ("", None),
        ] {
            let left = gate.without_key(query.as_bytes());
            assert_eq!(left.as_deref(), expect.map(str::as_bytes), "{query}");
        }
    }

    #[test]
    fn all_bad_lines_of_a_file_are_told() {
        let (key, hash) = make(&[9; 32]);
        assert_eq!(key.len(), 43);
        let empty = stored(b"");
        let text = format!(
            "# keys\none:{hash}\ntwo:{hash}\nnone\n:{hash}\nthree:sha256:abc\nfour:md5:00\nfive:{empty}\n\
             six:{}\nseven:{key}",
            stored(b"six").to_uppercase().replace("SHA256", "sha256")
        );
        let mut keys = Keys::new();
        let bad = keys.add_file(text.as_bytes()).unwrap_err();
        let lines: Vec<_> = bad.told.iter().map(|bad| bad.number).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 8, 10]);
        assert!(bad.to_string().starts_with("line 3: the same key is there already, as \"one\"; "));
        assert!(!bad.to_string().contains(&key));
        assert_eq!(keys.len(), 2);
        assert_eq!(&*keys.find(key.as_bytes()).unwrap().user, "one");
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        let expect = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(stored(b"abc"), expect);
    }

    #[test]
    fn there_has_to_be_a_place() {
        for (header, query) in
            [(None, None), (Some("a b"), None), (Some(""), None), (None, Some(""))]
        {
            assert_eq!(Places::new(header, query), None);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_found_however_it_is_escaped(key in "[ -~]{1,30}", all: bool) {
            let mut keys = Keys::new();
            keys.add("n", &stored(key.as_bytes())).unwrap();
            let gate = ApiKey::new(keys, Places::new(None, Some("k")).unwrap(), "r").unwrap();
            let escaped: String = key.bytes().map(|byte| {
                let plain = byte.is_ascii_alphanumeric() && !all;
                if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            }).collect();
            check(&gate, &[], Some(&format!("k={escaped}")), Ok("n"));
        }

        #[test]
        fn no_query_panics(query in prop::collection::vec(any::<u8>(), 0..60)) {
            let gate = gate(None, Some("k"));
            let _ = gate.check(&Fields::new(), Some(&query));
            let _ = gate.without_key(&query);
        }
    }
}
