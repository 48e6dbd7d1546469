//! More to do than can be done: a core that has no time, no memory left, and no descriptors.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doorman_testkit::raw::Raw;
use doorman_testkit::reply::Asked;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::rig::{FRONTS, Front, Got, House};

/// How long a story waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::yield_now();
    }
}

/// Three routes of different importance.
fn routes(global: &str) -> String {
    format!(
        "global {{ {global} }}\n---\n\
         route /low {{ priority low; proxy web }}\n\
         route /high {{ priority high; proxy web }}\n\
         route * {{ proxy web }}"
    )
}

/// Gives a process so little time that whatever it has to do waits, for as long as something else runs.
fn starve<T>(house: &House, work: impl FnOnce() -> T) -> T {
    const STOPPED: Duration = Duration::from_millis(60);
    const RUNS: Duration = Duration::from_millis(6);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (is_over, process) = (&is_over, &house.process);
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                process.signal(Signal::STOP).expect("our own child");
                thread::park_timeout(STOPPED);
                process.signal(Signal::CONT).expect("our own child");
                thread::park_timeout(RUNS);
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_core_that_has_no_time_refuses_what_matters_least_and_recovers() {
    let house = House::with(&routes("overload delay 10ms memory off; workers 1"));
    assert_eq!(house.get("/low", &[]).status, 200);
    let refused = starve(&house, || {
        until("a refusal", || {
            let got = house.get("/low", &[]);
            (got.status == 503).then_some(got)
        })
    });
    let seconds: u64 = refused.field("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=10).contains(&seconds), "{seconds}");
    let line = house.process.wait_for_words("\"end\":\"overloaded\"");
    assert!(line.contains("requests wait too long for their core"), "{line}");
    let series = "doorman_overload_refused_total{reason=\"delay\",priority=\"low\"}";
    assert!(house.metric(series) >= 1.0);
    // It finds back by itself, once it has time.
    until("nothing is refused", || {
        (house.metric("doorman_overload_level{core=\"0\"}") < 1.0).then_some(())
    });
    for front in FRONTS {
        assert_eq!(house.ask(front, "GET", "/low", &[], b"").status, 200, "{front:?}");
    }
}

#[test]
fn a_core_that_is_looked_at_and_has_time_refuses_nothing() {
    // A machine that is busy with other things is late, too, but not so late.
    let house = House::with(&routes("overload delay 1s memory off"));
    for _ in 0..3 {
        for front in FRONTS {
            assert_eq!(house.ask(front, "GET", "/low", &[], b"").status, 200, "{front:?}");
        }
    }
    assert!(house.metric("doorman_overload_level{core=\"0\"}") < 1.0);
}

#[test]
fn browsers_are_asked_to_pay_while_there_is_no_time_and_only_then() {
    let house = House::with("global { workers 1 }\n---\nchallenge when-busy\nproxy web");
    let page = [("accept", "text/html"), ("user-agent", "Mozilla/5.0 (story)")];
    let ask = || house.get("/page", &page);
    assert_eq!(ask().status, 200);
    let asked = starve(&house, || {
        until("a puzzle", || {
            let got = ask();
            assert_ne!(got.field("retry-after"), Some("2"), "nothing is refused");
            (got.status != 200).then_some(got)
        })
    });
    assert!(String::from_utf8_lossy(&asked.body).contains("<html"), "{asked:?}");
    let _ = house.process.wait_for_words("\"end\":\"challenged\"");
    until("nobody is asked", || (ask().status == 200).then_some(()));
}

/// Anonymous memory of the process, in KiB.
fn resident(house: &House) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", house.process.id()));
    let text = text.expect("our own child");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a number");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn without_memory_all_new_requests_are_refused_and_old_ones_end_rxc_26() {
    let house = House::with(&routes("overload delay off memory 64GiB"));
    let mut idle = house.connect();
    let ask = |raw: &mut Raw, target: &str| {
        raw.send(house.head("GET", target, &[], b"")).expect("a house that is open");
        raw.response_to(Asked::Other).expect("an answer")
    };
    assert_eq!(ask(&mut idle, "/").status, 200);
    // A request that is under way, half sent.
    let mut old = house.connect();
    let head = "POST /old HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    old.send(head).expect("a house that is open");
    let _ = old.take_until(b"100 Continue\r\n\r\n").expect("somebody wants its body");
    let asked = house.asked();

    house.configure(&routes("overload delay off memory 16MiB"));
    house.reload(" is in force");
    let _ = house.process.wait_for_words("all requests are refused");
    // Who rests is sent away.
    assert!(matches!(idle.take_all(), Ok((rest, _)) if rest.is_empty()), "a connection that rests");
    for front in FRONTS {
        let got = house.ask(front, "GET", "/new", &[], b"");
        assert_eq!(got.status, 503, "{front:?}");
        assert!(got.field("retry-after").is_some(), "{front:?}");
        if front == Front::H1 || front == Front::Plain {
            assert_eq!(got.field("connection"), Some("close"), "{front:?}");
        }
    }
    let line = house.line("/new");
    assert!(line.contains("\"end\":\"overloaded\"") && line.contains("memory is scarce"), "{line}");
    assert_eq!(house.asked(), asked, "no origin heard of it");
    assert!(house.metric("doorman_overload_memory_step") > 3.0);
    old.send("haha").expect("a request under way");
    assert_eq!(old.response_to(Asked::Other).expect("an answer").status, 200, "the old one ends");

    house.configure(&routes("overload delay off memory 64GiB"));
    house.reload(" is in force");
    let _ = house.process.wait_for_words("memory is no longer scarce");
    assert_eq!(house.get("/low", &[]).status, 200);
}

#[test]
fn when_memory_is_scarce_what_matters_least_goes_first_and_connections_are_not_kept() {
    let house = House::with(&routes("overload delay off memory 64GiB"));
    assert_eq!(house.get("/low", &[]).status, 200);
    let memory = resident(&house) * 1024 * 100 / 97;
    if memory < 16 << 20 {
        // Less than the least that can be written.
        return;
    }
    house.configure(&routes(&format!("overload delay off memory {memory}B")));
    house.reload(" is in force");
    let _ = house.process.wait_for_words("requests of low priority are refused");
    let get = |target| house.get(target, &[]);
    let close = |got: &Got| got.field("connection") == Some("close");
    let (low, normal, high) = (get("/low"), get("/"), get("/high"));
    assert_eq!([low.status, normal.status, high.status], [503, 200, 200]);
    assert!(close(&low) && close(&normal) && close(&high));
    // Operators see it.
    let (said, healthy) = run(&house, &["status", "--admin", "unix:admin.sock"]);
    assert!(said.contains("memory is scarce") && !healthy, "{said}");
    let url = format!("http://localhost:{}/low", house.plain.port());
    let (said, _) = run(&house, &["explain", &url, "-c", "doorman.conf"]);
    assert!(said.contains("low; refused first while there is more to do"), "{said}");
}

/// What a command says, and whether all is well.
fn run(house: &House, arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_doorman"))
        .args(arguments)
        .current_dir(house.process.folder())
        .output()
        .expect("the program can be run");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

/// The numbers of its descriptors.
fn descriptors(house: &House) -> Vec<u64> {
    let folder = std::fs::read_dir(format!("/proc/{}/fd", house.process.id()));
    let names = folder.expect("our own child").map(|entry| entry.expect("a name").file_name());
    names.map(|name| name.to_string_lossy().parse().expect("a number")).collect()
}

/// Lets the process have no more descriptors than these.
fn bound(house: &House, most: u64) {
    let pid = Pid::from_raw(i32::try_from(house.process.id()).expect("an id")).expect("an id");
    // What it may raise itself stays: not everybody may give that back.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit { current: Some(most), maximum };
    prlimit(Some(pid), Resource::Nofile, limit).expect("our own child");
}

#[test]
fn connections_that_rest_make_room_for_those_that_come_rxc_07() {
    let house = House::with("proxy web");
    bound(&house, 256);
    let ask = |raw: &mut Raw| -> std::io::Result<u16> {
        raw.send(house.head("GET", "/", &[], b""))?;
        raw.response_to(Asked::Other).map(|reply| reply.status)
    };
    // Each of them has its answer, and more of them come than there is room for.
    let mut crowd = Vec::new();
    for n in 0..400 {
        let mut raw = house.connect();
        let status = until("an answer", || match ask(&mut raw) {
            Ok(status) => Some(status),
            // It was turned away: the two cores take turns at what rests on them.
            Err(_) => {
                raw = house.connect();
                None
            }
        });
        assert_eq!(status, 200, "{n}");
        crowd.push(raw);
    }
    assert!(descriptors(&house).len() < 256);
    // Whoever came last is still there.
    assert_eq!(ask(crowd.last_mut().expect("somebody")).expect("an answer"), 200);
    // There is room for files all the while.
    house.reload(" is in force");
    assert!(house.metric("process_max_fds") > 255.0);
}

#[test]
fn a_server_that_cannot_be_connected_to_for_want_of_descriptors_costs_a_503_rxc_08() {
    let house = House::with("route /here { respond 200 }\nroute * { proxy web }");
    let mut raw = house.connect();
    let mut ask = |target| {
        raw.send(house.head("GET", target, &[], b"")).expect("a house that is open");
        raw.response_to(Asked::Other).expect("an answer")
    };
    // The connection is there, and none to the origin.
    assert_eq!(ask("/here").status, 200);
    let used = descriptors(&house);
    // From the lowest that is free on, the last eight are for files.
    let free = (0..).find(|number| !used.contains(number)).expect("a number");
    bound(&house, free + 8);
    assert_eq!(ask("/first").status, 503);
    let line = house.line("/first");
    assert!(line.contains("\"end\":\"overloaded\""), "{line}");
    assert!(line.contains("no file descriptor is left"), "{line}");
    bound(&house, 1_024);
    assert_eq!(house.get("/second", &[]).status, 200);
    assert_eq!(house.asked(), 1);
}
