//! The captures with packets lost, doubled, moved, cut: nothing is invented, and nothing is wrong.
//!
//! Times are left out: where the first copy of a packet is lost, the second one's time is what the
//! tap saw. The checker pairs like requests of one connection in their order: where the first of two
//! is lost it holds the second against it, which some seeds (`TAPDIFF_SEEDS`) bring about.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::shared::{Corpus, Entry};

/// What is done to the captures, and whether everything must be found nevertheless.
const DAMAGE: [(&str, bool); 22] = [
    ("drop-0.1", false),
    ("drop-1", false),
    ("drop-5", false),
    ("drop-20", false),
    ("dup-5", true),
    ("dup-20-late", true),
    ("dup-all", true),
    ("reorder-5-w2", true),
    // Packets of seconds ago: some come after what a hole is given (`Limits::reorder_timeout`).
    ("reorder-20-w8-restamp", false),
    ("reorder-50-w30", false),
    ("snap-54", false),
    ("snap-96", false),
    ("snap-200", false),
    ("snap-1000", false),
    ("midstream-1", false),
    ("midstream-3", false),
    ("midstream-20", false),
    ("early-stop-20", false),
    ("jitter-1ms", true),
    ("jitter-500ms", true),
    ("clock-back-1h", true),
    ("mixed", false),
];

/// `TAPDIFF_SEEDS=1,2,3` for more.
const SEEDS: &str = "1,2";

/// Captures above this are left out, to bound the time it takes.
const LARGEST_BYTES: u64 = 100_000;

#[test]
fn damage_invents_nothing_and_makes_nothing_wrong() {
    let Some(corpus) = Corpus::find() else { return };
    let entries: Vec<_> = ["public", "envoy"]
        .into_iter()
        .flat_map(|part| corpus.entries(part))
        .filter(is_plain_http1)
        .collect();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert!(names.len() > 100, "{}", names.len());
    let seeds = std::env::var("TAPDIFF_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    for (damage, finds_all) in DAMAGE {
        let folder = TempDir::new().unwrap();
        for damaged in damage_all(&corpus, &entries, damage, &seeds, folder.path()) {
            let into = folder.path().join("exchanges.jsonl");
            let _ = std::fs::remove_file(&into);
            let captures: Vec<_> = entries.iter().map(|entry| damaged.join(&entry.name)).collect();
            let captures: Vec<_> = captures.iter().map(PathBuf::as_path).collect();
            corpus.exchanges(&captures, &into);
            let mode = if finds_all { "full" } else { "subset" };
            let options = ["--no-time", "--mode", mode];
            let verdict = corpus.check(&["public", "envoy"], &into, &names, &options);
            let failed: Vec<_> = verdict
                .files
                .values()
                .filter(|file| file["pass"] != true)
                .map(ToString::to_string)
                .collect();
            let what = damaged.file_name().unwrap().to_string_lossy().into_owned();
            assert!(failed.is_empty(), "{what}:\n{}", failed.join("\n"));
            eprintln!("{what}: recall {}", verdict.totals["recall"]);
        }
    }
}

/// HTTP/1 on a link that is read, with something to find.
fn is_plain_http1(entry: &Entry) -> bool {
    let has = |kind: &str| entry.kinds.iter().any(|tag| tag == kind);
    let plain_link = ["link:EN10MB", "link:NULL", "link:LINUX_SLL"].into_iter().any(has);
    let tunnel = ["gtp", "teredo", "vxlan", "geneve", "gre", "erspan", "pppoe", "mpls"];
    entry.agreed
        && has("http1")
        && plain_link
        && !tunnel.into_iter().any(has)
        && entry.keylog.is_none()
        && entry.required > 0
        && entry.bytes <= LARGEST_BYTES
}

/// Writes every capture damaged: one folder a seed.
fn damage_all(
    corpus: &Corpus,
    entries: &[Entry],
    damage: &str,
    seeds: &str,
    into: &Path,
) -> Vec<PathBuf> {
    let output = Command::new("python3")
        .arg(corpus.root.join("mutate.py"))
        .arg("set")
        .arg(into.join("damaged"))
        .args(entries.iter().map(|entry| &entry.path))
        .args(["--variants", damage, "--seeds", seeds])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folders = std::fs::read_dir(into.join("damaged")).unwrap();
    let mut folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    folders
}
