//! The program under test, started as a person would start it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::place::Place;
use super::process::Process;
use super::shop::IGNORE;

/// The binary.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tapdiff");

/// A `tapdiff run` that captures. Killed when dropped.
pub(crate) struct Daemon {
    process: Process,
    store: PathBuf,
    dir: TempDir,
}

impl Daemon {
    /// Starts it in `place` on `interfaces`, with more lines of `[capture]` in `settings`, and
    /// returns when it captures.
    pub(crate) fn start(
        place: &Place,
        interfaces: &[&str],
        settings: &str,
        primary: SocketAddr,
        shadow: SocketAddr,
    ) -> Self {
        Self::start_with(place, interfaces, settings, &[], primary, shadow)
    }

    /// The same, with a descriptor set of the service's messages, unless it is empty.
    pub(crate) fn start_with(
        place: &Place,
        interfaces: &[&str],
        settings: &str,
        descriptor_set: &[u8],
        primary: SocketAddr,
        shadow: SocketAddr,
    ) -> Self {
        super::require_root();
        let dir = TempDir::new().expect("a temporary folder can be made");
        let described = if descriptor_set.is_empty() {
            ""
        } else {
            std::fs::write(dir.path().join("shop.pb"), descriptor_set)
                .expect("a temporary folder can be written to");
            "descriptor_set = \"shop.pb\"\n"
        };
        let config = dir.path().join("tapdiff.toml");
        let store = dir.path().join("tapdiff.db");
        let text = format!(
            "[capture]\ninterfaces = {interfaces:?}\n{settings}\n[store]\npath = {store:?}\n[http]\nlisten = \"\"\n\n\
             [[service]]\nname = \"shop\"\nprimary = [\"{primary}\"]\nshadow = [\"{shadow}\"]\n\
             mirror = \"envoy\"\npair_by = [\"header:x-request-id\"]\nignore = {IGNORE:?}\n{described}"
        );
        std::fs::write(&config, text).expect("a temporary folder can be written to");
        let mut process = Process::start(
            "tapdiff run",
            place.command(BINARY).arg("run").arg("--config").arg(&config),
        );
        process.wait_for_line("capturing");
        Self { process, store, dir }
    }

    /// Waits until it has read so many exchanges off the wire: keys of TLS come late.
    pub(crate) fn wait_for_exchanges(&self, expected: usize) {
        super::wait_for(&format!("{expected} exchanges to be read"), || {
            let mut command = tapdiff();
            command.args(["report", "--format", "json", "--store"]).arg(&self.store);
            let report: Value = serde_json::from_slice(&command.output().ok()?.stdout).ok()?;
            let read = report.pointer("/services/0/capture/exchanges")?.as_object()?;
            let sum: u64 = read.values().filter_map(Value::as_u64).sum();
            (sum == expected as u64).then_some(())
        });
    }

    /// Stops it as an operator would, and gives the store that it leaves.
    pub(crate) fn stop(self) -> Store {
        self.stop_and_say().0
    }

    /// The same, with what it wrote to standard error.
    pub(crate) fn stop_and_say(self) -> (Store, String) {
        let (status, said) = self.process.stop(Signal::TERM);
        assert!(status.success(), "tapdiff run ended with {status} on SIGTERM:\n{said}");
        (Store { path: self.store, dir: self.dir }, said)
    }

    /// Takes every processor from it, until [`Daemon::thaw`].
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::STOP);
        super::wait_for("tapdiff to stand still", || {
            self.process.threads().iter().all(|&state| state == 'T').then_some(())
        });
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Where its store is.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Waits until a line of its standard error contains `text`.
    pub(crate) fn wait_for_line(&mut self, text: &str) {
        self.process.wait_for_line(text);
    }
}

/// What a daemon left behind.
pub(crate) struct Store {
    path: PathBuf,
    dir: TempDir,
}

impl Store {
    /// The report alone.
    pub(crate) fn plain_report(&self) -> Value {
        json(tapdiff().args(["report", "--format", "json", "--store"]).arg(&self.path))
    }

    /// The report, with Envoy's counters beside it.
    pub(crate) fn report(&self, envoy_stats: &str) -> Value {
        let stats = self.stats_file(envoy_stats);
        json(
            tapdiff()
                .arg("report")
                .arg("--store")
                .arg(&self.path)
                .args(["--format", "json"])
                .arg("--envoy-stats")
                .arg(stats)
                .args(["--envoy-clusters", super::envoy::CLUSTERS]),
        )
    }

    /// The same as text.
    pub(crate) fn report_text(&self, envoy_stats: &str) -> String {
        let stats = self.stats_file(envoy_stats);
        text(
            tapdiff()
                .arg("report")
                .arg("--store")
                .arg(&self.path)
                .args(["--format", "text"])
                .arg("--envoy-stats")
                .arg(stats)
                .args(["--envoy-clusters", super::envoy::CLUSTERS]),
        )
    }

    /// What `tapdiff show` tells of a signature or a pair.
    pub(crate) fn show(&self, id: &str) -> Value {
        json(tapdiff().args(["show", id, "--format", "json", "--store"]).arg(&self.path))
    }

    fn stats_file(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("envoy-stats");
        std::fs::write(&path, text).expect("a temporary folder can be written to");
        path
    }
}

/// `tapdiff analyze` over `captures`, as JSON.
pub(crate) fn analyze(primary: &str, shadow: &str, ignore: &[&str], captures: &[PathBuf]) -> Value {
    json(&mut analyze_command(primary, shadow, ignore, captures))
}

/// The command line of [`analyze`].
pub(crate) fn analyze_command(
    primary: &str,
    shadow: &str,
    ignore: &[&str],
    captures: &[PathBuf],
) -> Command {
    let mut command = tapdiff();
    command.args(["analyze", "--service", "shop", "--primary", primary, "--shadow", shadow]);
    for rule in ignore {
        command.args(["--ignore", rule]);
    }
    command.args(["--format", "json"]).args(captures);
    command
}

/// `tapdiff exchanges` over one capture: JSON lines.
pub(crate) fn exchanges(capture: &Path) -> String {
    text(tapdiff().arg("exchanges").arg(capture))
}

/// The bare command.
pub(crate) fn tapdiff() -> Command {
    Command::new(BINARY)
}

/// Runs `command`, which must succeed, and gives what it printed.
pub(crate) fn text(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} ended with {status}:\n{stderr}");
    String::from_utf8(stdout).expect("tapdiff prints UTF-8")
}

fn json(command: &mut Command) -> Value {
    let text = text(command);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{command:?}: {e}:\n{text}"))
}
