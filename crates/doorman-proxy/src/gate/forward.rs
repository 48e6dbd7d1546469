//! Another server is asked whether a request may pass.
//!
//! It is asked in any case, whatever the other gates of identity say, and no answer is no permission: a server that is
//! down, slow or says what means nothing closes the door, for as long as it does and no longer.

use std::time::Duration;

use bytes::Bytes;
use doorman_auth::forward::{Meaning, Rules};
use doorman_auth::{Identity, Refusal, Via};
use doorman_http::{FieldId, IpText, Method, RequestHead, Response, ResponseHead, Version};
use doorman_net::{Clock, heads, within_deadline};

use crate::exchange::Exchange;
use crate::metrics::Asked;
use crate::record::End;
use crate::stage::{answer, grpc};
use crate::stop::{Fault, Stop};

/// The field by which a question is known that comes back to the gate that asked it: without it, a server that asks
/// itself would do so until time is over. Who sends it himself is refused, and nobody else.
const ASKS: &[u8] = b"x-doorman-asks";

/// Whom to ask, and what.
pub(crate) struct PlanForward {
    pub(crate) rules: Rules,
    /// Index of the upstream in the plan.
    pub(crate) upstream: usize,
    /// The upstream's name and the target, for people.
    pub(crate) name: Box<str>,
    /// Path and query.
    pub(crate) target: Box<str>,
    /// Whether the question has the method of the request.
    pub(crate) same_method: bool,
    pub(crate) timeout: Duration,
    /// The field of the answer that says who asks.
    pub(crate) user: Option<Box<str>>,
    /// What marks a question of this gate.
    pub(crate) mark: Box<str>,
}

/// What a server answered that was asked.
pub(crate) struct Said {
    pub(crate) head: Box<ResponseHead>,
    /// Its content; `None`: more than anybody is shown.
    pub(crate) content: Option<Bytes>,
}

/// Who brings questions to servers.
pub(crate) trait Asker {
    /// Asks the servers of an upstream on behalf of a request.
    async fn ask(
        &self,
        upstream: usize,
        question: Box<RequestHead>,
        exchange: &Exchange,
    ) -> Result<Said, Fault>;
}

/// Asks about a request, and lets it pass or not.
pub(super) async fn check(
    forward: &PlanForward,
    asker: &impl Asker,
    clock: Clock,
    exchange: &mut Exchange,
) -> Result<(), Stop> {
    let begun = clock.instant();
    let said = match forward.question(exchange) {
        None => Err("it asks itself".to_owned()),
        Some(question) => {
            let asked = asker.ask(forward.upstream, question, exchange);
            match within_deadline(clock, forward.timeout, asked).await {
                Some(Ok(said)) => Ok(said),
                Some(Err(fault)) => {
                    let why = fault.detail();
                    Err(why.unwrap_or_else(|| fault.end().as_str().to_owned()))
                }
                None => Err("no answer in time".to_owned()),
            }
        }
    };
    let judged = match said {
        Ok(said) => forward.judge(said, exchange),
        Err(why) => Err(forward.fault(Refusal::Unavailable, &why)),
    };
    if let Some(place) = &exchange.record().place {
        let outcome = match &judged {
            Ok(()) => Asked::Passed,
            Err(Stop::Answer(_) | Stop::Fault(Fault::Unauthorized(_))) => Asked::Refused,
            Err(Stop::Fault(_)) => Asked::Failed,
        };
        place.counters.asked(outcome, clock.instant().micros_since(begun));
    }
    judged
}

impl PlanForward {
    /// The head of the question about a request; `None` if that is such a question itself.
    fn question(&self, exchange: &Exchange) -> Option<Box<RequestHead>> {
        let seen = &exchange.head;
        if seen.fields.all_named(ASKS).any(|mark| mark == self.mark.as_bytes()) {
            return None;
        }
        let client = exchange.client().map(IpText::new);
        let client = client.as_ref().map_or("", IpText::as_str);
        let mut head = heads::request();
        head.fields = self.rules.question(seen, client, exchange.is_trusted());
        head.fields.push(ASKS, self.mark.as_bytes());
        head.version = Version::Http11;
        head.scheme = seen.scheme;
        if self.same_method && seen.method != Method::Connect {
            head.method = seen.method.clone();
        }
        // Checked with the configuration.
        head.set_path_and_query(self.target.as_bytes()).ok()?;
        Some(head)
    }

