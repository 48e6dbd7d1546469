//! What becomes of an origin's answer: it is stored, it says that what is stored still holds, or it
//! passes.

use std::sync::Arc;
use std::time::Duration;

use doorman_cache::{
    Admission, Cookies, Forward, Handled, NotStored, PackedHead, Precondition, SetCookie, Use,
    Vary, admit, condition, decide, evaluate, freshened, freshened_by_head, may_serve_on_error,
    normal_accept_encoding, not_modified, storable_head, strip_for_fill,
};
use doorman_http::{Body, FieldId, Length, Method, Now, RequestHead, ResponseHead};
use doorman_net::Net;
use doorman_net::dial::Answer;
use doorman_store::{Lead, NotKept, Object, Parts};

use super::fill::{self, Held};
use super::tell::Told;
use super::{Sought, serve, tell};
use crate::exchange::Exchange;
use crate::house::Proxy;
use crate::record::Cached;
use crate::stop::{Fault, Stop};

/// For how long requests for a URL do not wait for each other after an answer proved to be for one
/// client alone. The next answer that can be stored ends it.
const UNCACHEABLE: Duration = Duration::from_secs(60);

/// A question to the origin, and what is to be done with its answer.
pub(crate) struct Slot {
    lead: Lead,
    /// What is stored and will not do by itself.
    stored: Option<Arc<Object>>,
    why: Forward,
    /// Whether the origin is asked whether `stored` still holds.
    is_conditional: bool,
    /// Whether the client's own conditions and ranges go to the origin: the answer is for it alone.
    is_own: bool,
    requested: Now,
}

impl Slot {
    /// A question whose answer is for this client alone: its conditions and ranges go along, and nobody
    /// waits for it. A whole answer is stored all the same.
    pub(super) fn alone(
        lead: Lead,
        stored: Option<Arc<Object>>,
        why: Forward,
        sought: &mut Sought<'_>,
        exchange: &mut Exchange,
        now: Now,
    ) -> Self {
        sought.give_conditions_back(&mut exchange.head);
        standardise_codings(&mut exchange.head);
        Self { lead, stored, why, is_conditional: false, is_own: true, requested: now }
    }

    /// A question on behalf of all: what only this client wants is taken off, and what is stored is
    /// named to the origin.
    pub(super) fn lead(
        lead: Lead,
        stored: Option<Arc<Object>>,
        why: Forward,
        sought: &mut Sought<'_>,
        exchange: &mut Exchange,
        now: Now,
    ) -> Self {
        sought.keep_conditions(&exchange.head);
        let head = &mut exchange.head;
        let known = stored.as_ref().filter(|_| !sought.is_mistaken);
        let known = known.filter(|object| object.meta().has_validator());
        let known = known.map(|object| unpacked(object));
        match &known {
            Some(known) => condition(known, head),
            None => strip_for_fill(head),
        }
        standardise_codings(head);
        let is_conditional = known.is_some();
        Self { lead, stored, why, is_conditional, is_own: false, requested: now }
    }

    /// A question for a slice, of which the answer is the whole.
    pub(crate) const fn whole(lead: Lead, requested: Now) -> Self {
        let why = Forward::UriMiss;
        Self { lead, stored: None, why, is_conditional: false, is_own: false, requested }
    }

