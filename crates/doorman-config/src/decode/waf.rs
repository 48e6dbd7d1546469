//! `waf` of a policy, a site or a route.

use super::options::Line;
use super::{Decoder, ending};
use crate::address;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{
    Diagnostic, PathPattern, RouteOptions, Setting, Span, Spanned, Waf, WafBase, WafExclusion,
    WafMode, WafNames, WafOnError, WafOverLimit, WafRules, WafTarget, WafTargetKind,
};

/// Bounds of what is held back of a request's body: below, no form fits; above, a handful of clients would fill the
/// memory of small machines.
const BODY_BYTES: (u64, u64) = (1 << 10, 64 << 20);

/// The highest number of a rule, as rules themselves may have it.
const ID_MAX: u64 = i32::MAX as u64;

/// Exclusions of one block: each is a rule that is run for every request.
const EXCLUSIONS_MAX: usize = 1_000;

/// What one `waf` line says.
#[derive(Clone, Debug)]
pub(super) enum WafLine {
    /// Which rules there are.
    Base(Option<Box<Waf>>),
    /// What they do not look at.
    Exclude(Vec<WafExclusion>),
}

/// Puts lines over those before them: exclusions stay, whatever rules they come to belong to.
#[derive(Clone, Debug, Default)]
pub(super) struct Inspection {
    base: Option<Box<Waf>>,
    exclusions: Vec<WafExclusion>,
}

impl Inspection {
    pub(super) fn apply(&mut self, line: WafLine) {
        match line {
            WafLine::Base(base) => self.base = base,
            WafLine::Exclude(exclusions) => self.exclusions.extend(exclusions),
        }
    }

    /// What holds in the end.
    pub(super) fn finish(self, options: &mut RouteOptions) {
        options.waf = self.base.map(|mut base| {
            base.exclusions.extend(self.exclusions);
            base
        });
    }
}

