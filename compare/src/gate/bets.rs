//! Wealth of a gambler who bets against a claim: the one piece of statistics that the gate has.
//!
//! Someone claims "the mean is not above `m`". A gambler starts with 1 and stakes on each value
//! `y`: wealth is multiplied by `1 + λ (y - m)`, with a `λ ≥ 0` chosen beforehand and so small that
//! it never goes below nothing. If the claim is true, no stake gains in expectation, whatever the
//! values depend on: wealth is a non-negative supermartingale, and by Ville's inequality it ever
//! reaches `1 / α` with a chance of at most `α`. Wealth that did get there refutes the claim, at
//! whatever moment someone looks.
//!
//! The gambler splits the money over [`BETS`] values of `λ`, since the best one is not known: the
//! mean of supermartingales is one. All of it depends on counts alone, so nothing is kept between
//! looks. Everything is in logarithms and real numbers: counts may be of any size.
//!
//! Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
//! Journal of the Royal Statistical Society B 86 (2024), arXiv:2010.09686; Ville 1939.

/// Number of stakes among which the money is split.
const BETS: usize = 24;

/// The stakes, as shares of the one that could lose everything. Each is the one before divided by
/// 1.6: the best stake lies within a factor of the root of that of one of them, where growth is at
/// least 93 % of the best; the smallest is 2 in 100,000.
const STAKES: [f64; BETS] = {
    let mut stakes = [0.98; BETS];
    let mut at = 1;
    while at < BETS {
        stakes[at] = stakes[at - 1] / 1.6;
        at += 1;
    }
    stakes
};

/// `ln(1 / level)`: the wealth, as logarithm, that refutes at `level`.
pub(super) fn target(level: f64) -> f64 {
    -level.ln()
}

/// Logarithm of the sum of exponentials of `terms`.
fn ln_sum_exp(terms: &[f64; BETS]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_infinite() {
        return top;
    }
    top + terms.iter().map(|term| (term - top).exp()).sum::<f64>().ln()
}

/// `count` stakes that each multiply wealth by `factor`, as logarithm.
fn times(count: f64, factor: f64) -> f64 {
    // Nothing lost, even where the factor is nothing.
    if count == 0.0 { 0.0 } else { count * factor.ln() }
}

/// How often a value was seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tally {
    /// Of values 0 and 1.
    Share { ones: f64, zeros: f64 },
    /// Of values -1, 0 and 1.
    Balance { plus: f64, zeros: f64, minus: f64 },
}

impl Tally {
    /// The least value there can be.
    fn floor(self) -> f64 {
        match self {
            Self::Share { .. } => 0.0,
            Self::Balance { .. } => -1.0,
        }
    }

    /// Values counted.
    pub(super) fn count(self) -> f64 {
        match self {
            Self::Share { ones, zeros } => ones + zeros,
            Self::Balance { plus, zeros, minus } => plus + zeros + minus,
        }
    }

    /// The mean of the values; `None` where there are none.
    pub(super) fn mean(self) -> Option<f64> {
        let count = self.count();
        let sum = match self {
            Self::Share { ones, .. } => ones,
            Self::Balance { plus, minus, .. } => plus - minus,
        };
        (count > 0.0).then(|| sum / count)
    }

    /// With one zero more.
    pub(super) fn with_one_zero(self) -> Self {
        match self {
            Self::Share { ones, zeros } => Self::Share { ones, zeros: zeros + 1.0 },
            Self::Balance { plus, zeros, minus } => {
                Self::Balance { plus, zeros: zeros + 1.0, minus }
            }
        }
    }

    /// `times` as many of each.
    fn scaled(self, times: f64) -> Self {
        match self {
            Self::Share { ones, zeros } => Self::Share { ones: ones * times, zeros: zeros * times },
            Self::Balance { plus, zeros, minus } => {
                Self::Balance { plus: plus * times, zeros: zeros * times, minus: minus * times }
            }
        }
    }

    /// The same values seen from above, so that "not below" becomes "not above".
    fn flipped(self) -> Self {
        match self {
            Self::Share { ones, zeros } => Self::Share { ones: zeros, zeros: ones },
            Self::Balance { plus, zeros, minus } => {
                Self::Balance { plus: minus, zeros, minus: plus }
            }
        }
    }

    fn flipped_mean(self, mean: f64) -> f64 {
        match self {
            Self::Share { .. } => 1.0 - mean,
            Self::Balance { .. } => -mean,
        }
    }

