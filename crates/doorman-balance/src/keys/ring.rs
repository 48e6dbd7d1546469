//! A ring: each server stands at many points of it, and a key belongs to the next point.
//!
//! A server that joins or leaves moves its own part of the keys and no other (the idea of
//! ketama). Many points make the parts even; an index over the ring makes the look-up constant.

use crate::dice::mix;

/// Points of a server of average weight: parts then differ by less than a tenth.
const POINTS: u64 = 160;
/// Points of the whole ring: 8 MiB at most.
const POINTS_MAX: u64 = 1 << 20;
/// Points that a walk looks at: with half of the servers out, all of them fail once in 2^64 times.
const WALK_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Point {
    place: u32,
    server: u32,
}

#[derive(Debug)]
pub(crate) struct Ring {
    /// In order.
    points: Vec<Point>,
    /// For each of 2^bits equal arcs, the first point in it or behind it.
    index: Vec<u32>,
    bits: u32,
}

impl Ring {
    /// A ring of servers, each with what names it and its weight.
    pub(crate) fn new(servers: &[(u64, u32)]) -> Self {
        let total: u64 = servers.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let wanted = (servers.len() as u64 * POINTS).min(POINTS_MAX);
        let mut points = Vec::new();
        for (server, &(identity, weight)) in (0_u32..).zip(servers) {
            if weight == 0 {
                continue;
            }
            let count = (u64::from(weight) * wanted).div_ceil(total);
            points
                .extend((0..count).map(|n| Point { place: upper(mix(mix(n) ^ identity)), server }));
        }
        // Two servers at one place: the order of the list must not decide, or it would move keys.
        points.sort_unstable_by_key(|p| (p.place, servers[p.server as usize].0));
        let bits = points.len().next_power_of_two().trailing_zeros().clamp(1, 20);
        let mut at = 0;
        let index = (0..1_u64 << bits)
            .map(|arc| {
                let from = arc << (32 - bits);
                while points.get(at).is_some_and(|point| u64::from(point.place) < from) {
                    at += 1;
                }
                u32::try_from(at).unwrap_or(u32::MAX)
            })
            .collect();
        Self { points, index, bits }
    }

    /// The servers from the key's place on; one may come several times.
    pub(crate) fn walk(&self, key: u64) -> impl Iterator<Item = u32> {
        let place = upper(mix(key));
        let mut at = self.index[(place >> (32 - self.bits)) as usize] as usize;
        while self.points.get(at).is_some_and(|point| point.place < place) {
            at += 1;
        }
        let (before, from) = self.points.split_at(at);
        from.iter().chain(before).take(WALK_MAX).map(|point| point.server)
    }
}

const fn upper(n: u64) -> u32 {
    (n >> 32) as u32
}
