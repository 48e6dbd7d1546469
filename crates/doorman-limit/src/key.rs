//! What requests are counted by: a keyed hash of a client, a field, a path, or of several of them.
//!
//! The hash is SipHash-1-3 (Aumasson and Bernstein, *SipHash: a fast short-input PRF*, 2012) with a secret of the
//! process. It has to be keyed: whoever could tell which keys share a place could use up the limit of somebody else,
//! or fill one bucket of a table with live keys. One compression and three finalisation rounds are what the standard
//! library, too, holds to be enough where only the outcome of a table shows.
//!
//! Two different keys are one with a chance of one in 2^64: among a million at once, one in 10^7.
//!
//! Parts are hashed with their length before them, so that no two lists of parts are the same bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The secret of a process, of random bits. Keys of different secrets have nothing to do with each other.
#[derive(Clone, Copy)]
pub struct Secret(u64, u64);

impl Secret {
    /// A secret of these 128 random bits.
    #[must_use]
    pub const fn new(first: u64, second: u64) -> Self {
        Self(first, second)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What requests are counted by. Never zero, so that zero can mean nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

impl Key {
    /// The key of everybody, for a limit over all requests.
    pub const ALL: Self = Self(0x9E37_79B9_7F4A_7C15);

    /// The key of these parts, in their order; `None` is a part that the request does not have, which is not the
    /// same as an empty one.
    #[must_use]
    pub fn of(secret: Secret, parts: &[Option<&[u8]>]) -> Self {
        let mut maker = KeyMaker::new(secret);
        for part in parts {
            match part {
                Some(bytes) => maker.part(bytes),
                None => maker.absent(),
            }
        }
        maker.key()
    }

    /// The key with this number, as operators give it; `None` for zero.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number that stands for it, for operators and logs. It tells nothing about the client without the secret.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How many leading bits of an address make a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of an IPv4 address, 0 to 32; what is above is 32.
    pub v4: u8,
    /// Of an IPv6 address, 0 to 128; what is above is 128.
    pub v6: u8,
}

impl Default for Prefixes {
    /// An IPv4 address is a client, and so is a /64 of IPv6: that is what one network is given (RFC 6177, RFC 4291
    /// section 2.5.4), so its 2^64 addresses are one client's.
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

impl Prefixes {
    /// The network that stands for a client's address. An IPv4 address in IPv6 (`::ffff:192.0.2.1`, RFC 4291 section
    /// 2.5.5.2) is that IPv4 address: a client must not count twice because of the socket that it came by.
    #[must_use]
    pub fn network(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.v4.min(32))).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.v6.min(128))).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

/// A key that is being made, without an allocation: SipHash-1-3 over the parts, each with its length before it.
#[derive(Clone, Debug)]
pub struct KeyMaker(Sip<1, 3>);

/// In place of a length: there is no such part. No slice is that long.
const ABSENT: u64 = u64::MAX;

impl KeyMaker {
    /// Begins a key.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self(Sip::new(secret.0, secret.1))
    }

    /// The next part: the bytes of a field, a cookie, a path, a user.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.word(bytes.len() as u64);
        self.0.bytes(bytes);
    }

    /// The next part, which the request does not have.
    pub fn absent(&mut self) {
        self.0.word(ABSENT);
    }

    /// The next part: the network of a client.
    pub fn client(&mut self, address: IpAddr, prefixes: Prefixes) {
        match prefixes.network(address) {
            IpAddr::V4(address) => self.part(&address.octets()),
            IpAddr::V6(address) => self.part(&address.octets()),
        }
    }

    /// The key of all parts.
    #[must_use]
    pub fn key(self) -> Key {
        Key(self.0.finish().max(1))
    }
}

/// SipHash with so many rounds for each word and so many at its end.
///
/// Words go in whole, and the last bytes of a part are padded to one with zeros. That is still injective, because a
/// part's length stands before it, and spares us from carrying half a word on. With one part of whole words and no
/// length it is SipHash to the letter, which the tests hold it to.
#[derive(Clone, Debug)]
struct Sip<const WORD: usize, const END: usize> {
    v: [u64; 4],
    /// Bytes that went in; SipHash takes their number in at its end.
    length: u64,
}

impl<const WORD: usize, const END: usize> Sip<WORD, END> {
    const fn new(first: u64, second: u64) -> Self {
        let v = [
            first ^ 0x736F_6D65_7073_6575,
            second ^ 0x646F_7261_6E64_6F6D,
            first ^ 0x6C79_6765_6E65_7261,
            second ^ 0x7465_6462_7974_6573,
        ];
        Self { v, length: 0 }
    }

