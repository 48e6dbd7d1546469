//! Other servers that are asked about requests, ready to be.

use std::hash::{DefaultHasher, Hash, Hasher};

use doorman_auth::forward::{BadName, Rules};
use doorman_auth::identity::Names;
use doorman_config::{Config, ForwardAuth, ForwardAuthMethod, Spanned};

use super::compile::{Faults, code};
use crate::gate::PlanForward;

/// Whom a route asks. Fields by which it is told who asks are added to `strip`.
pub(super) fn forward(
    config: &Config,
    written: &ForwardAuth,
    strip: &mut Names,
    faults: &mut Faults,
) -> Option<PlanForward> {
    let target = &written.target.value;
    let upstream = config.upstream(written.upstream.value)?;
    let rules = match rules(written) {
        Ok(rules) => rules,
        Err(error) => {
            faults.error(code::GUARD, written.span, error.to_string());
            return None;
        }
    };
    let told = written.response_fields.iter().chain(&written.user);
    for name in told {
        // Names of fields were checked when they were read.
        let _ = strip.add(&name.value);
    }
    let name = format!("{}{target}", upstream.name.value);
    let mut mark = DefaultHasher::new();
    name.hash(&mut mark);
    Some(PlanForward {
        rules,
        upstream: written.upstream.value.0 as usize,
        name: name.into(),
        target: target.as_str().into(),
        same_method: written.method.value == ForwardAuthMethod::Same,
        timeout: written.timeout.value,
        user: written.user.as_ref().map(|name| name.value.as_str().into()),
        mark: format!("{:016x}", mark.finish()).into(),
    })
}

fn rules(written: &ForwardAuth) -> Result<Rules, BadName> {
    let names = |all: &'_ [Spanned<String>]| -> Vec<String> {
        all.iter().map(|name| name.value.clone()).collect()
    };
    let (asked, set) = (names(&written.request_fields), names(&written.response_fields));
    let rules = Rules::new(set.iter().map(String::as_str))?;
    if asked.is_empty() { Ok(rules) } else { rules.asking(asked.iter().map(String::as_str)) }
}