impl Decoder<'_> {
    /// One `waf` line.
    pub(super) fn waf(&mut self, block: &Item) -> Option<WafLine> {
        let Some(text) = block.value(0) else { return self.waf_exclusions(block) };
        if text.word() == Some("off") {
            self.check_alone(block, None, "waf crs { ... }");
            return Some(WafLine::Base(None));
        }
        let base = self.waf_base(text);
        let mut waf = Waf {
            base: Spanned::new(WafBase::Starter, text.span),
            level: Setting::default_of(1),
            detect_level: None,
            mode: Setting::default_of(WafMode::Block),
            threshold: None,
            outbound_threshold: None,
            early_blocking: Setting::default_of(false),
            exclusions: Vec::new(),
            rules: Vec::new(),
            body_max: Setting::default_of(Waf::BODY_BYTES),
            over_limit: Setting::default_of(WafOverLimit::Reject),
            response: Setting::default_of(false),
            on_error: None,
            methods: Vec::new(),
            span: block.span,
        };
        for item in &block.children {
            self.waf_word(item, &mut waf);
        }
        self.check_waf(block, &waf);
        waf.base = base?;
        Some(WafLine::Base(Some(Box::new(waf))))
    }

    fn waf_base(&mut self, text: &Text) -> Option<Spanned<WafBase>> {
        let base = match text.text.as_str() {
            "crs" => WafBase::Crs,
            "starter" => WafBase::Starter,
            path if path.contains('/') => {
                WafBase::Folder(self.ok(values::file(text, self.sources))?.value)
            }
            _ => {
                let words = [("crs", ()), ("starter", ()), ("off", ())];
                let wrong = values::choice(text, &words, &[]);
                let help = "a folder of rules is written with a slash: ./rules, /etc/doorman/rules";
                self.ok(wrong.map_err(|error| error.help(help)));
                return None;
            }
        };
        Some(Spanned::new(base, text.span))
    }

    fn waf_word(&mut self, item: &Item, waf: &mut Waf) {
        let level = |text: &Text| values::number(text, 1, 4);
        let score = |text: &Text| values::number(text, 1, 1_000_000);
        match item.directive.name {
            "level" => self.set(item, &mut waf.level, level),
            "detect-level" => self.fill(item, &mut waf.detect_level, level),
            "mode" => self.set(item, &mut waf.mode, |text| {
                let modes = [WafMode::Block, WafMode::Detect].map(|mode| (mode.word(), mode));
                values::choice(text, &modes, &[])
            }),
            "threshold" => self.fill(item, &mut waf.threshold, score),
            "outbound-threshold" => self.fill(item, &mut waf.outbound_threshold, score),
            "early-blocking" => self.set(item, &mut waf.early_blocking, switch),
            "response" => self.set(item, &mut waf.response, switch),
            "on-error" => self.fill(item, &mut waf.on_error, |text| {
                let ways = [WafOnError::Open, WafOnError::Closed].map(|way| (way.word(), way));
                values::choice(text, &ways, &[])
            }),
            "exclude" => {
                let exclusion = self.exclusion(item).filter(|_| !item.is_off());
                waf.exclusions.extend(exclusion);
            }
            "rules" => {
                for text in &item.values {
                    let file = self.ok(values::file(text, self.sources));
                    waf.rules.extend(file.filter(|_| !item.is_off()));
                }
            }
            "methods" => {
                let methods = self.methods(&item.values);
                if !item.is_off() {
                    waf.methods = methods.unwrap_or_default();
                }
            }
            _ => self.waf_body(item, waf),
        }
    }

    /// `body max SIZE over-limit WAY`.
    fn waf_body(&mut self, block: &Item, waf: &mut Waf) {
        for item in &block.children {
            match item.directive.name {
                "max" => self.set(item, &mut waf.body_max, |text| {
                    values::size_within(text, BODY_BYTES.0, BODY_BYTES.1)
                        .map_err(|error| error.help("write a size from 1KiB to 64MiB"))
                }),
                _ => self.set(item, &mut waf.over_limit, |text| {
                    let ways = [WafOverLimit::Reject, WafOverLimit::Partial];
                    values::choice(text, &ways.map(|way| (way.word(), way)), &[])
                }),
            }
        }
        if block.children.is_empty() && !block.damaged {
            let error = Diagnostic::error("E0204", block.span, "`body` misses a value");
            self.say(error.help("it is written `body max SIZE over-limit reject|partial`"));
        }
    }

    fn check_waf(&mut self, block: &Item, waf: &Waf) {
        if let Some(detect) = waf.detect_level.filter(|detect| detect.value < waf.level.value) {
            let message = "rules that count are run, too: `detect-level` is below `level`";
            let error = Diagnostic::error("E0247", detect.span, message);
            let error = waf.level.span.iter().fold(error, |error, at| error.also(*at, "this"));
            self.say(error.help(format!("write {} or more", waf.level.value)));
        }
        if waf.exclusions.len() > EXCLUSIONS_MAX {
            let message = format!("more than {EXCLUSIONS_MAX} exclusions in one `waf`");
            let error = Diagnostic::error("E0110", block.span, message);
            self.say(error.help("exclude a range, or what has a tag"));
        }
    }

    /// A `waf` line that names no rules.
    fn waf_exclusions(&mut self, block: &Item) -> Option<WafLine> {
        let mut exclusions = Vec::new();
        for item in &block.children {
            if item.directive.name == "exclude" {
                exclusions.extend(self.exclusion(item).filter(|_| !item.is_off()));
                continue;
            }
            let name = item.directive.name;
            let message = format!("`{name}` in a `waf` that names no rules");
            let error = Diagnostic::error("E0247", item.span, message);
            self.say(error.help(
                "write `waf crs` or `waf starter` with it; only exclusions add to what holds already",
            ));
        }
        if block.children.is_empty() && !block.damaged {
            let error = Diagnostic::error("E0204", block.span, "`waf` names no rules");
            self.say(
                error.help(
                    "write `waf crs`, `waf starter`, `waf DIR`, `waf off` or `waf exclude ...`",
                ),
            );
        }
        Some(WafLine::Exclude(exclusions))
    }

    /// `exclude ID|RANGE... [tag T] [arg|header|cookie NAMES] [path P] [method M...]`.
    fn exclusion(&mut self, block: &Item) -> Option<WafExclusion> {
        let before = self.diagnostics.count();
        let ids: Vec<_> = block.values.iter().filter_map(|text| self.ok(id_range(text))).collect();
        let (mut tag, mut target, mut path, mut methods) = (None, None, None, Vec::new());
        for item in &block.children {
            match item.directive.name {
                "tag" => self.fill(item, &mut tag, tag_of),
                "path" => path = self.exclusion_path(item).filter(|_| !item.is_off()),
                "method" => methods = self.methods(&item.values)?,
                name => {
                    let found = self.exclusion_target(name, item);
                    let Some(found) = found.filter(|_| !item.is_off()) else { continue };
                    self.set_target(item, &mut target, found);
                }
            }
        }
        let rules = match (ids.is_empty(), tag) {
            (false, None) => {
                WafRules::Ids(ids.into_iter().map(|range: Spanned<_>| range.value).collect())
            }
            (true, Some(tag)) => WafRules::Tag(tag.value),
            (false, Some(tag)) => {
                let message = "an exclusion is of rules by their numbers or by a tag";
                let error = Diagnostic::error("E0247", tag.span, message);
                self.say(error.help("write one `exclude` for each"));
                return None;
            }
            (true, None) => {
                if self.diagnostics.count() == before && !block.damaged {
                    let message = "an exclusion without rules";
                    let error = Diagnostic::error("E0247", block.span, message);
                    self.say(error.help(
                        "write their numbers, as `exclude 942100`, or `exclude tag attack-sqli`",
                    ));
                }
                return None;
            }
        };
        let written = written(block);
        let span = block.span;
        (self.diagnostics.count() == before).then_some(WafExclusion {
            rules,
            target,
            path,
            methods,
            written,
            span,
        })
    }

    fn set_target(
        &mut self,
        item: &Item,
        target: &mut Option<Spanned<WafTarget>>,
        found: Spanned<WafTarget>,
    ) {
        match target {
            None => *target = Some(found),
            Some(first) => {
                let message = "an exclusion is about one thing";
                let error = Diagnostic::error("E0247", item.span, message);
                self.say(error.also(first.span, "this").help("write one `exclude` for each"));
            }
        }
    }

    /// `NAME`, `~ REGEX`, `*`.
    fn exclusion_target(&mut self, kind: &str, item: &Item) -> Option<Spanned<WafTarget>> {
        let kind = match kind {
            "arg" => WafTargetKind::Arg,
            "header" => WafTargetKind::Header,
            _ => WafTargetKind::Cookie,
        };
        let names = match item.values.as_slice() {
            [tilde, regex] if tilde.text == "~" => {
                WafNames::Regex(self.ok(values::regex(regex))?.value)
            }
            [star] if star.word() == Some("*") => WafNames::All,
            [name] if name.text != "~" => self.exclusion_name(kind, name)?,
            rest => {
                let span = rest.get(1).map_or(item.span, |extra| extra.span);
                let name = item.directive.name;
                let message = format!("`{name}` takes one name, or ~ and a regex");
                let error = Diagnostic::error("E0204", span, message);
                self.say(error.help("write one `exclude` for each name"));
                return None;
            }
        };
        Some(Spanned::new(WafTarget { kind, names }, item.span))
    }

    fn exclusion_name(&mut self, kind: WafTargetKind, name: &Text) -> Option<WafNames> {
        let is_token = doorman_http::is_token(name.text.as_bytes());
        let is_good = match kind {
            WafTargetKind::Header | WafTargetKind::Cookie => is_token,
            WafTargetKind::Arg => !name.text.is_empty() && !name.text.chars().any(char::is_control),
        };
        if is_good {
            return Some(WafNames::Exact(name.text.clone()));
        }
        let message = format!("`{}` cannot be the name", name.shown());
        self.say(Diagnostic::error("E0310", name.span, message));
        None
    }

    /// `/exact`, `/prefix/*`. Rules read paths themselves, so there is nothing else to ask of them.
    fn exclusion_path(&mut self, item: &Item) -> Option<Spanned<PathPattern>> {
        let path = self.ok(address::path(item.value(0)?))?;
        if let PathPattern::Wildcard { .. } | PathPattern::Regex(_) = path.value {
            let message = "an exclusion is of one path, or of all below one";
            let error = Diagnostic::error("E0247", path.span, message);
            self.say(error.help(
                "write /exact or /prefix/*; for others, write the exclusion into their route",
            ));
            return None;
        }
        Some(path)
    }

    fn methods(&mut self, values: &[Text]) -> Option<Vec<Spanned<String>>> {
        let methods: Vec<_> = values.iter().map(|text| self.ok(ending::method(text))).collect();
        methods.into_iter().collect()
    }

    /// Says so if two lines of one block name rules.
    pub(super) fn check_waf_lines(&mut self, items: &[Item]) {
        let named = |item: &&Item| {
            item.directive.name == "waf" && !item.is_off() && !item.values.is_empty()
        };
        let mut named = items.iter().filter(named);
        let Some(first) = named.next() else { return };
        for item in named {
            let error =
                Diagnostic::error("E0205", item.name, "`waf` names rules twice in this block");
            self.say(
                error
                    .here("again")
                    .also(first.name, "first")
                    .help("keep one; `off waf ...` keeps a line without using it"),
            );
        }
    }

    /// Says so if a route excludes something where nothing is inspected. A `waf off` is meant.
    pub(super) fn check_excluded(&mut self, options: &RouteOptions, lines: &[&[Line]]) {
        if options.waf.is_some() {
            return;
        }
        let all = || lines.iter().copied().flatten();
        if all().any(|line| matches!(line, Line::Waf(WafLine::Base(None)))) {
            return;
        }
        let own = lines.last().copied().unwrap_or_default();
        let spans: Vec<Span> = own
            .iter()
            .filter_map(|line| match line {
                Line::Waf(WafLine::Exclude(exclusions)) => Some(exclusions),
                _ => None,
            })
            .flatten()
            .map(|exclusion| exclusion.span)
            .collect();
        for span in spans {
            let message = "an exclusion where nothing is inspected";
            let warning = Diagnostic::warning("W0311", span, message);
            self.say(
                warning.help("write `waf crs` or `waf starter` in the route, its site or a policy"),
            );
        }
    }
}