    /// Takes the origin's answer. `None`: it must be asked once more.
    pub(crate) fn take<N: Net>(
        self,
        proxy: &Proxy<N>,
        sought: &mut Sought<'_>,
        upstream: usize,
        asked: Result<Answer, Fault>,
        exchange: &mut Exchange,
    ) -> Result<Taken, Stop> {
        let now = proxy.core.clock.now();
        let answer = match asked {
            Ok(answer) => answer,
            Err(fault) => {
                let may_stand_in = !fault.is_refusal();
                let stale = may_stand_in.then(|| self.stale(sought, exchange, now)).flatten();
                self.lead.fail();
                return stale.map(Taken::Answer).ok_or(Stop::Fault(fault));
            }
        };
        let status = answer.head.status;
        if matches!(status, 500 | 502 | 503 | 504)
            && let Some(stale) = self.stale(sought, exchange, now)
        {
            self.lead.fail();
            return Ok(Taken::Answer(stale));
        }
        if upstream != sought.upstream {
            // Another upstream stood in: what it says is not to be told in the first one's name, nor
            // does it know what that one has given.
            if status == 304 && self.is_conditional {
                sought.is_mistaken = true;
                return Ok(Taken::Again);
            }
            return Ok(self.pass(sought, answer, NotStored::Bypass, exchange, now));
        }
        if sought.is_head {
            self.head_answered(sought, &answer, now);
        }
        if status == 304 && self.is_conditional {
            return Ok(self.validated(sought, answer, exchange, now));
        }
        match self.admission(sought, &answer, exchange, now) {
            Ok(stored) => Ok(self.store(sought, answer, stored, exchange, now)),
            Err(why) => Ok(self.pass(sought, answer, why, exchange, now)),
        }
    }

    /// Whether an answer, or that there is none, leaves what is stored as the answer.
    pub(crate) fn still_holds<N: Net>(
        self,
        proxy: &Proxy<N>,
        sought: &mut Sought<'_>,
        asked: Result<Answer, Fault>,
    ) -> Result<Holds, Fault> {
        let now = proxy.core.clock.now();
        let may_stand_in =
            |object: &Arc<Object>| may_serve_on_error(&sought.asked, &object.meta(), now);
        let stale = self.stored.clone().filter(may_stand_in);
        let is_refused = asked.as_ref().err().is_some_and(Fault::is_refusal);
        let answer = match (asked, stale.filter(|_| !is_refused)) {
            (Err(fault), None) => {
                self.lead.fail();
                return Err(fault);
            }
            (Err(_), Some(stale)) => {
                self.lead.fail();
                return Ok(Holds::Object(stale));
            }
            (Ok(answer), Some(stale)) if matches!(answer.head.status, 500 | 502..=504) => {
                self.lead.fail();
                return Ok(Holds::Object(stale));
            }
            (Ok(answer), _) => answer,
        };
        if answer.head.status != 304 || !self.is_conditional {
            return Ok(Holds::Other(self, answer));
        }
        Ok(self.freshened(sought, &answer, now).map_or(Holds::Mistaken, Holds::Object))
    }

    /// When the origin was asked.
    pub(crate) const fn requested(&self) -> Now {
        self.requested
    }

    /// The right to fetch.
    pub(super) fn into_lead(self) -> Lead {
        self.lead
    }

    /// Nothing is stored, and others need not wait; it says nothing about later answers.
    pub(super) fn give_up(self, why: NotStored, now: Now) {
        self.lead.refuse(why, Duration::ZERO, now);
    }

    /// What is stored, in place of an answer that did not come (RFC 9111 section 4.2.4).
    fn stale(&self, sought: &Sought<'_>, exchange: &mut Exchange, now: Now) -> Option<Answer> {
        let object = self.stored.as_ref()?;
        if !may_serve_on_error(&sought.asked, &object.meta(), now)
            || !serve::is_readable(object, exchange)
        {
            return None;
        }
        serve::serve(sought, exchange, object, &Told::hit(Cached::Stale, Some(tell::ERROR)))
    }

    /// The origin says that what is stored still holds (RFC 9111 section 4.3.4).
    fn validated(
        self,
        sought: &mut Sought<'_>,
        answer: Answer,
        exchange: &mut Exchange,
        now: Now,
    ) -> Taken {
        let why = self.why;
        let Some(object) = self.freshened(sought, &answer, now) else {
            // It speaks of something else: what is stored is no answer, so the whole is fetched.
            sought.is_mistaken = true;
            return Taken::Again;
        };
        drop(answer);
        let told = Told::forwarded(Cached::Revalidated, why, Some(304));
        serve::serve(sought, exchange, &object, &told).map_or(Taken::Again, Taken::Answer)
    }

    /// What is stored, brought up to date. `None` if the answer is not about it.
    fn freshened(self, sought: &Sought<'_>, answer: &Answer, now: Now) -> Option<Arc<Object>> {
        let stored = self.stored.clone()?;
        let rules = &sought.cache.rules;
        let mut head = unpacked(&stored);
        let meta =
            freshened(&stored.meta(), &mut head, &answer.head, rules, self.requested, now).ok()?;
        let head = PackedHead::pack(&head)?;
        Some(self.lead.freshen(&stored, head, meta))
    }

