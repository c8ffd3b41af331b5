//! May we go on? [`Evidence`] and a [`Policy`] become a [`Ruling`]: an answer with its reasons.
//!
//! Owns the statistics of the verdict. Pure: reads no clock and keeps nothing between calls. It
//! looks at everything counted since the run began, each time anew, and refuses to judge by what
//! was not seen: losses, exchanges without their other leg and missing endpoints keep from a pass.
//!
//! # What it takes to fail and to pass
//!
//! Each value has a limit: it fails when it is surely beyond, passes when it is surely within, and
//! is inconclusive between; "no significant difference" is no pass. One fail fails. A pass needs
//! every value of the service and of the required endpoints to pass, their least pairs, and
//! accounts within bounds. Endpoints that are not required can only fail. A fail needs no least
//! number of pairs.
//!
//! # The statement that holds
//!
//! Ask as often as you like, at any moment, and stop whenever you like. If all values are within
//! their limits, the chance that any answer is ever *fail* is at most `alpha`. If any value of the
//! service or of a required endpoint is beyond its limit, the chance that any answer is ever
//! *pass* is at most `beta`.
//!
//! *Proof.* A gambler stakes `λ` on each pair's value `y` against "its mean is not above the limit
//! `m`": wealth is `Π (1 + λ (y - m))`, split over 24 fixed `λ`. Let `μ` be each value's expectation
//! given all before it, and divide each factor by its own expectation `1 + λ (μ - m)`: that is a
//! martingale. The divisors' product is at most `(1 + λ (mean of μ - m))^n` by the inequality of
//! means, thus at most 1 while the mean of `μ` is within the limit: then wealth is below the
//! martingale, which ever reaches `1 / α` with a chance of at most `α` (Ville). Source: see `bets`.
//!
//! What "value" means, and what is assumed:
//!
//! - **Divergence, errors**: the mean, over the pairs seen, of each pair's chance given everything
//!   before it. Nothing is assumed about dependence: neighbours may come in bursts and legs may err
//!   together. It speaks of the time seen, not of the time to come. For errors `y` is 1 where only
//!   the shadow erred, -1 where only the primary did, else 0: McNemar's discordant pairs, against
//!   a limit that need not be 0.
//! - **Latency**: let `t` be the primary's quantile and `s` the share at or beyond it. Two claims
//!   are bet against at once, for every `t` that the primary's times leave possible: a primary's
//!   time is at or beyond `t` with a chance of at least `s`, a shadow's is beyond `limit · t` with
//!   one of at most `s`. With `x` and `y` for how far these chances go beyond `s` in the claimed
//!   direction, a pair's factor has the expectation `(1 - λx)(1 - λy) - λ² cov`: at most 1 unless
//!   slow requests on one leg make fast ones on the other likelier. Legs that are alike at every
//!   moment keep it at or below 1 even where load moves both away from `s`; what waves of load can
//!   do is to misplace `t`, for which the mean over the time seen is assumed to be steady. Only the
//!   legs' histograms are known, not which times belong together: independence is not assumed, but
//!   what pairing could save is not had. Exchanges without an answer have no time; they count as
//!   errors.
//! - **Body size**: the middle one of all blocks. Given what came before, a block lies above it as
//!   often as below. Nothing is assumed of the sizes themselves.
//!
//! Times have two significant digits. Each histogram slot counts as whole on the side that widens
//! the interval, up to 0.8 % at either leg.
//!
//! # Looking at many things
//!
//! Half of `alpha` is the service's; the endpoint in place `i`, counted from 1, has the other half
//! over `i (i + 1)`, so that all parts are spent however many endpoints turn up. Each divides its
//! part evenly among its limits (Bonferroni). A pass needs all at once, so `beta` is not divided:
//! the one value that is beyond its limit alone keeps the chance below it.
//!
//! # What it costs in pairs
//!
//! Default limits, and the traffic of `tests/gate`: log-normal times with a factor of 0.35 that
//! both legs share and one of 0.15 of their own, one request in 200 five times as slow. Pairs after
//! which one look gives the answer in 50 % and 95 % of runs; asking all along gives it no later.
//! Beside it what a plain one-look test of the same level needs for 95 %, with its number of pairs
//! fixed beforehand; for latency, one that knows no more of the legs than this does.
//!
//! | answer | 50 % | 95 % | plain |
//! |---|---|---|---|
//! | fail: 1 % of pairs diverge (limit 0.1 %) | 550 | 1,500 | 650 |
//! | fail: 0.5 % more errors (limit 0.1 %), primary 0 % | 3,300 | 6,000 | 4,500 |
//! | the same, primary 0.1 % | 6,200 | 10,800 | 6,900 |
//! | the same, primary 2 %, legs erring on their own | 46,000 | 88,000 | 54,000 |
//! | fail: slowest 3 % are 20 % slower, p99 limit 10 % | 43,000 | 60,000 | 28,000 |
//! | pass: divergence alone, none seen | 6,200 | 6,200 | 3,000 |
//! | pass: p50 alone, identical legs | 1,000 | 1,600 | |
//! | pass: p99 alone, identical legs | 26,000 | 40,000 | 14,000 |
//! | pass: everything, identical legs, errors 0 % | 27,000 | 40,000 | |
//! | the same, errors 0.1 % on each leg | 32,000 | 52,000 | |
//! | the same, errors 2 % on each leg, on their own | 450,000 | over 800,000 | |
//!
//! Pairs for a quantile grow with the square of how spread out times are around it. Errors that hit
//! both legs of a pair cost nothing; errors of 2 % on each leg alone call for a wider limit.
//! A defect that begins late has all earlier pairs to outweigh: begin a new run with a release.

