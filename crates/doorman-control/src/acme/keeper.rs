//! The thread that keeps certificates: it starts what the agenda says, and puts what comes back where handshakes find
//! it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use doorman_net::tls::{Certificate, CertificateName, Keyring};
use doorman_net::{Alarm, Clock};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::agenda::{Agenda, Failure, Next};
use super::client::{ASK_AGAIN, Asker};
use super::demand::{Demands, FAILURES_MAX, NAMES_MAX};
use super::order::{self, Desk, Refusal, Task};
use super::report::{CertificateReport, IssuerReport, Report, State, Trouble, is_ending};
use super::store::{Lock, Store, Stored};
use super::times::{Life, Window, renewal};
use super::{Issuer, Settings};

/// How often a process that may not order looks whether it may now, and what the other has obtained.
const LOCK_RETRY: Duration = Duration::from_secs(10);
/// The longest sleep: a clock that was set must be seen.
const SLEEP_MAX: Duration = Duration::from_secs(600);
/// Seconds between two warnings about names on demand.
const WARNINGS_APART: u64 = 60;
/// Questions for renewal information at once; they are cheap for both sides.
const ASKS_MAX: usize = 4;
/// Bounds on when an authority is asked for renewal information again, in seconds (RFC 9773 section 4.3.2).
const ASK_BOUNDS: (u64, u64) = (60, 24 * 3600);

/// How long a certificate is kept at least, whatever the authority would like, in seconds; an eighth of a life that is
/// short.
const SETTLE: u64 = 6 * 3600;

/// Puts the certificates of these names that are on disk where handshakes find them.
pub fn fill(store: &Store, keyring: &Keyring, names: &[CertificateName]) {
    for name in names {
        let slot = keyring.slot(name);
        if slot.is_filled() {
            continue;
        }
        match store.certificate(name) {
            Ok(Some(stored)) => slot.put(stored.certificate),
            Ok(None) => {}
            Err(why) => tracing::warn!("the certificate of {name} cannot be read back: {why}"),
        }
    }
}

/// The keeper's handle.
#[derive(Debug)]
pub struct Keeper {
    commands: UnboundedSender<Command>,
    book: Arc<Mutex<Book>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Command {
    Follow(Settings),
    Renew(CertificateName),
    Read(CertificateName),
    End,
}

/// What others may read.
#[derive(Debug, Default)]
struct Book {
    certificates: BTreeMap<CertificateName, CertificateReport>,
    issuers: Vec<IssuerReport>,
    is_elsewhere: bool,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        store: Store,
        keyring: Arc<Keyring>,
        clock: Clock,
        settings: Settings,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = unbounded_channel();
        let _ = commands.send(Command::Follow(settings));
        let book = Arc::new(Mutex::new(Book::default()));
        let kept = Arc::clone(&book);
        // Heard from here on, though answered only when the thread runs.
        let wanted = keyring.on_demand().hear();
        let body = move || match tokio::runtime::Builder::new_current_thread().enable_all().build()
        {
            Ok(runtime) => {
                runtime.block_on(Work::new(store, keyring, wanted, clock, kept).run(inbox));
                // An order that is cut off goes on at the next start.
                runtime.shutdown_timeout(Duration::ZERO);
            }
            Err(error) => tracing::error!("certificates cannot be kept: {error}"),
        };
        let thread = std::thread::Builder::new().name("certificates".to_owned()).spawn(body)?;
        Ok(Self { commands, book, thread: Mutex::new(Some(thread)) })
    }

    /// Keeps these from now on.
    pub fn follow(&self, settings: Settings) {
        let _ = self.commands.send(Command::Follow(settings));
    }

    /// Orders the certificate of a name now, whatever failed before. `false`: the name is not kept.
    pub fn renew(&self, name: &CertificateName) -> bool {
        let known = lock(&self.book).certificates.contains_key(name);
        known && self.commands.send(Command::Renew(name.clone())).is_ok()
    }

    /// Takes the certificate of a name that was put on disk by somebody else. `false`: the name is not kept.
    pub fn read(&self, name: &CertificateName) -> bool {
        let known = lock(&self.book).certificates.contains_key(name);
        known && self.commands.send(Command::Read(name.clone())).is_ok()
    }

