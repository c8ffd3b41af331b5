//! The verdict, what is left out of it, and whom it speaks of: offline, from a capture whose
//! differences are known, and over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::Process;
use crate::support::tapdiff::{tapdiff, text};
use crate::support::workspace_root;

/// Everything but divergences is off, and few pairs are enough.
const GATE: &str = "[gate]\npairs_min = 100\nunmirrored_max = 1\n\
    [gate.service]\ndivergence_rate = 0.1\nerror_increase = false\nlatency = false\n\
    body_size_ratio = false\n\
    [gate.endpoint]\ndivergence_rate = false\nerror_increase = false\nlatency = false\n";

/// A folder with a configuration, and a store made with it: 138 pairs, of which 8 diverge.
struct Trial {
    dir: TempDir,
}

impl Trial {
    fn new() -> Self {
        let trial = Self { dir: TempDir::new().unwrap() };
        let service = "[[service]]\nname = \"shop\"\nprimary = [\"10.9.1.11:8080\"]\n\
            shadow = [\"10.9.1.12:8080\"]\nrelease_header = \"x-backend\"\nmirror_share = 0.6\n\
            ignore = [\"header:x-backend\", \"body:/**/server\", \"body:/**/generated_at\", \
            \"header:x-unheard-of\"]\n";
        std::fs::write(trial.config(), format!("{GATE}{service}")).unwrap();
        let capture = workspace_root().join("tests/pcaps/envoy/pcaps/h1_mix.pcap");
        let mut analyze = tapdiff();
        analyze.arg("analyze").arg("--config").arg(trial.config()).arg("--store");
        text(analyze.arg(trial.store()).arg(capture));
        trial
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("tapdiff.toml")
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("tapdiff.db")
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let mut run = tapdiff();
        run.arg(command).arg("--store").arg(self.store()).args(arguments).output().unwrap()
    }

