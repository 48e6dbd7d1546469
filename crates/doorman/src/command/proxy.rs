//! `doorman proxy`: a proxy without a file. It writes the file that it stands for and runs that.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use doorman_config::{HostPattern, MemorySource, Scheme, SiteAddress, TlsSource};

use super::run::{self, Serving};
use super::screen::{self, Screen};
use crate::engine::{Engine, Origin};

const EXAMPLES: &str = "\
Examples:
  doorman proxy 3000                              https://localhost:8443 to port 3000
  doorman proxy 3000 3001                         two servers in turn
  doorman proxy 3000 3001 --health /healthz       the same, of those that answer well to it
  doorman proxy 3000 --site app.example.com       a public certificate, and a redirect to HTTPS
  doorman proxy 10.0.0.5:80 --site :8000          plain HTTP on port 8000
  doorman proxy 3000 --cache                      keep in memory what the server says may be kept
  doorman proxy 3000 --compress                   answers coded with zstd, brotli or gzip
  doorman proxy 3000 --waf                        attacks refused, by the rules that are built in
  doorman proxy 3000 --site app.internal --print  the file that this stands for

The certificate for a public name is ordered from Let's Encrypt, to whose terms you thereby agree:
the name must lead here, port 80 or 443. localhost, *.localhost, *.internal, IP addresses and
wildcards have one that is signed by this machine's own authority.
";

/// Servers on one command line; more belong into a file.
const TARGETS_MAX: usize = 256;

/// Put a proxy in front of servers, without a file
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Proxy {
    /// Servers: a port of this machine, HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// The site: a host name for HTTPS, or :PORT or http://HOST:PORT for plain HTTP
    #[arg(long, value_name = "HOST|:PORT", default_value = LOCALHOST)]
    site: String,
    /// Path that each server is asked for; one that does not answer well takes no requests
    #[arg(long, value_name = "PATH")]
    health: Option<String>,
    /// Keep responses in memory, as long as their Cache-Control says
    #[arg(long)]
    cache: bool,
    /// Code answers with zstd, brotli or gzip, as their clients like
    #[arg(long)]
    compress: bool,
    /// Refuse attacks, by the rules that are built in; `doorman waf events` tells of them
    #[arg(long)]
    waf: bool,
    /// Port of plain HTTP, which sends clients over to HTTPS; 8080 for localhost, else 80
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Port of HTTPS; 8443 for localhost, else 443
    #[arg(long, value_name = "PORT")]
    tls_port: Option<u16>,
    /// Print the file that this stands for, and do not run
    #[arg(long)]
    print: bool,
}

/// What diagnostics call the text that was made here.
const NAME: &str = "(command line)";

const PORT_HELP: &str =
    "choose other ports with --port and --tls-port, or with --site :PORT for plain HTTP";

const LOCALHOST: &str = "localhost";

/// What the file says above `tls internal` for a name that is not this machine's own.
const LOCAL_NOTE: &str = "\
    # The certificate is signed by this machine's own authority, which no browser trusts.
    # For others write `tls cert FILE key FILE` with files that an authority of theirs signed.
";

/// What the file says above `tls auto`.
const PUBLIC_NOTE: &str = "\
    # The certificate is ordered from Let's Encrypt, to whose terms you thereby agree.
    # The name must lead to this machine, port 80 or 443.
";

impl Proxy {
    pub fn run(self, screen: &Screen) -> ExitCode {
        let text = match self.text() {
            Ok(text) => text,
            Err(why) => return screen::usage(&why),
        };
        if self.print {
            return screen::data(&text);
        }
        crate::log::error::start();
        let origin = Origin::Text(NAME.to_owned(), text);
        let targets = self.targets.join(", ");
        let serving =
            Serving::new(origin).on_taken(PORT_HELP).greet(move |engine| greet(engine, &targets));
        run::serve(serving, screen)
    }

    /// The configuration that the command line stands for.
    fn text(&self) -> Result<String, String> {
        if self.targets.len() > TARGETS_MAX {
            return Err(format!("more than {TARGETS_MAX} targets; write a file"));
        }
        for word in self.targets.iter().chain([&self.site]) {
            plain(word)?;
        }
        if let Some(path) = &self.health {
            check_path(path)?;
        }
        let is_local = self.site == LOCALHOST;
        let is_plain = self.site.starts_with(':') || self.site.starts_with("http://");
        let mut text = String::from("doorman 1\n\nglobal {\n");
        if !is_plain {
            let http = self.port.unwrap_or(if is_local { 8080 } else { 80 });
            let https = self.tls_port.unwrap_or(if is_local { 8443 } else { 443 });
            push(&mut text, format_args!("    http-port  {http}\n    https-port {https}\n"));
        } else if self.port.is_some() || self.tls_port.is_some() {
            return Err("a plain site has its port in --site".to_owned());
        }
        if is_local {
            push(&mut text, format_args!("    bind       127.0.0.1\n"));
        }
        push(&mut text, format_args!("    log        access pretty stdout\n}}\n\n"));
        let target = match (self.targets.as_slice(), &self.health) {
            ([only], None) => only.as_str(),
            (several, health) => {
                text.push_str("upstream app {\n");
                for server in several {
                    push(&mut text, format_args!("    server {server}\n"));
                }
                if let Some(path) = health {
                    push(&mut text, format_args!("    health GET {path}\n"));
                }
                text.push_str("}\n\n");
                "app"
            }
        };
        if self.cache {
            // As large as it is without a word, so that whoever prints the file sees what to change.
            text.push_str("store app { memory 256MiB }\n\n");
        }
        push(&mut text, format_args!("site {} {{\n", self.site));
        if !is_plain {
            // Whoever opens a site to others must know what its certificate is worth to them.
            text.push_str(match (is_public(&self.site), is_local) {
                (true, _) => PUBLIC_NOTE,
                (false, true) => "",
                (false, false) => LOCAL_NOTE,
            });
            text.push_str(if is_public(&self.site) {
                "    tls auto\n"
            } else {
                "    tls internal\n"
            });
        }
        if self.cache {
            text.push_str("    cache app\n");
        }
        if self.compress {
            text.push_str("    compress zstd br gzip\n");
        }
        if self.waf {
            text.push_str(
                "    # What it refuses: doorman waf events. Only to look: mode detect.\n",
            );
            text.push_str("    waf starter level 1 mode block\n");
        }
        push(&mut text, format_args!("    proxy {target}\n}}\n"));
        doorman_config::format(NAME, &text)
            .map_err(|_| "the command line makes no configuration".to_owned())
    }
}

