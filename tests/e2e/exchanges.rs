//! `tapdiff exchanges` held against truth that tshark, Zeek and Suricata made, by the corpus's own
//! checker.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{corpus, tapdiff, workspace_root};

#[test]
fn every_exchange_of_whole_captures_is_told_as_three_other_programs_told_it() {
    let whole = [
        "h1_any_bridge_duplicates.pcap",
        "h1_any_sll2.pcap",
        "h1_ipv6_lo.pcap",
        "h1_large_loss.pcap",
        "h1_large_mtu.pcap",
        "h1_large_tso.pcap",
        "h1_lo.pcap",
        "h1_loss.pcap",
        "h1_midstream.pcap",
        "h1_mix.pcap",
        "h1_mix.pcapng",
        "h1_nsec.pcap",
        "h1_retry.pcap",
        "h1_rot_0.pcap",
        "h1_rot_1.pcap",
        "h1_vlan100.pcap",
        "h1_zipkin_tracing.pcap",
        "haproxy_mirror.pcap",
        "nginx_mirror.pcap",
        "nginx_mirror_truncated_shadow.pcap",
    ];
    check(&whole, "full");
}

#[test]
fn what_is_told_of_damaged_captures_is_never_wrong() {
    check(&["h1_gaps.pcap", "h1_snap128.pcap"], "subset");
}

/// Prints the exchanges of each file and runs the checker over all of them.
fn check(files: &[&str], mode: &str) {
    let checker = corpus().join("check.py");
    let envoy = workspace_root().join("tests/pcaps/envoy");
    let printed: String =
        files.iter().map(|file| tapdiff::exchanges(&envoy.join("pcaps").join(file))).collect();
    assert!(!printed.is_empty());
    let dir = TempDir::new().unwrap();
    let out = dir.path().join("exchanges.jsonl");
    std::fs::write(&out, printed).unwrap();
    let (passes, said) = run_checker(&checker, &envoy, &out, &files.join(","), mode);
    assert!(passes, "{said}");
}

fn run_checker(
    checker: &Path,
    truth: &Path,
    out: &Path,
    files: &str,
    mode: &str,
) -> (bool, String) {
    let output = Command::new("python3")
        .arg(checker)
        .arg(truth.join("truth.jsonl"))
        .arg(out)
        .arg("--index")
        .arg(truth.join("index.csv"))
        .args(["--files", files, "--mode", mode, "-v"])
        .output()
        .unwrap_or_else(|e| panic!("cannot run python3: {e}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
