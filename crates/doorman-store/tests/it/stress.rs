//! Everything at once, from eight threads, on few keys and in little memory: never a wrong byte,
//! never a body that is cut and looks whole, never one who is not woken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use doorman_cache::NotStored;
use doorman_store::{
    Filling, Form, Found, How, Kin, Lead, Led, Making, Object, ObjectReader, OnDisk, Purge, Room,
    Sibling, Store, Wait, Waited,
};

use crate::disk::Rig;
use crate::kit::{Answer, Bell, Client, at, seed, store_with};

const THREADS: u64 = 8;
const STEPS: usize = 1_500;
const URLS: u64 = 24;
/// Waits for it, as a task of a runtime would. Whoever is not woken fails.
fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let (woken, waker) = Bell::new();
    loop {
        match poll(&mut Context::from_waker(&waker)) {
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
    loaded: usize,
    made: usize,
    read_forms: usize,
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
            Found::Disk(on_disk) => return self.load(&on_disk, url, user),
            Found::Miss | Found::Uncacheable => None,
        };
        let patience = Duration::from_secs(3_600);
        match self.store.lead(&client.key, &client.chooser(), known, patience, at(0)) {
            Led::Lead(lead) | Led::Alone(lead) => self.fetch(lead, client, url, user),
            Led::Found(object) => self.consume(&object, url, user),
            Led::Disk(on_disk) => self.load(&on_disk, url, user),
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
            Waited::Disk(on_disk) => self.load(&on_disk, url, user),
            Waited::Failed => {}
        }
    }

    fn load(&mut self, on_disk: &OnDisk, url: u64, user: u64) {
        let mut load = self.store.load(on_disk);
        if let Some(object) = block(|cx| Pin::new(&mut load).poll(cx)) {
            self.loaded += 1;
            self.consume(&object, url, user);
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
        if self.dice.roll(3) == 0 {
            return self.other_form(object, url, user);
        }
        let Some(reader) = object.read(0..u64::MAX) else { return };
        let (read, is_whole) = self.read(reader);
        check(&read, is_whole, url, user);
        self.read += usize::from(is_whole);
    }

    /// Reads to the end, unless this one leaves before.
    fn read(&mut self, mut reader: ObjectReader) -> (Vec<u8>, bool) {
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
        (read, is_whole)
    }

    /// Reads another form of a response, or makes it: the same bytes, each another.
    fn other_form(&mut self, object: &Arc<Object>, url: u64, user: u64) {
        let form = Form(self.dice.roll(2).into());
        match object.sibling(form) {
            Some(Kin::Here(sibling)) => {
                self.consume_form(&sibling, url, user);
                if sibling.wants_better()
                    && let Some(better) = self.store.improve(object, form)
                {
                    self.make(better, object);
                }
            }
            Some(Kin::Refused(_)) => {}
            None => {
                let Some(making) = self.store.make(object, form) else { return };
                let sibling = Arc::clone(making.sibling());
                self.make(making, object);
                self.consume_form(&sibling, url, user);
            }
        }
    }

    fn make(&mut self, mut making: Making, object: &Arc<Object>) {
        let Some(mut reader) = object.read(0..u64::MAX) else { return making.refuse(0) };
        let gives_up = (self.dice.roll(8) == 0).then(|| self.dice.roll(10_000));
        loop {
            // Whoever makes it reads it himself afterwards: he does not wait for others.
            let room = making.poll_room(&Context::from_waker(std::task::Waker::noop()));
            let is_late = gives_up.is_some_and(|at| making.len() >= at);
            if is_late || room != Poll::Ready(Room::Free) {
                return;
            }
            match block(|cx| reader.poll_next(cx)) {
                Some(Ok(piece)) => making.push(&turned(&piece)),
                Some(Err(_)) => return,
                None => break,
            }
        }
        if self.dice.roll(8) == 0 {
            making.finish_unkept(1);
        } else {
            self.made += usize::from(making.finish(1).is_some());
        }
    }

    fn consume_form(&mut self, sibling: &Arc<Sibling>, url: u64, user: u64) {
        let Some(reader) = sibling.read(0..u64::MAX) else { return };
        let (read, is_whole) = self.read(reader);
        check(&turned(&read), is_whole, url, user);
        self.read_forms += usize::from(is_whole);
    }
}

/// Another form of bytes, and they themselves if it is made twice.
fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0x5A).collect()
}

/// What all threads did together.
#[derive(Debug, Default)]
struct Done {
    read: usize,
    stored: usize,
    loaded: usize,
    made: usize,
    read_forms: usize,
}

fn run(store: &Arc<Store>) -> Done {
    thread::scope(|scope| {
        let start = |n| {
            scope.spawn(move || {
                let dice = Dice(n << 40);
                let mut worker =
                    Worker { store, dice, read: 0, stored: 0, loaded: 0, made: 0, read_forms: 0 };
                worker.run();
                let Worker { read, stored, loaded, made, read_forms, .. } = worker;
                Done { read, stored, loaded, made, read_forms }
            })
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap());
        done.fold(Done::default(), |sum, one| Done {
            read: sum.read + one.read,
            stored: sum.stored + one.stored,
            loaded: sum.loaded + one.loaded,
            made: sum.made + one.made,
            read_forms: sum.read_forms + one.read_forms,
        })
    })
}

fn check_figures(store: &Store, done: &Done) {
    let stats = store.stats();
    let is_enough = done.read > 1_000 && done.stored > 1_000 && stats.counts.evicted > 100;
    assert!(is_enough, "{done:?} {stats:?}");
    assert!(done.made > 200 && done.read_forms > 500, "{done:?}");
    assert!(stats.bytes <= 1 << 20, "{stats:?}");
    assert_eq!(stats.fetches, 0, "a fetch that nobody leads is left");
    store.purge(&Purge::All, How::Hard);
    assert_eq!((store.used(), store.stats().objects), (0, 0), "something is counted that is gone");
}

/// OPS-07, CDE-11: readers, writers, evictions and purges in each other's way.
#[test]
fn ops_07_nothing_is_mixed_up_lost_or_cut() {
    let store = store_with(1 << 20, 300_000, seed().narrowed(5));
    let done = run(&store);
    check_figures(&store, &done);
}

/// The same over a disk, with its own threads in the way, too.
#[test]
fn ops_07_nothing_is_mixed_up_lost_or_cut_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    Rig::with(directory.path(), 1 << 20, |rig| {
        rig.store.set_limits(1 << 20, 300_000);
        let done = run(&rig.store);
        assert!(done.loaded > 100, "{done:?}");
        check_figures(&rig.store, &done);
    });
    // What was purged before the end does not come back.
    Rig::with(directory.path(), 1 << 20, |rig| {
        assert_eq!(rig.store.stats().objects, 0);
    });
}
