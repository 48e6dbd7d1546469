//! What a million objects of 1 KiB cost in memory beside their bytes.

#[path = "../tests/overhead/measure.rs"]
mod measure;

fn main() {
    for count in [100_000, 300_000, 1_000_000] {
        let cost = measure::measure(count);
        println!(
            "{count:>9} objects: {} bytes of key, head, selector and body each, {} beside them, {} \
             counted",
            cost.payload, cost.overhead, cost.counted
        );
    }
}
