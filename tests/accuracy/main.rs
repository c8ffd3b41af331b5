//! Labelled traffic through the whole of tapdiff, from packets to stored rows: every difference that
//! was put in is found at its exact place, and nothing else is.
//!
//! The service answers in several content types; timestamps, ids, counters, orders and tags in its
//! answers vary by themselves, and only what an operator would know is configured. After the warm-up
//! the shadow gets one answer in five wrong, in each class of [`change::WRONG`] in turn; one in five
//! says the same in other bytes.
//!
//! | file | owns |
//! |---|---|
//! | `service` | what is answered, and what varies by itself |
//! | `quote` | what is answered in protobuf |
//! | `answer` | an answer's bytes |
//! | `change` | what the shadow gets wrong, and where it must be found |
//! | `play` | the traffic as a capture, whole or with packets lost |
//! | `judged` | what tapdiff stored of it |
//! | `rules` | rules tried on what was stored, against a run with them |

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

mod answer;
mod change;
mod judged;
mod play;
mod quote;
mod rules;
#[path = "../e2e/support/schema.rs"]
mod schema;
mod service;
#[path = "../bench/wire.rs"]
mod wire;

use std::collections::BTreeMap;

use change::{WRONG, is_path};
use judged::Judged;
use play::{Play, Truth};
use service::{CONFIG, config_with_secondary};

const PAIRS: usize = 6_000;
const PAIRS_WITH_SECONDARY: usize = 2_000;
const SEEDS: [u64; 2] = [1, 2];

/// What was found in a pair that is not so, or was not found.
fn faults(truth: &Truth, judged: &Judged) -> Vec<String> {
    let none = Vec::new();
    let mut found = judged.diverged.get(&truth.request_id).unwrap_or(&none).clone();
    let mut faults = Vec::new();
    for (kind, path, change) in &truth.expected {
        let at = found.iter().position(|(k, p, c)| k == kind && is_path(path, p) && c == change);
        match at {
            Some(at) => {
                found.remove(at);
            }
            None => faults.push(format!("not found: {kind} {path} {change}")),
        }
    }
    faults
        .extend(found.iter().map(|(kind, path, change)| format!("found: {kind} {path} {change}")));
    faults
}

/// Faults of the pairs for which `holds`, by class of what is wrong with them and by fault.
fn all_faults(
    play: &Play,
    judged: &Judged,
    holds: impl Fn(usize) -> bool,
) -> BTreeMap<(&'static str, String), usize> {
    let mut all = BTreeMap::new();
    for (_, truth) in play.pairs.iter().enumerate().skip(play.warm_up).filter(|(n, _)| holds(*n)) {
        for fault in faults(truth, judged) {
            *all.entry((truth.class, fault)).or_default() += 1;
        }
    }
    all
}

#[test]
fn every_difference_is_found_at_its_place_and_nothing_else() {
    for seed in SEEDS {
        let play = Play::new(PAIRS, seed);
        let judged = Judged::of(&play.capture, CONFIG);
        let faults = all_faults(&play, &judged, |_| true);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        assert!(judged.incomparable.is_empty(), "{:?}", judged.incomparable);
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for truth in &play.pairs {
            *classes.entry(truth.class).or_default() += 1;
        }
        for (class, _) in WRONG {
            assert!(classes.get(class).is_some_and(|count| *count >= 5), "{class}: {classes:?}");
        }
        let pairs = &judged.report["pairs"];
        assert_eq!(pairs["compared"], PAIRS, "{pairs}");
    }
}

#[test]
fn with_a_second_copy_all_is_found_and_nothing_else_after_fewer_pairs() {
    for seed in SEEDS {
        let play = Play::with_secondary(PAIRS_WITH_SECONDARY, seed);
        let judged = Judged::of(&play.capture, &config_with_secondary());
        let faults = all_faults(&play, &judged, |_| true);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        assert!(judged.incomparable.is_empty(), "{:?}", judged.incomparable);
        assert_eq!(judged.report["pairs"]["compared"], PAIRS_WITH_SECONDARY);
        let secondary = &judged.report["accounts"]["secondary"]["seen"];
        assert_eq!(*secondary, PAIRS_WITH_SECONDARY, "{}", judged.report["accounts"]);
    }
}

#[test]
fn with_packets_lost_nothing_is_invented_and_what_is_not_judged_is_what_was_lost() {
    for (share, seed) in [(0.001, 1), (0.01, 2), (0.05, 3)] {
        let play = Play::new(PAIRS, seed);
        let (capture, touched) = play.lose(share, seed);
        let judged = Judged::of(&capture, CONFIG);
        // What no loss touched is judged as if there were none.
        let faults = all_faults(&play, &judged, |n| !touched[n]);
        assert!(faults.is_empty(), "{share}: {faults:#?}");
        // What a loss touched is judged rightly, or not at all.
        let invented: Vec<_> = all_faults(&play, &judged, |n| touched[n])
            .into_iter()
            .filter(|((_, fault), _)| fault.starts_with("found"))
            .collect();
        assert!(invented.is_empty(), "{share}: {invented:#?}");
        for (truth, touched) in play.pairs.iter().zip(&touched) {
            let reason = judged.incomparable.get(&truth.request_id);
            assert!(*touched || reason.is_none(), "{share}: {reason:?} without a loss");
        }
        let compared = judged.report["pairs"]["compared"].as_u64().unwrap();
        let untouched = touched.iter().filter(|touched| !**touched).count();
        assert!(compared >= untouched as u64, "{share}: {compared} of {untouched} compared");
        eprintln!(
            "{share}: {compared} of {PAIRS} compared, {} incomparable, {} beside a loss",
            judged.incomparable.len(),
            PAIRS - untouched
        );
    }
}
