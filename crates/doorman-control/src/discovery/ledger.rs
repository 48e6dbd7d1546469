//! What is known of one source over time, and when it is looked at again. Pure: times and outcomes are arguments.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use doorman_http::Instant;

use super::list::{self, Answer, Endpoint, Trouble};

/// The wait after a first failure; it doubles with each in a row.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a failure: DNS that is back is noticed within half a minute. It bounds what an answer of "no
/// such name" says of itself as well, which may be hours.
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// How often a source is looked at, and how long its list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A fixed time between two looks; `None`: as answers say.
    pub every: Option<Duration>,
    /// The least time that an answer counts.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
    /// How long a list counts after the last look that went well.
    pub keep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: None,
            least: Duration::from_secs(1),
            most: Duration::from_secs(300),
            keep: Duration::from_secs(24 * 3600),
        }
    }
}

/// A source over time.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    list: Option<Arc<[Endpoint]>>,
    /// The last look that went well.
    good: Option<Instant>,
    failures: u32,
    /// Why the last look failed.
    trouble: Option<String>,
    /// How many servers were too many.
    left_out: usize,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When to look again; `None`: when something changes.
    pub next: Option<Duration>,
    /// Whether the list is another.
    pub is_changed: bool,
    /// What is worth a line in the log.
    pub news: Vec<News>,
}

/// What is worth a line in the log. Each is told once, and not at every look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The list is another.
    Changed {
        /// How many servers there are now.
        count: usize,
        /// What came and went.
        how: String,
    },
    /// There were more servers than are taken.
    TooMany {
        /// How many there were.
        found: usize,
        /// How many are taken.
        taken: usize,
    },
    /// Looking fails; the list of before counts on.
    Failing {
        /// Why.
        why: String,
        /// How many servers there are still; `None`: there has never been a list.
        count: Option<usize>,
    },
    /// Looking goes well again, and the list is the same.
    Mended,
    /// It has failed for too long: the list counts no more.
    GivenUp,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { count: 0, how } => write!(f, "no servers now: {how}"),
            Self::Changed { count: 1, how } => write!(f, "1 server now: {how}"),
            Self::Changed { count, how } => write!(f, "{count} servers now: {how}"),
            Self::TooMany { found, taken } => {
                write!(f, "{found} servers are too many, the first {taken} are taken")
            }
            Self::Failing { why, count: None } => write!(f, "{why}; no servers until it is known"),
            Self::Failing { why, count: Some(count) } => {
                write!(f, "{why}; the last good list of {count} counts on")
            }
            Self::Mended => f.write_str("found again, with the same servers"),
            Self::GivenUp => f.write_str("not found for too long: its servers count no more"),
        }
    }
}

impl News {
    /// Whether somebody should look.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Failing { .. } | Self::TooMany { .. } | Self::GivenUp)
    }
}

impl Ledger {
    /// The list that counts; `None`: there has never been one.
    #[must_use]
    pub const fn list(&self) -> Option<&Arc<[Endpoint]>> {
        self.list.as_ref()
    }

    /// Why the last look failed, if it did.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The last look that went well.
    #[must_use]
    pub const fn good(&self) -> Option<Instant> {
        self.good
    }

    /// Looks that failed in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes the outcome of a look.
    pub fn take(
        &mut self,
        outcome: Result<Answer, Trouble>,
        most: usize,
        pace: &Pace,
        now: Instant,
    ) -> Step {
        match outcome {
            Ok(answer) => self.take_answer(answer, most, pace, now),
            Err(trouble) => self.take_trouble(trouble, pace, now),
        }
    }

    fn take_answer(&mut self, answer: Answer, most: usize, pace: &Pace, now: Instant) -> Step {
        let (list, found) = list::order(answer.endpoints, most);
        let mut news = Vec::new();
        let left_out = found - list.len();
        if left_out > 0 && self.left_out == 0 {
            news.push(News::TooMany { found, taken: list.len() });
        }
        self.left_out = left_out;
        let is_changed = self.list.as_deref() != Some(&list[..]);
        if is_changed {
            let before = self.list.as_deref().unwrap_or_default();
            news.push(News::Changed { count: list.len(), how: list::difference(before, &list) });
            self.list = Some(list.into());
        } else if self.trouble.is_some() {
            news.push(News::Mended);
        }
        (self.trouble, self.failures, self.good) = (None, 0, Some(now));
        let by_ttl = answer.ttl.map(|ttl| ttl.clamp(pace.least, pace.most.max(pace.least)));
        Step { next: by_ttl.and(pace.every).or(by_ttl), is_changed, news }
    }

