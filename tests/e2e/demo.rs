//! `tapdiff demo`, as a person who has just built it runs it.

use serde_json::Value;
use tempfile::TempDir;

use crate::support::report::{assert_accounts_close, number, signatures, suppressed};
use crate::support::{require_root, tapdiff};

#[test]
fn the_demo_reports_what_it_played_and_leaves_a_store_to_look_into() {
    require_root();
    let dir = TempDir::new().unwrap();
    let store = dir.path().join("demo.db");
    let mut command = tapdiff::tapdiff();
    command.args(["demo", "--format", "json", "--store"]).arg(&store);
    // Its own check of the report against what was played decides the exit status.
    let demo: Value = serde_json::from_str(&tapdiff::text(&mut command)).unwrap();

    assert_accounts_close(&demo);
    assert_eq!(number(&demo, "/pairs/compared"), 600);
    let found = signatures(&demo);
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found.values().sum::<u64>(), number(&demo, "/pairs/diverged"));
    let rules = suppressed(&demo);
    for noise in ["body:/**/generated_at", "header:etag", "header:x-backend", "profile:envoy"] {
        assert!(rules.contains_key(noise), "{noise} is played and left out: {rules:?}");
    }

    let mut report = tapdiff::tapdiff();
    report.args(["report", "--format", "json", "--store"]).arg(&store);
    let kept: Value = serde_json::from_str(&tapdiff::text(&mut report)).unwrap();
    assert_eq!(kept, demo, "the store gives the same report");

    for signature in demo["services"][0]["signatures"].as_array().unwrap() {
        let id = signature["id"].as_str().unwrap();
        let shown = tapdiff::text(tapdiff::tapdiff().args(["show", id, "--store"]).arg(&store));
        let path = signature["path"].as_str().unwrap();
        for wanted in [id, path, "- primary", "+ shadow", "Request", "Response"] {
            assert!(shown.contains(wanted), "{wanted} is not in:\n{shown}");
        }
    }
}
