//! A request for the rules, as a table writes it.

/// A request, or the answer to one.
#[derive(Debug)]
pub(super) enum Ask {
    /// GET with this target, as on the wire.
    Target(&'static str),
    /// A parameter.
    Arg(&'static str),
    /// What is sought.
    Search(&'static str),
    /// A parameter of this name.
    Named(&'static str, &'static str),
    /// A field.
    Field(&'static str, &'static str),
    /// Several.
    Fields(&'static [(&'static str, &'static str)]),
    /// A cookie's value.
    Cookie(&'static str),
    /// A method.
    Method(&'static str),
    /// A text of a form that is posted.
    Form(&'static str),
    /// JSON.
    Json(&'static str),
    /// A body of this type.
    Body(&'static str, &'static str),
    /// An upload of this name.
    File(&'static str),
    /// Status and body of an answer.
    Answer(u16, &'static str),
}

/// A rule, what it is for, and what looks like it.
pub(super) type Case = (u32, &'static [Ask], &'static [Ask]);
