//! Sets of addresses, for trusted proxies, `when client`, `allow` and `deny`.
//!
//! Ranges are merged and sorted when the set is made, and only the addresses at which it begins or ends
//! to hold are kept: an address is in the set if the number of those at or below it is odd. So a look-up
//! is one search, however the operator wrote the ranges, and sets of a hundred thousand fit.

use std::net::IpAddr;

use crate::range::Ends;
use crate::ranks::Ranks;
use crate::{AddressRange, PrefixError};

/// A set of IPv4 and IPv6 addresses, given by prefixes or ranges.
///
/// IPv4 and IPv6 are apart: `::/0` holds no IPv4 address. An IPv4 address mapped into IPv6
/// (`::ffff:a.b.c.d`) is the IPv4 address, in prefixes, in ranges and in look-ups.
///
/// A range that touches no other takes 8 bytes for IPv4 and 32 for IPv6. Sets of some hundred ranges and more have an
/// index, which takes about 3 bytes a range, and 20 at worst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Ranks<u32>,
    v6: Ranks<u128>,
}

impl AddressSet {
    /// The set of all addresses in these prefixes: address and length in bits. Bits of an address
    /// behind its length count for nothing.
    ///
    /// # Errors
    /// The first length over 32 for IPv4 or 128 for IPv6.
    pub fn new(prefixes: impl IntoIterator<Item = (IpAddr, u8)>) -> Result<Self, PrefixError> {
        let ranges = prefixes.into_iter().map(|(ip, length)| AddressRange::prefix(ip, length));
        Ok(ranges.collect::<Result<Vec<_>, _>>()?.into_iter().collect())
    }

    /// Whether `address` is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let edges = match address.to_canonical() {
            IpAddr::V4(ip) => self.v4.of(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.of(ip.to_bits()),
        };
        edges % 2 == 1
    }

    /// Whether no address is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// How many ranges are left after neighbours were merged.
    #[must_use]
    pub const fn ranges(&self) -> usize {
        self.v4.len().div_ceil(2) + self.v6.len().div_ceil(2)
    }

    /// How much memory the set takes on the heap, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

impl FromIterator<AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = AddressRange>>(ranges: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range.0 {
                Ends::V4(first, last) => v4.push((first, last)),
                Ends::V6(first, last) => v6.push((first, last)),
            }
        }
        Self {
            v4: edges(v4, |last| last.checked_add(1)),
            v6: edges(v6, |last| last.checked_add(1)),
        }
    }
}

