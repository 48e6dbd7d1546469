//! What the generators print, word for word, and what is read out of it.

use super::*;

const WRK: &str = "Running 1s test @ https://localhost:18443/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   445.91us  497.70us   6.07ms   92.73%
    Req/Sec    18.27k     5.67k   26.52k    70.00%
  Latency Distribution
     50%  305.00us
     75%  486.00us
     90%  772.00us
     99%    2.85ms
  18201 requests in 1.00s, 2.64MB read
Requests/sec:  18191.94
Transfer/sec:      2.64MB
";

const H2LOAD: &str = "Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.00s, 10000.00 req/s, 694.00KB/s
requests: 10174 total, 10310 started, 10174 done, 10000 succeeded, 174 failed, 174 errored, 2 timeout
status codes: 10000 2xx, 0 3xx, 0 4xx, 0 5xx
time for request:      234us     26.64ms      8.03ms      4.95ms    71.61%
";

#[test]
fn reads_wrk() {
    let plain =
        Seen { requests: 18201, per_second: 18191.94, p50_us: 305.0, p99_us: 2850.0, errors: 0 };
    let check = |text: &str, wanted: Option<Seen>| assert_eq!(read_wrk(text), wanted, "{text}");
    check(WRK, Some(plain));
    let trouble = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n";
    check(&format!("{WRK}{trouble}"), Some(Seen { errors: 4321, ..plain }));
    let refused = "  Non-2xx or 3xx responses: 17\n";
    check(&format!("{WRK}{refused}{trouble}"), Some(Seen { errors: 4338, ..plain }));
    check(&WRK.replace("2.85ms", "1.50s"), Some(Seen { p99_us: 1.5e6, ..plain }));
    check(&WRK.replace("2.85ms", "fast"), None);
    check(&WRK.replace("18201 requests", "requests"), None);
    check("", None);
}

#[test]
fn reads_h2load_and_its_log() {
    let log = "1795421831036180\t200\t900\n1795421831036181\t200\t100\n1\t200\t300\n";
    let wanted =
        Seen { requests: 10000, per_second: 10000.0, p50_us: 300.0, p99_us: 900.0, errors: 176 };
    let check = |text: &str, log: &str, wanted: Option<Seen>| {
        assert_eq!(read_h2load(text, log), wanted, "{text}{log}");
    };
    check(H2LOAD, log, Some(wanted));
    check(H2LOAD, "", Some(Seen { p50_us: 0.0, p99_us: 0.0, ..wanted }));
    check(H2LOAD, "1 200 3\n", None);
    check(&H2LOAD.replace("10000 succeeded, ", ""), log, None);
    check(&H2LOAD.replace("finished", "stopped"), log, None);
    check("", log, None);
}

#[test]
fn reads_the_own_generator() {
    let check = |text: &str, wanted: Option<Seen>| assert_eq!(read_handshakes(text), wanted);
    check(
        "requests=300 seconds=1.500 p50_us=40 p99_us=90 errors=2\n",
        Some(Seen { requests: 300, per_second: 200.0, p50_us: 40.0, p99_us: 90.0, errors: 2 }),
    );
    check("requests=300 seconds=1.500 p50_us=40 p99_us=90\n", None);
    check("", None);
}

#[test]
fn reads_durations() {
    for (text, wanted) in [
        ("788.00us", Some(788.0)),
        ("1.50ms", Some(1500.0)),
        ("2.00s", Some(2e6)),
        ("1.00m", Some(6e7)),
        ("0.00us", Some(0.0)),
        ("12", None),
        ("ms", None),
        ("1.0 ms", None),
    ] {
        assert_eq!(microseconds(text), wanted, "{text}");
    }
}
