//! Certificates that are replaced while the program runs: nobody's handshake fails, and a broken file harms nothing.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doorman_testkit::raw::Raw;
use doorman_testkit::tls::{Authority, Identity};

use crate::rig::{House, client};

const SITES: &str = "
site https://a.test:@PORT { tls cert a.pem key a.key; respond 200 a }
site https://b.test:@PORT { tls cert b.pem key b.key; respond 200 b }";

/// Far longer than a change takes to be noticed.
const PATIENCE: Duration = Duration::from_secs(30);

fn house(a: &Identity, b: &Identity) -> House {
    let files = [
        ("a.pem", &*a.certificate_pem),
        ("a.key", &*a.key_pem),
        ("b.pem", &*b.certificate_pem),
        ("b.key", &*b.key_pem),
    ];
    House::start_with(Authority::new(), &files, SITES)
}

impl House {
    /// The certificate that a handshake shows, as PEM has it.
    fn shown(&self, name: &str) -> Option<String> {
        let raw = Raw::connect_tls(self.address, &client(name, None)).ok()?;
        raw.peer_certificate().map(|der| base64(&der))
    }

    fn wait_shown(&self, name: &str, identity: &Identity) {
        let wanted = body(&identity.certificate_pem);
        let begun = Instant::now();
        // Every core has to follow: seven in a row leave one of two cores out once in a hundred times.
        let mut row = 0;
        while row < 7 {
            assert!(begun.elapsed() < PATIENCE, "the new certificate of {name} is not shown");
            row = if self.shown(name).as_ref() == Some(&wanted) { row + 1 } else { 0 };
        }
    }

    fn put(&self, name: &str, identity: &Identity) {
        // One after the other, as every tool does: between the two they do not belong together.
        self.replace(&format!("{name}.key"), &identity.key_pem);
        self.replace(&format!("{name}.pem"), &identity.certificate_pem);
    }
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with('-')).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > group.len() { '=' } else { char::from(DIGITS[index]) });
        }
    }
    text
}

#[test]
fn certificates_rotate_under_load_without_a_failed_handshake() {
    let servers = Authority::new();
    let issue = |name: &str| servers.issue(&[name]);
    let house = Arc::new(house(&issue("a.test"), &issue("b.test")));
    let (ended, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let (house, ended, made) = (Arc::clone(&house), Arc::clone(&ended), Arc::clone(&made));
            thread::spawn(move || {
                let host = format!("{name}.test");
                let mut failed = 0;
                while !ended.load(Ordering::Relaxed) {
                    let said = house.h1(&client(&host, None), &host, "/", "");
                    failed += u64::from(said.is_none_or(|said| said.text != name));
                    made.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        })
        .collect();
    for _ in 0..5 {
        let (a, b) = (issue("a.test"), issue("b.test"));
        house.put("a", &a);
        house.put("b", &b);
        house.wait_shown("a.test", &a);
        house.wait_shown("b.test", &b);
    }
    ended.store(true, Ordering::Relaxed);
    let failed: u64 = clients.into_iter().map(|client| client.join().expect("no panic")).sum();
    assert_eq!(failed, 0, "of {}", made.load(Ordering::Relaxed));
    assert!(made.load(Ordering::Relaxed) > 50, "there was load");
}

#[test]
fn a_broken_file_keeps_the_old_certificate_and_says_so() {
    let servers = Authority::new();
    let issue = |name: &str| servers.issue(&[name]);
    let (a, b) = (issue("a.test"), issue("b.test"));
    let house = house(&a, &b);
    assert_eq!(house.metric("doorman_tls_stale_files"), 0);
    house.replace("a.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    let line = house.process.wait_for_words("what was there before stays in force");
    assert!(line.contains("a.pem: ") && line.contains("ERROR"), "{line}");
    house.wait_shown("a.test", &a);
    // The other name is not touched by it.
    let renewed = issue("b.test");
    house.put("b", &renewed);
    house.wait_shown("b.test", &renewed);
    house.wait_shown("a.test", &a);
    assert_eq!(house.metric("doorman_tls_stale_files"), 1);
    let status = Command::new(env!("CARGO_BIN_EXE_doorman"))
        .args(["status", "-c", "doorman.conf"])
        .current_dir(house.process.folder())
        .output()
        .expect("the built binary");
    let said = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(said.contains("problem ") && said.contains("a.pem: "), "{said}");
    // A reload by hand says that it cannot be, and changes nothing.
    house.process.signal(rustix::process::Signal::HUP).expect("our own child");
    let _ = house.process.wait_for_words("E0603");
    house.wait_shown("a.test", &a);
    let mended = issue("a.test");
    house.put("a", &mended);
    house.wait_shown("a.test", &mended);
    assert_eq!(house.metric("doorman_tls_stale_files"), 0);
}

/// What a new list revokes counts at once, for open connections too, without anybody's doing.
#[test]
fn a_list_is_taken_over_by_itself() {
    let house = House::start(
        "site https://must.test:@PORT { tls internal { client-auth require ca clients.pem crl crl.pem }; respond 200 }",
    );
    let bob = house.authority.client("bob", 2, 30);
    let mut raw = Raw::connect_tls(house.address, &client("must.test", Some(&bob))).expect("in");
    let status = |said: Option<crate::rig::Said>| said.map(|said| said.status);
    assert_eq!(status(house.ask(&mut raw, "must.test", "/", "")), Some(200));
    house.replace("crl.pem", &house.authority.revoking(&[2, 7]));
    let begun = Instant::now();
    while status(house.ask(&mut raw, "must.test", "/", "")) == Some(200) {
        assert!(begun.elapsed() < PATIENCE, "the list is not taken over");
    }
    assert_eq!(status(house.ask(&mut raw, "must.test", "/", "")), Some(421));
    // And one that is broken changes nothing.
    house.replace("crl.pem", "nonsense");
    let _ = house.process.wait_for_words("what was there before stays in force");
    assert_eq!(status(house.ask(&mut raw, "must.test", "/", "")), Some(421));
}
