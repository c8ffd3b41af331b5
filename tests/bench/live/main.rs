//! `make bench-live`: the tap beside a real Envoy at full speed.
//!
//! Envoy mirrors every request to a shadow; wrk asks as fast as it is answered. With its default
//! settings `tapdiff run` must lose nothing: no kernel drop, nothing shed, accounts that close, and
//! no divergence, since both backends answer alike. Then throughput and p99 with the tap on and off,
//! in pairs of runs that take turns.
//!
//! Options, by environment: `LIVE_SECONDS` (60) of the run that must lose nothing, `LIVE_PAIRS` (3)
//! of short runs on and off, `LIVE_CONNECTIONS` (32). Needs root, Envoy and wrk.

mod edge;
mod load;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use edge::{Backend, Envoy};
use load::Load;
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Of each of the paired runs.
const PAIRED_SECONDS: u32 = 10;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benches without it: nothing to test here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-live: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let seconds = from_environment("LIVE_SECONDS", 60)?;
    let pairs = from_environment("LIVE_PAIRS", 3)?;
    let connections = from_environment("LIVE_CONNECTIONS", 32)?;
    let directory = tempfile::TempDir::new()?;
    let (primary, shadow) = (Backend::start()?, Backend::start()?);
    let envoy = Envoy::start(directory.path(), primary.address(), shadow.address())?;
    let load = Load { address: envoy.address(), connections };
    // Connections are opened, caches filled.
    load.run(2)?;

    let scene = Scene { directory: directory.path(), primary: &primary, shadow: &shadow };
    let mut tap = scene.tap("long")?;
    let before = (tap.cpu()?, envoy.cpu()?, envoy.mirrored()?);
    let run = load.run(seconds)?;
    let (tap_cpu, envoy_cpu) = (tap.cpu()? - before.0, envoy.cpu()? - before.1);
    let mirrored = envoy.mirrored()? - before.2;
    let report = tap.stop()?;
    lost_nothing(&report, mirrored, u64::from(connections))?;
    println!(
        "{seconds} s at full speed: {:.0} requests/s, p99 {:?}, {mirrored} mirrored, none lost",
        run.per_second, run.p99
    );
    println!(
        "processor time a mirrored request: Envoy {:.1} us, tapdiff {:.1} us: {:.1} %",
        envoy_cpu.as_secs_f64() * 1e6 / mirrored as f64,
        tap_cpu.as_secs_f64() * 1e6 / mirrored as f64,
        100.0 * tap_cpu.as_secs_f64() / envoy_cpu.as_secs_f64()
    );
    paired(&scene, &load, pairs)
}

/// Throughput and p99 with the tap against without, in turns: a machine that grows slower does so
/// for both.
fn paired(scene: &Scene<'_>, load: &Load, pairs: u32) -> Result<()> {
    let (mut speeds, mut tails) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let with_tap = || -> Result<load::Ran> {
            let tap = scene.tap(&format!("pair-{pair}"))?;
            let run = load.run(PAIRED_SECONDS)?;
            tap.stop()?;
            Ok(run)
        };
        // Which goes first changes, so that neither always finds the warmer machine.
        let (on, off) = if pair % 2 == 0 {
            let on = with_tap()?;
            (on, load.run(PAIRED_SECONDS)?)
        } else {
            let off = load.run(PAIRED_SECONDS)?;
            (with_tap()?, off)
        };
        println!(
            "pair {}: on {:.0}/s p99 {:?}, off {:.0}/s p99 {:?}",
            pair + 1,
            on.per_second,
            on.p99,
            off.per_second,
            off.p99
        );
        speeds.push(on.per_second / off.per_second);
        tails.push(on.p99.as_secs_f64() / off.p99.as_secs_f64());
    }
    if let (Some(speed), Some(tail)) = (median(speeds), median(tails)) {
        println!("median of {pairs} pairs, on against off: throughput {speed:.3}, p99 {tail:.3}");
    }
    Ok(())
}

/// Fails unless the report has all `mirrored` pairs and nothing else. When the load ends it closes
/// its connections, and Envoy gives up what was asked on them: up to `connections` pairs may say so.
fn lost_nothing(report: &Value, mirrored: u64, connections: u64) -> Result<()> {
    let service = &report["services"][0];
    let number = |pointer: &str| service.pointer(pointer).and_then(Value::as_u64);
    let cut_off = number("/pairs/incomparable/proxy_aborted").unwrap_or(0);
    let whole = mirrored - cut_off.min(connections);
    for (pointer, expected) in [
        ("/capture/kernel_drops", 0),
        ("/capture/gaps", 0),
        ("/pairs/diverged", 0),
        ("/pairs/compared", whole),
        ("/pairs/matched", whole),
        ("/accounts/primary/seen", mirrored),
        ("/accounts/shadow/seen", mirrored),
        ("/accounts/primary/outcomes/compared", whole),
        ("/accounts/shadow/outcomes/compared", whole),
    ] {
        if number(pointer) != Some(expected) {
            let found = service.pointer(pointer);
            let rest = (&service["accounts"], &service["pairs"], &service["capture"]);
            return Err(format!("{pointer}: {found:?} instead of {expected}: {rest:#?}").into());
        }
    }
    Ok(())
}

/// Where a tap is put.
struct Scene<'a> {
    directory: &'a Path,
    primary: &'a Backend,
    shadow: &'a Backend,
}

impl Scene<'_> {
    /// Starts `tapdiff run` with its default settings; returns when it captures.
    fn tap(&self, name: &str) -> Result<Tap> {
        let (config, store) = (self.file(name, "toml"), self.file(name, "db"));
        let log = self.file(name, "log");
        let (primary, shadow) = (self.primary.address(), self.shadow.address());
        fs::write(
            &config,
            format!(
                "[capture]\ninterfaces = [\"lo\"]\n[http]\nlisten = \"\"\n[store]\npath = {store:?}\n[[service]]\n\
                 name = \"bench\"\nprimary = [\"{primary}\"]\nshadow = [\"{shadow}\"]\n"
            ),
        )?;
        let child = Command::new(env!("CARGO_BIN_EXE_tapdiff"))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut tap = Tap { child, store };
        edge::wait_for("tapdiff to capture", || {
            tap.child.try_wait()?.map_or(Ok(()), |_| {
                Err(format!("tapdiff ended: {}", fs::read_to_string(&log).unwrap_or_default()))
            })?;
            Ok(fs::read_to_string(&log)?.contains("capturing").then_some(()))
        })?;
        Ok(tap)
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.directory.join(name).with_extension(extension)
    }
}

/// A running `tapdiff run`. Killed when dropped.
struct Tap {
    child: Child,
    store: PathBuf,
}

impl Tap {
    /// Processor time of all its threads so far.
    fn cpu(&mut self) -> Result<Duration> {
        edge::cpu(self.child.id())
    }

    /// Ends it as an operator would, and gives its report.
    fn stop(mut self) -> Result<Value> {
        edge::terminate(&mut self.child)?;
        let report = Command::new(env!("CARGO_BIN_EXE_tapdiff"))
            .args(["report", "--format", "json", "--store"])
            .arg(&self.store)
            .output()?;
        Ok(serde_json::from_slice(&report.stdout)?)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn from_environment(name: &str, default: u32) -> Result<u32> {
    match std::env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name}={value}: not a number").into()),
        Err(_) => Ok(default),
    }
}
