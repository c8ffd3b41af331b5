//! `make bench-diff`: what comparing two JSON answers costs, beside programs that compare JSON.
//!
//! The same pairs of documents of about 1 KB, each with one or two planted differences, go through
//! tapdiff's judge (pairing, status, headers and body), through Rust crates that compare
//! `serde_json` values, and through npm and Python packages where `node` and `python3` have them.
//! Each reads the texts and finds what differs; CPU seconds of its own process, taken in turns,
//! medians. Then documents of 1 MB, and hostile ones, through the judge alone.
//!
//! Fails when the judge misses a planted difference, or is below the floors in [`FLOORS`].
//! Options, by environment: `BENCH_PAIRS`, `BENCH_RUNS`.

mod crates;
mod documents;
mod judge;
mod large;
mod packages;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// At least so many times the pairs per CPU second: of Python's deepdiff, and of the fastest other.
const FLOORS: (f64, f64) = (5.0, 2.0);

/// CPU seconds that a pair of 1 MB may take.
const LARGE_CPU_S: f64 = 0.020;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-diff: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let pairs = from_environment("BENCH_PAIRS", 20_000)?.max(1);
    let runs = from_environment("BENCH_RUNS", 5)?.max(1);
    let documents = documents::generate(pairs, 1);
    let bytes: usize = documents.iter().map(|d| d.primary.len() + d.shadow.len()).sum();
    println!("{pairs} pairs of about {} bytes", bytes / documents.len() / 2);

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/bench-diff");
    std::fs::create_dir_all(&directory)?;
    let packages = packages::found(&directory, &documents)?;
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    let mut note = |name: &str, cpu_s: f64| match rows.iter_mut().find(|(known, _)| known == name) {
        Some((_, all)) => all.push(cpu_s),
        None => rows.push((name.to_owned(), vec![cpu_s])),
    };
    for _ in 0..runs {
        note("tapdiff", judge::run(&documents)?);
        for (name, diff) in crates::ALL {
            note(name, crates::run(diff, &documents)?);
        }
        for package in &packages {
            note(&package.name, package.run()?);
        }
    }
    let rate = |cpu: &[f64]| documents.len() as f64 / median(cpu);
    let ours = rate(&rows[0].1);
    println!("\n{:<34} {:>14} {:>12}", "", "pairs/CPU s", "tapdiff is");
    for (name, cpu) in &rows {
        println!("{name:<34} {:>14.0} {:>10.1} x", rate(cpu), ours / rate(cpu));
    }
    large::run()?;

    let others = rows.iter().skip(1).filter(|(name, _)| !name.starts_with("deepdiff"));
    let fastest = others.map(|(_, cpu)| rate(cpu)).fold(0.0, f64::max);
    let deepdiff = rows.iter().find(|(name, _)| name.starts_with("deepdiff"));
    match deepdiff.map(|(_, cpu)| ours / rate(cpu)) {
        Some(times) if times < FLOORS.0 => Err(format!("only {times:.1} x deepdiff"))?,
        Some(_) => {}
        None => println!("deepdiff is not here: not held against it"),
    }
    if ours < FLOORS.1 * fastest {
        Err(format!("only {:.1} x the fastest of the others", ours / fastest))?;
    }
    Ok(())
}

/// CPU seconds that this process has taken.
fn cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e6)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn from_environment(name: &str, default: u32) -> Result<u32> {
    match std::env::var(name) {
        Ok(value) => Ok(value.parse().map_err(|why| format!("{name}={value}: {why}"))?),
        Err(_) => Ok(default),
    }
}
