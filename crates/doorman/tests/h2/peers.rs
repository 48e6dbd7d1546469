//! Programs that others wrote, as peers of the proxy: Python's gRPC and WebSocket.

use doorman_testkit::python::Python;

pub(crate) use doorman_testkit::python::Server;

/// `None` where the packages cannot be had.
pub(crate) fn python() -> Option<Python> {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers");
    Python::find(env!("CARGO_TARGET_TMPDIR"), scripts)
}

/// Whether a client came to a good end, and what it said; only where the packages can be had.
pub(crate) fn run(script: &str, arguments: &[&str]) -> (bool, String) {
    let output = python().expect("its server has it").run(script, arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
