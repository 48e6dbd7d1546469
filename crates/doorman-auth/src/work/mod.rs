//! Proof of work: a client pays with a short calculation before its requests are worked on.
//!
//! One decision shaped this: the house keeps nothing. A puzzle is a sealed token that says when it was given
//! and how hard it is; a solution is the token with a number behind it; what a client gets for it is a cookie
//! that is sealed too. All three hold for one client and one scope alone, so one that is carried elsewhere is
//! worth nothing; one that is shown again by the same client gives what that client has already.
//!
//! ```text
//!  no cookie ----> page with token ----> proof: token.number in a cookie ----> clearance, until it expires
//!                       |                                                         ^
//!                       +--> no script: the token in a cookie, and time passes ---+  (shorter)
//! ```
//!
//! It keeps out who will not pay, at a cost that falls on readers too; it is no wall. The way without a script
//! costs a program only patience, and a cookie: who turns it on takes that for people who browse without.

mod page;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use doorman_http::{FieldId, Fields, Now};
use sha2::{Digest, Sha256};

use crate::preset::Transport;
use crate::seal::{SEAL, Secret};

use page::Page;

/// Fewest and most bits that a solution's hash starts with. A phone tries some hundred thousand numbers a
/// second: 16 bits are less than a second, and 24 are minutes.
pub const DIFFICULTY: std::ops::RangeInclusive<u8> = 1..=24;
/// How long a puzzle may be worked on.
pub const PUZZLE_LIFETIME: Duration = Duration::from_secs(600);
/// Longest time that a solution may be good for.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Shortest and longest wait without a script.
pub const WAIT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(2)..=Duration::from_secs(300);
/// The status of the page: it is no answer to what was asked, and no cache or crawler is to take it for one.
pub const STATUS: u16 = 403;

/// The cookie that says that a client has paid.
pub const CLEARANCE_COOKIE: &str = "doorman-clearance";
/// The cookie by which the page hands over a solution.
pub const PROOF_COOKIE: &str = "doorman-proof";
/// The cookie of a client that waits.
pub const WAIT_COOKIE: &str = "doorman-wait";

/// How far another house's clock may be ahead of ours, seconds.
const SKEW: u64 = 5;
/// Cookies of one name that are looked at: each costs a hash.
const COOKIES_MAX: usize = 4;
/// What waiting is worth, against a solution: a share of its time.
const WAIT_SHARE: u64 = 4;
/// The first byte of what is sealed.
const FORM: u8 = 1;
/// Form, time, difficulty, chance.
const TOKEN_HEAD: usize = 1 + 8 + 1 + 8;
/// Form, kind, time.
const CLEARANCE_HEAD: usize = 1 + 1 + 8;
/// Decimal digits of a solution's number.
const DIGITS_MAX: usize = 16;

/// To whom a puzzle is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// To the client's network, by so many bits of its address, and to its `User-Agent`.
    Client {
        /// Bits of an IPv4 address.
        v4: u8,
        /// Bits of an IPv6 address.
        v6: u8,
    },
    /// To nobody: whoever has a clearance may give it on.
    Nobody,
}

/// What an operator wants.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bits that a solution's hash starts with; each more doubles the work.
    pub difficulty: u8,
    /// How long a solution is good for.
    pub ttl: Duration,
    /// To whom.
    pub bind: Bind,
    /// How long a client without scripts waits; `None`: there is no way without them.
    pub no_script: Option<Duration>,
    /// For what a clearance holds: a site's or a route's name.
    pub scope: Box<str>,
}

/// Why settings make no puzzle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuzzleError {
    /// Outside of [`DIFFICULTY`].
    Difficulty,
    /// Zero, or longer than [`TTL_MAX`].
    Ttl,
    /// Outside of [`WAIT`].
    Wait,
    /// More bits than an address has.
    Prefix,
}