    /// What an answer makes of a request.
    fn judge(&self, said: Said, exchange: &mut Exchange) -> Result<(), Stop> {
        let status = said.head.status;
        match Rules::meaning(Some(status)) {
            Meaning::Pass => self.permit(&said.head, exchange),
            Meaning::Refuse if status < 400 && !said.head.fields.has(FieldId::Location) => {
                Err(self.fault(Refusal::BadAnswer, "it redirects to nowhere"))
            }
            Meaning::Refuse => Err(self.refuse(said, exchange)),
            Meaning::Fail(refusal) => Err(self.fault(refusal, &format!("it answered {status}"))),
        }
    }

    fn permit(&self, head: &ResponseHead, exchange: &mut Exchange) -> Result<(), Stop> {
        self.rules
            .permit(&head.fields, &mut exchange.head.fields)
            .map_err(|refusal| self.fault(refusal, "a field cannot be passed on"))?;
        exchange.is_vouched = true;
        let Some(name) = &self.user else { return Ok(()) };
        let mut names = head.fields.all_named(name.as_bytes());
        let identity = match (names.next(), names.next()) {
            (None, _) => return Ok(()),
            (Some(user), None) => {
                let user = std::str::from_utf8(user).ok();
                user.and_then(|user| Identity::named(user, Via::Forward))
            }
            (Some(_), Some(_)) => None,
        };
        let identity = identity.ok_or_else(|| {
            self.fault(Refusal::BadAnswer, "it does not say who asks in one name")
        })?;
        if exchange.identity.is_none() {
            exchange.record().user = Some(identity.user.clone());
            exchange.identity = Some(identity.into());
        }
        Ok(())
    }

    /// The answer that the client gets in place of what it asked for.
    fn refuse(&self, said: Said, exchange: &mut Exchange) -> Stop {
        let status = said.head.status;
        // A client that has shown nothing has only not been asked yet.
        let had_shown = exchange.head.fields.has(FieldId::Authorization);
        exchange.record().auth_failed = status == 401 && had_shown;
        if grpc::is_call(&exchange.head) {
            let refusal = if status == 403 { Refusal::NotAllowed } else { Refusal::NoCredentials };
            return Stop::Fault(Fault::Unauthorized(refusal));
        }
        let record = exchange.record();
        record.end = End::Unauthorized;
        record.detail = Some(format!("forward-auth {} answered {status}", self.name));
        let Said { head: answered, content } = said;
        let has_content = content.as_ref().is_some_and(|content| !content.is_empty());
        let mut response: Response = answer::plain(status, content.unwrap_or_default());
        let fields = &mut response.head.fields;
        for (name, value) in self.rules.shown(&answered.fields) {
            let is_of_content = FieldId::of(name) == FieldId::ContentType;
            if has_content || !is_of_content {
                fields.push(name, value);
            }
        }
        // A coding that nobody asked for.
        let coding = answered.fields.all(FieldId::ContentEncoding).filter(|_| has_content);
        coding.for_each(|coding| {
            fields.push_id(FieldId::ContentEncoding, coding);
        });
        // Said of one client now: no cache may say it of others, nor a browser tomorrow.
        fields.remove_id(FieldId::CacheControl);
        fields.push_id(FieldId::CacheControl, b"no-store");
        heads::reuse_response(answered);
        Stop::Answer(Box::new(response))
    }

    fn fault(&self, refusal: Refusal, why: &str) -> Stop {
        Stop::Fault(Fault::Unasked(refusal, format!("forward-auth {}: {why}", self.name).into()))
    }
}
