//! The program in front of the page's origin, with one site for each way to serve the page.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doorman_testkit::chromium::{Chromium, HOST};
use doorman_testkit::origin::{Origin, Script, Seen, answering, reply};
use doorman_testkit::process::{Process, Program, free_address};
use doorman_testkit::raw::Raw;
use doorman_testkit::reply::Reply;
use doorman_testkit::tls::{Authority, Tls};

use crate::page::{Resource, WINDOW, resource, resources};
use crate::picture::Picture;

/// The longest that is waited for what is made in the background.
const SOON: Duration = Duration::from_secs(60);

/// What Chromium says that it takes, for images and for all else.
const ACCEPT: &str = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

/// The program, with a port for each of its sites.
pub(crate) struct House {
    pub(crate) process: Process,
    sites: Vec<(&'static str, SocketAddr)>,
    certificate_pem: String,
    _origin: Origin,
}

/// What a browser has drawn, and the lines of the access log that came of it.
pub(crate) struct Visit {
    pub(crate) picture: Picture,
    lines: Vec<String>,
}

impl House {
    /// With sites of these names and lines.
    pub(crate) fn with(sites: &[(&'static str, &str)]) -> Self {
        let identity = Authority::new().issue(&[HOST]);
        let origin = Origin::start(answering(Arc::new(by_path)));
        let mut text = format!(
            "doorman 1\n\
             global {{ data data; bind 127.0.0.1; admin unix:admin.sock; workers 2\n\
             log access json stdout }}\n\
             store main {{ memory 64MiB }}\n\
             upstream web {{ server {} }}\n",
            origin.address()
        );
        let sites: Vec<_> =
            sites.iter().map(|(name, lines)| (*name, free_address(), *lines)).collect();
        for (_, address, lines) in &sites {
            text += &format!(
                "site https://{HOST}:{} {{\ntls cert cert.pem key key.pem\n{lines}\nproxy web\n}}\n",
                address.port()
            );
        }
        let process = Program::new(env!("CARGO_BIN_EXE_doorman"))
            .file("doorman.conf", text)
            .file("cert.pem", &identity.certificate_pem)
            .file("key.pem", &identity.key_pem)
            .arguments(&["run", "-c", "doorman.conf"])
            .start()
            .expect("the program can be started");
        let _ = process.wait_for_words("doorman is ready");
        let sites = sites.into_iter().map(|(name, address, _)| (name, address)).collect();
        let certificate_pem = identity.certificate_pem.clone();
        Self { process, sites, certificate_pem, _origin: origin }
    }

    fn address(&self, site: &str) -> SocketAddr {
        let found = self.sites.iter().find(|(name, _)| *name == site);
        found.unwrap_or_else(|| panic!("no site {site}")).1
    }

    /// Opens the page with an empty browser.
    pub(crate) fn visit(&self, site: &str) -> Visit {
        let before = self.process.said().len();
        let url = format!("https://{HOST}:{}", self.address(site).port());
        let (file, said) =
            Chromium::believing(&self.certificate_pem).picture(&format!("{url}/"), WINDOW);
        let picture = Picture::read(file.file(), &said);
        // Lines of other clients may come late.
        let is_ours = |line: &String| line.contains("HeadlessChrome") && line.contains(&url[8..]);
        let lines = || {
            let said = self.process.said().split_off(before);
            said.into_iter().filter(is_ours).collect::<Vec<_>>()
        };
        let is_told = |resource: &Resource| line(&lines(), resource.path).is_some();
        self.until("every resource was asked for", || resources().iter().all(is_told));
        Visit { picture, lines: lines() }
    }

    /// One GET as the browser makes it, with these codings.
    pub(crate) fn get(&self, site: &str, path: &str, codings: &str) -> Reply {
        self.try_get(site, path, codings).unwrap_or_else(|error| panic!("{site} {path}: {error}"))
    }

    fn try_get(&self, site: &str, path: &str, codings: &str) -> io::Result<Reply> {
        let address = self.address(site);
        let mut raw = Raw::connect_tls(address, &Tls::unverified(HOST))?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}:{}\r\nAccept: {ACCEPT}\r\nAccept-Encoding: {codings}\r\n\r\n",
            address.port()
        );
        raw.exchange(head)
    }

    /// Asks for a resource until its answer is as it shall be, which is that it is made.
    #[track_caller]
    pub(crate) fn settle(
        &self,
        site: &str,
        path: &str,
        codings: &str,
        is: impl Fn(&Reply) -> bool,
    ) -> Reply {
        let begun = Instant::now();
        loop {
            let reply = self.get(site, path, codings);
            if is(&reply) {
                return reply;
            }
            assert!(begun.elapsed() < SOON, "{site} {path} stays so: {:?}", reply.fields);
            std::thread::yield_now();
        }
    }

    /// Looks until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            let said = || self.process.said().join("\n");
            assert!(begun.elapsed() < SOON, "not so: {what}\n{}", said());
            std::thread::yield_now();
        }
    }
}

impl Visit {
    /// The line about this path.
    #[track_caller]
    pub(crate) fn line(&self, path: &str) -> &str {
        line(&self.lines, path).unwrap_or_else(|| panic!("{path} was not asked for"))
    }

    /// The word behind a name in the line about this path.
    pub(crate) fn word(&self, path: &str, name: &str) -> Option<&str> {
        let rest = self.line(path).split_once(&format!("\"{name}\":\""))?.1;
        rest.split('"').next()
    }
}

fn line<'a>(lines: &'a [String], path: &str) -> Option<&'a str> {
    let words = format!("\"path\":\"{path}\"");
    lines.iter().find(|line| line.contains(&words)).map(String::as_str)
}

fn by_path(seen: &Seen) -> Script {
    let Some(resource) = resource(seen.target()) else {
        return reply(
            "404 Not Found",
            "Content-Type: text/plain\r\nCache-Control: no-store\r\n",
            b"none",
        );
    };
    let fields = format!(
        "Content-Type: {}\r\nCache-Control: public, max-age=600\r\nETag: \"{}\"\r\n",
        resource.kind,
        resource.body.len()
    );
    reply("200 OK", &fields, &resource.body)
}
