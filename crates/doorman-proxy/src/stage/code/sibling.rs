//! Other forms of stored answers: each is coded once, whoever asks for it, and then served like what is
//! stored.
//!
//! What shaped it: the first who wants a form has it made by a task at the level for answers as they
//! pass, and reads it while it is made, as does everybody who comes meanwhile. From its second hit on it
//! is made once more, at the level for what is kept, by threads that no request waits for. Once it is
//! whole, its head is kept finished beside it, so that a hit on it costs what any hit does.

use std::sync::Arc;

use doorman_http::coding::Coding;
use doorman_http::{Body, Length, ResponseHead};
use doorman_net::dial::Answer;
use doorman_store::{Form, Kin, Object, ObjectReader, Sibling, Store};
use doorman_transform::negotiate::choose;
use doorman_transform::{Codings, Verdict, coded_head, eligible, varied_head};

use super::{Desk, better, maker};
use crate::exchange::Exchange;
use crate::form::{Content, coded};
use crate::plan::{PlanCode, PlanCompress};

/// The form was made and is not smaller than what it was made of.
pub(super) const LARGER: u8 = 1;
/// Why a form is not served that was of no use, in the log.
const REFUSED: &str = "larger";

/// A form of a stored answer for which nothing is to be done any more.
pub(crate) struct Ready {
    pub(crate) coding: Coding,
    pub(crate) sibling: Arc<Sibling>,
}

/// The form that a client is served, and its head in `head`, if both are there.
pub(crate) fn ready(
    code: &PlanCode,
    exchange: &Exchange,
    object: &Arc<Object>,
    head: &mut ResponseHead,
) -> Option<Ready> {
    let (asked, compress) = (exchange.coding?, code.compress.as_ref()?);
    // What else is in the request that forbids it is looked for on the longer way.
    if !asked.is_plain() {
        return None;
    }
    let coding = choose(&asked.accept, compress.rules().offered)?;
    let Some(Kin::Here(sibling)) = object.sibling(coded(coding)) else { return None };
    let is_ready = !sibling.wants_better() && sibling.unpack_head(object, compress.stamp, head);
    is_ready.then_some(Ready { coding, sibling })
}

/// Whether a stored answer that the client cannot read as it is can be given a form that it reads.
pub(crate) fn can_be_read(code: &PlanCode, exchange: &Exchange, object: &Object) -> bool {
    let Some(asked) = &exchange.coding else { return false };
    let mut head = ResponseHead::new(200);
    object.head().unpack(&mut head);
    match Codings::of(&head.fields) {
        Codings::None => code.compress.as_ref().is_some_and(|compress| {
            let length = object.length().map_or(Length::Unknown, Length::Known);
            matches!(eligible(asked, &head, length, &compress.rules()), Verdict::Code(_))
        }),
        Codings::One(_) | Codings::Two(..) => code.decompress.is_some() && asked.may_change(&head),
        Codings::Other => false,
    }
}

/// A form that a client is to be given of a stored answer.
pub(super) struct Wanted<'a> {
    pub(super) compress: &'a PlanCompress,
    pub(super) coding: Coding,
    pub(super) store: &'a Arc<Store>,
    pub(super) object: &'a Arc<Object>,
    /// The smaller form of its content that is coded, if that is not the body itself.
    pub(super) formed: Option<&'a (Content, Arc<Sibling>)>,
}

/// What a form is coded of.
#[derive(Clone)]
pub(super) enum Original {
    /// The stored body.
    Object(Arc<Object>),
    /// A smaller form of its content.
    Form(Arc<Sibling>),
}

impl Original {
    /// Its length, bytes; `None` while it comes.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Object(object) => object.length(),
            Self::Form(sibling) => sibling.length(),
        }
    }

    /// All of it, as it comes; `None` if it is not in memory.
    pub(super) fn read(&self) -> Option<ObjectReader> {
        match self {
            Self::Object(object) => object.read(0..u64::MAX),
            Self::Form(sibling) => sibling.read(0..u64::MAX),
        }
    }
}

