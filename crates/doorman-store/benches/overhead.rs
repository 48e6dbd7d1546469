//! What a million objects of 1 KiB cost in memory beside their bytes, and a sibling of each.

#[path = "../tests/overhead/measure.rs"]
mod measure;

fn main() {
    for (count, siblings) in [(100_000, 0), (300_000, 0), (1_000_000, 0), (100_000, 1)] {
        let cost = measure::measure(count, siblings);
        println!(
            "{count:>9} objects with {siblings} siblings: {} bytes of key, head, selector and body each, {} beside them, {} \
             counted",
            cost.payload, cost.overhead, cost.counted
        );
    }
}