    /// How it stands.
    #[must_use]
    pub fn report(&self, now: u64) -> Report {
        let book = lock(&self.book);
        let certificates = book.certificates.values().map(|known| {
            let mut known = known.clone();
            if known.not_after.is_some_and(|end| now > end) && known.state != State::Ordering {
                known.state = State::Expired;
            }
            known
        });
        Report {
            certificates: certificates.collect(),
            issuers: book.issuers.clone(),
            is_elsewhere: book.is_elsewhere,
        }
    }

    /// Ends the thread. Orders under way go on at the next start.
    pub fn end(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.commands.send(Command::End);
            let _ = thread.join();
        }
    }
}

/// What became of an order.
struct Ended {
    name: CertificateName,
    issuer: usize,
    generation: u64,
    /// `None`: whoever was asked says that the name may have none any more.
    result: Option<Result<Stored, Refusal>>,
}

/// What was said about a name that a client wants.
struct Answered {
    name: Box<str>,
    may: Result<bool, String>,
}

/// What an authority said about when to renew.
struct Told {
    name: CertificateName,
    serial: String,
    window: Result<Option<(Window, u64)>, String>,
}

struct Work {
    store: Store,
    keyring: Arc<Keyring>,
    clock: Clock,
    book: Arc<Mutex<Book>>,
    settings: Settings,
    /// By place in the settings.
    desks: Vec<Arc<Desk>>,
    /// How many lists of authorities there have been: an answer from an older one counts for none of these.
    generation: u64,
    agenda: Agenda,
    orders: JoinSet<Ended>,
    asks: JoinSet<Told>,
    /// When to ask about the renewal of a name.
    ask_at: BTreeMap<CertificateName, u64>,
    /// The certificates that were revoked last, by serial number, and when others were ordered.
    reissued: BTreeMap<CertificateName, (String, u64)>,
    /// Names that handshakes want.
    wanted: Receiver<Box<str>>,
    demands: Demands,
    answers: JoinSet<Answered>,
    asker: Option<Asker>,
    /// When the next warning about names on demand may be written, unix seconds.
    quiet_until: u64,
    lock: Option<Lock>,
}

impl Work {
    fn new(
        store: Store,
        keyring: Arc<Keyring>,
        wanted: Receiver<Box<str>>,
        clock: Clock,
        book: Arc<Mutex<Book>>,
    ) -> Self {
        let asker = Asker::new(clock);
        if let Err(why) = &asker {
            tracing::error!("nobody can be asked for certificates on demand: {why}");
        }
        Self {
            store,
            keyring,
            clock,
            book,
            settings: Settings::default(),
            desks: Vec::new(),
            generation: 0,
            agenda: Agenda::default(),
            orders: JoinSet::new(),
            asks: JoinSet::new(),
            ask_at: BTreeMap::new(),
            reissued: BTreeMap::new(),
            wanted,
            demands: Demands::default(),
            answers: JoinSet::new(),
            asker: asker.ok(),
            quiet_until: 0,
            lock: None,
        }
    }

    async fn run(mut self, mut inbox: UnboundedReceiver<Command>) {
        let mut alarm = Alarm::new(self.clock);
        let keyring = Arc::clone(&self.keyring);
        loop {
            let sleep = self.turn().min(SLEEP_MAX);
            alarm.set(self.clock.instant() + sleep);
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    Some(Command::Follow(settings)) => self.follow(settings),
                    Some(Command::Renew(name)) => {
                        self.agenda.hasten(&name);
                    }
                    Some(Command::Read(name)) => self.read(&name),
                    Some(Command::End) | None => return,
                },
                Some(ended) = self.orders.join_next(), if !self.orders.is_empty() => match ended {
                    Ok(ended) => self.ended(ended),
                    Err(error) => tracing::error!("an order of a certificate failed: {error}"),
                },
                Some(told) = self.asks.join_next(), if !self.asks.is_empty() => {
                    if let Ok(told) = told {
                        self.told(told);
                    }
                },
                Some(answered) = self.answers.join_next(), if !self.answers.is_empty() => {
                    if let Ok(answered) = answered {
                        self.answered(answered);
                    }
                },
                Some(name) = self.wanted.recv(), if self.answers.len() < ASKS_MAX => self.want(name),
                () = keyring.revocations().notified() => self.revoked(),
                () = alarm.wait() => {}
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().unix_seconds()
    }

