//! When an `upstream` block takes servers out because of their requests, and how they come back.

use std::time::Duration;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Diagnostic, FailureSign, Outlier, Passive, Spanned, Upstream};

/// The shortest time between two comparisons: in less there is nothing to compare.
const COMPARE_MIN: Duration = Duration::from_secs(1);

impl Decoder<'_> {
    pub(super) fn upstream_health(&mut self, item: &Item, upstream: &mut Upstream) {
        match item.directive.name {
            "health" => self.health(item, upstream),
            "passive" => {
                let passive = self.passive(item);
                if !item.is_off() {
                    upstream.passive = Some(Spanned::new(passive, item.span));
                }
            }
            "outlier" => {
                let outlier = self.outlier(item);
                if !item.is_off() {
                    upstream.outlier = Some(Spanned::new(outlier, item.span));
                }
            }
            "slow-start" => self.fill(item, &mut upstream.slow_start, values::duration),
            _ => upstream.fail_open = Some(item.span).filter(|_| !item.is_off()),
        }
    }

    fn passive(&mut self, block: &Item) -> Passive {
        let mut passive = Passive::default();
        for item in &block.children {
            match item.directive.name {
                "fails" => self.fails(item, &mut passive),
                "eject" => self.set(item, &mut passive.eject, values::duration),
                _ => {
                    for text in &item.values {
                        let sign = self.ok(sign(text));
                        passive.on.extend(sign.filter(|_| !item.is_off()));
                    }
                }
            }
        }
        passive
    }

    fn fails(&mut self, item: &Item, passive: &mut Passive) {
        let [count, within, time] = &item.values[..] else { return };
        let count = self.ok(values::number(count, 1, 100_000));
        let within = self.ok(values::choice(within, &[("within", ())], &[]));
        let time = self.ok(values::duration(time));
        let (Some(count), Some(_), Some(time)) = (count, within, time) else { return };
        if !item.is_off() {
            passive.fails = Spanned::new((count.value, time.value), item.span).into();
        }
    }

    fn outlier(&mut self, block: &Item) -> Outlier {
        let mut outlier = Outlier::default();
        for item in &block.children {
            match item.directive.name {
                "errors" => self.set(item, &mut outlier.errors, |text| or_off(text, values::share)),
                "latency" => self.set(item, &mut outlier.latency, |text| or_off(text, times)),
                "every" => self.set(item, &mut outlier.every, comparison),
                "eject" => self.set(item, &mut outlier.eject, values::duration),
                "at-most" => self.set(item, &mut outlier.at_most, values::share),
                "min-requests" => self.set(item, &mut outlier.requests_min, |text| {
                    values::number(text, 1, 1_000_000)
                }),
                _ => {}
            }
        }
        if outlier.errors.value.is_none() && outlier.latency.value.is_none() {
            let message = "`outlier` that looks at nothing";
            let error = Diagnostic::error("E0231", block.span, message);
            self.say(error.help("write `errors 50%`, `latency 3x`, or `off outlier`"));
        }
        outlier
    }
}

fn sign(text: &Text) -> Value<FailureSign> {
    if text.text.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return Ok(values::statuses(text)?.map(FailureSign::Status));
    }
    let words = [
        ("connect-error", FailureSign::ConnectError),
        ("timeout", FailureSign::Timeout),
        ("reset", FailureSign::Reset),
    ];
    values::choice(text, &words, &[]).map_err(|error| error.help("or a status such as 503"))
}

fn or_off(text: &Text, read: impl Fn(&Text) -> Value<u32>) -> Value<Option<u32>> {
    if text.text == "off" {
        return Ok(Spanned::new(None, text.span));
    }
    Ok(read(text)?.map(Some))
}

/// `3x`, `2.5x`: hundredths, from 1.1 to 1000 times.
fn times(text: &Text) -> Value<u32> {
    let read = || {
        let number = text.text.strip_suffix('x')?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 2 || whole.len() > 4 {
            return None;
        }
        let hundredths =
            whole.parse::<u32>().ok()? * 100 + format!("{part:0<2}").parse::<u32>().ok()?;
        (110..=100_000).contains(&hundredths).then_some(hundredths)
    };
    match read() {
        Some(hundredths) => Ok(Spanned::new(hundredths, text.span)),
        None => {
            let message = format!("`{}` is not so many times", text.shown());
            Err(Diagnostic::error("E0231", text.span, message)
                .help("write 3x or 2.5x, from 1.1x to 1000x; or off"))
        }
    }
}

fn comparison(text: &Text) -> Value<Duration> {
    let every = values::duration(text)?;
    if every.value >= COMPARE_MIN {
        return Ok(every);
    }
    let message = format!("comparisons every {}", text.shown());
    Err(Diagnostic::error("E0304", text.span, message).help("1s is the shortest interval"))
}
