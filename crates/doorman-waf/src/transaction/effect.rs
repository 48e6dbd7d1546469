//! What a match does at once.

use std::borrow::Cow;
use std::sync::Arc;

use super::live::{At, Stop, capture_index};
use super::named::lower;
use super::run::Run;
use super::store::Change;
use crate::operator::number;
use crate::rule::{Collection, Effect, Rule, SetTo, Template};

impl Run<'_> {
    /// Makes all effects of a link, in the order written.
    pub(crate) fn effects(&mut self, at: At<'_>) -> Result<(), Stop> {
        let rule = at.rule;
        for (index, effect) in rule.links[at.link].effects.iter().enumerate() {
            match effect {
                Effect::Set { collection, name, to } => self.set(rule, *collection, name, to)?,
                Effect::Expire { collection, name, after } => {
                    self.expire(rule, *collection, name, after)?;
                }
                Effect::Open { collection, key } => self.open(rule, *collection, key)?,
                Effect::Environment { name, value } => {
                    let name = self.expanded(rule, name)?;
                    let value = self.expanded(rule, value)?;
                    let now = self.live.seconds();
                    self.live.environment.set(&name, value.into_owned(), now);
                }
                Effect::Control(control) => self.live.controls.apply(at, index, control),
                Effect::Redact(_) => self.live.journal.redact(at, index),
                Effect::RedactMatched => {
                    if let Some(matched) = self.live.matched_vars.last() {
                        self.live.journal.redact_matched(matched);
                    }
                }
            }
            self.live.budget.allows(self.live.written())?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        rule: &Arc<Rule>,
        collection: Collection,
        name: &Template,
        to: &SetTo,
    ) -> Result<(), Stop> {
        let name = self.expanded(rule, name)?;
        let text = match to {
            SetTo::Value(text) | SetTo::Add(text) | SetTo::Subtract(text) => {
                self.expanded(rule, text)?
            }
            SetTo::Unset => Cow::Borrowed(&b""[..]),
        };
        let change = match to {
            SetTo::Value(_) => Change::Set(&text),
            SetTo::Add(_) => Change::Add(number(&text)),
            SetTo::Subtract(_) => Change::Add(number(&text).saturating_neg()),
            SetTo::Unset => Change::Unset,
        };
        match collection {
            Collection::Tx => self.set_tx(&name, &change),
            _ => self.change(collection, &name, &change),
        }
        self.reuse(text);
        Ok(())
    }

    fn set_tx(&mut self, name: &[u8], change: &Change<'_>) {
        let live = &mut *self.live;
        let now = live.seconds();
        let lower = lower(name);
        let value = match change {
            Change::Set(value) => Some(value.to_vec()),
            Change::Add(difference) => {
                if is_score(&lower) {
                    live.score = live.score.saturating_add(*difference);
                }
                let before = number(live.tx.get(&lower, now).unwrap_or_default());
                Some(before.saturating_add(*difference).to_string().into_bytes())
            }
            Change::Unset | Change::Expire(_) => None,
        };
        match (capture_index(&lower), value) {
            (Some(index), value) => live.tx.captures[index] = value,
            (None, Some(value)) => live.tx.named.set(name, value, now),
            (None, None) => live.tx.named.unset(name),
        }
    }

    /// Changes a persistent collection: what this transaction sees of it and what all do. Nothing
    /// happens where no rule has opened it.
    fn change(&mut self, collection: Collection, name: &[u8], change: &Change<'_>) {
        let now = self.live.seconds();
        if let Some(opened) = self.live.opened_mut(collection) {
            opened.named.change(name, change, now);
            self.engine.store().change(&opened.key, name, change, now);
        }
    }

    fn expire(
        &mut self,
        rule: &Arc<Rule>,
        collection: Collection,
        name: &Template,
        after: &Template,
    ) -> Result<(), Stop> {
        let name = self.expanded(rule, name)?;
        let after = number(&self.expanded(rule, after)?);
        let at = self.live.seconds().saturating_add_signed(after.max(0));
        match collection {
            Collection::Tx => self.live.tx.named.expire(&name, at),
            _ => self.change(collection, &name, &Change::Expire(at)),
        }
        Ok(())
    }

    fn open(
        &mut self,
        rule: &Arc<Rule>,
        collection: Collection,
        key: &Template,
    ) -> Result<(), Stop> {
        let key = self.expanded(rule, key)?;
        let timeout = self.engine.rules().settings.collection_timeout;
        let opened = self.engine.store().open(collection, &key, self.live.seconds(), timeout);
        self.live.open(collection, opened);
        Ok(())
    }
}

/// Whether a variable of TX is one that detections of the Core Rule Set add to.
fn is_score(lower: &[u8]) -> bool {
    const DETECTION: [&[u8]; 3] =
        [b"inbound_anomaly_score_pl", b"outbound_anomaly_score_pl", b"anomaly_score_pl"];
    DETECTION.iter().any(|start| lower.starts_with(start)) || lower == b"anomaly_score"
}