    /// Starts all that is due; says how long there is nothing to do.
    fn turn(&mut self) -> Duration {
        if self.settings.names.is_empty() && self.settings.demands.is_empty() {
            // Whoever keeps nothing holds nothing up.
            self.lock = None;
            return SLEEP_MAX;
        }
        if self.lock.is_none() && !self.try_lock() {
            return LOCK_RETRY;
        }
        let now = self.now();
        if self.demands.sweep(now) {
            self.keyring.on_demand().refuse(self.demands.refused());
        }
        let until = loop {
            match self.agenda.next(now) {
                Next::Order(name, issuer) => self.order(name, issuer),
                Next::Wait(until) => break until,
            }
        };
        let ask = self.ask(now);
        let next = [until, ask, self.demands.next()].into_iter().flatten().min();
        next.map_or(SLEEP_MAX, |at| Duration::from_secs(at.saturating_sub(now).max(1)))
    }

    fn try_lock(&mut self) -> bool {
        match self.store.lock() {
            Ok(Some(held)) => {
                self.lock = Some(held);
                if std::mem::take(&mut lock(&self.book).is_elsewhere) {
                    tracing::info!("this process orders certificates now");
                }
                self.store.tidy();
                self.read_back();
                return true;
            }
            Ok(None) => {
                let mut book = lock(&self.book);
                if !std::mem::replace(&mut book.is_elsewhere, true) {
                    let folder = self.store.folder().display();
                    tracing::warn!(
                        "another process orders the certificates in {folder}; this one serves them"
                    );
                }
            }
            Err(error) => {
                let folder = self.store.folder().display();
                tracing::error!("no certificates can be ordered: {folder}: {error}");
            }
        }
        self.read_back();
        false
    }

    /// Takes over what another process has obtained meanwhile.
    fn read_back(&mut self) {
        for name in self.names() {
            let Ok(Some(stored)) = self.store.certificate(&name) else { continue };
            let held = self.held(&name);
            let newer = held
                .as_ref()
                .is_none_or(|held| held.facts().not_before < stored.certificate.facts().not_before);
            if newer {
                self.put(&name, &stored);
            }
            if newer || self.known_issuer(&name).is_none() {
                self.has(&name, &stored);
            }
        }
    }

    fn read(&mut self, name: &CertificateName) {
        match self.store.certificate(name) {
            Ok(Some(stored)) => {
                self.put(name, &stored);
                self.agenda.hasten(name);
                self.has(name, &stored);
                tracing::info!("{name} has a certificate that was imported");
            }
            Ok(None) => {}
            Err(why) => tracing::warn!("the certificate of {name} cannot be read back: {why}"),
        }
    }

    fn known_issuer(&self, name: &CertificateName) -> Option<String> {
        lock(&self.book).certificates.get(name)?.issuer.clone()
    }

    fn follow(&mut self, settings: Settings) {
        let same = settings.issuers == self.settings.issuers
            && settings.email == self.settings.email
            && self.desks.len() == settings.issuers.len();
        if !same {
            self.set_desks(&settings);
        }
        self.settings = settings;
        self.demands.follow(&self.settings.demands);
        if !self.settings.demands.is_empty() {
            for name in self.store.demanded(NAMES_MAX) {
                if !self.settings.names.contains(&name) {
                    self.demands.remember(name);
                }
            }
        }
        self.keyring.on_demand().refuse(self.demands.refused());
        self.take_names(same);
    }

    /// All names that are kept.
    fn names(&self) -> Vec<CertificateName> {
        self.settings.names.iter().chain(self.demands.names()).cloned().collect()
    }

    /// The certificate that a name has.
    fn held(&self, name: &CertificateName) -> Option<Arc<Certificate>> {
        if self.demands.has(name) {
            return self.keyring.on_demand().slot(&name.to_string())?.certificate();
        }
        self.keyring.slot(name).certificate()
    }

    /// Puts a certificate where handshakes find it.
    fn put(&self, name: &CertificateName, stored: &Stored) {
        let certificate = Arc::clone(&stored.certificate);
        if self.demands.has(name) {
            self.keyring.on_demand().put(&name.to_string(), certificate);
        } else {
            self.keyring.slot(name).put(certificate);
        }
        self.keyring.arrivals().notify_one();
    }

