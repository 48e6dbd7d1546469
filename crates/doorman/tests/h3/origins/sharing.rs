//! Requests that share connections: how many, for how long, and what happens when a server says that
//! it goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doorman_testkit::h3::Ended;
use doorman_testkit::h3::frames::{frame, kind, varint};
use doorman_testkit::h3::origin::QuicOrigin;
use doorman_testkit::tls::Authority;

use super::{Book, House, Notes, echo, echoing, setup, status};
use crate::rig::code;

#[test]
fn requests_share_one_connection() {
    let authority = Authority::new();
    let (origin, book) = echoing(&authority);
    let house = House::before(&authority, &[origin.address()], "");
    let answer = house.get();
    assert_eq!(status(&answer), "200", "{answer}");
    std::thread::scope(|scope| {
        for n in 0..20 {
            let house = &house;
            scope.spawn(move || {
                for m in 0..5 {
                    let body = format!("{n}-{m}");
                    let answer = house.post(&body);
                    assert!(status(&answer) == "200" && answer.ends_with(&body), "{answer}");
                }
            });
        }
    });
    assert_eq!((book.seen().len(), book.connections()), (101, 1));
    let (_, first) = &book.seen()[0];
    let field = |name: &str| first.fields.get(name).map(String::as_str);
    assert_eq!((field(":method"), field(":path")), (Some("GET"), Some("/x")));
    assert_eq!((field(":scheme"), field(":authority")), (Some("https"), Some("a")));
    assert_eq!(field("connection"), None);
}

