//! The captures as they are: agreed files pass, and every other one is explained.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;

use crate::shared::{Corpus, Entry, Verdict};

#[test]
fn every_agreed_capture_passes() {
    let Some(corpus) = Corpus::find() else { return };
    for part in ["public", "envoy"] {
        let (entries, verdict) = judged(&corpus, part);
        let failed: Vec<_> = entries
            .iter()
            .filter(|entry| entry.agreed)
            .filter(|entry| verdict.files[&entry.name]["pass"] != true)
            .map(|entry| verdict.files[&entry.name].to_string())
            .collect();
        assert!(failed.is_empty(), "{part}:\n{}", failed.join("\n"));
        eprintln!("{part}: {}", verdict.totals);
    }
}

#[test]
fn every_other_capture_is_explained_as_it_is() {
    let Some(corpus) = Corpus::find() else { return };
    let explained = explained();
    let mut disputed = BTreeSet::new();
    for part in ["public", "envoy"] {
        let (entries, verdict) = judged(&corpus, part);
        for entry in entries.into_iter().filter(|entry| !entry.agreed) {
            let result = &verdict.files[&entry.name];
            let passes = explained.get(&entry.name);
            let passes =
                passes.unwrap_or_else(|| panic!("DISPUTED.md has no row for {}", entry.name));
            assert_eq!(result["pass"] == true, *passes, "{}: {result}", entry.name);
            // Also where the truth is in doubt nothing is invented.
            assert_eq!(result["spurious"].as_array().map(Vec::len), Some(0), "{}", entry.name);
            disputed.insert(entry.name);
        }
    }
    let rows: BTreeSet<String> = explained.into_keys().collect();
    let others: Vec<_> = rows.difference(&disputed).collect();
    assert!(others.is_empty(), "rows of files that are not disputed: {others:?}");
}

/// The captures of a part that are read, and the checker's verdict on what came of them.
fn judged(corpus: &Corpus, part: &str) -> (Vec<Entry>, Verdict) {
    let folder = TempDir::new().unwrap();
    let into = folder.path().join("exchanges.jsonl");
    let entries = corpus.entries(part);
    for entry in &entries {
        match entry.keylog.as_deref() {
            Some(keys) => corpus.exchanges(&[Path::new("--keylog"), keys, &entry.path], &into),
            None => corpus.exchanges(&[&entry.path], &into),
        }
    }
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let index = corpus.root.join(part).join("index.csv");
    let options = ["--index", index.to_str().unwrap()];
    let verdict = corpus.check(&[part], &into, &names, &options);
    (entries, verdict)
}

/// The rows of DISPUTED.md: whether the checker passes the file.
fn explained() -> BTreeMap<String, bool> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pcaps/DISPUTED.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.map(|row| {
        let (name, rest) = row.split_once("` | ").unwrap();
        let checker = rest.split(" | ").next().unwrap();
        assert!(matches!(checker, "passes" | "differs"), "{row}");
        (name.to_owned(), checker == "passes")
    });
    let explained: BTreeMap<_, _> = rows.collect();
    assert!(!explained.is_empty());
    explained
}