impl fmt::Display for PuzzleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Difficulty => write!(
                f,
                "the difficulty is not from {} to {} bits; 16 are less than a second on a phone",
                DIFFICULTY.start(),
                DIFFICULTY.end()
            ),
            Self::Ttl => write!(
                f,
                "a solution is good for a second at least and {} days at most",
                TTL_MAX.as_secs() / 86_400
            ),
            Self::Wait => write!(
                f,
                "the wait without a script is not from {} to {} seconds",
                WAIT.start().as_secs(),
                WAIT.end().as_secs()
            ),
            Self::Prefix => {
                f.write_str("an IPv4 address has 32 bits and an IPv6 address 128; write no more")
            }
        }
    }
}

impl std::error::Error for PuzzleError {}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address; `None` on a Unix socket.
    pub address: Option<IpAddr>,
    /// Its `User-Agent`; empty if it says none.
    pub user_agent: &'a [u8],
    /// How it came.
    pub transport: Transport,
}

/// How a client paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// It calculated.
    Worked,
    /// It waited.
    Waited,
}

impl Paid {
    const fn byte(self) -> u8 {
        match self {
            Self::Worked => b'w',
            Self::Waited => b't',
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            b'w' => Some(Self::Worked),
            b't' => Some(Self::Waited),
            _ => None,
        }
    }
}

/// What is to be done with a request.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// It is paid for.
    Pass(Paid),
    /// It is paid for with this request: its answer gets these values of `Set-Cookie`, and is stored by
    /// nobody.
    Admit(Paid, Vec<String>),
    /// It is not: the client gets [`Ask::page`] with [`STATUS`].
    Ask(Ask),
}

/// A puzzle for a client.
#[derive(Debug)]
pub struct Ask {
    /// Fields of the answer.
    pub fields: Vec<(&'static str, String)>,
    /// The page, HTML in UTF-8, less than 8 KiB.
    pub page: String,
    /// Whether the client showed a solution that is none: what a ban counts.
    pub failed: bool,
}

/// The gate.
#[derive(Debug)]
pub struct Puzzle {
    secret: Secret,
    settings: Settings,
    page: Page,
}

impl Puzzle {
    /// A gate with these settings. `secret` is the same in every house that shares clients, and after every
    /// restart; another one makes everybody pay again.
    ///
    /// # Errors
    /// Names the first setting that is wrong.
    pub fn new(secret: Secret, settings: Settings) -> Result<Self, PuzzleError> {
        if !DIFFICULTY.contains(&settings.difficulty) {
            return Err(PuzzleError::Difficulty);
        }
        if settings.ttl < Duration::from_secs(1) || settings.ttl > TTL_MAX {
            return Err(PuzzleError::Ttl);
        }
        if settings.no_script.is_some_and(|wait| !WAIT.contains(&wait)) {
            return Err(PuzzleError::Wait);
        }
        if let Bind::Client { v4: 33.., .. } | Bind::Client { v6: 129.., .. } = settings.bind {
            return Err(PuzzleError::Prefix);
        }
        Ok(Self { secret, settings, page: Page::new() })
    }

    /// What is to be done with a request, by its cookies. `chance` is fresh.
    pub fn check(
        &self,
        client: &Client<'_>,
        fields: &Fields,
        now: Now,
        chance: &[u8; 16],
    ) -> Verdict {
        let bound = self.bound(client);
        let seconds = now.unix_seconds();
        if let Some(paid) = cookies(fields, CLEARANCE_COOKIE)
            .find_map(|value| self.clearance(value, &bound, seconds))
        {
            return Verdict::Pass(paid);
        }
        let mut failed = false;
        for proof in cookies(fields, PROOF_COOKIE) {
            if self.is_proof(proof, &bound, seconds) {
                return self.admit(Paid::Worked, client, &bound, seconds);
            }
            failed = true;
        }
        let mut left = None;
        if let Some(wait) = self.settings.no_script {
            let waits =
                cookies(fields, WAIT_COOKIE).filter_map(|token| self.token(token, &bound, seconds));
            if let Some(issued) = waits.min() {
                let waited = seconds.saturating_sub(issued);
                if waited >= wait.as_secs() {
                    return self.admit(Paid::Waited, client, &bound, seconds);
                }
                left = Some(wait.as_secs() - waited);
            }
        }
        Verdict::Ask(self.ask(client, &bound, seconds, chance, left, failed))
    }