    /// Orders other certificates for those that their authorities have revoked. Each order has a key of its own, so one
    /// that is known to somebody else is gone with its certificate.
    fn revoked(&mut self) {
        let now = self.now();
        for name in self.names() {
            let Some(held) = self.held(&name).filter(|held| held.standing().is_revoked()) else {
                continue;
            };
            let serial = &held.facts().serial;
            let last = self.reissued.get(&name);
            if last.is_some_and(|(known, _)| known == serial) {
                continue;
            }
            // An authority that revokes whatever it issues must not be asked every moment.
            let due = last.map_or(now, |(_, at)| (at + SETTLE).max(now));
            self.reissued.insert(name.clone(), (serial.clone(), due));
            if due <= now {
                self.agenda.hasten(&name);
            } else {
                self.agenda.set_due(&name, due);
            }
            let wait = due - now;
            tracing::warn!(
                "the certificate of {name} was revoked: another one, with a new key, is ordered in {wait} s"
            );
            if let Some(report) = lock(&self.book).certificates.get_mut(&name) {
                report.is_revoked = true;
                report.next = Some(due);
            }
        }
    }

    /// Keeps the names of the settings and those that clients asked for, and no others.
    fn take_names(&mut self, same: bool) {
        let names = self.names();
        let demands = &self.demands;
        self.keyring
            .on_demand()
            .keep(|name| CertificateName::parse(name).is_ok_and(|name| demands.has(&name)));
        self.agenda.follow(&names, self.desks.len(), same);
        let wanted: std::collections::BTreeSet<_> = names.iter().cloned().collect();
        self.ask_at.retain(|name, _| wanted.contains(name));
        self.reissued.retain(|name, _| wanted.contains(name));
        lock(&self.book).certificates.retain(|name, _| wanted.contains(name));
        self.keyring.keep(|name| wanted.contains(name));
        for name in wanted {
            if lock(&self.book).certificates.contains_key(&name) {
                continue;
            }
            let report =
                CertificateReport { name: name.to_string(), ..CertificateReport::default() };
            lock(&self.book).certificates.insert(name.clone(), report);
            match self.store.certificate(&name) {
                Ok(Some(stored)) => {
                    self.put(&name, &stored);
                    self.has(&name, &stored);
                }
                Ok(None) => {}
                Err(why) => {
                    tracing::warn!("the certificate of {name} cannot be read back: {why}");
                }
            }
        }
    }

    fn set_desks(&mut self, settings: &Settings) {
        self.generation += 1;
        self.desks.clear();
        let mut reports = Vec::new();
        for issuer in &settings.issuers {
            reports.push(IssuerReport {
                directory: issuer.directory.clone(),
                ..IssuerReport::default()
            });
            let (email, store) = (settings.email.clone(), self.store.clone());
            match Desk::new(issuer.clone(), email, store, self.clock) {
                Ok(desk) => self.desks.push(Arc::new(desk)),
                Err(why) => tracing::error!("{} cannot be asked: {why}", issuer.directory),
            }
        }
        let mut book = lock(&self.book);
        for report in &mut reports {
            let old = book.issuers.iter().find(|old| old.directory == report.directory);
            if let Some(old) = old {
                report.clone_from(old);
            }
        }
        book.issuers = reports;
    }

    /// Starts an order.
    fn order(&mut self, name: CertificateName, issuer: usize) {
        let Some(desk) = self.desks.get(issuer).cloned() else {
            self.agenda.given_up(&name);
            return;
        };
        let own = self.known_issuer(&name);
        let held = self.held(&name);
        // Whoever was asked once may have changed his mind when it is renewed.
        let again = self.asker.clone().zip(self.demands.ask(&name));
        let again = again.filter(|_| held.is_some() && self.demands.has(&name));
        let on_demand = self.demands.has(&name);
        let replaces = held.filter(|_| own.as_ref() == Some(&desk.issuer.directory));
        let task = Task {
            name: name.clone(),
            store: self.store.clone(),
            proofs: Arc::clone(self.keyring.proofs()),
            clock: self.clock,
            replaces,
            on_demand,
        };
        if let Some(report) = lock(&self.book).certificates.get_mut(&name) {
            report.state = State::Ordering;
            report.next = None;
        }
        tracing::info!("ordering a certificate for {name} from {}", desk.issuer.directory);
        let generation = self.generation;
        self.orders.spawn(async move {
            let may = match again {
                Some((asker, url)) => asker.may(&url, &task.name.to_string()).await,
                None => Ok(true),
            };
            let result = match may {
                Ok(true) => Some(order::obtain(&desk, &task).await),
                Ok(false) => None,
                Err(words) => {
                    let failure = Failure::Name { retry_after: None };
                    Some(Err(Refusal { failure, words }))
                }
            };
            Ended { name, issuer, generation, result }
        });
    }

