//! Which rules of a phase look at the same values in the same forms.
//!
//! Rules of the Core Rule Set share a handful of target lists and some forty chains of
//! transformations, so each list is a number here and the chains are a tree: a form that two chains
//! begin with is made once.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::Planned;
use super::bits::Bits;
use super::gate::Needs;
use crate::operator::ByteSet;
use crate::rule::{Link, Selector, Target, Transformation, Use, Variable};

/// A form in the tree: what it is made of, and how. The first is the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) parent: usize,
    /// `None` of the first alone.
    pub(super) transformation: Option<Transformation>,
}

/// A list of targets, and what is asked of its values.
#[derive(Debug)]
pub(super) struct TargetSet {
    key: Vec<TargetKey>,
    /// Forms that are asked about.
    pub(super) forms: Vec<Asked>,
}

/// A form that is asked about, and who asks.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) node: usize,
    /// All gates that ask.
    pub(super) gates: Bits,
    /// Those of them that no literal can shut, and that any byte may pass.
    pub(super) open: Vec<usize>,
    /// Those that no literal can shut, but bytes can: a value without any of `bytes` passes none.
    pub(super) choosy: Vec<usize>,
    pub(super) bytes: ByteSet,
}

/// A target as something that can be compared.
type TargetKey = (Use, Variable, u8, Vec<u8>);

/// The gate of a rule.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) set: usize,
    pub(super) needs: Needs,
    /// Whether every form on the way to the last is asked about.
    pub(super) many: bool,
}

/// All gates of a phase.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Node>,
    pub(super) sets: Vec<TargetSet>,
    pub(super) gates: Vec<Gate>,
    /// Gates that no literal can shut.
    open: Bits,
    /// Finds the literals of all gates.
    pub(super) scanner: Option<AhoCorasick>,
    /// The gates that each literal opens.
    pub(super) opens: Vec<Bits>,
}

/// Gives gates to the rules that can have one.
pub(super) fn gates(folded: Vec<Planned>) -> (Vec<Planned>, Layout) {
    let mut builder = Builder::default();
    builder.layout.nodes.push(Node { parent: 0, transformation: None });
    let steps = folded
        .into_iter()
        .map(|step| match step {
            Planned::Rule(step) => match builder.gate(&step.rule.links[0]) {
                Some(gate) => Planned::Gated(step, gate),
                None => Planned::Rule(step),
            },
            step => step,
        })
        .collect();
    (steps, builder.finish())
}

#[derive(Default)]
struct Builder {
    layout: Layout,
    /// For each gate, the forms that it asks about.
    asked: Vec<Vec<usize>>,
}

impl Builder {
    fn gate(&mut self, link: &Link) -> Option<usize> {
        if link.targets.is_empty() || !link.targets.iter().all(is_fixed) {
            return None;
        }
        let needs = Needs::of(link)?;
        let chain = self.chain(&link.transformations);
        let set = self.set(&link.targets);
        let asked =
            if link.multi_match { chain } else { chain.last().copied().into_iter().collect() };
        self.asked.push(asked);
        self.layout.gates.push(Gate { set, needs, many: link.multi_match });
        Some(self.layout.gates.len() - 1)
    }

