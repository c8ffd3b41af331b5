//! Rules: proposed from what was stored, tried on it, and those of a run that want a look. Offline,
//! from a capture whose differences are known.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::tapdiff::{tapdiff, text};
use crate::support::workspace_root;

const SERVICE: &str = "[[service]]\nname = \"shop\"\nprimary = [\"10.9.1.11:8080\"]\n\
    shadow = [\"10.9.1.12:8080\"]\n";

/// A folder with a store of 138 pairs, all of which name their backend, and 8 of which diverge
/// otherwise: one by its status, where nothing else is looked at.
struct History {
    dir: TempDir,
}

impl History {
    fn new(rules: &str) -> Self {
        let history = Self { dir: TempDir::new().unwrap() };
        let config = history.file("config.toml", &format!("{SERVICE}{rules}"));
        let mut analyze = tapdiff();
        analyze.arg("analyze").arg("--config").arg(config).arg("--store").arg(history.store());
        text(analyze.arg(workspace_root().join("tests/pcaps/envoy/pcaps/h1_mix.pcap")));
        history
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("tapdiff.db")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut run = tapdiff();
        run.args(command).arg("--store").arg(self.store());
        run
    }

    /// The answer about these rules.
    fn tried(&self, rules: &str) -> Value {
        let file = self.file("rules.toml", rules);
        let said = text(self.command(&["rules", "try", "--format", "json"]).arg(file));
        serde_json::from_str::<Value>(&said).unwrap()["services"][0].clone()
    }
}

/// It ended with `status`, printed nothing, and said one sentence with all of `wanted`.
fn refused(output: &Output, status: i32, wanted: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(wanted.iter().all(|text| said.contains(text)), "{wanted:?} in: {said}");
}