    fn ended(&mut self, ended: Ended) {
        let Ended { name, issuer, generation, result } = ended;
        let directory = self.desks.get(issuer).map(|desk| desk.issuer.directory.clone());
        let directory = directory.filter(|_| generation == self.generation);
        match result {
            None => {
                tracing::info!("{name} may have no certificate any more");
                self.agenda.given_up(&name);
                self.forget(&name);
            }
            Some(Ok(stored)) => {
                self.put(&name, &stored);
                self.count(&stored.origin.issuer, |report| report.obtained += 1);
                self.agenda.obtained(&name, u64::MAX);
                self.has(&name, &stored);
                let days = stored.certificate.facts().not_after.saturating_sub(self.now()) / 86_400;
                tracing::info!(
                    "{name} has a new certificate from {}, for {days} days",
                    stored.origin.issuer
                );
            }
            // An authority that is no longer asked says nothing about those that are.
            Some(Err(_)) if directory.is_none() => self.agenda.given_up(&name),
            Some(Err(refusal)) => self.refused(&name, &directory.unwrap_or_default(), &refusal),
        }
    }

    fn refused(&mut self, name: &CertificateName, directory: &str, refusal: &Refusal) {
        let now = self.now();
        let held = self.held(name);
        let life = held.as_ref().map(|held| life(held));
        let left = life.map(|life| life.not_after.saturating_sub(now));
        self.agenda.failed(name, refusal.failure, left, now, dice());
        self.count(directory, |report| report.failed += 1);
        let next = self.agenda.next_attempt(name);
        let failures = self.agenda.failures(name);
        let wait = next.map_or(0, |next| next.saturating_sub(now));
        let words = &refusal.words;
        let culprit = match refusal.failure {
            Failure::Issuer { .. } => "the authority is at fault or out of reach",
            Failure::Limited { .. } => "too many orders",
            Failure::Name { .. } => "the name is refused",
        };
        match life {
            Some(life) if is_ending(life.not_before, life.not_after, now) => tracing::error!(
                "the certificate of {name} ends in {} hours and could not be renewed: {culprit}: {directory}: {words}; the next attempt comes in {wait} s",
                left.unwrap_or(0) / 3600
            ),
            Some(_) => tracing::warn!(
                "the certificate of {name} was not renewed, the present one goes on: {culprit}: {directory}: {words}; the next attempt comes in {wait} s"
            ),
            None => tracing::warn!(
                "no certificate for {name}: {culprit}: {directory}: {words}; the next attempt comes in {wait} s"
            ),
        }
        if let Some(report) = lock(&self.book).certificates.get_mut(name) {
            report.state = if life.is_some() { State::RenewalFailing } else { State::Failing };
            report.next = next;
            report.failures = failures;
            let (issuer, words) = (directory.to_owned(), words.clone());
            report.trouble = Some(Trouble { at: now, issuer, words });
        }
        if life.is_none() && failures >= FAILURES_MAX && self.demands.has(name) {
            self.forget(name);
        }
    }

    /// A handshake wants a name.
    fn want(&mut self, name: Box<str>) {
        let now = self.now();
        let may_order = self.lock.is_some();
        let asked = self.asker.clone().filter(|_| may_order);
        let asked = asked.and_then(|asker| Some((asker, self.demands.want(&name, now)?)));
        if let Some((asker, url)) = asked {
            self.answers.spawn(async move {
                let may = asker.may(&url, &name).await;
                Answered { name, may }
            });
        } else if !self.demands.is_coming(&name) {
            self.demands.refuse(&name, now);
            self.keyring.on_demand().refuse(self.demands.refused());
        }
    }

    fn answered(&mut self, answered: Answered) {
        let Answered { name, may } = answered;
        let now = self.now();
        let may = may.unwrap_or_else(|why| {
            self.warn(&name, &why);
            false
        });
        if self.demands.answered(&name, may, now) {
            self.take_names(true);
            return;
        }
        if may {
            self.warn(&name, "too many new names at once");
        }
        self.keyring.on_demand().refuse(self.demands.refused());
    }

    /// Says why a name gets no certificate, once in a while: any client can ask for any name, and must not
    /// fill the log.
    fn warn(&mut self, name: &str, why: &str) {
        let now = self.now();
        if now < self.quiet_until {
            return tracing::debug!("no certificate on demand for {name}: {why}");
        }
        self.quiet_until = now + WARNINGS_APART;
        tracing::warn!("no certificate on demand for {name}: {why}");
    }

