//! `doorman certs`: how it stands with automatic certificates.

use std::fmt::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use doorman_control::acme::Store;
use doorman_net::tls::{Certificate, CertificateName, read_pem};

use super::reload::{fail, print};
use super::screen::{self, Screen};
use super::status::span;
use super::{exit, refuse};
use crate::admin::Client;
use crate::admin::certs::{Cert, Certs as Report, Staple};
use crate::engine::{self, Origin};

const EXAMPLES: &str = "\
Examples:
  doorman certs list
  doorman certs inspect shop.example.com
  doorman certs renew shop.example.com      order it now, whatever failed before
  doorman certs import shop.pem shop.key    take over what another client obtained
  doorman certs export shop.example.com shop-backup.pem
";

/// Show and renew automatic certificates
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Certs {
    #[command(subcommand)]
    what: What,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    admin: Option<String>,
    /// The configuration that may name the admin socket
    #[arg(short, long, default_value = "doorman.conf", global = true)]
    config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum What {
    /// Every name, how long its certificate still lives, and what went wrong
    List,
    /// All about the certificate of a name
    Inspect {
        /// The name
        name: String,
    },
    /// Order the certificate of a name now
    Renew {
        /// The name
        name: String,
    },
    /// Take over a certificate that somebody else obtained, for the sites whose names it has
    Import {
        /// The chain, leaf first (PEM)
        chain: PathBuf,
        /// The private key (PEM)
        key: PathBuf,
    },
    /// Write the chain and the key of a name into a new file that only its owner can read
    Export {
        /// The name
        name: String,
        /// The file
        file: PathBuf,
    },
}

impl Certs {
    pub fn run(self, screen: &Screen) -> ExitCode {
        match &self.what {
            What::Import { chain, key } => return self.import(chain, key, screen),
            What::Export { name, file } => return self.export(name, file, screen),
            _ => {}
        }
        let client = match Client::find(self.admin.as_deref(), &self.config) {
            Ok(client) => client,
            Err(error) => return fail(&error),
        };
        if let What::Renew { name } = &self.what {
            return renew(&client, name, self.json);
        }
        let answer = match client.call("GET", "/certs") {
            Ok(answer) => answer,
            Err(error) => return fail(&error),
        };
        let Ok(report) = serde_json::from_value::<Report>(answer.body.clone()) else {
            return screen::failed("what answers is no doorman, or an older one");
        };
        let Some(now) = answer.body["now"].as_u64() else {
            return screen::failed("what answers is no doorman, or an older one");
        };
        let is_well = !report.certificates.iter().any(|cert| cert.problem)
            && !report.ocsp.iter().any(|staple| staple.problem);
        match self.what {
            What::Inspect { name } => {
                let name = name.to_ascii_lowercase();
                let Some(cert) = report.certificates.iter().find(|cert| cert.name == name) else {
                    return screen::failed(&format!("`{name}` has no automatic certificate"));
                };
                let mut staples = report.ocsp.iter();
                let staple = staples.find(|staple| Some(&staple.serial) == cert.serial.as_ref());
                if self.json {
                    let mut shown = serde_json::json!(cert);
                    shown["ocsp"] = serde_json::json!(staple);
                    return screen::json(&shown);
                }
                screen::data(&(inspection(cert, now) + &standing(staple, now)))
            }
            _ if self.json => {
                print(&answer.body);
                ExitCode::from(if is_well { 0 } else { exit::FAILED })
            }
            _ => {
                let _ = screen::data(&list(&report, now, screen));
                ExitCode::from(if is_well { 0 } else { exit::FAILED })
            }
        }
    }
}

/// How it is said that there is nothing to do for a certificate.
const NO_NAME: &str = "no site with automatic certificates has a name of this certificate";

impl Certs {
    /// The store of the configuration, and the names that it is for.
    fn store(&self, screen: &Screen) -> Result<(Store, Vec<CertificateName>), ExitCode> {
        let read = engine::read(&Origin::File(self.config.clone()), engine::NOBODY);
        let (config, ..) = read.map_err(|refused| refuse(&refused, screen))?;
        let store = Store::new(&engine::data_folder(&config.global));
        Ok((store, doorman_proxy::automatic_names(&config)))
    }

    fn import(&self, chain: &Path, key: &Path, screen: &Screen) -> ExitCode {
        let (store, names) = match self.store(screen) {
            Ok(found) => found,
            Err(code) => return code,
        };
        let certificate = match Certificate::load(chain, key) {
            Ok(certificate) => certificate,
            Err(error) => return screen::failed(&error.to_string()),
        };
        let read =
            |path: &Path| read_pem(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let pem = match (read(chain), read(key)) {
            (Ok(chain), Ok(_)) if chain.contains("PRIVATE KEY") => chain,
            (Ok(chain), Ok(key)) => format!("{}\n{key}", chain.trim_end()),
            (Err(error), _) | (_, Err(error)) => return screen::failed(&error.to_string()),
        };
        let own = &certificate.facts().names;
        let covered = |name: &&CertificateName| own.iter().any(|own| own.covers(name));
        let names: Vec<_> = names.iter().filter(covered).collect();
        if names.is_empty() {
            return screen::failed(NO_NAME);
        }
        let now = doorman_net::Clock::system().now().unix_seconds();
        for name in names {
            if let Err(why) = store.import(name, &pem, now) {
                return screen::failed(&why);
            }
            // Where nothing runs, the next start finds it.
            let told = Client::find(self.admin.as_deref(), &self.config)
                .and_then(|client| client.call("POST", &format!("/certs/read?name={name}")));
            match told {
                Ok(answer) if answer.code == 202 => println!("{name}: served from now on"),
                _ => println!("{name}: kept; it is served from the next start on"),
            }
        }
        ExitCode::SUCCESS
    }

    fn export(&self, name: &str, file: &Path, screen: &Screen) -> ExitCode {
        let (store, _) = match self.store(screen) {
            Ok(found) => found,
            Err(code) => return code,
        };
        let Ok(name) = CertificateName::parse(name) else {
            return screen::usage(&format!("`{name}` is no host name"));
        };
        let pem = match store.export(&name) {
            Ok(pem) => pem,
            Err(why) => return screen::failed(&why),
        };
        let mut options = std::fs::OpenOptions::new();
        let written = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut out| std::io::Write::write_all(&mut out, pem.as_bytes()));
        match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => screen::failed(&format!("{}: {error}", file.display())),
        }
    }
}

