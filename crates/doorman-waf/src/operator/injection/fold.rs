//! Which tokens of a value are left when those are folded away that change nothing.
//!
//! Two tokens are looked at, then three; where nothing can be folded the first of them is settled. What
//! is folded lets the look begin at the first token again, of which there are never more than six.

use super::token::{Dialect, Token, Tokens, kind};
use super::words;

/// Tokens that are left at most.
const TOKENS_MAX: usize = 5;

/// What is left.
pub(super) struct Folded {
    tokens: [Token; TOKENS_MAX + 3],
    length: usize,
    /// Tokens that were read.
    pub(super) count: usize,
    /// Another dialect would have read it otherwise.
    pub(super) is_ambiguous: bool,
}

impl Folded {
    /// The tokens.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens[..self.length]
    }
}

/// Reads and folds a value.
pub(super) fn fold(value: &[u8], dialect: Dialect, quote: Option<u8>) -> Folded {
    let mut fold = Fold {
        source: Tokens::new(value, dialect, quote),
        tokens: [Token::NONE; TOKENS_MAX + 3],
        filled: 0,
        settled: 0,
        comment: None,
        is_over: false,
    };
    let length = if value.is_empty() { 0 } else { fold.run() };
    let mut tokens = fold.tokens;
    // An open tick at the end is how PHP writes a comment.
    if length > 2 {
        let last = &mut tokens[length - 1];
        let is_open = last.open == b'`' && last.close == 0 && last.text().is_empty();
        if last.kind == kind::BAREWORD && is_open {
            last.kind = kind::COMMENT;
        }
    }
    let (count, is_ambiguous) = (fold.source.count, fold.source.is_ambiguous);
    Folded { tokens, length, count, is_ambiguous }
}

struct Fold<'v> {
    source: Tokens<'v>,
    tokens: [Token; TOKENS_MAX + 3],
    /// Tokens that are there.
    filled: usize,
    /// How many of them cannot be folded any more.
    settled: usize,
    /// A comment behind the last token.
    comment: Option<Token>,
    is_over: bool,
}

enum Step {
    /// Look again.
    Again,
    /// Nothing to fold.
    On,
    /// It cannot be read.
    Evil,
}

