//! A rule set made of what an operator asks for: the engine's own rules, settings, a base, the
//! operator's rules and exclusions.
//!
//! All of it is SecLang that is written here and read by the one reader there is, so that nothing can
//! be asked for that an operator could not have written, and what was made can be shown. What people
//! wrote (names of arguments, paths, patterns) gets into that text only by `quote`, which leaves no
//! byte that could end its place.
//!
//! The order is: prologue, settings, exclusions with a condition (`ctl`, so ahead of all they change),
//! the set's own setup, plugins before, operator's rules before, the rules, plugins after, the
//! operator's rules, and exclusions without a condition (updates, so behind all they change).

mod exclude;
mod prologue;
mod quote;
#[cfg(test)]
mod tests;
mod wanted;

use std::sync::Arc;

use crate::rule::{Collection, Effect, Item, Notice, Rule, RuleSet, SetTo};
use crate::seclang::{self, Files, Source};
use crate::starter;

pub use wanted::{Base, Excluded, Exclusion, Level, Name, Path, Rules, Wanted};

/// Exclusions of one directive.
pub const EXCLUSIONS_MAX: usize = 500;

/// Makes the set. What is odd and does no harm is in [`RuleSet::warnings`].
///
/// # Errors
/// Every fault of the directive, of the base and of the operator's rules at once.
pub fn assemble(wanted: &Wanted, files: &dyn Files) -> Result<RuleSet, Vec<Notice>> {
    let sources = sources(wanted)?;
    let mut set = seclang::load(&sources, files)?;
    let mut warnings = Vec::new();
    mode_holds(wanted, &mut set, &mut warnings);
    levels_differ(wanted, &set, &mut warnings);
    conditions_without_rules(wanted, &set, &mut warnings);
    set.warnings.append(&mut warnings);
    Ok(set)
}

