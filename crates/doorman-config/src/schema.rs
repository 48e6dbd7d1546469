//! The JSON Schema of the JSON twin, made from the table. Editors complete and check with it; the loader does not use
//! it, as its diagnostics say more.

use serde_json::{Map, Value as Json, json};

use crate::table::{self, Argument, Arity, Directive, Kind, Within};

/// The schema (draft 2020-12): one definition for each block, which allows exactly the statements of that block.
#[must_use]
pub fn schema() -> Json {
    let blocks: Map<String, Json> =
        Within::ALL.iter().map(|within| (within.key().to_owned(), block(*within))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of doorman",
        "type": "object",
        "properties": {
            "$schema": { "type": "string" },
            "statements": { "$ref": "#/$defs/top" },
        },
        "required": ["statements"],
        "additionalProperties": false,
        "$defs": blocks,
    })
}

fn block(within: Within) -> Json {
    let statements: Vec<Json> = table::allowed(within).map(statement).collect();
    json!({ "type": "array", "items": { "anyOf": statements } })
}

fn statement(directive: &'static Directive) -> Json {
    let mut properties = Map::new();
    properties.insert(directive.name.to_owned(), values(directive));
    properties.insert("off".to_owned(), json!({ "type": "boolean" }));
    if let Some(block) = directive.block {
        let reference = format!("#/$defs/{}", block.key());
        properties.insert("block".to_owned(), json!({ "$ref": reference }));
    }
    json!({
        "type": "object",
        "description": directive.help,
        "properties": properties,
        "required": [directive.name],
        "additionalProperties": false,
    })
}

/// The list of values; one value may stand without the list.
fn values(directive: &Directive) -> Json {
    let single: Vec<&Argument> = directive
        .arguments
        .iter()
        .filter(|argument| matches!(argument.arity, Arity::One | Arity::Optional))
        .collect();
    let rest = directive
        .arguments
        .iter()
        .find(|argument| matches!(argument.arity, Arity::Some | Arity::Many));
    let mut list = Map::new();
    list.insert("type".to_owned(), "array".into());
    if !directive.default.is_empty() {
        list.insert("description".to_owned(), format!("Default: {}", directive.default).into());
    }
    if !single.is_empty() {
        let items: Vec<Json> = single.iter().map(|argument| value(argument)).collect();
        list.insert("prefixItems".to_owned(), items.into());
    }
    list.insert("items".to_owned(), rest.map_or(Json::Bool(false), value));
    list.insert("minItems".to_owned(), directive.values_min().into());
    if let Some(most) = directive.values_max() {
        list.insert("maxItems".to_owned(), most.into());
    }
    let first = single.first().copied().or(rest);
    match first.filter(|_| directive.values_min() <= 1) {
        Some(first) => json!({ "anyOf": [list, value(first)] }),
        None => list.into(),
    }
}

/// What one value may be. Whatever is loaded with `${kind:name}` fits everywhere.
fn value(argument: &Argument) -> Json {
    let loaded = json!({ "type": "string", "pattern": "\\$\\{(env|file|secret):" });
    let described = |mut schema: Json| {
        if let Some(object) = schema.as_object_mut() {
            object.insert("title".to_owned(), argument.name.into());
        }
        json!({ "anyOf": [schema, loaded] })
    };
    match argument.kind {
        Kind::Choice(words, _) => described(json!({ "enum": words })),
        Kind::Number(least, most) => described(json!({
            "anyOf": [
                { "type": "integer", "minimum": least, "maximum": most },
                { "type": "string", "pattern": "^[0-9]+$" },
            ]
        })),
        Kind::Size => described(text("^[0-9]+(B|KiB|MiB|GiB|TiB|KB|MB|GB|TB)$")),
        Kind::Duration => described(text("^([0-9]+(ms|s|m|h|d))+$")),
        Kind::Name => described(text("^[A-Za-z][A-Za-z0-9._-]{0,63}$")),
        Kind::Field => described(text("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")),
        Kind::Status => described(json!({ "type": ["string", "integer"] })),
        Kind::Server => described(json!({ "type": ["string", "integer"] })),
        Kind::Any(what) => json!({ "type": ["string", "number"], "description": what }),
        Kind::File
        | Kind::Host
        | Kind::Socket
        | Kind::Site
        | Kind::Range
        | Kind::Ip
        | Kind::Template => json!({ "type": "string", "title": argument.name }),
    }
}

fn text(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": pattern })
}
