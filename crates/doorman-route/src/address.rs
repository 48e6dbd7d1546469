//! Sets of addresses, for trusted proxies, `when client`, `allow` and `deny`.
//!
//! Ranges are merged and sorted when the set is made, so that a look-up is a binary search however
//! the operator wrote them.

use std::net::{IpAddr, Ipv6Addr};

/// A set of IPv4 and IPv6 addresses, given by prefixes.
///
/// IPv4 and IPv6 are apart: `::/0` holds no IPv4 address. An IPv4 address mapped into IPv6
/// (`::ffff:a.b.c.d`) is the IPv4 address, in prefixes and in look-ups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

/// A prefix length that its address cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixError {
    /// The address.
    pub address: IpAddr,
    /// The length, bits.
    pub length: u8,
}

impl std::fmt::Display for PrefixError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot have a prefix of {} bits", self.address, self.length)
    }
}

impl std::error::Error for PrefixError {}

impl AddressSet {
    /// The set of all addresses in these prefixes: address and length in bits. Bits of an address
    /// behind its length count for nothing.
    ///
    /// # Errors
    /// The first length over 32 for IPv4 or 128 for IPv6.
    pub fn new(prefixes: impl IntoIterator<Item = (IpAddr, u8)>) -> Result<Self, PrefixError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (address, length) in prefixes {
            let error = PrefixError { address, length };
            match address {
                IpAddr::V4(ip) if length <= 32 => v4.push(range_v4(ip.to_bits(), length)),
                IpAddr::V6(ip) if length <= 128 => match mapped(ip, length) {
                    Some((bits, length)) => v4.push(range_v4(bits, length)),
                    None => v6.push(range_v6(ip.to_bits(), length)),
                },
                _ => return Err(error),
            }
        }
        Ok(Self {
            v4: merge(v4, |end| end.checked_add(1)),
            v6: merge(v6, |end| end.checked_add(1)),
        })
    }

    /// Whether `address` is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(ip) => within(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => within(&self.v6, ip.to_bits()),
        }
    }

    /// Whether no address is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn mapped(ip: Ipv6Addr, length: u8) -> Option<(u32, u8)> {
    (length >= 96).then_some(())?;
    ip.to_ipv4_mapped().map(|v4| (v4.to_bits(), length - 96))
}

fn range_v4(bits: u32, length: u8) -> (u32, u32) {
    let host = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    (bits & !host, bits | host)
}

fn range_v6(bits: u128, length: u8) -> (u128, u128) {
    let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    (bits & !host, bits | host)
}

fn merge<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if next(last.1).is_none_or(|next| start <= next) => {
                last.1 = last.1.max(end);
            }
            _ => merged.push((start, end)),
        }
    }
    merged.into_boxed_slice()
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|&(start, _)| start <= address);
    after.checked_sub(1).is_some_and(|last| address <= ranges[last].1)
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
        assert_eq!(set.v4.len(), 4, "neighbours and what they hold are one range");
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

    proptest! {
        #[test]
        fn the_set_is_the_union_of_its_prefixes(
            prefixes in prop::collection::vec((any::<u32>(), 0u8..=32), 0..12),
            near in any::<prop::sample::Index>(),
            offset in -2i64..3,
            far in any::<u32>(),
        ) {
            let set = AddressSet::new(
                prefixes.iter().map(|&(bits, length)| (IpAddr::V4(bits.into()), length)),
            ).unwrap();
            // Edges are where a merge goes wrong.
            let edge = prefixes.get(near.index(prefixes.len().max(1))).map_or(far, |&(bits, length)| {
                u32::try_from((i64::from(range_v4(bits, length).1) + offset) & 0xFFFF_FFFF).unwrap()
            });
            for address in [edge, far] {
                let expect = prefixes.iter().any(|&(bits, length)| {
                    length == 0 || (bits ^ address) >> (32 - u32::from(length)) == 0
                });
                prop_assert_eq!(set.contains(IpAddr::V4(address.into())), expect);
            }
        }
    }
}
