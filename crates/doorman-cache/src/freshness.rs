//! How long a response is fresh, and how old it is when it comes (RFC 9111 sections 4.2.1 to 4.2.3).

use doorman_http::{FieldId, Fields, Now, date};

use crate::CacheRules;
use crate::control::{Control, SECONDS_MAX};

/// Where a lifetime comes from; with its seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The operator's, whatever the response says, from when it comes.
    Forced(u32),
    /// What the response says.
    Stated(u32),
    /// The operator's, where the response says nothing.
    Ruled(u32),
    /// A guess.
    Guessed(u32),
    /// There is none.
    Unknown,
}

/// Whether the response says how long it is fresh: only what counts is looked at, so an `Expires`
/// beside a targeted field is not.
pub(crate) fn stated(control: &Control, fields: &Fields, moment: Moment) -> Option<u32> {
    if control.targeted {
        return control.lifetime();
    }
    control.lifetime().or_else(|| expires(fields, moment))
}

/// Seconds from `Date` to `Expires` (section 5.3). What is no date has expired, and of several lines
/// the earliest counts.
fn expires(fields: &Fields, moment: Moment) -> Option<u32> {
    if !fields.has(FieldId::Expires) {
        return None;
    }
    let expires = |line| date::parse(line, moment.received);
    let earliest = fields.all(FieldId::Expires).map(expires).min()?;
    Some(span(earliest.unwrap_or(0), moment.date))
}

/// A tenth of the time between `Last-Modified` and `Date` (section 4.2.2).
pub(crate) fn guess(fields: &Fields, moment: Moment, rules: &CacheRules) -> Option<u32> {
    let modified = date::parse(fields.first(FieldId::LastModified)?, moment.received)?;
    // A document that is said to change in the future says nothing about how often it does.
    let unchanged = moment.date.checked_sub(modified)?;
    Some(u32::try_from(unchanged / 10).unwrap_or(SECONDS_MAX).min(rules.heuristic_max))
}

/// When a response was made and when it came, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// `Date`; when it came, if that is not there or is no date (RFC 9110 section 6.6.1).
    pub(crate) date: u64,
    pub(crate) received: u64,
}

impl Moment {
    pub(crate) fn of(fields: &Fields, received: Now) -> Self {
        let received = received.unix_seconds();
        let date = fields.first(FieldId::Date).and_then(|date| date::parse(date, received));
        Self { date: date.unwrap_or(received), received }
    }
}

/// `corrected_initial_age` (section 4.2.3).
pub(crate) fn initial_age(fields: &Fields, moment: Moment, requested: Now, received: Now) -> u32 {
    let apparent = span(moment.received, moment.date);
    let delay = received.instant.since(requested.instant).as_secs();
    let delay = u32::try_from(delay).unwrap_or(SECONDS_MAX);
    let corrected = age_value(fields).saturating_add(delay).min(SECONDS_MAX);
    apparent.max(corrected)
}

/// `Age` (section 5.1): the first member that is a number; what follows it behind a semicolon is an
/// unknown parameter.
fn age_value(fields: &Fields) -> u32 {
    if !fields.has(FieldId::Age) {
        return 0;
    }
    let members = fields.all(FieldId::Age).flat_map(|line| line.split(|&b| b == b','));
    let number = |member: &[u8]| {
        let end = member.iter().position(|&b| b == b';').unwrap_or(member.len());
        crate::control::seconds(member[..end].trim_ascii())
    };
    members.filter_map(number).next().unwrap_or(0)
}

/// Seconds from one time to a later one; none if it is not later.
fn span(later: u64, earlier: u64) -> u32 {
    u32::try_from(later.saturating_sub(earlier)).unwrap_or(SECONDS_MAX).min(SECONDS_MAX)
}
