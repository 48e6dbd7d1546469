//! Style sheets without comments and without the white space that separates nothing (CSS Syntax
//! Level 3).
//!
//! A sheet is read item by item: what ends with `;` or `}` is a declaration or an at-rule without a
//! block, what ends with `{` is the head of a rule. This has to be known before the first byte of
//! an item is written, for `a :hover` is two compounds in a selector and one property in a
//! declaration; so each item is looked through once for its end and then once more.
//!
//! Within items white space goes only where the grammar of every property and selector says that
//! it means nothing: around what ends an item, around commas, at the inner edges of brackets, around
//! the combinators of a selector, around the first colon of a declaration. Elsewhere a run becomes one
//! space. Custom properties are kept as they are, because scripts read their text (CSS Custom
//! Properties section 2). What is broken is refused: how a reader recovers depends on its age.

mod token;

use super::{BYTE_ORDER_MARK, Bounds, Refusal, is_kept_comment, readable, smaller};
use token::{Token, token};

/// A style sheet without its white space and comments.
///
/// # Errors
///
/// Why the original is to be served.
pub fn css(text: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Refusal> {
    readable(text, bounds)?;
    let mut sheet = Sheet {
        text,
        at: 0,
        made: Vec::with_capacity(text.len()),
        blocks: 0,
        brackets: Vec::new(),
        bounds,
    };
    sheet.read()?;
    smaller(sheet.made, text)
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    /// The head of a rule, up to its `{`.
    Selector,
    /// Begins with `@`, and has a block or not.
    AtRule,
    Declaration,
    /// Text to scripts: a declaration of a custom property, a query of one.
    Verbatim,
}

/// What stands between two tokens of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    Nothing,
    /// A comment without white space: it separates, and combines nothing.
    Comment,
    Space,
}

struct Sheet<'a> {
    text: &'a [u8],
    at: usize,
    made: Vec<u8>,
    /// Blocks that are open.
    blocks: usize,
    /// Brackets that are open within an item, by the byte that closes them.
    brackets: Vec<u8>,
    bounds: &'a Bounds,
}

