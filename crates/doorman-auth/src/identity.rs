//! The names of fields by which origins are told who asks. A client must never say them itself.
//!
//! One decision shaped this: names are compared as the most careless reader would. `X_User`, `x-user` and
//! `X.User` are one name to an application behind CGI or WSGI, so they are one name here.

use doorman_http::{Fields, is_token};

/// A set of fields' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<Box<str>>);

/// The name as the most careless reader sees it: lower case, and every mark a hyphen.
#[must_use]
pub fn canonical(name: &str) -> String {
    let careless = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(careless).collect()
}

/// Whether a careless reader takes the two for one.
fn is_same(received: &[u8], canonical: &[u8]) -> bool {
    received.len() == canonical.len()
        && received.iter().zip(canonical).all(|(&a, &b)| {
            if a.is_ascii_alphanumeric() { a.to_ascii_lowercase() == b } else { b == b'-' }
        })
}

impl Names {
    /// No name.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a name; says whether it can be one.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        if !is_token(name.as_bytes()) {
            return false;
        }
        let name = canonical(name).into_boxed_str();
        if !self.0.contains(&name) {
            self.0.push(name);
        }
        true
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this field would be taken for one of them.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|own| is_same(name, own.as_bytes()))
    }

    /// Takes every field out that would be taken for one of them; says how many there were. To be done with a
    /// client's request before any gate looks at it.
    pub fn strip(&self, fields: &mut Fields) -> usize {
        let mut count = 0;
        // Seldom is there any: so look first, and copy a name only then.
        while let Some(name) = self.first_in(fields) {
            let removed = fields.remove(&name);
            count += removed;
            if removed == 0 {
                // Cannot be: what was found by its name is removed by it. Were it not so, this ends all the same.
                break;
            }
        }
        count
    }

    fn first_in(&self, fields: &Fields) -> Option<Vec<u8>> {
        let found = fields.received().find(|(_, name, _)| self.has(name));
        found.map(|(_, name, _)| name.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SEA-11: every way to write a name that some reader takes for it.
    #[test]
    fn every_alias_is_stripped() {
        let mut names = Names::new();
        assert!(names.add("X-Auth-User"));
        assert!(names.add("remote_user"));
        assert!(names.add("Authorization"));
        assert!(!names.add("a b"));
        assert!(!names.add(""));
        for alias in [
            "X-Auth-User",
            "x-auth-user",
            "X_Auth_User",
            "X-AUTH_USER",
            "x.auth.user",
            "x~auth|user",
            "Remote-User",
            "REMOTE_USER",
            "authorization",
        ] {
            let mut fields = Fields::new();
            fields.push(b"Accept", b"1");
            fields.push(alias.as_bytes(), b"admin");
            fields.push(alias.as_bytes(), b"root");
            assert!(names.has(alias.as_bytes()), "{alias}");
            assert_eq!(names.strip(&mut fields), 2, "{alias}");
            assert_eq!(fields.received().count(), 1, "{alias}");
        }
        for other in ["X-Auth-Users", "X-AuthUser", "XAuth-User", "X-Auth--User", "Auth-User"] {
            assert!(!names.has(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn no_names_strip_nothing() {
        let mut fields = Fields::new();
        fields.push(b"X-User", b"a");
        assert!(Names::new().is_empty());
        assert_eq!(Names::new().strip(&mut fields), 0);
        assert_eq!(fields.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_left_that_is_one(
            own in "[A-Za-z_.-]{1,8}",
            sent in prop::collection::vec("[A-Za-z_.-]{1,8}", 0..8),
        ) {
            let mut names = Names::new();
            prop_assert!(names.add(&own));
            let mut fields = Fields::new();
            for name in sent.iter().chain([&own]) {
                fields.push(name.as_bytes(), b"1");
            }
            let count = names.strip(&mut fields);
            prop_assert!(count >= 1);
            prop_assert_eq!(fields.len() + count, sent.len() + 1);
            for (_, name, _) in fields.received() {
                let name = canonical(std::str::from_utf8(name).unwrap());
                prop_assert_ne!(name, canonical(&own));
            }
        }
    }
}
