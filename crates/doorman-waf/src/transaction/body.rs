//! Bodies, as far as they are held back and looked at.

use super::outcome::{Fault, FaultKind, How, Refusal, Verdict};
use super::seen::media_type;
use super::{EngineMode, OnError, Phase, Transaction};
use crate::body::{self, Bounds, Reader};
use crate::rule::{OverLimit, Processor};

/// A request's body while it comes.
#[derive(Debug)]
pub(super) struct Intake {
    reader: Option<Reader>,
    raw: Option<Vec<u8>>,
    /// Bytes that are still looked at.
    left: u64,
}

/// How a body of this type is read if no rule says otherwise.
pub(super) fn processor(content_type: &[u8]) -> Option<Processor> {
    match media_type(content_type).as_slice() {
        b"application/x-www-form-urlencoded" => Some(Processor::UrlEncoded),
        b"multipart/form-data" => Some(Processor::Multipart),
        _ => None,
    }
}

impl Transaction {
    /// How many bytes of the request's body are to be held back until phase 2 has its verdict; `None`
    /// if none are looked at. It is known once phase 1 has run.
    #[must_use]
    pub fn wants_request_body(&self) -> Option<u64> {
        let controls = &self.live.controls;
        let wanted = controls.request_body && self.is_looking(Phase::RequestBody);
        let files = controls.processor == Some(Processor::Multipart);
        let without_files = self.engine.rules().settings.request_body_no_files_limit;
        let limit = controls.request_body_limit;
        wanted.then_some(if files { limit } else { limit.min(without_files) })
    }

    /// Takes a piece of the request's body. What is not looked at is counted.
    ///
    /// # Errors
    /// A refusal: the body is longer than it may be.
    pub fn request_body(&mut self, data: &[u8]) -> Result<(), Verdict> {
        self.seen.request.body.length += data.len() as u64;
        let Some(limit) = self.wants_request_body() else { return Ok(()) };
        let mut intake = match self.intake.take() {
            Some(intake) => intake,
            None => self.intake(limit),
        };
        let (taken, rest) = data.split_at(within(intake.left, data));
        intake.left -= taken.len() as u64;
        if let Some(reader) = &mut intake.reader {
            reader.feed(taken);
        }
        if let Some(raw) = &mut intake.raw {
            raw.extend_from_slice(taken);
        }
        self.intake = Some(intake);
        if rest.is_empty() || std::mem::replace(&mut self.seen.request.body.over, true) {
            return Ok(());
        }
        let action = self.engine.rules().settings.request_over_limit;
        self.over(FaultKind::RequestBodyOverLimit, Phase::RequestBody, action, 413)
    }

    /// How many bytes of the response's body are to be held back until phase 4 has its verdict; `None`
    /// if none are looked at. It is known once phase 3 has run.
    #[must_use]
    pub fn wants_response_body(&self) -> Option<u64> {
        let controls = &self.live.controls;
        let media = media_type(self.seen.response.content_type().unwrap_or_default());
        let listed = &self.engine.rules().settings.response_types;
        let wanted = controls.response_body
            && self.is_looking(Phase::ResponseBody)
            && listed.iter().any(|each| each.as_bytes() == media);
        wanted.then_some(controls.response_body_limit)
    }

    /// Takes a piece of the response's body. What is not looked at is counted.
    ///
    /// # Errors
    /// A refusal: the body is longer than it may be.
    pub fn response_body(&mut self, data: &[u8]) -> Result<(), Verdict> {
        self.seen.response.length += data.len() as u64;
        let Some(limit) = self.wants_response_body() else { return Ok(()) };
        let body = self.seen.response.body.get_or_insert_default();
        let left = limit.saturating_sub(body.len() as u64);
        let (taken, rest) = data.split_at(within(left, data));
        body.extend_from_slice(taken);
        if rest.is_empty() || std::mem::replace(&mut self.seen.response.over, true) {
            return Ok(());
        }
        let action = self.engine.rules().settings.response_over_limit;
        self.over(FaultKind::ResponseBodyOverLimit, Phase::ResponseBody, action, 500)
    }

    /// Ends the request's body: what it said is known to phase 2.
    pub(super) fn end_request_body(&mut self) {
        let Some(intake) = self.intake.take() else { return };
        let body = &mut self.seen.request.body;
        let read = if body.over { Reader::cut } else { Reader::finish };
        body.read = intake.reader.map(read).unwrap_or_default();
        body.raw = intake.raw;
    }

    /// Decides about a request that was not read as a whole, and that no rule has refused: a rule may
    /// have passed only because it did not see what there is.
    pub(super) fn judge_reading(&mut self) -> Verdict {
        let read = &self.seen.request.body.read;
        let partial = self.engine.rules().settings.request_over_limit == OverLimit::Partial;
        // That a body may be looked at in part says nothing of the query.
        let query_over = self.seen.request.query_over;
        let (kind, tolerated) = match &read.fault {
            Some(body::Fault::Malformed(_)) => (FaultKind::BodyMalformed, false),
            Some(body::Fault::Over(_)) => (FaultKind::BodyOverBounds, partial && !query_over),
            None if query_over => (FaultKind::BodyOverBounds, false),
            None => return Verdict::Pass,
        };
        let phase = Phase::RequestBody;
        let journal = &self.live.journal;
        let would = journal.would_refuse.as_ref().is_some_and(|refusal| refusal.phase == phase);
        if would || self.live.controls.mode == EngineMode::Off {
            return Verdict::Pass;
        }
        self.live.journal.fault(Fault { kind, rule: None, phase });
        if tolerated || self.engine.options().on_error == OnError::Open {
            return Verdict::Pass;
        }
        self.refuse(Refusal { rule: 0, status: 400, how: How::Deny, phase })
    }

    /// What a request's body is read with. REQUEST_BODY is made where nothing else is made of the
    /// body's structure, or where a rule has forced it.
    fn intake(&self, limit: u64) -> Intake {
        let controls = &self.live.controls;
        let bounds = Bounds::of(&self.engine.rules().settings);
        let content_type = self.seen.request.content_type();
        let reader = controls.processor.map(|p| Reader::new(p, content_type, &bounds));
        let structured = match controls.processor {
            // Of others there may be parts that are no arguments.
            Some(Processor::Multipart) => body::is_form(content_type),
            Some(Processor::Json | Processor::Xml) => true,
            Some(Processor::UrlEncoded | Processor::Raw) | None => false,
        };
        let raw = (!structured || controls.force_request_body).then(Vec::new);
        Intake { reader, raw, left: limit }
    }

    /// Whether rules will be run on what is told for this phase.
    fn is_looking(&self, phase: Phase) -> bool {
        self.live.controls.mode != EngineMode::Off
            && self.live.journal.refused.is_none()
            && self.is_due(phase)
    }

    /// Refuses a body that is longer than it may be, if that is what is to be done.
    fn over(
        &mut self,
        kind: FaultKind,
        phase: Phase,
        action: OverLimit,
        status: u16,
    ) -> Result<(), Verdict> {
        self.live.journal.fault(Fault { kind, rule: None, phase });
        if action == OverLimit::Partial {
            return Ok(());
        }
        match self.refuse(Refusal { rule: 0, status, how: How::Deny, phase }) {
            Verdict::Pass => Ok(()),
            refused @ Verdict::Refuse(_) => Err(refused),
        }
    }

    /// Refuses where no rule does.
    fn refuse(&mut self, refusal: Refusal) -> Verdict {
        self.live.refuse(refusal);
        self.verdict()
    }
}

/// How much of a piece is within so many bytes.
fn within(left: u64, data: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(data.len())
}
