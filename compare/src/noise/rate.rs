//! How often something differs, and whether one rate is credibly above another.

/// Comparisons that a rate remembers, about: with the next, it forgets half.
pub(super) const SLOW: f32 = 4_096.0;

/// The same, of what has changed lately.
pub(super) const FAST: f32 = 128.0;

/// Differences in comparisons, as counts that forget.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) differed: f32,
    pub(super) of: f32,
    /// How many comparisons the endpoint had when this was brought up to date.
    counted: u64,
}

impl Rate {
    /// Nothing known, from the comparison after the first `counted` on.
    pub(super) fn from(counted: u64) -> Self {
        Self { counted, ..Self::default() }
    }

    /// As it was when it was last written down.
    pub(super) fn known(differed: f32, of: f32, counted: u64) -> Self {
        let sound = |count: f32| if count.is_finite() { count.clamp(0.0, SLOW) } else { 0.0 };
        let of = sound(of);
        Self { differed: sound(differed).min(of), of, counted }
    }

    /// Takes in the comparisons made since: `counted` is how many the endpoint has had by now.
    pub(super) fn catch_up(&mut self, counted: u64, span: f32) {
        self.of += counted.saturating_sub(self.counted) as f32;
        self.counted = counted;
        if self.of > span {
            self.differed *= 0.5 * span / self.of;
            self.of = 0.5 * span;
        }
    }

    /// Counts a difference in the comparison that was counted last.
    pub(super) fn note(&mut self, counted: u64, span: f32) {
        self.catch_up(counted, span);
        self.differed = (self.differed + 1.0).min(self.of.max(1.0));
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { differed: self.differed + other.differed, of: self.of + other.of, counted: 0 }
    }
}

/// By how many standard errors `one` is above `times` the other.
///
/// Huffman (1984), for the ratio of two Poisson rates, with Anscombe's correction: with
/// `r = times · n₁ / n₂`, `2 (√(d₁ + ⅜) − √((d₂ + ⅜) r)) / √(1 + r)` is nearly standard normal
/// where the ratio is `times`. For rates that are not small the true spread is smaller: it says
/// less than it could, never more.
pub(super) fn above(one: Rate, times: f32, other: Rate) -> f32 {
    if one.of <= 0.0 {
        return 0.0;
    }
    if other.of <= 0.0 {
        return f32::INFINITY;
    }
    let ratio = times * one.of / other.of;
    let expected = (other.differed + 0.375) * ratio;
    2.0 * ((one.differed + 0.375).sqrt() - expected.sqrt()) / (1.0 + ratio).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(differed: f32, of: f32) -> Rate {
        Rate::known(differed, of, 0)
    }

    #[test]
    fn a_rate_counts_what_was_compared_between_its_differences() {
        let mut rate = Rate::from(9);
        rate.note(10, SLOW);
        rate.note(14, SLOW);
        assert_eq!((rate.differed, rate.of), (2.0, 5.0));
        rate.catch_up(9 + 4_096, SLOW);
        assert_eq!((rate.differed, rate.of), (2.0, 4_096.0));
        rate.catch_up(9 + 8_192, SLOW);
        assert_eq!((rate.differed, rate.of), (0.5, 2_048.0));
    }

    #[test]
    fn one_rate_is_above_the_other_when_chance_does_not_explain_it() {
        assert!(above(rate(50.0, 100.0), 1.5, rate(48.0, 100.0)) < 0.0);
        assert!(above(rate(100.0, 100.0), 1.5, rate(3.0, 100.0)) > 4.0);
        assert!(above(rate(6.0, 100.0), 1.5, rate(3.0, 100.0)) < 2.0);
        assert_eq!(above(rate(1.0, 1.0), 1.5, rate(0.0, 0.0)), f32::INFINITY);
        assert_eq!(above(rate(0.0, 0.0), 1.5, rate(0.0, 0.0)), 0.0);
    }

    #[test]
    fn no_written_number_makes_a_rate_above_one() {
        for (differed, of) in [(9.0, 3.0), (f32::NAN, 3.0), (f32::INFINITY, f32::INFINITY)] {
            let rate = rate(differed, of);
            assert!(rate.differed <= rate.of && rate.of <= SLOW, "{rate:?}");
        }
    }
}
