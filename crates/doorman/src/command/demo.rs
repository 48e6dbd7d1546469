//! `doorman demo`: two origins and a proxy in front of them, in one process, to play with.
//!
//! Nothing of it outlives it: the local authority and the configuration are in a folder that is
//! removed at the end.

mod echo;
mod origin;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::run::{self, Serving};
use super::screen::{self, Screen};
use crate::engine::Origin;
use origin::Origins;

const EXAMPLES: &str = "\
Examples:
  doorman demo
  doorman demo --port 9080 --tls-port 9443
  doorman demo --print                    the configuration that it runs
";

/// Seconds for which `/cached` is fresh: long enough to type the same again, short enough to wait for.
const CACHED_TTL: u32 = 5;

const PORT_HELP: &str = "choose other ports: doorman demo --port 9080 --tls-port 9443";

/// Start two origins and a proxy in front of them, and print what to try
///
/// It needs no file, no rights and no network, and leaves nothing behind.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Demo {
    /// Port of plain HTTP on this machine
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Port of HTTPS on this machine
    #[arg(long, value_name = "PORT", default_value_t = 8443, value_parser = clap::value_parser!(u16).range(1..))]
    tls_port: u16,
    /// Print the configuration, and do not run
    #[arg(long)]
    print: bool,
}

impl Demo {
    pub fn run(self, screen: &Screen) -> ExitCode {
        if self.port == self.tls_port {
            return screen::usage("--port and --tls-port must differ");
        }
        if self.print {
            let placeholders = [
                SocketAddr::from(([127, 0, 0, 1], 9001)),
                SocketAddr::from(([127, 0, 0, 1], 9002)),
            ];
            return screen::data(&self.text(placeholders, None));
        }
        crate::log::error::start();
        let origins = match Origins::start(["red", "blue"]) {
            Ok(origins) => origins,
            Err(error) => return screen::failed(&format!("cannot start the origins: {error}")),
        };
        let folder = match tempfile::Builder::new().prefix("doorman-demo-").tempdir() {
            Ok(folder) => folder,
            Err(error) => return screen::failed(&format!("cannot make a folder: {error}")),
        };
        let text = self.text(origins.addresses, Some(folder.path()));
        let tour = self.tour(origins.addresses, folder.path());
        let serving = Serving::new(Origin::Text("(demo)".to_owned(), text))
            .on_taken(PORT_HELP)
            .whole()
            .greet(move |_| eprint!("{tour}"));
        let code = run::serve(serving, screen);
        if let Err(error) = folder.close() {
            eprintln!("warning: cannot remove the demo's folder: {error}");
        }
        code
    }

    /// One core, so that turns are taken over all requests: each core has turns of its own.
    fn text(&self, [red, blue]: [SocketAddr; 2], data: Option<&Path>) -> String {
        let (port, tls_port) = (self.port, self.tls_port);
        let data = data.map_or(String::new(), |data| {
            format!("    data    {:?}\n", data.display().to_string())
        });
        format!(
            "\
doorman 1

global {{
    bind    127.0.0.1
    workers 1
    log     access pretty stdout
{data}}}

upstream colours {{
    server {red} name red
    server {blue} name blue
}}

store demo {{ memory 16MiB }}

site http://localhost:{port} http://127.0.0.1:{port} https://localhost:{tls_port} https://127.0.0.1:{tls_port} {{
    tls internal
    response-header set X-Served-By doorman
    compress zstd br gzip
    waf starter level 1 mode block

    route /old/* {{ redirect /new{{path}} 301 }}
    route /red/* {{
        strip-prefix /red
        proxy {red}
    }}
    route /slow {{
        timeout response 1s
        proxy colours
    }}
    route /cached {{
        # Fresh for {CACHED_TTL} seconds; for a minute more it is given out while it is fetched anew.
        cache demo {{
            ttl           {CACHED_TTL}s
            stale         1m
            status-header on
        }}
        proxy {red}
    }}
    route /hello when header X-Name {{ respond 200 \"hello {{header.X-Name}}\\n\" }}
    route * {{ proxy colours }}
}}
"
        )
    }

    /// What runs where, and what to try.
    fn tour(&self, [red, blue]: [SocketAddr; 2], folder: &Path) -> String {
        let (http, https) = (
            format!("http://localhost:{}", self.port),
            format!("https://localhost:{}", self.tls_port),
        );
        let root = folder.join(run::LOCAL_ROOT);
        let root = root.display();
        format!(
            "\
doorman is ready:
  {http}    plain HTTP/1.1
  {https}   HTTP/1.1, HTTP/2 and HTTP/3 over TLS, certificate by a local authority
in front of two origins in this process:
  red   http://{red}
  blue  http://{blue}

Try, in another terminal:
  curl {http}/                                    twice: red and blue take turns
  curl --cacert {root} {https}/    the same over TLS and HTTP/2
  curl -N {http}/stream                           a body that comes line by line
  curl -Ni --compressed {http}/stream             the same, coded on its way: see `content-encoding`
  curl -i {http}/slow                             an origin that is too slow: 504 with a request id
  curl -H 'X-Name: you' {http}/hello              an answer by doorman itself
  curl -i '{http}/?q=<script>alert(1)</script>'   an attack, which is refused: 403
And a cache, which says in `Cache-Status` what it did:
  curl -i {http}/cached                           a miss, which is stored: `fwd=uri-miss`
  curl -i {http}/cached                           again, within {CACHED_TTL} s: a hit, with its `Age`
  curl -i {http}/cached                           again, after {CACHED_TTL} s: a stale hit, fetched anew beside
And in a browser:
  {http}/echo                                a WebSocket: what you type comes back

The access log follows. `doorman demo --print` shows the configuration. Stop with Ctrl-C.
"
        )
    }
}
