//! Sessions of users who signed in, over hours: renewed once however many requests bring them, through providers that
//! are slow, down and back, and browsers that leave.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use doorman_config::{MemorySource, load};
use doorman_net::serve::{Doorway, Gate, Trade, accept};
use doorman_net::tls::TicketKeys;
use doorman_net::{Address, Clock, Core, Net, ServeSettings};
use doorman_proxy::{
    Books, CoreCounters, Errand, ErrandAnswer, ErrandError, Ground, NoJournal, Plan, Proxy, SignIn,
};
use doorman_testkit::openid::Rules;
use doorman_testkit::sim::{Faults, Sim, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{STORY_MAX, address};

const ISSUER: &str = "http://localhost:9000";
/// How long the provider's tokens last.
const LASTS: u64 = 600;

/// A house whose users sign in, and the provider.
struct House {
    sim: Sim,
    rules: Rc<Rules>,
    /// How the provider takes part.
    mood: Rc<Cell<Mood>>,
    plan: Arc<Plan>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// It takes this long to answer.
    Slow(u64),
    Down,
}

impl House {
    fn start(sim: &Sim) -> Self {
        let clock = sim.clock();
        let text = format!(
            "site http://*:80 {{ oidc {ISSUER} client-id shop forward email X-Email\nrespond 200 \"in\" }}"
        );
        let loaded = load(&MemorySource::new().file("sim.conf", text), "sim.conf");
        let config = Arc::new(loaded.config.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics)));
        let tickets = TicketKeys::new(Arc::new(clock)).expect("the system has randomness");
        let ground = Rc::new(Ground::looking("/nonexistent".into(), clock, tickets));
        let compiled = Plan::compile(&config, &ground);
        let plan = Arc::new(compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics)));
        let core = Core::new(clock);
        let books = Books::new(clock, Arc::new(CoreCounters::default()), Rc::new(NoJournal));
        let proxy = Proxy::new(sim.net(), Rc::clone(&core), books, Arc::clone(&plan));
        let listener = sim.listen(address("192.0.2.1:80")).expect("the address is free");
        let doorway = Doorway {
            listener: 0,
            settings: Rc::new(ServeSettings::default()),
            tls: None,
            announcers: None,
            trade: Trade::Http,
        };
        let doorway = Rc::new(std::cell::RefCell::new(doorway));
        tokio::task::spawn_local(accept(core, listener, doorway, proxy, Gate::default()));
        let rules = Rc::new(Rules::new(ISSUER));
        rules.will(|will| (will.lasts, will.refreshes) = (LASTS, true));
        let mood = Rc::new(Cell::new(Mood::Well));
        tokio::task::spawn_local(errands(
            Rc::clone(&ground),
            Rc::clone(&rules),
            Rc::clone(&mood),
            sim.clone(),
        ));
        tokio::task::spawn_local(fetches(ground, clock, sim.clone()));
        Self { sim: sim.clone(), rules, mood, plan }
    }

    async fn wait(&self, seconds: u64) {
        self.sim.wait(Duration::from_secs(seconds)).await;
    }

    /// How often something happened.
    fn count(&self, what: SignIn) -> u64 {
        self.plan.providers()[0].sign_ins[what as usize]
    }

    /// Forms by which sessions were renewed.
    fn renewals(&self) -> usize {
        self.rules.forms().iter().filter(|form| form.contains("grant_type=refresh_token")).count()
    }

    async fn get(&self, target: &str, cookies: &str) -> Got {
        let net = self.sim.net_from("198.51.100.7".parse().expect("an address"));
        let to = Address::Inet(address("192.0.2.1:80"));
        let mut stream = net.connect(&to).await.expect("the proxy is there");
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nSec-Fetch-Mode: navigate\r\n\
             Cookie: {cookies}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("the proxy reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        Got(String::from_utf8_lossy(&answer).into_owned())
    }

    /// One more request that brings these cookies, beside all others.
    fn beside(self: &Rc<Self>, cookies: &str) -> tokio::task::JoinHandle<Got> {
        let (house, cookies) = (Rc::clone(self), cookies.to_owned());
        tokio::task::spawn_local(async move { house.get("/", &cookies).await })
    }

    /// Signs in; the cookies that a browser then has.
    async fn sign_in(&self) -> String {
        let sent = self.get("/", "").await;
        assert_eq!(sent.status(), 303, "{}", sent.0);
        let login = sent.cookies("");
        let back = self.rules.sign_in(sent.field("location").expect("a place"), "ann");
        let got = self.get(&back, &login).await;
        assert_eq!(got.status(), 303, "{}", got.0);
        let cookies = got.cookies(&login);
        assert!(cookies.starts_with("dm_session="), "{cookies}");
        cookies
    }
}

