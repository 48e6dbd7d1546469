//! `doorman proxy`: a proxy without a file. It writes the file that it stands for and runs that.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use doorman_config::{HostPattern, Scheme, SiteAddress};

use super::run::{self, Serving};
use super::screen::{self, Screen};
use crate::engine::{Engine, Origin};

const EXAMPLES: &str = "\
Examples:
  doorman proxy 3000                              https://localhost:8443 to port 3000
  doorman proxy 3000 3001                         two servers in turn
  doorman proxy 10.0.0.5:80 --site :8000          plain HTTP on port 8000
  doorman proxy 3000 --site app.internal --print  the file that this stands for
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
        let target = match self.targets.as_slice() {
            [only] => only.as_str(),
            several => {
                text.push_str("upstream app {\n");
                for server in several {
                    push(&mut text, format_args!("    server {server}\n"));
                }
                text.push_str("}\n\n");
                "app"
            }
        };
        push(&mut text, format_args!("site {} {{\n", self.site));
        if !is_plain {
            // Automatic public certificates come with a later version; until then the local
            // authority signs for every name.
            text.push_str("    tls internal\n");
        }
        push(&mut text, format_args!("    proxy {target}\n}}\n"));
        doorman_config::format(NAME, &text)
            .map_err(|_| "the command line makes no configuration".to_owned())
    }
}

/// What stands in the text must be one plain word there: neither a second value nor a second line.
fn plain(word: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b".:/[]-_*@+~%".contains(&b);
    if !word.is_empty() && word.bytes().all(good) {
        return Ok(());
    }
    Err(format!("{word:?} is neither an address nor a host"))
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(arguments);
}

/// Three lines: what works now, where it leads, what to type next.
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
    if first.starts_with("https") && root.exists() {
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
    }
}