    /// Wealth, as logarithm, of who bet against "the mean is not above `mean`". It falls as `mean`
    /// rises.
    pub(super) fn against_not_above(self, mean: f64) -> f64 {
        let (plus, zeros, minus) = match self {
            Self::Share { ones, zeros } => (ones, zeros, 0.0),
            Self::Balance { plus, zeros, minus } => (plus, zeros, minus),
        };
        let room = mean - self.floor();
        if room <= 0.0 {
            // Then all values are the floor: one that is not refutes it outright.
            let above = if self.floor() < 0.0 { plus + zeros } else { plus };
            return if above > 0.0 { f64::INFINITY } else { 0.0 };
        }
        let wealth = STAKES.map(|stake| {
            let bet = stake / room;
            times(plus, 1.0 + bet * (1.0 - mean))
                + times(zeros, 1.0 - bet * mean)
                + times(minus, 1.0 - bet * (1.0 + mean))
        });
        ln_sum_exp(&wealth) - (BETS as f64).ln()
    }

    /// Wealth, as logarithm, of who bet against "the mean is not below `mean`". It rises as `mean`
    /// rises.
    pub(super) fn against_not_below(self, mean: f64) -> f64 {
        self.flipped().against_not_above(self.flipped_mean(mean))
    }

    /// The largest mean such that "not above it" is refuted at wealth `target`.
    pub(super) fn low(self, target: f64) -> f64 {
        let Some(mean) = self.mean() else { return self.floor() };
        let (mut refuted, mut held) = (self.floor(), mean);
        for _ in 0..40 {
            let middle = f64::midpoint(refuted, held);
            if self.against_not_above(middle) >= target {
                refuted = middle;
            } else {
                held = middle;
            }
        }
        refuted
    }

    /// The smallest mean such that "not below it" is refuted at wealth `target`.
    pub(super) fn high(self, target: f64) -> f64 {
        let flipped = self.flipped();
        self.flipped_mean(flipped.low(target))
    }

    /// How many times as many values it takes until `wealth` of them reaches `target`, if they
    /// stay as they are; `None` where a million times as many do not.
    pub(super) fn times_until(self, target: f64, wealth: impl Fn(Self) -> f64) -> Option<f64> {
        let (mut short, mut enough) = (1.0, 2.0);
        while wealth(self.scaled(enough)) < target {
            (short, enough) = (enough, enough * 2.0);
            if enough > 1_048_576.0 {
                return None;
            }
        }
        for _ in 0..6 {
            let middle = f64::midpoint(short, enough);
            if wealth(self.scaled(middle)) < target {
                short = middle;
            } else {
                enough = middle;
            }
        }
        Some(enough)
    }
}

/// What another leg showed at the same threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Other {
    /// Its values.
    pub count: f64,
    /// Those of them that are beyond the threshold.
    pub beyond: f64,
}

/// The least number of `count` values that must be beyond a threshold to refute "no more than
/// `share` of them are expected there", at wealth `target`; `None` where not even all would do.
///
/// With `other`, the gambler also bets that the other leg has less than `share` there, which is
/// claimed to be its share at least: each of the two counts as far as it goes.
pub(super) fn least_beyond(
    count: f64,
    share: f64,
    other: Option<Other>,
    target: f64,
) -> Option<f64> {
    let (keenness, weight) = other.map_or((1.0, 1.0), |other| keenness(count, other.count));
    let limit = match other {
        Some(_) => (1.0 / share).min(1.0 / (keenness * (1.0 - share))),
        None => 1.0 / share,
    };
    // Wealth of each stake, as logarithm, is a line over the number of values beyond.
    let lines = STAKES.map(|stake| {
        let bet = stake * limit;
        let (gain, loss) = ((bet * (1.0 - share)).ln_1p(), (-bet * share).ln_1p());
        let others = other.map_or(0.0, |other| {
            let bet = bet * keenness;
            times(other.beyond, 1.0 - bet * (1.0 - share))
                + times((other.count - other.beyond).max(0.0), 1.0 + bet * share)
        });
        Line { at_zero: times_ln(count, loss) + others, slope: gain - loss }
    });
    let target = target + (BETS as f64).ln() - f64::ln(weight);
    let least = crossing(&lines, target, count)?;
    Some(least.ceil())
}

fn times_ln(count: f64, ln_factor: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * ln_factor }
}

/// How much of a stake on one leg's value goes on each of the other's, and the share of the money
/// that was put on this from the start. Half of it is on legs of equal counts; where the other leg
/// has several times as many values, each of them should weigh as much less.
fn keenness(count: f64, other: f64) -> (f64, f64) {
    let doublings = (count.max(1.0) / other.max(1.0)).log2().round().clamp(-9.0, 3.0);
    if doublings == 0.0 { (1.0, 0.5) } else { (doublings.exp2(), 0.5 / 12.0) }
}

