//! `allow`, `deny` and `geo`.

use std::collections::HashSet;

use ipnet::IpNet;

use super::Decoder;
use crate::item::{Item, Text};
use crate::values::{self, Value};
use crate::{Access, BuiltInList, Country, Diagnostic, Geo, Setting, Site, Span, Spanned, WhoList};

/// Values of one list. What is longer belongs into a file, which is read without the rest.
const LISTED_MAX: usize = 10_000;

/// Ranges of two lists that are compared with each other. The work grows with the product.
const COMPARED_MAX: usize = 200;

impl Decoder<'_> {
    /// All `allow` and `deny` lines of one block.
    pub(super) fn access(&mut self, items: &[Item]) -> Option<Access> {
        let mut access = Access::default();
        for item in items {
            match item.directive.name {
                "allow" => self.who(item, &mut access.allow),
                "deny" => self.who(item, &mut access.deny),
                _ => {}
            }
        }
        if let (Some(allow), Some(deny)) = (&access.allow, &access.deny)
            && allow.is_plain()
            && common(&ranges_of(allow), deny)
        {
            let message = "nobody is let in: `deny` names all whom `allow` does";
            let error = Diagnostic::error("E0251", allow.span, message);
            self.say(error.also(deny.span, "this goes first").help(
                "`deny` is for a part of what `allow` names; everybody else is refused anyway",
            ));
        }
        (access.allow.is_some() || access.deny.is_some()).then_some(access)
    }

    /// Adds one line to a list.
    fn who(&mut self, block: &Item, slot: &mut Option<WhoList>) {
        let mut list = slot.take().unwrap_or_else(|| nobody(block.span));
        let before = (self.diagnostics.count(), list.count());
        for text in &block.values {
            list.ranges.extend(self.ok(range(text, block.directive.name)));
        }
        for item in &block.children {
            if item.is_off() {
                self.who_word(item, &mut nobody(item.span));
            } else {
                self.who_word(item, &mut list);
            }
        }
        let is_sound = self.diagnostics.count() == before.0 && !block.damaged;
        if is_sound && list.count() == before.1 && !block.is_off() {
            let name = block.directive.name;
            let error = Diagnostic::error("E0204", block.span, format!("`{name}` names nobody"));
            self.say(error.help(format!(
                "it is written `{name} 10.0.0.0/8`, `{name} file FILE`, `{name} country CODE` or `{name} asn N`"
            )));
        }
        if list.count() > LISTED_MAX && before.1 <= LISTED_MAX {
            let message = format!("more than {LISTED_MAX} values in one list");
            let error = Diagnostic::error("E0110", block.span, message);
            self.say(error.help("put them into a file and write `file` with its name"));
        }
        if !block.is_off() {
            *slot = Some(list);
        }
    }

    fn who_word(&mut self, item: &Item, list: &mut WhoList) {
        for text in &item.values {
            match item.directive.name {
                "file" => list.files.extend(self.ok(values::file(text, self.sources))),
                "country" => list.countries.extend(self.ok(country(text))),
                "asn" => list.networks.extend(self.ok(network(text))),
                "list" => {
                    let lists = [BuiltInList::BadBots].map(|list| (list.word(), list));
                    list.lists.extend(self.ok(values::choice(text, &lists, &[])));
                }
                _ => self.refusal(text, &mut list.status),
            }
        }
        match item.directive.name {
            "country" if !self.has_countries => self.missing_geo(item, "country"),
            "asn" if !self.has_networks => self.missing_geo(item, "asn"),
            _ => {}
        }
    }

    fn refusal(&mut self, text: &Text, slot: &mut Setting<u16>) {
        let Some(status) = self.ok(values::status(text, 400, 499)) else { return };
        if let Some(first) = slot.span.filter(|_| slot.value != status.value) {
            let message = "the lines of a list have one status";
            let error = Diagnostic::error("E0251", text.span, message);
            return self.say(error.also(first, "the other").help("keep one of them"));
        }
        *slot = status.into();
    }

    fn missing_geo(&mut self, item: &Item, word: &str) {
        if self.damaged || item.is_off() {
            return;
        }
        let message = format!("`{word}` without a database that says where addresses are");
        let error = Diagnostic::error("E0251", item.span, message);
        self.say(error.help(format!("write `geo {word} FILE` in `global`")));
    }

    pub(in crate::decode) fn geo(&mut self, block: &Item) -> Option<Geo> {
        let (mut country, mut asn) = (None, None);
        let sources = self.sources;
        for item in &block.children {
            let slot = if item.directive.name == "country" { &mut country } else { &mut asn };
            self.fill(item, slot, |text| values::file(text, sources));
        }
        if block.children.is_empty() && !block.damaged {
            let error = Diagnostic::error("E0204", block.span, "`geo` names no database");
            self.say(error.help("it is written `geo country FILE asn FILE`; one of them will do"));
        }
        let is_there = country.is_some() || asn.is_some();
        (is_there && !block.is_off()).then_some(Geo { country, asn, span: block.span })
    }

    /// Lists of several blocks that no client can pass together.
    pub(super) fn check_access(&mut self, site: &Site) {
        let mut seen: HashSet<Span> = HashSet::new();
        for route in &site.routes {
            let mut left: Option<(Vec<IpNet>, Span)> = None;
            let lists =
                route.options.guard.access.iter().filter_map(|access| access.allow.as_ref());
            let plain = |list: &&WhoList| {
                list.is_plain() && (1..=COMPARED_MAX).contains(&list.ranges.len())
            };
            for list in lists.filter(plain) {
                let here = ranges_of(list);
                let Some((before, span)) = left.take() else {
                    left = Some((here, list.span));
                    continue;
                };
                let both = intersection(&before, &here);
                if both.is_empty() && seen.insert(list.span) {
                    let message = "nobody is let in: no client is in both lists";
                    let error = Diagnostic::error("E0251", list.span, message);
                    self.say(error.also(span, "the other").help(
                        "the lists of a policy, of the site and of the route must all let a client pass: \
                         write into the outer one who may come at all",
                    ));
                }
                if both.is_empty() || both.len() > COMPARED_MAX {
                    break;
                }
                left = Some((both, list.span));
            }
        }
    }
}

