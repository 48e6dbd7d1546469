//! A name and a password (RFC 7617).
//!
//! One decision shaped this gate: a check of a password takes tens of milliseconds on purpose, so it is handed
//! back as a [`Job`] that the shell runs where no request waits for it, and its result is remembered for a
//! while. A name that nobody has costs the same job.

mod accounts;
mod verified;

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use doorman_http::{FieldId, Fields, Instant};

use crate::outcome::{Challenge, Identity, Outcome, RealmError, Refusal, Scheme};
use crate::password::{PASSWORD_MAX, PasswordHash};

pub use accounts::{ACCOUNTS_MAX, AccountError, Accounts};
use verified::Tag;
pub use verified::{LIFETIME, Verified, WRONG_LIFETIME};

/// Longest user's name, bytes.
pub const USER_MAX: usize = 256;
/// Bytes of both with the colon between them.
const PAIR_MAX: usize = USER_MAX + 1 + PASSWORD_MAX;
/// Base64 of that.
const CODED_MAX: usize = PAIR_MAX.div_ceil(3) * 4;

/// The gate: accounts, and what clients without one are asked.
#[derive(Debug)]
pub struct Basic {
    accounts: Accounts,
    decoy: Arc<PasswordHash>,
    challenge: Challenge,
}

impl Basic {
    /// A gate for these accounts. `realm` names to users what their password is for.
    ///
    /// # Errors
    /// The realm cannot be one.
    pub fn new(accounts: Accounts, realm: &str) -> Result<Self, RealmError> {
        let decoy = accounts.decoy();
        Ok(Self { accounts, decoy, challenge: Challenge::new(Scheme::Basic, realm)? })
    }

    /// What clients are asked for; see [`Refusal::challenge`].
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Says who asks, if that is known already. Otherwise it is work to find out; its result belongs to
    /// [`Basic::finish`] with the same table.
    pub fn check(&self, fields: &Fields, verified: &Verified, now: Instant) -> Outcome {
        let mut room = [0; CODED_MAX];
        let (user, password) = match credentials(fields, &mut room) {
            Ok(pair) => pair,
            Err(refusal) => return Outcome::Refuse(refusal),
        };
        let account = self.accounts.find(user);
        let hash = account.map_or(&self.decoy, |account| &account.hash);
        let tag = verified.tag(user, password, hash);
        match (account, verified.known(tag, now)) {
            (Some(account), Some(true)) => Outcome::Pass(Arc::clone(&account.identity)),
            (_, Some(false)) => Outcome::Refuse(Refusal::BadCredentials),
            _ => Outcome::Work(Job {
                hash: Arc::clone(hash),
                password: password.into(),
                identity: account.map(|account| Arc::clone(&account.identity)),
                tag,
            }),
        }
    }

    /// What becomes of a request whose password was checked.
    pub fn finish(&self, done: &Done, verified: &Verified, now: Instant) -> Outcome {
        match &done.identity {
            Some(identity) => {
                verified.add(done.tag, true, now);
                Outcome::Pass(Arc::clone(identity))
            }
            None => {
                // The hash of somebody else may stand in for a name that nobody has here, and the password may fit it:
                // that says nothing of the same name where somebody has it.
                if !done.is_right {
                    verified.add(done.tag, false, now);
                }
                Outcome::Refuse(Refusal::BadCredentials)
            }
        }
    }
}

/// A password that is to be hashed.
pub struct Job {
    hash: Arc<PasswordHash>,
    password: Box<[u8]>,
    /// Whose it is, if it is right; nobody's for a name that nobody has.
    identity: Option<Arc<Identity>>,
    tag: Tag,
}

impl Job {
    /// Hashes: tens of milliseconds, up to some seconds for the dearest hashes that are taken.
    #[must_use]
    pub fn run(self) -> Done {
        let is_right = self.hash.verify(&self.password);
        Done { identity: self.identity.filter(|_| is_right), is_right, tag: self.tag }
    }

    /// Jobs with the same key are the same question: one answer serves all of them.
    #[must_use]
    pub const fn key(&self) -> (u64, u64) {
        (self.tag.0, self.tag.1)
    }

    /// Most memory that it takes, bytes: so many jobs at once need so many times as much.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.hash.memory()
    }
}

/// Neither the password nor whose it is goes into a log.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.hash.cost())
    }
}

/// What came of a job.
#[derive(Clone)]
pub struct Done {
    identity: Option<Arc<Identity>>,
    is_right: bool,
    tag: Tag,
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Done({})", if self.identity.is_some() { "right" } else { "wrong" })
    }
}

/// The name and the password that a request shows. Neither is empty, and neither has control characters.
fn credentials<'r>(
    fields: &Fields,
    room: &'r mut [u8; CODED_MAX],
) -> Result<(&'r str, &'r [u8]), Refusal> {
    let mut lines = fields.all(FieldId::Authorization);
    let value = lines.next().ok_or(Refusal::NoCredentials)?;
    if lines.next().is_some() {
        return Err(Refusal::DuplicateCredentials);
    }
    let coded = of_scheme(value, b"Basic")?;
    if coded.len() > CODED_MAX {
        return Err(Refusal::CredentialsTooLong);
    }
    let pair = Base64::decode(coded, room).map_err(|_| Refusal::MalformedCredentials)?;
    let pair = std::str::from_utf8(pair).map_err(|_| Refusal::MalformedCredentials)?;
    let (user, password) = pair.split_once(':').ok_or(Refusal::MalformedCredentials)?;
    if user.is_empty() || password.is_empty() || pair.chars().any(char::is_control) {
        return Err(Refusal::MalformedCredentials);
    }
    if user.len() > USER_MAX || password.len() > PASSWORD_MAX {
        return Err(Refusal::CredentialsTooLong);
    }
    Ok((user, password.as_bytes()))
}

/// What stands behind the scheme's name (RFC 9110 section 11.4). Another scheme's credentials are none of
/// ours; an empty field is a mistake, and so is a name with nothing behind it.
pub(crate) fn of_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Result<&'a [u8], Refusal> {
    let end = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (name, rest) = value.split_at(end);
    if name.is_empty() {
        return Err(Refusal::MalformedCredentials);
    }
    if !name.eq_ignore_ascii_case(scheme) {
        return Err(Refusal::NoCredentials);
    }
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    let rest = &rest[spaces..];
    if rest.is_empty() { Err(Refusal::MalformedCredentials) } else { Ok(rest) }
}

#[cfg(test)]
mod tests;
