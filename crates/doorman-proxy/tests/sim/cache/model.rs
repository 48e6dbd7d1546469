//! The truth about what origins have: which version of a page was there when, for whom it was, and
//! what was said of how long it may be kept.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use doorman_http::Instant;
use doorman_net::Clock;

use crate::message::{Message, draw, drawn, pattern};

/// Pages of each manner.
pub(super) const PAGES: u64 = 3;

/// Pages that are asked for more than others.
const HOT: u64 = 5;

/// What an answer depends on beside its URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Url,
    /// A field, named by `Vary` or by the route's key.
    Field(&'static str),
    /// Whether the client reads gzip.
    Coding,
    /// Who asks, and it is for nobody else.
    Client,
    /// The same in odd versions alone.
    ClientIfOdd,
    Cookie,
    Login,
}

/// How pages of a kind are told to be kept, and how long that is, with what the routes allow: seconds.
pub(super) struct Manner {
    pub(super) kind: &'static str,
    pub(super) words: &'static str,
    pub(super) lifetime: u64,
    /// Past its lifetime while it is fetched anew, and while the origin fails.
    pub(super) windows: (u64, u64),
    pub(super) by: By,
    pub(super) length_max: u64,
    pub(super) has_tag: bool,
}

const fn manner(kind: &'static str, words: &'static str, lifetime: u64) -> Manner {
    Manner {
        kind,
        words,
        lifetime,
        windows: (4, 20),
        by: By::Url,
        length_max: 3_000,
        has_tag: true,
    }
}

const fn by(by: By, manner: Manner) -> Manner {
    Manner { by, ..manner }
}

const fn windows(stale: u64, on_error: u64, manner: Manner) -> Manner {
    Manner { windows: (stale, on_error), ..manner }
}

const fn long(length_max: u64, manner: Manner) -> Manner {
    Manner { length_max, ..manner }
}

const fn untagged(manner: Manner) -> Manner {
    Manner { has_tag: false, ..manner }
}

/// Every manner. The first path segment names it.
pub(super) const MANNERS: [Manner; 21] = [
    long(40_000, manner("plain", "Cache-Control: max-age=3\r\n", 3)),
    windows(0, 0, manner("strict", "Cache-Control: max-age=2, must-revalidate\r\n", 2)),
    windows(0, 0, manner("check", "Cache-Control: no-cache\r\n", 0)),
    windows(
        3,
        8,
        manner(
            "said",
            "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=8\r\n",
            1,
        ),
    ),
    windows(0, 0, manner("shared", "Cache-Control: public, s-maxage=4, max-age=60\r\n", 4)),
    by(
        By::Field("x-lang"),
        manner("lang", "Cache-Control: max-age=6\r\nVary: X-Lang, X-Other\r\n", 6),
    ),
    by(By::Coding, manner("coded", "Cache-Control: max-age=6\r\nVary: accept-encoding\r\n", 6)),
    by(By::Field("x-tenant"), manner("tenant", "Cache-Control: max-age=6\r\n", 6)),
    by(By::Client, windows(0, 0, manner("private", "Cache-Control: private, max-age=30\r\n", 0))),
    by(By::ClientIfOdd, manner("mixed", "", 5)),
    by(By::Cookie, manner("cookie", "Cache-Control: max-age=10\r\n", 10)),
    by(By::Login, manner("login", "Cache-Control: max-age=10\r\n", 10)),
    by(By::Client, windows(0, 0, manner("given", "Cache-Control: max-age=10\r\n", 0))),
    manner("expires", "", 4),
    untagged(manner("silent", "", 3)),
    manner("aged", "Cache-Control: max-age=6\r\nAge: 3\r\n", 3),
    windows(0, 0, manner("never", "Cache-Control: no-store\r\n", 0)),
    long(200_000, manner("slice", "Cache-Control: max-age=5\r\n", 5)),
    by(By::ClientIfOdd, long(150_000, manner("part", "", 5))),
    // Beyond what is stored, often.
    long(200_000, manner("wide", "Cache-Control: max-age=5\r\n", 5)),
    manner("alone", "Cache-Control: max-age=2\r\n", 2),
];

/// Which pages there are: a manner and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Page {
    manner: usize,
    number: u64,
}

impl Page {
    /// Most are one of a few, so that several ask for one at a time.
    pub(super) fn drawn(seed: u64, place: u64) -> Self {
        let is_hot = draw(seed, place ^ 0xCA11, 5) > 0;
        let place = if is_hot { 77 + draw(seed, place ^ 0x407, HOT) } else { place };
        let manner = draw(seed, place, MANNERS.len() as u64);
        let number = draw(seed, place ^ 0xF00D, PAGES);
        Self { manner: usize::try_from(manner).expect("small"), number }
    }

    pub(super) fn of(path: &str) -> Self {
        let (kind, number) = path[1..].split_once('/').expect("two segments");
        let manner = MANNERS.iter().position(|manner| manner.kind == kind);
        let manner = manner.unwrap_or_else(|| panic!("a strange path: {path}"));
        Self { manner, number: number.parse().expect("a number") }
    }

    pub(super) fn path(self) -> String {
        format!("/{}/{}", self.manner().kind, self.number)
    }

    /// Whether it is fetched by slices.
    pub(super) fn is_sliced(self) -> bool {
        matches!(self.manner().kind, "slice" | "part")
    }

    pub(super) const fn manner(self) -> &'static Manner {
        &MANNERS[self.manner]
    }

    /// A number of its own.
    fn id(self) -> u64 {
        self.manner as u64 * PAGES + self.number
    }
}

/// One version of a page as one kind of request sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    pub(super) page: Page,
    pub(super) version: u64,
    pub(super) variant: String,
}

