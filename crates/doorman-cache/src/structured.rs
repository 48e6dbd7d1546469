//! Dictionaries of structured fields (RFC 8941 section 3.2): as much of the grammar as it takes to
//! tell a valid one from an invalid one, without building anything.

/// A value without its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare<'a> {
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Decimal,
    /// What stands between the quotes of a string, escapes not taken off.
    Text(&'a [u8]),
    /// A token.
    Token(&'a [u8]),
    /// A byte sequence.
    Bytes,
    /// A truth value; also that of a key without a value.
    Boolean(bool),
    /// An inner list.
    List,
}

/// The text is no dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// The members of a dictionary, in order. After the first [`Invalid`] there are no more.
#[derive(Clone, Debug)]
pub(crate) struct Dictionary<'a> {
    rest: &'a [u8],
    is_first: bool,
}

impl<'a> Dictionary<'a> {
    /// The dictionary of one line. Lines of one field are each a dictionary, too, since no member can
    /// reach over a line's end and be valid.
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self { rest: line.trim_ascii(), is_first: true }
    }

    fn member(&mut self) -> Result<(&'a [u8], Bare<'a>), Invalid> {
        if !self.is_first {
            self.take_while(is_space_or_tab);
            self.expect(b',')?;
            self.take_while(is_space_or_tab);
        }
        self.is_first = false;
        let key = self.key()?;
        let value = if self.take(b'=') { self.item_or_list()? } else { Bare::Boolean(true) };
        self.parameters()?;
        Ok((key, value))
    }

    fn item_or_list(&mut self) -> Result<Bare<'a>, Invalid> {
        if !self.take(b'(') {
            return self.bare();
        }
        loop {
            self.take_while(|byte| byte == b' ');
            if self.take(b')') {
                return Ok(Bare::List);
            }
            self.bare()?;
            self.parameters()?;
            if !matches!(self.rest.first(), Some(b' ' | b')')) {
                return Err(Invalid);
            }
        }
    }

    fn parameters(&mut self) -> Result<(), Invalid> {
        while self.take(b';') {
            self.take_while(|byte| byte == b' ');
            self.key()?;
            if self.take(b'=') {
                self.bare()?;
            }
        }
        Ok(())
    }

    fn key(&mut self) -> Result<&'a [u8], Invalid> {
        match self.rest.first() {
            Some(b'a'..=b'z' | b'*') => Ok(self.take_while(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'_' | b'-' | b'.' | b'*')
            })),
            _ => Err(Invalid),
        }
    }

    fn bare(&mut self) -> Result<Bare<'a>, Invalid> {
        match self.rest.first() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.text(),
            Some(b'*' | b'A'..=b'Z' | b'a'..=b'z') => Ok(Bare::Token(self.take_while(|byte| {
                doorman_http::is_token(&[byte]) || matches!(byte, b':' | b'/')
            }))),
            Some(b':') => self.bytes(),
            Some(b'?') => self.boolean(),
            _ => Err(Invalid),
        }
    }

    /// At most 15 digits, or 12 and 3 behind the point (RFC 8941 section 4.2.4).
    fn number(&mut self) -> Result<Bare<'a>, Invalid> {
        let sign = if self.take(b'-') { -1 } else { 1 };
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() || digits.len() > 15 {
            return Err(Invalid);
        }
        if !self.take(b'.') {
            let number = digits.iter().fold(0i64, |n, &b| n * 10 + i64::from(b - b'0'));
            return Ok(Bare::Integer(sign * number));
        }
        let fraction = self.take_while(|byte| byte.is_ascii_digit());
        let fits = digits.len() <= 12 && (1..=3).contains(&fraction.len());
        if fits { Ok(Bare::Decimal) } else { Err(Invalid) }
    }

    fn text(&mut self) -> Result<Bare<'a>, Invalid> {
        let mut at = 1;
        loop {
            match self.rest.get(at).ok_or(Invalid)? {
                b'"' => break,
                b'\\' => match self.rest.get(at + 1) {
                    Some(b'"' | b'\\') => at += 2,
                    _ => return Err(Invalid),
                },
                0x20..=0x7E => at += 1,
                _ => return Err(Invalid),
            }
        }
        let text = &self.rest[1..at];
        self.rest = &self.rest[at + 1..];
        Ok(Bare::Text(text))
    }

    fn bytes(&mut self) -> Result<Bare<'a>, Invalid> {
        self.expect(b':')?;
        self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        self.expect(b':')?;
        Ok(Bare::Bytes)
    }

    fn boolean(&mut self) -> Result<Bare<'a>, Invalid> {
        self.expect(b'?')?;
        if self.take(b'1') {
            return Ok(Bare::Boolean(true));
        }
        self.expect(b'0')?;
        Ok(Bare::Boolean(false))
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|&byte| !fits(byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Invalid> {
        if self.take(byte) { Ok(()) } else { Err(Invalid) }
    }
}

impl<'a> Iterator for Dictionary<'a> {
    type Item = Result<(&'a [u8], Bare<'a>), Invalid>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let member = self.member();
        if member.is_err() {
            self.rest = b"";
        }
        Some(member)
    }
}

const fn is_space_or_tab(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
