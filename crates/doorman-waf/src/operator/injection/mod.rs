//! Whether a value would be SQL or HTML that somebody injects, as libinjection tells.

/// The kinds of the first tokens of a value that is an injection of SQL, a letter for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    letters: [u8; Self::LENGTH_MAX],
    length: u8,
}

impl Fingerprint {
    /// The most letters one has.
    pub const LENGTH_MAX: usize = 5;

    /// Its letters.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.letters[..usize::from(self.length)]
    }
}

/// `@detectSQLi`: the fingerprint of the value, if it would inject SQL.
#[must_use]
pub fn detect_sqli(value: &[u8]) -> Option<Fingerprint> {
    let found = libinjectionrs::detect_sqli(value);
    let text = found.is_injection().then_some(found.fingerprint).flatten()?;
    let mut letters = [0; Fingerprint::LENGTH_MAX];
    let mut length = 0;
    for (letter, byte) in letters.iter_mut().zip(text.bytes()) {
        *letter = byte;
        length += 1;
    }
    Some(Fingerprint { letters, length })
}

/// `@detectXSS`: whether the value would inject script, in text or in an attribute.
#[must_use]
pub fn detect_xss(value: &[u8]) -> bool {
    libinjectionrs::detect_xss(value).is_injection()
}
