//! Everything at once, from eight threads, on few keys and in little memory: never a wrong byte,
//! never a body that is cut and looks whole, never one who is not woken.

use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use doorman_cache::NotStored;
use doorman_store::{Filling, Found, How, Lead, Led, Object, Purge, Room, Store, Wait, Waited};

use crate::kit::{Answer, Client, at, seed, store_with};

const THREADS: u64 = 8;
const STEPS: usize = 1_500;
const URLS: u64 = 24;
/// Longer than any of the others may take: who is not woken in it never will be.
const LOST: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Bell {
    fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        let (mut rung, lost) = self.bell.wait_timeout_while(rung, LOST, |rung| !*rung).unwrap();
        assert!(!lost.timed_out(), "one was not woken");
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.bell.notify_one();
    }
}

/// Waits for it, as a task of a runtime would. Whoever is not woken fails.
fn block<T>(mut poll: impl FnMut(&Context<'_>) -> Poll<T>) -> T {
    let (woken, waker) = Bell::new();
    loop {
        match poll(&Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => woken.wait(),
        }
    }
}

/// One thread's chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        doorman_http::mix(self.0) % sides
    }
}

/// The byte at a place of a body: every response has its own, told by URL, user and version, which
/// its first eight bytes say.
fn byte(stamp: u64, at: usize) -> u8 {
    doorman_http::mix(stamp ^ (at as u64 / 8)).to_le_bytes()[at % 8]
}

fn body(url: u64, user: u64, dice: &mut Dice) -> Vec<u8> {
    let len = match dice.roll(10) {
        0 => 200_000 + dice.roll(200_000),
        1..4 => 30_000 + dice.roll(10_000),
        _ => 16 + dice.roll(2_000),
    };
    let stamp = url << 32 | user << 24 | len;
    let mut body = stamp.to_le_bytes().to_vec();
    let len = usize::try_from(len).unwrap();
    body.extend((8..len).map(|at| byte(stamp, at)));
    body
}

/// Checks every byte of what was read, and that it is for this URL and user; a whole body is as long
/// as it says.
fn check(read: &[u8], is_whole: bool, url: u64, user: u64) {
    let Some((stamp, _)) = read.split_first_chunk::<8>() else {
        assert!(!is_whole, "a whole body of {} bytes", read.len());
        return;
    };
    let stamp = u64::from_le_bytes(*stamp);
    assert_eq!((stamp >> 32, stamp >> 24 & 0xFF), (url, user), "somebody else's response");
    let wrong = (8..read.len()).find(|&at| read[at] != byte(stamp, at));
    assert_eq!(wrong, None, "a wrong byte of {}", read.len());
    if is_whole {
        assert_eq!(read.len() as u64, stamp & 0xFF_FFFF, "a cut body that looks whole");
    }
}

struct Worker<'a> {
    store: &'a Arc<Store>,
    dice: Dice,
    read: usize,
    stored: usize,
}

