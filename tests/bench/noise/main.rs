//! `cargo bench -p tapdiff-compare --bench noise`: what is learned of noise, and what is not.
//!
//! The service of the tests (`compare/tests/noise/service.rs`), for ten seeds: after how many pairs
//! nothing was reported any more that varies by itself, how much of it was reported after the first
//! 2,000 (with a second copy 1,000), and how many of the shadow's faults after those were. Without a second copy, with one, and as Diffy's
//! published formula tells it from the same differences, with the copy that it needs. Fails where
//! tapdiff reports anything that varies by itself after the warm-up, or misses a fault.

use std::process::ExitCode;

#[path = "../../../compare/tests/noise/service.rs"]
mod service;
#[path = "../../../compare/tests/noise/trial.rs"]
mod trial;

use trial::{Told, diffy, run};

const SEEDS: u64 = 10;
const PAIRS: usize = 10_000;
const LEARNING: usize = 2_000;
const LEARNING_WITH_COPY: usize = 1_000;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benches without it: nothing to test here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!("{PAIRS} pairs, a fault in one of twenty\n");
    println!(
        "{:>4}  {:<10}{:>10}{:>14}{:>10}{:>10}",
        "seed", "", "warm-up", "false reports", "faults", "found"
    );
    let mut kept = true;
    for seed in 1..=SEEDS {
        let alone = run(seed, PAIRS, LEARNING, false);
        let copied = run(seed, PAIRS, LEARNING_WITH_COPY, true);
        let formula = diffy(seed, PAIRS, LEARNING_WITH_COPY);
        row(seed, "alone", &alone);
        row(seed, "with copy", &copied);
        row(seed, "Diffy", &formula);
        kept &= [&alone, &copied].iter().all(|told| told.late.is_empty() && told.missed.is_empty());
        kept &= copied.warm_up < alone.warm_up;
        for told in [&alone, &copied] {
            for (pair, place) in &told.late {
                println!("      pair {pair}: {place}");
            }
            for (place, count) in &told.missed {
                println!("      missed {count} times: {place}");
            }
        }
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(seed: u64, how: &str, told: &Told) {
    let Told { warm_up, late, faults, found, .. } = told;
    println!("{seed:>4}  {how:<10}{warm_up:>10}{:>14}{faults:>10}{found:>10}", late.len());
}