/// An answer.
#[derive(Debug)]
struct Got(String);

impl Got {
    fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What a browser with these cookies has then.
    fn cookies(&self, before: &str) -> String {
        let pairs = before.split("; ").filter_map(|pair| pair.split_once('='));
        let mut jar: BTreeMap<&str, &str> = pairs.collect();
        let lines = self.0.lines().filter_map(|line| line.split_once(": "));
        for (_, line) in lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (name, rest) = line.split_once('=').expect("a value");
            if line.contains("Max-Age=0;") {
                jar.remove(name);
            } else {
                jar.insert(name, rest.split(';').next().unwrap_or_default());
            }
        }
        let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

/// Runs errands, as the binary does.
async fn errands(ground: Rc<Ground>, rules: Rc<Rules>, mood: Rc<Cell<Mood>>, sim: Sim) {
    let errands = Arc::clone(&ground.errands);
    while let Some(job) = errands.next().await {
        let (rules, mood, sim) = (Rc::clone(&rules), Rc::clone(&mood), sim.clone());
        tokio::task::spawn_local(async move {
            let run = run(&job.errand, &rules, &mood, &sim);
            let answer = tokio::time::timeout(job.errand.within, run).await;
            let answer = answer.unwrap_or(Err(ErrandError::Timeout));
            job.done(answer);
        });
    }
}

async fn run(
    errand: &Errand,
    rules: &Rules,
    mood: &Cell<Mood>,
    sim: &Sim,
) -> Result<ErrandAnswer, ErrandError> {
    match mood.get() {
        Mood::Down => return Err(ErrandError::Unreachable("it is down".into())),
        Mood::Slow(seconds) => sim.wait(Duration::from_secs(seconds)).await,
        Mood::Well => sim.wait(Duration::from_millis(50)).await,
    }
    let target = errand.url.strip_prefix(ISSUER).expect("it is asked for itself alone");
    let (status, text) = rules.answer(target, &errand.body);
    let content_type = Some("application/json".into());
    Ok(ErrandAnswer { status, content_type, max_age: None, body: text.into_bytes() })
}

/// Fetches what is due, as the binary does.
async fn fetches(ground: Rc<Ground>, clock: Clock, sim: Sim) {
    loop {
        let now = clock.instant();
        for provider in ground.providers.due(now).0 {
            let _ = provider.fetch(&ground.errands, &ground.keys, clock).await;
        }
        for keys in ground.keys.due(now).0 {
            let _ = keys.fetch(&ground.errands, clock).await;
        }
        tokio::select! {
            () = ground.providers.rings() => {}
            () = ground.keys.rings() => {}
            () = sim.wait(Duration::from_secs(1)) => {}
        }
    }
}

/// Tells a story of a house on a network that works.
fn tell<F: Future<Output = ()>>(story: impl FnOnce(Rc<House>) -> F + 'static) {
    let told = simulate(1, Faults::of(&[]), STORY_MAX, move |sim| async move {
        story(Rc::new(House::start(&sim))).await;
    });
    if let Err(stuck) = told {
        panic!("{stuck:?}");
    }
}

async fn all(requests: Vec<tokio::task::JoinHandle<Got>>) -> Vec<Got> {
    let mut got = Vec::new();
    for request in requests {
        got.push(request.await.expect("an answer"));
    }
    got
}

#[test]
fn a_session_is_renewed_once_however_many_requests_bring_it() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.wait(LASTS - 10).await;
        assert_eq!((house.get("/", &cookies).await.status(), house.renewals()), (200, 0));
        house.wait(20).await;
        // Many at once: one has it renewed, and all pass.
        let requests = (0..8).map(|_| house.beside(&cookies)).collect();
        let got = all(requests).await;
        assert!(got.iter().all(|got| got.status() == 200), "{got:?}");
        assert_eq!(house.renewals(), 1);
        let renewed: Vec<_> = got.iter().filter(|got| got.field("set-cookie").is_some()).collect();
        assert_eq!(renewed.len(), 1);
        assert_eq!(renewed[0].field("cache-control"), Some("no-store"));
        let next = renewed[0].cookies(&cookies);
        // Those that are late with what they had get what came of it, and the provider is not asked again.
        let late = house.get("/", &cookies).await;
        assert_eq!((late.status(), house.renewals()), (200, 1));
        assert!(late.field("set-cookie").is_some());
        // The next turn is another's.
        house.wait(LASTS).await;
        let got = house.get("/", &next).await;
        assert_eq!((got.status(), house.renewals()), (200, 2));
        assert_eq!(house.count(SignIn::Renewed), 2);
    });
}

