//! Large and hostile documents through the judge alone.

use serde_json::{Value, json};

use crate::judge::one;
use crate::{LARGE_CPU_S, Result, documents, median};

/// Bytes of a large document, about.
const BYTES: usize = 1 << 20;

/// Prints what each costs.
///
/// # Errors
///
/// When a pair of 1 MB takes more than [`LARGE_CPU_S`].
pub(crate) fn run() -> Result<()> {
    println!("\n{:<50} {:>8} {:>12}  finds", "", "KB", "CPU ms");
    let mut slow = Vec::new();
    for (name, is_plain, primary, shadow) in pairs() {
        let runs: Vec<_> =
            (0..5).map(|_| one(primary.as_bytes(), shadow.as_bytes())).collect::<Result<_>>()?;
        let cpu_s = median(&runs.iter().map(|(cpu_s, _)| *cpu_s).collect::<Vec<_>>());
        let mut changes: Vec<&str> = runs[0].1.iter().map(|change| change.as_str()).collect();
        let count = changes.len();
        changes.dedup();
        println!(
            "{name:<50} {:>8} {:>12.1}  {count}: {}",
            primary.len() / 1000,
            cpu_s * 1e3,
            changes.join(" ")
        );
        if is_plain && cpu_s > LARGE_CPU_S {
            slow.push(name);
        }
    }
    if slow.is_empty() { Ok(()) } else { Err(format!("above 20 ms: {}", slow.join(", ")))? }
}

/// Name, whether it is a plain pair of 1 MB, and the texts.
fn pairs() -> Vec<(&'static str, bool, String, String)> {
    let items: Vec<Value> = documents::generate(1_180, 7)
        .iter()
        .filter_map(|pair| serde_json::from_str(&pair.primary).ok())
        .collect();
    let changed = |every: usize| {
        let mut changed = items.clone();
        for item in changed.iter_mut().step_by(every) {
            item["price"]["amount"] = json!(-1);
        }
        changed
    };
    let text = |items: &[Value]| json!({ "items": items }).to_string();
    let shuffled: Vec<Value> = items.iter().rev().cloned().collect();
    let mut cut = items.clone();
    cut.remove(300);
    let members = |from: usize, step: isize| {
        let count = 100_000_isize;
        let names = (0..count).map(|n| (from as isize + step * n).rem_euclid(count));
        let all: Vec<String> = names.map(|n| format!("\"m{n}\":{n}")).collect();
        format!("{{{}}}", all.join(","))
    };
    let numbers = |step: usize, plus: usize| {
        let all: Vec<usize> = (0..100_000).map(|n| n * step % 100_000 + plus).collect();
        json!(all).to_string()
    };
    let nested = |depth: usize, leaf: &str| {
        format!("{}{leaf}{}", "{\"a\":[".repeat(depth), "]}".repeat(depth))
    };
    let long = "x".repeat(BYTES);
    let strings = |with: char| {
        let all: Vec<String> =
            (0..10_000).map(|n| format!("\"{}{n}{with}\"", &long[..90])).collect();
        format!("[{}]", all.join(","))
    };
    vec![
        ("1 MB, one value differs", true, text(&items), text(&changed(1_180))),
        ("1 MB, one value in each tenth element", true, text(&items), text(&changed(10))),
        ("1 MB, a value in each element", true, text(&items), text(&changed(1))),
        ("1 MB, an element is missing", true, text(&items), text(&cut)),
        ("1 MB, elements in the reverse order", true, text(&items), text(&shuffled)),
        ("10^5 numbers in another order", false, numbers(1, 0), numbers(7_919, 0)),
        ("10^5 numbers, all others", false, numbers(1, 0), numbers(7_919, 100_000)),
        ("10^5 members in another order", false, members(0, 1), members(99_999, -1)),
        ("nested 100 deep", false, nested(100, "1"), nested(100, "2")),
        ("nested 100,000 deep", false, nested(100_000, "1"), nested(100_000, "2")),
        ("10^4 strings that begin alike", false, strings('a'), strings('b')),
        ("one string of 1 MB", false, format!("\"{long}a\""), format!("\"{long}b\"")),
    ]
}
