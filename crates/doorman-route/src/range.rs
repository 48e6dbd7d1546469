//! Neighbouring addresses, as operators write them: one address, a prefix, from one to another.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Neighbouring addresses of one family, from a first to a last one.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:a.b.c.d`) are IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange(pub(crate) Ends);

/// The first and the last address, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ends {
    V4(u32, u32),
    V6(u128, u128),
}

/// A prefix length that its address cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixError {
    /// The address.
    pub address: IpAddr,
    /// The length, bits.
    pub length: u8,
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot have a prefix of {} bits", self.address, self.length)
    }
}

impl std::error::Error for PrefixError {}

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// No address.
    NotAddress,
    /// Numbers and dots that are no IPv4 address.
    Numbers,
    /// A name.
    Name,
    /// An address with a port, or in brackets.
    Port,
    /// An address with a zone (`%eth0`).
    Zone,
    /// The prefix length is no number, or too large for the family, whose most is this.
    Length(u8),
    /// A mask stands where the length of a prefix should.
    Mask,
    /// The last address is below the first.
    Backwards,
    /// One end is IPv4 and the other IPv6.
    Families,
    /// More than one entry.
    Several,
}

impl RangeError {
    /// What to do about it.
    #[must_use]
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NotAddress => "write an address, a prefix such as 192.0.2.0/24, or FIRST-LAST",
            Self::Numbers => "write four numbers from 0 to 255 without leading zeros",
            Self::Name => "write the addresses of that name",
            Self::Port => "write the address alone",
            Self::Zone => "leave out the zone",
            Self::Length(32) => "write a length from 0 to 32 bits",
            Self::Length(_) => "write a length from 0 to 128 bits",
            Self::Mask => "write the number of bits, such as /24 for 255.255.255.0",
            Self::Backwards => "write the lower address first",
            Self::Families => "write a range for each family",
            Self::Several => "write one entry a line",
        }
    }
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAddress => "this is no address",
            Self::Numbers => "this is no IPv4 address",
            Self::Name => "names are not looked up",
            Self::Port => "an entry has neither port nor brackets",
            Self::Zone => "an entry has no zone",
            Self::Length(32) => "a prefix of IPv4 has at most 32 bits",
            Self::Length(_) => "a prefix of IPv6 has at most 128 bits",
            Self::Mask => "masks are not read",
            Self::Backwards => "the range ends before it begins",
            Self::Families => "the range begins in one family and ends in the other",
            Self::Several => "more than one entry",
        })
    }
}

impl std::error::Error for RangeError {}

impl AddressRange {
    /// The addresses of a prefix: address and length in bits. Bits behind the length count for nothing.
    ///
    /// # Errors
    /// The length is over 32 for IPv4 or 128 for IPv6.
    pub fn prefix(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        match address {
            IpAddr::V4(ip) if length <= 32 => Ok(Self(prefix_v4(ip.to_bits(), length))),
            IpAddr::V6(ip) if length <= 128 => Ok(Self(match mapped(ip, length) {
                Some((bits, length)) => prefix_v4(bits, length),
                None => prefix_v6(ip.to_bits(), length),
            })),
            _ => Err(PrefixError { address, length }),
        }
    }

    /// All addresses from `first` to `last`, both included.
    ///
    /// # Errors
    /// They are of different families, or the last is below the first.
    pub fn between(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        let ends = match (first.to_canonical(), last.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => Ends::V4(first.to_bits(), last.to_bits()),
            (IpAddr::V6(first), IpAddr::V6(last)) => Ends::V6(first.to_bits(), last.to_bits()),
            _ => return Err(RangeError::Families),
        };
        let is_backwards = match ends {
            Ends::V4(first, last) => last < first,
            Ends::V6(first, last) => last < first,
        };
        if is_backwards { Err(RangeError::Backwards) } else { Ok(Self(ends)) }
    }

    /// The lowest address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        match self.0 {
            Ends::V4(first, _) => IpAddr::V4(Ipv4Addr::from_bits(first)),
            Ends::V6(first, _) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        }
    }

    /// The highest address.
    #[must_use]
    pub const fn last(&self) -> IpAddr {
        match self.0 {
            Ends::V4(_, last) => IpAddr::V4(Ipv4Addr::from_bits(last)),
            Ends::V6(_, last) => IpAddr::V6(Ipv6Addr::from_bits(last)),
        }
    }
}

