//! Who may come in: names and hashes of passwords, as `htpasswd` writes them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use crate::lines::{self, BadLines};
use crate::outcome::{Identity, Via};
use crate::password::{HashError, PasswordHash, nobody};

use super::USER_MAX;

/// Most accounts of one gate. Whoever has more keeps them where they can be asked for.
pub const ACCOUNTS_MAX: usize = 100_000;

/// An account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) identity: Arc<Identity>,
    pub(super) hash: Arc<PasswordHash>,
}

/// Accounts by name.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    by_name: HashMap<Box<str>, Account>,
}

/// Why an account is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountError {
    /// The name is empty, too long, holds a colon or a control character.
    Name,
    /// The name has an account already.
    Twice,
    /// There are [`ACCOUNTS_MAX`] already.
    TooMany,
    /// The hash is not taken.
    Hash(HashError),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "the user's name is empty, longer than {USER_MAX} bytes, or holds a colon or a control character; \
                 choose another"
            ),
            Self::Twice => f.write_str("the user's name is there already; take one of the two out"),
            Self::TooMany => write!(f, "there are {ACCOUNTS_MAX} accounts already; take some out"),
            Self::Hash(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for AccountError {}

impl Accounts {
    /// No account.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an account.
    ///
    /// # Errors
    /// Name or hash is not taken; nothing changes then.
    pub fn add(&mut self, user: &str, hash: &str) -> Result<(), AccountError> {
        if user.len() > USER_MAX || user.contains(':') {
            return Err(AccountError::Name);
        }
        let identity = Identity::named(user, Via::Basic).ok_or(AccountError::Name)?;
        let hash = PasswordHash::read(hash).map_err(AccountError::Hash)?;
        let is_full = self.by_name.len() >= ACCOUNTS_MAX;
        match self.by_name.entry(user.into()) {
            Entry::Occupied(_) => Err(AccountError::Twice),
            Entry::Vacant(_) if is_full => Err(AccountError::TooMany),
            Entry::Vacant(place) => {
                place.insert(Account { identity: Arc::new(identity), hash: Arc::new(hash) });
                Ok(())
            }
        }
    }

    /// Adds the accounts of a file: `user:hash` a line, as `htpasswd` writes it. Empty lines and those that
    /// start with `#` are passed over.
    ///
    /// # Errors
    /// All lines that hold none; the others are added all the same.
    pub fn add_file(&mut self, text: &[u8]) -> Result<(), BadLines> {
        lines::each(text, |_, line| {
            let Some((user, hash)) = line.split_once(':') else {
                return Err("has no colon; write it as user:hash".to_owned());
            };
            self.add(user, hash).map_err(|why| why.to_string())
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is none, so that nobody can come in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn find(&self, user: &str) -> Option<&Account> {
        self.by_name.get(user)
    }

    /// A hash that costs what most accounts' hashes cost, for names that have none: so a client cannot tell
    /// by the clock which names there are. Where costs are mixed, names of the rarer ones can be told.
    pub(super) fn decoy(&self) -> Arc<PasswordHash> {
        let mut costs: HashMap<String, (usize, &Arc<PasswordHash>)> = HashMap::new();
        for account in self.by_name.values() {
            costs.entry(account.hash.cost()).or_insert((0, &account.hash)).0 += 1;
        }
        // Equally many: the dearer looking one, so that the choice does not hang on the order of a map.
        let most = costs.into_iter().max_by(|(a, (m, _)), (b, (n, _))| m.cmp(n).then(a.cmp(b)));
        most.map_or_else(|| Arc::new(nobody()), |(_, (_, hash))| Arc::clone(hash))
    }
}