/// The logarithm of one stake's wealth over a count.
#[derive(Clone, Copy, Debug)]
struct Line {
    at_zero: f64,
    slope: f64,
}

/// The least `x` from 0 to `end` where the sum of the lines' exponentials has logarithm `target`.
fn crossing(lines: &[Line; BETS], target: f64, end: f64) -> Option<f64> {
    let at = |x: f64| ln_sum_exp(&lines.map(|line| line.at_zero + line.slope * x));
    if at(0.0) >= target {
        return Some(0.0);
    }
    // Each line alone crosses later than all together.
    let alone = lines.iter().map(|line| (target - line.at_zero) / line.slope);
    let mut x = alone.fold(f64::INFINITY, f64::min);
    // Convex and rising, and `x` is at or above the crossing: Newton's steps come down to it from
    // above, so that wherever they end is on the safe side.
    for _ in 0..12 {
        let wealth = at(x);
        let slope: f64 = lines
            .iter()
            .map(|line| line.slope * (line.at_zero + line.slope * x - wealth).exp())
            .sum();
        let step = (wealth - target) / slope;
        if !(step > 1e-6 * x && step.is_finite()) {
            break;
        }
        x -= step;
    }
    (x <= end).then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stake_gains_where_the_claim_holds_exactly() {
        // One value drawn: the expected wealth at the claimed mean is the stake itself.
        for mean in [0.001_f64, 0.3, 0.9] {
            let one = Tally::Share { ones: 1.0, zeros: 0.0 }.against_not_above(mean).exp();
            let zero = Tally::Share { ones: 0.0, zeros: 1.0 }.against_not_above(mean).exp();
            let expected = mean * one + (1.0 - mean) * zero;
            assert!((expected - 1.0).abs() < 1e-9, "{mean}: {expected}");
        }
        // Chances 0.25 of +1 and 0.24 of -1: mean 0.01.
        let at = |plus, zeros, minus| {
            Tally::Balance { plus, zeros, minus }.against_not_above(0.01).exp()
        };
        let expected =
            0.25 * at(1.0, 0.0, 0.0) + 0.51 * at(0.0, 1.0, 0.0) + 0.24 * at(0.0, 0.0, 1.0);
        assert!((expected - 1.0).abs() < 1e-9, "{expected}");
    }

    #[test]
    fn two_legs_that_are_alike_refute_with_less_chance_than_the_level() {
        // Chances of 0, 1, 2, … out of 60 with a chance of 0.25 each.
        let mut chances = vec![0.75_f64.powi(60)];
        for k in 0..60 {
            chances.push(chances[k] * (60 - k) as f64 / (k + 1) as f64 / 3.0);
        }
        let refuting = |beyond: usize| {
            let other = Other { count: 60.0, beyond: beyond as f64 };
            let least = least_beyond(60.0, 0.25, Some(other), target(0.05));
            least.map_or(0.0, |least| chances[least as usize..].iter().sum())
        };
        let chance: f64 = (0..=60).map(|beyond| chances[beyond] * refuting(beyond)).sum();
        assert!(chance > 0.0 && chance <= 0.05, "{chance}");
    }

    #[test]
    fn the_interval_is_where_wealth_reaches_its_target() {
        let tally = Tally::Share { ones: 30.0, zeros: 970.0 };
        let target = target(0.05);
        let (low, high) = (tally.low(target), tally.high(target));
        assert!(low < 0.03 && 0.03 < high, "{low} {high}");
        assert!(tally.against_not_above(low) >= target);
        assert!(tally.against_not_above(low * 1.001) < target);
        assert!(tally.against_not_below(high) >= target);
        assert!(tally.against_not_below(high * 0.999) < target);
    }

    #[test]
    fn the_least_count_is_the_first_that_refutes() {
        let target = target(0.01);
        let least = least_beyond(5_000.0, 0.01, None, target).unwrap();
        let at = |ones: f64| Tally::Share { ones, zeros: 5_000.0 - ones }.against_not_above(0.01);
        assert!(at(least) >= target, "{least}");
        assert!(at(least - 1.0) < target, "{least}");
    }

    #[test]
    fn more_on_the_other_leg_asks_for_more_here() {
        let least = |beyond, count| {
            least_beyond(10_000.0, 0.01, Some(Other { count, beyond }), target(0.01)).unwrap()
        };
        assert!(least(80.0, 10_000.0) < least(100.0, 10_000.0));
        assert!(least(100.0, 10_000.0) < least(120.0, 10_000.0));
        // Ten times as many values there say more about where the threshold lies.
        assert!(least(1_000.0, 100_000.0) < least(100.0, 10_000.0));
    }
}
