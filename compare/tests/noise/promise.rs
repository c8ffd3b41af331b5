//! The promise, and that it is kept in the same way every time.

use compare::{Judged, NoiseCause, NoiseLayers, NoiseNews};

use crate::service::{Asked, Service};
use crate::trial::{compared, diffy, judge, run};

/// Pairs in which all that varies by itself is learned.
const LEARNING: usize = 2_000;

#[test]
fn after_the_warm_up_only_what_the_shadow_does_is_reported() {
    for seed in 1..=3 {
        let told = run(seed, 5_000, LEARNING, false);
        assert_eq!(told.late, [], "seed {seed}");
        assert!(told.faults > 100 && told.missed.is_empty(), "seed {seed}: {told:?}");
        assert_eq!(told.found, told.faults);
    }
}

#[test]
fn with_a_second_copy_it_takes_fewer_pairs() {
    for seed in 4..=6 {
        let (alone, copied) = (run(seed, 3_000, LEARNING, false), run(seed, 3_000, 1_000, true));
        assert_eq!(copied.late, [], "seed {seed}");
        assert!(copied.missed.is_empty(), "seed {seed}: {copied:?}");
        assert!(copied.warm_up < alone.warm_up, "seed {seed}: {copied:?}");
    }
}

#[test]
fn diffy_s_formula_misses_what_stays_in_a_field_that_varies() {
    let (formula, ours) = (diffy(7, 3_000, 1_000), run(7, 3_000, 1_000, true));
    assert!(formula.found < formula.faults && ours.found == ours.faults, "{formula:?}");
}

/// All that leaves a judge over so many pairs, as text; and the news of noise.
fn history(seed: u64, pairs: usize) -> (Vec<String>, Vec<NoiseNews>) {
    let mut service = Service::new(seed);
    let mut judge = judge(NoiseLayers::ALL);
    let (mut all, mut news) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let Asked { primary, shadow, .. } = service.ask(false);
        judge.push(primary);
        judge.push(shadow);
        while let Some(judged) = judge.poll() {
            match judged {
                Judged::Pair(pair) => {
                    all.push(format!("{:?} {:?}", pair.divergences, pair.suppressed));
                }
                Judged::Noise(told) => {
                    all.push(format!("{told:?}"));
                    news.push(*told);
                }
                Judged::Template(_) | Judged::Unpaired(_) => {}
            }
        }
    }
    (all, news)
}

#[test]
fn what_is_not_mirrored_teaches_too() {
    let mut service = Service::new(11);
    let mut judge = judge(NoiseLayers::ALL);
    for _ in 0..2_000 {
        judge.push(service.ask(true).primary);
    }
    judge.finish();
    while judge.poll().is_some() {}
    let mut reported: Vec<bool> = Vec::new();
    for _ in 0..600 {
        let Asked { primary, shadow, .. } = service.ask(true);
        // Of orders, which never come again, nothing can be known yet.
        if primary.request.as_ref().unwrap().target() != b"/orders" {
            reported.push(!compared(&mut judge, primary, shadow, None).divergences.is_empty());
        }
    }
    assert!(!reported.contains(&true));
}

#[test]
fn the_same_exchanges_have_the_same_result() {
    assert_eq!(history(8, 800).0, history(8, 800).0);
}

#[test]
fn a_judge_goes_on_where_another_stopped() {
    let (_, news) = history(9, 2_000);
    assert!(news.iter().any(|told| told.cause == Some(NoiseCause::Itself)));
    assert!(news.iter().any(|told| told.cause == Some(NoiseCause::Class)));
    let values = ["alpha", "item ", "cached", "2026-11"];
    for told in &news {
        assert!(values.iter().all(|value| !told.memory.contains(value)), "{}", told.memory);
    }
    let mut service = Service::new(10);
    let mut judge = judge(NoiseLayers::ALL).learned(news);
    let (mut reported, mut faults) = (0, 0);
    for _ in 0..200 {
        let Asked { primary, shadow, fault, .. } = service.ask(false);
        let comparison = compared(&mut judge, primary, shadow, None);
        faults += usize::from(fault.is_some());
        reported += usize::from(!comparison.divergences.is_empty());
    }
    assert_eq!(reported, faults);
}
