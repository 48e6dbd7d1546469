//! A browser, headless, that finds the host `browser.test` on this machine and believes one certificate.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::process::folder;

/// The name that it resolves, and nobody else. It refuses QUIC to `localhost`.
pub const HOST: &str = "browser.test";

/// A browser that may be told to open a page.
pub struct Chromium {
    command: Command,
    profile: TempDir,
}

impl Chromium {
    /// One that believes this certificate, whoever has signed it.
    #[must_use]
    pub fn believing(certificate_pem: &str) -> Self {
        let profile = folder();
        let mut command = Command::new("chromium");
        command
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"))
            .arg(format!("--ignore-certificate-errors-spki-list={}", key_digest(certificate_pem)));
        Self { command, profile }
    }

    /// With one more argument.
    #[must_use]
    pub fn with(mut self, argument: impl AsRef<str>) -> Self {
        self.command.arg(argument.as_ref());
        self
    }

    /// Opens a page and gives its document once all is loaded, and what the browser said.
    ///
    /// # Panics
    /// It is not installed.
    #[must_use]
    pub fn document(mut self, url: &str) -> (String, String) {
        let arguments = ["--virtual-time-budget=20000", "--timeout=30000", "--dump-dom", url];
        let output = self.command.args(arguments).output().expect("chromium is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr))
    }

    /// Opens a page in a window of this width and height and gives the file in which it is drawn once all is
    /// loaded, as PNG, and what the browser said. The same page is drawn with the same pixels each time.
    ///
    /// # Panics
    /// It is not installed.
    #[must_use]
    pub fn picture(mut self, url: &str, (width, height): (u32, u32)) -> (Picture, String) {
        let file = self.profile.path().join("picture.png");
        self.command
            .args(["--virtual-time-budget=20000", "--timeout=30000"])
            .args([
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
                "--force-color-profile=srgb",
            ])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--screenshot={}", file.display()))
            .arg(url);
        let output = self.command.output().expect("chromium is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (Picture { file, _profile: self.profile }, said)
    }

    /// Opens a page and stays with it for as long as this lives.
    ///
    /// # Panics
    /// It is not installed.
    #[must_use]
    pub fn open(mut self, url: &str) -> Page {
        self.command.args(["--remote-debugging-port=0", url]);
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.command.spawn().expect("chromium is installed");
        Page { child, _profile: self.profile }
    }
}

/// A page that was drawn; its file goes when this is dropped.
pub struct Picture {
    file: PathBuf,
    _profile: TempDir,
}

impl Picture {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// A page that is open.
pub struct Page {
    child: Child,
    _profile: TempDir,
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The digest of a certificate's public key, as the browser wants it.
fn key_digest(certificate_pem: &str) -> String {
    let script = "openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | \
                  openssl dgst -sha256 -binary | openssl base64 -A";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = shell.stdin.take().expect("it was asked for");
    input.write_all(certificate_pem.as_bytes()).expect("the shell reads");
    drop(input);
    let output = shell.wait_with_output().expect("the shell ends");
    String::from_utf8(output.stdout).expect("base64")
}
