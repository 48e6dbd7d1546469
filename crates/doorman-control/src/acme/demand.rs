//! Names that clients ask for: which of them are looked at, and how many get a certificate. Time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use doorman_net::tls::CertificateName;

/// Names that have, or may have, a certificate because clients asked for them.
pub(super) const NAMES_MAX: usize = 10_000;
/// Names that were refused and are remembered. More are asked about again, which costs a request to a server of one's
/// own.
const REFUSED_MAX: usize = 1024;
/// How long a refusal is remembered, in seconds: a name that was just added must not wait for long.
const REFUSED: u64 = 60;
/// New names that are ordered at once, and then one in so many seconds: a third of what Let's Encrypt allows.
const BURST: u64 = 30;
const EACH: u64 = 108;
/// Failures in a row after which a name that never had a certificate is forgotten.
pub(super) const FAILURES_MAX: u32 = 3;

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Names below this one, at any depth; `None`: all.
    pub under: Option<String>,
    /// The URL that says whether a name may have a certificate.
    pub ask: String,
}

/// What is known of names that clients ask for.
#[derive(Debug, Default)]
pub(super) struct Demands {
    rules: Vec<Demand>,
    names: BTreeSet<CertificateName>,
    refused: BTreeMap<Box<str>, u64>,
    asking: BTreeSet<Box<str>>,
    /// When the bucket of orders will be full again, unix seconds.
    full_at: u64,
}

impl Demands {
    /// Other rules; names that none of them covers are let go.
    pub(super) fn follow(&mut self, rules: &[Demand]) {
        self.rules = rules.to_vec();
        let rules = &self.rules;
        self.names.retain(|name| covering(rules, &name.to_string()).is_some());
        self.refused.clear();
    }

    /// Whom to ask about a name that a client wants; `None`: nothing is to be done.
    #[must_use]
    pub(super) fn want(&mut self, name: &str, now: u64) -> Option<String> {
        let parsed = CertificateName::parse(name).ok()?;
        let is_known = self.names.contains(&parsed) || self.asking.contains(name);
        let is_refused = self.refused.get(name).is_some_and(|until| *until > now);
        if is_known || is_refused || self.names.len() >= NAMES_MAX {
            return None;
        }
        let ask = covering(&self.rules, name)?.ask.clone();
        self.asking.insert(name.into());
        Some(ask)
    }

    /// Whether a name is being asked about, or is to have a certificate.
    pub(super) fn is_coming(&self, name: &str) -> bool {
        let parsed = CertificateName::parse(name);
        self.asking.contains(name) || parsed.is_ok_and(|parsed| self.names.contains(&parsed))
    }

    /// The answer about a name. `true`: it is to be ordered.
    pub(super) fn answered(&mut self, name: &str, may: bool, now: u64) -> bool {
        if !self.asking.remove(name) {
            return false;
        }
        let parsed = CertificateName::parse(name).ok().filter(|_| may && self.take(now));
        match parsed {
            Some(parsed) => self.names.insert(parsed),
            None => {
                self.refuse(name, now);
                false
            }
        }
    }

    /// A name is refused for a while.
    pub(super) fn refuse(&mut self, name: &str, now: u64) {
        self.refused.retain(|_, until| *until > now);
        // Whoever waits for this name has to hear of it, so an older refusal makes room.
        if self.refused.len() >= REFUSED_MAX
            && let Some(oldest) = self.refused.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = oldest.0.clone();
            self.refused.remove(&oldest);
        }
        self.refused.insert(name.into(), now + REFUSED);
    }

    /// A certificate that is on disk because somebody asked for it.
    pub(super) fn remember(&mut self, name: CertificateName) -> bool {
        let fits =
            self.names.len() < NAMES_MAX && covering(&self.rules, &name.to_string()).is_some();
        fits && self.names.insert(name)
    }

    pub(super) fn forget(&mut self, name: &CertificateName) {
        self.names.remove(name);
    }

    pub(super) fn has(&self, name: &CertificateName) -> bool {
        self.names.contains(name)
    }

    /// Whom to ask whether a name may still have a certificate.
    pub(super) fn ask(&self, name: &CertificateName) -> Option<String> {
        covering(&self.rules, &name.to_string()).map(|rule| rule.ask.clone())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &CertificateName> {
        self.names.iter()
    }

    pub(super) fn refused(&self) -> HashSet<Box<str>> {
        self.refused.keys().cloned().collect()
    }

    /// When the first refusal is to be forgotten.
    pub(super) fn next(&self) -> Option<u64> {
        self.refused.values().min().copied()
    }

    /// Forgets refusals that are over; whether there were any.
    pub(super) fn sweep(&mut self, now: u64) -> bool {
        let before = self.refused.len();
        self.refused.retain(|_, until| *until > now);
        self.refused.len() < before
    }

    /// Takes one order out of the bucket.
    fn take(&mut self, now: u64) -> bool {
        let full_at = self.full_at.max(now) + EACH;
        let fits = full_at - now <= BURST * EACH;
        if fits {
            self.full_at = full_at;
        }
        fits
    }
}

