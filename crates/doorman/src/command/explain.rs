//! `doorman explain`: who would answer a request, and why.

mod cache;
mod form;
mod json;
mod relay;
pub mod running;
mod text;
mod waf;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use doorman_config::{ClientAuth, EarlyData, HeaderEdit, Place, Span, Spanned};
use doorman_http::{Method, Version};
use doorman_proxy::explain::{Door, Explanation, Outcome, Question};

use super::url::Url;
use super::{FILE, Looked, exit, look, screen, screen::Screen};

const EXAMPLES: &str = "\
Examples:
  doorman explain https://shop.example.com/api/orders
  doorman explain http://localhost/login -X POST -H 'Cookie: beta=1' --from 203.0.113.9
  doorman explain http://localhost/ --unix /run/doorman/front.sock
  doorman explain https://shop.example.com/ --json
  doorman explain https://shop.example.com/ --running     who is picked now, and why the others are not
  doorman explain tls://mail.example.com:8443     a relay: tcp://, tls:// or udp:// HOST:PORT
";

/// Show who would answer a request, and why: site, certificate, every route, edits, upstream
///
/// It reads the configuration alone and asks nobody: neither a running proxy nor an origin. With --running it asks the
/// running proxy, which looks at its servers and changes nothing.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Explain {
    /// What is asked for; https where no scheme is written, tcp, tls or udp for a relay
    url: String,
    /// The method
    #[arg(short = 'X', long = "method", default_value = "GET")]
    method: String,
    /// A header field, as `Name: value`
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// Address of the client
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// Ask by this Unix socket instead of the URL's port
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    unix: Option<PathBuf>,
    /// The client's protocol; if not said, the newest that the listener offers over TCP, where clients begin
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// The configuration
    #[arg(short, long, default_value = FILE)]
    config: PathBuf,
    /// Ask the running proxy: its configuration in force, and how its servers stand now
    #[arg(long)]
    running: bool,
    /// Where the running proxy listens: unix:PATH or IP:PORT
    #[arg(long, value_name = "ADDRESS", requires = "running")]
    admin: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A protocol by its word in configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// HTTP/1.1
    H1,
    /// HTTP/2
    H2,
    /// HTTP/3
    H3,
}

impl Protocol {
    /// The version that it stands for.
    pub const fn version(self) -> Version {
        match self {
            Self::H1 => Version::Http11,
            Self::H2 => Version::Http2,
            Self::H3 => Version::Http3,
        }
    }
}

impl Explain {
    pub fn run(self, screen: &Screen) -> ExitCode {
        if self.running {
            return self.ask_running();
        }
        if let Some(call) = relay::Call::parse(&self.url, self.from) {
            return match call {
                Ok(call) => self.relay(&call, screen),
                Err(why) => screen::usage(&why),
            };
        }
        let question = match self.question() {
            Ok(question) => question,
            Err(why) => return screen::usage(&why),
        };
        let looked = match look(&self.config, screen) {
            Ok(looked) => looked,
            Err(code) => return code,
        };
        let told = Told::new(&looked, &question);
        if let Outcome::Malformed(why) = &told.explanation.outcome {
            return screen::usage(why);
        }
        let shown = if self.json {
            screen::json(&json::value(&told))
        } else {
            screen::data(&text::render(&told, screen))
        };
        match told.explanation.outcome {
            // Nobody would take the request: a script must be able to notice.
            Outcome::NoListener | Outcome::NoCertificate => ExitCode::from(exit::FAILED),
            _ => shown,
        }
    }

    fn relay(&self, call: &relay::Call, screen: &Screen) -> ExitCode {
        let looked = match look(&self.config, screen) {
            Ok(looked) => looked,
            Err(code) => return code,
        };
        let passed = relay::Passed::new(&looked, call);
        let shown =
            if self.json { screen::json(&passed.json()) } else { screen::data(&passed.text()) };
        if passed.is_taken() { shown } else { ExitCode::from(exit::FAILED) }
    }

    fn question(&self) -> Result<Question, String> {
        let fields = self.headers.iter().map(|header| match header.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
            None => Err(format!("`{header}` is not written `Name: value`")),
        });
        let fields = fields.collect::<Result<_, _>>()?;
        let asked = question(&self.method, &self.url, fields, self.from, self.protocol)?;
        let door = self.unix.clone().map_or(asked.door, Door::Unix);
        Ok(Question { door, ..asked })
    }
}

