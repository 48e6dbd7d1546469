//! The request fields that a stored response was chosen by (RFC 9110 section 12.5.5).

use doorman_http::{FieldId, ResponseHead, is_token};

/// Names that are kept of a response's `Vary`. A response that names more is stored like one that
/// varies by everything: not at all. Real ones name three or four.
pub const VARY_MAX: usize = 16;

/// Bytes of all names together: fields are named in a few dozen bytes, and every variant keeps them.
pub const VARY_BYTES_MAX: usize = 1_024;

/// The response varies by more than request fields: `Vary: *`, a list that cannot be read, or a list
/// that is too long. It can be chosen for no later request (RFC 9111 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Star;

/// The names of a `Vary`, lower case, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vary {
    /// The names with commas between them; a name holds none.
    names: Box<[u8]>,
}

impl Vary {
    /// The request fields that a response varies by: none if it has no `Vary`.
    ///
    /// # Errors
    /// [`Star`] if no later request could be matched.
    pub fn of(head: &ResponseHead) -> Result<Self, Star> {
        if !head.fields.has(FieldId::Vary) {
            return Ok(Self::default());
        }
        let mut names = Vec::new();
        for line in head.fields.all(FieldId::Vary) {
            for name in line.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
                if name.is_empty() {
                    // Lists may have empty elements (RFC 9110 section 5.6.1).
                    continue;
                }
                if name == b"*" || !is_token(name) || names.len() > 2 * VARY_MAX {
                    return Err(Star);
                }
                names.push(name.to_ascii_lowercase());
            }
        }
        Self::made(names)
    }

    fn made(mut names: Vec<Vec<u8>>) -> Result<Self, Star> {
        names.sort_unstable();
        names.dedup();
        let joined = names.join(&b',');
        if names.len() > VARY_MAX || joined.len() > VARY_BYTES_MAX {
            return Err(Star);
        }
        Ok(Self { names: joined.into() })
    }

    /// The names of both: what must be looked at to tell the variants of a URL apart of which some
    /// were stored with the one list and some with the other.
    ///
    /// # Errors
    /// [`Star`] if that are too many.
    pub fn union(&self, other: VaryNames<'_>) -> Result<Self, Star> {
        let both = self.names().iter().chain(other.iter()).map(<[u8]>::to_vec).collect();
        Self::made(both)
    }

    /// The list without fields that the operator knows to make no difference; `ignored` is in lower
    /// case.
    #[must_use]
    pub fn without(self, ignored: &[Box<[u8]>]) -> Self {
        if ignored.is_empty() || self.names.is_empty() {
            return self;
        }
        let is_left = |name: &&[u8]| !ignored.iter().any(|ignored| **ignored == **name);
        let left: Vec<_> = self.names().iter().filter(is_left).collect();
        Self { names: left.join(&b',').into() }
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> VaryNames<'_> {
        VaryNames(&self.names)
    }
}

/// The names of a [`Vary`] where they lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VaryNames<'a>(pub(crate) &'a [u8]);

impl<'a> VaryNames<'a> {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The names in their order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.split(|&b| b == b',').filter(|name| !name.is_empty())
    }

    /// A [`Vary`] of its own.
    #[must_use]
    pub fn to_vary(self) -> Vary {
        Vary { names: self.0.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vary(lines: &[&str]) -> Result<Vary, Star> {
        let mut head = ResponseHead::new(200);
        for line in lines {
            head.fields.push(b"Vary", line.as_bytes());
        }
        Vary::of(&head)
    }

    fn names(vary: &Vary) -> Vec<String> {
        vary.names().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn cde_09_lists_are_read_and_stars_match_nothing() {
        for (lines, expect) in [
            (&[][..], Some(&[][..])),
            (&[""], Some(&[])),
            (&[" , ,"], Some(&[])),
            (&["Accept-Encoding"], Some(&["accept-encoding"])),
            (&["b,A , b", "\tc,,"], Some(&["a", "b", "c"])),
            (&["Cookie, Authorization"], Some(&["authorization", "cookie"])),
            (&["*"], None),
            (&["a, *"], None),
            (&["a", "*, b"], None),
            (&["a b"], None),
            (&["\"a\""], None),
            (&["a;q=1"], None),
        ] {
            let expect = expect.map(|names| names.iter().map(ToString::to_string).collect());
            assert_eq!(vary(lines).ok().as_ref().map(names), expect, "{lines:?}");
        }
    }

    #[test]
    fn a_list_is_bounded() {
        let list = |n: usize| (0..n).map(|n| format!("x-{n}")).collect::<Vec<_>>().join(",");
        assert!(vary(&[&list(VARY_MAX)]).is_ok());
        assert_eq!(vary(&[&list(VARY_MAX + 1)]), Err(Star));
        assert_eq!(vary(&[&list(10_000)]), Err(Star));
        assert_eq!(vary(&[&"x".repeat(VARY_BYTES_MAX + 1)]), Err(Star));
        assert!(vary(&[&"x,".repeat(VARY_MAX)]).is_ok());
        let (one, other) = (vary(&[&list(VARY_MAX)]).unwrap(), vary(&["y"]).unwrap());
        assert_eq!(one.union(other.names()), Err(Star));
        assert_eq!(one.union(one.names()), Ok(one.clone()));
    }

    #[test]
    fn lists_are_joined_and_shortened() {
        let (one, other) = (vary(&["b, a"]).unwrap(), vary(&["c, b"]).unwrap());
        let both = one.union(other.names()).unwrap();
        assert_eq!(names(&both), ["a", "b", "c"]);
        assert_eq!(both.names().to_vary(), both);
        let ignored: [Box<[u8]>; 2] = [b"b"[..].into(), b"x"[..].into()];
        assert_eq!(names(&both.clone().without(&ignored)), ["a", "c"]);
        assert_eq!(both.clone().without(&[]), both);
        assert!(one.without(&[b"a"[..].into(), b"b"[..].into()]).names().is_empty());
    }
}