/// Whether a public authority certifies the name of a site to whoever can prove it by answering.
fn is_public(site: &str) -> bool {
    let source =
        MemorySource::new().file(NAME, format!("doorman 1\nsite {site} {{ respond 204 }}\n"));
    let loaded = doorman_config::load(&source, NAME);
    let sites = loaded.config.map(|config| config.sites).unwrap_or_default();
    // A text that is no site is refused where it is run.
    sites.iter().flat_map(|site| &site.addresses).all(|it| can_be_proved(&it.value.host))
        && !sites.is_empty()
}

/// Wildcards are proved by records in DNS, which want a program of their own.
fn can_be_proved(host: &HostPattern) -> bool {
    matches!(host, HostPattern::Name(_)) && !host.is_internal()
}

/// What stands in the text must be one plain word there: neither a second value nor a second line.
fn plain(word: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b".:/[]-_*@+~%".contains(&b);
    if !word.is_empty() && word.bytes().all(good) {
        return Ok(());
    }
    Err(format!("{word:?} is neither an address nor a host"))
}

/// The same for the path of checks.
fn check_path(path: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~?=&%+,:@".contains(&b);
    if path.starts_with('/') && path.bytes().all(good) {
        return Ok(());
    }
    Err(format!("{path:?} is not a path such as /healthz"))
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(arguments);
}

/// Three lines: what works now, where it leads, what to type next; and what its certificate is worth
/// to others.
fn greet(engine: &Engine, targets: &str) {
    let plan = engine.plan();
    let urls: Vec<String> = plan
        .config
        .sites
        .iter()
        .flat_map(|site| &site.addresses)
        .map(|address| url(&address.value))
        .collect();
    eprintln!("ready     {}", urls.join("  "));
    eprintln!("forwards  to {targets}");
    let Some(first) = urls.first() else { return };
    let root = engine.ground().data.join(run::LOCAL_ROOT);
    let is_local = |address: &SiteAddress| {
        address.scheme == Scheme::Http || address.host.to_string() == LOCALHOST
    };
    let sites = &plan.config.sites;
    let mut sources =
        sites.iter().filter_map(|site| site.tls.as_ref()).map(|tls| &tls.source.value);
    let is_ordered = sources.any(|source| *source == TlsSource::Auto);
    if is_ordered {
        eprintln!(
            "note      the certificate is ordered from Let's Encrypt, to whose terms you thereby agree; until it"
        );
        eprintln!(
            "          has come handshakes fail, and the log says why. The name must lead here, port 80 or 443"
        );
    } else if !sites.iter().flat_map(|site| &site.addresses).all(|it| is_local(&it.value)) {
        eprintln!(
            "note      the certificate is signed by this machine's own authority, which no browser trusts:"
        );
        eprintln!(
            "          for others put `tls cert FILE key FILE` into a file; --print writes one"
        );
    }
    if first.starts_with("https") && root.exists() && !is_ordered {
        eprintln!("try       curl --cacert {} {first}", root.display());
    } else {
        eprintln!("try       curl {first}");
    }
}

/// The URL of a site's address, as a client would type it.
fn url(address: &SiteAddress) -> String {
    let (scheme, default) = match address.scheme {
        Scheme::Http => ("http", 80),
        Scheme::Https => ("https", 443),
    };
    let host = match &address.host {
        HostPattern::Any => "localhost".to_owned(),
        other => other.to_string(),
    };
    let port = if address.port == default { String::new() } else { format!(":{}", address.port) };
    format!("{scheme}://{host}{port}/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_names_get_public_certificates() {
        for public in
            ["app.example.com", "https://app.example.com", "app.example.com:8443", "a.test"]
        {
            assert!(is_public(public), "{public}");
        }
        let private = [
            "localhost",
            "a.localhost",
            "app.internal",
            "192.0.2.1",
            "[::1]",
            "*.example.com",
            "*",
            "{",
        ];
        for private in private {
            assert!(!is_public(private), "{private}");
        }
    }

    #[test]
    fn words_that_could_be_more_than_one_are_refused() {
        for good in [
            "3000",
            "10.0.0.1:80",
            "https://a.example:8443",
            "[::1]:80",
            "unix:/run/app.sock",
            "*.internal",
            ":8080",
        ] {
            assert!(plain(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\nb", "a;b", "a{b", "a\"b", "${env:HOME}", "a#b", "a\\"] {
            assert!(plain(bad).is_err(), "{bad}");
        }
        assert!(check_path("/healthz?full=1").is_ok());
        for bad in ["", "healthz", "/a b", "/a;b", "/a{b", "/${env:HOME}", "/a\"b", "/a#b"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