fn renew(client: &Client, name: &str, json: bool) -> ExitCode {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':');
    if name.is_empty() || !name.chars().all(plain) {
        return screen::usage(&format!("`{name}` is no host name"));
    }
    let path = format!("/certs/renew?name={}", name.to_ascii_lowercase());
    let answer = match client.call("POST", &path) {
        Ok(answer) => answer,
        Err(error) => return fail(&error),
    };
    if json {
        print(&answer.body);
    }
    if answer.code == 202 {
        if !json {
            println!(
                "ordering a certificate for {name}; `doorman certs inspect {name}` tells how it goes"
            );
        }
        return ExitCode::SUCCESS;
    }
    screen::failed(answer.body["error"].as_str().unwrap_or("no reason was given"))
}

/// A table, and the last words about each name that fails.
fn list(report: &Report, now: u64, screen: &Screen) -> String {
    let mut text = String::new();
    if report.ordered_elsewhere {
        let _ = writeln!(text, "another process orders these certificates; this one serves them\n");
    }
    if report.certificates.is_empty() {
        return text + "no site has automatic certificates\n" + &staples(report, now, screen);
    }
    let width = report.certificates.iter().map(|cert| cert.name.len()).max().unwrap_or(0).max(4);
    let head =
        format!("{:<width$}  {:<15}  {:<14}  {:<14}  ISSUER", "NAME", "STATE", "ENDS IN", "NEXT");
    let _ = writeln!(text, "{}", screen.strong(&head));
    for cert in &report.certificates {
        let row = format!(
            "{:<width$}  {:<15}  {:<14}  {:<14}  {}",
            cert.name,
            cert.state,
            until(cert.not_after, now),
            until(cert.next_attempt, now),
            cert.issuer.as_deref().map_or("-", host),
        );
        let row = if cert.problem { screen.strong(&row) } else { row };
        let _ = writeln!(text, "{row}");
        if let Some(error) = &cert.last_error {
            let ago = span(now.saturating_sub(error.at));
            let _ = writeln!(text, "  {ago} ago, {}: {}", host(&error.issuer), error.message);
        }
    }
    text + &staples(report, now, screen)
}

/// What authorities say about certificates over OCSP, those from files included.
fn staples(report: &Report, now: u64, screen: &Screen) -> String {
    let mut text = String::new();
    if report.ocsp.is_empty() {
        return text;
    }
    let name = |staple: &Staple| staple.names.first().unwrap_or(&staple.serial).clone();
    let width = report.ocsp.iter().map(|staple| name(staple).len()).max().unwrap_or(0).max(4);
    let head =
        format!("{:<width$}  {:<15}  {:<14}  {:<14}  RESPONDER", "NAME", "OCSP", "ENDS IN", "NEXT");
    let _ = writeln!(text, "\n{}", screen.strong(&head));
    for staple in &report.ocsp {
        let row = format!(
            "{:<width$}  {:<15}  {:<14}  {:<14}  {}",
            name(staple),
            staple.state,
            until(staple.next_update, now),
            until(Some(staple.next_attempt), now),
            host(&staple.responder),
        );
        let row = if staple.problem { screen.strong(&row) } else { row };
        let _ = writeln!(text, "{row}");
        if let Some(error) = &staple.last_error {
            let _ = writeln!(text, "  {error}");
        }
    }
    text
}

