//! What is decided on each hit asks for no memory, whatever the request says.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use doorman_cache::{
    Admission, Asked, CacheRules, CacheStatus, Forward, Handled, admit, decide, may_serve_on_error,
};
use doorman_http::{FieldId, Instant, Method, Now, RequestHead, ResponseHead};

thread_local! {
    /// How often this thread has asked for memory: the harness has threads of its own.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(unsafe_code, reason = "the only way to count allocations is to be the allocator")]
// SAFETY: every call is passed on to the system's allocator as it came; counting touches no memory
// of the caller, and a counter without a destructor can be reached for as long as the thread runs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(at, layout) }
    }
}

/// How often `run` asks for memory.
fn count(run: impl FnOnce()) -> usize {
    let before = ASKED.get();
    run();
    ASKED.get() - before
}

fn at(seconds: u64) -> Now {
    Now { instant: Instant(seconds * 1_000_000_000), unix_nanos: seconds * 1_000_000_000 }
}

#[test]
fn a_hit_asks_for_no_memory() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(1)))), 1, "nothing is counted");
    let rules = CacheRules { stale: Some(60), ..CacheRules::default() };
    let mut response = ResponseHead::new(200);
    response.fields.push_id(FieldId::CacheControl, b"public, max-age=60");
    let asked = Asked::default();
    let verdict = admit(&Method::Get, &asked, &response, &rules, at(0), at(0));
    let Admission::Store(meta) = verdict else { panic!("{verdict:?}") };
    let mut line = Vec::with_capacity(256);
    for control in ["", "max-age=0, no-cache, min-fresh=5, max-stale=\"9\", x=\"a,b\"", "x=\"\\"] {
        let mut request = RequestHead::default();
        if !control.is_empty() {
            request.fields.push_id(FieldId::CacheControl, control.as_bytes());
            request.fields.push_id(FieldId::Cookie, b"a=b");
        }
        for seconds in [0, 30, 90, 1_000] {
            let asked_for_memory = count(|| {
                let asked = Asked::of(&request, &rules);
                let now = at(seconds);
                let _ = std::hint::black_box((
                    decide(&asked, &meta, now),
                    may_serve_on_error(&asked, &meta, now),
                    meta.age(now),
                ));
                line.clear();
                let why = Forward::Stale;
                let handled =
                    Handled::Forwarded { why, status: Some(304), stored: true, collapsed: true };
                let ttl = Some(meta.ttl(now));
                let detail = Some("set cookie");
                CacheStatus { cache: "doorman", handled, ttl, key: Some(b"\xFF"), detail }
                    .write(&mut line);
            });
            assert_eq!(asked_for_memory, 0, "{control} after {seconds} s");
        }
    }
}