impl Sheet<'_> {
    fn read(&mut self) -> Result<(), Refusal> {
        self.encoding()?;
        loop {
            self.between_items()?;
            match self.text.get(self.at) {
                None if self.blocks == 0 => return Ok(()),
                None => return Err(Refusal::Malformed),
                Some(b'}') => {
                    self.blocks = self.blocks.checked_sub(1).ok_or(Refusal::Malformed)?;
                    self.copy(self.at + 1);
                }
                // An empty declaration. Outside of blocks it would begin a selector.
                Some(b';') if self.blocks > 0 => self.at += 1,
                Some(_) => self.item()?,
            }
        }
    }

    /// The mark and the rule that say how the sheet is encoded stand in front of everything, and
    /// the rule counts only in exactly these bytes (section 3.2).
    fn encoding(&mut self) -> Result<(), Refusal> {
        const RULE: &[u8] = b"@charset \"";
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.copy(BYTE_ORDER_MARK.len());
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(rest) = rest.strip_prefix(RULE) else { return Ok(()) };
        let length = memchr::memchr(b'"', rest).ok_or(Refusal::Malformed)?;
        let (name, rest) = rest.split_at_checked(length).ok_or(Refusal::Malformed)?;
        if !name.eq_ignore_ascii_case(b"utf-8") {
            return Err(Refusal::Charset);
        }
        if !rest.starts_with(b"\";") {
            return Err(Refusal::Malformed);
        }
        self.copy(self.at + RULE.len() + length + 2);
        Ok(())
    }

    /// White space and comments in front of an item.
    fn between_items(&mut self) -> Result<(), Refusal> {
        loop {
            match token(self.text, self.at)? {
                Some((Token::Space, end)) => self.at = end,
                Some((Token::Comment, end)) => {
                    self.comment(end);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Passes over a comment, and writes it if it must stay.
    fn comment(&mut self, end: usize) -> bool {
        let stays = is_kept_comment(self.text.get(self.at..end).unwrap_or_default());
        if stays {
            self.copy(end);
        }
        self.at = end;
        stays
    }

    fn copy(&mut self, end: usize) {
        self.made.extend_from_slice(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn item(&mut self) -> Result<(), Refusal> {
        let (end, item) = self.look_ahead()?;
        match item {
            Item::Verbatim => self.copy(end),
            _ => self.write(item, end)?,
        }
        match self.text.get(self.at) {
            Some(b'{') => {
                self.blocks += 1;
                if self.blocks > self.bounds.depth {
                    return Err(Refusal::TooDeep);
                }
                self.copy(self.at + 1);
            }
            Some(b';') => {
                self.at += 1;
                if item != Item::Declaration || !self.is_end_of_block()? {
                    self.made.push(b';');
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether nothing but white space, comments that go and empty declarations stands in front of
    /// a `}`; passes over them, so that nothing is looked at twice.
    fn is_end_of_block(&mut self) -> Result<bool, Refusal> {
        while let Some((token, end)) = token(self.text, self.at)? {
            let goes = match token {
                Token::Space | Token::Sign(b';') => true,
                Token::Comment => !is_kept_comment(self.text.get(self.at..end).unwrap_or_default()),
                _ => false,
            };
            if !goes {
                break;
            }
            self.at = end;
        }
        Ok(self.text.get(self.at) == Some(&b'}'))
    }

    /// Where the item ends that begins here, and what it is.
    fn look_ahead(&mut self) -> Result<(usize, Item), Refusal> {
        let start = self.text.get(self.at..).unwrap_or_default();
        let is_custom = start.starts_with(b"--");
        if matches!(start, [b'\\', b'0' | b'2' | b'-', ..] | [b'-', b'\\', ..]) {
            // A custom property, if somebody wants to hide one.
            return Err(Refusal::Unsure);
        }
        self.brackets.clear();
        let mut at = self.at;
        // Braces in the value of a custom property are brackets like others.
        let mut is_value = false;
        while let Some((token, end)) = token(self.text, at)? {
            if let Token::Sign(sign) = token {
                let ends = sign == b';' || sign == b'}' || (sign == b'{' && !is_value);
                if self.brackets.is_empty() && ends {
                    break;
                }
                is_value |= is_custom && sign == b':' && self.brackets.is_empty();
                self.bracket(sign)?;
            }
            at = end;
        }
        if !self.brackets.is_empty() {
            return Err(Refusal::Malformed);
        }
        let text = self.text.get(self.at..at).unwrap_or_default();
        let item = match self.text.get(at) {
            // A query of a custom property compares text.
            _ if text.starts_with(b"@") && has(text, b"--") && has(text, b"(") => Item::Verbatim,
            _ if text.starts_with(b"@") => Item::AtRule,
            Some(b'{') => Item::Selector,
            // Outside of blocks everything up to the next `{` is a selector, whatever it holds.
            _ if self.blocks == 0 => return Err(Refusal::Malformed),
            _ if is_custom || begins(text, b"initial-value") => Item::Verbatim,
            _ => Item::Declaration,
        };
        Ok((at, item))
    }

    /// Opens or closes a bracket within an item.
    fn bracket(&mut self, sign: u8) -> Result<(), Refusal> {
        match sign {
            b'(' => self.brackets.push(b')'),
            b'[' => self.brackets.push(b']'),
            b'{' => self.brackets.push(b'}'),
            b')' | b']' | b'}' if self.brackets.pop() != Some(sign) => {
                return Err(Refusal::Malformed);
            }
            _ => {}
        }
        if self.brackets.len() > self.bounds.depth {
            return Err(Refusal::TooDeep);
        }
        Ok(())
    }

    /// Writes an item up to its end.
    fn write(&mut self, item: Item, end: usize) -> Result<(), Refusal> {
        self.brackets.clear();
        let mut place = Place {
            item,
            is_media: begins(self.text.get(self.at..end).unwrap_or_default(), b"@media"),
            depth: 0,
            has_colon: false,
            is_at_colon: false,
            before: None,
        };
        let mut gap = Gap::Nothing;
        while self.at < end {
            let Some((token, token_end)) = token(self.text, self.at)? else { break };
            match token {
                Token::Space => {
                    gap = Gap::Space;
                    self.at = token_end;
                }
                Token::Comment => {
                    let space = self.made.len();
                    if gap == Gap::Space && place.before.is_some() {
                        self.made.push(b' ');
                    }
                    if self.comment(token_end) {
                        gap = Gap::Nothing;
                    } else {
                        self.made.truncate(space);
                        gap = gap.max(Gap::Comment);
                    }
                }
                Token::Sign(_) | Token::Word => {
                    let first = self.text.get(self.at).copied().unwrap_or_default();
                    let last = self.made.last().copied().unwrap_or_default();
                    if !place.may_join(token) || merges(last, first) {
                        self.made.extend_from_slice(match gap {
                            Gap::Nothing => b"",
                            Gap::Comment => b"/**/",
                            Gap::Space => b" ",
                        });
                    }
                    if let Token::Sign(sign) = token {
                        self.bracket(sign)?;
                    }
                    place.pass(token, self.brackets.len());
                    self.copy(token_end);
                    gap = Gap::Nothing;
                }
            }
        }
        self.at = end;
        Ok(())
    }
}

/// Where in an item the writer is.
struct Place {
    item: Item,
    is_media: bool,
    /// Brackets that are open.
    depth: usize,
    /// Whether the colon behind the name of a property has come, and whether just now. Later ones
    /// belong to the value.
    has_colon: bool,
    is_at_colon: bool,
    /// The token before, unless this is the start.
    before: Option<Token>,
}

impl Place {
    /// Whether white space between the token before and this one means nothing.
    fn may_join(&self, token: Token) -> bool {
        let Some(before) = self.before else { return true };
        let either = |signs: &[u8]| {
            let is_one = |token| matches!(token, Token::Sign(sign) if signs.contains(&sign));
            is_one(before) || is_one(token)
        };
        if either(b",")
            || matches!(before, Token::Sign(b'(' | b'['))
            || matches!(token, Token::Sign(b')' | b']'))
        {
            return true;
        }
        match self.item {
            Item::Selector => self.depth == 0 && either(b">+~"),
            Item::AtRule => self.is_media && self.depth > 0 && before == Token::Sign(b':'),
            Item::Declaration if self.depth > 0 => false,
            Item::Declaration if self.has_colon => self.is_at_colon || either(b"!"),
            Item::Declaration => token == Token::Sign(b':'),
            Item::Verbatim => false,
        }
    }

    /// Goes past a token, behind which so many brackets are open.
    fn pass(&mut self, token: Token, depth: usize) {
        self.is_at_colon = !self.has_colon && depth == 0 && token == Token::Sign(b':');
        self.has_colon |= self.is_at_colon;
        self.before = Some(token);
        self.depth = depth;
    }
}

/// Whether two tokens would be read as others if nothing stood between them.
fn merges(last: u8, first: u8) -> bool {
    matches!(
        (last, first),
        (b'-', b'>')
            | (b'+', b'0'..=b'9' | b'.')
            | (b'/', b'*')
            | (b'<', b'!')
            | (b'~' | b'|' | b'^' | b'$' | b'*', b'=')
    )
}

fn has(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn begins(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}
