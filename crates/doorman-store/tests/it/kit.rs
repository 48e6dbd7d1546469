//! Requests, responses and wakers for the tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use doorman_cache::evict;
use doorman_cache::{
    Admission, Asked, CacheRules, Chosen, KeyRules, KeySeed, Meta, PackedHead, UrlKey, Vary, admit,
};
use doorman_http::{Instant, Method, Now, RequestHead, ResponseHead};
use doorman_store::{
    Chooser, Cut, Filling, Found, Lead, Led, NotKept, Object, ObjectReader, Parts, Settings, Store,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// `seconds` after the process began, on a wall clock of 2023.
pub(crate) fn at(seconds: u64) -> Now {
    Now {
        instant: Instant(seconds * 1_000_000_000),
        unix_nanos: (1_700_000_000 + seconds) * 1_000_000_000,
    }
}

pub(crate) fn seed() -> KeySeed {
    KeySeed::new(0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210)
}

pub(crate) fn store(memory: u64) -> Arc<Store> {
    store_with(memory, memory / 2, seed())
}

pub(crate) fn store_with(memory: u64, max_object: u64, seed: KeySeed) -> Arc<Store> {
    Store::open(
        Settings { name: "test".into(), memory, max_object, evict: evict::Method::S3Fifo },
        seed,
    )
}

/// A request of a client.
pub(crate) struct Client {
    pub(crate) head: RequestHead,
    pub(crate) key: UrlKey,
    chosen: Chosen,
}

impl Client {
    pub(crate) fn of(store: &Store, url: &str, fields: &[(&str, &str)]) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        assert_eq!(scheme, "http");
        let (host, _) = rest.split_once('/').unwrap();
        let mut head = RequestHead::default();
        head.fields.push(b"Host", host.as_bytes());
        for (name, value) in fields {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        head.set_target(url.as_bytes()).unwrap();
        let key = UrlKey::of(&head, &KeyRules::default(), store.seed());
        Self { head, key, chosen: Chosen::default() }
    }

    pub(crate) fn chooser(&self) -> Chooser<'_> {
        Chooser { place: 1, chosen: &self.chosen, request: &self.head }
    }

    pub(crate) fn look(&self, store: &Store) -> Found {
        store.look(&self.key, &self.chooser(), at(0))
    }

    pub(crate) fn hit(&self, store: &Store) -> Option<Arc<Object>> {
        match self.look(store) {
            Found::Hit(object) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn led(&self, store: &Arc<Store>) -> Led {
        store.lead(&self.key, &self.chooser(), None, PATIENCE, at(0))
    }

    pub(crate) fn lead(&self, store: &Arc<Store>) -> Lead {
        match self.led(store) {
            Led::Lead(lead) => lead,
            other => panic!("no lead but {other:?}"),
        }
    }

    /// A fetch whose head has come.
    pub(crate) fn fill(&self, store: &Arc<Store>, answer: &Answer) -> Filling {
        answer.fill(self, self.lead(store), None).unwrap()
    }

    /// Fetched and stored.
    pub(crate) fn store(&self, store: &Arc<Store>, answer: &Answer) -> Arc<Object> {
        let mut filling = self.fill(store, answer);
        filling.push(&answer.body);
        filling.finish().unwrap()
    }
}

/// A response of an origin: fresh for a minute.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) vary: &'static str,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    pub(crate) fn head(&self) -> ResponseHead {
        let mut head = ResponseHead::new(200);
        head.fields.push(b"Cache-Control", b"max-age=60");
        if !self.vary.is_empty() {
            head.fields.push(b"Vary", self.vary.as_bytes());
        }
        head
    }

    pub(crate) fn fill(
        &self,
        client: &Client,
        lead: Lead,
        declared: Option<u64>,
    ) -> Result<Filling, NotKept> {
        let head = self.head();
        let selector = client.chooser().selector(&Vary::of(&head).unwrap());
        let tags: Vec<&[u8]> = self.tags.iter().map(|tag| tag.as_bytes()).collect();
        let head = PackedHead::pack(&head).unwrap();
        let parts = Parts { selector: &selector, tags: &tags, head, meta: meta() };
        lead.fill(parts, declared, u64::MAX, at(0))
    }
}

/// What a response that came just now and is fresh for a minute is stored with.
pub(crate) fn meta() -> Meta {
    let rules = CacheRules::default();
    let asked = Asked::of(&RequestHead::default(), &rules);
    let head = Answer::default().head();
    match admit(&Method::Get, &asked, &head, &rules, at(0), at(0)) {
        Admission::Store(meta) => meta,
        Admission::Refuse(why) => panic!("{why:?}"),
    }
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Woken(AtomicUsize);

impl Woken {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    pub(crate) fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Longer than any of the others may take: who is not woken in it never will be.
const LOST: Duration = Duration::from_secs(60);

/// A waker for a thread that waits.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (Arc::clone(&bell), Waker::from(bell))
    }

    /// Until it was rung. Whoever is not woken fails.
    pub(crate) fn wait(&self) {
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

/// All that there is to read now, and how it ends: `None` if more is to come.
pub(crate) fn read_on(
    reader: &mut ObjectReader,
    waker: &Waker,
) -> (Vec<u8>, Option<Result<(), Cut>>) {
    let mut read = Vec::new();
    loop {
        match reader.poll_next(&mut Context::from_waker(waker)) {
            Poll::Pending => return (read, None),
            Poll::Ready(None) => return (read, Some(Ok(()))),
            Poll::Ready(Some(Err(cut))) => return (read, Some(Err(cut))),
            Poll::Ready(Some(Ok(piece))) => {
                let piece: Bytes = piece;
                assert!(!piece.is_empty());
                read.extend_from_slice(&piece);
            }
        }
    }
}

pub(crate) fn whole(object: &Arc<Object>) -> Vec<u8> {
    range(object, 0..u64::MAX)
}

pub(crate) fn range(object: &Arc<Object>, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut reader = object.read(range).unwrap();
    let (read, end) = read_on(&mut reader, Waker::noop());
    assert_eq!(end, Some(Ok(())));
    read
}
