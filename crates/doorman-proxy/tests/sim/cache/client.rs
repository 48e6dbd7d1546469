//! A client of cached pages: asks in many ways, changes pages, leaves in the middle.

use std::rc::Rc;
use std::time::Duration;

use doorman_net::{Address, Net};
use doorman_testkit::sim::{Sim, SimStream};
use tokio::io::AsyncWriteExt;

use super::model::{By, Face, Page, Step, Truth};
use super::{Scene, judge};
use crate::address;
use crate::message::{Ended, Kind, Message, Reader, draw, drawn};

/// Requests of one client.
const REQUESTS: u64 = 20;
/// Virtual time within which a request must have come to an end of whatever kind: three questions to
/// an origin, each with its timeouts, a wait for another's fetch, and a slow body.
const ANSWER_MAX: Duration = Duration::from_secs(90);
/// The same where the client's own connection may stall, for up to a minute in each direction.
const STALLED_MAX: Duration = Duration::from_secs(300);

/// A request, and what was known when it was sent.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) page: Page,
    pub(super) method: &'static str,
    pub(super) fields: Vec<(&'static str, String)>,
    /// The page that a change names beside its own.
    pub(super) other: Option<Page>,
    /// The version whose tag it names.
    pub(super) known: Option<Face>,
    /// When it was sent.
    pub(super) step: Step,
    pub(super) at_ms: u64,
}

impl Asked {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The value in seconds of a directive of `Cache-Control`.
    pub(super) fn directive(&self, name: &str) -> Option<u64> {
        let value = self.field("cache-control")?.strip_prefix(name)?;
        value.strip_prefix('=')?.parse().ok()
    }

    pub(super) fn says(&self, directive: &str) -> bool {
        self.field("cache-control") == Some(directive)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\nHost: a.test\r\n", self.method, self.page.path());
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method == "POST" {
            out.push_str("Content-Length: 0\r\n");
        }
        out.push_str("\r\n");
        out.into_bytes()
    }
}

pub(super) async fn run(sim: Sim, scene: Rc<Scene>, number: u64) {
    let truth = &scene.truth;
    let net = sim.net_from("198.51.100.7".parse().expect("an address"));
    let mut connection: Option<Reader<SimStream>> = None;
    let mut known: Vec<Face> = Vec::new();
    for request in 0..REQUESTS {
        let id = number * 1_000 + request;
        let at = |place: u64, below: u64| draw(truth.seed, id * 41 + place, below);
        let wait = drawn(truth.seed, id * 41 + 1, &[0, 0, 1, 20, 200, 800, 2_500, 7_000]);
        sim.wait(Duration::from_millis(wait)).await;
        let mut reader = match connection.take() {
            Some(reader) => reader,
            None => match net.connect(&Address::Inet(address("192.0.2.1:80"))).await {
                Ok(stream) => Reader::new(stream),
                Err(error) => {
                    assert!(!scene.is_steady, "the proxy refused a connection: {error}");
                    continue;
                }
            },
        };
        let mut asked = plan(truth, number, id, &known);
        asked.step = truth.step();
        asked.at_ms = truth.now().0 / 1_000_000;
        let limit = if scene.is_steady { ANSWER_MAX } else { STALLED_MAX };
        let leaves = (at(2, 10) == 0).then(|| Duration::from_millis(at(3, 2_000)));
        let exchange = exchange(&mut reader, &asked);
        let exchange = async {
            match leaves {
                None => exchange.await,
                Some(after) => tokio::select! {
                    biased;
                    answer = exchange => answer,
                    () = sim.wait(after) => None,
                },
            }
        };
        let Ok(answer) = tokio::time::timeout(limit, exchange).await else {
            panic!("client {number} waits for ever for {} {}", asked.method, asked.page.path());
        };
        let Some(answer) = answer else {
            // A body that is cut may take its head with it, and one by slices may be cut always.
            let may_be_cut = !truth.gentle || asked.page.is_sliced();
            assert!(leaves.is_some() || may_be_cut, "no answer to {}", asked.page.path());
            continue;
        };
        if let Some(face) = judge::answer(&scene, &asked, &answer)
            && face.page.manner().has_tag
        {
            known.push(face);
        }
        if answer.ended == Ended::Whole && answer.field("connection") != Some("close") {
            connection = Some(reader);
        }
    }
}

async fn exchange(reader: &mut Reader<SimStream>, asked: &Asked) -> Option<Message> {
    reader.stream().write_all(&asked.bytes()).await.ok()?;
    let mut answer = reader.head().await?;
    let kind = if asked.method == "HEAD" { Kind::Bodiless } else { Kind::Response };
    reader.body(&mut answer, kind).await;
    Some(answer)
}

fn plan(truth: &Truth, number: u64, id: u64, known: &[Face]) -> Asked {
    let start = id * 43 + 7_000_000;
    let at = |place: u64, below: u64| draw(truth.seed, start + place, below);
    let page = Page::drawn(truth.seed, id * 43 + 9_000_000);
    let methods = ["GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST"];
    let method = drawn(truth.seed, start + 1, &methods);
    let mut fields = vec![("X-Client", number.to_string())];
    let mut known_face = None;
    let mut other = None;
    let one_of = |place, values: &[&str]| drawn(truth.seed, start + place, values).to_owned();
    match page.manner().by {
        By::Field("x-lang") if at(2, 4) > 0 => fields.push(("X-Lang", one_of(3, &["de", "en"]))),
        By::Field("x-tenant") if at(2, 4) > 0 => fields.push(("X-Tenant", one_of(3, &["a", "b"]))),
        By::Coding if at(2, 4) > 0 => {
            let values = ["gzip", "identity", "br, gzip;q=0.5", "gzip , br;q=0.2", "br"];
            fields.push(("Accept-Encoding", one_of(3, &values)));
        }
        By::Cookie if at(2, 2) > 0 => fields.push(("Cookie", format!("who={number}"))),
        By::Login if at(2, 2) > 0 => fields.push(("Authorization", format!("Token-{number}"))),
        By::Url if at(2, 8) == 0 => fields.push(("Cookie", format!("who={number}"))),
        _ => {}
    }
    if method == "POST" {
        if at(4, 3) == 0 {
            let page = Page::drawn(truth.seed, id * 43 + 8_000_000);
            fields.push(("X-Other-Page", page.path()));
            other = Some(page);
        }
        return Asked { page, method, fields, other, known: None, step: 0, at_ms: 0 };
    }
    if at(5, 6) == 0 {
        let values =
            ["no-cache", "max-age=0", "max-age=2", "max-stale=5", "only-if-cached", "no-store"];
        fields.push(("Cache-Control", one_of(6, &values)));
    }
    let latest = known.iter().rev().find(|face| face.page == page).filter(|_| at(7, 2) == 0);
    match (at(8, 5), latest) {
        (0 | 1, Some(face)) => {
            fields.push(("If-None-Match", format!("\"{face}\"")));
            known_face = Some(face.clone());
        }
        (2, latest) if method == "GET" => {
            if let Some(face) = latest {
                fields.push(("If-Range", format!("\"{face}\"")));
            }
            let (from, span) = (at(9, 4_000) * at(10, 50) / 10, at(11, 90_000));
            let to = from + span;
            let range = [
                format!("bytes={from}-{to}"),
                format!("bytes={from}-"),
                format!("bytes=-{}", span + 1),
                "bytes=0-9,1000-1999".to_owned(),
            ];
            fields.push(("Range", drawn(truth.seed, start + 12, &range)));
        }
        _ => {}
    }
    Asked { page, method, fields, other, known: known_face, step: 0, at_ms: 0 }
}
