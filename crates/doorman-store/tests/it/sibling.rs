//! Other forms of a stored body: made once, read while they are made, and gone with their object.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use doorman_http::ResponseHead;
use doorman_store::{
    Cut, Form, How, Kin, Making, Object, PANICKED, Purge, Room, SIBLINGS_MAX, Sibling, Standing,
    Store, TOO_LARGE,
};

use crate::kit::{Answer, Client, Woken, at, meta, read_on, seed, store, store_with};

const BR: Form = Form(1);
const GZIP: Form = Form(2);

/// What a sibling says when it is read from its beginning.
fn read(sibling: &Arc<Sibling>) -> Vec<u8> {
    let mut reader = sibling.read(0..u64::MAX).unwrap();
    let (read, end) = read_on(&mut reader, Waker::noop());
    assert_eq!(end, Some(Ok(())));
    read
}

fn here(object: &Arc<Object>, form: Form) -> Arc<Sibling> {
    match object.sibling(form) {
        Some(Kin::Here(sibling)) => sibling,
        other => panic!("not here but {other:?}"),
    }
}

fn is_refused(object: &Arc<Object>, form: Form, reason: u8) -> bool {
    matches!(object.sibling(form), Some(Kin::Refused(why)) if why == reason)
}

fn make(store: &Arc<Store>, object: &Arc<Object>, form: Form, text: &[u8]) -> Arc<Sibling> {
    let mut making = store.make(object, form).unwrap();
    making.push(text);
    making.finish(0).unwrap()
}

fn client(store: &Store, n: usize) -> Client {
    Client::of(store, &format!("http://a.example/{n}"), &[])
}

#[test]
fn it_is_read_while_it_is_made_and_after() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let object = client.store(&store, &Answer::of("body"));
    assert!(object.sibling(BR).is_none());
    let mut making = store.make(&object, BR).unwrap();
    assert!(store.make(&object, BR).is_none(), "one makes it");
    let (woken, waker) = Woken::new();
    let coming = here(&client.hit(&store).unwrap(), BR);
    assert_eq!((coming.length(), coming.whole()), (None, None));
    let mut early = coming.read(0..u64::MAX).unwrap();
    assert_eq!(read_on(&mut early, &waker), (vec![], None));
    making.push(b"one ");
    assert_eq!((woken.times(), making.len()), (1, 4));
    assert_eq!(read_on(&mut early, &waker), (b"one ".to_vec(), None));
    making.push(b"two");
    assert!(!coming.wants_better(), "what is still made is not made anew");
    making.finish(7).unwrap();
    assert_eq!(read_on(&mut early, &waker), (b"two".to_vec(), Some(Ok(()))));
    let whole = here(&object, BR);
    assert_eq!((whole.length(), whole.note()), (Some(7), 7));
    assert_eq!(whole.whole().unwrap(), &b"one two"[..]);
    let mut part = whole.read(4..6).unwrap();
    assert_eq!(read_on(&mut part, Waker::noop()), (b"tw".to_vec(), Some(Ok(()))));
    assert!(object.sibling(GZIP).is_none());
}

