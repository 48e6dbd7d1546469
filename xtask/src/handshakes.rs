//! Load generator for new TLS connections: connect, shake hands, in full or by an earlier session, one GET, close,
//! again. Threads with blocking sockets keep it plain; at a few thousand handshakes a second their switches are
//! small beside the arithmetic of a handshake.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure::Failure,
    wire::{self, Beginning, Dialer, Shake},
};

/// Bytes of the one response on each connection.
pub(crate) const BODY_BYTES: u64 = 1024;
/// Pause after a failure, so that a dead server is not hammered.
const BREATH: Duration = Duration::from_millis(10);

#[derive(Default)]
struct Tally {
    latencies_us: Vec<u64>,
    errors: u64,
}

/// Prints one line that `bench::load` reads.
pub(crate) fn run(
    port: u16,
    seconds: u64,
    connections: usize,
    shake: Shake,
) -> Result<(), Failure> {
    // Each thread has sessions of its own, as each browser has.
    let dialers =
        (0..connections).map(|_| Dialer::of(port, shake)).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let threads: Vec<_> = dialers
        .into_iter()
        .map(|dialer| thread::spawn(move || load(&dialer, shake.beginning, end)))
        .collect();
    let mut all = Tally::default();
    for thread in threads {
        let tally = thread.join().map_err(|_| Failure::new("a client thread died"))?;
        all.latencies_us.extend(tally.latencies_us);
        all.errors += tally.errors;
    }
    let elapsed = start.elapsed();
    all.latencies_us.sort_unstable();
    println!(
        "requests={} seconds={:.3} p50_us={} p99_us={} errors={}",
        all.latencies_us.len(),
        elapsed.as_secs_f64(),
        percentile(&all.latencies_us, 50),
        percentile(&all.latencies_us, 99),
        all.errors
    );
    Ok(())
}

fn load(dialer: &Dialer, beginning: Beginning, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let request = wire::get(&format!("/b/{BODY_BYTES}"));
    // The session to go by. It is in the log like the others; where it fails, so does what follows.
    if beginning == Beginning::Resumed {
        let _ = once(&dialer.first(), &request);
    }
    loop {
        let start = Instant::now();
        if start >= end {
            return tally;
        }
        match once(dialer, &request) {
            Ok(answer) if answer.status == 200 && answer.body_bytes == BODY_BYTES => {
                let elapsed = start.elapsed().as_micros();
                tally.latencies_us.push(u64::try_from(elapsed).unwrap_or(u64::MAX));
            }
            _ => {
                tally.errors += 1;
                thread::sleep(BREATH);
            }
        }
    }
}

/// One connection from its beginning to its end. Tickets of TLS 1.3 come ahead of the answer.
fn once(dialer: &Dialer, request: &[u8]) -> Result<wire::Answer, Failure> {
    let mut stream = dialer.tls()?;
    let answer = wire::ask(&mut stream, request)?;
    stream.conn.send_close_notify();
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(answer)
}

/// The value that `percent` of the sorted values do not exceed; 0 for none.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_short_and_long_rows() {
        let hundred: Vec<u64> = (0..100).collect();
        for (sorted, percent, wanted) in [
            (&[][..], 50, 0),
            (&[7], 99, 7),
            (&[1, 2], 50, 2),
            (&hundred, 50, 50),
            (&hundred, 99, 99),
        ] {
            assert_eq!(percentile(sorted, percent), wanted, "{percent} of {}", sorted.len());
        }
    }
}
