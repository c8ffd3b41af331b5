//! How many times slower one leg is at a quantile, from what is counted per leg alone.
//!
//! Let `t` be the primary's quantile, with a share `s` of its times at or beyond it. "The shadow is
//! not more than `c` times slower" says: at most a share `s` of the shadow's times lies beyond
//! `c·t`. Both are claims on shares, and are bet against together: where the primary has `j` times
//! beyond `t`, so and so many of the shadow's beyond `c·t` refute it. `t` itself is unknown, so it
//! must be refuted for every `t` that the primary's times leave possible; a tenth of the level
//! goes on either end of that range. Another tenth goes on the shadow's times alone: where many of
//! the primary's fall into one slot, how many of them are beyond `t` says nothing.
//!
//! Times are known to the width of their histogram's slot. Each slot counts as whole on the side
//! that widens the interval: two significant digits cost up to 0.8 % at either leg.

use hdrhistogram::Histogram;

use super::bets::{Other, least_beyond, target};
use super::reason::Interval;

/// Parts of the level. What is left after both ends of the range and the shadow alone is for the
/// two legs together.
const RANGE: f64 = 0.1;
const ALONE: f64 = 0.1;
const TOGETHER: f64 = 1.0 - 2.0 * RANGE - ALONE;

/// One leg's times in slots, the longest first.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    slots: Vec<Slot>,
    count: f64,
}

/// Times that the histogram does not tell apart.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The value that the histogram gives for it.
    value: u64,
    /// The shortest that it may stand for.
    low: f64,
    /// The longest.
    high: f64,
    /// Times in slots above.
    above: f64,
    /// Times in this slot or above.
    reached: f64,
}

impl Ranks {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let mut slots: Vec<Slot> = histogram
            .iter_recorded()
            .map(|slot| {
                let value = slot.value_iterated_to();
                let high = histogram.highest_equivalent(value);
                Slot {
                    value: high.max(1),
                    // Nothing shorter than a microsecond is told apart.
                    low: histogram.lowest_equivalent(value).max(1) as f64,
                    // The last slot also holds what was beyond it.
                    high: if high >= histogram.high() { f64::INFINITY } else { high.max(1) as f64 },
                    above: 0.0,
                    reached: slot.count_at_value() as f64,
                }
            })
            .collect();
        slots.reverse();
        let mut above = 0.0;
        for slot in &mut slots {
            slot.above = above;
            slot.reached += above;
            above = slot.reached;
        }
        Self { slots, count: above }
    }

    /// How many times there are.
    pub(super) fn count(&self) -> u64 {
        self.count as u64
    }

    /// The value that this share of the times is not above; `None` where there are none.
    pub(super) fn quantile(&self, quantile: f64) -> Option<u64> {
        // The histogram's own way adds counts up in integers, which may not hold their sum.
        let rank = self.count - (quantile * self.count).ceil().max(1.0) + 1.0;
        self.at(rank.min(self.count)).map(|slot| slot.value)
    }

    /// The slot of the `rank`-th longest time, counted from 1.
    fn at(&self, rank: f64) -> Option<&Slot> {
        self.slots.get(self.slots.partition_point(|slot| slot.reached < rank))
    }
}

/// Where the ratio of the shadow's to the primary's quantile surely lies: above `low` but for
/// `false_fail`, below `high` but for `false_pass`. Where there are no times, everything is possible.
pub(super) fn interval(
    primary: &Ranks,
    shadow: &Ranks,
    quantile: f64,
    false_fail: f64,
    false_pass: f64,
) -> Interval {
    Interval {
        low: low(primary, shadow, quantile, false_fail).unwrap_or(0.0),
        high: high(primary, shadow, quantile, false_pass).unwrap_or(f64::INFINITY),
    }
}

/// `None` where nothing above 0 can be said.
fn low(primary: &Ranks, shadow: &Ranks, quantile: f64, level: f64) -> Option<f64> {
    let beyond = 1.0 - quantile;
    let range = Range::of(primary, beyond, level * RANGE);
    let enough = Enough::of(shadow, beyond, level);
    // Beyond the longest time seen, the quantile could be anything.
    range.too_few?;
    let mut low: Option<f64> = None;
    for slot in range.slots(primary) {
        let other = Other { count: primary.count, beyond: slot.reached };
        let ratio = shadow.at(enough.with(other)?)?.low / slot.high;
        low = Some(low.map_or(ratio, |low| low.min(ratio)));
    }
    low
}

/// `None` where no ratio is too large.
fn high(primary: &Ranks, shadow: &Ranks, quantile: f64, level: f64) -> Option<f64> {
    let beyond = 1.0 - quantile;
    let range = Range::of(primary, beyond, level * RANGE);
    let enough = Enough::of(shadow, quantile, level);
    // Short of the shortest time seen, the quantile could be next to nothing.
    range.too_many?;
    let mut high: Option<f64> = None;
    for slot in range.slots(primary) {
        let other = Other { count: primary.count, beyond: primary.count - slot.above };
        let ratio = shadow.at(shadow.count - enough.with(other)? + 1.0)?.high / slot.low;
        high = Some(high.map_or(ratio, |high| high.max(ratio)));
    }
    high
}

