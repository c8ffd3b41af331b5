//! Each thing looked at, held against its limit.

use std::sync::Arc;

use hdrhistogram::Histogram;

use super::bets::{Tally, least_beyond, target};
use super::ratio::{self, Ranks};
use super::reason::{Account, Check, Decision, Interval, Missing, MorePairs, Reason};
use super::{Accounts, ErrorTable, LatencyLimit, Limits, Policy, Sample, SizeBlock, Span};

/// 97.5 % of a normal distribution lie below it.
const Z_95: f64 = 1.959_963_984_540_054;

/// Two slots of two significant digits: nearer to its limit than this, a ratio cannot be told.
const RESOLUTION: f64 = 2.0 / 128.0;

/// Blocks up to which the least number is sought that can tell: enough for any level there is.
const BLOCKS_TRIED: u32 = 2_000;

/// A fault of the policy.
pub(super) fn fault((name, meant): (String, &'static str)) -> Reason {
    Reason::new(Check::Policy { name, meant }, None, Decision::Inconclusive, 0.0)
}

/// A required endpoint of which there is nothing.
pub(super) fn unseen(endpoint: &Arc<str>) -> Reason {
    Reason::new(Check::EndpointNotSeen, Some(endpoint), Decision::Inconclusive, 1.0)
}

/// The accounts that are beyond their bounds.
pub(super) fn accounts(policy: &Policy, accounts: &Accounts) -> Vec<Reason> {
    let Accounts { packets, packets_lost, primary_seen, shadow_seen, .. } = *accounts;
    let Accounts { unmirrored, primary_missing, shed, incomparable, pairs, .. } = *accounts;
    let seen = primary_seen.saturating_add(shadow_seen);
    [
        (Account::CaptureLoss, packets_lost, packets.saturating_add(packets_lost), policy.loss_max),
        (Account::Incomparable, incomparable, pairs, policy.incomparable_max),
        (Account::Unmirrored, unmirrored, primary_seen, policy.unmirrored_max),
        (Account::PrimaryMissing, primary_missing, shadow_seen, policy.primary_missing_max),
        (Account::Shed, shed, seen, policy.shed_max),
    ]
    .into_iter()
    .filter_map(|(account, count, of, limit)| {
        // More than there were is no account: taken for all of them.
        let share = if count == 0 { 0.0 } else { (count as f64 / of as f64).min(1.0) };
        (share > limit).then(|| {
            let check = Check::Account { account, count, of };
            let reason = Reason::new(check, None, Decision::Inconclusive, limit);
            Reason { estimate: Some(share), pairs, ..reason }
        })
    })
    .collect()
}

/// Holds one sample against its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checker<'a> {
    /// `None` for the service.
    pub endpoint: Option<&'a Arc<str>>,
    pub limits: &'a Limits,
    /// Whether a pass needs it; if not, only a fail is a reason.
    pub required: bool,
    pub pairs_min: u64,
    /// Chance that any of the checks fails wrongly.
    pub false_fail: f64,
    /// Chance that a check passes wrongly: a pass needs all of them, so each may have it whole.
    pub false_pass: f64,
    pub sample_rate: f64,
}

