//! `doorman explain`: who would answer a request, and why.

mod json;
mod text;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use doorman_config::{HeaderEdit, Place, Span};
use doorman_http::{Method, Version};
use doorman_proxy::explain::{Explanation, Outcome, Question};

use super::url::Url;
use super::{FILE, Looked, exit, look, screen, screen::Screen};

const EXAMPLES: &str = "\
Examples:
  doorman explain https://shop.example.com/api/orders
  doorman explain http://localhost/login -X POST -H 'Cookie: beta=1' --from 203.0.113.9
  doorman explain https://shop.example.com/ --json
";

/// Show who would answer a request, and why: site, certificate, every route, edits, upstream
///
/// It reads the configuration alone and asks nobody: neither a running proxy nor an origin.
#[derive(Args)]
#[command(before_help = EXAMPLES)]
pub struct Explain {
    /// What is asked for; https where no scheme is written
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
    /// The client's protocol; the newest that the listener offers if not said
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// The configuration
    #[arg(short, long, default_value = FILE)]
    config: PathBuf,
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
}

impl Protocol {
    /// The version that it stands for.
    pub const fn version(self) -> Version {
        match self {
            Self::H1 => Version::Http11,
            Self::H2 => Version::Http2,
        }
    }
}

impl Explain {
    pub fn run(self, screen: &Screen) -> ExitCode {
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

    fn question(&self) -> Result<Question, String> {
        let fields = self.headers.iter().map(|header| match header.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
            None => Err(format!("`{header}` is not written `Name: value`")),
        });
        question(
            &self.method,
            &self.url,
            fields.collect::<Result<_, _>>()?,
            self.from,
            self.protocol,
        )
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
        port: url.port,
        target: url.target,
        fields,
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
}

impl<'a> Told<'a> {
    /// Asks.
    pub fn new(looked: &'a Looked, question: &'a Question) -> Self {
        let explanation = looked.plan.explain(question, looked.clock);
        Self { looked, question, explanation }
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

    /// Fields that the route takes off responses.
    pub fn response_removed(&self) -> Vec<&'a str> {
        let edits = self.route().map(|route| route.options.response_headers.as_slice());
        let names = edits.unwrap_or_default().iter().filter_map(|edit| match &edit.value {
            HeaderEdit::Remove { name } => Some(name.as_str()),
            HeaderEdit::Set { .. } | HeaderEdit::Add { .. } => None,
        });
        names.collect()
    }

    /// Where a span is.
    pub fn place(&self, span: Span) -> Place {
        self.looked.sources.place(span)
    }
}
