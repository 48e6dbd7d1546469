//! The first pass: files into directives, and directives into what is known of rules before all of them
//! are.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::action::{self, Action, Written};
use super::change::Change;
use super::directive::{self, Directive};
use super::lexer::{self, Fault, LINE_MAX, Line, Word};
use super::shared::Shared;
use super::told::{At, Told, excerpt};
use super::{DEPTH_MAX, FILE_MAX, FILES_MAX, Files, LINKS_MAX, RULES_MAX, Source, TEXT_MAX};
use crate::rule::{Disruption, Phase, Settings, Transformation};

/// All that the files say.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) items: Vec<DraftItem>,
    pub(super) settings: Settings,
    pub(super) signatures: Vec<String>,
    pub(super) changes: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum DraftItem {
    Rule(DraftRule),
    Marker(Arc<str>),
}

/// A rule, with the links of its chain.
#[derive(Debug)]
pub(super) struct DraftRule {
    pub(super) at: At,
    /// 0 if it has none, of which is told already.
    pub(super) id: u32,
    pub(super) phase: Phase,
    pub(super) defaults: Rc<Defaults>,
    pub(super) links: Vec<DraftLink>,
}

#[derive(Debug)]
pub(super) struct DraftLink {
    pub(super) at: At,
    /// Nothing for `SecAction`.
    pub(super) condition: Option<Condition>,
    pub(super) actions: Vec<Written>,
    /// Lists of `SecRuleUpdateActionById`.
    pub(super) updates: Vec<Vec<Written>>,
}

/// What is looked at, and what is asked of it, as written.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) targets: Vec<u8>,
    pub(super) targets_line: u32,
    pub(super) operator: Vec<u8>,
    pub(super) operator_line: u32,
}

/// What `SecDefaultAction` says of a phase.
#[derive(Debug)]
pub(super) struct Defaults {
    pub(super) transformations: Vec<Transformation>,
    /// Of each rule, before its own.
    pub(super) tags: Vec<Arc<str>>,
    pub(super) disruption: Disruption,
    pub(super) status: Option<u16>,
    pub(super) log: bool,
    pub(super) audit: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            transformations: Vec::new(),
            tags: Vec::new(),
            disruption: Disruption::Pass,
            status: None,
            log: true,
            audit: true,
        }
    }
}

/// What the next rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Starter,
    /// A link of the last rule.
    Link,
    /// One cannot know: the rule before it could not be read. Nothing more is told of it.
    Unsure,
}

/// Reads all files.
pub(super) fn read(sources: &[Source], files: &dyn Files, told: &mut Told) -> Draft {
    let mut reader = Reader {
        files,
        told,
        draft: Draft::default(),
        defaults: HashMap::new(),
        plain: Rc::default(),
        next: Next::Starter,
        ids: HashMap::new(),
        opened: 0,
        bytes: 0,
        rules: 0,
        types_set: false,
    };
    for source in sources {
        reader.file(&source.name, &source.text, 0);
    }
    reader.draft
}

/// What has been read so far.
pub(super) struct Reader<'r> {
    files: &'r dyn Files,
    pub(super) told: &'r mut Told,
    pub(super) draft: Draft,
    defaults: HashMap<Phase, Rc<Defaults>>,
    plain: Rc<Defaults>,
    next: Next,
    ids: HashMap<u32, At>,
    opened: usize,
    bytes: usize,
    rules: usize,
    /// Whether types of responses have been set: the first takes the place of those that are set anyway.
    pub(super) types_set: bool,
}

