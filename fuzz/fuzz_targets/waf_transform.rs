//! Transformations in a chain (how many, and which, first), and a value. No panic; never more than the bound; what
//! is said to change nothing changes nothing; what stood in the buffer does not matter; those that are done once and
//! for all are, and what is encoded is decoded. Some values are made long: then the time in which a target must
//! end tells one that is not linear.
#![no_main]

use doorman_waf::operator::ByteSet;
use doorman_waf::rule::Transformation;
use libfuzzer_sys::fuzz_target;

use Transformation as T;

/// Bytes of a value that was made long.
const LONG: usize = 200_000;
/// Bytes that a chain may grow a value to here.
const CHAIN_MAX: usize = 1 << 20;

/// What they make is left by them. Paths are not among them: nobody promises it of what leads out of a relative one.
const ONCE: [T; 10] = [
    T::CompressWhitespace,
    T::Lowercase,
    T::RemoveNulls,
    T::RemoveWhitespace,
    T::ReplaceNulls,
    T::Trim,
    T::TrimLeft,
    T::TrimRight,
    T::Uppercase,
    T::CmdLine,
];

/// What the first makes, the second takes back.
const BACK: [(T, T); 5] = [
    (T::Base64Encode, T::Base64Decode),
    (T::Base64Encode, T::Base64DecodeExt),
    (T::HexEncode, T::HexDecode),
    (T::UrlEncode, T::UrlDecode),
    (T::UrlEncode, T::UrlDecodeUni),
];

fn apply(transformation: T, input: &[u8]) -> Vec<u8> {
    let mut out = b"left from before".to_vec();
    let changed = transformation.apply(input, &mut out);
    if !changed {
        return input.to_vec();
    }
    assert_ne!(out, input, "{transformation:?} said that something changed");
    assert!(out.len() <= 4 * input.len() + 20, "{transformation:?} made {} of {}", out.len(), input.len());
    assert!(!transformation.leaves(&ByteSet::present(input)), "{transformation:?} was said to leave it");
    out
}

fn laws(value: &[u8]) {
    for once in ONCE {
        let made = apply(once, value);
        assert_eq!(apply(once, &made), made, "{once:?} twice");
    }
    for (there, back) in BACK {
        assert_eq!(apply(back, &apply(there, value)), value, "{there:?} and {back:?}");
    }
    assert_eq!(apply(T::TrimLeft, &apply(T::TrimRight, value)), apply(T::Trim, value));
    assert_eq!(apply(T::Length, value), value.len().to_string().as_bytes());
    assert_eq!(apply(T::HexEncode, value).len(), 2 * value.len());
    assert_eq!((apply(T::Md5, value).len(), apply(T::Sha1, value).len()), (16, 20));
    let in_order = apply(T::RemoveNulls, &apply(T::Lowercase, value));
    assert_eq!(apply(T::Lowercase, &apply(T::RemoveNulls, value)), in_order);
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let (chain, value) = rest.split_at(usize::from(first % 8).min(rest.len()));
    let chain: Vec<T> = chain.iter().map(|&byte| T::ALL[usize::from(byte) % T::ALL.len()]).collect();
    let mut form = value.to_vec();
    if first >= 0xf8 && !value.is_empty() {
        form = value.repeat(LONG / value.len());
    } else {
        laws(value);
        T::ALL.iter().for_each(|&one| drop(apply(one, value)));
    }
    for &transformation in &chain {
        if form.len() > CHAIN_MAX {
            break;
        }
        form = apply(transformation, &form);
    }
});
