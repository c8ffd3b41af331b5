//! What the gate promises, over many seeded runs.
//!
//! The numbers of pairs are those in the module's documentation. Asking takes far longer than
//! drawing pairs, so where only a fail matters, looks that cannot fail are left out: a fail needs
//! a value found beyond its limit. That this is so is a test of its own.

use compare::gate::{
    Decision, EndpointSample, ErrorTable, Evidence, LatencyLimit, Limits, Policy, Sample, Span,
    decide,
};

use crate::traffic::{Defect, Errors, Events, LOOK, Latencies, Pool, alike};

const RUNS: u64 = 2_000;

/// Pairs with which each defect is found and identical legs pass, by the errors of the primary.
const DIVERGENCE_PAIRS: u64 = 1_700;
const ERROR_PAIRS: [(f64, u64); 3] = [(0.0, 7_500), (0.001, 12_500), (0.02, 100_000)];
const TAIL_PAIRS: u64 = 68_000;
const PASS_PAIRS: [(f64, u64); 2] = [(0.0, 44_000), (0.001, 56_000)];

/// Only errors are looked at, with the same part of the budget as by default.
fn errors_only() -> Policy {
    let service = Limits { error_increase: Some(0.001), ..Limits::default() };
    Policy { service, alpha: Policy::default().alpha / 5.0, ..Policy::default() }
}

/// A fail for errors needs the shadow to have this many more.
fn may_fail(table: &ErrorTable, pairs: u64) -> bool {
    let (primary, shadow) = (table.primary_only as f64, table.shadow_only as f64);
    shadow - primary > 0.001 * pairs as f64 + 1.5 * (shadow + primary).sqrt()
}

fn fails(policy: &Policy, evidence: &Evidence) -> bool {
    decide(policy, evidence).decision == Decision::Fail
}

#[test]
fn identical_legs_seldom_fail_for_latency_however_often_one_asks() {
    let pool = Pool::new(Defect::default());
    let policy = Policy::default();
    let (mut failed, mut asked) = (0, 0);
    for seed in 0..RUNS {
        let mut latencies = Latencies::new(&pool, seed);
        for look in 1..=TAIL_PAIRS / LOOK {
            latencies.run();
            if latencies.ratio(0.99) <= 1.1 && latencies.ratio(0.5) <= 1.1 {
                continue;
            }
            asked += 1;
            let mut evidence = alike(look * LOOK);
            [evidence.service.primary, evidence.service.shadow] = latencies.legs();
            if fails(&policy, &evidence) {
                failed += 1;
                break;
            }
        }
    }
    assert!(asked > 1_000, "{asked} looks that could have failed");
    assert!(failed as f64 <= policy.alpha * RUNS as f64, "{failed} of {RUNS} fail");
}

#[test]
fn identical_legs_seldom_fail_for_errors_however_often_one_asks() {
    let policy = errors_only();
    for (rate, pairs) in ERROR_PAIRS {
        let mut failed = 0;
        for seed in 0..RUNS {
            let mut errors = Errors::new(rate, rate, seed);
            for look in 1..=pairs / LOOK {
                errors.run(look * LOOK);
                if !may_fail(&errors.table, look * LOOK) {
                    continue;
                }
                let mut evidence = alike(look * LOOK);
                evidence.service.errors = errors.table;
                if fails(&policy, &evidence) {
                    failed += 1;
                    break;
                }
            }
        }
        assert!(failed as f64 <= 0.05 * RUNS as f64, "{rate}: {failed} of {RUNS} fail");
    }
}

/// How often a run came to each answer at any look.
#[derive(Debug, Default)]
struct Ever {
    failed: f64,
    passed: f64,
    /// Where the plain interval would have failed.
    plainly: f64,
}