/// How many of the shadow's times on one side of a threshold refute that it is the quantile.
#[derive(Clone, Copy, Debug)]
struct Enough {
    count: f64,
    share: f64,
    target: f64,
    alone: Option<f64>,
}

impl Enough {
    fn of(shadow: &Ranks, share: f64, level: f64) -> Self {
        let alone = least_beyond(shadow.count, share, None, target(level * ALONE));
        Self { count: shadow.count, share, target: target(level * TOGETHER), alone }
    }

    /// Given the primary's times on that side.
    fn with(self, primary: Other) -> Option<f64> {
        let together = least_beyond(self.count, self.share, Some(primary), self.target);
        let enough = together.into_iter().chain(self.alone).reduce(f64::min)?;
        Some(enough.max(1.0))
    }
}

/// Which of the primary's times may be its quantile.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// No quantile has so few times at or beyond it.
    too_few: Option<f64>,
    /// None has so many beyond it.
    too_many: Option<f64>,
}

impl Range {
    fn of(ranks: &Ranks, beyond: f64, level: f64) -> Self {
        let target = target(level);
        let within = least_beyond(ranks.count, 1.0 - beyond, None, target);
        Self {
            too_few: within.map(|within| ranks.count - within),
            too_many: least_beyond(ranks.count, beyond, None, target),
        }
    }

    /// The slots that the quantile may lie in. Between two of them, the nearer bounds of both
    /// cover it.
    fn slots(self, ranks: &Ranks) -> impl Iterator<Item = &Slot> {
        ranks
            .slots
            .iter()
            .skip_while(move |slot| self.too_few.is_some_and(|few| slot.reached <= few))
            .take_while(move |slot| self.too_many.is_none_or(|many| slot.above < many))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times `1..=count` thousand microseconds, stretched.
    fn even(count: u64, stretch: f64) -> Ranks {
        let mut times = Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap();
        for time in 1..=count {
            times.record((time as f64 * 1_000.0 * stretch) as u64).unwrap();
        }
        Ranks::of(&times)
    }

    #[test]
    fn the_interval_closes_in_on_the_true_ratio() {
        let mut width = f64::INFINITY;
        for count in [2_000, 20_000, 200_000] {
            let Interval { low, high } =
                interval(&even(count, 1.0), &even(count, 1.5), 0.9, 0.01, 0.05);
            assert!(low < 1.5 && 1.5 < high, "{count}: {low} {high}");
            assert!(high - low < width, "{count}: {low} {high}");
            width = high - low;
        }
        assert!(width < 0.05, "{width}");
    }

    #[test]
    fn a_quantile_is_the_histograms_own() {
        let mut times = Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap();
        for time in [3, 70, 900, 1_500, 1_501, 20_000, 333_333] {
            times.record(time).unwrap();
        }
        let ranks = Ranks::of(&times);
        for quantile in [0.001, 0.1, 0.5, 0.6, 0.9, 0.999] {
            assert_eq!(ranks.quantile(quantile), Some(times.value_at_quantile(quantile)));
        }
        assert_eq!(Ranks::default().quantile(0.5), None);
    }

    #[test]
    fn two_digits_are_the_least_width() {
        let mut times = Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap();
        times.record_n(100_000, 1_000_000).unwrap();
        let times = Ranks::of(&times);
        let Interval { low, high } = interval(&times, &times, 0.5, 0.01, 0.05);
        assert!((0.992..1.0).contains(&low), "{low}");
        assert!((1.0001..1.008).contains(&high), "{high}");
    }

    #[test]
    fn few_times_leave_everything_possible() {
        let everything = Interval { low: 0.0, high: f64::INFINITY };
        let none = Ranks::default();
        assert_eq!(interval(&none, &none, 0.99, 0.01, 0.05), everything);
        assert_eq!(interval(&even(50, 1.0), &even(50, 3.0), 0.99, 0.01, 0.05), everything);
        assert_eq!(interval(&even(5_000, 1.0), &none, 0.99, 0.01, 0.05), everything);
        assert_eq!(interval(&none, &even(5_000, 1.0), 0.99, 0.01, 0.05), everything);
    }

    #[test]
    fn a_time_beyond_the_last_slot_is_as_long_as_can_be() {
        let times = |value| {
            let mut times = Histogram::<u64>::new_with_bounds(1, 1_000, 2).unwrap();
            times.saturating_record_n(value, 100_000);
            Ranks::of(&times)
        };
        let Interval { low, high } = interval(&times(100), &times(1_000_000), 0.5, 0.01, 0.05);
        assert!(low > 9.0, "{low}");
        assert_eq!(high, f64::INFINITY);
    }

    #[test]
    fn ten_times_as_many_on_the_primary_is_no_lean_but_a_help() {
        let alike = |primary: Ranks, stretch| {
            let shadow = even(20_000, stretch);
            let Interval { low, high } = interval(&primary, &shadow, 0.9, 0.01, 0.05);
            assert!(low < 1.0 && 1.0 < high, "{low} {high}");
            high - low
        };
        assert!(alike(even(200_000, 1.0), 10.0) < 0.9 * alike(even(20_000, 1.0), 1.0));
    }
}
