//! What the gate promises, over many seeded runs.
//!
//! The numbers of pairs are those in the module's documentation. Asking takes far longer than
//! drawing pairs, so where only a fail matters, looks that cannot fail are left out: a fail needs
//! a value found beyond its limit. That this is so is a test of its own.

use compare::gate::{Decision, ErrorTable, Limits, Policy, decide};

use crate::traffic::{Defect, Errors, Events, LOOK, Latencies, Pool, alike};

const RUNS: u64 = 2_000;

/// Pairs at which identical legs pass, and at which each defect is found: see the module's table.
const DIVERGENCE_PAIRS: u64 = 1_600;
const ERROR_PAIRS: [(f64, u64); 3] = [(0.0, 6_000), (0.001, 12_000), (0.02, 100_000)];
const TAIL_PAIRS: u64 = 60_000;
const PASS_PAIRS: [(f64, u64); 2] = [(0.0, 40_000), (0.001, 40_000)];

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

fn fails(policy: &Policy, evidence: &compare::gate::Evidence) -> bool {
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

#[test]
fn a_rate_at_its_very_limit_seldom_fails_where_plain_intervals_often_do() {
    let divergence_rate = Some(0.001);
    let service = Limits { divergence_rate, ..Limits::default() };
    let policy = Policy { service, pairs_min: 0, ..Policy::default() };
    let (runs, pairs) = (1_000, 20_000);
    let (mut failed, mut plainly) = (0, 0);
    for seed in 0..runs {
        let mut divergences = Events::new(0.001, seed);
        let mut diverged = 0;
        let (mut fail, mut plain) = (false, false);
        for look in 1..=pairs / LOOK {
            let compared = look * LOOK;
            diverged += divergences.until(compared);
            let expected = 0.001 * compared as f64;
            if fail || diverged as f64 <= expected + 1.5 * expected.sqrt() {
                continue;
            }
            let mut evidence = alike(compared);
            evidence.service.diverged = diverged;
            let ruling = decide(&policy, &evidence);
            fail |= ruling.decision == Decision::Fail;
            plain |= ruling.reasons[0].plain.unwrap().low > 0.001;
        }
        failed += u32::from(fail);
        plainly += u32::from(plain);
    }
    assert!(f64::from(failed) <= policy.alpha * runs as f64, "{failed} of {runs} fail");
    assert!(f64::from(plainly) > 2.0 * policy.alpha * runs as f64, "{plainly} of {runs} plainly");
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
