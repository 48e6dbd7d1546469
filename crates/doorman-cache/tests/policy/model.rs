//! Random histories of requests, responses and clocks against a simple model of RFC 9111.
//!
//! The model shares no line with the policy. It keeps a response as the values that its text was made
//! from, counts in numbers that cannot overflow, and states the rules as lists of conditions rather
//! than as a way through them.

use doorman_cache::{
    Admission, Asked, CacheRules, Meta, Mismatch, Use, Why, admit, decide, freshened,
    may_serve_on_error, storable_head,
};
use doorman_http::{FieldId, Method, Now, RequestHead, ResponseHead};
use proptest::option::of;
use proptest::prelude::*;

use super::kit::{NOW, clocks};

/// The most that counts: 2^31.
const MAX: i128 = 1 << 31;

/// `Cache-Control` of a response, as values.
#[derive(Clone, Debug, Default)]
struct Control {
    max_age: Option<u64>,
    s_maxage: Option<u64>,
    swr: Option<u64>,
    sie: Option<u64>,
    words: [bool; 7],
}

const WORDS: [&str; 7] = [
    "no-store",
    "no-cache",
    "private",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "immutable",
];

impl Control {
    fn says(&self, word: &str) -> bool {
        WORDS.iter().zip(self.words).any(|(known, said)| *known == word && said)
    }

    fn text(&self) -> String {
        let spans = [
            ("stale-if-error", self.sie),
            ("max-age", self.max_age),
            ("s-maxage", self.s_maxage),
            ("stale-while-revalidate", self.swr),
        ];
        let spans = spans.iter().filter_map(|(name, span)| Some(format!("{name}={}", (*span)?)));
        let words = WORDS.iter().zip(self.words).filter(|(_, said)| *said);
        spans.chain(words.map(|(word, _)| (*word).to_owned())).collect::<Vec<_>>().join(", ")
    }
}

/// A response as values; dates are seconds from its own moment.
#[derive(Clone, Debug)]
struct Response {
    status: u16,
    control: Option<Control>,
    date: Option<i64>,
    expires: Option<i64>,
    modified: Option<i64>,
    age: Option<u64>,
    tag: Option<u8>,
    set_cookie: bool,
}

#[derive(Clone, Debug)]
struct Request {
    max_age: Option<u64>,
    min_fresh: Option<u64>,
    max_stale: Option<Option<u64>>,
    no_cache: bool,
    no_store: bool,
    authorization: bool,
    cookie: bool,
}

#[derive(Clone, Debug)]
struct Step {
    /// Seconds since the step before, by the monotonic clock.
    passed: i64,
    /// How much more the wall clock says.
    jump: i64,
    /// Seconds that the origin takes.
    delay: i64,
    request: Request,
    response: Response,
    /// Whether the origin answers a condition with 304.
    is_unchanged: bool,
}

/// What the model keeps: dates are seconds since the epoch.
#[derive(Clone, Debug)]
struct Kept {
    status: u16,
    control: Control,
    date: i128,
    expires: Option<i128>,
    modified: Option<i128>,
    tag: Option<u8>,
    initial_age: i128,
    /// By the monotonic clock.
    received: i64,
}

struct Model {
    rules: CacheRules,
}

impl Model {
    fn honours(&self, request: &Request) -> Request {
        if self.rules.client_control {
            return request.clone();
        }
        Request {
            max_age: None,
            min_fresh: None,
            max_stale: None,
            no_cache: false,
            no_store: false,
            ..request.clone()
        }
    }

    fn keep(&self, response: &Response, wall: i64, monotonic: i64, delay: i64) -> Kept {
        let wall = i128::from(wall);
        let at = |offset: i64| wall + i128::from(offset);
        let date = response.date.map_or(wall, at);
        let corrected = i128::from(response.age.unwrap_or(0)) + i128::from(delay);
        Kept {
            status: response.status,
            control: response.control.clone().unwrap_or_default(),
            date,
            expires: response.expires.map(at),
            modified: response.modified.map(at),
            tag: response.tag,
            initial_age: corrected.max(wall - date).min(MAX),
            received: monotonic,
        }
    }

    fn stated(kept: &Kept) -> Option<i128> {
        let number = |span: Option<u64>| span.map(|span| i128::from(span).min(MAX));
        let expires = kept.expires.map(|expires| (expires - kept.date).clamp(0, MAX));
        number(kept.control.s_maxage).or(number(kept.control.max_age)).or(expires)
    }