/// A question from its parts as people write them.
pub fn question(
    method: &str,
    url: &str,
    fields: Vec<(String, String)>,
    from: IpAddr,
    protocol: Option<Protocol>,
) -> Result<Question, String> {
    let url = Url::parse(url)?;
    let method = Method::from_bytes(method.as_bytes())
        .filter(|method| *method != Method::Connect)
        .ok_or_else(|| format!("`{method}` is not a method that can be asked about"))?;
    Ok(Question {
        method,
        scheme: url.scheme,
        authority: url.authority,
        door: Door::Port(url.port),
        target: url.target,
        fields,
        body: Vec::new(),
        from,
        version: protocol.map(Protocol::version),
    })
}

/// An explanation, with the configuration that its indices lead into.
pub struct Told<'a> {
    /// The configuration and its plan.
    pub looked: &'a Looked,
    /// What was asked.
    pub question: &'a Question,
    /// The answer.
    pub explanation: Explanation,
    /// How servers stand, if the running process tells.
    pub standings: Option<running::Standings>,
}

impl<'a> Told<'a> {
    /// Asks.
    pub fn new(looked: &'a Looked, question: &'a Question) -> Self {
        let explanation = looked.plan.explain(question, looked.clock);
        Self { looked, question, explanation, standings: None }
    }

    /// The site's name.
    pub fn site_name(&self) -> Option<&str> {
        self.explanation.site.map(|site| &*self.looked.plan.sites[site].name)
    }

    /// The site as written; a site that only sends clients over to HTTPS is the one that they are
    /// sent to.
    pub fn site(&self) -> Option<&'a doorman_config::Site> {
        let index = self.explanation.site?;
        let sites = &self.looked.config.sites;
        sites.get(index).or_else(|| {
            let name = &*self.looked.plan.sites[index].name;
            sites.iter().find(|site| site.name == name)
        })
    }

    /// Whether the site was made to send clients over to HTTPS.
    pub fn is_made(&self) -> bool {
        self.explanation.site.is_some_and(|index| index >= self.looked.config.sites.len())
    }

    /// The name of a route of the site.
    pub fn route_name(&self, index: usize) -> &str {
        let site = self.explanation.site.unwrap_or_default();
        let routes = self.looked.plan.sites.get(site).map(|site| &site.routes);
        routes.and_then(|routes| routes.get(index)).map_or("", |route| &route.name)
    }

    /// Where a route of the site was written; nowhere for one that was made.
    pub fn route_span(&self, index: usize) -> Option<Span> {
        if self.is_made() {
            return None;
        }
        self.site()?.routes.get(index).map(|route| route.span)
    }

    /// The route that won, as written.
    pub fn route(&self) -> Option<&'a doorman_config::Route> {
        if self.is_made() {
            return None;
        }
        self.site()?.routes.get(self.explanation.route?)
    }

    /// What the site asks clients for.
    pub fn client_auth(&self) -> Option<&'a Spanned<ClientAuth>> {
        self.site()?.tls.as_ref()?.options.client_auth.as_ref().filter(|_| !self.is_made())
    }

    /// Whether requests of the site may come before the handshake has ended, if they are harmless.
    pub fn takes_early_data(&self) -> bool {
        let tls = self.site().and_then(|site| site.tls.as_ref()).filter(|_| !self.is_made());
        tls.is_some_and(|tls| tls.options.early_data.value == EarlyData::Safe)
    }

    /// Fields that the route takes off responses.
    pub fn response_removed(&self) -> Vec<&'a str> {
        let edits = self.route().map(|route| route.options.response_headers.as_slice());
        let names = edits.unwrap_or_default().iter().filter_map(|edit| match &edit.value {
            HeaderEdit::Remove { name } => Some(name.as_str()),
            HeaderEdit::Set { .. } | HeaderEdit::Add { .. } => None,
        });
        names.collect()
    }

    /// How the servers of an upstream stand, in the plan's order, if the running process tells.
    pub fn standing(&self, upstream: usize) -> Option<Vec<&crate::admin::upstreams::Server>> {
        let standings = self.standings.as_ref()?;
        let upstream = &self.looked.plan.upstreams[upstream];
        let servers = upstream.servers.iter();
        servers.map(|server| standings.server(&upstream.name, &server.name)).collect()
    }

    /// Where a span is.
    pub fn place(&self, span: Span) -> Place {
        self.looked.sources.place(span)
    }
}