#[test]
fn a_session_that_was_idle_is_renewed_before_anybody_passes() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.wait(3 * 3600).await;
        house.mood.set(Mood::Slow(2));
        let requests = (0..8).map(|_| house.beside(&cookies)).collect();
        let got = all(requests).await;
        assert!(got.iter().all(|got| got.status() == 200), "{got:?}");
        assert!(got.iter().all(|got| got.field("set-cookie").is_some()), "{got:?}");
        assert_eq!(house.renewals(), 1);
    });
}

#[test]
fn a_provider_that_is_down_ends_no_session() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.mood.set(Mood::Down);
        house.wait(LASTS + 10).await;
        let got = house.get("/", &cookies).await;
        assert_eq!(got.status(), 200);
        let next = got.cookies(&cookies);
        // It is not asked again at once, with what there was before and with what there is now.
        assert_eq!(house.get("/", &cookies).await.status(), 200);
        assert_eq!(house.get("/", &next).await.status(), 200);
        assert_eq!(house.count(SignIn::Postponed), 1);
        house.wait(400).await;
        let got = house.get("/", &next).await;
        assert_eq!(got.status(), 503, "nobody passes with what is late");
        assert_eq!(got.field("set-cookie"), None, "and keeps it");
        house.mood.set(Mood::Well);
        house.wait(31).await;
        let got = house.get("/", &next).await;
        assert_eq!((got.status(), house.renewals()), (200, 1));
        assert_eq!(house.count(SignIn::Ended), 0);
    });
}

#[test]
fn a_session_that_its_provider_ends_is_over() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.rules.end_sessions();
        house.wait(LASTS + 10).await;
        let got = house.get("/", &cookies).await;
        assert_eq!(got.status(), 303, "sent to sign in");
        assert!(!got.cookies(&cookies).contains("dm_session="), "{got:?}");
        assert_eq!((house.renewals(), house.count(SignIn::Ended)), (1, 1));
        // Whoever copied the cookie has nothing of it either.
        assert_eq!(house.get("/", &cookies).await.status(), 303);
        assert_eq!(house.renewals(), 1);
    });
}

#[test]
fn a_browser_that_leaves_takes_no_session_with_it() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.wait(LASTS + 10).await;
        house.mood.set(Mood::Slow(2));
        let leaves = house.beside(&cookies);
        house.wait(1).await;
        leaves.abort();
        house.wait(3).await;
        assert_eq!(house.renewals(), 1);
        let got = house.get("/", &cookies).await;
        assert_eq!((got.status(), house.renewals()), (200, 1));
        let next = got.cookies(&cookies);
        house.mood.set(Mood::Well);
        house.wait(LASTS + 10).await;
        let got = house.get("/", &next).await;
        assert_eq!((got.status(), house.renewals()), (200, 2));
    });
}

#[test]
fn a_provider_that_is_slow_holds_up_nobody_for_long() {
    tell(|house| async move {
        let cookies = house.sign_in().await;
        house.wait(LASTS + 10).await;
        house.mood.set(Mood::Slow(9));
        let begun = house.sim.clock().instant();
        assert_eq!(house.get("/", &cookies).await.status(), 200);
        let took = house.sim.clock().instant().since(begun);
        assert!(took < Duration::from_secs(4), "{took:?}");
        // What it says at last counts.
        house.wait(10).await;
        let got = house.get("/", &cookies).await;
        assert!(got.field("set-cookie").is_some());
        assert_eq!(house.renewals(), 1);
    });
}

#[test]
fn keys_that_are_new_at_the_provider_are_fetched_for_a_sign_in() {
    tell(|house| async move {
        let _ = house.sign_in().await;
        house.wait(60).await;
        house.rules.rotate();
        let _ = house.sign_in().await;
        assert_eq!(house.count(SignIn::SignedIn), 2);
    });
}

#[test]
fn what_a_browser_is_asked_is_good_for_ten_minutes() {
    tell(|house| async move {
        let sent = house.get("/", "").await;
        let back = house.rules.sign_in(sent.field("location").expect("a place"), "ann");
        house.wait(601).await;
        assert_eq!(house.get(&back, &sent.cookies("")).await.status(), 400);
        assert!(house.rules.forms().is_empty());
        assert_eq!(house.count(SignIn::Failed), 1);
    });
}
