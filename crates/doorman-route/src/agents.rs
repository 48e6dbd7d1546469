//! Lists of words that user agents are known by.
//!
//! All words are looked for at once, in one pass over the field, however many there are.

use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::list::{self, ListError};

mod bad_bots;

/// Words that are looked for in user agents, in any case of ASCII letters and anywhere in the field.
pub struct AgentList {
    words: Box<[Box<str>]>,
    automaton: AhoCorasick,
}

impl fmt::Debug for AgentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentList").field("words", &self.words.len()).finish_non_exhaustive()
    }
}

impl AgentList {
    /// The names of the lists that are built in.
    pub const BUILT_IN: &[&str] = &["bad-bots"];

    /// A list that is built in. `bad-bots` holds the names that scanners for weaknesses, guessers of paths and
    /// passwords, and tools that copy whole sites or gather addresses give themselves unless they are told
    /// to lie. It keeps out the careless only.
    ///
    /// Neither libraries (`curl`, `python-requests`) nor crawlers of search engines, of archives or of language
    /// models are in it: whether those are welcome is the operator's to say.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        let words = match name {
            "bad-bots" => bad_bots::WORDS,
            _ => return None,
        };
        Self::new(words.iter().map(|&word| word.into()).collect()).ok()
    }

    /// Reads a list file; [`list::words`] says how one looks. One without words finds nothing.
    ///
    /// # Errors
    /// Those of [`list::words`].
    pub fn read(text: &[u8]) -> Result<Self, ListError> {
        // Within the bounds of a list there is no automaton that cannot be built.
        Self::new(list::words(text)?).map_err(|_| ListError::Bytes(list::WORDS_BYTES_MAX))
    }

    fn new(words: Vec<Box<str>>) -> Result<Self, aho_corasick::BuildError> {
        // Lists are long and fields short: an automaton that stays in the cache is faster than a larger one.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(words.iter().map(|word| word.as_bytes()))?;
        Ok(Self { words: words.into(), automaton })
    }

    /// The word of the list that ends first in a user agent. What is sent as user agent has a bound already, that of
    /// a head.
    #[must_use]
    pub fn find(&self, user_agent: &[u8]) -> Option<&str> {
        let found = self.automaton.find(user_agent)?;
        self.words.get(found.pattern().as_usize()).map(|word| &**word)
    }

    /// The words, in lower case.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }

    /// How much memory the automaton takes, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.automaton.memory_usage()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tools_are_found_and_visitors_are_not() {
        let list = AgentList::built_in("bad-bots").unwrap();
        for (agent, expect) in [
            ("sqlmap/1.8.4#stable (https://sqlmap.org)", Some("sqlmap")),
            ("Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)", Some("nikto")),
            ("Mozilla/5.0 zgrab/0.x", Some("zgrab")),
            (
                "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
                Some("nmap scripting"),
            ),
            ("WPScan v3.8.25 (https://wpscan.com/wordpress-security-scanner)", Some("wpscan")),
            ("gobuster/3.6", Some("gobuster")),
            ("Fuzz Faster U Fool v2.1.0-dev", Some("fuzz faster u fool")),
            ("Mozilla/4.5 (compatible; HTTrack 3.0x; Windows 98)", Some("httrack")),
            ("EmailSiphon", Some("emailsiphon")),
            ("", None),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", None),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                None,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                None,
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                None,
            ),
            ("Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18", None),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", None),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", None),
            ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", None),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", None),
            ("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", None),
            ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", None),
            ("Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)", None),
            ("Let's Encrypt validation server (+https://www.letsencrypt.org)", None),
            ("curl/8.14.1", None),
            ("Wget/1.25.0", None),
            ("python-requests/2.32.4", None),
            ("Go-http-client/2.0", None),
            ("kube-probe/1.33", None),
            ("Prometheus/3.4.0", None),
            ("okhttp/5.0.0", None),
            ("git/2.50.0", None),
        ] {
            assert_eq!(list.find(agent.as_bytes()), expect, "{agent}");
        }
    }

    #[test]
    fn lists_that_are_built_in_are_well_made() {
        for name in AgentList::BUILT_IN {
            let list = AgentList::built_in(name).unwrap();
            let words: Vec<_> = list.words().collect();
            assert!(words.is_sorted_by(|a, b| a < b), "each is there once, in order");
            assert_eq!(list::words(words.join("\n").as_bytes()).unwrap(), *list.words);
            assert!(words.iter().all(|word| word.len() > 3), "short ones are in many");
            for word in &words {
                let within = words.iter().find(|other| *other != word && word.contains(**other));
                assert_eq!(within, None, "{word} is never found");
            }
        }
        assert!(AgentList::built_in("good-bots").is_none());
    }

    #[test]
    fn files() {
        let list = AgentList::read(b"# mine\nEvil Bot\nfoo;\n").unwrap();
        assert_eq!(list.find(b"an EVIL BOT, 1.0"), Some("evil bot"));
        assert_eq!(list.find(b"FOO;bar \xFF"), Some("foo;"));
        assert_eq!(list.find(b"evilbot"), None);
        assert_eq!(AgentList::read(b"").unwrap().find(b"anybody"), None);
        assert!(AgentList::read(b"a\n").is_err());
    }

    #[test]
    fn the_longest_list_is_built() {
        let lines: String = (0..20_000_u32)
            .map(|n| format!("{:08x} of many bots {n:020x}\n", n.wrapping_mul(0x9E37_79B9)))
            .collect();
        let list = AgentList::read(lines.as_bytes());
        assert_eq!(list.as_ref().map(|list| list.words.len()).ok(), Some(list::WORDS_LINES_MAX));
        let bytes = list.unwrap().bytes();
        assert!(bytes < 32 * list::WORDS_BYTES_MAX, "{bytes}");
    }

    proptest! {
        #[test]
        fn what_is_found_is_there(
            words in prop::collection::vec("[a-c;]{3,5}", 0..12),
            agent in "[A-Ca-c;]{0,24}",
        ) {
            let list = AgentList::read(words.join("\n").as_bytes()).unwrap();
            let low = agent.to_ascii_lowercase();
            let expect = words.iter().any(|word| !word.starts_with(';') && low.contains(word.as_str()));
            let found = list.find(agent.as_bytes());
            prop_assert_eq!(found.is_some(), expect);
            prop_assert!(found.is_none_or(|word| low.contains(word)));
        }
    }
}