    const fn round(&mut self) {
        let [a, b, c, d] = &mut self.v;
        *a = a.wrapping_add(*b);
        *c = c.wrapping_add(*d);
        *b = b.rotate_left(13) ^ *a;
        *d = d.rotate_left(16) ^ *c;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*b);
        *a = a.wrapping_add(*d);
        *b = b.rotate_left(17) ^ *c;
        *d = d.rotate_left(21) ^ *a;
        *c = c.rotate_left(32);
    }

    fn mix(&mut self, word: u64) {
        self.v[3] ^= word;
        for _ in 0..WORD {
            self.round();
        }
        self.v[0] ^= word;
    }

    fn word(&mut self, word: u64) {
        self.length = self.length.wrapping_add(8);
        self.mix(word);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    fn finish(self) -> u64 {
        self.end(0)
    }

    /// Up to seven last bytes, in the low bits of `rest`.
    fn end(mut self, rest: u64) -> u64 {
        self.mix(self.length << 56 | rest);
        self.v[2] ^= 0xFF;
        for _ in 0..END {
            self.round();
        }
        self.v.iter().fold(0, |all, word| all ^ word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{DefaultHasher, Hasher};

    use proptest::prelude::*;

    use super::*;

    const SECRET: Secret = Secret::new(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908);

    fn key(parts: &[Option<&[u8]>]) -> Key {
        Key::of(SECRET, parts)
    }

    /// The example of the paper, appendix A: fifteen bytes, 0 to 14, SipHash-2-4.
    #[test]
    fn it_is_sip_hash() {
        let mut sip = Sip::<2, 4>::new(SECRET.0, SECRET.1);
        sip.bytes(&[0, 1, 2, 3, 4, 5, 6, 7]);
        sip.length += 7;
        assert_eq!(sip.end(0x000E_0D0C_0B0A_0908), 0xA129_CA61_49BE_45E5);
    }

    /// The standard library's hasher is SipHash-1-3 with a key of zeros.
    #[test]
    fn one_and_three_rounds_are_those_of_the_standard_library() {
        let bytes: Vec<u8> = (0..64).collect();
        for words in 0..=8 {
            let mut theirs = DefaultHasher::new();
            theirs.write(&bytes[..words * 8]);
            let mut ours = Sip::<1, 3>::new(0, 0);
            ours.bytes(&bytes[..words * 8]);
            assert_eq!(ours.finish(), theirs.finish(), "{words}");
        }
    }

    #[test]
    fn no_two_lists_of_parts_are_alike() {
        let lists: [&[Option<&[u8]>]; 14] = [
            &[],
            &[None],
            &[None, None],
            &[Some(b"")],
            &[Some(b""), Some(b"")],
            &[None, Some(b"")],
            &[Some(b""), None],
            &[Some(b"\0")],
            &[Some(b"\0\0\0\0\0\0\0\0")],
            &[Some(b"ab"), Some(b"c")],
            &[Some(b"a"), Some(b"bc")],
            &[Some(b"abc")],
            &[Some(b"abc\0")],
            &[Some(b"c"), Some(b"ab")],
        ];
        let keys: HashSet<Key> = lists.iter().map(|parts| key(parts)).collect();
        assert_eq!(keys.len(), lists.len());
        let other = Secret::new(SECRET.0, SECRET.1 ^ 1);
        assert_ne!(Key::of(other, &[Some(b"abc")]), key(&[Some(b"abc")]));
        assert_eq!(format!("{SECRET:?}"), "Secret(..)");
    }

    #[test]
    fn clients_are_networks() {
        let usual = Prefixes::default();
        for (prefixes, address, network) in [
            (usual, "192.0.2.7", "192.0.2.7"),
            (usual, "::ffff:192.0.2.7", "192.0.2.7"),
            (usual, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            (Prefixes { v4: 24, v6: 48 }, "192.0.2.7", "192.0.2.0"),
            (Prefixes { v4: 24, v6: 48 }, "::ffff:192.0.2.7", "192.0.2.0"),
            (Prefixes { v4: 24, v6: 48 }, "2001:db8:1:2::1", "2001:db8:1::"),
            (Prefixes { v4: 0, v6: 0 }, "192.0.2.7", "0.0.0.0"),
            (Prefixes { v4: 0, v6: 0 }, "2001:db8::1", "::"),
            (Prefixes { v4: 255, v6: 255 }, "192.0.2.7", "192.0.2.7"),
            (Prefixes { v4: 255, v6: 255 }, "2001:db8::1", "2001:db8::1"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(prefixes.network(address).to_string(), network, "{prefixes:?} {address}");
            let client = |address| {
                let mut maker = KeyMaker::new(SECRET);
                maker.client(address, prefixes);
                maker.key()
            };
            assert_eq!(client(address), client(network.parse().unwrap()));
        }
    }

    proptest! {
        #[test]
        fn parts_are_hashed_injectively(
            one in prop::collection::vec(prop::option::of(prop::collection::vec(0u8..2, 0..10)), 0..4),
            two in prop::collection::vec(prop::option::of(prop::collection::vec(0u8..2, 0..10)), 0..4),
        ) {
            let key_of = |parts: &[Option<Vec<u8>>]| {
                key(&parts.iter().map(Option::as_deref).collect::<Vec<_>>())
            };
            prop_assert_eq!(one == two, key_of(&one) == key_of(&two));
        }
    }
}
