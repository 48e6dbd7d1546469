//! The values that a target means.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use super::live::{Live, Stop};
use super::outcome::FaultKind;
use super::pattern::Patterns;
use super::seen::Seen;
use super::single::single;
use crate::body::Pair;
use crate::regex::Regex;
use crate::rule::{Collection, Link, Rule, Selector, Target, Use, Variable};

/// One value that a rule looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value<'s> {
    pub(crate) variable: Variable,
    /// Which of a collection.
    pub(crate) key: Option<Cow<'s, [u8]>>,
    pub(crate) bytes: Cow<'s, [u8]>,
    /// Whether it is a number of values.
    pub(crate) counted: bool,
}

impl<'s> Value<'s> {
    fn of(variable: Variable, key: &'s [u8], bytes: &'s [u8]) -> Self {
        let (key, bytes) = (Some(Cow::Borrowed(key)), Cow::Borrowed(bytes));
        Self { variable, key, bytes, counted: false }
    }

    fn owned(variable: Variable, key: &[u8], bytes: &[u8]) -> Self {
        let (key, bytes) = (Some(Cow::Owned(key.to_vec())), Cow::Owned(bytes.to_vec()));
        Self { variable, key, bytes, counted: false }
    }

    /// What MATCHED_VAR_NAME says of it: `ARGS:Id`, `REQUEST_URI`, `&ARGS`.
    pub(crate) fn name(&self, name: &mut Vec<u8>) {
        let word = self.variable.word().as_bytes();
        name.reserve(word.len() + self.key.as_ref().map_or(0, |key| key.len()) + 2);
        if self.counted {
            name.push(b'&');
        }
        name.extend_from_slice(word);
        if let Some(key) = &self.key {
            name.push(b':');
            name.extend_from_slice(key);
        }
    }
}

/// What values are taken from.
pub(crate) struct Source<'s, 'l> {
    pub(crate) seen: &'s Seen,
    pub(crate) live: &'l Live,
    pub(crate) rule: &'l Rule,
    pub(crate) patterns: &'l mut Patterns,
}

