//! An object costs at most 200 bytes beside its own, and no more than the store counts for it; nor do
//! its siblings.

mod measure;

/// One test: what another allocates meanwhile would be taken for this one's.
#[test]
fn an_object_costs_at_most_two_hundred_bytes_beside_its_own() {
    let cost = measure::measure(100_000, 0);
    assert!(cost.overhead <= 200, "{cost:?}");
    assert!(cost.payload + cost.overhead <= cost.counted, "{cost:?}");
    for siblings in [1, 4] {
        let cost = measure::measure(10_000, siblings);
        assert!(cost.payload + cost.overhead <= cost.counted, "{siblings}: {cost:?}");
        // Nor is much more counted than there is.
        assert!((cost.payload + cost.overhead) * 10 >= cost.counted * 8, "{siblings}: {cost:?}");
    }
}
