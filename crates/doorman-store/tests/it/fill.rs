//! Bodies that are read while they come.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use doorman_http::FieldId;
use doorman_store::{Cut, Found, NotKept, Object, ObjectReader, Room};

use crate::kit::{Answer, Client, Woken, read_on, seed, store, store_with, whole};

#[test]
fn readers_read_while_it_comes_and_are_woken() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let mut filling = client.fill(&store, &Answer::default());
    let (woken, waker) = Woken::new();
    let mut early = filling.object().read(0..u64::MAX).unwrap();
    assert_eq!(read_on(&mut early, &waker), (vec![], None));
    filling.push(b"one ");
    assert_eq!(woken.times(), 1);
    assert_eq!(read_on(&mut early, &waker), (b"one ".to_vec(), None));
    let mut middle = client.hit(&store).unwrap().read(2..6).unwrap();
    assert_eq!(read_on(&mut middle, Waker::noop()), (b"e ".to_vec(), None));
    filling.push(b"two");
    assert_eq!(read_on(&mut middle, Waker::noop()), (b"tw".to_vec(), Some(Ok(()))));
    let stored = filling.finish().unwrap();
    assert_eq!(woken.times(), 2);
    assert_eq!(read_on(&mut early, &waker), (b"two".to_vec(), Some(Ok(()))));
    assert_eq!(whole(&stored), b"one two");
    assert!(!client.hit(&store).unwrap().is_filling());
}

/// CIN-01..04: a body that is cut anywhere is never stored, and its readers know.
#[test]
fn cin_01_cut_bodies_are_not_stored() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let body = [7u8; 64];
    for cut in 0..64 {
        for declared in [Some(64), None] {
            let lead = client.lead(&store);
            let mut filling = Answer::default().fill(&client, lead, declared).unwrap();
            let mut reader = filling.object().read(0..u64::MAX).unwrap();
            filling.push(&body[..cut]);
            if declared.is_some() {
                assert_eq!(filling.finish().unwrap_err(), NotKept::Cut);
            } else {
                drop(filling);
            }
            let (read, end) = read_on(&mut reader, Waker::noop());
            assert_eq!((read.len(), end), (cut, Some(Err(Cut))), "{cut} {declared:?}");
            assert!(matches!(client.look(&store), Found::Miss), "{cut} {declared:?}");
        }
    }
}

#[test]
fn a_body_beyond_its_declared_length_is_not_stored() {
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let mut filling = Answer::default().fill(&client, client.lead(&store), Some(3)).unwrap();
    filling.push(b"four");
    assert_eq!(filling.finish().unwrap_err(), NotKept::Cut);
    assert!(client.hit(&store).is_none());
}

#[test]
fn small_pushes_and_large_ones_give_the_same_bytes() {
    let store = store(8 << 20);
    let body: Vec<u8> = (0..200_000u32).map(|n| (n / 7).to_le_bytes()[0]).collect();
    for step in [1, 3, 1000, 16_384, 200_000] {
        let client = Client::of(&store, &format!("http://a.example/{step}"), &[]);
        let mut filling = client.fill(&store, &Answer::default());
        let mut reader = filling.object().read(0..u64::MAX).unwrap();
        let mut read = Vec::new();
        for (n, piece) in body.chunks(step).enumerate() {
            filling.push(piece);
            if n % 3 == 0 {
                read.extend(read_on(&mut reader, Waker::noop()).0);
            }
        }
        let object = filling.finish().unwrap();
        read.extend(read_on(&mut reader, Waker::noop()).0);
        assert!(read == body && whole(&object) == body, "{step}");
    }
}