    /// Whether an answer is stored, and as what.
    fn admission(
        &self,
        sought: &Sought<'_>,
        answer: &Answer,
        exchange: &Exchange,
        now: Now,
    ) -> Result<Stored, NotStored> {
        let cache = sought.cache;
        let (head, rules) = (&answer.head, &cache.rules);
        let method = if sought.is_head { &Method::Head } else { &Method::Get };
        let meta = match admit(method, &sought.asked, head, rules, self.requested, now) {
            Admission::Store(meta) => meta,
            Admission::Refuse(why) => return Err(why),
        };
        if cache.min_uses > 1 && cache.store.seen(&sought.key) < cache.min_uses {
            return Err(NotStored::TooFewUses);
        }
        let vary = Vary::of(head).map_err(|_| NotStored::VaryStar)?;
        let vary = vary.without(&cache.vary_ignore);
        let packed = PackedHead::pack(&storable_head(head, rules, now));
        Ok(Stored {
            meta,
            selector: sought.chooser(&exchange.head).selector(&vary),
            head: packed.ok_or(NotStored::TooLarge)?,
        })
    }

    fn store(
        self,
        sought: &Sought<'_>,
        answer: Answer,
        stored: Stored,
        exchange: &mut Exchange,
        now: Now,
    ) -> Taken {
        let cache = sought.cache;
        let tags = tags(&cache.tags, &answer.head);
        let parts =
            Parts { selector: &stored.selector, tags: &tags, head: stored.head, meta: stored.meta };
        let declared = match answer.body.length() {
            Length::Absent => Some(0),
            Length::Known(length) => Some(length),
            Length::Unknown => None,
        };
        let tags_it = cache.etag && lacks_validator(&answer.head);
        let mut filling = match self.lead.fill(parts, declared, cache.rules.max_object, now) {
            Ok(filling) => filling,
            Err(NotKept::Superseded) => {
                return passed(sought, answer, self.why, "superseded", self.is_own, exchange);
            }
            Err(_) => {
                let why = NotStored::TooLarge.word();
                return passed(sought, answer, self.why, why, self.is_own, exchange);
            }
        };
        if tags_it {
            filling.tag_by_content();
        }
        let object = Arc::clone(filling.object());
        let held = Held::of(exchange.record());
        let Answer { mut head, body } = answer;
        // An origin that was shown no cookies sets one for a client that it does not know: it would take
        // the place of the one that this client has.
        if cache.rules.set_cookie == SetCookie::Strip && cache.rules.cookies == Cookies::Ignore {
            head.fields.remove_id(FieldId::SetCookie);
        }
        let status = head.status;
        let told = Told::forwarded(Cached::Miss, self.why, Some(status));
        // Whom the origin has answered gets its own head: some of it may be for nobody else.
        let served = serve::with_head(sought, exchange, &object, head, &told);
        fill::start(filling, body, held);
        served.map_or(Taken::Again, Taken::Answer)
    }

    /// An answer to HEAD says something of what is stored: that it still holds, or that it does not
    /// (RFC 9111 section 4.3.5).
    fn head_answered(&self, sought: &Sought<'_>, answer: &Answer, now: Now) {
        let Some(stored) = &self.stored else { return };
        // What a client is told of a page of its own says nothing of what others are given, and what
        // it wants nowhere stored is not stored by parts either.
        let used = decide(&sought.asked, &stored.meta(), now);
        let is_own = matches!(used, Use::Validate(why) if why.is_personal());
        if is_own || sought.asked.no_store {
            return;
        }
        let mut head = unpacked(stored);
        let rules = &sought.cache.rules;
        let length = stored.length();
        match freshened_by_head(&mut head, &answer.head, length, rules, self.requested, now) {
            Ok(meta) => {
                if let Some(head) = PackedHead::pack(&head) {
                    sought.cache.store.update_head(stored, head, meta);
                }
            }
            Err(_) if answer.head.status == 200 => stored.outdate(),
            Err(_) => {}
        }
    }