impl Wanted<'_> {
    /// Gives an answer from the store its coded form. `Err`: it must be coded as it passes.
    pub(super) fn answer(
        &self,
        desk: &Desk<'_>,
        exchange: &mut Exchange,
        mut answer: Answer,
        dice: impl Fn() -> u64,
    ) -> Result<Answer, Answer> {
        let is_head = exchange.coding.is_some_and(|asked| asked.is_head);
        let (mut kin, mut own) = (self.find(), None);
        if kin.is_none() && !is_head {
            own = self.make(desk, dice);
            // It may be whole already, or somebody else makes it.
            kin = self.find();
        }
        match kin {
            Some(Kin::Refused(_)) => {
                exchange.record().code_reason = Some(REFUSED);
                varied_head(&mut answer.head);
                return Ok(answer);
            }
            Some(Kin::Here(sibling)) if is_head => {
                coded_head(&mut answer.head, self.coding);
                answer.head.declared_length = sibling.length();
            }
            Some(Kin::Here(sibling)) => {
                let Some(body) = body(&sibling, own) else { return Err(answer) };
                coded_head(&mut answer.head, self.coding);
                answer.body = body;
                if sibling.length().is_some() {
                    self.keep_head(&sibling);
                    better::ask_for(desk, self, &sibling);
                }
            }
            // GET would be told this, and nothing of its length.
            None if is_head => coded_head(&mut answer.head, self.coding),
            None => {
                let Some(own) = own else { return Err(answer) };
                coded_head(&mut answer.head, self.coding);
                answer.body = Body::pulled(Box::new(own), Length::Unknown);
            }
        }
        exchange.record().kept_coding = Some(self.coding);
        Ok(answer)
    }

    pub(super) fn form(&self) -> Form {
        let content = self.formed.map_or(0, |(content, _)| content.form().0);
        Form(content | coded(self.coding).0)
    }

    pub(super) fn original(&self) -> Original {
        match self.formed {
            None => Original::Object(Arc::clone(self.object)),
            Some((_, sibling)) => Original::Form(Arc::clone(sibling)),
        }
    }

    fn find(&self) -> Option<Kin> {
        let is_cut = |kin: &Kin| matches!(kin, Kin::Here(sibling) if sibling.is_cut());
        self.object.sibling(self.form()).filter(|kin| !is_cut(kin))
    }

    /// Has it made, and gives a reader of it, if nobody else makes it.
    fn make(&self, desk: &Desk<'_>, dice: impl Fn() -> u64) -> Option<ObjectReader> {
        let making = self.store.make(self.object, self.form())?;
        let original = self.original();
        let body = original.read()?;
        // Before it is made: what finds no room can be joined by nobody then.
        let own = making.sibling().read(0..u64::MAX);
        let coder = super::coder(desk, self.compress, self.coding, original.length(), dice);
        maker::start(making, body, coder, desk);
        own
    }

    /// Keeps the head for later hits: it is that of the object, whatever this answer's was. Smaller forms
    /// have theirs made each time.
    fn keep_head(&self, sibling: &Arc<Sibling>) {
        if self.formed.is_some() {
            return;
        }
        let (object, stamp) = (self.object, self.compress.stamp);
        let mut head = ResponseHead::new(200);
        if !sibling.unpack_head(object, stamp, &mut head) {
            object.head().unpack(&mut head);
            coded_head(&mut head, self.coding);
            sibling.keep_head(object, stamp, &head);
        }
    }
}

/// The body that a form is sent as: all of it if it is here, else as it comes.
fn body(sibling: &Arc<Sibling>, own: Option<ObjectReader>) -> Option<Body> {
    if let Some(whole) = sibling.whole() {
        return Some(Body::whole(whole));
    }
    let length = sibling.length().map_or(Length::Unknown, Length::Known);
    // What is whole is read from there: its length is known.
    let reader = own.filter(|_| length == Length::Unknown).or_else(|| sibling.read(0..u64::MAX))?;
    Some(Body::pulled(Box::new(reader), length))
}