/// What proves too large goes on to those who read it, through a window, and to nobody else.
#[test]
fn a_body_that_is_too_large_becomes_a_window() {
    let store = store_with(16 << 20, 1 << 20, seed());
    let client = Client::of(&store, "http://a.example/", &[]);
    let mut filling = client.fill(&store, &Answer::default());
    let mut slow = filling.object().read(0..u64::MAX).unwrap();
    let mut fast = filling.object().read(0..u64::MAX).unwrap();
    let object = client.hit(&store).unwrap();
    let (woken, waker) = Woken::new();
    let cx = Context::from_waker(&waker);
    let piece = [5u8; 128 * 1024];
    let (mut pushed, mut read) = (0, 0);
    while filling.poll_room(&cx) == Poll::Ready(Room::Free) {
        filling.push(&piece);
        pushed += piece.len();
        read += read_on(&mut fast, Waker::noop()).0.len();
        assert!(pushed < 4 << 20, "the window does not close");
    }
    assert_eq!((read, filling.is_kept()), (pushed, Err(NotKept::TooLarge)));
    assert!(matches!(client.look(&store), Found::Uncacheable));
    assert!(object.read(0..9).is_none(), "nobody joins a window");
    // The slow one reads on, and the writer is woken.
    assert_eq!(woken.times(), 0);
    let Poll::Ready(Some(Ok(first))) = slow.poll_next(&mut Context::from_waker(&waker)) else {
        panic!()
    };
    assert_eq!(woken.times(), 1);
    let rest = read_on(&mut slow, Waker::noop()).0;
    assert_eq!(first.len() + rest.len(), pushed);
    assert_eq!(filling.poll_room(&cx), Poll::Ready(Room::Free));
    filling.push(b"end");
    drop(fast);
    assert_eq!(filling.finish().unwrap_err(), NotKept::TooLarge);
    assert_eq!(read_on(&mut slow, Waker::noop()), (b"end".to_vec(), Some(Ok(()))));
}

#[test]
fn a_window_that_nobody_reads_is_abandoned() {
    let store = store_with(1 << 20, 10, seed());
    let client = Client::of(&store, "http://a.example/", &[]);
    let mut filling = client.fill(&store, &Answer::default());
    let reader = filling.object().read(0..u64::MAX).unwrap();
    filling.push(b"more than ten bytes");
    drop(reader);
    let cx = Context::from_waker(Waker::noop());
    assert_eq!(filling.poll_room(&cx), Poll::Ready(Room::Abandoned));
}

/// The last waker of a task may drop the task, and with it another reader of the same body.
#[test]
fn a_waker_that_drops_a_reader_does_not_wait_for_itself() {
    struct Task {
        _reader: ObjectReader,
    }
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let store = store(1 << 20);
    let client = Client::of(&store, "http://a.example/", &[]);
    let filling = client.fill(&store, &Answer::default());
    let mut reader = filling.object().read(0..u64::MAX).unwrap();
    let task = Task { _reader: filling.object().read(0..u64::MAX).unwrap() };
    let waker = Waker::from(Arc::new(task));
    assert!(reader.poll_next(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert!(reader.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn what_is_tagged_by_its_content_has_the_tag_once_it_is_whole() {
    let store = store_with(8 << 20, 1 << 20, seed());
    let client = Client::of(&store, "http://a.example/", &[]);
    let tag = |object: &Arc<Object>| object.head().first(FieldId::Etag).map(<[u8]>::to_vec);
    let mut tags = Vec::new();
    // In one allocation with the rest, by pieces, and the same as before.
    for (body, step) in [(&b"abc"[..], 1), (&[7; 100_000], 999), (&[7; 100_000], 100_000)] {
        let lead = store.alone(&client.key, &client.chooser(), client.hit(&store));
        let mut filling = Answer::default().fill(&client, lead, None).unwrap();
        filling.tag_by_content();
        assert_eq!(tag(filling.object()), None);
        body.chunks(step).for_each(|piece| filling.push(piece));
        let stored = filling.finish().unwrap();
        assert_eq!(whole(&stored), body);
        // It is no validator of the origin's, so that one is not asked about it.
        assert!(!stored.meta().has_validator());
        assert_eq!(tag(&client.hit(&store).unwrap()), tag(&stored));
        tags.push(tag(&stored).unwrap());
    }
    assert_eq!(tags[0], b"\"ba7816bf8f01cfea414140de5dae2223\"");
    assert!(tags[1] == tags[2] && tags[0] != tags[1]);
    // What proves too large is not tagged, and is read on.
    let lead = store.alone(&client.key, &client.chooser(), client.hit(&store));
    let mut filling = Answer::default().fill(&client, lead, None).unwrap();
    filling.tag_by_content();
    let mut reader = filling.object().read(0..u64::MAX).unwrap();
    filling.push(&[1; 2 << 20]);
    assert_eq!(filling.finish().unwrap_err(), NotKept::TooLarge);
    let (read, end) = read_on(&mut reader, Waker::noop());
    assert_eq!((read.len(), end), (2 << 20, Some(Ok(()))));
}