/// Where the union of the ranges begins and ends, in turn. One that holds the highest address never ends.
fn edges<T: crate::ranks::Number>(
    mut ranges: Vec<(T, T)>,
    after: impl Fn(T) -> Option<T>,
) -> Ranks<T> {
    ranges.sort_unstable();
    let mut edges: Vec<T> = Vec::with_capacity(ranges.len() * 2);
    let mut ranges = ranges.into_iter().peekable();
    while let Some((first, mut last)) = ranges.next() {
        while let Some((_, further)) =
            ranges.next_if(|&(next, _)| after(last).is_none_or(|after| next <= after))
        {
            last = last.max(further);
        }
        edges.push(first);
        edges.extend(after(last));
    }
    Ranks::new(edges.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(prefixes: &[&str]) -> AddressSet {
        let prefix = |text: &&str| {
            let (address, length) = text.split_once('/').unwrap();
            (address.parse().unwrap(), length.parse().unwrap())
        };
        AddressSet::new(prefixes.iter().map(prefix)).unwrap()
    }

    #[test]
    fn addresses() {
        let set = set(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "11.0.0.0/8",
            "192.168.7.9/24",
            "255.255.255.255/32",
            "fd00::/8",
            "::1/128",
            "::ffff:172.16.0.0/108",
        ]);
        assert_eq!(set.ranges(), 4 + 2, "neighbours and what they hold are one range");
        for (address, expect) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.255.255.255", true),
            ("9.255.255.255", false),
            ("12.0.0.0", false),
            ("192.168.7.0", true),
            ("192.168.8.0", false),
            ("255.255.255.255", true),
            ("255.255.255.254", false),
            ("::ffff:10.0.0.1", true),
            ("172.16.9.9", true),
            ("172.32.0.0", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(set.contains(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn all_of_a_family_and_none() {
        let all = set(&["0.0.0.0/0", "1.2.3.4/32"]);
        assert!(all.contains("255.1.1.1".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        let six = set(&["::/0"]);
        assert!(six.contains("ffff::".parse().unwrap()));
        assert!(!six.contains("::ffff:1.2.3.4".parse().unwrap()));
        assert!(AddressSet::default().is_empty());
        assert!(!AddressSet::default().contains("1.2.3.4".parse().unwrap()));
    }

    #[test]
    fn lengths_have_bounds() {
        assert!(AddressSet::new([("1.2.3.4".parse().unwrap(), 33)]).is_err());
        assert!(AddressSet::new([("::".parse().unwrap(), 129)]).is_err());
    }

    #[test]
    fn what_is_written_otherwise_is_the_same_set() {
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9"]), set(&["10.0.0.0/8", "10.1.0.0/16"]));
        assert_ne!(set(&["10.0.0.0/9"]), set(&["10.0.0.0/8"]));
    }

    #[test]
    fn memory_of_a_large_set() {
        let v4 = (0..100_000_u32).map(|n| AddressRange(Ends::V4(n << 15, (n << 15) + 9)));
        let v6 = (0..100_000_u128).map(|n| AddressRange(Ends::V6(n << 80, (n << 80) + 9)));
        let (v4, v6): (AddressSet, AddressSet) = (v4.collect(), v6.collect());
        assert_eq!((v4.ranges(), v6.ranges()), (100_000, 100_000));
        assert!((800_000..=1_300_000).contains(&v4.bytes()), "{}", v4.bytes());
        assert!((3_200_000..=3_700_000).contains(&v6.bytes()), "{}", v6.bytes());
    }

    fn check(ranges: &[AddressRange], asked: &[IpAddr]) {
        let set: AddressSet = ranges.iter().copied().collect();
        for &ip in asked {
            // Addresses of one family are in order; those of the other are not between them.
            let holds = |range: &&AddressRange| {
                range.first().is_ipv4() == ip.is_ipv4() && range.first() <= ip && ip <= range.last()
            };
            assert_eq!(set.contains(ip), ranges.iter().any(|range| holds(&range)), "{ip}");
        }
    }

    /// Ranges, the addresses beside their ends, and some others. Few centres: they touch and overlap.
    fn ranges() -> impl Strategy<Value = (Vec<AddressRange>, Vec<IpAddr>)> {
        let v4 = (0_u32..40, 0_u8..=32, any::<u16>()).prop_map(|(n, length, low)| {
            let bits = (n << 27) ^ u32::from(low);
            AddressRange::prefix(IpAddr::V4(bits.into()), length).unwrap()
        });
        let near = (any::<u16>(), 0_u32..300).prop_map(|(first, count)| {
            let first = u32::from(first);
            AddressRange(Ends::V4(first, first + count))
        });
        let v6 = (0_u128..40, 20_u8..=128, any::<u16>()).prop_map(|(n, length, low)| {
            let bits = 0x2000_u128 << 112 | n << 80 | u128::from(low);
            AddressRange::prefix(IpAddr::V6(bits.into()), length).unwrap()
        });
        let many = prop::collection::vec(prop_oneof![v4, near.clone(), near, v6], 0..700);
        let others = prop::collection::vec(any::<u32>().prop_map(|n| IpAddr::V4(n.into())), 8);
        (many, others).prop_map(|(ranges, mut asked)| {
            for range in &ranges {
                let beside: [IpAddr; 4] =
                    match range.0 {
                        Ends::V4(a, b) => [a, b, a.wrapping_sub(1), b.wrapping_add(1)]
                            .map(|n| IpAddr::V4(n.into())),
                        Ends::V6(a, b) => [a, b, a.wrapping_sub(1), b.wrapping_add(1)]
                            .map(|n| IpAddr::V6(n.into())),
                    };
                asked.extend(beside);
            }
            (ranges, asked)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_set_is_the_union_of_its_ranges((ranges, asked) in ranges()) {
            check(&ranges, &asked);
        }
    }
}