    fn take_trouble(&mut self, trouble: Trouble, pace: &Pace, now: Instant) -> Step {
        let mut news = Vec::new();
        let mut is_changed = false;
        let count = self.list.as_ref().map(|list| list.len());
        if self.trouble.is_none() {
            news.push(News::Failing { why: trouble.why.clone(), count });
        }
        self.trouble = Some(trouble.why);
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = trouble.ttl.map_or(doubled, |ttl| ttl.clamp(RETRY_FIRST, RETRY_LONGEST));
        let mut next = pace.every.map_or(wait, |every| wait.min(every));
        if let Some(good) = self.good
            && count.is_some_and(|count| count > 0)
        {
            let end = good + pace.keep;
            if end <= now {
                self.list = Some(Arc::default());
                is_changed = true;
                news.push(News::GivenUp);
            } else {
                next = next.min(end.since(now));
            }
        }
        Step { next: Some(next), is_changed, news }
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::Place;
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    fn answer(list: &[u8], ttl: u64) -> Result<Answer, Trouble> {
        let endpoint = |last: &u8| Endpoint::plain(Place::Ip([10, 0, 0, *last].into(), 80));
        let endpoints = list.iter().map(endpoint).collect();
        Ok(Answer { endpoints, ttl: Some(Duration::from_secs(ttl)) })
    }

    fn trouble(ttl: Option<u64>) -> Result<Answer, Trouble> {
        Err(Trouble { why: "no such name".to_owned(), ttl: ttl.map(Duration::from_secs) })
    }

    /// A source and its outcomes, each with the second at which it comes; what is said, and when the next look comes.
    fn told(pace: &Pace, looks: &[(u64, Result<Answer, Trouble>)]) -> Vec<String> {
        let mut ledger = Ledger::default();
        let mut lines = Vec::new();
        for (second, outcome) in looks {
            let step = ledger.take(outcome.clone(), 3, pace, at(*second));
            let news: Vec<_> = step.news.iter().map(ToString::to_string).collect();
            let next = step.next.map_or("-".to_owned(), |next| next.as_secs().to_string());
            let list = ledger.list().map_or("none".to_owned(), |list| list.len().to_string());
            let mark = if step.is_changed { "*" } else { "" };
            lines.push(format!("{list}{mark} {next} {}", news.join(" | ")).trim_end().to_owned());
        }
        lines
    }

    #[test]
    fn answers_count_as_long_as_they_say_within_bounds() {
        let pace = Pace::default();
        let looks = [
            (0, answer(&[1, 2], 60)),
            (60, answer(&[2, 1], 0)),
            (61, answer(&[1, 2, 3], 100_000)),
            (361, answer(&[], 7)),
            (368, answer(&[1, 2, 3, 4, 5], 7)),
            (375, answer(&[5, 4, 3, 2, 1], 7)),
        ];
        let expect = [
            "2* 60 2 servers now: +10.0.0.1:80 +10.0.0.2:80",
            "2 1",
            "3* 300 3 servers now: +10.0.0.3:80",
            "0* 7 no servers now: -10.0.0.1:80 -10.0.0.2:80 -10.0.0.3:80",
            "3* 7 5 servers are too many, the first 3 are taken | 3 servers now: +10.0.0.1:80 +10.0.0.2:80 +10.0.0.3:80",
            "3 7",
        ];
        assert_eq!(told(&pace, &looks), expect);
        let fixed = Pace { every: Some(Duration::from_secs(30)), ..pace };
        assert_eq!(told(&fixed, &[(0, answer(&[1], 5))]), ["1* 30 1 server now: +10.0.0.1:80"]);
    }

    #[test]
    fn failures_keep_the_last_good_list_and_are_told_once() {
        let looks = [
            (0, answer(&[1, 2], 60)),
            (60, trouble(None)),
            (61, trouble(None)),
            (63, trouble(Some(3600))),
            (93, trouble(Some(0))),
            (94, trouble(None)),
            (110, answer(&[1, 2], 60)),
            (170, trouble(None)),
            (171, answer(&[1], 60)),
        ];
        let expect = [
            "2* 60 2 servers now: +10.0.0.1:80 +10.0.0.2:80",
            "2 1 no such name; the last good list of 2 counts on",
            "2 2",
            "2 30",
            "2 1",
            "2 16",
            "2 60 found again, with the same servers",
            "2 1 no such name; the last good list of 2 counts on",
            "1* 60 1 server now: -10.0.0.2:80",
        ];
        assert_eq!(told(&Pace::default(), &looks), expect);
    }

    #[test]
    fn a_list_counts_for_so_long_and_no_longer() {
        let pace = Pace { keep: Duration::from_secs(10), ..Pace::default() };
        let looks = [
            (0, answer(&[1], 5)),
            (5, trouble(Some(20))),
            (10, trouble(None)),
            (12, trouble(None)),
            (16, answer(&[1], 5)),
        ];
        let expect = [
            "1* 5 1 server now: +10.0.0.1:80",
            "1 5 no such name; the last good list of 1 counts on",
            "0* 2 not found for too long: its servers count no more",
            "0 4",
            "1* 5 1 server now: +10.0.0.1:80",
        ];
        assert_eq!(told(&pace, &looks), expect);
    }

    #[test]
    fn what_is_not_found_at_first_is_none_and_not_nothing() {
        let looks = [(0, trouble(None)), (1, trouble(None)), (3, answer(&[1], 9))];
        let expect = [
            "none 1 no such name; no servers until it is known",
            "none 2",
            "1* 9 1 server now: +10.0.0.1:80",
        ];
        assert_eq!(told(&Pace::default(), &looks), expect);
    }
}