    /// What a seal is bound to: the scope, and the client.
    fn bound(&self, client: &Client<'_>) -> Vec<u8> {
        let scope = self.settings.scope.as_bytes();
        // With its length, so that it does not run into what follows.
        let mut bound = scope.len().to_be_bytes().to_vec();
        bound.extend_from_slice(scope);
        if let Bind::Client { v4, v6 } = self.settings.bind {
            match client.address.map(|address| address.to_canonical()) {
                Some(IpAddr::V4(address)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
                    bound.push(4);
                    bound.extend((address.to_bits() & mask).to_be_bytes());
                }
                Some(IpAddr::V6(address)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0);
                    bound.push(6);
                    bound.extend((address.to_bits() & mask).to_be_bytes());
                }
                None => bound.push(0),
            }
            bound.extend_from_slice(client.user_agent);
        }
        bound
    }

    fn issue(&self, bound: &[u8], seconds: u64, chance: &[u8; 16]) -> String {
        let mut token = Vec::with_capacity(TOKEN_HEAD + SEAL);
        token.push(FORM);
        token.extend(seconds.to_be_bytes());
        token.push(self.settings.difficulty);
        token.extend(&chance[..8]);
        token.extend(self.secret.seal("puzzle", &[&token, bound]));
        Base64UrlUnpadded::encode_string(&token)
    }

    /// When a token was issued, if it is one of ours for this client, at no less than today's difficulty, and
    /// its time is not over.
    fn token(&self, text: &[u8], bound: &[u8], seconds: u64) -> Option<u64> {
        let mut room = [0; TOKEN_HEAD + SEAL];
        let token = sealed(text, &mut room)?;
        let (head, seal) = token.split_at(TOKEN_HEAD);
        let issued = u64::from_be_bytes(head.get(1..9)?.try_into().ok()?);
        let is_timely = issued <= seconds.saturating_add(SKEW)
            && seconds.saturating_sub(issued) <= PUZZLE_LIFETIME.as_secs();
        let is_hard = *head.get(9)? >= self.settings.difficulty;
        let is_ours = self.secret.is_seal(seal, "puzzle", &[head, bound]);
        (head[0] == FORM && is_timely && is_hard && is_ours).then_some(issued)
    }

    /// Whether `token.number` is a solution.
    fn is_proof(&self, proof: &[u8], bound: &[u8], seconds: u64) -> bool {
        let Some(dot) = proof.iter().position(|&byte| byte == b'.') else { return false };
        let (token, number) = (&proof[..dot], &proof[dot + 1..]);
        let is_number =
            (1..=DIGITS_MAX).contains(&number.len()) && number.iter().all(u8::is_ascii_digit);
        // The seal first: a forger is not to choose how often we hash what.
        is_number
            && self.token(token, bound, seconds).is_some()
            && leading_zeros(token, number) >= u32::from(self.settings.difficulty)
    }

    fn clearance(&self, text: &[u8], bound: &[u8], seconds: u64) -> Option<Paid> {
        let mut room = [0; CLEARANCE_HEAD + SEAL];
        let clearance = sealed(text, &mut room)?;
        let (head, seal) = clearance.split_at(CLEARANCE_HEAD);
        let paid = Paid::of(*head.get(1)?)?;
        let until = u64::from_be_bytes(head.get(2..)?.try_into().ok()?);
        let holds = head[0] == FORM && seconds < until;
        (holds && self.secret.is_seal(seal, "clearance", &[head, bound])).then_some(paid)
    }

