//! Arrival times of keys that found no place: a count-min sketch of a fixed size.
//!
//! Why it never lets too much pass. Each of a key's four cells holds a time that is not before the key's own. The least
//! one decides, and is swapped from what was read to what it becomes; the other three are raised before. So when the
//! swap succeeds, all four are not before the key's new time, whatever others did meanwhile. Who raised them and then
//! failed to swap has been too strict with himself by that much, and no more.

use std::sync::atomic::{AtomicU64, Ordering};

use doorman_http::mix;

use super::{Ask, below, zeros};
use crate::rate::{Step, Taken};

const ROWS: usize = 4;

/// One cell a row for so many keys that the table is made for.
const KEYS_IN_CELL: usize = 8;

/// Cells of a row, however small the table is.
const CELLS_MIN: usize = 64;

#[derive(Debug)]
pub(super) struct Sketch {
    words: Box<[AtomicU64]>,
    /// Cells of a row.
    cells: usize,
}

impl Sketch {
    /// The sketch of a table for so many keys.
    pub(super) fn new(keys: usize) -> Self {
        let cells = keys.div_ceil(KEYS_IN_CELL).max(CELLS_MIN);
        Self { words: zeros(cells * ROWS), cells }
    }

    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// Takes from a key. `spill` is raised to the key's new time before any cell is.
    pub(super) fn take(&self, ask: &Ask<'_>, spill: &AtomicU64) -> Taken {
        let cells = self.cells(ask.key);
        loop {
            let (row, seen) = least(&cells);
            let (next, taken) = match ask.rate.step(seen, ask.cost, ask.now) {
                Step::Pass(next, taken) => (next, taken),
                Step::Wait(taken) => {
                    self.mend(ask);
                    return taken;
                }
            };
            spill.fetch_max(next, Ordering::SeqCst);
            for other in (0..ROWS).filter(|&other| other != row) {
                // A look first: most of the time there is nothing to write.
                if cells[other].load(Ordering::SeqCst) < next {
                    cells[other].fetch_max(next, Ordering::SeqCst);
                }
            }
            // A cell that already is as far as it has to be is swapped for itself, and orders us all the same.
            let to = next.max(seen);
            if cells[row].compare_exchange(seen, to, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return taken;
            }
        }
    }

    /// The key's time, or a later one.
    pub(super) fn arrival(&self, key: u64) -> u64 {
        least(&self.cells(key)).1
    }

    pub(super) fn reset_all(&self) {
        for word in &self.words {
            word.store(0, Ordering::SeqCst);
        }
    }

    /// Brings back times that cannot be of this rate and this clock.
    fn mend(&self, ask: &Ask<'_>) {
        for cell in self.cells(ask.key) {
            let seen = cell.load(Ordering::SeqCst);
            if let Some(next) = ask.rate.mend(seen, ask.now) {
                let _ = cell.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
    }

    /// The four cells of a key, in rows that have nothing to do with each other or with the key's bucket.
    fn cells(&self, key: u64) -> [&AtomicU64; ROWS] {
        std::array::from_fn(|row| {
            let salt = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            &self.words[row * self.cells + below(mix(key ^ salt), self.cells)]
        })
    }
}

/// The least time, and its row.
fn least(cells: &[&AtomicU64; ROWS]) -> (usize, u64) {
    let times = cells.iter().map(|cell| cell.load(Ordering::SeqCst)).enumerate();
    times.min_by_key(|&(_, time)| time).unwrap_or((0, 0))
}
