use std::os::unix::fs::PermissionsExt;

use super::*;

fn object(text: &str) -> Object {
    let (upstream, server) = text.split_once('/').unwrap();
    Object { upstream: upstream.to_owned(), server: server.to_owned() }
}

fn change(word: &str) -> Change {
    match word {
        "ready" => Change::Use(Use::Ready),
        "drain" => Change::Use(Use::Drain),
        "down" => Change::Use(Use::Down),
        weight => Change::Weight(weight.parse().unwrap()),
    }
}

/// `web/a drain ready`: the object, what counts, and what the file said.
fn made(text: &str) -> Override {
    let [at, now, before] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    Override {
        object: object(at),
        change: change(now),
        replaced: change(before),
        author: "ops".to_owned(),
        reason: String::new(),
        created: 10,
        expires: Some(100),
        deadline: None,
    }
}

fn book(list: &[&str]) -> Book {
    let mut book = Book::default();
    for text in list {
        book.set(made(text)).unwrap();
    }
    book
}

fn shown(book: &Book) -> Vec<String> {
    book.all().iter().map(|one| format!("{} {}", one.object, one.change)).collect()
}

#[test]
fn one_for_each_property_of_a_server() {
    let check = |list: &[&str], expect: &[&str]| assert_eq!(shown(&book(list)), expect, "{list:?}");
    check(&["web/a drain ready"], &["web/a drain"]);
    check(&["web/b drain ready", "web/a down ready"], &["web/a down", "web/b drain"]);
    check(&["web/a drain ready", "web/a down ready"], &["web/a down"]);
    check(&["web/a drain ready", "web/a 5 2"], &["web/a drain", "web/a weight 5"]);
    check(&["web/a 5 2", "web/a 7 2"], &["web/a weight 7"]);
    // What the file says already needs no override; it takes back the one before.
    check(&["web/a drain ready", "web/a ready ready"], &[]);
    check(&["web/a 5 2", "web/a drain ready", "web/a 2 2"], &["web/a drain"]);
    check(&["web/a ready drain"], &["web/a ready"]);
}

#[test]
fn effects() {
    let book = book(&["web/a drain ready", "web/a 5 2", "web/b 3 1", "webb/a down ready"]);
    let check = |upstream: &str, server: &str, usage: Option<Use>, weight: Option<u32>| {
        let effect = book.of(upstream, server);
        assert_eq!((effect.usage, effect.weight), (usage, weight), "{upstream}/{server}");
    };
    check("web", "a", Some(Use::Drain), Some(5));
    check("web", "b", None, Some(3));
    check("web", "c", None, None);
    check("webb", "a", Some(Use::Down), None);
    check("we", "ba", None, None);
}

#[test]
fn the_file_wins_when_it_changes() {
    let check = |one: &str, written: Written, expect: Option<&str>| {
        let mut book = book(&[one]);
        let dropped = book.reconcile(|_| written);
        let told = dropped.first().map(ToString::to_string);
        assert_eq!(book.is_empty(), expect.is_some(), "{one} {written:?}");
        match (told, expect) {
            (Some(told), Some(expect)) => assert!(told.ends_with(expect), "{told}"),
            (told, expect) => assert_eq!(told.as_deref(), expect),
        }
    };
    check("web/a drain ready", Written::As(change("ready")), None);
    check("web/a drain ready", Written::Away, None);
    check(
        "web/a drain ready",
        Written::As(change("down")),
        Some("the file said `ready` and says `down` now"),
    );
    // Even if the file says now what the override says: from here on the file is what counts.
    check(
        "web/a drain ready",
        Written::As(change("drain")),
        Some("the file said `ready` and says `drain` now"),
    );
    check("web/a drain ready", Written::Gone, Some("the file has no such server any more"));
    check("web/a 5 2", Written::As(change("2")), None);
    check(
        "web/a 5 2",
        Written::As(change("3")),
        Some("the file said `weight 2` and says `weight 3` now"),
    );
}