    fn lifetime(&self, kept: &Kept) -> i128 {
        if let (Some(force), 200 | 404) = (self.rules.force, kept.status) {
            return (i128::from(force) + kept.initial_age).min(MAX);
        }
        let rule = self.rules.ttls.first().filter(|_| kept.status == 200);
        let rule = rule.map(|rule| i128::from(rule.seconds));
        let may_guess = kept.status == 200 || kept.status == 302 && kept.control.says("public");
        let guess = kept
            .modified
            .filter(|_| may_guess)
            .map(|modified| ((kept.date - modified) / 10).clamp(0, 86_400));
        Self::stated(kept).or(rule).or(guess).unwrap_or(0)
    }

    fn age(kept: &Kept, now: i64) -> i128 {
        (kept.initial_age + i128::from(now - kept.received)).min(MAX)
    }

    fn ttl(&self, kept: &Kept, now: i64) -> i128 {
        self.lifetime(kept) - Self::age(kept, now)
    }

    fn window(kept: &Kept, stated: Option<u64>, default: Option<u32>) -> i128 {
        let said = |word| kept.control.says(word);
        if said("must-revalidate") || said("proxy-revalidate") || said("no-cache") {
            return 0;
        }
        let default = default.filter(|_| kept.control.s_maxage.is_none());
        stated.map_or(default.map_or(0, i128::from), |stated| i128::from(stated).min(MAX))
    }

    fn swr(&self, kept: &Kept) -> i128 {
        Self::window(kept, kept.control.swr, self.rules.stale)
    }

    fn sie(&self, kept: &Kept) -> i128 {
        Self::window(kept, kept.control.sie, self.rules.stale_if_error).max(self.swr(kept))
    }

    fn is_shared(kept: &Kept, also: &str) -> bool {
        kept.control.says("public") || kept.control.s_maxage.is_some() || kept.control.says(also)
    }

    fn forbids_max_stale(kept: &Kept) -> bool {
        let said = |word| kept.control.says(word);
        said("must-revalidate") || said("proxy-revalidate") || kept.control.s_maxage.is_some()
    }

    fn may_store(&self, request: &Request, response: &Response, kept: &Kept) -> bool {
        let request = self.honours(request);
        let said = |word| kept.control.says(word);
        let forced = self.rules.force.is_some();
        let status = match kept.status {
            200 => true,
            302 => Self::stated(kept).is_some() || said("no-cache") || said("public"),
            404 => Self::stated(kept).is_some() || said("no-cache") || forced,
            _ => false,
        };
        let now = kept.received;
        let validator = kept.tag.is_some() || kept.modified.is_some();
        let max_stale =
            self.rules.client_control && self.lifetime(kept) > 0 && !Self::forbids_max_stale(kept);
        let serves = self.ttl(kept, now) + self.sie(kept) > 0 || max_stale;
        [
            !request.no_store,
            !said("no-store"),
            !said("private"),
            !request.authorization || Self::is_shared(kept, "must-revalidate"),
            !request.cookie || Self::is_shared(kept, "public"),
            !response.set_cookie,
            status,
            validator || serves && !said("no-cache"),
        ]
        .iter()
        .all(|condition| *condition)
    }

    /// Whether the request takes the response as it is, stale or not.
    fn takes(&self, request: &Request, kept: &Kept, now: i64) -> Result<(), Why> {
        let unchanging = kept.control.says("immutable") && self.ttl(kept, now) > 0;
        let young = match request.max_age {
            None => true,
            Some(0) => unchanging,
            Some(most) => Self::age(kept, now) <= i128::from(most).min(MAX),
        };
        let fresh =
            request.min_fresh.is_none_or(|least| self.ttl(kept, now) >= i128::from(least).min(MAX));
        if request.authorization && !Self::is_shared(kept, "must-revalidate") {
            Err(Why::Authorization)
        } else if request.cookie && !Self::is_shared(kept, "public") {
            Err(Why::Cookie)
        } else if kept.control.says("no-cache") {
            Err(Why::NoCache)
        } else if request.no_cache || !young || !fresh {
            Err(Why::Asked)
        } else {
            Ok(())
        }
    }

    fn decide(&self, request: &Request, kept: &Kept, now: i64) -> (Use, bool) {
        let request = self.honours(request);
        if let Err(why) = self.takes(&request, kept, now) {
            return (Use::Validate(why), false);
        }
        let stale = -self.ttl(kept, now);
        if stale < 0 {
            return (Use::Fresh, true);
        }
        let by_client = !Self::forbids_max_stale(kept)
            && match request.max_stale {
                None => false,
                Some(None) => true,
                Some(Some(most)) => stale <= i128::from(most).min(MAX),
            };
        let silent = request.max_age.is_none() && request.min_fresh.is_none();
        let refresh = silent && stale < self.swr(kept);
        let verdict = match (by_client, refresh) {
            (_, true) => Use::StaleRefresh,
            (true, false) => Use::StaleAllowed,
            (false, false) => Use::Validate(Why::Stale),
        };
        (verdict, by_client || silent && stale < self.sie(kept))
    }