impl Ever {
    /// Over `runs`, each a list of looks.
    fn of(policy: &Policy, runs: u64, looks: impl Fn(u64) -> Vec<Evidence>) -> Self {
        let mut ever = Self::default();
        for run in 0..runs {
            let (mut failed, mut passed, mut plainly) = (false, false, false);
            for evidence in looks(run) {
                let ruling = decide(policy, &evidence);
                failed |= ruling.decision == Decision::Fail;
                passed |= ruling.decision == Decision::Pass;
                let reason = &ruling.reasons[0];
                plainly |= reason.plain.is_some_and(|plain| plain.low > reason.limit);
            }
            let share = |ever| f64::from(u32::from(ever)) / runs as f64;
            ever.failed += share(failed);
            ever.passed += share(passed);
            ever.plainly += share(plainly);
        }
        ever
    }

    fn within(&self, policy: &Policy) -> bool {
        self.failed <= policy.alpha && self.passed <= policy.beta
    }
}

#[test]
fn divergence_at_its_very_limit_is_seldom_told_where_plain_intervals_often_do() {
    let service = Limits { divergence_rate: Some(0.001), ..Limits::default() };
    let policy = Policy { service, pairs_min: 0, ..Policy::default() };
    let ever = Ever::of(&policy, 500, |seed| {
        let mut divergences = Events::new(0.001, seed);
        let mut diverged = 0;
        let mut looks = Vec::new();
        for compared in (1..=200).map(|look| look * LOOK) {
            diverged += divergences.until(compared);
            let expected = 0.001 * compared as f64;
            if (diverged as f64 - expected).abs() > 1.5 * expected.sqrt() {
                let mut evidence = alike(compared);
                evidence.service.diverged = diverged;
                looks.push(evidence);
            }
        }
        looks
    });
    assert!(ever.within(&policy), "{ever:?}");
    assert!(ever.plainly > 2.0 * policy.alpha, "{ever:?}");
}

#[test]
fn errors_at_their_very_limit_are_seldom_told_where_plain_intervals_often_do() {
    let service = Limits { error_increase: Some(0.0), ..Limits::default() };
    let policy = Policy { service, pairs_min: 0, ..Policy::default() };
    let ever = Ever::of(&policy, 500, |seed| {
        let mut errors = Errors::new(0.02, 0.02, seed);
        let mut looks = Vec::new();
        for pairs in (1..=100).map(|look| look * LOOK) {
            errors.run(pairs);
            let table = errors.table;
            let (primary, shadow) = (table.primary_only as f64, table.shadow_only as f64);
            if (shadow - primary).abs() > 1.5 * (shadow + primary).sqrt() {
                let mut evidence = alike(pairs);
                evidence.service.errors = table;
                looks.push(evidence);
            }
        }
        looks
    });
    assert!(ever.within(&policy), "{ever:?}");
    assert!(ever.plainly > 2.0 * policy.alpha, "{ever:?}");
}

#[test]
fn latency_at_its_very_limit_is_seldom_told_even_in_waves_of_load() {
    let pool = Pool::new(Defect::default());
    for (quantile, wave) in [(0.5, 0), (0.5, 30), (0.9, 0), (0.9, 30)] {
        let latency = vec![LatencyLimit { span: Span::Total, quantile, ratio: 1.0 }];
        let service = Limits { latency, ..Limits::default() };
        let policy = Policy { service, pairs_min: 0, ..Policy::default() };
        let ever = Ever::of(&policy, 60, |seed| {
            let mut latencies = Latencies::in_waves(&pool, seed, wave);
            let look = |look: u64| {
                (0..5).for_each(|_| latencies.run());
                let mut evidence = alike(5 * look * LOOK);
                [evidence.service.primary, evidence.service.shadow] = latencies.legs();
                evidence
            };
            (1..=20).map(look).collect()
        });
        assert!(ever.within(&policy), "p{quantile}, waves of {wave}: {ever:?}");
    }
}

