//! `cargo bench --bench analyze`: pairs per CPU second of `tapdiff analyze`, against the floor.
//!
//! Makes captures of mirrored requests (once; see `traffic`), then measures in turns, as medians:
//! the floor (libpcap and etherparse only), `analyze` without and with a store, and those peers
//! that are installed. One table each: small JSON bodies, gzip (against flate2 alone), large bodies,
//! HTTP/2 in clear, TLS 1.3 and 1.2 with their keys (against AES-128-GCM alone), large bodies over
//! TLS 1.3. Fails when a report
//! does not name exactly the planted differences, or where allocations or instructions a pair have
//! grown (see `counts`). Options, by environment: `BENCH_PAIRS`, `BENCH_RUNS`, `BENCH_PEERS=0`,
//! `BENCH_COUNTS=0`.

mod counts;
mod floor;
mod h2c;
mod inflate;
mod measure;
mod messages;
mod peers;
mod speech;
mod tls;
mod traffic;
mod unseal;
mod wire;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use measure::Cost;
use peers::Peer;
use serde_json::Value;
use speech::Carriage;
use tls::Version;
use traffic::{Bodies, PRIMARY, Planted, Recipe, SHADOW, Written};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Changes when the same recipe gives other bytes: captures of another version are made anew.
const GENERATOR: u32 = 3;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = arguments.first().and_then(|argument| argument.to_str());
    let result = match (first, arguments.get(1)) {
        (Some(floor::MODE), Some(capture)) => floor::run(capture),
        (Some(inflate::MODE), Some(bodies)) => inflate::run(bodies),
        (Some(unseal::MODE), Some(records)) => unseal::run(records),
        (Some(counts::MODE), Some(capture)) => counts::run(capture),
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

/// Pairs of the capture that is counted on: few, since callgrind takes fifty times as long.
const COUNTED_PAIRS: u32 = 4_000;

fn bench() -> Result<()> {
    let pairs = from_environment("BENCH_PAIRS", 200_000)?;
    let runs = from_environment("BENCH_RUNS", 5)?.max(1);
    let wants = |name| std::env::var_os(name).is_none_or(|value| value != "0");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    fs::create_dir_all(&directory)?;
    let recipe =
        |pairs: u32, bodies, carriage| Recipe { pairs: pairs.max(1), seed: 1, bodies, carriage };
    if wants("BENCH_COUNTS") {
        let (capture, _) =
            capture(recipe(COUNTED_PAIRS, Bodies::Small, Carriage::Http1), &directory)?;
        counts::check(&capture, &directory)?;
    }
    for recipe in [
        recipe(pairs, Bodies::Small, Carriage::Http1),
        recipe(pairs / 40, Bodies::Gzip, Carriage::Http1),
        recipe(pairs / 250, Bodies::Large, Carriage::Http1),
        recipe(pairs / 4, Bodies::Small, Carriage::H2c),
        recipe(pairs / 4, Bodies::Small, Carriage::Tls(Version::Tls13)),
        recipe(pairs / 4, Bodies::Small, Carriage::Tls(Version::Tls12)),
        recipe(pairs / 250, Bodies::Large, Carriage::Tls(Version::Tls13)),
    ] {
        compare(recipe, runs, wants("BENCH_PEERS"), &directory)?;
    }
    Ok(())
}

/// Measures everything on the capture of one recipe, and prints it.
fn compare(recipe: Recipe, runs: u32, with_peers: bool, directory: &Path) -> Result<()> {
    let (capture, written) = capture(recipe, directory)?;
    println!(
        "\n{}: {} mirrored requests, {} packets, {} MB",
        capture.display(),
        recipe.pairs,
        written.packets,
        written.bytes / 1_000_000
    );
    let scratch = directory.join("peers");
    let peers = if with_peers {
        peers::for_capture(&capture, recipe.carriage, &scratch)?
    } else {
        Vec::new()
    };
    let (installed, missing): (Vec<Peer>, Vec<Peer>) =
        peers.into_iter().partition(|peer| peer.program.is_some());

    let tapdiff = Path::new(env!("CARGO_BIN_EXE_tapdiff"));
    let this = std::env::current_exe()?;
    let output = directory.join("output");
    let store = directory.join("store.db");
    let alone = match (recipe.bodies, recipe.carriage) {
        (_, Carriage::Tls(_)) => Some(("AES-128-GCM alone", unseal::MODE)),
        (Bodies::Gzip, _) => Some(("flate2 alone", inflate::MODE)),
        _ => None,
    };
    let coded = capture.with_extension("coded");
    let keys = capture.with_extension("keys");
    let keys = matches!(recipe.carriage, Carriage::Tls(_)).then_some(&*keys);
    let (mut floors, mut plain, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    let mut alones = Vec::new();
    let mut others: Vec<std::result::Result<Vec<Cost>, String>> =
        installed.iter().map(|_| Ok(Vec::new())).collect();
    // In turns, so that a machine that grows slower does so for all of them.
    for _ in 0..runs {
        floors.push(measure::run(&this, &[floor::MODE.into(), capture.clone().into()], &output)?);
        if let Some((_, mode)) = alone {
            let arguments = [mode.into(), coded.clone().into()];
            alones.push(measure::run(&this, &arguments, &output)?);
        }
        plain.push(measure::run(tapdiff, &analyze(&capture, keys, None), &output)?);
        verify(&output, recipe)?;
        remove_store(&store)?;
        stored.push(measure::run(tapdiff, &analyze(&capture, keys, Some(&store)), &output)?);
        verify(&output, recipe)?;
        for (peer, costs) in installed.iter().zip(&mut others) {
            let (Some(program), Ok(known)) = (&peer.program, costs.as_mut()) else { continue };
            match measure::run(program, &peer.arguments, &output) {
                Ok(cost) => known.push(cost),
                Err(error) => *costs = Err(error.to_string()),
            }
        }
    }
    remove_store(&store)?;

    let floor = median(floors);
    println!("{:<28}{:>9}{:>15}{:>10}{:>10}", "", "CPU s", "pairs/CPU s", "x floor", "peak MiB");
    let row = |name: &str, cost: Cost| {
        println!(
            "{name:<28}{:>9.3}{:>15.0}{:>10.2}{:>10.0}",
            cost.cpu_s,
            f64::from(recipe.pairs) / cost.cpu_s,
            cost.cpu_s / floor.cpu_s,
            cost.peak_mib
        );
    };
    let plain = median(plain);
    row("floor (libpcap, etherparse)", floor);
    let mut ratios = vec![format!("{:.2} x the floor", plain.cpu_s / floor.cpu_s)];
    if let Some((name, _)) = alone {
        let cost = median(alones);
        row(name, cost);
        ratios.push(format!("{:.2} x {name}", plain.cpu_s / cost.cpu_s));
    }
    row("tapdiff analyze", plain);
    row("tapdiff analyze --store", median(stored));
    for (peer, costs) in installed.iter().zip(others) {
        match costs {
            Ok(costs) => {
                let cost = median(costs);
                row(peer.name, cost);
                ratios.push(format!(
                    "{} costs {:.1} x as much",
                    peer.name,
                    cost.cpu_s / plain.cpu_s
                ));
            }
            Err(error) => println!("{:<28}  {error}", peer.name),
        }
    }
    for peer in missing {
        println!("{:<28}  not installed", peer.name);
    }
    if with_peers {
        fs::remove_dir_all(&scratch)?;
    }
    fs::remove_file(&output)?;
    let Planted { prices, tags, statuses } = recipe.planted();
    println!("tapdiff analyze: {}", ratios.join(", "));
    println!("all found, nothing else: {prices} prices, {tags} tags, {statuses} statuses");
    Ok(())
}

/// The capture and what it holds: the one there is, if it is this recipe's, or a new one.
fn capture(recipe: Recipe, directory: &Path) -> Result<(PathBuf, Written)> {
    let carriage = match recipe.carriage {
        Carriage::Http1 => "",
        Carriage::H2c => "h2c-",
        Carriage::Tls(Version::Tls12) => "tls12-",
        Carriage::Tls(Version::Tls13) => "tls13-",
    };
    let name = format!("{carriage}{:?}-{}.pcap", recipe.bodies, recipe.pairs).to_lowercase();
    let path = directory.join(name);
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
    let coded = BufWriter::new(File::create(path.with_extension("coded"))?);
    let key_log = File::create(path.with_extension("keys"))?;
    let out = BufWriter::with_capacity(1 << 20, File::create(&part)?);
    let written = recipe.write(out, coded, key_log)?;
    fs::rename(&part, &path)?;
    fs::write(&stamp_path, stamp(written))?;
    Ok((path, written))
}

/// The arguments of `tapdiff analyze`.
fn analyze(capture: &Path, keys: Option<&Path>, store: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["analyze", "--primary", PRIMARY, "--shadow", SHADOW]
        .into_iter()
        .chain(["--ignore", "header:x-backend", "--ignore", "body:/server"])
        .chain(["--ignore", "body:/generated_at", "--format", "json"])
        .map(OsString::from)
        .collect();
    if let Some(keys) = keys {
        arguments.extend(["--keylog".into(), keys.into()]);
    }
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
