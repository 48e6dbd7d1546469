//! What is known of all addresses, as sorted ranges.

use std::collections::HashMap;
use std::net::IpAddr;

use super::file::{Family, File, Step};
use super::value::Section;
use super::{About, GeoError};
use crate::ranks::{Number, Ranks};

/// What is known; the default value stands for nothing.
pub(super) struct Known<V> {
    v4: Ranges<u32, V>,
    v6: Ranges<u128, V>,
    pub(super) about: About,
}

/// Where something else begins to be known than before, and what.
struct Ranges<T, V> {
    starts: Ranks<T>,
    values: Box<[V]>,
}

impl<T: Number, V: Copy> Ranges<T, V> {
    fn new(starts: Vec<T>, values: Vec<V>) -> Self {
        Self { starts: Ranks::new(starts.into()), values: values.into() }
    }

    fn get(&self, address: T) -> Option<V> {
        self.values.get(self.starts.of(address).checked_sub(1)?).copied()
    }

    fn bytes(&self) -> usize {
        self.starts.bytes() + size_of_val(&*self.values)
    }
}

impl<V: Copy + Default + PartialEq> Known<V> {
    /// Walks the whole tree of a file. `value` says what a record, of which only the place is known, holds.
    pub(super) fn read(
        file: &File<'_>,
        value: fn(&mut Section<'_>, usize) -> Result<V, GeoError>,
        wanted: &'static str,
    ) -> Result<Self, GeoError> {
        let mut walk = Walk {
            file,
            section: Section::new(file.data, file.data_at),
            value,
            read: HashMap::new(),
            // In a tree no node is come to twice; the few that are shared on purpose are not followed.
            nodes_left: u64::from(file.tree.nodes) + 128,
        };
        let root = Step::Node(0);
        let (v4, v6) = match file.family {
            Family::V4 => (walk.ranges(root, 32, None)?, (Vec::new(), Vec::new())),
            Family::Both => {
                let v4 = walk.v4_root()?;
                (walk.ranges(v4, 32, None)?, walk.ranges(root, 128, Some(v4))?)
            }
        };
        let nothing = |values: &[V]| values.iter().all(|value| *value == V::default());
        if nothing(&v4.1) && nothing(&v6.1) {
            return Err(GeoError::Nothing { wanted, kind: file.about.kind.clone() });
        }
        // Addresses of IPv4 are numbers of 32 bits, since the walk was as deep.
        let short = v4.0.into_iter().filter_map(|start| u32::try_from(start).ok()).collect();
        Ok(Self {
            v4: Ranges::new(short, v4.1),
            v6: Ranges::new(v6.0, v6.1),
            about: file.about.clone(),
        })
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(ip) => self.v4.get(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.get(ip.to_bits()),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }
}

struct Walk<'a, V> {
    file: &'a File<'a>,
    section: Section<'a>,
    value: fn(&mut Section<'_>, usize) -> Result<V, GeoError>,
    /// What stands at places of the data that were read already: many networks share one record.
    read: HashMap<u32, V>,
    nodes_left: u64,
}

impl<V: Copy + Default + PartialEq> Walk<'_, V> {
    /// Where IPv4 begins in a tree of IPv6: 96 zeros deep.
    fn v4_root(&self) -> Result<Step, GeoError> {
        let mut step = Step::Node(0);
        for _ in 0..96 {
            let Step::Node(node) = step else { break };
            step = self.file.tree.step(node, false)?;
        }
        Ok(step)
    }

    /// What is known of the addresses below `root`, which have so many bits. Where a tree leads to `shared` nothing
    /// is known: these are addresses of IPv4 in other clothes, which are looked up as such.
    fn ranges(
        &mut self,
        root: Step,
        bits: u32,
        shared: Option<Step>,
    ) -> Result<(Vec<u128>, Vec<V>), GeoError> {
        let shared = shared.filter(|step| *step != Step::Node(0));
        let (mut starts, mut values) = (Vec::new(), Vec::new());
        // No deeper than an address has bits.
        let mut stack = vec![(root, 0_u128, bits)];
        while let Some((step, start, left)) = stack.pop() {
            let value = match step {
                Step::Node(_) if shared == Some(step) => V::default(),
                Step::Node(node) => {
                    let broken = |what| GeoError::Broken(what, (node as usize).saturating_mul(6));
                    let left = left.checked_sub(1);
                    let left = left.ok_or_else(|| broken("a tree deeper than addresses"))?;
                    let more = self.nodes_left.checked_sub(1);
                    self.nodes_left = more.ok_or_else(|| broken("a tree with loops"))?;
                    stack.push((self.file.tree.step(node, true)?, start | 1 << left, left));
                    stack.push((self.file.tree.step(node, false)?, start, left));
                    continue;
                }
                Step::Nothing => V::default(),
                Step::Data(at) => self.value(at)?,
            };
            if values.last() != Some(&value) {
                starts.push(start);
                values.push(value);
            }
        }
        Ok((starts, values))
    }

    fn value(&mut self, at: u32) -> Result<V, GeoError> {
        if let Some(value) = self.read.get(&at) {
            return Ok(*value);
        }
        let value = (self.value)(&mut self.section, at as usize)?;
        self.read.insert(at, value);
        Ok(value)
    }
}