impl Fold<'_> {
    fn run(&mut self) -> usize {
        if !self.first() {
            return 0;
        }
        loop {
            self.drop_five();
            if self.is_over || self.settled >= TOKENS_MAX {
                break;
            }
            if !self.fill(2) {
                self.settled = self.filled;
                continue;
            }
            match self.two() {
                Step::Again => continue,
                Step::Evil => return self.settled + 2,
                Step::On => {}
            }
            if !self.fill(3) {
                self.settled = self.filled;
                continue;
            }
            if !self.three() {
                self.settled += 1;
            }
        }
        let mut length = self.filled;
        if length < TOKENS_MAX
            && let Some(comment) = self.comment
        {
            self.tokens[length] = comment;
            length += 1;
        }
        length.min(TOKENS_MAX)
    }

    /// The first token that is not one which may stand before anything.
    fn first(&mut self) -> bool {
        while let Some(token) = self.source.next() {
            let is_lead = matches!(token.kind, kind::COMMENT | kind::LEFT | kind::TYPE);
            if !is_lead && !token.is_unary() {
                self.tokens[0] = token;
                self.filled = 1;
                return true;
            }
        }
        false
    }

    /// Reads until so many are there that are not settled.
    fn fill(&mut self, wanted: usize) -> bool {
        while !self.is_over && self.filled <= TOKENS_MAX && self.filled - self.settled < wanted {
            match self.source.next() {
                None => {
                    self.tokens[self.filled] = Token::NONE;
                    self.is_over = true;
                }
                Some(token) if token.kind == kind::COMMENT => {
                    self.tokens[self.filled] = token;
                    self.comment = Some(token);
                }
                Some(token) => {
                    self.comment = None;
                    self.tokens[self.filled] = token;
                    self.filled += 1;
                }
            }
        }
        self.filled - self.settled >= wanted
    }

    /// Some five tokens are as good as their first.
    fn drop_five(&mut self) {
        use kind::{BAREWORD, COMMA, LEFT, NUMBER, OPERATOR, RIGHT};

        if self.filled < TOKENS_MAX {
            return;
        }
        let kinds = [0, 1, 2, 3, 4].map(|place: usize| self.tokens[place].kind);
        let is_one = matches!(
            kinds,
            [NUMBER, OPERATOR | COMMA, LEFT, NUMBER, RIGHT]
                | [BAREWORD, OPERATOR, LEFT, BAREWORD | NUMBER, RIGHT]
                | [NUMBER, RIGHT, COMMA, LEFT, NUMBER]
                | [BAREWORD, RIGHT, OPERATOR, LEFT, BAREWORD]
        );
        if !is_one {
            return;
        }
        if self.filled > TOKENS_MAX {
            self.tokens[1] = self.tokens[TOKENS_MAX];
            self.filled = 2;
        } else {
            self.filled = 1;
        }
        self.settled = 0;
    }

    /// So many of the last are gone; all is looked at again.
    fn drop_last(&mut self, count: usize) -> Step {
        self.filled -= count;
        self.settled = 0;
        Step::Again
    }

    /// The last is gone; the one before is looked at again.
    fn drop_one_back(&mut self) -> Step {
        self.filled -= 1;
        self.settled = self.settled.saturating_sub(1);
        Step::Again
    }

    /// The first of two is gone.
    fn drop_first(&mut self) -> Step {
        self.tokens[self.settled] = self.tokens[self.settled + 1];
        self.drop_last(1)
    }

    fn two(&mut self) -> Step {
        let (first, second) = (&self.tokens[self.settled], &self.tokens[self.settled + 1]);
        match (first.kind, second.kind) {
            (kind::STRING, kind::STRING) | (kind::SEMICOLON, kind::SEMICOLON) => {
                self.filled -= 1;
                return Step::Again;
            }
            (kind::OPERATOR | kind::LOGIC, kind::TYPE) => return self.drop_last(1),
            (kind::OPERATOR | kind::LOGIC, _) if second.is_unary() => return self.drop_last(1),
            (kind::LEFT, _) if second.is_unary() => return self.drop_one_back(),
            _ => {}
        }
        if let Some(merged) = merged(first, second) {
            self.tokens[self.settled] = merged;
            return self.drop_one_back();
        }
        self.two_words().unwrap_or_else(|| self.two_marks())
    }

    /// Words that mean something else by what follows.
    fn two_words(&mut self) -> Option<Step> {
        let (first, second) = (self.tokens[self.settled], self.tokens[self.settled + 1]);
        let opens = second.kind == kind::LEFT;
        let kind = match first.kind {
            kind::SEMICOLON if second.kind == kind::FUNCTION && is_if(second.text()) => {
                self.tokens[self.settled + 1].kind = kind::TSQL;
                return Some(Step::Again);
            }
            kind::BAREWORD | kind::VARIABLE if opens && first.is_word(&CALLED) => kind::FUNCTION,
            kind::KEYWORD if first.is_word(&["IN", "NOT IN"]) => {
                if opens {
                    kind::OPERATOR
                } else {
                    kind::BAREWORD
                }
            }
            kind::OPERATOR if first.is_word(&["LIKE", "NOT LIKE"]) => {
                if opens {
                    self.tokens[self.settled].kind = kind::FUNCTION;
                }
                return Some(Step::On);
            }
            _ => return None,
        };
        self.tokens[self.settled].kind = kind;
        Some(Step::Again)
    }

    fn two_marks(&mut self) -> Step {
        use kind::{BAREWORD, FUNCTION, LEFT, NUMBER, RIGHT, STRING, TYPE, VARIABLE};

        let (first, second) = (&self.tokens[self.settled], &self.tokens[self.settled + 1]);
        match (first.kind, second.kind) {
            (TYPE, BAREWORD | NUMBER | TYPE | LEFT | FUNCTION | VARIABLE | STRING) => {
                self.drop_first()
            }
            // There are too many collations to know them.
            (kind::COLLATE, BAREWORD) => {
                if has_underscore(second.text()) {
                    self.tokens[self.settled + 1].kind = TYPE;
                    self.settled = 0;
                }
                Step::On
            }
            // To SQL Server `\%1` is `0 % 1`, and `\1` is `1`.
            (kind::BACKSLASH, _) if second.is_arithmetic() => {
                self.tokens[self.settled].kind = NUMBER;
                self.settled = 0;
                Step::Again
            }
            (kind::BACKSLASH, _) => self.drop_first(),
            (LEFT, LEFT) | (RIGHT, RIGHT) => self.drop_last(1),
            // MySQL takes ``{`` `` for something that cannot be followed here.
            (kind::LEFT_BRACE, BAREWORD) if second.text().is_empty() => {
                self.tokens[self.settled + 1].kind = kind::EVIL;
                Step::Evil
            }
            (kind::LEFT_BRACE, BAREWORD) => self.drop_last(2),
            (_, kind::RIGHT_BRACE) => self.drop_last(1),
            _ => Step::On,
        }
    }

    /// Whether three tokens were folded.
    fn three(&mut self) -> bool {
        use kind::{BAREWORD, COMMA, DOT, EXPRESSION, FUNCTION, GROUP, KEYWORD, LEFT, LOGIC};
        use kind::{NUMBER, OPERATOR, RIGHT, STRING, TYPE, VARIABLE};

        let [first, second, third] = [0, 1, 2].map(|ahead| &self.tokens[self.settled + ahead]);
        match (first.kind, second.kind, third.kind) {
            (NUMBER, OPERATOR, NUMBER)
            | (LOGIC, _, LOGIC)
            | (VARIABLE, OPERATOR, VARIABLE | NUMBER | BAREWORD)
            | (BAREWORD | NUMBER, OPERATOR, NUMBER | BAREWORD) => self.drop_last(2),
            (OPERATOR, between, OPERATOR) if between != LEFT => self.drop_last(2),
            (BAREWORD | NUMBER | VARIABLE | STRING, OPERATOR, TYPE) if second.text() == b"::" => {
                self.drop_last(2)
            }
            (
                BAREWORD | NUMBER | STRING | VARIABLE,
                COMMA,
                NUMBER | BAREWORD | STRING | VARIABLE,
            ) => self.drop_last(2),
            (EXPRESSION | GROUP | COMMA, _, LEFT) if second.is_unary() => self.drop_middle(1),
            (KEYWORD | EXPRESSION | GROUP, _, NUMBER | BAREWORD | VARIABLE | STRING | FUNCTION)
                if second.is_unary() =>
            {
                self.drop_middle(1)
            }
            // `1,-1` is `1`: what is before the comma is looked at again.
            (COMMA, _, NUMBER | BAREWORD | VARIABLE | STRING) if second.is_unary() => {
                self.drop_middle(3)
            }
            (COMMA, _, FUNCTION) if second.is_unary() => self.drop_middle(1),
            (BAREWORD, DOT, BAREWORD) => self.drop_last(2),
            (EXPRESSION, DOT, BAREWORD) => self.drop_middle(1),
            (FUNCTION, LEFT, third) if third != RIGHT && first.is_word(&["USER"]) => {
                self.tokens[self.settled].kind = BAREWORD;
                return false;
            }
            _ => return false,
        };
        true
    }

    /// The second of three is gone, and of the last so many.
    fn drop_middle(&mut self, count: usize) -> Step {
        self.tokens[self.settled + 1] = self.tokens[self.settled + 2];
        self.drop_last(count)
    }
}