/// `on`, `off`.
fn switch(text: &Text) -> Value<bool> {
    values::choice(text, &[("on", true), ("off", false)], &[])
}

/// `942100`, `920000-920999`.
fn id_range(text: &Text) -> Value<(u32, u32)> {
    let id = |digits: &str| {
        let number = Some(digits).filter(|digits| values::is_number(digits));
        let number = number.and_then(|digits| digits.parse::<u64>().ok());
        number
            .filter(|number| (1..=ID_MAX).contains(number))
            .and_then(|number| u32::try_from(number).ok())
    };
    let (first, last) = text.text.split_once('-').unwrap_or((&text.text, &text.text));
    match (id(first), id(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Spanned::new((first, last), text.span)),
        _ => {
            let message = format!("`{}` is no number of a rule and no range of such", text.shown());
            let error = Diagnostic::error("E0247", text.span, message);
            Err(error.help("write 942100, or 920000-920999; a tag stands behind `tag`"))
        }
    }
}

/// A tag: what may stand in one without quotes.
fn tag_of(text: &Text) -> Value<String> {
    let is_good = |c: char| c.is_ascii_graphic() && !matches!(c, '\'' | '"' | ',' | '\\');
    if !text.text.is_empty() && text.text.len() <= 200 && text.text.chars().all(is_good) {
        return Ok(Spanned::new(text.text.clone(), text.span));
    }
    let message = format!("`{}` cannot be the tag of a rule", text.shown());
    Err(Diagnostic::error("E0247", text.span, message)
        .help("tags are written as in the rules: attack-sqli, OWASP_CRS/ATTACK-SQLI"))
}

/// The words of an exclusion, for people.
fn written(block: &Item) -> String {
    let mut words: Vec<String> = block.values.iter().map(Text::shown).collect();
    for item in block.children.iter().filter(|item| !item.is_off()) {
        words.push(item.directive.name.to_owned());
        words.extend(item.values.iter().map(Text::shown));
    }
    words.join(" ")
}