    /// What is kept after a 304, or `None` if that is not about it.
    fn freshen(&self, kept: &Kept, step: &Step, wall: i64, monotonic: i64) -> Option<Kept> {
        let newer = self.keep(&step.response, wall, monotonic, step.delay);
        let same = match (newer.tag, newer.modified) {
            (Some(tag), _) => kept.tag == Some(tag),
            (None, Some(modified)) => kept.modified == Some(modified),
            (None, None) => true,
        };
        let asked = kept.tag.is_some() || kept.modified.is_some();
        let merged = Kept {
            status: kept.status,
            control: step.response.control.clone().unwrap_or_else(|| kept.control.clone()),
            expires: newer.expires.or(kept.expires),
            modified: newer.modified.or(kept.modified),
            tag: kept.tag,
            ..newer
        };
        let nobody = Request {
            max_age: None,
            min_fresh: None,
            max_stale: None,
            no_cache: false,
            no_store: false,
            authorization: false,
            cookie: false,
        };
        let may = self.may_store(&nobody, &step.response, &merged);
        (asked && same && may).then_some(merged)
    }
}

fn date(unix: i64) -> String {
    let unix = u64::try_from(unix).expect("after the epoch");
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix))
}

fn response_head(status: u16, response: &Response, wall: i64) -> ResponseHead {
    let mut head = ResponseHead::new(status);
    let mut push = |id, value: String| head.fields.push_id(id, value.as_bytes());
    if let Some(control) = &response.control {
        push(FieldId::CacheControl, control.text());
    }
    for (id, offset) in [
        (FieldId::Date, response.date),
        (FieldId::Expires, response.expires),
        (FieldId::LastModified, response.modified),
    ] {
        offset.into_iter().for_each(|offset| push(id, date(wall + offset)));
    }
    response.age.into_iter().for_each(|age| push(FieldId::Age, age.to_string()));
    response.tag.into_iter().for_each(|tag| push(FieldId::Etag, format!("\"{tag}\"")));
    if response.set_cookie {
        push(FieldId::SetCookie, "a=b".to_owned());
    }
    head
}

fn request_head(request: &Request) -> RequestHead {
    let mut head = RequestHead::default();
    let span = |name: &str, span: Option<u64>| span.map(|span| format!("{name}={span}"));
    let stale = request
        .max_stale
        .map(|most| most.map_or("max-stale".to_owned(), |most| format!("max-stale={most}")));
    let all = [
        request.no_cache.then(|| "no-cache".to_owned()),
        span("max-age", request.max_age),
        request.no_store.then(|| "No-Store".to_owned()),
        span("min-fresh", request.min_fresh),
        stale,
    ];
    // Each on a line of its own: how lines are combined is part of what is tested.
    for directive in all.into_iter().flatten() {
        head.fields.push_id(FieldId::CacheControl, directive.as_bytes());
    }
    if request.authorization {
        head.fields.push_id(FieldId::Authorization, b"Basic YTpi");
    }
    if request.cookie {
        head.fields.push_id(FieldId::Cookie, b"a=b");
    }
    head
}

/// The policy and the model, side by side through one history.
struct Sides {
    model: Model,
    stored: Option<(Meta, ResponseHead)>,
    kept: Option<Kept>,
    monotonic: i64,
    wall: i64,
}

impl Sides {
    fn now(&self) -> Now {
        clocks(self.monotonic, self.wall)
    }

    fn unix(&self) -> i64 {
        i64::try_from(NOW).expect("small") + self.wall
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.monotonic += step.passed;
        self.wall += step.passed + step.jump;
        let asked = Asked::of(&request_head(&step.request), &self.model.rules);
        prop_assert_eq!(self.stored.is_some(), self.kept.is_some());
        if let (Some((meta, _)), Some(kept)) = (&self.stored, &self.kept) {
            let now = self.now();
            prop_assert_eq!(i128::from(meta.age(now)), Model::age(kept, self.monotonic));
            prop_assert_eq!(i128::from(meta.lifetime()), self.model.lifetime(kept));
            let found = (decide(&asked, meta, now), may_serve_on_error(&asked, meta, now));
            let expected = self.model.decide(&step.request, kept, self.monotonic);
            prop_assert_eq!(found, expected, "{:?}", kept);
            if !matches!(found.0, Use::Validate(_) | Use::StaleRefresh) {
                return Ok(());
            }
        }
        self.fetch(step, &asked)
    }

