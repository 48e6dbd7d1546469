//! A table that every server fills an even part of, so that a look-up is one read (the idea of
//! Google's Maglev): parts are more even than a ring's, and a change moves a few more keys.

use crate::dice::mix;

/// Entries for each server: with 100 of them parts differ by about one in a hundred.
const ENTRIES: usize = 100;
/// Sizes of tables: primes, so that every step through one visits every entry.
const SIZES: [usize; 5] = [16_381, 65_537, 262_139, 1_048_573, 4_194_301];
/// Entries that a walk looks at.
const WALK_MAX: usize = 64;
/// Nobody yet.
const EMPTY: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct Maglev {
    /// Empty if no server has a weight.
    table: Vec<u32>,
}

/// A server that fills the table: it takes the free entries of its own order.
struct Filler {
    server: u32,
    at: usize,
    step: usize,
    /// What it may still take, in parts of the heaviest server's turn.
    credit: u64,
    weight: u64,
}

impl Maglev {
    /// A table of servers, each with what names it and its weight.
    pub(crate) fn new(servers: &[(u64, u32)]) -> Self {
        let wanted = servers.len() * ENTRIES;
        let size = SIZES.into_iter().find(|&size| size >= wanted).unwrap_or(SIZES[SIZES.len() - 1]);
        let mut fillers: Vec<_> = (0_u32..)
            .zip(servers)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(server, &(identity, weight))| Filler {
                server,
                at: remainder(mix(identity), size),
                step: 1 + remainder(mix(!identity), size - 1),
                credit: 0,
                weight: u64::from(weight),
            })
            .collect();
        // In an order that the list does not decide, or a change of it would move keys.
        fillers.sort_unstable_by_key(|filler| servers[filler.server as usize].0);
        let Some(heaviest) = fillers.iter().map(|filler| filler.weight).max() else {
            return Self { table: Vec::new() };
        };
        let mut table = vec![EMPTY; size];
        let mut free = size;
        while free > 0 {
            for filler in &mut fillers {
                filler.credit += filler.weight;
                if filler.credit < heaviest || free == 0 {
                    continue;
                }
                filler.credit -= heaviest;
                while table[filler.at] != EMPTY {
                    filler.at = (filler.at + filler.step) % size;
                }
                table[filler.at] = filler.server;
                free -= 1;
            }
        }
        Self { table }
    }

    /// The servers from the key's entry on; one may come several times.
    pub(crate) fn walk(&self, key: u64) -> impl Iterator<Item = u32> {
        let at = remainder(mix(key), self.table.len().max(1));
        let (before, from) = self.table.split_at(at.min(self.table.len()));
        from.iter().chain(before).take(WALK_MAX).copied()
    }
}

fn remainder(n: u64, size: usize) -> usize {
    usize::try_from(n % size as u64).unwrap_or(0)
}