    fn gate(&self, arguments: &[&str]) -> Output {
        let config = self.config();
        self.run("gate", &[&["--config", config.to_str().unwrap()], arguments].concat())
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let output = self.run("report", &[&["--format", "json"], arguments].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn signatures(&self) -> Vec<String> {
        let report = self.report(&[]);
        let signatures = report["services"][0]["signatures"].as_array().unwrap();
        signatures.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    }

    fn acknowledge(&self, signature: &str, more: &[&str]) -> Output {
        self.run("ack", &[&[signature, "--reason", "new prices", "--by", "alice"], more].concat())
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The command ended with `status`, printed nothing, and said one sentence with all of `wanted`.
fn refused(output: &Output, status: i32, wanted: &[&str]) {
    let (printed, said) = said(output);
    assert_eq!(code(output), status, "{said}");
    assert!(printed.is_empty(), "{printed}");
    assert!(wanted.iter().all(|text| said.contains(text)), "{wanted:?} in: {said}");
}

#[test]
fn the_verdict_changes_as_differences_are_acknowledged() {
    let trial = Trial::new();
    let fails = trial.gate(&["--max-divergence-rate", "0.005"]);
    assert_eq!(code(&fails), 1, "{:?}", said(&fails));
    let (printed, nothing) = said(&fails);
    assert!(printed.starts_with("shop: fail\n") && nothing.is_empty(), "{printed}{nothing}");
    assert!(printed.contains("service: 8 of 138 pairs diverge: 5.797 %"), "{printed}");
    assert!(printed.contains("release shadow against primary"), "{printed}");

    let open = trial.gate(&[]);
    assert_eq!(code(&open), 3, "{:?}", said(&open));
    for signature in trial.signatures() {
        let output = trial.acknowledge(&signature, &["--until", "30d"]);
        assert_eq!(code(&output), 0, "{:?}", said(&output));
    }
    let passes = trial.gate(&[]);
    assert_eq!(code(&passes), 0, "{:?}", said(&passes));
    assert!(said(&passes).0.contains("0 of 138 pairs diverge, without 8 acknowledged"));

    let first = &trial.signatures()[0];
    let report = trial.report(&[]);
    let signature = &report["services"][0]["signatures"][0];
    assert_eq!(signature["acknowledged"], true);
    assert_eq!(signature["acknowledgement"]["by"], "alice");
    assert!(said(&trial.run("report", &[])).0.contains("acknowledged"));
    assert!(said(&trial.run("show", &[first])).0.contains("by alice: new prices"));
    assert!(said(&trial.run("ack", &["--list"])).0.contains("new prices"));
    assert_eq!(code(&trial.run("ack", &["--remove", first])), 0);
    assert_eq!(trial.report(&[])["services"][0]["signatures"][0]["acknowledged"], false);
    refused(&trial.run("ack", &["--remove", first]), 1, &[first, "is not acknowledged"]);
}

#[test]
fn an_acknowledgement_that_has_expired_counts_no_longer_and_says_so() {
    let trial = Trial::new();
    for signature in trial.signatures() {
        assert_eq!(code(&trial.acknowledge(&signature, &["--until", "1s"])), 0);
    }
    crate::support::wait_for("the last acknowledgement to expire", || {
        let (list, _) = said(&trial.run("ack", &["--list"]));
        (list.matches("expired 20").count() == trial.signatures().len()).then_some(())
    });
    let (printed, _) = said(&trial.gate(&[]));
    assert!(printed.contains("8 of 138 pairs diverge: 5.797 %"), "{printed}");
    let signature = trial.report(&[])["services"][0]["signatures"][0].clone();
    assert_eq!(signature["acknowledged"], false);
    assert_eq!(signature["acknowledgement"]["expired"], true);
    assert!(said(&trial.run("report", &[])).0.contains("acknowledgement expired"));
    assert!(said(&trial.run("ack", &["--list"])).0.contains("expired 20"));
}

#[test]
fn the_verdict_as_json_has_its_reasons_with_their_numbers() {
    let trial = Trial::new();
    let output = trial.gate(&["--format", "json", "--service", "shop"]);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["schema"], 1);
    assert_eq!(
        (&verdict["verdict"], &verdict["service"]),
        (&"inconclusive".into(), &"shop".into())
    );
    assert_eq!(verdict["config_digest"].as_str().unwrap().len(), 16);
    let reason = &verdict["reasons"][0];
    assert_eq!(reason["check"], "divergence");
    assert_eq!((&reason["pairs"], &reason["limit"]), (&138.into(), &0.1.into()));
    assert_eq!(reason["interval"].as_array().unwrap().len(), 2);
    assert!(reason["missing"].as_str().unwrap().contains("would tell"), "{reason}");
    assert!(reason["sentence"].as_str().unwrap().starts_with("service: 8 of 138 pairs diverge"));
}

#[test]
fn what_is_missing_keeps_it_inconclusive() {
    let trial = Trial::new();
    let wide = ["--max-divergence-rate", "0.3"];
    assert_eq!(code(&trial.gate(&wide)), 0);
    for (flags, wanted) in [
        (&["--min-pairs", "1000"][..], "138 pairs of the 1000 that a pass needs"),
        (&["--require-endpoint", "DELETE /"], "DELETE /: required, and no pair of it was seen"),
        (&["--service", "cart"], "nothing was stored"),
        (&["--release", "v9"], "nothing was stored"),
        (&["--from", "2030-01-01T00:00:00Z"], "nothing was stored"),
    ] {
        let output = trial.gate(&[&wide, flags].concat());
        assert_eq!(code(&output), 3, "{flags:?} {:?}", said(&output));
        assert!(said(&output).0.contains(wanted), "{flags:?} {:?}", said(&output));
    }
}

#[test]
fn wrong_input_is_refused_with_what_to_do() {
    let trial = Trial::new();
    let first = trial.signatures().remove(0);
    let slip = format!("{}{}", &first[..17], if first.ends_with('0') { '1' } else { '0' });
    refused(&trial.acknowledge(&slip, &[]), 1, &[&slip, "was seen", "did you mean", &first]);
    refused(&trial.acknowledge("s-12", &[]), 2, &["'s-12' is no signature"]);
    refused(&trial.acknowledge(&first, &["--until", "2020-01-01"]), 2, &["has passed already"]);
    refused(&trial.acknowledge(&first, &["--until", "soon"]), 2, &["'soon'", "14d"]);
    refused(&trial.run("ack", &[&first, "--reason", " "]), 2, &["--reason is empty"]);
    refused(&trial.run("ack", &[&first]), 2, &["--reason"]);
    refused(&trial.gate(&["--max-divergence-rate", "2"]), 2, &["between 0 and 1"]);
    refused(&trial.gate(&["--max-latency", "p99"]), 2, &["p99=1.1"]);
    refused(&trial.gate(&["--max-latency", "p100=1.1"]), 2, &["quantile must be between"]);
    let nowhere = trial.dir.path().join("nowhere.db");
    let output = tapdiff().arg("gate").arg("--store").arg(&nowhere).output().unwrap();
    refused(&output, 4, &["no store at", "tapdiff run"]);
    let output = tapdiff().args(["ack", &first, "--reason", "x", "--store"]).arg(&nowhere).output();
    refused(&output.unwrap(), 4, &["no store at"]);
    assert!(!nowhere.exists());
}

#[test]
fn releases_mirrored_share_and_rules_without_effect_are_reported() {
    let trial = Trial::new();
    let report = trial.report(&["--release", "primary..shadow"]);
    let shop = &report["services"][0];
    assert_eq!(shop["pairs"]["compared"], 138);
    assert_eq!(shop["releases"][0]["shadow"], "shadow");
    assert_eq!(shop["signatures"][0]["releases"][0]["primary"], "primary");
    refused(&trial.run("report", &["--release", "v9"]), 1, &["--release", "primary..shadow"]);
    // 138 of 220, against 60 %.
    assert_eq!(shop["mirror"]["configured"], 0.6);
    assert_eq!((&shop["mirror"]["of"], &shop["mirror"]["agrees"]), (&220.into(), &true.into()));
    assert_eq!(
        shop["alarms"],
        serde_json::json!([{ "rule": "header:x-unheard-of", "why": "never_fired" }])
    );
    let endpoint = &shop["endpoints"][0];
    assert_eq!(endpoint["difference"]["total"]["count"], endpoint["compared"]);
    assert_eq!(endpoint["mirror_lag"]["count"], endpoint["compared"]);
    assert_eq!(endpoint["shift"].as_array().unwrap().len(), 8);
    let (printed, _) = said(&trial.run("report", &[]));
    for wanted in ["Releases", "Mirrored share", "'header:x-unheard-of' explained nothing"] {
        assert!(printed.contains(wanted), "{wanted} in:\n{printed}");
    }
}

/// A daemon that answers HTTP.
struct Answering {
    process: Process,
    port: u16,
}

impl Answering {
    fn start(config: &Path) -> Self {
        crate::support::require_root();
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let text = std::fs::read_to_string(config).unwrap();
        let head =
            format!("[capture]\ninterfaces = [\"lo\"]\n[http]\nlisten = \"127.0.0.1:{port}\"\n");
        std::fs::write(config, head + &text).unwrap();
        let mut process = Process::start("tapdiff run", &mut Self::command(config));
        process.wait_for_line("capturing");
        Self { process, port }
    }

    fn command(config: &Path) -> Command {
        let mut command = tapdiff();
        command.arg("run").arg("--config").arg(config);
        command.arg("--store").arg(config.with_file_name("tapdiff.db"));
        command
    }

    /// Status and body of the answer to `request`, a whole head.
    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // A head that is too large is answered, and the connection reset, before it is read whole.
        let _ = write!(stream, "{request}\r\nHost: t\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask(&format!("GET {path} HTTP/1.1"));
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[test]
fn the_daemon_answers_with_the_verdict() {
    let trial = Trial::new();
    let daemon = Answering::start(&trial.config());
    assert_eq!(daemon.get("/healthz").0, 200);
    let (status, verdict) = daemon.get("/verdict?service=shop");
    assert_eq!((status, &verdict["verdict"]), (425, &"inconclusive".into()), "{verdict:#}");
    assert_eq!(verdict["reasons"][0]["pairs"], 138);
    // It is one and the same as that of the command line, but for the moment of asking.
    let output = trial.gate(&["--format", "json"]);
    assert_eq!(verdict, serde_json::from_slice::<Value>(&output.stdout).unwrap());
    for signature in trial.signatures() {
        assert_eq!(code(&trial.acknowledge(&signature, &[])), 0);
    }
    crate::support::wait_for("the verdict to be worked out anew", || {
        (daemon.get("/verdict?service=shop&release=shadow").0 == 200
            && daemon.get("/verdict?service=shop").0 == 200)
            .then_some(())
    });
    assert_eq!(daemon.get("/verdict?release=v9").0, 425);
    let (status, said) = daemon.get("/verdict?service=cart");
    assert_eq!(status, 404);
    assert!(said["error"].as_str().unwrap().contains("there is shop"), "{said}");
    assert_eq!(daemon.get("/verdict?servcie=shop").0, 400);
    assert_eq!(daemon.get("/metricz").0, 404);
    assert_eq!(daemon.ask("POST /verdict?service=shop HTTP/1.1").0, 405);
    assert_eq!(daemon.ask(&format!("GET /{} HTTP/1.1", "x".repeat(40_000))).0, 431);

    // A second daemon is told that the port is taken, before it touches anything else.
    let output = Answering::command(&trial.config()).output().unwrap();
    let address = format!("127.0.0.1:{}", daemon.port);
    refused(&output, 4, &["cannot listen on", &address, "[http]"]);

    // Who connects and says nothing keeps nobody from being answered, and not the daemon from
    // stopping.
    let silent: Vec<TcpStream> =
        (0..8).map(|_| TcpStream::connect(("127.0.0.1", daemon.port)).unwrap()).collect();
    assert_eq!(daemon.get("/healthz").0, 200);
    let (status, said) = daemon.process.stop(rustix::process::Signal::TERM);
    assert!(status.success(), "{said}");
    drop(silent);
}
