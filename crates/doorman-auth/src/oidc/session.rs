//! A session: who signed in, until when, and what may renew it. It is kept by the browser alone, sealed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use doorman_http::Now;

use super::text::{Reader, Writer};
use crate::outcome::{Claim, Identity, Via};

/// Longest refresh token that is kept, in bytes; with a longer one a session is not renewed.
pub const REFRESH_TOKEN_BYTES_MAX: usize = 4096;

/// How long requests pass with a session that shall be renewed and is not yet, in seconds. After that nobody passes
/// with it before it is.
pub const RENEW_GRACE_SECONDS: u64 = 300;

/// Wait between two tries to renew, in seconds.
pub const RENEW_EVERY_SECONDS: u64 = 30;

/// The form in which a session is written. Another form has another number, and older sessions sign in again.
const FORM: u64 = 1;

/// Who signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Who, and what of their claims is kept.
    pub identity: Arc<Identity>,
    /// When it is over, in seconds since the Unix epoch.
    pub expires: u64,
    pub(super) renewal: Option<Renewal>,
}

/// How a session is renewed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Renewal {
    /// From when on it shall be, in seconds since the Unix epoch.
    pub(super) due: u64,
    /// Until when requests pass although it is not.
    pub(super) until: u64,
    pub(super) token: Box<str>,
}

impl fmt::Debug for Session {
    /// Without the refresh token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, expires, renewal: _ } = self;
        f.debug_struct("Session")
            .field("user", &identity.user)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// How a session is, at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Good,
    /// It shall be renewed, and is good meanwhile.
    Due,
    /// It shall be renewed first.
    Late,
    Over,
}

impl Session {
    /// Whether nobody passes with it before it is renewed.
    #[must_use]
    pub fn is_late(&self, now: Now) -> bool {
        self.life(now.unix_seconds()) == Life::Late
    }

    /// What tells this renewal from all others; `None`: it cannot be renewed. Whoever renews keeps it, so that no
    /// refresh token is shown twice: many providers then end the session (RFC 9700 section 4.14.2).
    #[must_use]
    pub fn renewal_id(&self) -> Option<[u8; 32]> {
        let renewal = self.renewal.as_ref()?;
        let mut context = Context::new(&SHA256);
        context.update(&renewal.due.to_be_bytes());
        context.update(renewal.token.as_bytes());
        context.finish().as_ref().try_into().ok()
    }

    pub(super) fn life(&self, seconds: u64) -> Life {
        match &self.renewal {
            _ if seconds >= self.expires => Life::Over,
            Some(renewal) if seconds >= renewal.until => Life::Late,
            Some(renewal) if seconds >= renewal.due => Life::Due,
            _ => Life::Good,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(FORM);
        writer.number(self.expires);
        let renewal = self.renewal.as_ref();
        writer.number(renewal.map_or(0, |renewal| renewal.due));
        writer.number(renewal.map_or(0, |renewal| renewal.until));
        writer.text(renewal.map_or("", |renewal| &renewal.token));
        writer.text(&self.identity.user);
        for claim in &self.identity.claims {
            writer.text(&claim.name);
            writer.text(&claim.value);
        }
        writer.0
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.number()? != FORM {
            return None;
        }
        let expires = reader.number()?;
        let (due, until, token) = (reader.number()?, reader.number()?, reader.text()?);
        let renewal = (!token.is_empty()).then(|| Renewal { due, until, token: token.into() });
        let mut identity = Identity::named(reader.text()?, Via::Oidc)?;
        let mut claims = Vec::new();
        while !reader.0.is_empty() {
            claims.push(Claim { name: reader.text()?.into(), value: reader.text()?.into() });
        }
        identity.claims = claims.into();
        Some(Self { identity: Arc::new(identity), expires, renewal })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads(
            user in "[a-zé]{1,20}",
            expires: u64,
            due: u64,
            token in ".{0,50}",
            claims in prop::collection::vec(("[a-z]{0,9}", ".{0,30}"), 0..5),
        ) {
            let mut identity = Identity::named(&user, Via::Oidc).expect("a name");
            identity.claims = claims
                .into_iter()
                .map(|(name, value)| Claim { name: name.into(), value: value.into() })
                .collect();
            let renewal = (!token.is_empty()).then(|| Renewal { due, until: 9, token: token.into() });
            let session = Session { identity: Arc::new(identity), expires, renewal };
            let bytes = session.to_bytes();
            prop_assert_eq!(Session::from_bytes(&bytes), Some(session));
            prop_assert_eq!(Session::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn lives() {
        let identity = Arc::new(Identity::named("ann", Via::Oidc).expect("a name"));
        let session = |renewal| Session { identity: Arc::clone(&identity), expires: 100, renewal };
        let renewal = |due| Some(Renewal { due, until: due + 30, token: "t".into() });
        for (session, seconds, expect) in [
            (session(None), 99, Life::Good),
            (session(None), 100, Life::Over),
            (session(renewal(50)), 49, Life::Good),
            (session(renewal(50)), 50, Life::Due),
            (session(renewal(50)), 79, Life::Due),
            (session(renewal(50)), 80, Life::Late),
            (session(renewal(50)), 99, Life::Late),
            (session(renewal(90)), 100, Life::Over),
        ] {
            assert_eq!(session.life(seconds), expect, "{session:?} at {seconds}");
        }
        assert!(!format!("{:?}", session(renewal(50))).contains("\"t\""));
        let ids = [renewal(50), renewal(51), None].map(|renewal| session(renewal).renewal_id());
        assert!(ids[0].is_some() && ids[0] != ids[1] && ids[2].is_none());
    }
}
