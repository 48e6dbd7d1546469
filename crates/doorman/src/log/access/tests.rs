use std::io::Read;
use std::path::Path;

use super::*;

fn target(path: &Path) -> Target {
    Target(Some((AccessFormat::Json, LogTarget::File(path.to_owned()))))
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("doorman-access-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn line(journal: &CoreJournal, text: &str) {
    journal.push(|_, out| out.extend_from_slice(format!("{text}\n").as_bytes()));
}

/// A named pipe that nobody reads blocks the writer; the ring fills, and the rest is counted.
#[test]
fn a_blocked_writer_drops_and_counts() {
    let folder = folder("blocked");
    let path = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // Open for both, so that neither end waits for the other; the pipe holds 64 KiB.
    let mut reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let log = AccessLog::start(target(&path), "access log").unwrap();
    let journal = CoreJournal::new(&log, &log);
    let batch = "x".repeat(BATCH);
    let sent = 400;
    for _ in 0..sent {
        line(&journal, &batch);
    }
    // One batch lies in the pipe, one or two are with the writer, the ring holds its fill.
    let dropped = log.dropped();
    assert!(dropped >= sent - RING as u64 - 3, "{dropped}");
    assert!(dropped < sent - RING as u64 + 1, "{dropped}");
    // The writer has begun: what it writes is in the pipe and not in the file to come.
    let mut first = [0];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(first, *b"x");
    // Neither a rotation nor a retarget waits for the writer.
    log.retarget(target(&folder.join("other.log"))).unwrap();
    log.reopen();
    let mut some = vec![0; 4 * BUFFER];
    let n = reader.read(&mut some).unwrap();
    assert!(some[..n].iter().all(|&byte| byte == b'x' || byte == b'\n'));
    let drain = std::thread::spawn(move || {
        let mut reader = reader;
        while reader.read(&mut some).is_ok_and(|n| n > 0) {}
    });
    log.finish();
    let written = std::fs::read(folder.join("other.log")).unwrap();
    let lines = written.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert!(lines + log.dropped() <= sent && lines + 4 + log.dropped() >= sent, "{lines}");
    drop(drain);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted() {
    let log = AccessLog::start(target(Path::new("/dev/full")), "access log").unwrap();
    let journal = CoreJournal::new(&log, &log);
    for _ in 0..3 {
        line(&journal, "lost");
    }
    journal.flush();
    log.finish();
    assert_eq!(log.dropped(), 3);
}

#[test]
fn rotation_and_the_end_lose_nothing() {
    let folder = folder("rotation");
    let path = folder.join("access.log");
    let log = AccessLog::start(target(&path), "access log").unwrap();
    let journal = CoreJournal::new(&log, &log);
    line(&journal, "before");
    journal.flush();
    std::fs::rename(&path, folder.join("old.log")).unwrap();
    log.reopen();
    line(&journal, "after");
    journal.flush();
    log.finish();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    // Which file takes what was on its way is not told; nothing is lost and the order is kept.
    assert_eq!(read("old.log") + &read("access.log"), "before\nafter\n");
    assert!(read("access.log").ends_with("after\n"));
    assert_eq!(log.dropped(), 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn nothing_is_kept_while_the_log_is_off() {
    let log = AccessLog::start(Target(None), "access log").unwrap();
    let journal = CoreJournal::new(&log, &log);
    line(&journal, "unwanted");
    assert!(!journal.is_dirty());
    log.finish();
}