    /// The nodes of a chain of transformations, the value itself first.
    fn chain(&mut self, transformations: &[Transformation]) -> Vec<usize> {
        let mut chain = vec![0];
        let mut parent = 0;
        for transformation in transformations {
            let node = Node { parent, transformation: Some(*transformation) };
            let nodes = &mut self.layout.nodes;
            parent = nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
                nodes.push(node);
                nodes.len() - 1
            });
            chain.push(parent);
        }
        chain
    }

    fn set(&mut self, targets: &[Target]) -> usize {
        let key: Vec<_> = targets.iter().map(key).collect();
        let sets = &mut self.layout.sets;
        sets.iter().position(|set| set.key == key).unwrap_or_else(|| {
            sets.push(TargetSet { key, forms: Vec::new() });
            sets.len() - 1
        })
    }

    fn finish(mut self) -> Layout {
        let layout = &mut self.layout;
        let count = layout.gates.len();
        let mut literals: BTreeMap<Vec<u8>, Bits> = BTreeMap::new();
        layout.open = Bits::new(count);
        for (number, gate) in layout.gates.iter_mut().enumerate() {
            match gate.needs.literals.take() {
                None => layout.open.insert(number),
                Some(all) => {
                    for literal in all {
                        literals.entry(literal).or_insert_with(|| Bits::new(count)).insert(number);
                    }
                }
            }
            let set = &mut layout.sets[gate.set];
            for node in &self.asked[number] {
                match set.forms.iter_mut().find(|asked| asked.node == *node) {
                    Some(asked) => asked.gates.insert(number),
                    None => {
                        let mut asked = Asked::of(*node, count);
                        asked.gates.insert(number);
                        set.forms.push(asked);
                    }
                }
            }
        }
        layout.sets.iter_mut().for_each(|set| set.forms.sort_by_key(|asked| asked.node));
        layout.scan(literals);
        let Layout { sets, open, gates, .. } = layout;
        let forms = sets.iter_mut().flat_map(|set| &mut set.forms);
        forms.for_each(|asked| asked.sort(open, gates));
        self.layout
    }
}

impl Asked {
    fn of(node: usize, gates: usize) -> Self {
        let (open, choosy, bytes) = (Vec::new(), Vec::new(), ByteSet::EMPTY);
        Self { node, gates: Bits::new(gates), open, choosy, bytes }
    }

    /// Finds out which of its gates ask for no literal, and what they ask for instead.
    fn sort(&mut self, open: &Bits, gates: &[Gate]) {
        for gate in self.gates.both(open) {
            match gates[gate].needs.classes.iter().min_by_key(|class| class.len()) {
                None => self.open.push(gate),
                Some(rarest) => {
                    self.choosy.push(gate);
                    self.bytes = self.bytes.union(*rarest);
                }
            }
        }
    }
}

impl Layout {
    fn scan(&mut self, literals: BTreeMap<Vec<u8>, Bits>) {
        let (texts, opens): (Vec<_>, Vec<_>) = literals.into_iter().unzip();
        let scanner = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .prefilter(false)
            .build(&texts);
        match scanner {
            Ok(scanner) if !texts.is_empty() => (self.scanner, self.opens) = (Some(scanner), opens),
            Ok(_) => {}
            // Too many to be found at once: then none shuts a gate.
            Err(_) => opens.iter().for_each(|gates| self.open.extend(gates)),
        }
    }

    /// Literals that are looked for.
    pub(super) const fn literals(&self) -> usize {
        self.opens.len()
    }

    /// Bytes that it holds, about.
    pub(super) fn memory(&self) -> usize {
        let scanner = self.scanner.as_ref().map_or(0, AhoCorasick::memory_usage);
        scanner + self.opens.iter().map(|gates| gates.memory() + size_of::<Bits>()).sum::<usize>()
    }
}

/// Whether a target's values are the same all through a phase, whatever rules do.
const fn is_fixed(target: &Target) -> bool {
    use Variable as V;
    matches!(
        target.variable,
        V::Args
            | V::ArgsGet
            | V::ArgsPost
            | V::ArgsNames
            | V::ArgsGetNames
            | V::ArgsPostNames
            | V::RequestCookies
            | V::RequestCookiesNames
            | V::RequestHeaders
            | V::RequestHeadersNames
            | V::ResponseHeaders
            | V::ResponseHeadersNames
            | V::Files
            | V::FilesNames
            | V::FilesSizes
            | V::MultipartFilename
            | V::MultipartName
            | V::MultipartPartHeaders
            | V::XmlTexts
            | V::XmlAttributes
            | V::QueryString
            | V::RequestBasename
            | V::RequestBody
            | V::RequestFilename
            | V::RequestLine
            | V::RequestMethod
            | V::RequestProtocol
            | V::RequestUri
            | V::RequestUriRaw
            | V::ResponseBody
            | V::ResponseStatus
    )
}

fn key(target: &Target) -> TargetKey {
    let (kind, text) = match &target.selector {
        Selector::All => (0, Vec::new()),
        Selector::Key(key) => (1, key.clone()),
        Selector::Regex(regex) => (2, regex.pattern().to_vec()),
    };
    (target.meant, target.variable, kind, text)
}
