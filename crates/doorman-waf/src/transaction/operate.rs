//! Operators, asked of one value.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use memchr::memmem;

use super::expand::expand;
use super::live::Stop;
use super::outcome::FaultKind;
use super::run::Run;
use super::value::over_match_limit;
use crate::operator::{
    contains_word, detect_sqli, detect_xss, is_within, number, validate_url_encoding, validate_utf8,
};
use crate::regex::{Groups, Regex};
use crate::rule::{Link, Operator, Pattern, Rule, Template};

/// What an operator found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    /// Something, of which nothing is captured.
    Plain,
    /// A pattern, with its groups.
    Groups(Box<Groups>),
    /// This, which TX.0 tells.
    Text(Vec<u8>),
    /// All of the value, which TX.0 tells.
    Whole,
}

/// Whether somebody will look at captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Captures,
    Answer,
}

impl Run<'_> {
    /// Asks a link's operator of a value, whatever its negation. Costs a step for each byte.
    pub(crate) fn ask(
        &mut self,
        rule: &Arc<Rule>,
        link: &Link,
        value: &[u8],
    ) -> Result<Option<Hit>, Stop> {
        self.live.budget.take(value.len())?;
        let want = if link.capture { Want::Captures } else { Want::Answer };
        let plain = |found: bool| Ok(found.then_some(Hit::Plain));
        match &link.operator {
            Operator::Rx(pattern) => self.ask_pattern(rule, pattern, value, want),
            Operator::Pm(phrases) => {
                Ok(phrases.0.find(value).map(|found| Hit::Text(found.to_vec())))
            }
            Operator::ValidateByteRange(range) => {
                plain(value.iter().any(|byte| !range.contains(*byte)))
            }
            Operator::ValidateUrlEncoding => plain(validate_url_encoding(value)),
            Operator::ValidateUtf8Encoding => plain(validate_utf8(value)),
            Operator::DetectSqli => {
                Ok(detect_sqli(value).map(|print| Hit::Text(print.as_bytes().to_vec())))
            }
            Operator::DetectXss => Ok(detect_xss(value).then_some(Hit::Whole)),
            Operator::IpMatch(set) => {
                plain(address(value).is_some_and(|address| set.contains(address)))
            }
            Operator::UnconditionalMatch => Ok(Some(Hit::Plain)),
            Operator::GeoLookup | Operator::Rbl | Operator::NoMatch => Ok(None),
            Operator::Streq(operand) => plain(self.compare(rule, operand, value, |v, o| v == o)?),
            Operator::Contains(operand) | Operator::StrMatch(operand) => {
                plain(self.compare(rule, operand, value, |v, o| memmem::find(v, o).is_some())?)
            }
            Operator::ContainsWord(operand) => {
                plain(self.compare(rule, operand, value, contains_word)?)
            }
            Operator::BeginsWith(operand) => {
                plain(self.compare(rule, operand, value, <[u8]>::starts_with)?)
            }
            Operator::EndsWith(operand) => {
                plain(self.compare(rule, operand, value, <[u8]>::ends_with)?)
            }
            Operator::Within(operand) => plain(self.compare(rule, operand, value, is_within)?),
            Operator::Eq(operand) => {
                plain(self.compare(rule, operand, value, |v, o| number(v) == number(o))?)
            }
            Operator::Ge(operand) => {
                plain(self.compare(rule, operand, value, |v, o| number(v) >= number(o))?)
            }
            Operator::Gt(operand) => {
                plain(self.compare(rule, operand, value, |v, o| number(v) > number(o))?)
            }
            Operator::Le(operand) => {
                plain(self.compare(rule, operand, value, |v, o| number(v) <= number(o))?)
            }
            Operator::Lt(operand) => {
                plain(self.compare(rule, operand, value, |v, o| number(v) < number(o))?)
            }
        }
    }

    /// Asks about a value and an operand, once its macros are expanded.
    fn compare(
        &mut self,
        rule: &Rule,
        operand: &Template,
        value: &[u8],
        answer: fn(&[u8], &[u8]) -> bool,
    ) -> Result<bool, Stop> {
        if let Some(constant) = operand.constant() {
            return Ok(answer(value, constant));
        }
        let expanded = self.expanded(rule, operand)?;
        let says = answer(value, &expanded);
        self.reuse(expanded);
        Ok(says)
    }

    /// The text of a template. Costs a step for each of its bytes.
    pub(crate) fn expanded<'t>(
        &mut self,
        rule: &Rule,
        template: &'t Template,
    ) -> Result<Cow<'t, [u8]>, Stop> {
        let text = match template.constant() {
            Some(constant) => Cow::Borrowed(constant),
            None => {
                let mut text = std::mem::take(&mut self.worker.text);
                text.clear();
                expand(&mut self.source(rule), template, &mut text);
                Cow::Owned(text)
            }
        };
        self.live.budget.take(text.len())?;
        Ok(text)
    }

    /// Takes the memory of a text back that was expanded, for the next.
    pub(crate) fn reuse(&mut self, text: Cow<'_, [u8]>) {
        /// Bytes of it that a worker keeps: most texts are names and numbers.
        const SHORT: usize = 4_096;
        if let Cow::Owned(text) = text
            && text.capacity() <= SHORT
        {
            self.worker.text = text;
        }
    }

    fn ask_pattern(
        &mut self,
        rule: &Rule,
        pattern: &Pattern,
        value: &[u8],
        want: Want,
    ) -> Result<Option<Hit>, Stop> {
        match pattern {
            Pattern::Fixed(regex) => self.search(regex, value, want),
            Pattern::Expanded(template) => {
                let text = self.expanded(rule, template)?;
                let steps_max = self.engine.rules().settings.match_steps_max;
                match self.worker.patterns.expanded(&text, steps_max) {
                    Some(regex) => self.search(&regex, value, want),
                    None => {
                        self.fault(FaultKind::BadPattern, Some(rule.id));
                        Ok(None)
                    }
                }
            }
        }
    }

    fn search(
        &mut self,
        regex: &Arc<Regex>,
        value: &[u8],
        want: Want,
    ) -> Result<Option<Hit>, Stop> {
        let patterns = &mut self.worker.patterns;
        let found = match want {
            Want::Captures => {
                patterns.groups(regex, value).map(|found| found.map(|g| Hit::Groups(Box::new(g))))
            }
            Want::Answer => {
                patterns.is_match(regex, value).map(|found| found.then_some(Hit::Plain))
            }
        };
        found.map_err(|over| {
            self.live.over_match_limit = true;
            over_match_limit(over)
        })
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    text.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
