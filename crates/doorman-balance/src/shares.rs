//! Which way of a weighted split a client goes, always the same one.
//!
//! Each way draws a lot of its own from the client's number, the larger its share the better, and
//! the best lot wins (weighted rendezvous). In the long run each way gets exactly its share of
//! clients. A change of shares moves a client only from a way whose share shrank against another's
//! to that other; where two ways share everything, that is exactly the difference.

use doorman_http::mix;

/// A way, and what is its own of all clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// A number for its name, so that other ways may come and go around it.
    pub name: u64,
    /// Its share; the sum over all ways may be anything.
    pub share: u32,
}

/// The ways of a client, best first, as places in `shares`; those with a share of nothing are left
/// out. `client` must be well spread.
pub fn ways(shares: &[Share], client: u64) -> impl Iterator<Item = usize> {
    let mut lots: Vec<(f64, usize)> = (shares.iter().enumerate())
        .filter(|(_, share)| share.share > 0)
        .map(|(way, share)| (lot(client, share), way))
        .collect();
    lots.sort_by(|a, b| b.0.total_cmp(&a.0));
    lots.into_iter().map(|(_, way)| way)
}

/// A negative number; the larger the share, the nearer to zero it may be hoped to lie.
fn lot(client: u64, share: &Share) -> f64 {
    /// 2^53: a float holds so many numbers between 0 and 1, evenly.
    const STEPS: f64 = 9_007_199_254_740_992.0;
    let bits = mix(client ^ mix(share.name)) >> 11;
    // Never 0, whose logarithm is none.
    let drawn = (bits as f64 + 0.5) / STEPS;
    drawn.ln() / f64::from(share.share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENTS: u64 = 100_000;

    fn named(shares: &[u32]) -> Vec<Share> {
        let share = |(name, &share)| Share { name, share };
        (1..).zip(shares).map(share).collect()
    }

    fn way(shares: &[u32], client: u64) -> usize {
        ways(&named(shares), mix(client)).next().unwrap()
    }

    #[test]
    fn shares_are_kept_over_many_clients() {
        for shares in [&[9500, 500][..], &[1, 1], &[7000, 2000, 1000], &[9999, 1], &[0, 5, 5]] {
            let mut counts = vec![0u64; shares.len()];
            for client in 0..CLIENTS {
                counts[way(shares, client)] += 1;
            }
            let sum: u64 = shares.iter().map(|share| u64::from(*share)).sum();
            for (count, share) in counts.iter().zip(shares) {
                let expect = CLIENTS * u64::from(*share) / sum;
                // Five standard deviations of a binomial share.
                let spread = 5.0 * (expect as f64).sqrt() + 5.0;
                assert!((*count as f64 - expect as f64).abs() <= spread, "{shares:?} {counts:?}");
            }
        }
    }

    #[test]
    fn a_change_moves_only_the_clients_that_it_must() {
        let (mut moved, mut back) = (0u64, 0u64);
        for client in 0..CLIENTS {
            match (way(&[9500, 500], client), way(&[9000, 1000], client)) {
                (0, 1) => moved += 1,
                (1, 0) => back += 1,
                _ => {}
            }
        }
        assert_eq!(back, 0, "nobody leaves the way that grew");
        assert!((4_600..5_400).contains(&moved), "{moved}");
        // Two ways that keep their proportion exchange nobody while a third one shrinks.
        for client in 0..CLIENTS {
            let (old, new) = (way(&[9000, 500, 500], client), way(&[8000, 1000, 1000], client));
            assert!(old == new || old == 0, "{old} {new}");
        }
    }

    #[test]
    fn no_way_has_a_share() {
        assert_eq!(ways(&named(&[0, 0]), 1).next(), None);
        assert_eq!(ways(&[], 1).next(), None);
    }

    proptest! {
        #[test]
        fn every_way_with_a_share_comes_once(shares in prop::collection::vec(0u32..10, 0..8), client: u64) {
            let mut seen: Vec<_> = ways(&named(&shares), client).collect();
            seen.sort_unstable();
            let expect: Vec<_> = (0..shares.len()).filter(|&way| shares[way] > 0).collect();
            prop_assert_eq!(seen, expect);
        }
    }
}
