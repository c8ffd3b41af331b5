//! `tapdiff exchanges` held against truth that tshark, Zeek and Suricata made, by the corpus's own
//! checker.

use std::path::PathBuf;
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
    check_against(&truth(), &whole, &["--mode", "full"]);
}

#[test]
fn what_is_told_of_a_capture_with_gaps_is_never_wrong() {
    // h1_gaps is h1_mix without some frames: whatever is told of it has to be true of h1_mix.
    let truth: String = truth()
        .lines()
        .filter(|line| line.contains("\"pcaps/h1_mix.pcap\""))
        .map(|line| line.replace("pcaps/h1_mix.pcap", "pcaps/h1_gaps.pcap") + "\n")
        .collect();
    check_against(&truth, &["h1_gaps.pcap"], &["--mode", "subset"]);
}

#[test]
fn what_is_told_of_packets_cut_short_is_never_wrong() {
    check_against(&truth(), &["h1_snap128.pcap"], &["--mode", "subset"]);
}

fn truth() -> String {
    let path = envoy().join("truth.jsonl");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn envoy() -> PathBuf {
    workspace_root().join("tests/pcaps/envoy")
}

/// Prints the exchanges of each file and runs the checker over all of them.
fn check_against(truth: &str, files: &[&str], arguments: &[&str]) {
    let checker = corpus().join("check.py");
    let printed: String =
        files.iter().map(|file| tapdiff::exchanges(&envoy().join("pcaps").join(file))).collect();
    assert!(!printed.is_empty());
    let dir = TempDir::new().unwrap();
    let (truth_path, out) = (dir.path().join("truth.jsonl"), dir.path().join("exchanges.jsonl"));
    std::fs::write(&truth_path, truth).unwrap();
    std::fs::write(&out, printed).unwrap();
    let output = Command::new("python3")
        .arg(checker)
        .args([&truth_path, &out])
        .arg("--index")
        .arg(envoy().join("index.csv"))
        .args(["--files", &files.join(","), "-v"])
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("cannot run python3: {e}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