/// Long ones lie in pieces, as long bodies do.
#[test]
fn long_ones_are_read_alike() {
    let store = store(8 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    let text: Vec<u8> = (0..500_000u32).map(|n| (n / 7).to_le_bytes()[0]).collect();
    for (form, step) in [(1, 1_000), (2, 100_000), (3, 500_000)] {
        let mut making = store.make(&object, Form(form)).unwrap();
        text.chunks(step).for_each(|piece| making.push(piece));
        let sibling = making.finish(0).unwrap();
        assert!(sibling.whole().is_none() && read(&sibling) == text, "{step}");
        let mut part = sibling.read(499_990..u64::MAX).unwrap();
        assert_eq!(read_on(&mut part, Waker::noop()), (text[499_990..].to_vec(), Some(Ok(()))));
    }
}

/// CIN-01: what a maker leaves half-done is cut for those who read it, and the next one may try.
#[test]
fn cin_01_a_maker_that_is_gone_cuts_its_readers_and_frees_the_place() {
    let store = store(1 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    let before = store.used();
    let mut making = store.make(&object, BR).unwrap();
    let coming = here(&object, BR);
    let mut reader = coming.read(0..u64::MAX).unwrap();
    making.push(b"half");
    drop(making);
    assert!(coming.is_cut() && object.sibling(BR).is_none());
    assert_eq!(read_on(&mut reader, Waker::noop()), (b"half".to_vec(), Some(Err(Cut))));
    drop((reader, coming));
    make(&store, &object, BR, b"all");
    assert_eq!(read(&here(&object, BR)), b"all");
    assert!(store.used() > before);
}

#[test]
fn what_is_of_no_use_is_not_tried_again() {
    let store = store(1 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    let mut making = store.make(&object, BR).unwrap();
    let mut reader = making.sibling().read(0..u64::MAX).unwrap();
    making.push(b"longer than the body");
    making.finish_unkept(3);
    let all = (b"longer than the body".to_vec(), Some(Ok(())));
    assert_eq!(read_on(&mut reader, Waker::noop()), all);
    assert!(is_refused(&object, BR, 3) && store.make(&object, BR).is_none());
    let making = store.make(&object, GZIP).unwrap();
    let mut reader = making.sibling().read(0..u64::MAX).unwrap();
    making.refuse(4);
    assert_eq!(read_on(&mut reader, Waker::noop()), (vec![], Some(Err(Cut))));
    assert!(is_refused(&object, GZIP, 4));
}

/// What makes its maker panic is not tried again; a better one that does leaves what is there.
#[test]
fn a_panic_refuses_the_form() {
    let store = store(1 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    let panics = |making: Making| {
        thread::scope(|scope| {
            let maker = scope.spawn(move || {
                let _making = making;
                std::panic::resume_unwind(Box::new("a fault"));
            });
            assert!(maker.join().is_err());
        });
    };
    panics(store.make(&object, BR).unwrap());
    assert!(is_refused(&object, BR, PANICKED));
    make(&store, &object, GZIP, b"first");
    panics(store.improve(&object, GZIP).unwrap());
    assert_eq!(read(&here(&object, GZIP)), b"first");
    assert!(store.improve(&object, GZIP).is_none());
}

#[test]
fn a_better_one_is_made_once_and_unseen() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let object = client.store(&store, &Answer::of("body"));
    assert!(store.improve(&object, BR).is_none(), "nothing is there");
    let making = store.make(&object, BR).unwrap();
    assert!(store.improve(&object, BR).is_none(), "it is still made");
    let mut making = making;
    making.push(b"first");
    let first = making.finish(1).unwrap();
    assert_eq!([first.wants_better(), first.wants_better()], [false, true], "from the second on");
    drop(store.improve(&object, BR).unwrap());
    assert!(first.wants_better(), "the one who had the right is gone");
    let mut better = store.improve(&object, BR).unwrap();
    assert!(!first.wants_better() && store.improve(&object, BR).is_none(), "one at a time");
    better.push(b"bet");
    assert_eq!(read(&here(&object, BR)), b"first");
    let mut slow = first.read(0..u64::MAX).unwrap();
    better.push(b"ter");
    better.finish(2).unwrap();
    assert_eq!(read_on(&mut slow, Waker::noop()), (b"first".to_vec(), Some(Ok(()))));
    let better = here(&client.hit(&store).unwrap(), BR);
    assert_eq!((read(&better), better.note()), (b"better".to_vec(), 2));
    assert!(!better.wants_better() && !better.wants_better());
    assert!(store.improve(&object, BR).is_none(), "once");
}

/// One that turns out to be no better changes nothing, for good.
#[test]
fn a_better_one_that_is_refused_leaves_what_is_there() {
    let store = store(1 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    for (form, end) in [(BR, Making::refuse as fn(Making, u8)), (GZIP, Making::finish_unkept)] {
        make(&store, &object, form, b"first");
        let mut better = store.improve(&object, form).unwrap();
        better.push(b"no better");
        end(better, 9);
        assert_eq!(read(&here(&object, form)), b"first");
        assert!(store.improve(&object, form).is_none());
    }
}

/// The whole object has the siblings that were begun while it came, whoever asks and by which.
#[test]
fn a_body_that_comes_and_then_is_whole_has_the_same_siblings() {
    let store = store(1 << 20);
    for n in 0..4 {
        let client = client(&store, n);
        let mut filling = client.fill(&store, &Answer::default());
        let coming = Arc::clone(filling.object());
        filling.push(b"body");
        let is_early = n % 2 == 0;
        let making = is_early.then(|| store.make(&coming, BR).unwrap());
        let sealed = filling.finish().unwrap();
        let mut making = making.unwrap_or_else(|| {
            // Those who found it while it came, and those who came after.
            let by = if n == 1 { &coming } else { &sealed };
            store.make(by, BR).unwrap()
        });
        for object in [&coming, &sealed, &client.hit(&store).unwrap()] {
            assert!(store.make(object, BR).is_none(), "{n}");
        }
        making.push(b"coded");
        making.finish(0).unwrap();
        for object in [&coming, &sealed, &client.hit(&store).unwrap()] {
            assert_eq!(read(&here(object, BR)), b"coded", "{n}");
        }
    }
}

/// A new head is a new object of the same body: RFC 9111 sections 4.3.4 and 4.3.5.
#[test]
fn a_new_head_keeps_the_siblings() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let old = client.store(&store, &Answer::of("body"));
    let freshen = |old: &Arc<Object>| {
        let lead = store.alone(&client.key, &client.chooser(), Some(Arc::clone(old)));
        lead.freshen(old, old.head().clone(), meta())
    };
    // One that is made for the old object after it has gone is made for the new one.
    let first = freshen(&old);
    let second = store.update_head(&first, first.head().clone(), meta()).unwrap();
    make(&store, &old, BR, b"coded");
    for object in [&old, &first, &second] {
        assert_eq!(read(&here(object, BR)), b"coded");
    }
    let mut making = store.make(&second, GZIP).unwrap();
    let third = freshen(&second);
    making.push(b"zipped");
    making.finish(0).unwrap();
    let found = client.hit(&store).unwrap();
    assert!(Arc::ptr_eq(&found, &third));
    assert_eq!([read(&here(&found, BR)), read(&here(&found, GZIP))], [&b"coded"[..], b"zipped"]);
    // Another body has none of them.
    let lead = store.alone(&client.key, &client.chooser(), Some(found));
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    filling.push(b"another");
    filling.finish().unwrap();
    assert!(client.hit(&store).unwrap().sibling(BR).is_none());
    drop((old, first, second, third));
    assert_eq!(store.stats().siblings, 0);
}

/// A replacement that is cut brings back what was there, with its siblings.
#[test]
fn what_comes_back_has_its_siblings() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let old = client.store(&store, &Answer::of("body"));
    make(&store, &old, BR, b"coded");
    let lead = store.alone(&client.key, &client.chooser(), Some(Arc::clone(&old)));
    drop(Answer::default().fill(&client, lead, None).unwrap());
    assert_eq!(read(&here(&client.hit(&store).unwrap(), BR)), b"coded");
}

#[test]
fn they_go_with_their_object_and_count_as_long_as_they_are_read() {
    let store = store(1 << 20);
    let text = vec![7; 40_000];
    let ways: [fn(&Arc<Store>, &Client); 3] = [
        |store, client| {
            store.purge(&Purge::Url(&client.key), How::Hard);
        },
        |store, _| store.set_limits(0, 1 << 20),
        |store, client| {
            let old = client.hit(store);
            let lead = store.alone(&client.key, &client.chooser(), old);
            let mut filling = Answer::default().fill(client, lead, None).unwrap();
            filling.push(b"another");
            filling.finish().unwrap();
            store.purge(&Purge::All, How::Hard);
        },
    ];
    for go in ways {
        store.set_limits(1 << 20, 1 << 20);
        let client = client(&store, 0);
        let object = client.store(&store, &Answer::of("body"));
        let alone = store.used();
        make(&store, &object, BR, &text);
        make(&store, &object, GZIP, &text);
        let making = store.make(&object, Form(3)).unwrap();
        making.refuse(1);
        let stats = store.stats();
        assert_eq!((stats.siblings, stats.bytes), (2, alone + stats.sibling_bytes));
        assert!(stats.sibling_bytes > 80_000 && stats.sibling_bytes < 82_000, "{stats:?}");
        let slow = here(&object, BR).read(0..u64::MAX);
        drop(object);
        go(&store, &client);
        let used = store.used();
        assert!(used > 40_000 && used < 41_000, "{used}");
        drop(slow);
        assert_eq!((store.used(), store.stats().siblings), (0, 0));
    }
}

/// Eviction by a sibling takes any object, its own too.
#[test]
fn room_is_made_for_them_even_by_their_own_object() {
    for others in [50, 1] {
        let store = store_with(200_000, 200_000, seed());
        for n in 0..others {
            client(&store, n).store(&store, &Answer::of(vec![0; 30_000 / others]));
        }
        let client = client(&store, others - 1);
        let object = client.hit(&store).unwrap();
        let mut making = store.make(&object, BR).unwrap();
        let mut reader = making.sibling().read(0..u64::MAX).unwrap();
        drop(object);
        let mut text = Vec::new();
        for n in 0..19 {
            making.push(&[n; 10_000]);
            text.extend_from_slice(&[n; 10_000]);
            assert!(store.used() <= 200_000, "{}", store.used());
        }
        assert!(store.stats().counts.evicted > 0, "{:?}", store.stats());
        assert_eq!(client.hit(&store).is_none(), others == 1);
        assert_eq!(read_on(&mut reader, Waker::noop()).0, text);
        drop((making, reader));
        store.purge(&Purge::All, How::Hard);
        assert_eq!(store.used(), 0);
    }
}

/// What there is no room for goes on to those who read it, through a window, and to nobody else.
#[test]
fn one_without_room_becomes_a_window() {
    let store = store_with(1 << 20, 300_000, seed());
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    for (form, is_large) in [(BR, true), (GZIP, false)] {
        let mut making = store.make(&object, form).unwrap();
        let mut other = client(&store, 1).fill(&store, &Answer::default());
        if !is_large {
            store.set_limits(250_000, 300_000);
        }
        let coming = here(&object, form);
        let mut reader = coming.read(0..u64::MAX).unwrap();
        let (woken, waker) = Woken::new();
        let cx = Context::from_waker(&waker);
        let (mut pushed, mut read) = (0, 0);
        while making.poll_room(&cx) == Poll::Ready(Room::Free) {
            making.push(&[5; 50_000]);
            pushed += 50_000;
            assert!(pushed < 2_000_000, "the window does not close");
        }
        assert!(coming.read(0..9).is_none(), "nobody joins a window");
        assert_eq!(is_refused(&object, form, TOO_LARGE), is_large);
        assert_eq!(object.sibling(form).is_some(), is_large);
        while let Poll::Ready(Some(Ok(piece))) = reader.poll_next(&mut Context::from_waker(&waker))
        {
            read += piece.len();
        }
        assert_eq!((read, woken.times()), (pushed, 1));
        making.push(b"end");
        assert!(making.finish(0).is_none());
        assert_eq!(read_on(&mut reader, Waker::noop()), (b"end".to_vec(), Some(Ok(()))));
        other.push(b"x");
        drop(other);
        store.set_limits(1 << 20, 300_000);
    }
}

#[test]
fn nothing_is_made_for_what_is_not_in_the_index() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let object = client.store(&store, &Answer::of("body"));
    store.purge(&Purge::All, How::Hard);
    assert!(store.make(&object, BR).is_none());
    let hidden = client.lead(&store);
    store.purge(&Purge::All, How::Hard);
    let filling = Answer::default().fill(&client, hidden, None).unwrap();
    assert!(store.make(filling.object(), BR).is_none());
}

/// A finished head is kept for one object and one set of rules.
#[test]
fn a_head_is_kept_for_the_object_that_it_is_for() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let object = client.store(&store, &Answer::of("body"));
    let making = store.make(&object, BR).unwrap();
    let mut head = ResponseHead::new(200);
    head.fields.push(b"Content-Encoding", b"br");
    making.sibling().keep_head(&object, 1, &head);
    let mut got = ResponseHead::new(200);
    assert!(!making.sibling().unpack_head(&object, 1, &mut got), "it is still made");
    let sibling = making.finish(0).unwrap();
    assert!(!sibling.unpack_head(&object, 1, &mut got));
    let before = store.used();
    sibling.keep_head(&object, 1, &head);
    assert!(store.used() > before);
    assert!(sibling.unpack_head(&object, 1, &mut got));
    assert_eq!(got.fields.first_named(b"content-encoding"), Some(&b"br"[..]));
    assert!(!sibling.unpack_head(&object, 2, &mut got), "other rules");
    let fresh = store.update_head(&object, object.head().clone(), meta()).unwrap();
    assert!(!here(&fresh, BR).unpack_head(&fresh, 1, &mut got), "another head");
    sibling.keep_head(&fresh, 1, &head);
    assert!(sibling.unpack_head(&fresh, 1, &mut got) && !sibling.unpack_head(&object, 1, &mut got));
    drop((object, fresh, sibling));
    store.purge(&Purge::All, How::Hard);
    assert_eq!(store.used(), 0);
}

