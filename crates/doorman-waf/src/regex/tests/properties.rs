//! The two engines are made from one tree in two ways, so each is the other's measure.

use proptest::prelude::*;

use super::super::tree::{Node, Side, Tree};
use super::*;

/// A pattern of any kind, as text.
fn pattern() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        8 => proptest::sample::select(vec![
            "a", "b", "ab", "abc", "A", "1", "-", " ", r"\n", ".", "[ab]", "[^a]", r"\d", r"\w",
            r"\W", r"\s", r"\x{e9}", "{", "(?i:aB)", "[[:alpha:]]", r"\N", "", r"\0",
        ]),
        1 => proptest::sample::select(vec![
            "^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", "(?m:^)", "(?m:$)", r"\R", "(?i)",
        ]),
    ]
    .prop_map(str::to_owned);
    let inner = atom.prop_recursive(4, 24, 4, |inner| {
        let times = proptest::sample::select(vec![
            "*", "+", "?", "{2}", "{1,2}", "{0,2}", "{2,}", "{0}", "*?", "+?", "??", "{1,2}?",
            "*+", "++", "?+",
        ]);
        let open = proptest::sample::select(vec![
            "(?=", "(?!", "(?>", "(?<=a|", "(?<!b|", "(?i:", "(?:", "(",
        ]);
        prop_oneof![
            4 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|nodes| nodes.concat()),
            2 => proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|nodes| format!("({})", nodes.join("|"))),
            3 => (inner.clone(), times).prop_map(|(node, times)| format!("(?:{node}){times}")),
            1 => (inner, open).prop_map(|(node, open)| format!("{open}{node})")),
        ]
    });
    let end = proptest::sample::select(vec!["", "", "", "(?!ab|c)", "(?=a|$)", "(?!b)", r"\1"]);
    (inner, end).prop_map(|(pattern, end)| pattern + end)
}

fn hay() -> impl Strategy<Value = Vec<u8>> {
    let byte = proptest::sample::select(b"aabbcABC1 \n-\r{_\xe9\0".to_vec());
    proptest::collection::vec(byte, 0..12)
}

/// A text that a piece matches but for what looks around: what it chooses is told by the bytes.
fn sample(node: &Node, choices: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    let mut choose = |count: usize| usize::from(choices.next().unwrap_or(0)) % count.max(1);
    match node {
        Node::Empty | Node::Look(_) => {}
        Node::Set(set) => out.extend(set.iter().nth(choose(set.len() as usize))),
        Node::Group(_, node) | Node::Atomic(node) => sample(node, choices, out),
        Node::Concat(nodes) => nodes.iter().for_each(|node| sample(node, choices, out)),
        Node::Alternate(nodes) => sample(&nodes[choose(nodes.len())], choices, out),
        Node::Repeat(repeat) => {
            let spread = repeat.max.map_or(3, |max| (max - repeat.min).min(3)) as usize;
            for _ in 0..repeat.min as usize + choose(spread + 1) {
                sample(&repeat.node, choices, out);
            }
        }
        Node::Around(around) if around.side == Side::Ahead => sample(&around.node, choices, out),
        Node::Around(_) | Node::Back(..) => {}
    }
}

/// Texts like those that a pattern matches: one that it may, and what changes of one byte make of it.
pub(super) fn samples(tree: &Tree, seed: &[u8]) -> Vec<Vec<u8>> {
    let mut choices = seed.iter().copied().cycle().take(2000);
    let mut text = Vec::new();
    sample(&tree.node, &mut choices, &mut text);
    text.truncate(4000);
    let place = usize::from(seed[0]) * 31 % (text.len() + 1);
    let mut texts = vec![text.clone()];
    texts.push([b"x ", &text[..], b" y"].concat());
    texts.push([&text[..place], &seed[..1], &text[place..]].concat());
    texts.push(text.to_ascii_uppercase());
    let mut other = text.clone();
    if let Some(byte) = other.get_mut(place) {
        *byte ^= 0x20;
    }
    texts.push(other);
    text.drain(place.min(text.len().saturating_sub(1))..(place + 1).min(text.len()));
    texts.push(text);
    texts
}

/// Both engines on one input, and what the facts say of it.
fn agree(pattern: &[u8], hay: &[u8]) {
    let regex = compile(pattern);
    let tree = parse::parse(pattern).unwrap();
    let by_trying = backtrack::search(&Program::new(&tree), hay, STEPS_MAX);
    let mut cache = regex.cache();
    let is_match = regex.is_match(&mut cache, hay);
    let groups = regex.groups(&mut cache, hay);
    if let (Ok(trying), Ok(is_match), Ok(groups)) = (&by_trying, is_match, &groups) {
        let name = pattern.escape_ascii();
        let hay_name = hay.escape_ascii();
        assert_eq!(trying.is_some(), is_match, "{name} on {hay_name}");
        assert_eq!(groups.is_some(), is_match, "groups of {name} on {hay_name}");
        assert!(!is_match || regex.facts().allow(hay), "facts of {name} on {hay_name}");
        if !tree.node.has_empty_rounds() {
            assert_eq!(groups, trying, "{name} on {hay_name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn engines_agree_and_facts_are_true(
        pattern in pattern(),
        hays in proptest::collection::vec(hay(), 4),
        seed in proptest::collection::vec(any::<u8>(), 1..20),
    ) {
        // Look-behinds of no one length, and references to no group.
        let Ok(tree) = parse::parse(pattern.as_bytes()) else { return Ok(()) };
        for hay in hays.into_iter().chain(samples(&tree, &seed)) {
            agree(pattern.as_bytes(), &hay);
        }
    }

    #[test]
    fn any_bytes_are_a_pattern_or_an_error(
        pattern in proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(b"()[]{}|*+?^$.\\-:<>=!#ixsmdDwWQEgkx012,aPb'&".to_vec()),
                1 => any::<u8>(),
            ],
            0..40,
        ),
        hay in hay(),
    ) {
        match Regex::new(&pattern, 10_000) {
            Ok(_) => agree(&pattern, &hay),
            Err(error) => prop_assert!(error.at <= pattern.len()),
        }
    }

    #[test]
    fn whatever_is_quoted_stands_for_itself(text in proptest::collection::vec(any::<u8>(), 0..20)) {
        let quoted: Vec<u8> = text
            .iter()
            .flat_map(|byte| format!(r"\x{{{byte:x}}}").into_bytes())
            .collect();
        let regex = compile(&[b"^", &quoted[..], b"$"].concat());
        prop_assert!(found(&regex, &text).is_some());
        prop_assert_eq!(regex.facts().length_max, Some(text.len()));
    }
}