impl Reader<'_> {
    fn file(&mut self, name: &Arc<str>, text: &[u8], depth: usize) {
        self.told.file(name);
        let start = At::new(name, 1);
        self.opened += 1;
        if self.opened > FILES_MAX {
            return self.told.error(&start, format!("more than {FILES_MAX} files of rules"));
        }
        if text.len() > FILE_MAX {
            let text = format!("{} bytes; at most {FILE_MAX} are read", text.len());
            return self.told.error(&start, text);
        }
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > TEXT_MAX {
            return self.told.error(&start, format!("more than {TEXT_MAX} bytes of rules"));
        }
        let mut last = start;
        for line in lexer::lines(text).filter(|line| !line.is_idle()) {
            last = At::new(name, line.first());
            if self.told.is_full() {
                return self.told.error(&last, "");
            }
            self.line(&last, &line, depth);
        }
        self.end_chain(&last, "at the end of the file");
        self.next = Next::Starter;
    }

    fn line(&mut self, at: &At, line: &Line<'_>, depth: usize) {
        if line.is_too_long() {
            self.told.error(at, format!("a directive of more than {LINE_MAX} bytes"));
            self.next = Next::Unsure;
            return;
        }
        let words = match line.words() {
            Ok(words) => words,
            Err(fault) => {
                self.fault(at, line, fault);
                self.next = Next::Unsure;
                return;
            }
        };
        let [name, arguments @ ..] = words.as_slice() else { return };
        let found = match directive::find(&name.name()) {
            Ok(found) => found,
            Err(text) => {
                self.end_chain(at, "before this directive");
                return self.told.error(at, text);
            }
        };
        if !matches!(found.directive, Directive::Rule | Directive::Action) {
            self.end_chain(at, "before this directive");
        }
        if let Err(text) = found.check(arguments.len()) {
            if matches!(found.directive, Directive::Rule | Directive::Action) {
                self.next = Next::Unsure;
            }
            return self.told.error(at, text);
        }
        match (found.directive, arguments) {
            (Directive::Rule, [targets, operator, actions @ ..]) => {
                let condition = Condition {
                    targets: targets.value().into_owned(),
                    targets_line: line.number_at(targets.at),
                    operator: operator.value().into_owned(),
                    operator_line: line.number_at(operator.at),
                };
                self.rule(at, line, Some(condition), actions.first());
            }
            (Directive::Action, [actions]) => self.rule(at, line, None, Some(actions)),
            (Directive::DefaultAction, [actions]) => self.default_action(at, line, actions),
            (Directive::Include(absent), [name]) => {
                self.include(at, &name.name(), absent, depth);
            }
            (Directive::UpdateAction, [target, actions]) => {
                if let Some(actions) = self.actions(at, line, actions) {
                    self.update_action(at, &target.name(), actions);
                }
            }
            (other, arguments) => {
                let values: Vec<_> = arguments.iter().map(Word::value).collect();
                if let Err(text) = directive::apply(self, at, found.name, other, &values) {
                    self.told.error(at, format!("{}: {text}", found.name));
                }
            }
        }
    }

    fn fault(&mut self, at: &At, line: &Line<'_>, fault: Fault) {
        self.told.error(&at.on_line(line.number_at(fault.at)), fault.text);
    }

    /// Cuts a list of actions; nothing, if that cannot be done, of which is told.
    fn actions(&mut self, at: &At, line: &Line<'_>, word: &Word<'_>) -> Option<Vec<Written>> {
        match action::split(&at.place.file, line, word) {
            Ok(actions) => Some(actions),
            Err(fault) => {
                self.fault(at, line, fault);
                None
            }
        }
    }

    fn end_chain(&mut self, at: &At, whence: &str) {
        if self.next == Next::Link
            && let Some(DraftItem::Rule(rule)) = self.draft.items.last()
        {
            let text = format!(
                "the chain of the rule on line {} has no next rule {whence}",
                rule.at.place.line
            );
            self.told.error(&at.with_id(rule.at.id), text);
        }
        self.next = Next::Starter;
    }

    fn rule(
        &mut self,
        at: &At,
        line: &Line<'_>,
        condition: Option<Condition>,
        actions: Option<&Word<'_>>,
    ) {
        self.rules += 1;
        if self.rules > RULES_MAX {
            if self.rules == RULES_MAX + 1 {
                self.told.error(at, format!("more than {RULES_MAX} rules"));
            }
            return;
        }
        let Some(actions) =
            actions.map_or_else(|| Some(Vec::new()), |word| self.actions(at, line, word))
        else {
            self.next = Next::Unsure;
            return;
        };
        let chained = actions.iter().any(|action| action.name.eq_ignore_ascii_case("chain"));
        let link = DraftLink { at: at.clone(), condition, actions, updates: Vec::new() };
        match self.next {
            Next::Link => self.link(link),
            Next::Starter | Next::Unsure => self.starter(link),
        }
        self.next = if chained { Next::Link } else { Next::Starter };
    }

    fn link(&mut self, mut link: DraftLink) {
        let Some(DraftItem::Rule(rule)) = self.draft.items.last_mut() else { return };
        link.at.id = rule.at.id;
        if rule.links.len() >= LINKS_MAX {
            return self.told.error(&link.at, format!("a chain of more than {LINKS_MAX} rules"));
        }
        rule.links.push(link);
    }

    fn starter(&mut self, mut link: DraftLink) {
        let named =
            |name: &str| link.actions.iter().rfind(|action| action.name.eq_ignore_ascii_case(name));
        let value = |action: &Written| action.value.clone().unwrap_or_default();
        let id = match named("id") {
            Some(action) => action::id(&value(action)).map(Some),
            None if self.next == Next::Unsure => Ok(None),
            None => {
                Err("a rule without an id: each rule needs its own, as in \"id:1000001\"".into())
            }
        };
        // A fault of the phase is told when the rule is built.
        let phase = named("phase")
            .and_then(|action| action::phase(&value(action)).ok())
            .unwrap_or(Phase::RequestBody);
        match id {
            Ok(Some(id)) => {
                link.at.id = Some(id);
                if let Some(first) = self.ids.get(&id) {
                    let text =
                        format!("the id {id} is that of the rule at {} already", first.place);
                    self.told.error(&link.at, text);
                } else {
                    self.ids.insert(id, link.at.clone());
                }
            }
            Ok(None) => {}
            Err(text) => self.told.error(&link.at, text),
        }
        let defaults = self.defaults.get(&phase).unwrap_or(&self.plain);
        self.draft.items.push(DraftItem::Rule(DraftRule {
            at: link.at.clone(),
            id: link.at.id.unwrap_or(0),
            phase,
            defaults: Rc::clone(defaults),
            links: vec![link],
        }));
    }

    fn default_action(&mut self, at: &At, line: &Line<'_>, word: &Word<'_>) {
        let Some(actions) = self.actions(at, line, word) else { return };
        // Patterns are in none of what a default may say, so that their settings do not matter.
        let mut shared = Shared::new(self.files, self.draft.settings.match_steps_max);
        let mut defaults = Defaults::default();
        let mut phase = Phase::RequestBody;
        let mut disruption = None;
        for written in &actions {
            let here = at.within(&written.place);
            match action::read(written, &mut shared) {
                Ok(Action::Phase(said)) => phase = said,
                Ok(Action::Disrupt(said)) => disruption = Some(said),
                Ok(Action::Status(status)) => defaults.status = Some(status),
                Ok(Action::Log) => defaults.log = true,
                Ok(Action::NoLog) => (defaults.log, defaults.audit) = (false, false),
                Ok(Action::AuditLog) => defaults.audit = true,
                Ok(Action::NoAuditLog) => defaults.audit = false,
                Ok(Action::Tag(tag)) => {
                    action::warn_of_macro(&tag, &here, self.told);
                    defaults.tags.push(tag);
                }
                Ok(Action::Block) => {
                    let text = "block in SecDefaultAction says nothing: it is what block means";
                    self.told.warn(&here, text);
                }
                Ok(Action::Transform(None)) => defaults.transformations.clear(),
                Ok(Action::Transform(Some(one))) => defaults.transformations.push(one),
                Ok(_) => {
                    let name = excerpt(written.name.as_bytes(), 0);
                    let text = format!("SecDefaultAction cannot say {name}: it is of single rules");
                    self.told.error(&here, text);
                }
                Err(text) => self.told.error(&here, text),
            }
        }
        let blocks = actions.iter().any(|action| action.name.eq_ignore_ascii_case("block"));
        match disruption {
            Some(disruption) => defaults.disruption = disruption,
            None if blocks => {}
            None => {
                let text = "SecDefaultAction without pass, deny, drop, redirect or allow";
                self.told.error(at, text);
            }
        }
        self.defaults.insert(phase, Rc::new(defaults));
    }

    fn include(&mut self, at: &At, name: &str, absent: directive::Absent, depth: usize) {
        if depth + 1 >= DEPTH_MAX {
            let text = format!("{name}: files include one another more than {DEPTH_MAX} deep");
            return self.told.error(at, text);
        }
        let base = Arc::clone(&at.place.file);
        let names = if name.contains(['*', '?', '[']) {
            match self.files.list(&base, name) {
                Ok(names) => names,
                Err(why) => return self.told.error(at, format!("{name} cannot be listed: {why}")),
            }
        } else {
            vec![name.to_owned()]
        };
        if names.is_empty() && absent == directive::Absent::Fault {
            let text = format!("no file is called {name}; IncludeOptional allows for that");
            return self.told.error(at, text);
        }
        for name in names {
            if self.opened > FILES_MAX {
                return;
            }
            match self.files.read(&base, &name) {
                Ok((full, text)) => self.file(&full, &text, depth + 1),
                Err(_) if absent == directive::Absent::Fine => {}
                Err(why) => self.told.error(at, format!("{name} cannot be read: {why}")),
            }
        }
    }

    fn update_action(&mut self, at: &At, target: &str, actions: Vec<Written>) {
        match Change::actions(at, target, actions) {
            Ok(change) => self.draft.changes.push(change),
            Err(text) => self.told.error(at, text),
        }
    }
}