mod bets;
mod checks;
mod evidence;
mod policy;
mod ratio;
mod reason;

pub use evidence::{Accounts, EndpointSample, ErrorTable, Evidence, Latency, Sample, SizeBlock};
pub use policy::{LatencyLimit, Limits, Policy, Span};
pub use reason::{Account, Check, Decision, Interval, Missing, MorePairs, Reason, Ruling};

use checks::Checker;

/// The answer to "may we go on?" for what was seen so far.
///
/// Pure and repeatable: the same policy and evidence give the same ruling. It may be asked at any
/// moment and as often as one likes; see the [module](self) for what holds then.
#[must_use]
pub fn decide(policy: &Policy, evidence: &Evidence) -> Ruling {
    let mut reasons: Vec<Reason> = policy.faults().into_iter().map(checks::fault).collect();
    if reasons.is_empty() {
        reasons = judge(policy, evidence);
    }
    reasons.sort_by_key(|reason| reason.decision);
    let decision = reasons.first().map_or(Decision::Pass, |reason| reason.decision);
    Ruling { decision, reasons }
}

fn judge(policy: &Policy, evidence: &Evidence) -> Vec<Reason> {
    let mut reasons = checks::accounts(policy, &evidence.accounts);
    let service = Checker {
        endpoint: None,
        limits: &policy.service,
        required: true,
        pairs_min: policy.pairs_min,
        false_fail: policy.alpha / 2.0,
        false_pass: policy.beta,
        sample_rate: evidence.sample_rate,
    };
    service.check(&evidence.service, &mut reasons);
    let required = |endpoint: &str| policy.required_endpoints.iter().any(|r| **r == *endpoint);
    for (place, EndpointSample { endpoint, sample }) in evidence.endpoints.iter().enumerate() {
        let place = place as f64;
        let checker = Checker {
            endpoint: Some(endpoint),
            limits: &policy.endpoint,
            required: required(endpoint),
            pairs_min: policy.endpoint_pairs_min,
            // 1/2 + 1/6 + 1/12 + … = 1, however many endpoints there turn out to be.
            false_fail: policy.alpha / 2.0 / ((place + 1.0) * (place + 2.0)),
            ..service
        };
        checker.check(sample, &mut reasons);
    }
    let seen = |endpoint: &str| evidence.endpoints.iter().any(|seen| *seen.endpoint == *endpoint);
    let unseen = policy.required_endpoints.iter().filter(|endpoint| !seen(endpoint));
    reasons.extend(unseen.map(checks::unseen));
    reasons
}
