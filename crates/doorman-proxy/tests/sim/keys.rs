//! Keys that are fetched, in virtual time: an issuer that is slow, rotates its keys, hangs for more than a day, and
//! comes back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use doorman_net::{Address, Alarm, Net};
use doorman_proxy::{ErrandAnswer, ErrandError, Errands, Job, KeyRing};
use doorman_testkit::sim::{Faults, Sim, simulate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{address, ground, proxy_on};

const CONFIG: &str = "
upstream o { server 10.0.0.1:80 }
site http://*:80 { jwt jwks https://id.test/keys issuer me audience you refresh 1h; proxy o }
";
const SECOND: Duration = Duration::from_secs(1);
/// Longer than keys are believed that nobody vouches for again.
const STORY_MAX: Duration = Duration::from_secs(3 * 24 * 3600);

/// What an issuer does.
#[derive(Clone)]
enum Says {
    Keys(String),
    Fault,
    Nothing,
}

struct Issuer {
    says: RefCell<Says>,
    asked: Cell<u32>,
}

impl Issuer {
    fn says(&self, says: Says) {
        self.says.replace(says);
    }

    /// How often it was asked since the last look.
    fn asked(&self) -> u32 {
        self.asked.take()
    }

    /// Runs errands as the binary does.
    async fn serve(self: Rc<Self>, sim: Sim, errands: Arc<Errands>, keys: Arc<KeyRing>) {
        let clock = sim.clock();
        let mut alarm = Alarm::new(clock);
        loop {
            let (due, next) = keys.due(clock.instant());
            for source in due {
                let errands = Arc::clone(&errands);
                tokio::task::spawn_local(async move { source.fetch(&errands, clock).await });
            }
            match next {
                Some(next) => alarm.set(next),
                None => alarm.clear(),
            }
            tokio::select! {
                job = errands.next() => {
                    let Some(job) = job else { return };
                    tokio::task::spawn_local(Rc::clone(&self).answer(sim.clone(), job));
                }
                () = keys.rings() => {}
                () = alarm.wait() => {}
            }
        }
    }

    async fn answer(self: Rc<Self>, sim: Sim, job: Job) {
        self.asked.set(self.asked.get() + 1);
        sim.wait(Duration::from_millis(500)).await;
        let says = self.says.borrow().clone();
        let (status, body) = match says {
            Says::Keys(set) => (200, set.into_bytes()),
            Says::Fault => (500, Vec::new()),
            Says::Nothing => {
                sim.wait(job.errand.within).await;
                return job.done(Err(ErrandError::Timeout));
            }
        };
        job.done(Ok(ErrandAnswer { status, content_type: None, max_age: None, body }));
    }
}

fn base64url(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(SIGNS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

struct Key(&'static str, Ed25519KeyPair);

impl Key {
    fn new(name: &'static str) -> Self {
        Self(name, Ed25519KeyPair::generate().expect("chance"))
    }

    fn set(&self) -> Says {
        let x = base64url(self.1.public_key().as_ref());
        Says::Keys(format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{}","x":"{x}"}}]}}"#,
            self.0
        ))
    }

    fn token(&self, user: &str) -> String {
        let head = base64url(format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, self.0).as_bytes());
        let claims = format!(r#"{{"iss":"me","aud":"you","sub":"{user}","exp":4102444800}}"#);
        let signed = format!("{head}.{}", base64url(claims.as_bytes()));
        format!("{signed}.{}", base64url(self.1.sign(signed.as_bytes()).as_ref()))
    }
}

#[test]
fn an_issuer_rotates_hangs_and_comes_back() {
    let told = simulate(1, Faults::of(&[]), STORY_MAX, story);
    assert!(told.is_ok(), "{told:?}");
}

async fn story(sim: Sim) {
    tokio::task::spawn_local(origin(sim.clone()));
    let ground = ground(&sim);
    let (first, second, third) = (Key::new("1"), Key::new("2"), Key::new("3"));
    let issuer = Rc::new(Issuer { says: RefCell::new(first.set()), asked: Cell::new(0) });
    let (errands, keys) = (Arc::clone(&ground.errands), Arc::clone(&ground.keys));
    tokio::task::spawn_local(Rc::clone(&issuer).serve(sim.clone(), errands, keys));
    let _proxy = proxy_on(&sim, CONFIG, &ground);
    let ask = async |token: String| ask(&sim, &token).await;

    // The first comes before the keys are there, and waits for them.
    assert_eq!(ask(first.token("a")).await, 200);
    assert_eq!((ask(first.token("b")).await, issuer.asked()), (200, 1));
    // Who makes up names of keys right after has nobody asked for them.
    assert_eq!((ask(third.token("eve")).await, issuer.asked()), (401, 0));

    // The issuer rotates its keys: whoever shows a new one waits for it, and so many are one question.
    issuer.says(second.set());
    sim.wait(31 * SECOND).await;
    let many: Vec<_> = (0..300)
        .map(|n| {
            let (sim, token) = (sim.clone(), second.token(&format!("user{n}")));
            tokio::task::spawn_local(async move { self::ask(&sim, &token).await })
        })
        .collect();
    let mut found = Vec::new();
    for one in many {
        found.push(one.await.expect("no panic"));
    }
    // Some more than may wait.
    let passed = found.iter().filter(|status| **status == 200).count();
    assert!(passed >= 256 && found.iter().all(|status| matches!(status, 200 | 401)), "{passed}");
    assert_eq!((ask(second.token("z")).await, issuer.asked()), (200, 1));
    // What was withdrawn is nobody's, also for whom it was remembered.
    assert_eq!(ask(first.token("a")).await, 401);

    // Made-up names are one question in half a minute, and good tokens do not wait meanwhile.
    for _ in 0..100 {
        sim.wait(3 * SECOND).await;
        assert_eq!(ask(third.token("eve")).await, 401);
        let before = sim.clock().instant();
        assert_eq!(ask(second.token("z")).await, 200);
        assert!(sim.clock().instant().since(before) < SECOND / 2);
    }
    let asked = issuer.asked();
    assert!((9..=13).contains(&asked), "{asked}");

    // Nothing helps for a day: what is there is used, and not for ever.
    issuer.says(Says::Fault);
    sim.wait(Duration::from_secs(12 * 3600)).await;
    issuer.says(Says::Nothing);
    assert_eq!(ask(second.token("z")).await, 200);
    sim.wait(Duration::from_secs(11 * 3600)).await;
    assert_eq!((ask(second.token("z")).await, ask(second.token("new")).await), (200, 200));
    sim.wait(Duration::from_secs(2 * 3600)).await;
    assert_eq!(ask(second.token("z")).await, 503);
    let asked = issuer.asked();
    assert!((1_000..2_000).contains(&asked), "about one question a minute: {asked}");

    issuer.says(third.set());
    sim.wait(80 * SECOND).await;
    assert_eq!((ask(third.token("c")).await, ask(second.token("z")).await), (200, 401));
    ground.errands.close();
}

async fn origin(sim: Sim) {
    let mut listener = sim.listen(address("10.0.0.1:80")).expect("the address is free");
    while let Ok((mut stream, ..)) = listener.accept().await {
        tokio::task::spawn_local(async move {
            let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
            loop {
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(0) | Err(_) => return,
                        Ok(n) => head.extend_from_slice(&buffer[..n]),
                    }
                }
                head.clear();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The status that a token gets.
async fn ask(sim: &Sim, token: &str) -> u16 {
    let net = sim.net_from("198.51.100.7".parse().expect("an address"));
    let connected = net.connect(&Address::Inet(address("192.0.2.1:80"))).await;
    let mut stream = connected.expect("the proxy is there");
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("an open connection");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("a whole answer");
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}
