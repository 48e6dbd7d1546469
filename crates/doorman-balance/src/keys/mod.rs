//! Which server a key belongs to: a ring or a table over all servers of an upstream, usable or not.
//!
//! Made from what the file says alone, never from how servers are: so an ill server keeps its keys
//! for when it is back, and only they move in the meantime. Made once, off the path of requests, and
//! shared by all cores.

mod maglev;
mod ring;

pub(crate) use maglev::Maglev;
pub(crate) use ring::Ring;

use crate::dice::mix;
use crate::{Member, Method};

/// A ring or a table, shared by the cores of the plans that have the same servers.
#[derive(Debug)]
pub struct Keys {
    /// Of what it was made.
    of: u64,
    lay: Lay,
}

#[derive(Debug)]
enum Lay {
    Ring(Ring),
    Maglev(Maglev),
}

impl Keys {
    /// Lays the servers out; `None` if the method does not look at keys.
    pub(crate) fn new(method: Method, members: &[Member]) -> Option<Self> {
        // The proportion is the file's: an override of a weight must not move keys.
        let servers: Vec<_> =
            members.iter().map(|member| (member.state.identity(), member.weight)).collect();
        let lay = match method {
            Method::Hash => Lay::Ring(Ring::new(&servers)),
            Method::Maglev => Lay::Maglev(Maglev::new(&servers)),
            _ => return None,
        };
        Some(Self { of: fingerprint(method, members), lay })
    }

    pub(crate) const fn of(&self) -> u64 {
        self.of
    }

    /// The first server, in the order that belongs to the key, that `takes` it: its own, then the
    /// next ones. `None` if none of those that are looked at does.
    pub fn first<T>(&self, key: u64, takes: impl FnMut(u32) -> Option<T>) -> Option<T> {
        match &self.lay {
            Lay::Ring(ring) => ring.walk(key).find_map(takes),
            Lay::Maglev(table) => table.walk(key).find_map(takes),
        }
    }
}

/// What a layout depends on.
pub(crate) fn fingerprint(method: Method, members: &[Member]) -> u64 {
    members.iter().fold(u64::from(method == Method::Hash), |sum, member| {
        mix(sum ^ member.state.identity()).wrapping_add(u64::from(member.weight))
    })
}

/// A name as a number: FNV-1a, spread. Part of what decides where keys go, so it stays as it is.
pub(crate) fn identity(name: &str) -> u64 {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    mix(hash)
}
