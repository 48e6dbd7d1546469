//! What claims must say (RFC 7519 section 4.1, RFC 8725), and what of them is told on.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::outcome::{Claim, Identity, Refusal, Via};

/// Longest value of a claim that is kept, in bytes. A longer one is left out as a whole: half a list of groups would be
/// another list.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Bytes of all values of a token that are kept. The last that don't fit are left out.
pub const VALUES_BYTES_MAX: usize = 8192;

/// Most claims that are kept of a token.
pub const KEPT_MAX: usize = 32;

/// Members that a path of a claim goes down; Keycloak's `resource_access.CLIENT.roles` has three.
const PATH_MAX: usize = 8;

/// Most members of a list that are looked at, of `aud`, groups and the like.
const LIST_MAX: usize = 1024;

/// How far the issuer's clock may be from ours where nothing is written.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// A claim that has to have one of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Required {
    /// Its name, or a path with dots: `realm_access.roles`. A claim whose name is all of it comes first.
    pub claim: Box<str>,
    /// Any of them will do; none: the claim must be there and say something (not `false`, not null, not empty).
    pub values: Vec<Box<str>>,
}

/// What the claims of a token must say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `iss`, byte by byte; `None`: it isn't looked at.
    pub issuer: Option<Box<str>>,
    /// `aud` must hold one of these; none: it isn't looked at.
    pub audiences: Vec<Box<str>>,
    /// All of these.
    pub required: Vec<Required>,
    /// Claims that are kept for headers, limits and logs, by name or path; at most [`KEPT_MAX`] are.
    pub keep: Vec<Box<str>>,
    /// How far the issuer's clock may be from ours; whole seconds count.
    pub leeway: Duration,
}

/// What holds of good claims.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Seconds since the Unix epoch at which they end, leeway included.
    pub(super) expires: u64,
    pub(super) identity: Identity,
}

impl Rules {
    /// Checks claims at `seconds` since the Unix epoch.
    ///
    /// `exp` must be there: a token without an end is a password that cannot be changed. `nbf` and `iat` hold if they
    /// are there. Who it is about is in `sub`, else `client_id`, else `azp`; a token that names nobody is nobody's.
    ///
    /// # Errors
    /// What does not hold; the first one.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        via: Via,
        seconds: u64,
    ) -> Result<Accepted, Refusal> {
        let leeway = self.leeway.as_secs();
        let issuer = match claims.get("iss") {
            None => None,
            Some(Value::String(issuer)) => Some(issuer.as_str()),
            Some(_) => return Err(Refusal::MalformedCredentials),
        };
        if self.issuer.is_some() && self.issuer.as_deref() != issuer {
            return Err(Refusal::BadIssuer);
        }
        let audiences = &self.audiences;
        if !audiences.is_empty() && !audiences.iter().any(|one| is_for(claims.get("aud"), one)) {
            return Err(Refusal::BadAudience);
        }
        let expires = date(claims, "exp")?.ok_or(Refusal::MalformedCredentials)?;
        let expires = expires.saturating_add(leeway);
        if seconds >= expires {
            return Err(Refusal::Expired);
        }
        for name in ["nbf", "iat"] {
            if date(claims, name)?.is_some_and(|date| date > seconds.saturating_add(leeway)) {
                return Err(Refusal::NotYetValid);
            }
        }
        if !self.required.iter().all(|required| required.holds(claims)) {
            return Err(Refusal::NotAllowed);
        }
        let identity = self.identity(claims, via)?;
        Ok(Accepted { expires, identity })
    }

    fn identity(&self, claims: &Map<String, Value>, via: Via) -> Result<Identity, Refusal> {
        let names = ["sub", "client_id", "azp"];
        let user = names.iter().find_map(|name| claims.get(*name)).ok_or(Refusal::NotAllowed)?;
        let user = field_value(user).ok_or(Refusal::MalformedCredentials)?;
        let mut identity = Identity::named(&user, via).ok_or(Refusal::MalformedCredentials)?;
        identity.claims = self.kept(claims);
        Ok(identity)
    }

    /// Claims of [`Rules::keep`] whose values can be told in a field as they are.
    pub(crate) fn kept(&self, claims: &Map<String, Value>) -> Box<[Claim]> {
        let mut room = VALUES_BYTES_MAX;
        let kept = self.keep.iter().take(KEPT_MAX).filter_map(|name| {
            let value = field_value(find(claims, name)?)?;
            room = room.checked_sub(value.len())?;
            Some(Claim { name: name.clone(), value: value.into() })
        });
        kept.collect()
    }
}

impl Required {
    /// Whether a claim says what it has to: it is that value, has it in a list, or among words with spaces between
    /// (as `scope` has, RFC 8693 section 4.2). Numbers and booleans compare as they are written.
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        let Some(value) = find(claims, &self.claim) else {
            return false;
        };
        if self.values.is_empty() {
            return says_something(value);
        }
        self.values.iter().any(|wanted| match value {
            Value::Array(list) => list.iter().take(LIST_MAX).any(|one| is(one, wanted)),
            Value::String(text) => {
                **text == **wanted
                    || text.split(' ').any(|word| *word == **wanted && !word.is_empty())
            }
            one => is(one, wanted),
        })
    }
}

fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Bool(flag) => wanted == if *flag { "true" } else { "false" },
        Value::Number(number) => number.to_string() == wanted,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// `aud` is a text or a list of texts (RFC 7519 section 4.1.3).
pub(crate) fn is_for(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(list)) => list.iter().take(LIST_MAX).any(|one| one == wanted),
        _ => false,
    }
}

/// The claim of that name, else what the path leads to.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut steps = path.split('.').take(PATH_MAX);
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(step))
}

/// A NumericDate (RFC 7519 section 2): seconds, which may have a fraction; it is cut off. Before 1970 is 0.
pub(crate) fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let Value::Number(number) = value else {
        return Err(Refusal::MalformedCredentials);
    };
    if let Some(whole) = number.as_u64() {
        return Ok(Some(whole));
    }
    let seconds = number.as_f64().ok_or(Refusal::MalformedCredentials)?;
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as it shall")]
    let whole = seconds as u64;
    Ok(Some(whole))
}

/// A value as a field can say it. `None`: it cannot without becoming another one, or is out of bounds. Nothing is
/// replaced or cut: ` admin` would come out of a field as `admin`, and `a,b` in a list as two members.
pub(crate) fn field_value(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(list) => {
            let is_plain = |one: &Value| {
                !one.is_array() && one.as_str().is_none_or(|text| !text.contains(','))
            };
            if list.len() > LIST_MAX || !list.iter().all(is_plain) {
                return None;
            }
            list.iter().map(field_value).collect::<Option<Vec<_>>>()?.join(",")
        }
        Value::Null | Value::Object(_) => return None,
    };
    let is_good = !text.is_empty()
        && text.len() <= VALUE_BYTES_MAX
        && text.trim().len() == text.len()
        && !text.chars().any(char::is_control);
    is_good.then_some(text)
}
