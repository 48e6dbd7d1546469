//! What is certain of every value that a pattern matches.
//!
//! Gates ask it before they run a pattern: what lacks something that each match has cannot match.
//! All of it is drawn from the tree of the linear engine, where no case, escape or look-around is
//! left to be misunderstood, and all of it may only err to one side: a fact that is left out costs
//! time, a fact that is untrue lets an attack pass.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::operator::ByteSet;

/// Literals of a pattern at most.
pub const LITERALS_MAX: usize = 1024;
/// Bytes of a literal at most: of longer ones their beginning will do.
pub const LITERAL_LENGTH_MAX: usize = 24;
/// Sets of bytes of a pattern at most.
pub const CLASSES_MAX: usize = 8;

/// Bytes that a class stands for as literals; more say nothing of use.
const CLASS_LITERALS_MAX: usize = 16;
/// How rare strings are that need not be rarer, on the scale of `chance`: three letters or so.
const RARE: f64 = 1e-4;
/// How often a value has a byte of a set by chance, in thousandths: such a set says nothing.
const COMMON: u32 = 700;

/// What is certain of every value that a pattern matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Bytes that it has at least.
    pub length_min: usize,
    /// Bytes that it has at most, if the pattern has to match the whole of it.
    pub length_max: Option<usize>,
    /// In lower case (ASCII's letters), it has at least one of these. None is empty, none has
    /// another one in it. `None`: nothing is known. At most [`LITERALS_MAX`], each of at most
    /// [`LITERAL_LENGTH_MAX`] bytes.
    pub literals: Option<Vec<Literal>>,
    /// It has a byte of each of these, the rarest first. At most [`CLASSES_MAX`].
    pub classes: Vec<ByteSet>,
    /// Whether a match can only begin where the value begins.
    pub anchored: bool,
}

/// A string in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Literal(Box<[u8]>);

impl Literal {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Facts {
    /// Whether a value may match for all that is known: `false` is a proof that it does not.
    ///
    /// It is the meaning of the facts, not a quick way to ask them.
    #[must_use]
    pub fn allow(&self, value: &[u8]) -> bool {
        let lower = value.to_ascii_lowercase();
        let has = |literal: &Literal| memchr::memmem::find(&lower, literal.as_bytes()).is_some();
        value.len() >= self.length_min
            && self.length_max.is_none_or(|max| value.len() <= max)
            && self.classes.iter().all(|class| value.iter().any(|byte| class.contains(*byte)))
            && self.literals.as_ref().is_none_or(|literals| literals.iter().any(has))
    }

    pub(super) fn of(hir: &Hir) -> Self {
        let properties = hir.properties();
        let anchored = properties.look_set_prefix().contains(Look::Start);
        let whole = anchored && properties.look_set_suffix().contains(Look::End);
        Self {
            // A pattern that never matches has no length; any will do.
            length_min: properties.minimum_len().unwrap_or(0),
            length_max: properties.maximum_len().filter(|_| whole),
            literals: literals(hir),
            classes: best_classes(classes(hir)),
            anchored,
        }
    }
}

/// A set of strings in lower case.
type Strings = BTreeSet<Vec<u8>>;

/// What is known of the strings that a piece matches.
enum Known {
    /// All of them: they are few.
    Exact(Strings),
    Parts(Parts),
}

/// What is known of strings that are many.
struct Parts {
    /// Each has one of these in it.
    one_of: Option<Strings>,
    /// Each begins with one of these; the empty string says nothing.
    heads: Strings,
    /// Each ends with one of these.
    tails: Strings,
}

impl Known {
    fn nothing() -> Self {
        Self::Parts(Parts { one_of: None, heads: empty(), tails: empty() })
    }