    fn fetch(&mut self, step: &Step, asked: &Asked) -> Result<(), TestCaseError> {
        let requested = self.now();
        self.monotonic += step.delay;
        self.wall += step.delay;
        let (received, unix) = (self.now(), self.unix());
        let rules = &self.model.rules;
        if let (true, Some((meta, head)), Some(kept)) =
            (step.is_unchanged, &mut self.stored, &self.kept)
        {
            let newer = response_head(304, &step.response, unix);
            let found: Result<Meta, Mismatch> =
                freshened(meta, head, &newer, rules, requested, received);
            let expected = self.model.freshen(kept, step, unix, self.monotonic);
            prop_assert_eq!(found.is_ok(), expected.is_some(), "{:?} {:?}", found, kept);
            if let (Ok(found), Some(expected)) = (found, expected) {
                *meta = found;
                self.kept = Some(expected);
                return Ok(());
            }
        }
        let head = response_head(step.response.status, &step.response, unix);
        let verdict = admit(&Method::Get, asked, &head, rules, requested, received);
        let kept = self.model.keep(&step.response, unix, self.monotonic, step.delay);
        let expected = self.model.may_store(&step.request, &step.response, &kept);
        let stored = match verdict {
            Admission::Store(meta) => Some((meta, storable_head(&head, rules, received))),
            Admission::Refuse(_) => None,
        };
        prop_assert_eq!(stored.is_some(), expected, "{:?} {:?}", verdict, kept);
        if expected {
            (self.stored, self.kept) = (stored, Some(kept));
        }
        Ok(())
    }
}

fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..200u64,
        1 => Just(0),
        1 => (1u64 << 31) - 2..(1 << 31) + 2,
        1 => any::<u64>(),
    ]
}

fn control() -> impl Strategy<Value = Control> {
    let words = (0..128u8, 0..128u8, 0..128u8).prop_map(|(a, b, c)| {
        let bits = a & b & c;
        std::array::from_fn(|i| bits & (1 << i) != 0)
    });
    (of(span()), of(span()), of(span()), of(span()), words, 0..3u8).prop_map(
        |(max_age, s_maxage, swr, sie, words, rare)| Control {
            max_age,
            s_maxage: s_maxage.filter(|_| rare == 0),
            swr,
            sie,
            words,
        },
    )
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop_oneof![6 => Just(200u16), 1 => Just(302), 1 => Just(404), 1 => Just(500)];
    let dates = (of(-300..100i64), of(-300..300i64), of(-3_000..100i64));
    let tag = of(0..2u8);
    (status, of(control()), dates, of(span()), tag, prop::bool::weighted(0.05)).prop_map(
        |(status, control, (date, expires, modified), age, tag, set_cookie)| Response {
            status,
            control,
            date,
            expires,
            modified,
            age: age.filter(|age| age % 3 == 0),
            tag,
            set_cookie,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let rarely = || prop::bool::weighted(0.1);
    let spans = (of(span()), of(span()), of(of(span())));
    (spans, rarely(), rarely(), rarely(), rarely(), any::<bool>()).prop_map(
        |((max_age, min_fresh, max_stale), no_cache, no_store, authorization, cookie, plain)| {
            Request {
                max_age: max_age.filter(|_| !plain),
                min_fresh: min_fresh.filter(|span| !plain && span % 2 == 0),
                max_stale: max_stale.filter(|_| !plain),
                no_cache,
                no_store,
                authorization,
                cookie,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let passed = prop_oneof![6 => 0..90i64, 1 => 0..100_000i64, 1 => 0..1i64 << 29];
    let jump = prop_oneof![8 => Just(0i64), 1 => -4_000..4_000i64];
    let delay = prop_oneof![3 => Just(0i64), 1 => 0..20i64];
    (passed, jump, delay, request(), response(), any::<bool>()).prop_map(
        |(passed, jump, delay, request, response, is_unchanged)| Step {
            passed,
            jump,
            delay,
            request,
            response,
            is_unchanged,
        },
    )
}

fn rules() -> impl Strategy<Value = CacheRules> {
    let small = || of(0..100u32);
    (small(), small(), small(), small(), any::<bool>()).prop_map(
        |(ttl, force, stale, stale_if_error, client_control)| CacheRules {
            ttls: ttl
                .map(|seconds| doorman_cache::TtlRule { seconds, statuses: [].into() })
                .into_iter()
                .collect(),
            force: force.filter(|seconds| seconds % 4 == 0),
            stale,
            stale_if_error,
            client_control,
            ..CacheRules::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

    #[test]
    fn histories(rules in rules(), steps in prop::collection::vec(step(), 1..24)) {
        let mut sides =
            Sides { model: Model { rules }, stored: None, kept: None, monotonic: 0, wall: 0 };
        for step in &steps {
            sides.step(step)?;
        }
    }
}
