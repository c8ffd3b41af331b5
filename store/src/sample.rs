//! Which pairs are kept as examples: a fair choice over a signature's whole life.
//!
//! Each pair has a rank, a hash of its id. A signature keeps the pairs with the lowest ranks of all
//! that ever had it, and its first one. Every pair of its life so has the same chance, and the
//! choice is the same in whatever order pairs come, however they are cut into batches, and when
//! runs are added up: the lowest of all are among the lowest of each part.
//!
//! [`Samples`] knows the choice of one run, so that messages of pairs that cannot be chosen are
//! never written out. The store makes the same choice over all runs.

use std::collections::HashMap;

use capture::Timestamp;
use compare::{PairId, SignatureId};

/// A pair's place in the draw: the lowest are kept. Never negative.
pub(crate) fn rank(pair: PairId) -> i64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood 2014): pair ids are digests already, of
    // which no part should be looked at twice.
    let mut x = pair.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 1).cast_signed()
}

/// The examples that one run has chosen.
#[derive(Debug)]
pub(crate) struct Samples {
    per_signature: usize,
    /// Bounded by `Limits::signatures`.
    signatures: HashMap<SignatureId, Sample>,
    pairs: HashMap<PairId, Held>,
    bytes: usize,
}

/// The examples of one signature.
#[derive(Debug, Default)]
struct Sample {
    first: Option<(Timestamp, PairId)>,
    /// In order.
    lowest: Vec<(i64, PairId)>,
}

/// A pair that is an example.
#[derive(Debug)]
struct Held {
    /// Places in samples.
    places: usize,
    bytes: usize,
}

impl Samples {
    /// None yet.
    pub(crate) fn new(per_signature: u32) -> Self {
        let per_signature = usize::try_from(per_signature).unwrap_or(usize::MAX);
        Self { per_signature, signatures: HashMap::new(), pairs: HashMap::new(), bytes: 0 }
    }

    /// Whether `pair`, begun at `start`, would be an example of `signature`.
    pub(crate) fn wants(&self, signature: SignatureId, pair: PairId, start: Timestamp) -> bool {
        if self.per_signature == 0 {
            return false;
        }
        let Some(sample) = self.signatures.get(&signature) else { return true };
        sample.is_first(pair, start) || sample.is_lowest(pair, self.per_signature)
    }

    /// Makes `pair`, whose messages hold so many bytes, an example of those of `signatures` that
    /// want it.
    pub(crate) fn admit(
        &mut self,
        signatures: &[SignatureId],
        pair: PairId,
        start: Timestamp,
        bytes: usize,
    ) {
        let mut fallen = Vec::new();
        for signature in signatures {
            let sample = self.signatures.entry(*signature).or_default();
            let mut places = 0;
            if sample.is_first(pair, start) {
                fallen.extend(sample.first.replace((start, pair)).map(|(_, pair)| pair));
                places += 1;
            }
            if sample.is_lowest(pair, self.per_signature) {
                let place = (rank(pair), pair);
                let at = sample.lowest.partition_point(|&other| other < place);
                sample.lowest.insert(at, place);
                if sample.lowest.len() > self.per_signature {
                    fallen.extend(sample.lowest.pop().map(|(_, pair)| pair));
                }
                places += 1;
            }
            if places > 0 {
                let held = self.pairs.entry(pair).or_insert_with(|| {
                    self.bytes += bytes;
                    Held { places: 0, bytes }
                });
                held.places += places;
            }
        }
        fallen.into_iter().for_each(|pair| self.release(pair));
    }

    /// Bytes of all that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn release(&mut self, pair: PairId) {
        if let Some(held) = self.pairs.get_mut(&pair) {
            held.places -= 1;
            if held.places == 0 {
                self.bytes -= held.bytes;
                self.pairs.remove(&pair);
            }
        }
    }
}

impl Sample {
    fn is_first(&self, pair: PairId, start: Timestamp) -> bool {
        self.first.is_none_or(|first| (start, pair) < first)
    }

    fn is_lowest(&self, pair: PairId, most: usize) -> bool {
        let place = (rank(pair), pair);
        let room = self.lowest.len() < most || self.lowest.last().is_some_and(|&last| place < last);
        room && !self.lowest.contains(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: SignatureId = SignatureId(1);

    /// What a life of `pairs` pairs leaves as examples, besides the first.
    fn chosen(per_signature: u32, pairs: u64, seed: u64) -> Vec<u64> {
        let mut samples = Samples::new(per_signature);
        for n in 0..pairs {
            let (pair, start) = (PairId(seed << 32 | n), Timestamp::from_nanos(n));
            if samples.wants(PRICE, pair, start) {
                samples.admit(&[PRICE], pair, start, 1);
            }
        }
        samples.signatures[&PRICE].lowest.iter().map(|(_, pair)| pair.0 & 0xffff_ffff).collect()
    }

    #[test]
    fn every_moment_of_a_signatures_life_has_the_same_chance() {
        let mut tenths = [0_u32; 10];
        for seed in 0..400 {
            for n in chosen(10, 1_000, seed) {
                tenths[usize::try_from(n / 100).unwrap()] += 1;
            }
        }
        // 400 expected in each, with a deviation of 19.
        assert!(tenths.iter().all(|&n| (310..490).contains(&n)), "{tenths:?}");
    }

    #[test]
    fn the_first_pair_is_kept_whatever_its_rank() {
        let mut samples = Samples::new(1);
        let at = Timestamp::from_nanos;
        for n in [5, 3, 9, 4] {
            samples.admit(&[PRICE], PairId(n), at(n), 1);
        }
        assert_eq!(samples.signatures[&PRICE].first, Some((at(3), PairId(3))));
    }

    #[test]
    fn bytes_are_those_of_the_pairs_that_are_held() {
        let mut samples = Samples::new(2);
        for n in 0..500 {
            samples.admit(&[PRICE, SignatureId(n % 7)], PairId(n), Timestamp::from_nanos(n), 10);
        }
        assert_eq!(samples.bytes, samples.pairs.len() * 10);
        let places: usize = samples.pairs.values().map(|held| held.places).sum();
        let in_samples: usize = samples.signatures.values().map(|s| s.lowest.len() + 1).sum();
        assert_eq!(places, in_samples);
        assert!(samples.pairs.len() <= 7 * 3);
    }

    #[test]
    fn none_are_wanted_where_none_are_to_be_kept() {
        assert!(!Samples::new(0).wants(PRICE, PairId(1), Timestamp::ZERO));
    }
}
