//! Templates, once a transaction is known.

use super::value::Source;
use crate::rule::{Part, RuleField, Template};

/// Appends the text of a template: macros that mean nothing are nothing.
pub(crate) fn expand(source: &mut Source<'_, '_>, template: &Template, out: &mut Vec<u8>) {
    for part in &template.parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Value { variable, key } => source.append(*variable, key.as_deref(), out),
            Part::Rule(field) => rule_field(source, *field, out),
        }
    }
}

/// Appends what a rule says of itself. A message is expanded; what it says of the rule is not, for
/// that may be the message.
pub(crate) fn rule_field(source: &mut Source<'_, '_>, field: RuleField, out: &mut Vec<u8>) {
    let rule = source.rule;
    match field {
        RuleField::Id => out.extend_from_slice(rule.id.to_string().as_bytes()),
        RuleField::Severity => {
            let number = rule.severity.map(|severity| severity.number().to_string());
            out.extend_from_slice(number.unwrap_or_default().as_bytes());
        }
        RuleField::Rev => {
            out.extend_from_slice(rule.rev.as_deref().unwrap_or_default().as_bytes());
        }
        RuleField::Msg => own(source, rule.msg.as_ref(), out),
        RuleField::Logdata => own(source, rule.logdata.as_ref(), out),
    }
}

fn own(source: &mut Source<'_, '_>, template: Option<&Template>, out: &mut Vec<u8>) {
    for part in template.map(|template| template.parts.as_slice()).unwrap_or_default() {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Value { variable, key } => source.append(*variable, key.as_deref(), out),
            Part::Rule(_) => {}
        }
    }
}