    fn admit(&self, paid: Paid, client: &Client<'_>, bound: &[u8], seconds: u64) -> Verdict {
        let ttl = match paid {
            Paid::Worked => self.settings.ttl.as_secs(),
            Paid::Waited => (self.settings.ttl.as_secs() / WAIT_SHARE).max(1),
        };
        let mut clearance = Vec::with_capacity(CLEARANCE_HEAD + SEAL);
        clearance.extend([FORM, paid.byte()]);
        clearance.extend(seconds.saturating_add(ttl).to_be_bytes());
        clearance.extend(self.secret.seal("clearance", &[&clearance, bound]));
        let clearance = Base64UrlUnpadded::encode_string(&clearance);
        let spent = match paid {
            Paid::Worked => PROOF_COOKIE,
            Paid::Waited => WAIT_COOKIE,
        };
        let cookies = vec![
            set_cookie(CLEARANCE_COOKIE, &clearance, ttl, client.transport),
            set_cookie(spent, "", 0, client.transport),
        ];
        Verdict::Admit(paid, cookies)
    }

    /// `left` are the seconds that a client has still to wait that waits already.
    fn ask(
        &self,
        client: &Client<'_>,
        bound: &[u8],
        seconds: u64,
        chance: &[u8; 16],
        left: Option<u64>,
        failed: bool,
    ) -> Ask {
        let token = self.issue(bound, seconds, chance);
        let nonce = Base64UrlUnpadded::encode_string(&self.secret.seal("csp", &[chance])[..16]);
        let wait = self.settings.no_script.map(|wait| left.unwrap_or(wait.as_secs()));
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; worker-src blob:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let mut fields = vec![
            ("content-type", "text/html; charset=utf-8".to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("content-security-policy", policy),
            ("referrer-policy", "same-origin".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
            ("x-robots-tag", "noindex".to_owned()),
        ];
        let mut set = |name, value: &str, age| {
            fields.push(("set-cookie", set_cookie(name, value, age, client.transport)));
        };
        if wait.is_some() && left.is_none() {
            set(WAIT_COOKIE, &token, PUZZLE_LIFETIME.as_secs());
        }
        if failed {
            // Else the page would be asked for with it for ever.
            set(PROOF_COOKIE, "", 0);
        }
        let page = self.page.write(&token, self.settings.difficulty, &nonce, wait, failed);
        Ask { fields, page, failed }
    }
}

/// Bits that are zero at the start of the hash over a token and a number.
#[must_use]
pub fn leading_zeros(token: &[u8], number: &[u8]) -> u32 {
    let hash = Sha256::new_with_prefix(token).chain_update(number).finalize();
    let whole = hash.iter().take_while(|&&byte| byte == 0).count();
    let zeros = hash.get(whole).map_or(0, |byte| byte.leading_zeros());
    u32::try_from(whole * 8).unwrap_or(0) + zeros
}

/// What base64url holds, if it is exactly as long as the room. Its last bits are zero, so that there is one
/// way to write it.
fn sealed<'r, const N: usize>(text: &[u8], room: &'r mut [u8; N]) -> Option<&'r [u8]> {
    // Four characters hold three bytes.
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    let bytes = Base64UrlUnpadded::decode(text, room).ok()?;
    (bytes.len() == N).then_some(bytes)
}

fn set_cookie(name: &str, value: &str, age: u64, transport: Transport) -> String {
    let secure = match transport {
        Transport::Tls => "; Secure",
        Transport::Plain => "",
    };
    // Lax, not Strict: who follows a link to here has paid too.
    format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
}

/// The values of the first few cookies of that name (RFC 6265 section 4.2).
fn cookies<'a>(fields: &'a Fields, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .all(FieldId::Cookie)
        .flat_map(|line| line.split(|&byte| byte == b';'))
        .filter_map(move |pair| {
            let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            (!value.is_empty()).then_some(value)
        })
        .take(COOKIES_MAX)
}

#[cfg(test)]
mod tests;