impl Worker<'_> {
    fn run(&mut self) {
        for _ in 0..STEPS {
            let (url, user) = (self.dice.roll(URLS), self.dice.roll(3));
            let cookie = format!("user={user}");
            let name = format!("http://{}.example/{url}", url % 3);
            let client = Client::of(self.store, &name, &[("Cookie", &cookie)]);
            match self.dice.roll(80) {
                0 => self.purge(&client, url),
                _ => self.request(&client, url, user),
            }
        }
    }

    fn purge(&mut self, client: &Client, url: u64) {
        let how = if self.dice.roll(2) == 0 { How::Soft } else { How::Hard };
        let site = doorman_cache::site(&format!("{}.example", url % 3)).unwrap();
        let tag = format!("tag{}", url % 5);
        let what = match self.dice.roll(8) {
            0 => Purge::All,
            1 => Purge::Below(&site),
            2..4 => Purge::Tag(tag.as_bytes()),
            _ => Purge::Url(&client.key),
        };
        self.store.purge(&what, how);
    }

    fn request(&mut self, client: &Client, url: u64, user: u64) {
        let known = match client.look(self.store) {
            Found::Hit(object) if object.is_purged() => Some(object),
            Found::Hit(object) => return self.consume(&object, url, user),
            Found::Miss | Found::Uncacheable => None,
        };
        let patience = Duration::from_secs(3_600);
        match self.store.lead(&client.key, &client.chooser(), known, patience, at(0)) {
            Led::Lead(lead) | Led::Alone(lead) => self.fetch(lead, client, url, user),
            Led::Found(object) => self.consume(&object, url, user),
            Led::Wait(wait) => self.wait(wait, client, url, user),
        }
    }

    fn wait(&mut self, mut wait: Wait, client: &Client, url: u64, user: u64) {
        if self.dice.roll(10) == 0 {
            return;
        }
        match block(|cx| wait.poll(cx, &client.chooser(), at(0))) {
            Waited::Object(object) => self.consume(&object, url, user),
            Waited::Lead(lead) | Waited::Uncacheable(lead) | Waited::TimedOut(lead) => {
                self.fetch(lead, client, url, user);
            }
            Waited::Failed => {}
        }
    }

    fn fetch(&mut self, lead: Lead, client: &Client, url: u64, user: u64) {
        let tag = ["tag0", "tag1", "tag2", "tag3", "tag4"][usize::try_from(url % 5).unwrap()];
        match self.dice.roll(20) {
            0 => return,
            1 => return lead.fail(),
            2 => return lead.refuse(NotStored::Private, Duration::ZERO, at(0)),
            _ => {}
        }
        let answer = Answer { vary: "Cookie", tags: vec![tag], ..Answer::default() };
        let body = body(url, user, &mut self.dice);
        let declared = (self.dice.roll(2) == 0).then_some(body.len() as u64);
        let Ok(filling) = answer.fill(client, lead, declared) else { return };
        self.write(filling, &body);
    }

    fn write(&mut self, mut filling: Filling, body: &[u8]) {
        let size = usize::try_from(1 + self.dice.roll(50_000)).unwrap();
        let cut = (self.dice.roll(8) == 0).then(|| self.dice.roll(body.len() as u64));
        let mut written = 0;
        for piece in body.chunks(size) {
            if cut.is_some_and(|cut| written >= cut) {
                return;
            }
            if block(|cx| filling.poll_room(cx)) == Room::Abandoned {
                return;
            }
            filling.push(piece);
            written += piece.len() as u64;
            if self.dice.roll(4) == 0 {
                thread::yield_now();
            }
        }
        if filling.finish().is_ok() {
            self.stored += 1;
        }
    }

    fn consume(&mut self, object: &Arc<Object>, url: u64, user: u64) {
        let Some(mut reader) = object.read(0..u64::MAX) else { return };
        let mut read = Vec::new();
        let leaves = (self.dice.roll(10) == 0).then(|| self.dice.roll(40_000));
        let is_whole = loop {
            if leaves.is_some_and(|at| read.len() as u64 > at) {
                break false;
            }
            match block(|cx| reader.poll_next(cx)) {
                Some(Ok(piece)) => read.extend_from_slice(&piece),
                Some(Err(_)) => break false,
                None => break true,
            }
        };
        check(&read, is_whole, url, user);
        self.read += usize::from(is_whole);
    }
}

/// OPS-07, CDE-11: readers, writers, evictions and purges in each other's way.
#[test]
fn ops_07_nothing_is_mixed_up_lost_or_cut() {
    let store = store_with(1 << 20, 300_000, seed().narrowed(5));
    let (read, stored) = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                let store = &store;
                scope.spawn(move || {
                    let mut worker = Worker { store, dice: Dice(n << 40), read: 0, stored: 0 };
                    worker.run();
                    (worker.read, worker.stored)
                })
            })
            .collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        done.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let stats = store.stats();
    assert!(
        read > 1_000 && stored > 1_000 && stats.counts.evicted > 100,
        "{read} {stored} {stats:?}"
    );
    assert!(stats.bytes <= 1 << 20, "{stats:?}");
    assert_eq!(stats.fetches, 0, "a fetch that nobody leads is left");
    store.purge(&Purge::All, How::Hard);
    assert_eq!((store.used(), store.stats().objects), (0, 0), "something is counted that is gone");
}
