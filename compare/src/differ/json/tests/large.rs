//! What large and hostile pairs cost, printed: `cargo test --release -p tapdiff-compare --lib
//! large -- --ignored --nocapture`.

use std::time::Duration;

use super::*;
use fastrand::Rng;

/// CPU time of one comparison, the best of three, with what it found.
fn cost(primary: &str, shadow: &str) -> (Duration, Vec<String>) {
    let mut best = Duration::MAX;
    let mut found = Vec::new();
    for _ in 0..3 {
        let before = cpu();
        found = differences(primary, shadow);
        best = best.min(cpu().saturating_sub(before));
    }
    (best, found)
}

/// CPU time of this thread so far, to the hundredth of a second at worst.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
}

fn list(all: &[String]) -> String {
    format!("[{}]", all.join(","))
}

fn items(count: usize, salt: usize) -> Vec<String> {
    (0..count)
        .map(|i| {
            format!(
                r#"{{"id":{i},"name":"item {i}","price":{}.5,"tags":["a","b{i}"],"at":"{salt}"}}"#,
                i * 7
            )
        })
        .collect()
}

#[test]
#[ignore = "measures; run it in release"]
fn large_and_hostile_pairs_cost_little() {
    let mut random = Rng::with_seed(1);
    let mut shuffled = |all: &[String]| {
        let mut all = all.to_vec();
        random.shuffle(&mut all);
        all
    };
    let base = items(13_000, 1);
    let mut one = base.clone();
    one[9_000] = one[9_000].replace(".5", ".6");
    let mut shorter = base.clone();
    shorter.remove(3);
    let strings: Vec<String> = (0..100_000).map(|i| format!("\"s{i}\"")).collect();
    let few: Vec<String> = (0..100_000).map(|i| format!("{}", i % 7)).collect();
    let members = |all: &[String]| format!("{{{}}}", all.join(","));
    let named: Vec<String> = (0..100_000).map(|i| format!("\"m{i}\":{i}")).collect();
    let nested = |inner: &str| "[[1,2],".repeat(500) + inner + &"]".repeat(500);
    for (name, primary, shadow) in [
        ("1 MB, one changed", list(&base), list(&one)),
        ("1 MB, all changed in one member", list(&base), list(&items(13_000, 2))),
        ("1 MB, one gone", list(&base), list(&shorter)),
        ("1 MB, shuffled", list(&base), list(&shuffled(&base))),
        ("1 MB, shuffled and changed", list(&base), list(&shuffled(&items(13_000, 2)))),
        ("100,000 strings shuffled", list(&strings), list(&shuffled(&strings))),
        ("100,000 of 7 numbers shuffled", list(&few), list(&shuffled(&few)[1..])),
        ("100,000 members shuffled", members(&named), members(&shuffled(&named))),
        ("500 levels, each reordered", nested("1"), nested("2").replace("[1,2]", "[2,1]")),
    ] {
        let (time, found) = cost(&primary, &shadow);
        let size = (primary.len() + shadow.len()) / 2;
        let first = found.first().map(|line| line.chars().take(60).collect::<String>());
        println!("{name}: {size} bytes a side, {time:?}, {} found, first {first:?}", found.len());
    }
}
