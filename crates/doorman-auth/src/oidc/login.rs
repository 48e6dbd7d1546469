//! A sign-in under way: what the browser keeps until it comes back with a code, and what it is asked on the way.

use super::seal::SEAL_CHANCE_BYTES;
use super::text::{Reader, Writer, is_own_path};

/// Time that somebody has to sign in, in seconds.
pub const LOGIN_SECONDS: u64 = 600;

/// Sign-ins that one browser may have under way, in several tabs. The next takes the place of one before it, so however
/// often it is sent to sign in, its cookies stay few.
pub const LOGINS_MAX: u8 = 4;

const STATE_BYTES: usize = 16;
const NONCE_BYTES: usize = 16;
const VERIFIER_BYTES: usize = 32;

/// Random bytes that a sign-in takes.
pub const LOGIN_CHANCE_BYTES: usize =
    STATE_BYTES + NONCE_BYTES + VERIFIER_BYTES + SEAL_CHANCE_BYTES;

/// Longest `state` of an answer that is looked at, in characters; ours have 22.
pub(super) const STATE_MAX: usize = 64;

/// The parts of that randomness.
pub(super) struct Chance<'a> {
    pub(super) state: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) verifier: &'a [u8],
    pub(super) seal: [u8; SEAL_CHANCE_BYTES],
}

impl<'a> Chance<'a> {
    pub(super) fn of(bytes: &'a [u8; LOGIN_CHANCE_BYTES]) -> Self {
        let (state, rest) = bytes.split_at(STATE_BYTES);
        let (nonce, rest) = rest.split_at(NONCE_BYTES);
        let (verifier, rest) = rest.split_at(VERIFIER_BYTES);
        let mut seal = [0; SEAL_CHANCE_BYTES];
        seal.copy_from_slice(rest);
        Self { state, nonce, verifier, seal }
    }
}

/// What is kept of a sign-in under way.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Ties the answer to this browser (RFC 6749 section 10.12).
    pub(super) state: String,
    /// Ties the token to this sign-in (OpenID Connect Core 1.0 section 3.1.2.1).
    pub(super) nonce: String,
    /// Ties the code to who asked for it (RFC 7636).
    pub(super) verifier: String,
    /// Where they wanted to go.
    pub(super) path: String,
    /// Where the answer was asked for.
    pub(super) redirect: String,
    /// When it began, in seconds since the Unix epoch.
    pub(super) begun: u64,
}

impl Login {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.begun);
        for text in [&self.state, &self.nonce, &self.verifier, &self.path, &self.redirect] {
            writer.text(text);
        }
        writer.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let begun = reader.number()?;
        let mut text = || reader.text().map(str::to_owned);
        let (state, nonce, verifier) = (text()?, text()?, text()?);
        let path = text()?;
        let redirect = text()?;
        reader.end()?;
        is_own_path(&path).then_some(Self { state, nonce, verifier, path, redirect, begun })
    }

    pub(super) fn is_over(&self, seconds: u64) -> bool {
        seconds >= self.begun.saturating_add(LOGIN_SECONDS)
    }
}

/// Which of the cookies for sign-ins keeps the one with this state.
pub(super) fn slot(state: &str) -> u8 {
    state.bytes().next().unwrap_or_default() % LOGINS_MAX
}