#[test]
fn forms_are_bounded() {
    let store = store(1 << 20);
    let object = client(&store, 0).store(&store, &Answer::of("body"));
    for n in 0..SIBLINGS_MAX as u128 {
        store.make(&object, Form(n)).unwrap().refuse(0);
    }
    assert!(store.make(&object, Form(u128::MAX)).is_none());
}

#[test]
fn they_are_described() {
    let store = store(1 << 20);
    let client = client(&store, 0);
    let object = client.store(&store, &Answer::of("body"));
    store.make(&object, Form(9)).unwrap().refuse(5);
    let mut making = store.make(&object, BR).unwrap();
    making.push(b"12345");
    making.finish(6).unwrap();
    let coming = store.make(&object, GZIP).unwrap();
    let shown = store.show(&client.key, at(0)).remove(0).siblings;
    let shown: Vec<_> = shown.into_iter().map(|one| (one.form, one.standing)).collect();
    let whole = Standing::Whole { length: 5, note: 6, is_final: false };
    let expect = [(Form(9), Standing::Refused(5)), (BR, whole), (GZIP, Standing::Coming)];
    assert_eq!(shown, expect);
    drop(coming);
}

/// Of many who want it at once one makes it, and all get the same.
#[test]
fn one_of_many_makes_it() {
    let store = store(8 << 20);
    for round in 0..200 {
        let client = client(&store, round);
        let mut filling = client.fill(&store, &Answer::default());
        let coming = Arc::clone(filling.object());
        let made: usize = thread::scope(|scope| {
            let want = |_| {
                let (store, coming) = (&store, &coming);
                scope.spawn(move || {
                    let Some(mut making) = store.make(coming, BR) else { return 0 };
                    making.push(b"coded");
                    making.finish(0).unwrap();
                    1
                })
            };
            let threads: Vec<_> = (0..4).map(want).collect();
            filling.push(b"body");
            filling.finish().unwrap();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 1);
        let found = client.hit(&store).unwrap();
        assert_eq!([read(&here(&found, BR)), read(&here(&coming, BR))], [b"coded"; 2]);
    }
    assert_eq!(store.stats().siblings, 200);
}
