//! The thread that asks responders, and puts what they say into the certificates that serve.
//!
//! ```text
//!          due            good answer
//! waiting -----> asking ---------------> waiting until half of its life is over
//!    ^             |  \  revoked
//!    +-------------+   +---------------> nothing stapled, whoever keeps certificates is told
//!      failed: longer each time
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, UNIX_EPOCH};

use doorman_net::tls::{
    Certificate, CertificateSource, Keyring, Period, Question, Revocation, Verdict, judge,
};
use doorman_net::{Alarm, Clock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::fetch::Fetcher;
use super::report::{StapleReport, StapleState};
use super::shelf::{Print, Shelf};
use super::{present, read_back};
use crate::acme::times::back_off;

/// Questions at once: a start with thousands of certificates is no storm.
const FETCHES_MAX: usize = 4;
/// First and longest wait after a failure, in seconds. An hour leaves dozens of attempts in what is left of an answer
/// that lives for days.
const WAIT: (u64, u64) = (60, 3600);
/// Seconds until a revocation is looked at again: the certificate may only be on hold.
const REVOKED_AGAIN: u64 = 6 * 3600;
/// The longest sleep: a clock that was set must be seen.
const SLEEP_MAX: Duration = Duration::from_secs(600);

/// The stapler's handle.
#[derive(Debug)]
pub struct Stapler {
    commands: UnboundedSender<Command>,
    book: Arc<Mutex<Book>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Command {
    Follow(Vec<CertificateSource>),
    End,
}

#[derive(Debug, Default)]
struct Book {
    staples: Vec<StapleReport>,
    counts: Counts,
}

/// What came of questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers that were stapled.
    pub good: u64,
    /// Answers that revoke.
    pub revoked: u64,
    /// No answer, or none to go by.
    pub failed: u64,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stapler {
    /// Starts the thread. `keyring` tells when certificates come by themselves.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        data: &Path,
        keyring: Arc<Keyring>,
        clock: Clock,
        sources: Vec<CertificateSource>,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = unbounded_channel();
        let _ = commands.send(Command::Follow(sources));
        let book = Arc::new(Mutex::new(Book::default()));
        let (kept, shelf) = (Arc::clone(&book), Shelf::new(data));
        let body = move || match tokio::runtime::Builder::new_current_thread().enable_all().build()
        {
            Ok(runtime) => {
                runtime.block_on(Work::new(shelf, keyring, clock, kept).run(inbox));
                runtime.shutdown_timeout(Duration::ZERO);
            }
            Err(error) => tracing::error!("nothing can be stapled: {error}"),
        };
        let thread = std::thread::Builder::new().name("ocsp".to_owned()).spawn(body)?;
        Ok(Self { commands, book, thread: Mutex::new(Some(thread)) })
    }

    /// Asks about the certificates of these from now on.
    pub fn follow(&self, sources: Vec<CertificateSource>) {
        let _ = self.commands.send(Command::Follow(sources));
    }

    /// How it stands with each certificate.
    #[must_use]
    pub fn report(&self) -> Vec<StapleReport> {
        lock(&self.book).staples.clone()
    }

    /// What came of questions so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.book).counts
    }

    /// Ends the thread.
    pub fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.commands.send(Command::End);
            let _ = thread.join();
        }
    }
}

/// What came of one question.
struct Fetched {
    print: Print,
    result: Result<Vec<u8>, String>,
}

/// One certificate, however often it was loaded.
struct Entry {
    holders: Vec<Arc<Certificate>>,
    question: Question,
    /// When to ask.
    due: u64,
    is_asked: bool,
    held: Option<(Vec<u8>, Period)>,
    revoked: Option<Revocation>,
    failures: u32,
    trouble: Option<(u64, String)>,
}

struct Work {
    shelf: Shelf,
    keyring: Arc<Keyring>,
    clock: Clock,
    book: Arc<Mutex<Book>>,
    fetcher: Fetcher,
    sources: Vec<CertificateSource>,
    entries: BTreeMap<Print, Entry>,
    fetches: JoinSet<Fetched>,
}

impl Work {
    fn new(shelf: Shelf, keyring: Arc<Keyring>, clock: Clock, book: Arc<Mutex<Book>>) -> Self {
        Self {
            shelf,
            keyring,
            clock,
            book,
            fetcher: Fetcher::new(clock),
            sources: Vec::new(),
            entries: BTreeMap::new(),
            fetches: JoinSet::new(),
        }
    }

