//! How far the shadow's times are from the primary's: ratios of quantiles with their intervals, and
//! quantiles of the differences within pairs.
//!
//! The interval of a quantile is that between two order statistics: of `n` values, those of ranks
//! `nq ± z √(nq (1 - q))` enclose the quantile with the confidence that belongs to `z`, whatever the
//! distribution is (Hahn and Meeker, "Statistical Intervals", 1991, §5.2, by the normal
//! approximation of the binomial). Each leg's has a confidence of 97.5 %, so the ratio of their
//! ends has at least 95 % (Bonferroni), also where the legs depend on each other. A value is known
//! to the width of its slot in the histogram, and counts as the end that widens the interval.
//!
//! These intervals are right for one look. They decide nothing: the verdict has its own.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// 98.75 % of a normal distribution lie below it.
const Z_975: f64 = 2.241_402_727_604_947;

/// The quantiles that reports have.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Shadow over primary at one quantile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// `total` or `first_byte`.
    pub span: String,
    /// 0.99 is p99.
    pub quantile: f64,
    /// The primary's, in microseconds.
    pub primary_us: u64,
    /// The shadow's, in microseconds.
    pub shadow_us: u64,
    /// Shadow over primary.
    pub ratio: f64,
    /// Bounds of the ratio, with a confidence of at least 95 %; `None` where there are too few
    /// values to tell.
    pub interval: Option<[f64; 2]>,
}

/// A distribution of differences in microseconds; negative: less, or earlier. `None` where it is
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedQuantiles {
    /// Values.
    pub count: u64,
    /// The smallest.
    pub min_us: Option<i64>,
    /// 10 % are not above it.
    pub p10_us: Option<i64>,
    /// Median.
    pub p50_us: Option<i64>,
    /// 90 % are not above it.
    pub p90_us: Option<i64>,
    /// 99 % are not above it.
    pub p99_us: Option<i64>,
    /// The largest.
    pub max_us: Option<i64>,
}

/// The shift at each quantile; none where a leg has no values.
pub(crate) fn shifts(
    span: &str,
    primary: Option<&Histogram<u64>>,
    shadow: Option<&Histogram<u64>>,
) -> Vec<Shift> {
    let legs = primary.zip(shadow).filter(|(p, s)| !p.is_empty() && !s.is_empty());
    let Some((primary, shadow)) = legs else { return Vec::new() };
    QUANTILES
        .into_iter()
        .map(|quantile| {
            let primary_us = primary.value_at_quantile(quantile);
            let shadow_us = shadow.value_at_quantile(quantile);
            let interval = ends(primary, quantile).zip(ends(shadow, quantile)).map(|(p, s)| {
                [rounded(ratio(s.low_us, p.high_us)), rounded(ratio(s.high_us, p.low_us))]
            });
            let ratio = rounded(ratio(shadow_us, primary_us));
            Shift { span: span.to_owned(), quantile, primary_us, shadow_us, ratio, interval }
        })
        .collect()
}

/// Where a quantile surely lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    low_us: u64,
    high_us: u64,
}

/// `None` where ranks beyond the first or the last value would be needed.
fn ends(histogram: &Histogram<u64>, quantile: f64) -> Option<Ends> {
    let n = real(histogram.len());
    let middle = n * quantile;
    let reach = Z_975 * (middle * (1.0 - quantile)).sqrt();
    let (low, high) = ((middle - reach).floor(), (middle + reach).ceil() + 1.0);
    if low < 1.0 || high > n {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks lie between 1 and a count"
    )]
    let at = |rank: f64| value_at_rank(histogram, rank as u64);
    let (low, high) = (at(low)?, at(high)?);
    Some(Ends {
        low_us: histogram.lowest_equivalent(low),
        high_us: histogram.highest_equivalent(high),
    })
}

/// The value of this rank, counted from 1.
fn value_at_rank(histogram: &Histogram<u64>, rank: u64) -> Option<u64> {
    let mut seen = 0;
    let reached = histogram.iter_recorded().find(|value| {
        seen += value.count_at_value();
        seen >= rank
    });
    reached.map(|value| value.value_iterated_to())
}

