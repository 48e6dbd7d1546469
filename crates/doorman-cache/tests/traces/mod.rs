//! Requests as they come to a cache, from a seed, and how many of them a way to make room answers.

use std::cell::Cell;

use doorman_cache::evict::{Entry, Eviction, Method, Slot, USES_MAX};

/// Numbers from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        doorman_http::mix(self.0)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Which object each request is for.
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) requests: Vec<u32>,
    /// Numbers of objects are below this.
    pub(crate) objects: u32,
}

/// Requests for objects whose popularity falls with their rank to the power of `alpha`.
pub(crate) fn zipf(seed: u64, alpha: f64, objects: u32, requests: u32) -> Trace {
    let mut dice = Dice(seed);
    let mut sums = Vec::new();
    let mut sum = 0.0;
    for rank in 1..=objects {
        sum += f64::from(rank).powf(-alpha);
        sums.push(sum);
    }
    let mut draw = || {
        let at = dice.fraction() * sum;
        u32::try_from(sums.partition_point(|&sum| sum < at)).map_or(0, |rank| rank.min(objects - 1))
    };
    let requests = (0..requests).map(|_| draw()).collect();
    Trace { name: format!("zipf {alpha}"), requests, objects }
}

/// The same with scans in it: after every `between` requests `length` objects in a row that nobody asks for
/// ever again.
pub(crate) fn scans(
    seed: u64,
    alpha: f64,
    objects: u32,
    requests: u32,
    between: u32,
    length: u32,
) -> Trace {
    let popular = zipf(seed, alpha, objects, requests);
    let mut next = objects;
    let mut mixed = Vec::new();
    for part in popular.requests.chunks(between as usize) {
        mixed.extend_from_slice(part);
        mixed.extend(next..next + length);
        next += length;
    }
    mixed.truncate(requests as usize);
    Trace { name: format!("scans, {}", popular.name), requests: mixed, objects: next }
}

/// Bytes of an object: half a KiB to 64 KiB, small ones as many as large ones.
pub(crate) fn size(object: u32) -> u64 {
    512 << (doorman_http::mix(u64::from(object) + 1) % 8)
}

impl Trace {
    /// Bytes of all objects that are asked for more than once.
    pub(crate) fn popular_bytes(&self) -> u64 {
        let mut counts = vec![0u32; self.objects as usize];
        self.requests.iter().for_each(|&object| counts[object as usize] += 1);
        (0..).zip(counts).filter(|(_, count)| *count > 1).map(|(object, _)| size(object)).sum()
    }
}

struct Stored<'a> {
    object: u32,
    uses: &'a [Cell<u8>],
}

impl Entry for Stored<'_> {
    fn uses(&self) -> u8 {
        self.uses[self.object as usize].get()
    }

    fn set_uses(&self, uses: u8) {
        self.uses[self.object as usize].set(uses);
    }

    fn hash(&self) -> u64 {
        doorman_http::mix(u64::from(self.object) ^ 0x5EED)
    }
}

/// The share of requests that is answered with so many bytes of room.
pub(crate) fn hit_ratio(trace: &Trace, method: Method, budget: u64) -> f64 {
    let uses = vec![Cell::new(0u8); trace.objects as usize];
    let mut slots: Vec<Option<Slot>> = vec![None; trace.objects as usize];
    let mut eviction = Eviction::new(method, budget);
    let mut hits = 0u32;
    for &object in &trace.requests {
        if let Some(slot) = slots[object as usize] {
            hits += 1;
            let counter = &uses[object as usize];
            counter.set((counter.get() + 1).min(USES_MAX));
            eviction.touch(slot, |stored: &Stored<'_>| stored.object == object);
            continue;
        }
        slots[object as usize] = eviction.insert(Stored { object, uses: &uses }, size(object));
        while let Some(gone) = eviction.evict() {
            slots[gone.object as usize] = None;
        }
        assert!(eviction.bytes() <= budget);
    }
    f64::from(hits) / trace.requests.len() as f64
}