    async fn run(mut self, mut inbox: UnboundedReceiver<Command>) {
        self.shelf.tidy(UNIX_EPOCH + Duration::from_secs(self.now()));
        let keyring = Arc::clone(&self.keyring);
        let mut alarm = Alarm::new(self.clock);
        loop {
            let sleep = self.turn().min(SLEEP_MAX);
            self.tell();
            alarm.set(self.clock.instant() + sleep);
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    Some(Command::Follow(sources)) => {
                        self.sources = sources;
                        self.look();
                    }
                    Some(Command::End) | None => return,
                },
                Some(fetched) = self.fetches.join_next(), if !self.fetches.is_empty() => {
                    match fetched {
                        Ok(fetched) => self.fetched(fetched),
                        Err(error) => tracing::error!("a question of OCSP failed: {error}"),
                    }
                },
                () = keyring.arrivals().notified() => self.look(),
                () = alarm.wait() => {}
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().unix_seconds()
    }

    /// Takes over the certificates that serve now.
    fn look(&mut self) {
        let now = self.now();
        let mut present_now: BTreeMap<Print, Vec<Arc<Certificate>>> = BTreeMap::new();
        for certificate in present(&self.sources) {
            let Some(print) = Print::of(&certificate) else { continue };
            let holders = present_now.entry(print).or_default();
            if !holders.iter().any(|held| Arc::ptr_eq(held, &certificate)) {
                holders.push(certificate);
            }
        }
        self.entries.retain(|print, _| present_now.contains_key(print));
        for (print, holders) in present_now {
            if let Some(entry) = self.entries.get_mut(&print) {
                entry.holders = holders;
            } else if let Some(entry) = self.enter(holders, now) {
                self.entries.insert(print, entry);
            }
            if let Some(entry) = self.entries.get(&print) {
                entry.hand_over();
            }
        }
    }

    fn enter(&self, holders: Vec<Arc<Certificate>>, now: u64) -> Option<Entry> {
        let first = holders.first()?;
        let Some(question) = first.question() else {
            let label = label(first);
            tracing::debug!("{label} is not stapled: its issuer is not in the chain");
            return None;
        };
        let held = read_back(&self.shelf, first, now);
        let due = held.as_ref().map_or(0, |(_, period)| refresh(*period, dice()));
        let (revoked, trouble) = (None, None);
        Some(Entry { holders, question, due, is_asked: false, held, revoked, failures: 0, trouble })
    }

    /// Asks all that is due; says how long there is nothing to do.
    fn turn(&mut self) -> Duration {
        let now = self.now();
        let mut next = u64::MAX;
        for (print, entry) in &mut self.entries {
            entry.let_go(now);
            if !entry.is_asked && entry.due <= now && self.fetches.len() < FETCHES_MAX {
                entry.is_asked = true;
                let (print, question) = (*print, entry.question.clone());
                let fetcher = self.fetcher.clone();
                self.fetches
                    .spawn(async move { Fetched { print, result: fetcher.fetch(question).await } });
            }
            // One that waits for its turn is woken by the end of another.
            if !entry.is_asked && entry.due > now {
                next = next.min(entry.due);
            }
            if let Some((_, period)) = &entry.held {
                next = next.min(period.until);
            }
        }
        Duration::from_secs(next.saturating_sub(now).max(1))
    }

    fn fetched(&mut self, fetched: Fetched) {
        let Fetched { print, result } = fetched;
        let now = self.now();
        let Some(entry) = self.entries.get_mut(&print) else { return };
        entry.is_asked = false;
        let Some(certificate) = entry.holders.first().map(Arc::clone) else { return };
        let judged = result.and_then(|answer| match judge(&certificate, &answer, now) {
            Ok(verdict) => Ok((verdict, answer)),
            Err(fault) => Err(fault.to_string()),
        });
        let mut book = lock(&self.book);
        match judged {
            Ok((Verdict::Good(period), answer)) => {
                book.counts.good += 1;
                drop(book);
                if let Err(error) = self.shelf.keep(&print, &answer) {
                    tracing::warn!("an answer of OCSP cannot be kept on disk: {error}");
                }
                entry.good(answer, period, now);
            }
            Ok((Verdict::Revoked(revocation), _)) => {
                book.counts.revoked += 1;
                drop(book);
                self.shelf.forget(&print);
                entry.revoke(revocation, now);
                self.keyring.revocations().notify_one();
            }
            Err(why) => {
                book.counts.failed += 1;
                drop(book);
                entry.failed(why, now);
            }
        }
    }

    /// Writes down how it stands.
    fn tell(&self) {
        let staples = self.entries.values().map(Entry::report).collect();
        lock(&self.book).staples = staples;
    }
}

impl Entry {
    /// Puts what is known into every value of the certificate.
    fn hand_over(&self) {
        for holder in &self.holders {
            match &self.held {
                _ if self.revoked.is_some() => holder.revoke(),
                Some((answer, period)) => holder.staple(answer.clone(), *period),
                None => {}
            }
        }
    }

