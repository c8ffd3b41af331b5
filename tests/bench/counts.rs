//! What an exact count says where times depend on the machine: allocations and instructions a
//! pair, held against what was last committed.
//!
//! The rooms are run in this process as `analyze` runs them, without its threads and its store, so
//! that the figures are the same every time. Instructions are counted by valgrind's callgrind
//! (which runs AVX2, not AVX-512), the same code in a process of its own.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use capture::source::file::Reader;
use capture::{Leg, Limits, Origin, ServiceId, Tap, Target, Timestamp};
use compare::{Judge, Judged, Policy, ServicePolicy, Window};
use serde::Deserialize;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use store::{Batcher, RedactionKey, Redactor, Run, SecretNames, Settings};

use crate::traffic::{PRIMARY, SHADOW};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// First argument that makes this binary run the rooms in its own process: then the capture.
pub(crate) const MODE: &str = "--rooms";

/// What was last committed.
const BASELINE: &str = include_str!("baseline.toml");

/// How much more than the baseline is a regression: compilers differ by a little.
const TOLERATED: f64 = 1.04;

#[derive(Debug, Deserialize)]
struct Baseline {
    allocations_per_pair: f64,
    allocated_bytes_per_pair: f64,
    instructions_per_pair: f64,
}

/// Runs capture, compare and the batcher over `capture`. Prints pairs, allocations and bytes
/// allocated.
///
/// # Errors
///
/// When the capture cannot be read.
pub(crate) fn run(capture: &OsStr) -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::open(capture)?;
    let mut rooms = Rooms::new()?;
    let region = Region::new(ALLOCATOR);
    let mut expired = Timestamp::ZERO;
    while let Some(packet) = reader.next()? {
        rooms.tap.push(&packet);
        if packet.at.since(expired) >= Duration::from_millis(100) {
            rooms.tap.expire(packet.at);
            rooms.judge.expire(packet.at);
            expired = packet.at;
        }
        rooms.pass_on();
    }
    rooms.tap.finish();
    rooms.pass_on();
    rooms.judge.finish();
    rooms.pass_on();
    let used = region.change();
    println!("{} {} {}", rooms.pairs, used.allocations, used.bytes_allocated);
    Ok(())
}

/// Counts, and holds the counts against the baseline. Prints both.
///
/// # Errors
///
/// When a count is above what is tolerated, or cannot be had. Without valgrind, instructions are
/// left out, and that is said.
pub(crate) fn check(capture: &Path, scratch: &Path) -> Result<(), Box<dyn Error>> {
    let baseline: Baseline = toml::from_str(BASELINE)?;
    let this = std::env::current_exe()?;
    let rooms = [OsString::from(MODE), capture.into()];
    let out = Command::new(&this).args(&rooms).output()?;
    let line = String::from_utf8_lossy(&out.stdout);
    let figures: Vec<f64> = line.split_whitespace().flat_map(str::parse).collect();
    let [pairs, allocations, bytes] = figures[..] else {
        return Err(format!("{}: {}", MODE, String::from_utf8_lossy(&out.stderr)).into());
    };
    let mut found = vec![
        ("allocations a pair", allocations / pairs, baseline.allocations_per_pair),
        ("bytes allocated a pair", bytes / pairs, baseline.allocated_bytes_per_pair),
    ];
    match instructions(&this, &rooms, scratch)? {
        Some(count) => found.push((
            "instructions a pair",
            count as f64 / pairs,
            baseline.instructions_per_pair,
        )),
        None => println!("valgrind is not installed: instructions are not counted"),
    }
    println!("\n{:<28}{:>12}{:>12}{:>9}", "counts", "now", "baseline", "ratio");
    let mut worse = Vec::new();
    for (name, now, before) in found {
        println!("{name:<28}{now:>12.1}{before:>12.1}{:>9.3}", now / before);
        if now > before * TOLERATED {
            worse.push(name);
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!("above tests/bench/baseline.toml by more than 4 %: {}", worse.join(", ")).into())
}

/// Instructions of `program` with `arguments`; `None` without valgrind.
fn instructions(
    program: &Path,
    arguments: &[OsString],
    scratch: &Path,
) -> Result<Option<u64>, Box<dyn Error>> {
    let profile = scratch.join("callgrind.out");
    let mut option = OsString::from("--callgrind-out-file=");
    option.push(&profile);
    let run = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(option)
        .arg(program)
        .args(arguments)
        .output();
    let Ok(run) = run else { return Ok(None) };
    let said = String::from_utf8_lossy(&run.stderr);
    let count =
        said.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    let count: u64 = count.ok_or_else(|| format!("callgrind: {said}"))?;
    fs::remove_file(&profile)?;
    Ok(Some(count))
}

/// The rooms, one after the other.
struct Rooms {
    tap: Tap,
    judge: Judge,
    batcher: Batcher,
    pairs: u64,
}

impl Rooms {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut shop = ServicePolicy::new("shop");
        for rule in ["header:x-backend", "body:/server", "body:/generated_at"] {
            shop.rules.push(rule.parse()?);
        }
        let target = |address: &str, leg| -> Result<Target, Box<dyn Error>> {
            Ok(Target { address: address.parse()?, origin: Origin { service: ServiceId(0), leg } })
        };
        let run = Run {
            started: Timestamp::ZERO,
            host: "bench".to_owned(),
            version: "0".to_owned(),
            config_digest: "0".to_owned(),
            services: vec!["shop".into()],
            settings: Settings::default(),
        };
        let redactor = Redactor::new(RedactionKey::random()?, &SecretNames::default());
        Ok(Self {
            tap: Tap::new(
                Limits::default(),
                vec![target(PRIMARY, Leg::Primary)?, target(SHADOW, Leg::Shadow)?],
            ),
            judge: Judge::new(Arc::new(Policy { services: vec![shop], window: Window::default() })),
            batcher: Batcher::new(run, redactor, store::Limits::default()),
            pairs: 0,
        })
    }

    fn pass_on(&mut self) {
        while let Some(exchange) = self.tap.poll() {
            self.judge.push(exchange);
        }
        while let Some(judged) = self.judge.poll() {
            if let Judged::Pair(comparison) = judged {
                self.pairs += 1;
                self.batcher.add(&comparison);
            }
        }
        if self.batcher.batch().held_bytes() >= 8 << 20 {
            self.batcher.add_rollups(self.judge.take_rollups());
            drop(self.batcher.take());
        }
    }
}
