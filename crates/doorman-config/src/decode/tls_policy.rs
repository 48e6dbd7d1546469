//! `tls-policy` in `global`: policies of the operator, and the one that sites have that say nothing.

use super::Decoder;
use crate::item::Item;
use crate::table::{GROUPS, SUITES, SUITES_TLS13};
use crate::values;
use crate::{Diagnostic, Global, Setting, Spanned, TlsPolicy, TlsVersion};

impl Decoder<'_> {
    /// A line with a block makes a policy, one without chooses one.
    pub(super) fn tls_policy(
        &mut self,
        item: &Item,
        global: &mut Global,
        wanted: &mut Option<Spanned<String>>,
    ) {
        let Some(text) = item.value(0) else { return };
        let Some(name) = self.ok(values::name(text)) else { return };
        if item.children.is_empty() {
            if let Some(first) = wanted.as_ref().filter(|_| !item.is_off()) {
                let message = "a second `tls-policy` for all sites";
                let error = Diagnostic::error("E0208", item.span, message);
                return self.say(error.also(first.span, "the first"));
            }
            if !item.is_off() {
                *wanted = Some(name);
            }
            return;
        }
        let policy = self.tls_policy_block(item, name.value.clone());
        let known = global.tls_policies.iter().find(|known| known.value.name == name.value);
        let built_in = matches!(name.value.as_str(), "intermediate" | "modern");
        if built_in || known.is_some() {
            let message = format!("a second policy `{}`", name.value);
            let error = Diagnostic::error("E0208", name.span, message);
            let error =
                known.iter().fold(error, |error, first| error.also(first.span, "the first"));
            return self.say(error.help("give it a name of its own"));
        }
        if let Some(policy) = policy.filter(|_| !item.is_off()) {
            global.tls_policies.push(Spanned::new(policy, name.span));
        }
    }

    fn tls_policy_block(&mut self, block: &Item, name: String) -> Option<TlsPolicy> {
        let before = self.diagnostics.count();
        let mut min = Setting::default_of(TlsVersion::V1_2);
        let (mut suites, mut groups) = (Vec::new(), Vec::new());
        for item in &block.children {
            match item.directive.name {
                "min" => self.set(item, &mut min, |text| {
                    let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
                    values::choice(text, &versions, &[])
                }),
                "suites" => self.policy_words(item, SUITES, &mut suites),
                "groups" => self.policy_words(item, GROUPS, &mut groups),
                _ => {}
            }
        }
        let new = |suite: &&str| SUITES.iter().take(SUITES_TLS13).any(|known| known == suite);
        if !suites.is_empty() && !suites.iter().any(new) {
            let message = format!("policy `{name}` has no suite of TLS 1.3");
            let help = format!("add one of {}", SUITES[..SUITES_TLS13].join(", "));
            self.say(Diagnostic::error("E0228", block.span, message).help(help));
        }
        let sound = self.diagnostics.count() == before;
        sound.then_some(TlsPolicy { name, min: min.value, suites, groups })
    }

    fn policy_words(
        &mut self,
        item: &Item,
        known: &'static [&'static str],
        words: &mut Vec<&'static str>,
    ) {
        let choices: Vec<(&str, &'static str)> = known.iter().map(|word| (*word, *word)).collect();
        for text in &item.values {
            let Some(word) = self.ok(values::choice(text, &choices, &[])) else { continue };
            if words.contains(&word.value) {
                let message = format!("`{}` stands here twice", text.shown());
                self.say(Diagnostic::error("E0208", text.span, message));
            } else if !item.is_off() {
                words.push(word.value);
            }
        }
    }

    /// The policy of that name.
    pub(super) fn named_tls_policy(
        &mut self,
        name: &Spanned<String>,
        global: &Global,
    ) -> Option<TlsPolicy> {
        match name.value.as_str() {
            "intermediate" => return Some(TlsPolicy::intermediate()),
            "modern" => return Some(TlsPolicy::modern()),
            _ => {}
        }
        let known = || global.tls_policies.iter().map(|policy| &policy.value);
        if let Some(policy) = known().find(|policy| policy.name == name.value) {
            return Some(policy.clone());
        }
        let message = format!("there is no TLS policy `{}`", name.value);
        let names = known().map(|policy| policy.name.as_str()).chain(["intermediate", "modern"]);
        let help = match crate::suggest::nearest(&name.value, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "write intermediate, modern, or `tls-policy {} {{ ... }}` in `global`",
                name.value
            ),
        };
        self.say(Diagnostic::error("E0228", name.span, message).help(help));
        None
    }
}
