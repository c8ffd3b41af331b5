//! What a run must report: computed from the requests sent, never from tapdiff's output.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hyper::Method;

use super::shop;

/// What one signature says, without its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signature {
    pub(crate) endpoint: String,
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) change: String,
}

/// The signatures that comparing every one of these requests must find, with their counts.
pub(crate) fn signatures<'a>(
    requests: impl IntoIterator<Item = (&'a Method, &'a str)>,
) -> BTreeMap<Signature, u64> {
    let mut counts = BTreeMap::new();
    for (method, path) in requests {
        for difference in shop::differences(method, path) {
            let signature = Signature {
                endpoint: shop::endpoint(method, path),
                kind: difference.kind.to_owned(),
                path: difference.path.to_owned(),
                change: difference.change.to_owned(),
            };
            *counts.entry(signature).or_insert(0) += 1;
        }
    }
    counts
}

/// How many of these requests must end as diverged pairs.
pub(crate) fn diverged<'a>(requests: impl IntoIterator<Item = (&'a Method, &'a str)>) -> u64 {
    let diverge = |(method, path)| !shop::differences(method, path).is_empty();
    requests.into_iter().filter(|&request| diverge(request)).count() as u64
}

/// Successes that lie inside the central interval of a binomial distribution that holds at least
/// `confidence` of it.
pub(crate) fn binomial_interval(trials: u64, p: f64, confidence: f64) -> RangeInclusive<u64> {
    let tail = (1.0 - confidence) / 2.0;
    let bound = |p: f64| {
        // P(X = 0) underflows only for far more trials than a test sends.
        let mut mass = (1.0 - p).powf(trials as f64);
        let mut below = 0.0;
        let mut k = 0;
        while below + mass <= tail && k < trials {
            below += mass;
            mass *= (trials - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
            k += 1;
        }
        k
    };
    bound(p)..=trials - bound(1.0 - p)
}

#[test]
fn binomial_interval_holds_the_share_it_names() {
    // Of 10 fair coins: P(0) = P(10) = 0.00098, P(1) = P(9) = 0.0098.
    assert_eq!(binomial_interval(10, 0.5, 0.999), 0..=10);
    assert_eq!(binomial_interval(10, 0.5, 0.99), 1..=9);
    // 500 ± 3.29 standard deviations of 15.8.
    assert_eq!(binomial_interval(1_000, 0.5, 0.999), 448..=552);
}