#[test]
fn what_is_proposed_can_be_tried_and_leaves_what_is_wrong() {
    let history = History::new("");
    let suggested = text(&mut history.command(&["rules", "suggest"]));
    assert!(suggested.contains("# It explains 137 differences in 137 pairs:"), "{suggested}");
    assert!(suggested.contains("# e.g. primary -> shadow\n"), "{suggested}");
    assert!(suggested.contains("ignore = \"header:x-backend\"\n"), "{suggested}");
    assert!(!suggested.contains("price") && !suggested.contains("status"), "{suggested}");

    let tried = history.tried(&suggested);
    assert_eq!(tried["pairs"]["before"], 138, "{tried}");
    assert_eq!((&tried["pairs"]["after"], &tried["pairs"]["undecided"]), (&8.into(), &0.into()));
    // A run with them comes to the same.
    let rules: String = suggested
        .lines()
        .skip_while(|line| !line.starts_with("[[service.rule"))
        .map(|line| format!("{line}\n"))
        .collect();
    let with = History::new(&rules);
    let report = text(&mut with.command(&["report", "--format", "json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    let with = &report["services"][0];
    assert_eq!(with["pairs"]["diverged"], 8);
    let ids = |of: &Value| -> Vec<String> {
        let all = of.as_array().unwrap().iter();
        let mut ids: Vec<String> = all.map(|of| of["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&with["signatures"]), ids(&tried["remaining"]));

    let file = history.file("suggested.toml", &suggested);
    let said = text(history.command(&["rules", "try"]).arg(file));
    assert!(said.contains("138 diverged (100.0 %); with these rules 8 diverge (5.8 %)"), "{said}");
    assert!(said.contains("note: exact, with the captures at hand: tapdiff analyze"), "{said}");
}

#[test]
fn a_rule_that_explains_nothing_or_all_of_an_endpoint_is_pointed_at() {
    let history = History::new("");
    let tried = history.tried(
        "ignore = [\"header:x-nothing\"]\n[[rule]]\nname = \"all\"\nignore = \"body:\"\n\
         endpoint = \"GET /api/v1/gz/*\"\n[[rule]]\nname = \"fields\"\nignore = \"header:*\"\n",
    );
    let rules = tried["rules"].as_array().unwrap();
    assert_eq!(rules[0]["matches_nothing"], true, "{tried}");
    assert_eq!(rules[1]["rule"], "all");
    assert!(rules[2]["silences"].as_array().unwrap().is_empty(), "{tried}");
    let tried = history.tried(
        "[[rule]]\nname = \"all\"\nignore = \"body:\"\n[[rule]]\nname = \"fields\"\n\
         ignore = \"header:*\"\n",
    );
    assert_eq!(tried["pairs"]["after"], 1, "only the status is left: {tried}");
    let without = History::new("ignore = [\"header:x-backend\"]\n");
    let tried = without.tried("ignore = [\"body:\"]\n");
    let silenced = tried["rules"][0]["silences"].as_array().unwrap();
    assert!(silenced.contains(&"GET /api/v1/items/{id}".into()), "{tried}");
}

#[test]
fn rules_that_cannot_be_tried_say_where_and_why() {
    let history = History::new("");
    let run = |file: &str, more: &[&str]| {
        let mut run = history.command(&["rules", "try"]);
        run.arg(history.dir.path().join(file)).args(more).output().unwrap()
    };
    refused(&run("missing.toml", &[]), 2, &["missing.toml: cannot be read"]);
    history.file("none.toml", "this is no TOML\n");
    refused(&run("none.toml", &[]), 2, &["none.toml:1: "]);
    history.file(
        "both.toml",
        "[[rule]]\nsort = \"body:/a\"\n\n[[rule]]\nkey = \"body:/a\"\nby = \"/id\"\n",
    );
    refused(&run("both.toml", &[]), 2, &["both.toml:4: ", "contradicts"]);
    history.file("other.toml", "[[service]]\nname = \"cart\"\nignore = [\"header:a\"]\n");
    refused(&run("other.toml", &[]), 2, &["no service of it is stored", "cart", "there is shop"]);
    history.file("good.toml", "ignore = [\"header:a\"]\n");
    refused(&run("good.toml", &["--service", "cart"]), 1, &["nothing of 'cart'", "there is shop"]);
    refused(&run("good.toml", &["--release", "v9"]), 1, &["--release: nothing of it", "there is"]);
    let mut nowhere = tapdiff();
    nowhere.args(["rules", "suggest", "--store", "/nowhere/tapdiff.db"]);
    refused(&nowhere.output().unwrap(), 4, &["/nowhere/tapdiff.db"]);
    let share = history.command(&["rules", "suggest", "--min-share", "2"]).output().unwrap();
    refused(&share, 2, &["a share from 0 to 1"]);
    // What was hardly meant is a warning.
    history.file("whole.toml", "ignore = [\"body:\"]\n");
    let output = run("whole.toml", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("whole.toml:1: the rule 'body:' ignores"));
}

#[test]
fn nothing_is_proposed_where_nothing_looks_like_noise() {
    let history = History::new("ignore = [\"header:x-backend\", \"body:/**/server\"]\n");
    let said = text(&mut history.command(&["rules", "suggest"]));
    assert!(said.contains("# Nothing in it looks like noise"), "{said}");
    assert!(!said.contains("[[service"), "{said}");
}

#[test]
fn the_report_of_a_run_names_rules_that_want_a_look() {
    let history = History::new(
        "ignore = [\"header:x-backend\", \"header:x-unheard-of\"]\n\
         [[service.rule]]\nname = \"old\"\nignore = \"header:x-old\"\nuntil = 2020-01-01\n\
         [[service.rule]]\nname = \"all\"\nignore = \"body:\"\n",
    );
    let report = text(&mut history.command(&["report", "--format", "json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    let alarms = report["services"][0]["alarms"].as_array().unwrap().iter();
    let alarms: Vec<_> = alarms
        .map(|alarm| [&alarm["rule"], &alarm["why"]].map(|of| of.as_str().unwrap()))
        .collect();
    assert_eq!(
        alarms,
        [["header:x-unheard-of", "never_fired"], ["old", "expired"], ["all", "silences_body"]]
    );
    let said = text(&mut history.command(&["report"]));
    assert!(said.contains("the rule 'header:x-unheard-of' explained nothing"), "{said}");
    let mut check = tapdiff();
    let said = text(check.arg("check-config").arg(history.dir.path().join("config.toml")));
    assert!(said.contains("# warning: ") && said.contains("'old' no longer holds"), "{said}");
}
