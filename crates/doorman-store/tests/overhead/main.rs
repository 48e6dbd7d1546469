//! An object costs at most 200 bytes beside its own, and no more than the store counts for it.

mod measure;

#[test]
fn an_object_costs_at_most_two_hundred_bytes_beside_its_own() {
    let cost = measure::measure(100_000);
    assert!(cost.overhead <= 200, "{cost:?}");
    assert!(cost.payload + cost.overhead <= cost.counted, "{cost:?}");
}