impl SignedQuantiles {
    /// Of differences that are kept by sign: those at or above 0, and those below by how much.
    pub(crate) fn of(longer: Option<&Histogram<u64>>, shorter: Option<&Histogram<u64>>) -> Self {
        let len = |histogram: Option<&Histogram<u64>>| histogram.map_or(0, Histogram::len);
        let (below, count) = (len(shorter), len(shorter) + len(longer));
        let at = |quantile: f64| {
            if count == 0 {
                return None;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a count"
            )]
            let rank = ((quantile * real(count)).ceil() as u64).clamp(1, count);
            let value = |histogram: Option<&Histogram<u64>>, rank| {
                i64::try_from(value_at_rank(histogram?, rank)?).ok()
            };
            if rank <= below {
                // The longest way below comes first.
                value(shorter, below - rank + 1).map(|us| -us)
            } else {
                value(longer, rank - below)
            }
        };
        Self {
            count,
            min_us: at(0.0),
            p10_us: at(0.1),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: at(1.0),
        }
    }
}

/// Wilson's 95 % interval of a share (Wilson 1927); `None` where there is nothing.
pub(crate) fn wilson(part: u64, whole: u64) -> Option<[f64; 2]> {
    const Z_95: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return None;
    }
    let (n, z2) = (real(whole), Z_95 * Z_95);
    let share = real(part) / n;
    let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let reach = Z_95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends rounding must not shut out none or all.
    let low = if part == 0 { 0.0 } else { (middle - reach).max(0.0) };
    let high = if part == whole { 1.0 } else { (middle + reach).min(1.0) };
    Some([low, high])
}

fn ratio(over: u64, under: u64) -> f64 {
    real(over) / real(under.max(1))
}

/// To four digits: more are noise, and a report is read.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(2).unwrap();
        values.into_iter().for_each(|value| histogram.record(value).unwrap());
        histogram
    }

    #[test]
    fn a_leg_that_takes_twice_as_long_is_shifted_by_two() {
        let (primary, shadow) = (histogram(1..=10_000), histogram((1..=10_000).map(|us| 2 * us)));
        let all = shifts("total", Some(&primary), Some(&shadow));
        assert_eq!(all.len(), 4);
        for shift in all {
            let [low, high] = shift.interval.unwrap();
            assert!((shift.ratio - 2.0).abs() < 0.04, "{shift:?}");
            assert!(low < 2.0 && 2.0 < high && high < 2.4, "{shift:?}");
        }
    }

    #[test]
    fn the_interval_holds_the_ratio_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut draw = |n| {
            let values = (0..n).map(|_| (1_000.0 / (1.0 - random.f64()).sqrt()) as u64);
            histogram(values.collect::<Vec<_>>())
        };
        let (mut held, mut told) = (0, 0);
        for _ in 0..400 {
            let (primary, shadow) = (draw(2_000), draw(2_000));
            for shift in shifts("total", Some(&primary), Some(&shadow)) {
                if let Some([low, high]) = shift.interval {
                    told += 1;
                    held += u32::from(low <= 1.0 && 1.0 <= high);
                }
            }
        }
        assert_eq!(told, 1_200, "too few for p99.9, enough for the others");
        assert!(f64::from(held) >= 0.95 * f64::from(told), "{held} of {told}");
    }

    #[test]
    fn too_few_values_have_no_interval() {
        let few = histogram(1..=20);
        let all = shifts("total", Some(&few), Some(&few));
        let told: Vec<bool> = all.iter().map(|shift| shift.interval.is_some()).collect();
        assert_eq!(told, [true, false, false, false]);
        assert!(shifts("total", Some(&few), None).is_empty());
        assert!(shifts("total", Some(&few), Some(&histogram([]))).is_empty());
    }

    #[test]
    fn differences_are_in_order_over_both_signs() {
        let quantiles = SignedQuantiles::of(Some(&histogram(0..=50)), Some(&histogram(1..=50)));
        assert_eq!(quantiles.count, 101);
        assert_eq!((quantiles.min_us, quantiles.max_us), (Some(-50), Some(50)));
        assert_eq!((quantiles.p10_us, quantiles.p50_us), (Some(-40), Some(0)));
        assert_eq!(quantiles.p90_us, Some(40));
        assert_eq!(SignedQuantiles::of(None, None), SignedQuantiles::default());
        let faster = SignedQuantiles::of(None, Some(&histogram([7])));
        assert_eq!((faster.min_us, faster.p50_us, faster.max_us), (Some(-7), Some(-7), Some(-7)));
    }

    #[test]
    fn the_wilson_interval_is_the_published_one() {
        // Newcombe 1998, table I: 15 of 148.
        let [low, high] = wilson(15, 148).unwrap();
        assert!((low - 0.0624).abs() < 1e-4 && (high - 0.1605).abs() < 1e-4, "{low} {high}");
        let [low, high] = wilson(0, 20).unwrap();
        assert!(low == 0.0 && (high - 0.1611).abs() < 1e-4, "{high}");
        assert!(wilson(0, 0).is_none());
    }
}