impl Face {
    pub(super) fn length(&self) -> usize {
        let place = self.page.id() << 20 | self.version << 1;
        let max = self.page.manner().length_max;
        // Some are empty, some short.
        let max = drawn(17, place, &[0, 100, max, max, max, max, max, max]);
        usize::try_from(draw(19, place, max + 1)).expect("small")
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let text =
            self.variant.bytes().fold(self.version, |sum, b| sum * 131 % 65_521 + u64::from(b));
        pattern(self.page.id() << 32 | self.version << 16 | text, self.length())
    }

    /// Reads what [`fmt::Display`] has written.
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = text.trim_matches('"').splitn(3, ':');
        let mut part = || parts.next().unwrap_or_else(|| panic!("a strange face: {text}"));
        Self {
            page: Page::of(part()),
            version: part().parse().expect("a version"),
            variant: part().to_owned(),
        }
    }
}

impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.page.path(), self.version, self.variant)
    }
}

/// A place in the order of all that happens.
pub(super) type Step = u64;

/// What is known of all pages.
pub(super) struct Truth {
    clock: Clock,
    pub(super) seed: u64,
    /// Whether nothing goes wrong, neither on the network nor at origins.
    pub(super) gentle: bool,
    step: Cell<Step>,
    /// When versions began, by page.
    versions: RefCell<BTreeMap<Page, Vec<Step>>>,
    /// Since when nothing older than what may be given out: purges, and changes that were answered.
    barriers: RefCell<BTreeMap<Page, Vec<Barrier>>>,
    /// The contents behind tags that the house has made.
    tags: RefCell<BTreeMap<String, Vec<u8>>>,
}

#[derive(Clone, Copy)]
struct Barrier {
    /// Who asks after this..
    from: Step,
    /// .. must get what its origin has said after that.
    least: Step,
}

impl Truth {
    pub(super) fn new(clock: Clock, seed: u64, gentle: bool) -> Self {
        let (versions, barriers, tags) = Default::default();
        Self { clock, seed, gentle, step: Cell::new(1), versions, barriers, tags }
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.instant()
    }

    /// The next step.
    pub(super) fn step(&self) -> Step {
        self.step.set(self.step.get() + 1);
        self.step.get()
    }

    /// The version that is there now.
    pub(super) fn version(&self, page: Page) -> u64 {
        self.versions.borrow().get(&page).map_or(0, Vec::len) as u64
    }

    /// A new version is there, from this step on.
    pub(super) fn change(&self, page: Page) -> Step {
        let step = self.step();
        self.versions.borrow_mut().entry(page).or_default().push(step);
        step
    }

    /// Whether a tag is one of this face: its origin's, or one that the house has made of its content.
    pub(super) fn is_tag_of(&self, tag: &str, face: &Face) -> bool {
        if face.page.manner().has_tag {
            return Face::parse(tag) == *face;
        }
        let (mut tags, body) = (self.tags.borrow_mut(), face.body());
        *tags.entry(tag.to_owned()).or_insert_with(|| body.clone()) == body
    }

    /// The steps in which a version was there.
    pub(super) fn reign(&self, page: Page, version: u64) -> std::ops::Range<Step> {
        let versions = self.versions.borrow();
        let began = versions.get(&page).map_or(&[][..], |began| began);
        let at = |index: u64| began.get(usize::try_from(index).expect("small")).copied();
        let start = if version == 0 { 0 } else { at(version - 1).unwrap_or(Step::MAX) };
        start..at(version).unwrap_or(Step::MAX)
    }

    /// Whoever asks from now on must get what an origin has said after `least`.
    pub(super) fn bar(&self, page: Page, least: Step) {
        let barrier = Barrier { from: self.step(), least };
        self.barriers.borrow_mut().entry(page).or_default().push(barrier);
    }

    /// The same for every page.
    pub(super) fn bar_all(&self, pages: impl Fn(Page) -> bool) {
        let least = self.step();
        for manner in 0..MANNERS.len() {
            for number in 0..PAGES {
                let page = Page { manner, number };
                if pages(page) {
                    self.bar(page, least);
                }
            }
        }
    }

    /// The oldest word of an origin that may be given to one who asked at this step.
    pub(super) fn least(&self, page: Page, asked: Step) -> Step {
        let barriers = self.barriers.borrow();
        let barriers = barriers.get(&page).map_or(&[][..], |barriers| barriers);
        barriers.iter().filter(|bar| bar.from < asked).map(|bar| bar.least).max().unwrap_or(0)
    }

    /// What a request is to be answered with when this version is there.
    pub(super) fn face(page: Page, version: u64, field: impl Fn(&str) -> Option<String>) -> Face {
        let named = |name: &str| field(name).unwrap_or_else(|| "none".to_owned());
        let variant = match page.manner().by {
            By::Url => "all".to_owned(),
            By::ClientIfOdd if version.is_multiple_of(2) => "all".to_owned(),
            By::Field(name) => named(name),
            By::Coding => {
                let reads = field("accept-encoding").is_some_and(|value| value.contains("gzip"));
                if reads { "gzip" } else { "plain" }.to_owned()
            }
            By::Client | By::ClientIfOdd => named("x-client"),
            By::Cookie => named("cookie"),
            By::Login => named("authorization"),
        };
        Face { page, version, variant }
    }

    /// What this request gets of an origin now.
    pub(super) fn face_now(&self, page: Page, request: &Message) -> Face {
        let field = |name: &str| request.field(name).map(str::to_owned);
        Self::face(page, self.version(page), field)
    }
}

/// A date in the first day of a simulation (RFC 9110 section 5.6.7), this long after it began.
pub(super) fn date(since: Duration) -> String {
    let seconds = since.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("Wed, 01 Jan 2025 {hours:02}:{minutes:02}:{seconds:02} GMT")
}