impl<'s> Source<'s, '_> {
    /// The values of a link's targets, in order: all that are included and not excluded, by the link
    /// or by what is taken away from the rule. Counts are of all values whatever is excluded.
    pub(crate) fn values(
        &mut self,
        link: &Link,
        excluded: &[Target],
        values: &mut Vec<Value<'s>>,
    ) -> Result<(), Stop> {
        for target in &link.targets {
            match target.meant {
                Use::Include => self.select(target.variable, &target.selector, values)?,
                Use::Exclude => {}
                Use::Count => {
                    let count = self.count(target)?;
                    values.push(count);
                }
            }
        }
        let own = link.targets.iter().filter(|target| target.meant == Use::Exclude);
        for target in own.chain(excluded) {
            self.exclude(target, values)?;
        }
        Ok(())
    }

    /// The first value of a variable, or of a collection by a name in lower case.
    pub(crate) fn first(
        &mut self,
        variable: Variable,
        key: Option<&[u8]>,
    ) -> Option<Cow<'s, [u8]>> {
        let mut values = Vec::new();
        match key {
            Some(key) => self.named(variable, key, &mut values),
            None => self.all(variable, &mut values),
        }
        values.into_iter().next().map(|value| value.bytes)
    }

    /// Appends the first value of a variable, or of a collection by a name in lower case.
    pub(crate) fn append(&mut self, variable: Variable, key: Option<&[u8]>, out: &mut Vec<u8>) {
        match key {
            // Most macros are of TX: what it holds need not be copied to be written.
            Some(key) if variable == Variable::Tx => {
                let found = self.live.tx.get(key, self.live.seconds());
                out.extend_from_slice(found.unwrap_or_default());
            }
            _ => {
                let first = self.first(variable, key);
                out.extend_from_slice(first.as_deref().unwrap_or_default());
            }
        }
    }

    /// The one value of a target and its name, written where they are wanted, if that is simply found; `None` if
    /// it has to be looked for. `Some(false)`: it has none.
    pub(crate) fn simple(
        &mut self,
        target: &Target,
        name: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Option<bool> {
        let now = self.live.seconds();
        let found = match (target.meant, &target.selector) {
            (Use::Include, Selector::Key(key)) => match target.variable.collection()? {
                Collection::Tx => self.live.tx.entry(key, now),
                other => self.live.opened(other).and_then(|opened| opened.named.entry(key, now)),
            },
            (Use::Count, selector @ (Selector::All | Selector::Key(_))) => {
                let count = self.tally(target).ok()?;
                if let Selector::Key(key) = selector {
                    name.extend_from_slice(key);
                }
                // Writing to memory cannot fail.
                let _ = write!(out, "{count}");
                return Some(true);
            }
            _ => return None,
        };
        if let Some((written, value)) = found {
            name.extend_from_slice(written);
            out.extend_from_slice(value);
        }
        Some(found.is_some())
    }

    /// All values of one target, whatever it is for.
    pub(crate) fn target(&mut self, target: &Target) -> Result<Vec<Value<'s>>, Stop> {
        let mut values = Vec::new();
        self.select(target.variable, &target.selector, &mut values)?;
        Ok(values)
    }

    fn count(&mut self, target: &Target) -> Result<Value<'s>, Stop> {
        let count = self.tally(target)?;
        let key = match &target.selector {
            Selector::Key(key) => Some(Cow::Owned(key.clone())),
            Selector::All | Selector::Regex(_) => None,
        };
        let bytes = Cow::Owned(count.to_string().into_bytes());
        Ok(Value { variable: target.variable, key, bytes, counted: true })
    }

    /// How many values a target has; most need not be made to be counted.
    fn tally(&mut self, target: &Target) -> Result<usize, Stop> {
        match (&target.selector, self.pairs(target.variable)) {
            (Selector::All, Some(pairs)) => Ok(pairs.iter().map(|pairs| pairs.len()).sum()),
            (Selector::Key(key), Some(pairs)) => {
                let all = pairs.into_iter().flatten();
                Ok(all.filter(|pair| pair.name.eq_ignore_ascii_case(key)).count())
            }
            (Selector::Key(key), None) if target.variable == Variable::Tx => {
                Ok(usize::from(self.live.tx.get(key, self.live.seconds()).is_some()))
            }
            (Selector::Regex(regex), None) if target.variable == Variable::Tx => {
                let mut count = 0;
                self.chosen(regex, |_, _| count += 1)?;
                Ok(count)
            }
            _ => Ok(self.target(target)?.len()),
        }
    }

    fn select(
        &mut self,
        variable: Variable,
        selector: &Selector,
        values: &mut Vec<Value<'s>>,
    ) -> Result<(), Stop> {
        match selector {
            Selector::All => self.all(variable, values),
            Selector::Key(key) => self.named(variable, key, values),
            Selector::Regex(regex) if variable == Variable::Tx => {
                self.chosen(regex, |name, value| values.push(Value::owned(variable, name, value)))?;
            }
            Selector::Regex(regex) => {
                let mut all = Vec::new();
                self.all(variable, &mut all);
                for value in all {
                    let key = value.key.as_deref().unwrap_or_default();
                    if self.patterns.is_match(regex, key).map_err(over_match_limit)? {
                        values.push(value);
                    }
                }
            }
        }
        Ok(())
    }

    fn exclude(&mut self, target: &Target, values: &mut Vec<Value<'s>>) -> Result<(), Stop> {
        let mut fault = None;
        values.retain(|value| {
            if value.counted || value.variable != target.variable {
                return true;
            }
            let key = value.key.as_deref().unwrap_or_default();
            match &target.selector {
                Selector::All => false,
                Selector::Key(excluded) => !key.eq_ignore_ascii_case(excluded),
                Selector::Regex(regex) => {
                    !self.patterns.is_match(regex, key).unwrap_or_else(|over| {
                        fault = Some(over_match_limit(over));
                        false
                    })
                }
            }
        });
        fault.map_or(Ok(()), Err)
    }

    /// Values of a collection by a name in lower case.
    fn named(&mut self, variable: Variable, lower: &[u8], values: &mut Vec<Value<'s>>) {
        if let Some(pairs) = self.pairs(variable) {
            let all = pairs.into_iter().flatten();
            let found = all.filter(|pair| pair.name.eq_ignore_ascii_case(lower));
            values.extend(found.map(|pair| Value::of(variable, &pair.name, &pair.value)));
            return;
        }
        let now = self.live.seconds();
        let found = match variable {
            Variable::Tx => self.live.tx.entry(lower, now),
            _ => match variable.collection().and_then(|collection| self.live.opened(collection)) {
                Some(opened) => opened.named.entry(lower, now),
                None => {
                    let from = values.len();
                    self.all(variable, values);
                    let mut index = 0;
                    values.retain(|value| {
                        index += 1;
                        index <= from
                            || value.key.as_deref().is_some_and(|k| k.eq_ignore_ascii_case(lower))
                    });
                    return;
                }
            },
        };
        values.extend(found.map(|(name, value)| Value::owned(variable, name, value)));
    }

    /// All values of a variable.
    fn all(&mut self, variable: Variable, values: &mut Vec<Value<'s>>) {
        match self.pairs(variable) {
            None => self.names(variable, values),
            Some(lists) => {
                for pairs in lists {
                    let all = pairs.iter();
                    values.extend(all.map(|pair| Value::of(variable, &pair.name, &pair.value)));
                }
            }
        }
    }

    /// The pairs of a variable that has them.
    fn pairs(&self, variable: Variable) -> Option<[&'s [Pair]; 2]> {
        use Variable as V;
        let Seen { request, response, .. } = self.seen;
        let read = &request.body.read;
        Some(match variable {
            V::Args => [&request.arguments, &read.arguments],
            V::ArgsGet => [&request.arguments, &[]],
            V::ArgsPost => [&read.arguments, &[]],
            V::RequestCookies => [&request.cookies, &[]],
            V::RequestHeaders => [&request.fields, &[]],
            V::ResponseHeaders => [&response.fields, &[]],
            V::MultipartPartHeaders => [&read.part_headers, &[]],
            _ => return None,
        })
    }

    /// All values of a variable whose values are names.
    fn names(&mut self, variable: Variable, values: &mut Vec<Value<'s>>) {
        use Variable as V;
        let Seen { request, response, .. } = self.seen;
        let read = &request.body.read;
        let pairs: &[&'s [Pair]] = match variable {
            V::ArgsNames => &[&request.arguments, &read.arguments],
            V::ArgsGetNames => &[&request.arguments],
            V::ArgsPostNames => &[&read.arguments],
            V::RequestCookiesNames => &[&request.cookies],
            V::RequestHeadersNames => &[&request.fields],
            V::ResponseHeadersNames => &[&response.fields],
            _ => return self.others(variable, values),
        };
        for pairs in pairs {
            values.extend(pairs.iter().map(|pair| Value::of(variable, &pair.name, &pair.name)));
        }
    }

    /// All values of a variable that is something else than pairs.
    fn others(&mut self, variable: Variable, values: &mut Vec<Value<'s>>) {
        use Variable as V;
        let read = &self.seen.request.body.read;
        let now = self.live.seconds();
        let plain = |bytes: &'s Vec<u8>| Value {
            variable,
            key: None,
            bytes: Cow::Borrowed(bytes.as_slice()),
            counted: false,
        };
        let files = read.files.iter();
        match variable {
            V::Files => values.extend(files.map(|f| Value::of(variable, &f.name, &f.filename))),
            V::FilesNames => values.extend(files.map(|f| Value::of(variable, &f.name, &f.name))),
            V::FilesSizes => values.extend(
                files.map(|f| Value::owned(variable, &f.name, f.size.to_string().as_bytes())),
            ),
            V::MultipartName => values.extend(read.multipart_names.iter().map(plain)),
            V::MultipartFilename => values.extend(read.multipart_filenames.iter().map(plain)),
            V::XmlTexts => values.extend(read.xml_texts.iter().map(plain)),
            V::XmlAttributes => values.extend(read.xml_attributes.iter().map(plain)),
            V::MatchedVars | V::MatchedVarsNames => {
                let named = |matched: &super::live::Matched| {
                    let names = variable == V::MatchedVarsNames;
                    let bytes = if names { &matched.name } else { &matched.value };
                    Value::owned(variable, &matched.name, bytes)
                };
                values.extend(self.live.matched_vars.iter().map(named));
            }
            V::Env => values
                .extend(self.live.environment.iter(now).map(|(k, v)| Value::owned(variable, k, v))),
            V::Rule => self.rule(values),
            V::Tx => self.tx(values),
            _ => self.rest(variable, values),
        }
    }

    fn tx(&mut self, values: &mut Vec<Value<'s>>) {
        let tx = &self.live.tx;
        for (name, found) in tx.captured() {
            values.push(Value::owned(Variable::Tx, &name, found));
        }
        let named = tx.named.iter(self.live.seconds());
        values.extend(named.map(|(name, value)| Value::owned(Variable::Tx, name, value)));
    }

    /// Those of TX whose names a pattern means, in order. What all transactions begin with is asked about
    /// once: rules that count what was found by its name would look through all of it each time.
    fn chosen(
        &mut self,
        regex: &Arc<Regex>,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Stop> {
        let (tx, now) = (&self.live.tx, self.live.seconds());
        for (name, found) in tx.captured() {
            if self.patterns.is_match(regex, &name).map_err(over_match_limit)? {
                each(&name, found);
            }
        }
        let (Some(shared), true) = (tx.named.shared(), tx.named.is_as_known()) else {
            for (name, value) in tx.named.iter(now) {
                if self.patterns.is_match(regex, name).map_err(over_match_limit)? {
                    each(name, value);
                }
            }
            return Ok(());
        };
        let (places, given_up) = self.patterns.meant(regex, shared);
        for (place, name, value) in tx.named.among(places.iter().copied(), now) {
            let is_meant = match place {
                Some(place) if given_up.contains(&place) => Err(Stop(FaultKind::OverMatchLimit)),
                Some(_) => Ok(true),
                None => self.patterns.is_match(regex, name).map_err(over_match_limit),
            };
            if is_meant? {
                each(name, value);
            }
        }
        Ok(())
    }

    /// What RULE says of the rule that is run.
    fn rule(&mut self, values: &mut Vec<Value<'s>>) {
        use super::expand::rule_field;
        use crate::rule::RuleField as F;
        let fields: [(&[u8], F); 5] = [
            (b"id", F::Id),
            (b"msg", F::Msg),
            (b"severity", F::Severity),
            (b"logdata", F::Logdata),
            (b"rev", F::Rev),
        ];
        for (key, field) in fields {
            let mut text = Vec::new();
            rule_field(self, field, &mut text);
            values.push(Value::owned(Variable::Rule, key, &text));
        }
    }

    /// Persistent collections, and variables of one value.
    fn rest(&mut self, variable: Variable, values: &mut Vec<Value<'s>>) {
        match variable.collection() {
            Some(collection) => {
                let now = self.live.seconds();
                let named = self.live.opened(collection).map(|opened| opened.named.iter(now));
                let value = |(name, value): (&[u8], &[u8])| Value::owned(variable, name, value);
                values.extend(named.into_iter().flatten().map(value));
            }
            None => {
                let bytes = single(self.seen, self.live, variable);
                let value = |bytes| Value { variable, key: None, bytes, counted: false };
                values.extend(bytes.map(value));
            }
        }
    }
}

/// A search that was given up ends the phase.
pub(crate) fn over_match_limit(_: crate::regex::OverBudget) -> Stop {
    Stop(FaultKind::OverMatchLimit)
}