/// The narrowest rule that covers a name.
fn covering<'a>(rules: &'a [Demand], name: &str) -> Option<&'a Demand> {
    let covers = |rule: &&Demand| match &rule.under {
        None => true,
        Some(under) => name
            .strip_suffix(under.as_str())
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
    };
    rules.iter().filter(covers).max_by_key(|rule| rule.under.as_ref().map_or(0, String::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(under: Option<&str>, ask: &str) -> Demand {
        Demand { under: under.map(str::to_owned), ask: ask.to_owned() }
    }

    fn demands(rules: &[Demand]) -> Demands {
        let mut demands = Demands::default();
        demands.follow(rules);
        demands
    }

    #[test]
    fn the_narrowest_rule_is_asked() {
        let rules = [rule(None, "all"), rule(Some("a.test"), "a"), rule(Some("b.a.test"), "b")];
        let check = |rules: &[Demand], name: &str, expect: Option<&str>| {
            assert_eq!(demands(rules).want(name, 0).as_deref(), expect, "{name}");
        };
        check(&rules, "x.test", Some("all"));
        check(&rules, "x.a.test", Some("a"));
        check(&rules, "x.y.a.test", Some("a"));
        check(&rules, "x.b.a.test", Some("b"));
        check(&rules, "xa.test", Some("all"));
        check(&rules[1..], "xa.test", None);
        check(&rules[1..], "a.test", None);
        check(&rules[1..], ".a.test", None);
        check(&rules[1..], "x.test", None);
        check(&[], "x.test", None);
    }

    #[test]
    fn a_name_is_asked_about_once_and_a_refusal_is_remembered() {
        let mut demands = demands(&[rule(None, "all")]);
        assert!(demands.want("x.test", 0).is_some());
        assert!(demands.want("x.test", 0).is_none(), "it is being asked about");
        assert!(!demands.answered("x.test", false, 0));
        assert!(demands.want("x.test", REFUSED - 1).is_none());
        assert!(demands.refused().contains("x.test"));
        assert_eq!(demands.next(), Some(REFUSED));
        assert!(demands.want("x.test", REFUSED).is_some());
        assert!(demands.answered("x.test", true, REFUSED));
        assert!(demands.want("x.test", REFUSED).is_none(), "it is known");
        assert!(demands.sweep(REFUSED) && !demands.sweep(REFUSED));
        assert!(!demands.answered("y.test", true, 0), "nobody asked");
        demands.follow(&[rule(Some("a.test"), "a")]);
        assert_eq!(demands.names().count(), 0);
    }

    #[test]
    fn orders_are_bounded_by_a_rate() {
        let mut demands = demands(&[rule(None, "all")]);
        let mut order = |n: u64, now: u64| {
            let name = format!("n{n}.test");
            demands.want(&name, now).is_some() && demands.answered(&name, true, now)
        };
        assert!((0..BURST).all(|n| order(n, 0)));
        assert!(!order(1000, 0));
        assert!(!order(1001, EACH - 1));
        assert!(order(1002, EACH));
        assert!(!order(1003, EACH));
    }

    #[test]
    fn memory_is_bounded() {
        let mut demands = demands(&[rule(None, "all")]);
        for n in 0..REFUSED_MAX + 10 {
            let name = format!("n{n}.test");
            let _ = demands.want(&name, 0);
            demands.answered(&name, false, 0);
            assert!(demands.refused().contains(&*name), "who waits for it hears of it");
        }
        assert_eq!(demands.refused().len(), REFUSED_MAX);
        assert_eq!(demands.asking.len(), 0);
        for n in 0..NAMES_MAX + 10 {
            let name = CertificateName::parse(&format!("n{n}.test")).unwrap();
            assert_eq!(demands.remember(name), n < NAMES_MAX);
        }
        assert!(demands.want("other.test", 100).is_none());
    }
}