    fn parts(self) -> Parts {
        match self {
            Self::Exact(strings) => {
                Parts { one_of: Some(strings.clone()), heads: strings.clone(), tails: strings }
            }
            Self::Parts(parts) => parts,
        }
    }
}

fn empty() -> Strings {
    Strings::from([Vec::new()])
}

fn literals(hir: &Hir) -> Option<Vec<Literal>> {
    let strings = known(hir).parts().one_of.filter(is_useful)?;
    Some(shortest(strings).into_iter().map(|string| Literal(string.into())).collect())
}

fn is_useful(strings: &Strings) -> bool {
    !strings.contains(&Vec::new())
}

fn known(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::Exact(empty()),
        HirKind::Literal(literal) => text(literal.0.to_ascii_lowercase()),
        HirKind::Class(class) => {
            let Some(set) = class_set(class) else { return Known::nothing() };
            let strings: Strings = set.iter().map(|byte| vec![byte.to_ascii_lowercase()]).collect();
            if strings.len() > CLASS_LITERALS_MAX {
                return Known::nothing();
            }
            Known::Exact(strings)
        }
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) => {
            let (min, max) = (repetition.min, repetition.max);
            match (known(&repetition.sub), min, max) {
                (sub, 1, Some(1)) => sub,
                (Known::Exact(mut strings), 0, Some(1)) => {
                    strings.insert(Vec::new());
                    Known::Exact(strings)
                }
                (_, 0, _) => Known::nothing(),
                (Known::Exact(strings), min, max) => repeated(&strings, min, max),
                (parts, _, _) => parts,
            }
        }
        HirKind::Concat(hirs) => concat(hirs.iter().map(known)),
        HirKind::Alternation(hirs) => alternation(hirs.iter().map(known).collect()),
    }
}

fn text(lower: Vec<u8>) -> Known {
    let Some(last) = lower.len().checked_sub(LITERAL_LENGTH_MAX).filter(|last| *last > 0) else {
        return Known::Exact(Strings::from([lower]));
    };
    let head = Strings::from([lower[..LITERAL_LENGTH_MAX].to_vec()]);
    let tails = Strings::from([lower[last..].to_vec()]);
    Known::Parts(Parts { one_of: Some(head.clone()), heads: head, tails })
}

/// A piece that stands at least once.
fn repeated(strings: &Strings, min: u32, max: Option<u32>) -> Known {
    let mut run = empty();
    let mut complete = true;
    for _ in 0..min {
        let Some(longer) = product(&run, strings) else {
            complete = false;
            break;
        };
        run = longer;
        // Nothing grows any more, however often it stands.
        if *strings == empty() {
            break;
        }
    }
    if complete && max == Some(min) {
        return Known::Exact(run);
    }
    // The first rounds are known, and as many of the last.
    Known::Parts(Parts { one_of: Some(run.clone()), heads: run.clone(), tails: run })
}

fn alternation(branches: Vec<Known>) -> Known {
    let all_exact = branches.iter().all(|branch| matches!(branch, Known::Exact(_)));
    let parts: Vec<Parts> = branches.into_iter().map(Known::parts).collect();
    let one_of =
        parts.iter().try_fold(Strings::new(), |strings, part| join(strings, part.one_of.as_ref()?));
    if all_exact && let Some(strings) = one_of {
        return Known::Exact(strings);
    }
    let union = |of: fn(&Parts) -> &Strings| {
        let joined = parts.iter().try_fold(Strings::new(), |strings, part| join(strings, of(part)));
        joined.unwrap_or_else(empty)
    };
    Known::Parts(Parts {
        one_of,
        heads: union(|part| &part.heads),
        tails: union(|part| &part.tails),
    })
}

/// The strings of both, unless they are too many.
fn join(mut strings: Strings, other: &Strings) -> Option<Strings> {
    strings.extend(other.iter().cloned());
    (strings.len() <= LITERALS_MAX).then_some(strings)
}

/// Joins what is known as long as the strings are few, and takes the best of what was joined.
fn concat(pieces: impl Iterator<Item = Known>) -> Known {
    let mut best: Option<Strings> = None;
    let mut heads: Option<Strings> = None;
    let mut run = empty();
    for piece in pieces {
        let parts = match piece {
            Known::Exact(strings) => {
                if let Some(longer) = product(&run, &strings) {
                    run = longer;
                    continue;
                }
                Known::Exact(strings).parts()
            }
            Known::Parts(parts) => parts,
        };
        let joined = product(&run, &parts.heads).unwrap_or(run);
        heads.get_or_insert_with(|| joined.clone());
        take_better(&mut best, joined);
        if let Some(one_of) = parts.one_of {
            take_better(&mut best, one_of);
        }
        run = parts.tails;
    }
    let Some(heads) = heads else { return Known::Exact(run) };
    take_better(&mut best, run.clone());
    Known::Parts(Parts { one_of: best, heads, tails: run })
}

fn take_better(best: &mut Option<Strings>, other: Strings) {
    if !is_useful(&other) {
        return;
    }
    // What is rare enough is not made rarer by more strings.
    let cost = |strings: &Strings| (chance(strings).max(RARE), strings.len());
    if best.as_ref().is_none_or(|best| cost(&other) < cost(best)) {
        *best = Some(other);
    }
}