    /// Lets go of a name that a client asked for.
    fn forget(&mut self, name: &CertificateName) {
        let now = self.now();
        self.demands.forget(name);
        self.demands.refuse(&name.to_string(), now);
        self.keyring.on_demand().refuse(self.demands.refused());
        self.take_names(true);
    }

    /// Notes the certificate that a name has, and when its next is due.
    fn has(&mut self, name: &CertificateName, stored: &Stored) {
        let facts = stored.certificate.facts();
        let due = renewal(life(&stored.certificate), None, dice());
        self.agenda.set_due(name, due);
        self.ask_at.insert(name.clone(), 0);
        if let Some(report) = lock(&self.book).certificates.get_mut(name) {
            *report = CertificateReport {
                name: name.to_string(),
                state: State::Valid,
                issuer: Some(stored.origin.issuer.clone()).filter(|issuer| !issuer.is_empty()),
                key: Some(facts.key.to_string()),
                serial: Some(facts.serial.clone()),
                not_before: Some(facts.not_before),
                not_after: Some(facts.not_after),
                obtained: Some(stored.origin.obtained),
                next: Some(due),
                failures: 0,
                trouble: None,
                is_revoked: false,
            };
        }
    }

    fn count(&self, directory: &str, add: impl FnOnce(&mut IssuerReport)) {
        let mut book = lock(&self.book);
        if let Some(report) = book.issuers.iter_mut().find(|known| known.directory == directory) {
            add(report);
        }
    }

    /// Asks authorities when they would like certificates to be renewed; says when there is more to ask.
    fn ask(&mut self, now: u64) -> Option<u64> {
        while self.asks.len() < ASKS_MAX {
            let due = self.ask_at.iter().find(|(_, at)| **at <= now).map(|(name, _)| name.clone());
            let Some(name) = due else {
                return self.ask_at.values().min().copied();
            };
            // Until the answer says otherwise.
            self.ask_at.insert(name.clone(), now + ASK_AGAIN + dice() % ASK_AGAIN);
            let issuer = self.known_issuer(&name);
            let desk =
                self.desks.iter().find(|desk| Some(&desk.issuer.directory) == issuer.as_ref());
            let held = self.held(&name);
            let (Some(desk), Some(held)) = (desk.cloned(), held) else {
                self.ask_at.remove(&name);
                continue;
            };
            self.asks.spawn(async move {
                let window = desk.window(&held).await;
                Told { name, serial: held.facts().serial.clone(), window }
            });
        }
        None
    }

    fn told(&mut self, told: Told) {
        let now = self.now();
        let (window, again) = match told.window {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.ask_at.remove(&told.name);
                return;
            }
            Err(why) => {
                tracing::debug!("no renewal information for {}: {why}", told.name);
                return;
            }
        };
        let held = self.held(&told.name);
        let Some(held) = held.filter(|held| held.facts().serial == told.serial) else { return };
        if held.standing().is_revoked() {
            // Another one is on its way already.
            return;
        }
        self.ask_at.insert(told.name.clone(), now + again.clamp(ASK_BOUNDS.0, ASK_BOUNDS.1));
        let life = life(&held);
        let due = renewal(life, Some(window), dice());
        let mut book = lock(&self.book);
        let Some(report) = book.certificates.get_mut(&told.name) else { return };
        // An authority that always says `now` must not be asked for a certificate every moment.
        let settled =
            report.obtained.unwrap_or(0) + SETTLE.min((life.not_after - life.not_before) / 8);
        let due = due.max(settled);
        // An answer moves the date only if it asks for another: dice must not be thrown again each time.
        let fits =
            report.next.is_some_and(|at| (window.start..=window.end).contains(&at) || at == due);
        if report.state == State::Valid && !fits {
            if due <= now {
                tracing::info!("the authority asks to renew the certificate of {} now", told.name);
            }
            report.next = Some(due);
            drop(book);
            self.agenda.set_due(&told.name, due);
        }
    }
}

fn life(certificate: &Certificate) -> Life {
    let facts = certificate.facts();
    Life { not_before: facts.not_before, not_after: facts.not_after }
}

/// A throw of dice. Without randomness nothing is spread, which is no reason to stop.
fn dice() -> u64 {
    let mut bytes = [0; 8];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

impl Issuer {
    /// An authority that is asked in the usual way.
    #[must_use]
    pub fn usual(directory: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            ca: None,
            challenges: vec![super::Challenge::Http, super::Challenge::TlsAlpn],
            dns: None,
            profile: None,
            external_account: None,
            key: super::KeyChoice::P256,
        }
    }
}