/// `192.0.2.1`, `192.0.2.0/24`, `192.0.2.7-192.0.2.40`, and the same for IPv6. Blanks may stand around
/// the dash.
impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        if let Some((first, last)) = text.split_once('-')
            && let Ok(first) = address(first.trim_end())
        {
            return Self::between(first, address(last.trim_start())?);
        }
        if text.contains(|c: char| c == ',' || c.is_whitespace()) {
            return Err(RangeError::Several);
        }
        let Some((bare, length)) = text.split_once('/') else {
            let address = address(text)?;
            return Self::between(address, address);
        };
        let address = address(bare)?;
        if length.parse::<IpAddr>().is_ok() {
            return Err(RangeError::Mask);
        }
        let most = if address.is_ipv4() { 32 } else { 128 };
        // A sign is no digit, though it parses.
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length: Option<u8> = is_number.then(|| length.parse().ok()).flatten();
        length.and_then(|length| Self::prefix(address, length).ok()).ok_or(RangeError::Length(most))
    }
}

/// One address, or what it is instead.
fn address(text: &str) -> Result<IpAddr, RangeError> {
    text.parse().map_err(|_| {
        let is_v4 = |text: &str| text.parse::<Ipv4Addr>().is_ok();
        if text.contains(|c: char| c == ',' || c.is_whitespace()) {
            RangeError::Several
        } else if text.contains('%') {
            RangeError::Zone
        } else if text.starts_with('[') || text.split_once(':').is_some_and(|(ip, _)| is_v4(ip)) {
            RangeError::Port
        } else if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            RangeError::Numbers
        } else if text.contains('.') && !text.contains(':') && text.bytes().all(is_of_name) {
            RangeError::Name
        } else {
            RangeError::NotAddress
        }
    })
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'*')
}

fn mapped(ip: Ipv6Addr, length: u8) -> Option<(u32, u8)> {
    (length >= 96).then_some(())?;
    ip.to_ipv4_mapped().map(|v4| (v4.to_bits(), length - 96))
}

fn prefix_v4(bits: u32, length: u8) -> Ends {
    let host = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    Ends::V4(bits & !host, bits | host)
}

fn prefix_v6(bits: u128, length: u8) -> Ends {
    let host = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    Ends::V6(bits & !host, bits | host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, first, last) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.9/24", "192.0.2.0", "192.0.2.255"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("192.0.2.7-192.0.2.40", "192.0.2.7", "192.0.2.40"),
            ("192.0.2.7 -\t192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::-::ff", "::", "::ff"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.0/120", "192.0.2.0", "192.0.2.255"),
            ("::ffff:192.0.2.1-192.0.2.3", "192.0.2.1", "192.0.2.3"),
        ] {
            let range: AddressRange = text.parse().unwrap();
            assert_eq!(range.first().to_string(), first, "{text}");
            assert_eq!(range.last().to_string(), last, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_range() {
        use RangeError as E;
        for (text, expect) in [
            ("", E::NotAddress),
            ("192.0.2", E::Numbers),
            ("192.0.2.256", E::Numbers),
            ("192.0.2.01", E::Numbers),
            ("192.0.2.1/33", E::Length(32)),
            ("192.0.2.1/", E::Length(32)),
            ("192.0.2.1/+8", E::Length(32)),
            ("192.0.2.1/999", E::Length(32)),
            ("::/129", E::Length(128)),
            ("192.0.2.0/255.255.255.0", E::Mask),
            ("192.0.2.9-192.0.2.1", E::Backwards),
            ("192.0.2.9-", E::NotAddress),
            ("192.0.2.9-7", E::Numbers),
            ("192.0.2.9-::1", E::Families),
            ("::1-::ffff:192.0.2.1", E::Families),
            ("192.0.2.1 192.0.2.2", E::Several),
            ("192.0.2.1,192.0.2.2", E::Several),
            ("192.0.2.1-192.0.2.3 192.0.2.4", E::Several),
            ("192.0.2.1:80", E::Port),
            ("[::1]", E::Port),
            ("fe80::1%eth0", E::Zone),
            ("host.example", E::Name),
            ("my-host.example", E::Name),
            ("dead:beef", E::NotAddress),
            ("\u{1}", E::NotAddress),
        ] {
            assert_eq!(text.parse::<AddressRange>(), Err(expect), "{text:?}");
        }
    }
}
