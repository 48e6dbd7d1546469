//! Countries and networks of addresses, from files of the MaxMind DB format.
//!
//! A file is read once, as a whole: its tree is walked, what is known of each network is taken out, and neighbours of
//! which the same is known become one range. What is kept is as small as the file or smaller, needs one search
//! a look-up, and cannot be broken any more: whatever is wrong with a file is told when it is opened.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

mod country;
mod error;
mod file;
mod known;
mod value;

pub use country::{CountryError, CountrySet};
pub use error::GeoError;

use file::File;
use known::Known;

/// Most bytes of a file. The largest files that are sold, with all that is known of each address, are smaller.
pub const GEO_BYTES_MAX: usize = 1 << 30;

/// What is known of addresses: the files that were given, if any.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    /// Countries.
    pub countries: Option<Arc<Countries>>,
    /// Networks.
    pub networks: Option<Arc<Networks>>,
}

impl Geo {
    /// [`Countries::country`], if there is a file.
    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<[u8; 2]> {
        self.countries.as_ref()?.country(ip)
    }

    /// [`Networks::asn`], if there is a file.
    #[must_use]
    pub fn asn(&self, ip: IpAddr) -> Option<u32> {
        self.networks.as_ref()?.asn(ip)
    }
}

/// Which country an address is in.
pub struct Countries(Known<[u8; 2]>);

/// Which autonomous system announces an address.
pub struct Networks(Known<u32>);

impl Countries {
    /// Reads a file and keeps what it says of countries: `country` with `iso_code` (MaxMind and most others), or
    /// `country` or `country_code` with two letters as text.
    ///
    /// # Errors
    /// The file is no MaxMind DB, is cut or broken, or says nothing of countries.
    pub fn open(bytes: &[u8]) -> Result<Self, GeoError> {
        let file = File::open(bytes)?;
        Known::read(&file, value::country, "country").map(Self)
    }

    /// The country of an address: two capital letters of ISO 3166-1.
    ///
    /// An IPv4 address mapped into IPv6, or in a prefix of 6to4 (RFC 3056), is where the IPv4 address is.
    #[must_use]
    pub fn country(&self, ip: IpAddr) -> Option<[u8; 2]> {
        self.0.get(outer(ip)).filter(|code| *code != [0; 2])
    }

    /// What the file says of itself.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.0.about
    }

    /// How much memory is kept, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Networks {
    /// Reads a file and keeps what it says of networks: `autonomous_system_number`, also within `traits`, or `asn` as
    /// a number or as text (`AS64496`).
    ///
    /// # Errors
    /// The file is no MaxMind DB, is cut or broken, or says nothing of networks.
    pub fn open(bytes: &[u8]) -> Result<Self, GeoError> {
        let file = File::open(bytes)?;
        Known::read(&file, value::asn, "network").map(Self)
    }

    /// The number of the autonomous system that announces an address, as for [`Countries::country`].
    #[must_use]
    pub fn asn(&self, ip: IpAddr) -> Option<u32> {
        self.0.get(outer(ip)).filter(|asn| *asn != 0)
    }

    /// What the file says of itself.
    #[must_use]
    pub const fn about(&self) -> &About {
        &self.0.about
    }

    /// How much memory is kept, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl fmt::Debug for Countries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Countries").field(self.about()).finish()
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Networks").field(self.about()).finish()
    }
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its kind, such as `GeoLite2-Country`; cut if it is long.
    pub kind: Box<str>,
    /// When it was made, seconds since 1970; 0 if it does not say so.
    pub built: u64,
}

/// The address that counts: the IPv4 address within an IPv6 one, if there is one.
fn outer(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if ip.segments()[0] == 0x2002 => IpAddr::V4(six_to_four(ip).into()),
        ip => ip,
    }
}

/// RFC 3056, section 2: the 32 bits behind `2002::/16` are the IPv4 address.
fn six_to_four(ip: Ipv6Addr) -> u32 {
    let [_, high, low, ..] = ip.segments();
    u32::from(high) << 16 | u32::from(low)
}

#[cfg(test)]
pub(crate) mod tests;
