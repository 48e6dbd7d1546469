//! S3-FIFO answers at least three requests in a hundred more than LRU does, on requests as they come and on
//! requests with scans in between. `benches/hit_ratio.rs` shows the same for more and longer traces.

use doorman_cache::evict::Method;

mod traces;

use traces::{hit_ratio, scans, zipf};

#[test]
fn s3_fifo_is_three_points_better_than_lru() {
    for trace in [
        zipf(11, 0.9, 20_000, 100_000),
        zipf(12, 1.0, 20_000, 100_000),
        scans(13, 0.9, 20_000, 100_000, 4_000, 2_000),
        scans(14, 1.0, 20_000, 100_000, 4_000, 2_000),
    ] {
        for share in [2, 5, 10, 20] {
            let budget = trace.popular_bytes() * share / 100;
            let lru = hit_ratio(&trace, Method::Lru, budget);
            let s3 = hit_ratio(&trace, Method::S3Fifo, budget);
            assert!(s3 >= lru + 0.03, "{} with {share} %: {lru} and {s3}", trace.name);
        }
    }
}