impl Checker<'_> {
    /// Appends what was found.
    pub(super) fn check(&self, sample: &Sample, reasons: &mut Vec<Reason>) {
        if self.required && sample.compared < self.pairs_min {
            let missing = Missing::Pairs(self.more((self.pairs_min - sample.compared) as f64));
            let limit = self.pairs_min as f64;
            let mut reason = self.reason(Check::FewPairs, Decision::Inconclusive, limit);
            reason.pairs = sample.compared;
            reason.missing = Some(missing);
            reasons.push(reason);
        }
        // A budget in equal parts, whatever there is to look at so far.
        let level = self.false_fail / self.limits.checks().max(1) as f64;
        if let Some(limit) = self.limits.divergence_rate {
            reasons.extend(self.divergence(sample, limit, level));
        }
        if let Some(limit) = self.limits.error_increase {
            reasons.extend(self.errors(&sample.errors, limit, level));
        }
        for limit in &self.limits.latency {
            reasons.extend(self.latency(sample, limit, level));
        }
        if let Some(limit) = self.limits.body_size_ratio {
            reasons.extend(self.body_size(sample, limit, level));
        }
    }

    fn divergence(&self, sample: &Sample, limit: f64, level: f64) -> Option<Reason> {
        let Sample { compared, diverged, acknowledged, .. } = *sample;
        let ones = diverged.min(compared) as f64;
        let tally = Tally::Share { ones, zeros: compared as f64 - ones };
        let check = Check::Divergence { diverged, acknowledged };
        let mut reason = self.rate(check, tally, limit, level)?;
        reason.pairs = compared;
        reason.plain = (compared > 0).then(|| wilson(ones, compared as f64));
        Some(reason)
    }

    fn errors(&self, table: &ErrorTable, limit: f64, level: f64) -> Option<Reason> {
        let ErrorTable { neither, primary_only, shadow_only, both } = *table;
        let (plus, minus) = (shadow_only as f64, primary_only as f64);
        let zeros = neither as f64 + both as f64;
        let tally = Tally::Balance { plus, zeros, minus };
        let check = Check::Errors { primary_only, shadow_only, both };
        let mut reason = self.rate(check, tally, limit, level)?;
        let alike = neither.saturating_add(both);
        reason.pairs = alike.saturating_add(primary_only).saturating_add(shadow_only);
        reason.plain = (reason.pairs > 0).then(|| agresti_min(plus, minus, plus + zeros + minus));
        Some(reason)
    }

    /// A mean of values that are counted, against a limit.
    fn rate(&self, check: Check, tally: Tally, limit: f64, level: f64) -> Option<Reason> {
        let (fail, pass) = (target(level), target(self.false_pass));
        let decision = if tally.against_not_above(limit) >= fail {
            Decision::Fail
        } else if tally.against_not_below(limit) >= pass {
            Decision::Pass
        } else {
            Decision::Inconclusive
        };
        if decision != Decision::Fail && !self.required {
            return None;
        }
        let mut reason = self.reason(check, decision, limit);
        reason.estimate = tally.mean();
        reason.interval = Some(Interval { low: tally.low(fail), high: tally.high(pass) });
        if decision == Decision::Inconclusive {
            reason.missing = Some(self.pairs_to_tell(tally, limit, fail, pass));
        }
        Some(reason)
    }

    fn pairs_to_tell(&self, tally: Tally, limit: f64, fail: f64, pass: f64) -> Missing {
        // Before the first pair, as if it were alike on both legs.
        let (tally, mean) = match tally.mean() {
            Some(mean) => (tally, mean),
            None => (tally.with_one_zero(), 0.0),
        };
        let times = if mean > limit {
            tally.times_until(fail, |tally| tally.against_not_above(limit))
        } else {
            tally.times_until(pass, |tally| tally.against_not_below(limit))
        };
        times.map_or(Missing::Nearness, |times| {
            Missing::Pairs(self.more(tally.count() * (times - 1.0)))
        })
    }

    fn latency(&self, sample: &Sample, limit: &LatencyLimit, level: f64) -> Option<Reason> {
        let LatencyLimit { span, quantile, ratio: limit } = *limit;
        let of = |first_byte, total| match span {
            Span::FirstByte => first_byte,
            Span::Total => total,
        };
        let (primary, shadow) = (&sample.primary, &sample.shadow);
        let primary = of(&primary.first_byte_us, &primary.total_us).as_ref();
        let shadow = of(&shadow.first_byte_us, &shadow.total_us).as_ref();
        let ranks = |times: Option<&Histogram<u64>>| times.map(Ranks::of).unwrap_or_default();
        let (primary, shadow) = (ranks(primary), ranks(shadow));
        let quantiles = primary.quantile(quantile).zip(shadow.quantile(quantile));
        let estimate = quantiles.map(|(primary, shadow)| shadow as f64 / primary as f64);
        // The interval holds the estimate: where that is within the limit, nothing fails.
        if !self.required && estimate.is_none_or(|estimate| estimate <= limit) {
            return None;
        }
        let interval = ratio::interval(&primary, &shadow, quantile, level, self.false_pass);
        let (primary_us, shadow_us) = quantiles.unwrap_or_default();
        let check = Check::Latency { span, quantile, primary_us, shadow_us };
        let mut reason = self.ratio(check, interval, limit)?;
        reason.estimate = estimate;
        reason.pairs = primary.count().min(shadow.count());
        if reason.decision == Decision::Inconclusive {
            let rare = quantile.min(1.0 - quantile);
            let least = target(level.min(self.false_pass) / 10.0) / rare;
            reason.missing = Some(self.times_to_tell(&reason, least));
        }
        Some(reason)
    }

    /// A ratio within an interval, against a limit.
    fn ratio(&self, check: Check, interval: Interval, limit: f64) -> Option<Reason> {
        let decision = if interval.low > limit {
            Decision::Fail
        } else if interval.high < limit {
            Decision::Pass
        } else {
            Decision::Inconclusive
        };
        if decision != Decision::Fail && !self.required {
            return None;
        }
        let mut reason = self.reason(check, decision, limit);
        reason.interval = Some(interval);
        Some(reason)
    }

    /// A bound comes nearer to its value with the root of the number of pairs, from the `least`
    /// with which there is one.
    fn times_to_tell(&self, reason: &Reason, least: f64) -> Missing {
        let pairs = reason.pairs as f64;
        let (Some(estimate), Some(interval)) = (reason.estimate, reason.interval) else {
            return Missing::PairsAtLeast(self.more(2.0 * least));
        };
        let distance = (reason.limit / estimate).ln().abs();
        if distance <= RESOLUTION {
            return Missing::Nearness;
        }
        let bound = if estimate > reason.limit { interval.low } else { interval.high };
        let width = (bound / estimate).ln().abs();
        if !width.is_finite() {
            return Missing::PairsAtLeast(self.more((2.0 * least - pairs).max(pairs)));
        }
        // At least a tenth more: the bound as it is does not tell.
        let more = pairs * ((width / distance).powi(2) - 1.0).max(0.1);
        if more > 1e12 { Missing::Nearness } else { Missing::Pairs(self.more(more)) }
    }

    fn body_size(&self, sample: &Sample, limit: f64, level: f64) -> Option<Reason> {
        let bytes = |of: fn(&SizeBlock) -> u64| {
            sample.sizes.iter().map(of).fold(0_u64, u64::saturating_add)
        };
        let primary_bytes = bytes(|block| block.primary_bytes);
        let shadow_bytes = bytes(|block| block.shadow_bytes);
        let mut ratios: Vec<f64> = sample
            .sizes
            .iter()
            .filter(|block| block.primary_bytes > 0 || block.shadow_bytes > 0)
            .map(|block| block.shadow_bytes as f64 / block.primary_bytes as f64)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let blocks = ratios.len();
        // Answers without bodies cost nothing more.
        let estimate = Some(*ratios.get(blocks.checked_sub(1)? / 2)?);
        // So many blocks on one side of a ratio: then it is not the middle.
        let rank = |level| {
            let rank = least_beyond(blocks as f64, 0.5, None, target(level))?;
            (rank as usize).checked_sub(1)
        };
        let low = rank(level).and_then(|rank| ratios.iter().rev().nth(rank)).copied();
        let high = rank(self.false_pass).and_then(|rank| ratios.get(rank)).copied();
        let interval = Interval { low: low.unwrap_or(0.0), high: high.unwrap_or(f64::INFINITY) };
        let check = Check::BodySize { blocks: blocks as u64, primary_bytes, shadow_bytes };
        let mut reason = self.ratio(check, interval, limit)?;
        reason.estimate = estimate;
        reason.pairs = sample.compared;
        if reason.decision == Decision::Inconclusive {
            let level = if estimate > Some(limit) { level } else { self.false_pass };
            let told =
                |&blocks: &u32| least_beyond(f64::from(blocks), 0.5, None, target(level)).is_some();
            let (least, blocks) = ((1..=BLOCKS_TRIED).find(told), blocks as u64);
            let more = least.map(u64::from).and_then(|least| least.checked_sub(blocks));
            reason.missing = Some(Missing::Blocks(more.unwrap_or(blocks).max(1)));
        }
        Some(reason)
    }

    fn reason(&self, check: Check, decision: Decision, limit: f64) -> Reason {
        Reason::new(check, self.endpoint, decision, limit)
    }

    /// So many pairs more.
    fn more(&self, pairs: f64) -> MorePairs {
        let rate = self.sample_rate;
        let known = rate > 0.0 && rate <= 1.0;
        MorePairs { pairs: two_digits(pairs), requests: known.then(|| two_digits(pairs / rate)) }
    }
}

/// Rounded up to two significant digits.
fn two_digits(count: f64) -> u64 {
    let count = count.max(1.0).ceil();
    let unit = 10_f64.powi((count.log10().floor() as i32 - 1).max(0));
    ((count / unit).ceil() * unit) as u64
}

/// Wilson's score interval for `ones` of `count`.
///
/// Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
fn wilson(ones: f64, count: f64) -> Interval {
    let share = ones / count;
    let square = Z_95 * Z_95;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let spread = (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    let half = Z_95 * spread / (1.0 + square / count);
    Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// Interval for a difference of paired shares: Wald's, with half a pair more in each field.
///
/// Source: Agresti and Min, "Simple improved confidence intervals for comparing matched
/// proportions", 2005.
fn agresti_min(plus: f64, minus: f64, count: f64) -> Interval {
    let (plus, minus, count) = (plus + 0.5, minus + 0.5, count + 2.0);
    let difference = (plus - minus) / count;
    let variance = (plus + minus - (plus - minus) * difference) / (count * count);
    let half = Z_95 * variance.max(0.0).sqrt();
    Interval { low: (difference - half).max(-1.0), high: (difference + half).min(1.0) }
}