/// MAX_STREAMS is kept: what finds no room goes over another connection.
#[test]
fn the_origins_limit_of_streams_is_kept() {
    const LIMIT: usize = 3;
    let authority = Authority::new();
    let (most, book) = (Arc::new(AtomicUsize::new(0)), Book::default());
    let (seen, kept) = (Arc::clone(&most), book.clone());
    let setup = doorman_testkit::h3::origin::Setup { streams: 3, ..setup(&authority) };
    let origin = QuicOrigin::start(setup, move |visit| {
        let (most, book) = (Arc::clone(&seen), kept.clone());
        async move {
            let open = Arc::new(AtomicUsize::new(0));
            while let Some(mut asked) = visit.asked().await {
                let (most, book, open) = (Arc::clone(&most), book.clone(), Arc::clone(&open));
                let index = visit.index;
                tokio::task::spawn_local(async move {
                    most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let Ok(whole) = asked.whole().await else { return };
                    book.write(index, whole);
                    // Answers late, so that they pile up.
                    let gone = asked.reply.stopped();
                    let _ = tokio::time::timeout(Duration::from_millis(50), gone).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                    let _ = asked.reply.answer(&[(":status", "204")], b"").await;
                    asked.reply.stopped().await;
                });
            }
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    std::thread::scope(|scope| {
        for n in 0..LIMIT * 5 {
            let house = &house;
            scope.spawn(move || assert_eq!(status(&house.post(&n.to_string())), "204"));
        }
    });
    assert_eq!(book.seen().len(), LIMIT * 5, "each came once");
    assert!(most.load(Ordering::SeqCst) <= LIMIT);
    assert!(book.connections() > 1, "what found no room went elsewhere");
}

/// What GOAWAY leaves out is sent again on another connection, with its body, and nothing twice; what
/// it does not leave out is still answered (RFC 9114 section 5.2).
#[test]
fn goaway_moves_what_was_not_processed() {
    let authority = Authority::new();
    let book = Book::default();
    let kept = book.clone();
    let origin = QuicOrigin::start(setup(&authority), move |mut visit| {
        let book = kept.clone();
        async move {
            if visit.index > 0 {
                return echo(visit, book).await;
            }
            let Some(mut first) = visit.asked().await else { return };
            let Some(second) = visit.asked().await else { return };
            let Ok(whole) = first.whole().await else { return };
            let left_out = varint(second.id);
            if visit.say(&frame(kind::GOAWAY, &left_out)).await.is_err() {
                return;
            }
            book.write(0, whole);
            // Not a word on the second one's stream: GOAWAY has said all of it.
            visit.settle().await;
            let _ = first.reply.answer(&[(":status", "200")], b"from the first").await;
            visit.over().await;
            drop(second);
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    let answers = std::thread::scope(|scope| {
        let house = &house;
        let posts = ["one", "other"].map(|body| scope.spawn(move || (body, house.post(body))));
        posts.map(|post| post.join().expect("an answer"))
    });
    for (body, answer) in &answers {
        let is_right = answer.contains("from the first") || answer.ends_with(body);
        assert!(status(answer) == "200" && is_right, "{answer}");
    }
    let mut bodies: Vec<_> =
        book.seen().into_iter().map(|(visit, whole)| (visit, whole.content)).collect();
    bodies.sort();
    assert_eq!(bodies.iter().map(|(visit, _)| *visit).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(bodies[0].1, bodies[1].1, "nothing twice");
}

/// A stream that was rejected was not processed, whatever it asked for (RFC 9114 section 4.1.1).
#[test]
fn rejected_requests_are_sent_again() {
    let authority = Authority::new();
    let (book, kept) = (Book::default(), Arc::new(AtomicUsize::new(0)));
    let (pen, count) = (book.clone(), Arc::clone(&kept));
    let origin = super::answering(&authority, move |mut asked, index| {
        let (book, count) = (pen.clone(), Arc::clone(&count));
        async move {
            if count.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                let _ = asked.head().await?;
                asked.reading.stop(0x10b);
                asked.reply.reset(0x10b);
                return Ok(());
            }
            let whole = asked.whole().await?;
            let content = whole.content.clone();
            book.write(index, whole);
            let length = content.len().to_string();
            let fields = [(":status", "200"), ("content-length", &*length)];
            asked.reply.answer(&fields, &content).await
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    for body in ["", "pay", &"x".repeat(50_000)] {
        let answer = house.post(body);
        assert!(status(&answer) == "200" && answer.ends_with(body), "{answer}");
    }
    assert_eq!(book.seen().len(), 3, "each was processed once");
    assert_eq!(kept.load(Ordering::SeqCst), 6);
}

/// One that refuses everything gets few tries, and the client a status that says so.
#[test]
fn an_origin_that_rejects_for_good_is_503() {
    let authority = Authority::new();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let origin = super::answering(&authority, move |mut asked, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            asked.reply.reset(0x10b);
            Ok(())
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    assert_eq!(status(&house.post("x")), "503");
    house.logged("refused before it was processed");
    assert!((1..=3).contains(&count.load(Ordering::SeqCst)));
}

/// A reset of any other kind may have been processed.
#[test]
fn requests_that_may_have_been_processed_are_not_sent_again() {
    let authority = Authority::new();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let origin = super::answering(&authority, move |mut asked, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            asked.reply.reset(0x102);
            Ok(())
        }
    });
    let house = House::before(&authority, &[origin.address()], "");
    assert_eq!(status(&house.post("pay")), "502");
    house.logged("reset the stream: H3_INTERNAL_ERROR");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// `pool` bounds connections: each closes in order.
#[test]
fn connections_end_by_the_rules_of_their_pool() {
    for (more, requests) in [
        ("pool { max-requests 2 }", 4),
        ("pool { max-age 100ms }", 1),
        ("pool { idle-timeout 100ms }", 1),
    ] {
        let authority = Authority::new();
        let (book, ends) = (Book::default(), Notes::new());
        let (kept, pen) = (book.clone(), ends.pen());
        let origin = QuicOrigin::start(setup(&authority), move |visit| {
            let (book, pen) = (kept.clone(), pen.clone());
            async move {
                let visit = std::rc::Rc::new(visit);
                let watched = std::rc::Rc::clone(&visit);
                tokio::task::spawn_local(async move {
                    let _ = pen.send(watched.over().await);
                });
                while let Some(mut asked) = visit.asked().await {
                    let Ok(whole) = asked.whole().await else { return };
                    book.write(visit.index, whole);
                    let _ = asked.reply.answer(&[(":status", "204")], b"").await;
                    asked.reply.stopped().await;
                }
            }
        });
        let house = House::before(&authority, &[origin.address()], more);
        for _ in 0..requests {
            assert_eq!(status(&house.get()), "204");
        }
        assert_eq!(ends.next(), Ended::Closed(code::NO_ERROR), "{more}");
        if requests > 1 {
            assert_eq!(book.connections(), 2, "{more}");
        }
    }
}
