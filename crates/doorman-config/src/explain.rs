//! The long text behind every code: what it means, a wrong example and a right one. Tests load both, so that the texts
//! cannot drift from the decoder.

mod grammar;
mod guard;
mod meaning;
mod plan;
mod values;

/// What a code means.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// `E0207` and the like.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it is so, and what to do.
    pub text: &'static str,
    /// A configuration that has the fault.
    pub wrong: &'static str,
    /// The same without it.
    pub right: &'static str,
}

impl Explanation {
    const fn new(
        code: &'static str,
        title: &'static str,
        text: &'static str,
        wrong: &'static str,
        right: &'static str,
    ) -> Explanation {
        Explanation { code, title, text, wrong, right }
    }
}

/// All explanations, by code.
pub fn explanations() -> impl Iterator<Item = &'static Explanation> {
    let errors = grammar::CODES.iter().chain(meaning::CODES).chain(guard::CODES);
    errors.chain(values::CODES).chain(meaning::WARNINGS).chain(guard::WARNINGS)
}

/// Explanations of what only compiling a plan can find, by code.
pub fn plan_explanations() -> impl Iterator<Item = &'static Explanation> {
    plan::CODES.iter()
}

/// The long text of a code, in whatever case it is written; `None` if there is no such code.
#[must_use]
pub fn explain_code(code: &str) -> Option<String> {
    let found = explanations()
        .chain(plan_explanations())
        .find(|known| known.code.eq_ignore_ascii_case(code))?;
    let indented =
        |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    Some(format!(
        "{}: {}\n\n{}\n\nWrong:\n\n{}\nRight:\n\n{}",
        found.code,
        found.title,
        found.text,
        indented(found.wrong),
        indented(found.right)
    ))
}