#[test]
fn they_end_by_themselves() {
    let mut book = Book::default();
    for (text, expires, deadline) in [
        ("web/a drain ready", Some(100), Some(50)),
        ("web/a 5 2", Some(80), None),
        ("web/b drain ready", None, Some(60)),
        ("web/c drain ready", None, None),
    ] {
        book.set(Override { expires, deadline, ..made(text) }).unwrap();
    }
    assert_eq!(book.next(10), Some(50));
    assert_eq!(book.next(50), Some(60));
    assert_eq!(book.next(60), Some(80));
    assert_eq!(book.due(0, 49), []);
    assert_eq!(book.due(49, 50), [object("web/a")]);
    assert_eq!(book.due(50, 60), [object("web/b")]);
    assert_eq!(book.due(0, 60), [object("web/a"), object("web/b")]);
    assert_eq!(book.expire(79), []);
    assert_eq!(book.expire(80).len(), 1);
    assert_eq!(shown(&book), ["web/a drain", "web/b drain", "web/c drain"]);
    assert_eq!(book.expire(5000).len(), 1);
    assert_eq!(shown(&book), ["web/b drain", "web/c drain"]);
    assert_eq!(book.next(5000), None);
}

#[test]
fn what_is_not_taken() {
    let mut book = Book::default();
    for reason in ["x".repeat(REASON_BYTES_MAX + 1), "two\nlines".to_owned(), "\x1b[31m".to_owned()]
    {
        let one = Override { reason, ..made("web/a drain ready") };
        assert_eq!(book.set(one), Err(Refusal::Reason));
    }
    for at in 0..OVERRIDES_MAX {
        book.set(made(&format!("web/{at} drain ready"))).unwrap();
    }
    assert_eq!(book.set(made("web/x drain ready")), Err(Refusal::Full));
    // Those that are there may still change and go.
    book.set(made("web/7 down ready")).unwrap();
    book.set(made("web/8 ready ready")).unwrap();
    book.set(made("web/x drain ready")).unwrap();
}

#[test]
fn they_are_kept_privately_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(&folder.path().join("data"));
    assert_eq!(store.read().unwrap(), Book::default());
    let mut book =
        book(&["web/a drain ready", "web/a 5 2", "api/https://10.0.0.1:8443 down ready"]);
    let kept = Override {
        reason: "disk \u{201c}sdb\u{201d}".to_owned(),
        expires: None,
        deadline: Some(77),
        ..made("web/c drain ready")
    };
    book.set(kept).unwrap();
    store.write(&book).unwrap();
    assert_eq!(store.read().unwrap(), book);
    let path = folder.path().join("data/overrides.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // None left: no file left.
    store.write(&Book::default()).unwrap();
    assert!(!path.exists());
    store.write(&Book::default()).unwrap();
}

#[test]
fn a_damaged_file_is_put_aside_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let path = folder.path().join("overrides.json");
    for damage in ["", "{", "[{\"upstream\":\"web\"}]", "null"] {
        std::fs::write(&path, damage).unwrap();
        let why = store.read().unwrap_err();
        assert!(why.contains("overrides.json.damaged"), "{why}");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("overrides.json.damaged")).unwrap(),
            damage
        );
        assert_eq!(store.read().unwrap(), Book::default());
    }
}

/// What stands on disk was written by hand, perhaps: it is put in order, each property once.
#[test]
fn what_is_read_back_is_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path());
    let list = ["web/b drain ready", "web/a drain ready", "web/b down ready", "web/c ready ready"];
    let list: Vec<_> = list.iter().map(|text| made(text)).collect();
    std::fs::write(folder.path().join("overrides.json"), serde_json::to_vec(&list).unwrap())
        .unwrap();
    assert_eq!(shown(&store.read().unwrap()), ["web/a drain", "web/b down"]);
}