    /// Lets go of an answer whose time is over. Handshakes have done so by themselves.
    fn let_go(&mut self, now: u64) {
        if self.held.as_ref().is_some_and(|(_, period)| period.until <= now) {
            self.held = None;
            let why = self.trouble.as_ref().map_or("", |(_, why)| why);
            tracing::warn!(
                "{} is no longer stapled: the answer's time is over; {why}",
                self.label()
            );
        }
    }

    fn good(&mut self, answer: Vec<u8>, period: Period, now: u64) {
        if self.revoked.take().is_some() {
            tracing::warn!("{} is no longer revoked", self.label());
        } else if self.failures > 0 || self.held.is_none() {
            let (label, responder) = (self.label(), &self.question.responder);
            tracing::info!("{label} is stapled with an answer of {responder}");
        }
        // A cache in between may give an older answer than the one that is here.
        let is_newer = self.held.as_ref().is_none_or(|(_, held)| held.until <= period.until);
        if is_newer {
            self.held = Some((answer, period));
        }
        let held = self.held.as_ref().map_or(period, |(_, held)| *held);
        // A responder that has nothing newer yet is not asked every moment.
        let left = held.until.saturating_sub(now);
        self.due = refresh(held, dice()).max(now + (left / 8).max(1));
        (self.failures, self.trouble) = (0, None);
        self.hand_over();
    }

    fn revoke(&mut self, revocation: Revocation, now: u64) {
        if self.revoked.is_none() {
            let (label, responder) = (self.label(), &self.question.responder);
            tracing::error!(
                "the certificate of {label} is REVOKED ({}), says {responder}: clients that ask will refuse it, get another one",
                revocation.reason
            );
        }
        (self.held, self.revoked) = (None, Some(revocation));
        (self.failures, self.trouble) = (0, None);
        self.due = now + REVOKED_AGAIN + dice() % (REVOKED_AGAIN / 8);
        self.hand_over();
    }

    fn failed(&mut self, why: String, now: u64) {
        self.failures = self.failures.saturating_add(1);
        self.due = now + back_off(self.failures, WAIT.0, WAIT.1, dice());
        let wait = self.due - now;
        let (label, responder) = (self.label(), &self.question.responder);
        let must_staple = self.holders.iter().any(|holder| holder.facts().must_staple);
        if must_staple && self.held.is_none() {
            tracing::warn!(
                "{label} must be stapled (RFC 7633) and is not, so clients refuse it: {responder}: {why}; asked again in {wait} s"
            );
        } else if self.failures == 1 {
            tracing::warn!(
                "no answer of OCSP about {label}: {responder}: {why}; asked again in {wait} s"
            );
        } else {
            tracing::debug!(
                "no answer of OCSP about {label}: {responder}: {why}; asked again in {wait} s"
            );
        }
        self.trouble = Some((now, why));
    }

    fn label(&self) -> String {
        self.holders.first().map_or_else(String::new, |first| label(first))
    }

    fn report(&self) -> StapleReport {
        let facts = self.holders.first().map(|first| first.facts());
        let names = facts.map(|facts| facts.names.iter().map(ToString::to_string).collect());
        let period = self.held.as_ref().map(|(_, period)| *period);
        StapleReport {
            names: names.unwrap_or_default(),
            serial: facts.map(|facts| facts.serial.clone()).unwrap_or_default(),
            responder: self.question.responder.clone(),
            state: match (&self.revoked, period) {
                (Some(_), _) => StapleState::Revoked,
                (None, Some(_)) => StapleState::Good,
                (None, None) => StapleState::Missing,
            },
            since: period.map(|period| period.since),
            until: period.map(|period| period.until),
            next: self.due,
            failures: self.failures,
            trouble: self.trouble.clone(),
            revoked: self.revoked.map(|revoked| (revoked.at, revoked.reason.to_owned())),
            must_staple: facts.is_some_and(|facts| facts.must_staple),
        }
    }
}

/// What a certificate is called in the log.
fn label(certificate: &Certificate) -> String {
    let facts = certificate.facts();
    facts.names.first().map_or_else(|| facts.subject.clone(), ToString::to_string)
}

/// When to ask again: halfway through the life of an answer, up to an eighth of it later by chance, so that what came
/// at once is not asked for at once.
fn refresh(period: Period, dice: u64) -> u64 {
    let life = period.until.saturating_sub(period.since);
    period.since + life / 2 + dice % (life / 8 + 1)
}

/// A throw of dice. Without randomness nothing is spread, which is no reason to stop.
fn dice() -> u64 {
    let mut bytes = [0; 8];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_renewed_halfway() {
        let check = |life: u64, dice: u64, expect: u64| {
            let period = Period { since: 1000, until: 1000 + life };
            assert_eq!(refresh(period, dice), 1000 + expect, "{life} {dice}");
        };
        check(800, 0, 400);
        check(800, 100, 500);
        check(800, 101, 400);
        check(1, 7, 0);
        check(604_800, u64::MAX, 302_400 + u64::MAX % 75_601);
    }
}
