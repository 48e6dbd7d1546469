//! Addresses by ranges.
//!
//! Ranges are sorted and joined once, so that a look-up is a binary search however long the list.

use std::net::IpAddr;

use ipnet::IpNet;

/// A set of addresses. An IPv4 address is the same in its IPv6 form (`::ffff:192.0.2.1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpSet {
    /// First and last of each, ascending, with gaps between them.
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl IpSet {
    /// Reads addresses and ranges, with commas or white space between them.
    ///
    /// # Errors
    /// The first that is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty());
        let range = |word: &str| match word.parse::<IpNet>() {
            Ok(range) => Ok(range),
            Err(_) => word.parse::<IpAddr>().map(IpNet::from).map_err(|_| word.to_owned()),
        };
        let mut ranges = words.map(range).collect::<Result<Vec<_>, _>>()?;
        ranges.sort_unstable_by_key(IpNet::network);
        Ok(Self { ranges: joined(ranges) })
    }

    /// Whether the address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let within = |address: IpAddr| {
            // Those whose first is not past the address; the last of them is the only one it can be in.
            let before = self.ranges.partition_point(|(first, _)| *first <= address);
            self.ranges[..before].last().is_some_and(|(_, last)| address <= *last)
        };
        let other = match address {
            IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
            IpAddr::V6(_) => address.to_canonical(),
        };
        within(address) || within(other)
    }

    /// Whether there is none in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Joins ranges that overlap; they are sorted by their first address.
fn joined(sorted: Vec<IpNet>) -> Vec<(IpAddr, IpAddr)> {
    let mut ranges: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(sorted.len());
    for range in sorted {
        let (first, last) = (range.network(), range.broadcast());
        match ranges.last_mut() {
            // Networks either contain each other or are apart.
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => ranges.push((first, last)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        let set = IpSet::parse("10.0.0.0/8, 192.0.2.1\n2001:db8::/32,10.1.0.0/16 ::1").unwrap();
        let check = |address: &str, expected| {
            assert_eq!(set.contains(address.parse().unwrap()), expected, "{address}");
        };
        check("10.0.0.0", true);
        check("10.255.255.255", true);
        check("11.0.0.0", false);
        check("9.255.255.255", false);
        check("192.0.2.1", true);
        check("192.0.2.2", false);
        check("::ffff:192.0.2.1", true);
        check("2001:db8:ffff::1", true);
        check("2001:db9::", false);
        check("::1", true);
        check("::", false);
        assert_eq!(IpSet::parse("10.0.0.0/33"), Err("10.0.0.0/33".to_owned()));
        assert!(IpSet::parse(" ,\n").unwrap().is_empty());
        assert!(IpSet::parse("::ffff:0:0/96").unwrap().contains("10.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn is_what_one_by_one_says(
            nets in prop::collection::vec((any::<u8>(), any::<bool>(), 20_u8..=32), 0..20),
            address in any::<u16>(),
        ) {
            let nets: Vec<String> = nets
                .into_iter()
                .map(|(third, v6, length)| match v6 {
                    true => format!("2001:db8:{third}::/{}", length + 16),
                    false => format!("10.1.{third}.128/{length}"),
                })
                .collect();
            let set = IpSet::parse(&nets.join(" ")).unwrap();
            let [third, fourth] = address.to_be_bytes();
            let tried = [format!("10.1.{third}.{fourth}"), format!("2001:db8:{third}:{fourth}::")];
            for address in tried.map(|address| address.parse::<IpAddr>().unwrap()) {
                let one_by_one = nets.iter().any(|net| net.parse::<IpNet>().unwrap().contains(&address));
                prop_assert_eq!(set.contains(address), one_by_one);
            }
        }
    }
}
