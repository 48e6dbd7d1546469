//! The program itself in front of Pebble, to put words into its mouth.

use std::path::{Path, PathBuf};
use std::process::Command;

use doorman_testkit::process::{Process, Program, free_address};

use super::rig::Pebble;

/// A proxy between the house and the authority.
pub(crate) struct Front {
    process: Process,
    port: u16,
    upstream: String,
}

impl Front {
    /// With these routes ahead of the one that passes everything on.
    pub(crate) fn start(pebble: &Pebble, routes: impl Fn(u16) -> String) -> Self {
        let port = free_address().port();
        let upstream = format!(
            "upstream ca {{ server https://{}; tls ca {} name localhost }}\n",
            pebble.address(),
            pebble.ca().display()
        );
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text(port, &upstream, &routes(port)))
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        Self { process, port, upstream }
    }

    /// Other routes from now on.
    pub(crate) fn change(&self, routes: &str) {
        let path = self.process.folder().join("doorman.conf");
        std::fs::write(path, text(self.port, &self.upstream, routes)).expect("our own folder");
        let done = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["reload", "--admin"])
            .arg(format!("unix:{}", self.process.folder().join("admin.sock").display()))
            .output()
            .expect("the program can be started");
        assert!(done.status.success(), "{done:?}");
    }

    /// The URL of the directory behind it.
    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// Whom it is trusted by.
    fn ca(&self) -> PathBuf {
        Path::new(self.process.folder()).join("data/ca/ca/root.pem")
    }

    /// The line of the configuration that names it.
    pub(crate) fn line(&self) -> String {
        format!("acme {} {{ ca {} }}", self.directory(), self.ca().display())
    }
}

fn text(port: u16, upstream: &str, routes: &str) -> String {
    // Pebble makes its URLs from the host that it is asked for, so they lead through here.
    format!(
        "doorman 1\nglobal {{ data data; bind 127.0.0.1; workers 1; admin unix:admin.sock }}\n\
         {upstream}site https://localhost:{port} {{\n  tls internal\n{routes}\n  \
         route * {{ proxy ca }}\n}}\n"
    )
}
