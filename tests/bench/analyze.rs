//! `cargo bench --bench analyze`: pairs per CPU second of `tapdiff analyze`, against the floor.
//!
//! Makes a capture of 200,000 mirrored requests (once; see `traffic`), then measures in turns, as
//! medians: the floor (libpcap and etherparse only), `analyze` without and with a store, and once
//! each those peers that are installed. Fails when the report does not name exactly the planted
//! differences. Options, by environment: `BENCH_PAIRS`, `BENCH_RUNS`, `BENCH_PEERS=0`.

mod floor;
mod measure;
mod peers;
mod traffic;
mod wire;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use measure::Cost;
use serde_json::Value;
use traffic::{PRIMARY, Planted, Recipe, SHADOW, Written};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Changes when the same recipe gives other bytes: captures of another version are made anew.
const GENERATOR: u32 = 1;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = arguments.first().and_then(|argument| argument.to_str());
    let result = match (first, arguments.get(1)) {
        (Some(floor::MODE), Some(capture)) => floor::run(capture),
        (Some(measure::MODE), _) => measure::child(&arguments[1..]).map_err(Into::into),
        // `cargo test --all-targets` runs benches without it: nothing to test here.
        _ if !arguments.iter().any(|argument| argument == "--bench") => Ok(()),
        _ => bench(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let recipe = Recipe { pairs: from_environment("BENCH_PAIRS", 200_000)?, seed: 1 };
    let runs = from_environment("BENCH_RUNS", 5)?.max(1);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&directory)?;
    let (capture, written) = capture(recipe, &directory)?;
    println!(
        "{}: {} mirrored requests, {} packets, {} MB",
        capture.display(),
        recipe.pairs,
        written.packets,
        written.bytes / 1_000_000
    );

    let tapdiff = Path::new(env!("CARGO_BIN_EXE_tapdiff"));
    let this = std::env::current_exe()?;
    let output = directory.join("output");
    let store = directory.join("store.db");
    let with_store = analyze(&capture, Some(&store));
    let without_store = analyze(&capture, None);

    let (mut floors, mut plain, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a machine that grows slower does so for all of them.
    for _ in 0..runs {
        floors.push(measure::run(&this, &[floor::MODE.into(), capture.clone().into()], &output)?);
        plain.push(measure::run(tapdiff, &without_store, &output)?);
        verify(&output, recipe)?;
        remove_store(&store)?;
        stored.push(measure::run(tapdiff, &with_store, &output)?);
        verify(&output, recipe)?;
    }
    remove_store(&store)?;

    let pairs = f64::from(recipe.pairs);
    let floor = median(floors);
    println!("\n{:<28}{:>9}{:>15}{:>10}{:>10}", "", "CPU s", "pairs/CPU s", "x floor", "peak MiB");
    let row = |name: &str, cost: Cost| {
        println!(
            "{name:<28}{:>9.3}{:>15.0}{:>10.1}{:>10.0}",
            cost.cpu_s,
            pairs / cost.cpu_s,
            cost.cpu_s / floor.cpu_s,
            cost.peak_mib
        );
    };
    row("floor (libpcap, etherparse)", floor);
    row("tapdiff analyze", median(plain));
    row("tapdiff analyze --store", median(stored));
    if std::env::var_os("BENCH_PEERS").is_none_or(|peers| peers != "0") {
        let scratch = directory.join("peers");
        for peer in peers::installed(&capture, &scratch)? {
            match measure::run(&peer.program, &peer.arguments, &output) {
                Ok(cost) => row(peer.name, cost),
                Err(error) => println!("{:<28}  {error}", peer.name),
            }
        }
        fs::remove_dir_all(&scratch)?;
    }
    fs::remove_file(&output)?;
    let Planted { prices, tags, statuses } = recipe.planted();
    println!("\nall found, nothing else: {prices} prices, {tags} tags, {statuses} statuses");
    Ok(())
}

/// The capture and what it holds: the one there is, if it is this recipe's, or a new one.
fn capture(recipe: Recipe, directory: &Path) -> Result<(PathBuf, Written)> {
    let path = directory.join(format!("mirrored-{}.pcap", recipe.pairs));
    let stamp_path = path.with_extension("stamp");
    let stamp = |written: Written| format!("{GENERATOR} {recipe:?} {written:?}\n");
    if let (Ok(found), Ok(metadata)) = (fs::read_to_string(&stamp_path), fs::metadata(&path)) {
        let packets =
            found.rsplit("packets: ").next().and_then(|rest| rest.split(',').next()?.parse().ok());
        if let Some(packets) = packets {
            let written = Written { packets, bytes: metadata.len() };
            if found == stamp(written) {
                return Ok((path, written));
            }
        }
    }
    println!("writing {}", path.display());
    let part = path.with_extension("part");
    let written = recipe.write(BufWriter::with_capacity(1 << 20, File::create(&part)?))?;
    fs::rename(&part, &path)?;
    fs::write(&stamp_path, stamp(written))?;
    Ok((path, written))
}

/// The arguments of `tapdiff analyze`.
fn analyze(capture: &Path, store: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["analyze", "--primary", PRIMARY, "--shadow", SHADOW]
        .into_iter()
        .chain(["--ignore", "header:x-backend", "--ignore", "body:/server"])
        .chain(["--ignore", "body:/generated_at", "--format", "json"])
        .map(OsString::from)
        .collect();
    if let Some(store) = store {
        arguments.extend(["--store".into(), store.into()]);
    }
    arguments.push(capture.into());
    arguments
}

/// Fails unless the report has every pair and exactly the planted differences.
fn verify(report: &Path, recipe: Recipe) -> Result<()> {
    let report: Value = serde_json::from_slice(&fs::read(report)?)?;
    let service = &report["services"][0];
    let Planted { prices, tags, statuses } = recipe.planted();
    let mut expected = vec![
        ("body /price value".to_owned(), prices),
        ("body /tags missing".to_owned(), tags),
        ("status  value".to_owned(), statuses),
    ];
    expected.retain(|(_, count)| *count > 0);
    expected.sort();
    let mut found: Vec<(String, u64)> = service["signatures"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|signature| {
            let text = |key: &str| signature[key].as_str().unwrap_or("?");
            let name = format!("{} {} {}", text("kind"), text("path"), text("change"));
            (name, signature["count"].as_u64().unwrap_or(0))
        })
        .collect();
    found.sort();
    if found != expected {
        return Err(format!("reported {found:?}, planted {expected:?}").into());
    }
    let pairs = u64::from(recipe.pairs);
    let diverged = prices + tags + statuses;
    for (pointer, expected) in [
        ("/pairs/compared", pairs),
        ("/pairs/diverged", diverged),
        ("/accounts/primary/seen", pairs),
        ("/accounts/shadow/seen", pairs),
    ] {
        let found = service.pointer(pointer).and_then(Value::as_u64);
        if found != Some(expected) {
            return Err(format!("{pointer}: reported {found:?}, planted {expected}").into());
        }
    }
    Ok(())
}

/// SQLite's files; those that are not there are no fault.
fn remove_store(store: &Path) -> Result<()> {
    let name = store.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in fs::read_dir(store.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The middle one by CPU time. There is at least one.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by(|a, b| a.cpu_s.total_cmp(&b.cpu_s));
    costs[costs.len() / 2]
}

fn from_environment(name: &str, default: u32) -> Result<u32> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name}={value}: not a number").into()),
        Err(_) => Ok(default),
    }
}