/// All texts that [`assemble`] reads, in their order, for people who want to see them.
///
/// # Errors
/// Every fault of the directive.
pub fn sources(wanted: &Wanted) -> Result<Vec<Source>, Vec<Notice>> {
    let mut faults = directive_faults(wanted);
    let (mut ahead, mut behind) = (Vec::new(), Vec::new());
    for (exclusion, id) in wanted.exclusions.iter().take(EXCLUSIONS_MAX).zip(exclude::FIRST_ID..) {
        match exclude::write(exclusion, id) {
            Ok(written) => {
                ahead.extend(written.ahead);
                behind.extend(written.behind);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let made = |name: &str, text| Source { name: Arc::from(name), text };
    let mut all = vec![
        made("(engine)", prologue::prologue(wanted)),
        made("(settings)", prologue::settings(wanted)),
    ];
    all.append(&mut ahead);
    let base: (&[Source], &[Source], &[Source], Option<&Source>) = match &wanted.base {
        Base::Starter => (&[], &[], &[], None),
        Base::Own => (&[], &[], &[], None),
        Base::Crs { setup, plugins_before, rules, plugins_after, .. } => {
            (plugins_before, rules, plugins_after, setup.as_ref())
        }
    };
    let (plugins_before, rules, plugins_after, setup) = base;
    all.extend(setup.cloned());
    all.extend_from_slice(plugins_before);
    all.extend_from_slice(&wanted.before);
    if let Base::Starter = wanted.base {
        all.push(made(starter::NAME, starter::TEXT.to_vec()));
    }
    all.extend_from_slice(rules);
    all.extend_from_slice(plugins_after);
    all.extend_from_slice(&wanted.own);
    all.append(&mut behind);
    Ok(all)
}

fn directive_faults(wanted: &Wanted) -> Vec<Notice> {
    let mut faults = Vec::new();
    let mut fault = |text| faults.push(Notice { place: wanted.place.clone(), id: None, text });
    if let (Some(level), Some(detect)) = (wanted.level, wanted.detect_level)
        && detect < level
    {
        let (level, detect) = (level.number(), detect.number());
        fault(format!("detect-level {detect} is below level {level}; it cannot be"));
    }
    for method in wanted.methods.iter().flatten() {
        if let Err(text) = exclude::checked_method(method) {
            fault(text);
        }
    }
    let exclusions = wanted.exclusions.len();
    if exclusions > EXCLUSIONS_MAX {
        fault(format!("{exclusions} exclusions; at most {EXCLUSIONS_MAX}"));
    }
    faults
}

/// The configuration is where people look to see whether requests are refused.
fn mode_holds(wanted: &Wanted, set: &mut RuleSet, warnings: &mut Vec<Notice>) {
    if set.settings.engine != wanted.mode {
        warnings.push(Notice {
            place: wanted.place.clone(),
            id: None,
            text: "a SecRuleEngine in the rules says otherwise; the mode of this line holds"
                .to_owned(),
        });
        set.settings.engine = wanted.mode;
    }
}

/// Where the set's own setup and the directive set the same, the setup comes later, and holds.
fn levels_differ(wanted: &Wanted, set: &RuleSet, warnings: &mut Vec<Notice>) {
    let Base::Crs { setup: Some(setup), .. } = &wanted.base else { return };
    let ours = prologue::variables(wanted);
    for rule in rules(set).filter(|rule| rule.place.file == setup.name) {
        for (name, value) in rule.links.iter().flat_map(|link| &link.effects).filter_map(set_tx) {
            let differs = |(ours, said): &&(&str, String)| {
                name.eq_ignore_ascii_case(ours.as_bytes()) && said.as_bytes() != value
            };
            if let Some((name, said)) = ours.iter().find(differs) {
                let value = String::from_utf8_lossy(value);
                warnings.push(Notice {
                    place: rule.place.clone(),
                    id: Some(rule.id),
                    text: format!(
                        "sets tx.{name} to {value}, where the configuration says {said} ({}); this \
                         file comes later and holds: take it out of one of them",
                        wanted.place
                    ),
                });
            }
        }
    }
}

fn rules(set: &RuleSet) -> impl Iterator<Item = &Rule> {
    set.items.iter().filter_map(|item| match item {
        Item::Rule(rule) => Some(&**rule),
        Item::Marker(_) => None,
    })
}

fn set_tx(effect: &Effect) -> Option<(&[u8], &[u8])> {
    match effect {
        Effect::Set { collection: Collection::Tx, name, to: SetTo::Value(value) } => {
            Some((name.constant()?, value.constant()?))
        }
        _ => None,
    }
}

/// An exclusion that excludes nothing is a slip of a digit, or of a set that has moved on. Those
/// without a condition are looked through where updates are made.
fn conditions_without_rules(wanted: &Wanted, set: &RuleSet, warnings: &mut Vec<Notice>) {
    for exclusion in &wanted.exclusions {
        if exclusion.path.is_none() && exclusion.methods.is_empty() {
            continue;
        }
        let meant = |rule: &Rule| match &exclusion.rules {
            Rules::Ids(ranges) => ranges.iter().any(|range| range.contains(rule.id)),
            Rules::Tag(tag) => rule.tags.iter().any(|own| **own == **tag),
        };
        if !rules(set).any(meant) {
            warnings.push(Notice {
                place: exclusion.place.clone(),
                id: None,
                text: "no rule of the set is meant by this exclusion".to_owned(),
            });
        }
    }
}

/// What the set calls itself by `SecComponentSignature`, and its version: `OWASP_CRS/4.28.0` is
/// `("OWASP_CRS", "4.28.0")`. Plugins sign too; the set itself is what is asked for.
#[must_use]
pub fn crs_version(set: &RuleSet) -> Option<(&str, &str)> {
    let pairs = || set.signatures.iter().filter_map(|signature| signature.split_once('/'));
    pairs().find(|(name, _)| name.eq_ignore_ascii_case("OWASP_CRS"))
}

/// Where distributions and people put the Core Rule Set, the likeliest first: directories with a
/// `rules` directory in them. `crs-setup.conf` is in the directory itself, except that Debian has it in
/// `/etc/modsecurity/crs`.
#[must_use]
pub const fn crs_places() -> &'static [&'static str] {
    &[
        "/etc/doorman/crs",
        "/usr/share/modsecurity-crs",
        "/usr/share/coreruleset",
        "/usr/local/share/coreruleset",
        "/etc/coreruleset",
        "/opt/coreruleset",
        "/opt/owasp-crs",
        "/usr/share/owasp-crs",
        "/etc/modsecurity/coreruleset",
        "/etc/nginx/modsec/coreruleset",
        "/etc/httpd/modsecurity.d/owasp-crs",
        "/etc/apache2/modsecurity-crs",
    ]
}

/// Where the setup file of a set at this place may be besides the place itself.
#[must_use]
pub const fn crs_setup_places() -> &'static [&'static str] {
    &["/etc/modsecurity/crs"]
}
