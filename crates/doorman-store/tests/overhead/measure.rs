//! Counts what a million small objects cost beside their bytes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorman_cache::evict;
use doorman_cache::{
    Admission, Asked, CacheRules, Chosen, KeySeed, PackedHead, UrlKey, Vary, admit, url_of,
};
use doorman_http::{Method, Now, RequestHead, ResponseHead};
use doorman_store::{Chooser, Form, Led, Parts, Settings, Store};

/// Bytes that were asked for and not given back.
static LIVE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "the only way to count allocations is to be the allocator")]
// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory
// of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What one object costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Bytes of key, head, selector and body.
    pub(crate) payload: usize,
    /// All other bytes.
    pub(crate) overhead: usize,
    /// Bytes that the store itself counts for all of it.
    pub(crate) counted: usize,
}

/// Bytes of a sibling.
const SIBLING: usize = 300;

/// Stores `count` responses of 1 KiB with so many siblings each, and says what each costs. Half of them
/// are found once: that must not make them larger.
pub(crate) fn measure(count: usize, siblings: u128) -> Cost {
    let settings = Settings {
        name: "overhead".into(),
        memory: u64::MAX,
        max_object: 1 << 20,
        evict: evict::Method::S3Fifo,
    };
    let before = LIVE.load(Ordering::Relaxed);
    let store = Store::open(settings, KeySeed::new(0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344));
    let (request, chosen, now) = (RequestHead::default(), Chosen::default(), Now::default());
    let chooser = Chooser { place: 1, chosen: &chosen, request: &request };
    let rules = CacheRules::default();
    let mut head = ResponseHead::new(200);
    head.fields.push(b"Content-Type", b"image/png");
    head.fields.push(b"Cache-Control", b"max-age=86400");
    head.fields.push(b"ETag", b"\"0123456789abcdef\"");
    let asked = Asked::of(&request, &rules);
    let Admission::Store(meta) = admit(&Method::Get, &asked, &head, &rules, now, now) else {
        panic!("not admitted");
    };
    let mut payload = 0;
    for n in 0..count {
        let bytes = format!("www.example\0\0https\0/images/{:016x}.png", spread(n));
        let Some(key) = UrlKey::from_bytes(bytes.as_bytes(), store.seed()) else { panic!() };
        let Led::Lead(lead) = store.lead(&key, &chooser, None, Duration::ZERO, now) else {
            panic!("{} is there already", url_of(key.bytes()));
        };
        let selector = chooser.selector(&Vary::default());
        let Some(packed) = PackedHead::pack(&head) else { panic!() };
        payload += key.bytes().len() + selector.len() + packed.size() + 1_024;
        let parts = Parts { selector: &selector, tags: &[], head: packed, meta };
        let Ok(mut filling) = lead.fill(parts, Some(1_024), u64::MAX, now) else { panic!() };
        filling.push(&[0x5A; 1_024]);
        let Ok(object) = filling.finish() else { panic!() };
        for form in 0..siblings {
            let Some(mut making) = store.make(&object, Form(form)) else { panic!() };
            making.push(&[0xA5; SIBLING]);
            let Some(sibling) = making.finish(0) else { panic!() };
            // What shares bytes has a place for their count from then on.
            assert_eq!(sibling.whole().map(|whole| whole.len()), Some(SIBLING));
            payload += SIBLING;
        }
        if n % 2 == 0 {
            assert_eq!(object.whole().map(|body| body.len()), Some(1_024));
            drop(object.read(0..u64::MAX));
        }
    }
    let live = LIVE.load(Ordering::Relaxed) - before;
    let counted = usize::try_from(store.used()).unwrap_or(usize::MAX);
    Cost { payload: payload / count, overhead: (live - payload) / count, counted: counted / count }
}

/// Numbers in no order, each once.
const fn spread(n: usize) -> u64 {
    doorman_http::mix(n as u64 + 1)
}