/// Each of the heads with each of the tails, unless there would be too many or too long ones.
fn product(heads: &Strings, tails: &Strings) -> Option<Strings> {
    if heads.len() * tails.len() > LITERALS_MAX / 4 && tails.len() > 1 && heads.len() > 1 {
        return None;
    }
    let mut strings = Strings::new();
    for head in heads {
        for tail in tails {
            if head.len() + tail.len() > LITERAL_LENGTH_MAX {
                return None;
            }
            strings.insert([&head[..], tail].concat());
        }
    }
    Some(strings)
}

/// How likely a value has one of the strings, on a scale of its own: the sum over strings of how
/// rare each is.
fn chance(strings: &Strings) -> f64 {
    strings.iter().map(|string| string.iter().map(|byte| rarity(*byte)).product::<f64>()).sum()
}

/// About how often a byte stands at a place of a value. Only which literals are taken depends on it.
fn rarity(byte: u8) -> f64 {
    f64::from(weight(byte)) / 1000.0
}

/// How often a byte is in a value, in thousandths of all bytes.
fn weight(byte: u8) -> u32 {
    match byte {
        b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 60,
        b' ' => 40,
        b'a'..=b'z' => 25,
        b'0'..=b'9' => 25,
        b'A'..=b'Z' => 12,
        b'-' | b'.' | b'/' | b'_' | b'=' | b',' | b';' | b':' | b'&' | b'(' | b')' => 10,
        b'!'..=b'~' => 3,
        _ => 1,
    }
}

/// The strings without those that have another of them in them: what has the longer has the shorter.
fn shortest(strings: Strings) -> Strings {
    let lengths: BTreeSet<usize> = strings.iter().map(Vec::len).collect();
    let has_other = |string: &Vec<u8>| {
        lengths
            .iter()
            .take_while(|length| **length < string.len())
            .any(|length| string.windows(*length).any(|window| strings.contains(window)))
    };
    strings.iter().filter(|string| !has_other(string)).cloned().collect()
}

fn class_set(class: &Class) -> Option<ByteSet> {
    let union = |set: ByteSet, (first, last)| set.union(ByteSet::range(first, last));
    match class {
        Class::Bytes(class) => {
            Some(class.iter().map(|range| (range.start(), range.end())).fold(ByteSet::EMPTY, union))
        }
        // What joins classes makes them classes of code points if all of them are ASCII's.
        Class::Unicode(class) => class.iter().try_fold(ByteSet::EMPTY, |set, range| {
            let ends = (u8::try_from(range.start()).ok()?, u8::try_from(range.end()).ok()?);
            ends.1.is_ascii().then(|| union(set, ends))
        }),
    }
}

/// Sets of which every match has a byte each.
fn classes(hir: &Hir) -> Vec<ByteSet> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(literal) => {
            literal.0.iter().map(|byte| ByteSet::range(*byte, *byte)).collect()
        }
        HirKind::Class(class) => class_set(class).into_iter().collect(),
        HirKind::Capture(capture) => classes(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min == 0 => Vec::new(),
        HirKind::Repetition(repetition) => classes(&repetition.sub),
        HirKind::Concat(hirs) => best_classes(hirs.iter().flat_map(classes).collect()),
        HirKind::Alternation(hirs) => {
            let branches: Vec<Vec<ByteSet>> =
                hirs.iter().map(|hir| best_classes(classes(hir))).collect();
            let count = branches.iter().map(Vec::len).min().unwrap_or(0);
            // The rarest of each branch, the next rarest of each, and so on.
            let union =
                |i: usize| branches.iter().fold(ByteSet::EMPTY, |set, branch| set.union(branch[i]));
            best_classes((0..count).map(union).collect())
        }
    }
}

/// The rarest few, without those that follow from others and those that nearly every value has.
fn best_classes(mut sets: Vec<ByteSet>) -> Vec<ByteSet> {
    let commonness = |set: &ByteSet| set.iter().map(weight).sum::<u32>();
    sets.sort_unstable();
    sets.dedup();
    sets.retain(|set| commonness(set) < COMMON);
    sets.sort_by_cached_key(commonness);
    let mut best: Vec<ByteSet> = Vec::new();
    for set in sets {
        if best.len() == CLASSES_MAX {
            break;
        }
        if !best.iter().any(|other| other.is_subset(&set)) {
            best.push(set);
        }
    }
    best
}