#[test]
fn many_endpoints_at_their_limit_seldom_fail_together() {
    let limits = Limits { divergence_rate: Some(0.01), ..Limits::default() };
    let policy = Policy { endpoint: limits, service: Limits::default(), ..Policy::default() };
    let (runs, pairs, endpoints) = (200, 2_000, 100);
    let mut failed = 0;
    for seed in 0..runs {
        let mut evidence = alike(0);
        let mut divergences = Vec::new();
        for endpoint in 0..endpoints {
            divergences.push(Events::new(0.01, seed << 32 | endpoint));
            let endpoint = format!("GET /{endpoint}").into();
            evidence.endpoints.push(EndpointSample { endpoint, sample: Sample::default() });
        }
        failed += u32::from((1..=pairs / LOOK).any(|look| {
            for (endpoint, events) in evidence.endpoints.iter_mut().zip(&mut divergences) {
                endpoint.sample.compared = look * LOOK;
                endpoint.sample.diverged += events.until(look * LOOK);
            }
            fails(&policy, &evidence)
        }));
    }
    assert!(f64::from(failed) <= policy.alpha * runs as f64, "{failed} of {runs} fail");
}

#[test]
fn a_fail_needs_a_value_found_beyond_its_limit() {
    let policy = errors_only();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut failed = 0;
    for _ in 0..2_000 {
        let pairs = 100 * 10_u64.pow(rng.u32(0..4));
        let most = pairs.ilog2().pow(2).into();
        let (primary_only, shadow_only) = (rng.u64(0..most / 2), rng.u64(0..most));
        let neither = pairs.saturating_sub(primary_only + shadow_only);
        let mut evidence = alike(pairs);
        let table = ErrorTable { primary_only, shadow_only, neither, both: 0 };
        evidence.service.errors = table;
        if fails(&policy, &evidence) {
            failed += 1;
            assert!(may_fail(&table, primary_only + shadow_only + neither), "{table:?}");
        }
    }
    assert!(failed > 100, "{failed} fail");
}

#[test]
fn a_divergence_of_one_percent_is_found() {
    let policy = Policy::default();
    let caught = (0..400).filter(|&seed| {
        let mut evidence = alike(DIVERGENCE_PAIRS);
        evidence.service.diverged = Events::new(0.01, seed).until(DIVERGENCE_PAIRS);
        fails(&policy, &evidence)
    });
    let caught = caught.count();
    assert!(caught >= 380, "{caught} of 400");
}

#[test]
fn half_a_percent_more_errors_are_found() {
    for (rate, pairs) in ERROR_PAIRS {
        let caught = (0..400).filter(|&seed| {
            let mut errors = Errors::new(rate, rate + 0.005, seed);
            errors.run(pairs);
            let mut evidence = alike(pairs);
            evidence.service.errors = errors.table;
            fails(&Policy::default(), &evidence)
        });
        let caught = caught.count();
        assert!(caught >= 380, "{rate}: {caught} of 400");
    }
}

#[test]
fn a_tail_a_fifth_slower_is_found() {
    let pool = Pool::new(Defect { slow_tail: true });
    assert!((1.19..1.21).contains(&pool.ratio(0.99)), "{}", pool.ratio(0.99));
    assert_eq!(pool.ratio(0.5), 1.0);
    let caught = (0..200).filter(|&seed| {
        let mut latencies = Latencies::new(&pool, seed);
        (0..TAIL_PAIRS / LOOK).for_each(|_| latencies.run());
        let mut evidence = alike(TAIL_PAIRS);
        [evidence.service.primary, evidence.service.shadow] = latencies.legs();
        fails(&Policy::default(), &evidence)
    });
    let caught = caught.count();
    assert!(caught >= 190, "{caught} of 200");
}

#[test]
fn identical_legs_pass() {
    let pool = Pool::new(Defect::default());
    for (rate, pairs) in PASS_PAIRS {
        let passed = (0..200).filter(|&seed| {
            let mut latencies = Latencies::new(&pool, seed);
            (0..pairs / LOOK).for_each(|_| latencies.run());
            let mut errors = Errors::new(rate, rate, seed);
            errors.run(pairs);
            let mut evidence = alike(pairs);
            [evidence.service.primary, evidence.service.shadow] = latencies.legs();
            evidence.service.errors = errors.table;
            decide(&Policy::default(), &evidence).decision == Decision::Pass
        });
        let passed = passed.count();
        assert!(passed >= 190, "{rate}: {passed} of 200");
    }
}
