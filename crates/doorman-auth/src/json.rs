//! JSON as tokens and key sets hold it, read strictly: a name that comes twice in an object is refused (RFC 7515
//! section 4 and RFC 7519 section 4 leave a choice), because two readers could take different ones; and nothing may be
//! nested deeper than a token of anybody's is.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Objects and lists in one another. Claims of known issuers go to four.
pub(crate) const DEPTH_MAX: usize = 16;

/// The members of the one object that this text is.
///
/// # Errors
/// It is no JSON, no object, nested too deep, or an object in it has a name twice.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict(DEPTH_MAX).deserialize(&mut reader)?;
    reader.end()?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(serde_json::Error::custom("no object")),
    }
}

/// The text of that member; `None`: there is none, or it is no text.
pub(crate) fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

/// Reads a value in which so many more levels may be nested.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn below<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(below)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(below)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictness() {
        let nested =
            |depth: usize| format!("{}{}", r#"{"a":"#.repeat(depth) + "1", "}".repeat(depth));
        let (deep, deeper) = (nested(DEPTH_MAX), nested(DEPTH_MAX + 1));
        let bottomless = nested(100_000);
        for (json, is_good) in [
            (r#"{"a":[1,-2,0.5,true,null,"\u0041"],"b":{}}"#, true),
            (r#"{"a":1,"a":1}"#, false),
            (r#"{"a":1,"\u0061":2}"#, false),
            (r#"{"x":{"a":1,"a":1}}"#, false),
            (r#"{"x":[{"a":1,"a":1}]}"#, false),
            (r#"{"a":1}{"#, false),
            (r#"{"a":1} "#, true),
            (r#"{"a":1e999}"#, false),
            ("[]", false),
            ("1", false),
            ("", false),
            ("{\"a\":\"\u{1}\"}", false),
            (&deep, true),
            (&deeper, false),
            (&bottomless, false),
        ] {
            assert_eq!(object(json.as_bytes()).is_ok(), is_good, "{}", &json[..json.len().min(60)]);
        }
        assert!(object(b"{\"a\":\"\xFF\"}").is_err());
    }
}
