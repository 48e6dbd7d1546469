//! The page that a client gets with its puzzle: one file, with nothing from anywhere else.

/// The page, with marks where words belong. Its script needs no more than a browser of ten years ago.
const TEMPLATE: &str = include_str!("page.html");

/// What stands at a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Nonce,
    Token,
    Difficulty,
    Failed,
    ProofCookie,
    NoScriptRefresh,
    NoScriptWords,
}

const MARKS: [(&str, Mark); 7] = [
    ("{nonce}", Mark::Nonce),
    ("{token}", Mark::Token),
    ("{difficulty}", Mark::Difficulty),
    ("{failed}", Mark::Failed),
    ("{proof-cookie}", Mark::ProofCookie),
    ("{noscript-refresh}", Mark::NoScriptRefresh),
    ("{noscript-words}", Mark::NoScriptWords),
];

#[derive(Debug)]
enum Piece {
    Text(&'static str),
    Mark(Mark),
}

/// The page in pieces, so that writing it is one pass.
#[derive(Debug)]
pub(super) struct Page(Vec<Piece>);

impl Page {
    pub(super) fn new() -> Self {
        let mut pieces = Vec::new();
        let mut rest = TEMPLATE;
        let next = |rest: &'static str| {
            let found =
                MARKS.iter().filter_map(|(word, mark)| Some((rest.find(word)?, *word, *mark)));
            found.min_by_key(|(at, ..)| *at)
        };
        while let Some((at, word, mark)) = next(rest) {
            pieces.push(Piece::Text(&rest[..at]));
            pieces.push(Piece::Mark(mark));
            rest = &rest[at + word.len()..];
        }
        pieces.push(Piece::Text(rest));
        Self(pieces)
    }

    /// Writes the page. `token` and `nonce` are base64url, so nothing has to be escaped. `wait` are the
    /// seconds that a client without scripts waits; `None`: it cannot come in.
    pub(super) fn write(
        &self,
        token: &str,
        difficulty: u8,
        nonce: &str,
        wait: Option<u64>,
        failed: bool,
    ) -> String {
        let mut page = String::with_capacity(TEMPLATE.len() + 512);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => page.push_str(text),
                Piece::Mark(Mark::Nonce) => page.push_str(nonce),
                Piece::Mark(Mark::Token) => page.push_str(token),
                Piece::Mark(Mark::Difficulty) => page.push_str(&difficulty.to_string()),
                Piece::Mark(Mark::Failed) => page.push_str(if failed { "true" } else { "false" }),
                Piece::Mark(Mark::ProofCookie) => page.push_str(super::PROOF_COOKIE),
                Piece::Mark(Mark::NoScriptRefresh) => page.push_str(&refresh(wait)),
                Piece::Mark(Mark::NoScriptWords) => page.push_str(&words(wait)),
            }
        }
        page
    }
}

/// Without an address, a refresh loads the page that it stands in. A second more than there is to wait, since
/// clocks count whole ones.
fn refresh(wait: Option<u64>) -> String {
    match wait {
        Some(wait) => {
            format!("<noscript><meta http-equiv=\"refresh\" content=\"{}\"></noscript>\n", wait + 1)
        }
        None => String::new(),
    }
}

fn words(wait: Option<u64>) -> String {
    match wait {
        Some(wait) => format!(
            "Your browser runs no scripts, so it waits instead: the page opens by itself in about {} seconds. It \
             needs cookies for that.",
            wait + 1
        ),
        None => {
            "Your browser runs no scripts. This site can only be opened with scripts and cookies."
                .to_owned()
        }
    }
}
