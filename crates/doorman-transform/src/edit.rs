//! `request-header` and `response-header`: lists of edits, applied in order.

use std::fmt;

use doorman_http::template::Template;
use doorman_http::{FieldId, Fields, RequestHead, is_field_value, is_token};

use crate::{Context, Facts, expand_value};

/// One edit of a head's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderEdit {
    name: Box<str>,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Set(Template),
    Add(Template),
    Remove,
}

/// Why an edit cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The name is not a field's name (RFC 9110 section 5.1).
    Name(Box<str>),
    /// The field frames the message or belongs to one connection; the proxy writes it itself.
    Managed(Box<str>),
    /// The text of the value holds a control byte.
    Value(Box<str>),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` is not a header field's name"),
            Self::Managed(name) => {
                write!(f, "`{name}` frames the message: the proxy writes it itself")
            }
            Self::Value(name) => write!(f, "the value of `{name}` holds a control byte"),
        }
    }
}

impl std::error::Error for EditError {}

impl HeaderEdit {
    /// One field with this value instead of all of that name.
    ///
    /// # Errors
    /// The name or the value cannot be.
    pub fn set(name: &str, value: Template) -> Result<Self, EditError> {
        Self::new(name, Action::Set(value))
    }

    /// One more field.
    ///
    /// # Errors
    /// The name or the value cannot be.
    pub fn add(name: &str, value: Template) -> Result<Self, EditError> {
        Self::new(name, Action::Add(value))
    }

    /// No field of that name.
    ///
    /// # Errors
    /// The name cannot be.
    pub fn remove(name: &str) -> Result<Self, EditError> {
        Self::new(name, Action::Remove)
    }

    fn new(name: &str, action: Action) -> Result<Self, EditError> {
        if !is_token(name.as_bytes()) {
            return Err(EditError::Name(name.into()));
        }
        let id = FieldId::of(name.as_bytes());
        // Host and Expect are typed values of the request: a field would contradict them.
        if id.is_hop_by_hop() || matches!(id, FieldId::Host | FieldId::Expect) {
            return Err(EditError::Managed(name.into()));
        }
        if let Action::Set(value) | Action::Add(value) = &action
            && value.as_text().is_some_and(|text| !is_field_value(text.as_bytes()))
        {
            return Err(EditError::Value(name.into()));
        }
        Ok(Self { name: name.into(), action })
    }
}

/// Edits in the order in which they are applied; each sees what the ones before have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    edits: Box<[HeaderEdit]>,
}

impl HeaderEdits {
    /// These edits.
    #[must_use]
    pub fn new(edits: Vec<HeaderEdit>) -> Self {
        Self { edits: edits.into() }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Edits a request. `set` and `remove` also take away what [`Fields::remove`] counts as the same
    /// name (`X_User` for `X-User`): else a client could write it (H1L-21).
    ///
    /// Gives the number of values that could not be written; a `set` among them removes the field,
    /// so that what the client sent does not stand in for it.
    pub fn apply_to_request(&self, head: &mut RequestHead, facts: &Facts<'_>) -> usize {
        let mut refused = 0;
        for edit in &self.edits {
            let name = edit.name.as_bytes();
            match &edit.action {
                Action::Remove => {
                    head.fields.remove(name);
                }
                Action::Set(template) | Action::Add(template) => {
                    let value = expand_value(template, &Context { head, facts });
                    if matches!(edit.action, Action::Set(_)) {
                        head.fields.remove(name);
                    }
                    let written = value.is_ok_and(|value| head.fields.append(name, &value));
                    refused += usize::from(!written);
                }
            }
        }
        refused
    }

    /// Edits a response; placeholders are those of its request. Gives the number of values that
    /// could not be written.
    pub fn apply_to_response(&self, fields: &mut Fields, context: &Context<'_>) -> usize {
        let mut refused = 0;
        for edit in &self.edits {
            let name = edit.name.as_bytes();
            match &edit.action {
                Action::Remove => {
                    fields.remove(name);
                }
                Action::Set(template) | Action::Add(template) => {
                    let value = expand_value(template, context);
                    if matches!(edit.action, Action::Set(_)) {
                        fields.remove(name);
                    }
                    let written = value.is_ok_and(|value| fields.append(name, &value));
                    refused += usize::from(!written);
                }
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn text(fields: &Fields) -> String {
        let line = |(_, name, value): (_, &[u8], &[u8])| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        fields.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn edits_in_order() {
        let mut head = RequestHead::default();
        for (name, value) in
            [("X-A", "1"), ("x-a", "2"), ("X_A", "3"), ("X-B", "b"), ("X.User", "root")]
        {
            head.fields.push(name.as_bytes(), value.as_bytes());
        }
        let edits = HeaderEdits::new(vec![
            HeaderEdit::set("x-a", template("<{header.x-a}>")).unwrap(),
            HeaderEdit::add("x-c", template("{header.x-a}{header.none}")).unwrap(),
            HeaderEdit::add("x-c", template("plain")).unwrap(),
            HeaderEdit::remove("X-User").unwrap(),
            HeaderEdit::remove("x-b").unwrap(),
        ]);
        assert_eq!(edits.apply_to_request(&mut head, &Facts::default()), 0);
        assert_eq!(text(&head.fields), "x-a: <1>\nx-c: <1>\nx-c: plain");
    }

    #[test]
    fn a_response_takes_values_of_its_request() {
        let head = RequestHead::default();
        let facts = Facts { request_id: "id-1", ..Facts::default() };
        let mut fields = Fields::new();
        fields.push(b"Server", b"origin/1");
        fields.push(b"X-Kept", b"1");
        let edits = HeaderEdits::new(vec![
            HeaderEdit::remove("server").unwrap(),
            HeaderEdit::set("X-Id", template("{request-id}")).unwrap(),
        ]);
        assert_eq!(
            edits.apply_to_response(&mut fields, &Context { head: &head, facts: &facts }),
            0
        );
        assert_eq!(text(&fields), "X-Kept: 1\nX-Id: id-1");
    }

    /// H1L-19: a value that could end a line is not written, and what it was to replace is gone.
    #[test]
    fn no_line_is_ended() {
        let group = [&b"a\r\nX-Evil: 1"[..]];
        let facts = Facts { captures: &group, ..Facts::default() };
        let mut head = RequestHead::default();
        head.fields.push(b"x-a", b"spoofed");
        let edits = HeaderEdits::new(vec![
            HeaderEdit::set("x-a", template("{1}")).unwrap(),
            HeaderEdit::add("x-b", template("{1}")).unwrap(),
        ]);
        assert_eq!(edits.apply_to_request(&mut head, &facts), 2);
        assert!(head.fields.is_empty());
    }

    #[test]
    fn what_cannot_be_edited() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "keep-alive",
            "TE",
            "Trailer",
            "Upgrade",
            "Proxy-Connection",
            "HTTP2-Settings",
            "Host",
            "Expect",
        ] {
            let managed = Err(EditError::Managed(name.into()));
            assert_eq!(HeaderEdit::set(name, template("1")), managed);
            assert_eq!(HeaderEdit::add(name, template("1")), managed);
            assert_eq!(HeaderEdit::remove(name), managed);
        }
        for name in ["", "a b", "a:", ":path", "a\n"] {
            assert_eq!(HeaderEdit::remove(name), Err(EditError::Name(name.into())));
        }
        assert_eq!(HeaderEdit::set("x", template("a\nb")), Err(EditError::Value("x".into())));
    }
}
