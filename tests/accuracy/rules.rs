//! Rules tried on what was stored: the same as a run with them from the beginning.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::play::Play;

/// Pairs that each endpoint keeps as examples, at least.
const PAIRS: usize = 10;

const SERVICE: &str = "[[service]]\nname = \"shop\"\nprimary = [\"10.9.1.11:8080\"]\n\
    shadow = [\"10.9.1.12:8080\"]\nnoise = []\n";

/// One of each action, for places that vary by themselves and for some that are wrong.
const RULES: &str = r#"
ignore = ["header:x-backend", "header:etag", "body:/**/generated_at", "body:/trace_id"]

[[service.rule]]
tolerate = "body:/score"
absolute = 0.01

[[service.rule]]
tolerate = "body:/cached_until"
within_ms = 60000

[[service.rule]]
normalise = "body:/build"
pattern = '\+[0-9a-f]{7}$'

[[service.rule]]
sort = "body:/facets"

[[service.rule]]
sort = "body:/labels"

[[service.rule]]
key = "body:/lines"
by = "/sku"

[[service.rule]]
name = "pages"
endpoint = "GET /pages/*"
normalise = "body:"
pattern = 'w-[0-9a-f]{6}|generated .*'

[[service.rule]]
name = "served is other for a while"
ignore = "header:x-served"
until = 2025-10-09T08:53:20.030Z
"#;

/// Folder of one play, analysed.
struct Trial {
    folder: tempfile::TempDir,
}

impl Trial {
    fn new(capture: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("edge.pcap"), capture).unwrap();
        std::fs::write(folder.path().join("without.toml"), SERVICE).unwrap();
        std::fs::write(folder.path().join("with.toml"), format!("{SERVICE}{RULES}")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The service in the report of a run with this configuration.
    fn analysed(&self, config: &str, store: &str) -> Value {
        let mut run = Command::new(env!("CARGO_BIN_EXE_tapdiff"));
        run.args(["analyze", "--format", "json", "--config"]).arg(self.path(config));
        run.arg("--store").arg(self.path(store)).arg(self.path("edge.pcap"));
        json(&mut run)["services"][0].clone()
    }

    /// The service in the answer about the rules in `file`.
    fn tried(&self, file: &Path, store: &str) -> Value {
        let mut run = Command::new(env!("CARGO_BIN_EXE_tapdiff"));
        run.args(["rules", "try", "--format", "json"]).arg(file);
        json(run.arg("--store").arg(self.path(store)))["services"][0].clone()
    }
}

fn json(command: &mut Command) -> Value {
    let run = command.output().unwrap();
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}

fn number(of: &Value, path: &str) -> u64 {
    of.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {of}"))
}

/// Differences by signature, and of how many it cannot be told.
fn left(tried: &Value) -> BTreeMap<String, (u64, u64)> {
    let signatures = tried["remaining"].as_array().unwrap().iter();
    signatures
        .map(|of| {
            let counts = (number(of, "/differences/after"), number(of, "/differences/undecided"));
            (of["id"].as_str().unwrap().to_owned(), counts)
        })
        .collect()
}

/// What is told is what a run with the rules finds; of what cannot be told, how much there is.
fn as_in_a_run_with_them(tried: &Value, with: &Value) -> u64 {
    let (after, untold) = (number(tried, "/pairs/after"), number(tried, "/pairs/undecided"));
    let diverged = number(with, "/pairs/diverged");
    assert!((after..=after + untold).contains(&diverged), "{after}, {untold}: {diverged} diverge");
    let mut left = left(tried);
    let untold = number(tried, "/differences/undecided");
    for signature in with["signatures"].as_array().unwrap() {
        let count = number(signature, "/count");
        let id = signature["id"].as_str().unwrap();
        let (after, _) = left.remove(id).unwrap_or_default();
        // What cannot be told may turn out to be another difference.
        assert!((after..=after + untold).contains(&count), "{after}, {untold}: {signature}");
    }
    left.retain(|_, (after, _)| *after > 0);
    assert!(left.is_empty(), "not found by a run with the rules: {left:?}");
    untold
}

#[test]
fn rules_that_are_tried_find_what_a_run_with_them_finds() {
    let (mut differences, mut untold) = (0, 0);
    for seed in 0..12 {
        let trial = Trial::new(&Play::short(PAIRS, seed).capture);
        let without = trial.analysed("without.toml", "without.db");
        let with = trial.analysed("with.toml", "with.db");
        let tried = trial.tried(&trial.path("with.toml"), "without.db");
        assert_eq!(number(&tried, "/pairs/before"), number(&without, "/pairs/diverged"));
        assert!(number(&with, "/pairs/diverged") > 0);
        differences += number(&tried, "/differences/before");
        untold += as_in_a_run_with_them(&tried, &with);
        // Nothing is stored by trying.
        let again = trial.tried(&trial.path("with.toml"), "without.db");
        assert_eq!(tried, again);
    }
    eprintln!("{differences} differences, {untold} of which cannot be told");
    // Texts whose bytes are no UTF-8 are not kept.
    assert!(untold * 50 < differences, "{untold} of {differences} cannot be told");
}

#[test]
fn of_pairs_that_are_no_examples_what_is_told_is_so_too() {
    let trial = Trial::new(&Play::short(400, 1).capture);
    trial.analysed("without.toml", "without.db");
    let with = trial.analysed("with.toml", "with.db");
    let tried = trial.tried(&trial.path("with.toml"), "without.db");
    let untold = as_in_a_run_with_them(&tried, &with);
    eprintln!("{untold} of {} cannot be told", number(&tried, "/differences/before"));
}

#[test]
fn what_is_suggested_explains_what_it_says() {
    let trial = Trial::new(&Play::short(400, 2).capture);
    let before = trial.analysed("without.toml", "without.db");
    let suggest = |format: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_tapdiff"));
        run.args(["rules", "suggest", "--format", format, "--store"]).arg(trial.path("without.db"));
        run.output().unwrap().stdout
    };
    let file = trial.path("suggested.toml");
    std::fs::write(&file, suggest("text")).unwrap();
    let said: Value = serde_json::from_slice(&suggest("json")).unwrap();
    let tried = trial.tried(&file, "without.db");
    let counts = |rules: &Value, name: &str| -> Vec<(String, u64, u64)> {
        let rules = rules.as_array().unwrap().iter();
        rules
            .map(|rule| {
                let name = rule[name].as_str().unwrap().to_owned();
                (name, number(rule, "/differences"), number(rule, "/pairs"))
            })
            .collect()
    };
    let said = counts(&said["services"][0]["rules"], "name");
    assert_eq!(said, counts(&tried["rules"], "rule"));
    let names: Vec<&str> = said.iter().map(|(name, _, _)| &**name).collect();
    eprintln!("{names:#?}");
    for expected in [
        "fresh tokens: body:/trace_id",
        "fresh tokens: body:/build",
        "names of machines: header:x-backend",
        "times near each other: body:/cached_until",
    ] {
        assert!(names.contains(&expected), "{expected} in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("status") || name.contains("price")));
    assert!(number(&tried, "/pairs/before") == number(&before, "/pairs/diverged"));
}