    /// The answer goes to the client and is not stored.
    fn pass(
        self,
        sought: &mut Sought<'_>,
        answer: Answer,
        why: NotStored,
        exchange: &mut Exchange,
        now: Now,
    ) -> Taken {
        let Self { lead, is_own, why: forward, .. } = self;
        // What was asked for without a method, a body or enough uses that could be stored says nothing
        // about the URL. Nor does an error, which somebody may have provoked for the others.
        let says_nothing = matches!(
            why,
            NotStored::Method
                | NotStored::RequestNoStore
                | NotStored::TooFewUses
                | NotStored::Partial
                | NotStored::Status(400..)
        ) || (is_own && answer.head.status == 304);
        let keep = if says_nothing { Duration::ZERO } else { UNCACHEABLE };
        if sought.chooser(&exchange.head).is_personal() {
            lead.refuse_personal(why, keep, now);
        } else {
            lead.refuse(why, keep, now);
        }
        // A client that wants a part of something that cannot be stored must not be sent the whole.
        if !is_own && answer.head.status == 200 && sought.wants_part(&exchange.head) {
            sought.is_own = true;
            return Taken::Again;
        }
        passed(sought, answer, forward, why.word(), is_own, exchange)
    }
}

/// Whether a whole representation comes without anything that clients could ask by whether it has
/// changed. What we then tag it with is never said to its origin: it has no validator for that.
fn lacks_validator(head: &ResponseHead) -> bool {
    head.status == 200 && !head.fields.has(FieldId::Etag) && !head.fields.has(FieldId::LastModified)
}

/// The tags that a response names in these fields.
pub(super) fn tags<'h>(names: &'h [Box<str>], head: &'h ResponseHead) -> Vec<&'h [u8]> {
    let lines = names.iter().flat_map(|name| head.fields.all_named(name.as_bytes()));
    let words = lines.flat_map(|line| line.split(|b| b", \t".contains(b)));
    words.filter(|tag| !tag.is_empty()).collect()
}

/// The head of a stored response.
pub(super) fn unpacked(object: &Object) -> ResponseHead {
    let mut head = ResponseHead::new(200);
    object.head().unpack(&mut head);
    head
}

/// What is stored of an answer.
struct Stored {
    meta: doorman_cache::Meta,
    selector: Vec<u8>,
    head: PackedHead,
}

/// What an origin's word says of what is stored.
pub(crate) enum Holds {
    /// It is the answer.
    Object(Arc<Object>),
    /// There is another.
    Other(Slot, Answer),
    /// It speaks of something else.
    Mistaken,
}

/// Where an origin's answer has led.
pub(crate) enum Taken {
    /// To the client's.
    Answer(Answer),
    /// Nowhere: the origin must be asked once more.
    Again,
}

/// An answer on its way to a client that is not stored. The client's own conditions count still.
fn passed(
    sought: &Sought<'_>,
    mut answer: Answer,
    forward: Forward,
    why: &'static str,
    is_own: bool,
    exchange: &mut Exchange,
) -> Taken {
    let record = exchange.record();
    (record.cached, record.cache_reason) = (Some(Cached::Refused), Some(why));
    let status = Some(answer.head.status);
    if !is_own && answer.head.status == 200 {
        let client = sought.client(&exchange.head);
        if client.is_some_and(|client| evaluate(client, &answer.head) == Precondition::NotModified)
        {
            let head = not_modified(&answer.head);
            answer = Answer { head: Box::new(head), body: Body::empty() };
        }
    }
    let handled = Handled::Forwarded { why: forward, status, stored: false, collapsed: false };
    tell::status(sought, &mut answer.head, handled, None, Some(why));
    Taken::Answer(answer)
}

/// All who take the same codings ask for them alike: variants are told apart by no more.
fn standardise_codings(head: &mut RequestHead) {
    if let Some(codings) = normal_accept_encoding(head) {
        head.fields.remove_id(FieldId::AcceptEncoding);
        head.fields.push_id(FieldId::AcceptEncoding, &codings);
    }
}