/// Names that are functions where a parenthesis follows.
const CALLED: [&str; 11] = [
    "USER_ID",
    "USER_NAME",
    "DATABASE",
    "PASSWORD",
    "USER",
    "CURRENT_USER",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
];

fn is_if(text: &[u8]) -> bool {
    text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"IF"))
}

/// Up to a NUL, where the word ends for those who look for it.
fn has_underscore(text: &[u8]) -> bool {
    text.iter().take_while(|&&byte| byte != 0).any(|&byte| byte == b'_')
}

/// Two words that are one to SQL: `UNION ALL`.
fn merged(first: &Token, second: &Token) -> Option<Token> {
    let is_word = |token: &Token| {
        use kind::{BAREWORD, EXPRESSION, FUNCTION, KEYWORD, OPERATOR, TSQL, TYPE, UNION};
        matches!(
            token.kind,
            KEYWORD | BAREWORD | OPERATOR | UNION | FUNCTION | EXPRESSION | TSQL | TYPE
        )
    };
    if !is_word(first) || !(is_word(second) || second.kind == kind::LOGIC) {
        return None;
    }
    let (start, end) = (first.text(), second.text());
    if !words::may_begin_phrase(start) {
        return None;
    }
    let length = start.len() + 1 + end.len();
    let mut both = [b' '; super::token::VALUE_MAX];
    let both = both.get_mut(..length)?;
    both[..start.len()].copy_from_slice(start);
    both[start.len() + 1..].copy_from_slice(end);
    let mut token = *first;
    token.kind = words::kind(both)?;
    token.keep(both);
    Some(token)
}