/// What the authority says about one certificate.
fn standing(staple: Option<&Staple>, now: u64) -> String {
    let mut text = String::new();
    let Some(staple) = staple else { return text };
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}  {value}");
    };
    line("ocsp", &staple.state);
    if let (Some(at), Some(reason)) = (staple.revoked_at, &staple.revocation_reason) {
        line("revoked", &format!("{} ago, {reason}", span(now.saturating_sub(at))));
    }
    if let (Some(since), Some(end)) = (staple.this_update, staple.next_update) {
        let age = span(now.saturating_sub(since));
        line("answer", &format!("{age} old, ends in {}", until(Some(end), now)));
    }
    line("responder", &staple.responder);
    line("asked", &until(Some(staple.next_attempt), now));
    if let Some(error) = &staple.last_error {
        line("ocsp error", error);
    }
    text
}

fn inspection(cert: &Cert, now: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}  {value}");
    };
    line("name", &cert.name);
    line("state", &cert.state);
    for (name, value) in [("issuer", &cert.issuer), ("key", &cert.key), ("serial", &cert.serial)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    if let Some(end) = cert.not_after {
        line("ends in", &until(Some(end), now));
    }
    line("next", &until(cert.next_attempt, now));
    if cert.failures > 0 {
        line("failures", &cert.failures.to_string());
    }
    if let Some(error) = &cert.last_error {
        line(
            "last error",
            &format!("{} ago, {}", span(now.saturating_sub(error.at)), error.issuer),
        );
        line("", &error.message);
    }
    text
}

fn until(at: Option<u64>, now: u64) -> String {
    match at {
        None => "-".to_owned(),
        Some(at) if at > now => span(at - now),
        Some(_) => "now".to_owned(),
    }
}

/// The host of a directory's URL: a table has no place for more.
fn host(directory: &str) -> &str {
    let rest = directory.split_once("://").map_or(directory, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::super::screen::When;
    use super::*;

    #[test]
    fn what_responders_say() {
        let staple = |name: &str, state: &str, more: serde_json::Value| {
            let mut staple = serde_json::json!({
                "names": [name], "serial": "0a:1b", "responder": "http://o.test/x", "state": state,
                "problem": state == "revoked", "this_update": null, "next_update": null,
                "next_attempt": 70, "failures": 0, "last_error": null, "revoked_at": null,
                "revocation_reason": null, "must_staple": false,
            });
            for (field, value) in more.as_object().unwrap() {
                staple[field] = value.clone();
            }
            staple
        };
        let good = serde_json::json!({ "this_update": 0, "next_update": 3610 });
        let revoked = serde_json::json!({ "revoked_at": 5, "revocation_reason": "superseded" });
        let missing = serde_json::json!({ "last_error": "it cannot be asked: no such host" });
        let report: Report = serde_json::from_value(serde_json::json!({
            "certificates": [], "issuers": [], "ordered_elsewhere": false,
            "ocsp": [
                staple("a.test", "good", good),
                staple("b.test", "revoked", revoked),
                staple("long.c.test", "missing", missing),
            ],
        }))
        .unwrap();
        let expect = "\
no site has automatic certificates

NAME         OCSP             ENDS IN         NEXT            RESPONDER
a.test       good             1 h 0 min       1 min 0 s       o.test
b.test       revoked          -               1 min 0 s       o.test
long.c.test  missing          -               1 min 0 s       o.test
  it cannot be asked: no such host
";
        assert_eq!(list(&report, 10, &Screen::new(When::Never)), expect);
        let expect = "\
ocsp        good
answer      10 s old, ends in 1 h 0 min
responder   http://o.test/x
asked       1 min 0 s
";
        assert_eq!(standing(report.ocsp.first(), 10), expect);
        let shown = standing(report.ocsp.get(1), 10);
        assert!(shown.contains("revoked     5 s ago, superseded\n"), "{shown}");
        assert_eq!(standing(None, 10), "");
    }

    #[test]
    fn a_table_and_an_inspection() {
        let report: Report = serde_json::from_value(serde_json::json!({
            "certificates": [
                { "name": "a.test", "state": "valid", "problem": false, "issuer": "https://ca.test/dir",
                  "key": "ECDSA", "serial": "0a:1b", "not_before": 0, "not_after": 864_000,
                  "next_attempt": 90_000, "failures": 0, "last_error": null },
                { "name": "long.b.test", "state": "failing", "problem": true, "issuer": null,
                  "key": null, "serial": null, "not_before": null, "not_after": null,
                  "next_attempt": 5, "failures": 2,
                  "last_error": { "at": 0, "issuer": "https://ca.test/dir", "message": "no such host" } },
            ],
            "issuers": [], "ordered_elsewhere": false,
        }))
        .unwrap();
        let screen = Screen::new(When::Never);
        let expect = "\
NAME         STATE            ENDS IN         NEXT            ISSUER
a.test       valid            9 d 23 h        1 d 0 h         ca.test
long.b.test  failing          -               now             -
  10 s ago, ca.test: no such host
";
        assert_eq!(list(&report, 10, &screen), expect);
        let expect = "\
name        long.b.test
state       failing
next        now
failures    2
last error  10 s ago, https://ca.test/dir
            no such host
";
        assert_eq!(inspection(&report.certificates[1], 10), expect);
        assert!(list(&Report::default(), 10, &screen).contains("no site"));
    }
}
