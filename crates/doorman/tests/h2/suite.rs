//! A suite that others wrote, the cases of Autobahn run by kosoku: a WebSocket server must look the same through the
//! proxy as without it, case by case, whether it does well or not.

use std::collections::BTreeMap;

use doorman_testkit::process::{Program, free_address};
use doorman_testkit::python::Python;
use serde_json::Value;

use crate::peers;

/// All but what takes minutes on a busy machine: messages of 16 MiB, thousands of round trips, and every setting of
/// compression.
const CASES: &str = "-9.*,-12.*,-13.*";
/// A few of those: a message of 1 MiB in one frame and in many, round trips, compression of small and large messages.
const LARGER: &str = "9.1.3,9.2.3,9.3.5,9.4.5,9.5.3,9.6.3,9.7.3,9.8.3,12.1.1,12.1.5,12.2.8,13.1.1,13.3.2,13.5.3,13.7.4";

type Results = BTreeMap<String, Value>;

/// What came of each case, for each server.
fn results(python: &Python, cases: &str, urls: &[String]) -> Vec<Results> {
    let arguments: Vec<&str> =
        std::iter::once(cases).chain(urls.iter().map(String::as_str)).collect();
    let told = python.tell("websocket_suite.py", &arguments);
    told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The cases in which the servers differ.
fn differing(results: &[Results]) -> Vec<String> {
    let (direct, through) = results.split_first().expect("a server");
    let differs =
        |case: &&String| through.iter().any(|other| other.get(*case) != direct.get(*case));
    assert!(through.iter().all(|other| other.len() == direct.len()), "a case is missing");
    direct.keys().filter(differs).cloned().collect()
}

#[test]
fn the_suite_sees_no_difference() {
    /// How often a case may be run again: some ask how soon a server notices an error, which is a race.
    const AGAIN_MAX: usize = 5;
    let Some(python) = peers::python() else { return };
    let server = python.serve("websocket_server.py", ["echo"]);
    let [old, new, inner, plain] = [(); 4].map(|()| free_address());
    let text = format!(
        "doorman 1\nglobal {{ data data; workers 2; bind 127.0.0.1; admin unix:admin.sock }}\n\
         listen {plain} protocols h2c\n\
         upstream server {{ server {} }}\n\
         upstream secure {{ server https://localhost:{}; protocol h2; tls verify off }}\n\
         upstream known {{ server {plain}; protocol h2c }}\n\
         site http://*:{} {{ proxy server }}\n\
         site http://*:{} {{ route /secure {{ host upstream; proxy secure }}; route * {{ proxy known }} }}\n\
         site https://localhost:{} {{ tls internal; proxy server }}\n\
         site http://*:{} {{ proxy server }}\n",
        server.address,
        inner.port(),
        old.port(),
        new.port(),
        inner.port(),
        plain.port(),
    );
    let _process = Program::new(env!("CARGO_BIN_EXE_doorman"))
        .file("doorman.conf", text)
        .arguments(&["run", "-c", "doorman.conf"])
        .start_listening(&[old, new, inner, plain]);
    let urls = [
        format!("ws://{}/", server.address),
        // HTTP/1.1 all the way.
        format!("ws://{old}/"),
        // Into HTTP/2 and out of it again, with and without TLS.
        format!("ws://{new}/secure"),
        format!("ws://{new}/"),
    ];
    for cases in [CASES, LARGER] {
        let mut found = results(&python, cases, &urls);
        let well = found[0].values().filter(|result| result[0] == "OK").count();
        assert!(found[0].len() > 10 && well > found[0].len() / 2, "{:?}", found[0]);
        for _ in 0..AGAIN_MAX {
            let differing = differing(&found);
            if differing.is_empty() {
                break;
            }
            found = results(&python, &differing.join(","), &urls);
        }
        assert_eq!(differing(&found), [""; 0], "{found:?}");
    }
}