fn nobody(span: Span) -> WhoList {
    WhoList {
        ranges: Vec::new(),
        files: Vec::new(),
        countries: Vec::new(),
        networks: Vec::new(),
        lists: Vec::new(),
        status: Setting::default_of(403),
        span,
    }
}

impl WhoList {
    fn count(&self) -> usize {
        self.ranges.len()
            + self.files.len()
            + self.countries.len()
            + self.networks.len()
            + self.lists.len()
    }
}

fn ranges_of(list: &WhoList) -> Vec<IpNet> {
    list.ranges.iter().map(|range| range.value).collect()
}

/// Whether each of these ranges lies in one that is denied.
fn common(ranges: &[IpNet], deny: &WhoList) -> bool {
    let denied = ranges_of(deny);
    denied.len().min(ranges.len()) <= COMPARED_MAX
        && !ranges.is_empty()
        && ranges.iter().all(|range| denied.iter().any(|denied| denied.contains(range)))
}

/// What is in both. Of two ranges, one holds the other or they have nothing in common.
fn intersection(a: &[IpNet], b: &[IpNet]) -> Vec<IpNet> {
    let inner = |a: &IpNet, b: &IpNet| {
        if a.contains(b) { Some(*b) } else { b.contains(a).then_some(*a) }
    };
    a.iter().flat_map(|a| b.iter().filter_map(move |b| inner(a, b))).collect()
}

fn range(text: &Text, word: &str) -> Value<IpNet> {
    let slip = match (text.word(), word) {
        (Some("all" | "any" | "*"), "allow") => {
            "leave the line out: everybody may come who is not denied".to_owned()
        }
        (Some("all" | "any" | "*"), _) => {
            "`allow` refuses everybody else; all addresses are written 0.0.0.0/0 ::/0".to_owned()
        }
        (Some(code), _) if is_code(code) => format!("a country is written `country {code}`"),
        _ => return values::range(text),
    };
    let message = format!("`{}` is not an address range", text.shown());
    Err(Diagnostic::error("E0306", text.span, message).help(slip))
}

/// Two letters in upper case.
fn is_code(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn country(text: &Text) -> Value<Country> {
    let upper = text.text.to_ascii_uppercase();
    // What people write although the code is another one.
    let meant = match upper.as_str() {
        "UK" => "GB",
        "EL" => "GR",
        other => other,
    };
    if let (true, &[a, b]) = (meant == text.text && is_code(meant), text.text.as_bytes()) {
        return Ok(Spanned::new(Country([a, b]), text.span));
    }
    let message = format!("`{}` is not the code of a country", text.shown());
    let error = Diagnostic::error("E0251", text.span, message);
    Err(if is_code(meant) {
        error.help(format!("did you mean `{meant}`?"))
    } else if values::range(text).is_ok() {
        error.help("addresses stand first: `allow 10.0.0.0/8 country DE`")
    } else {
        error.help("a country is two letters of ISO 3166-1: DE, US, JP")
    })
}

/// `64500`, as the number of an autonomous system.
fn network(text: &Text) -> Value<u32> {
    values::number(text, 1, u64::from(u32::MAX)).map_err(|error| {
        let digits = text.text.get(2..).unwrap_or_default();
        let is_named = text.text.get(..2).is_some_and(|sign| sign.eq_ignore_ascii_case("as"));
        if is_named && values::is_number(digits) {
            error.help(format!("did you mean `{digits}`?"))
        } else if !values::is_number(&text.text) && values::range(text).is_ok() {
            error.help("addresses stand first: `allow 10.0.0.0/8 asn 64500`")
        } else {
            error.help("write the number of an autonomous system, such as 64500")
        }
    })
}
