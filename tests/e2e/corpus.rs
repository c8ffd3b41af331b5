//! `tapdiff analyze` on captures of real proxies: what is reported against what was sent
//! (tests/pcaps/envoy: outcomes.csv, truth.jsonl, README.md).
//!
//! The captures' backends differ by the rules that [`shop`] has too; what must be found in a
//! capture is computed from the requests in its truth, never from tapdiff's output.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::Method;
use serde_json::Value;

use crate::support::expected::Signature;
use crate::support::report;
use crate::support::shop::{self, IGNORE};
use crate::support::{tapdiff, workspace_root};

/// Nothing is missing in these: every exchange is there, and every pair can be judged.
const WHOLE: [&str; 19] = [
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
    "h1_vlan100.pcap",
    "h1_zipkin_tracing.pcap",
    "h2c_mix.pcap",
    "tls12_h1.pcap",
    "tls12_h2.pcap",
    "tls13_h1.pcap",
    "tls13_h2.pcap",
];

#[test]
fn whole_captures_give_the_counts_written_beside_them() {
    for file in WHOLE {
        let outcomes = Outcomes::of(file);
        let report = analyze(&[file]);
        report::assert_accounts_close(&report);

        let unmirrored = outcomes.primary_exchanges - outcomes.pairs;
        assert_eq!(
            outcomes.shadow_exchanges, outcomes.pairs,
            "{file}: every copy has its original"
        );
        let primary = [("compared", outcomes.pairs), ("unmirrored", unmirrored)];
        assert_eq!(report::outcomes(&report, "primary"), not_zero(primary), "{file}");
        assert_eq!(
            report::outcomes(&report, "shadow"),
            not_zero([("compared", outcomes.pairs)]),
            "{file}"
        );
        check_differences(file, &report, &outcomes);
    }
}

#[test]
fn a_capture_rotated_into_two_files_loses_nothing_when_they_are_given_together() {
    let (first, second) = (Outcomes::of("h1_rot_0.pcap"), Outcomes::of("h1_rot_1.pcap"));
    let report = analyze(&["h1_rot_0.pcap", "h1_rot_1.pcap"]);
    report::assert_accounts_close(&report);
    let pairs = first.pairs + second.pairs;
    let seen = first.primary_exchanges + second.primary_exchanges;
    assert_eq!(
        report::outcomes(&report, "primary"),
        not_zero([("compared", pairs), ("unmirrored", seen - pairs)])
    );
    assert_eq!(report::outcomes(&report, "shadow"), not_zero([("compared", pairs)]));
    let mut expected = expected_signatures("h1_rot_0.pcap");
    for (signature, count) in expected_signatures("h1_rot_1.pcap") {
        *expected.entry(signature).or_insert(0) += count;
    }
    assert_eq!(report::signatures(&report), expected);
    let diverged = first.diverged() + second.diverged();
    assert_eq!(report::number(&report, "/pairs/diverged"), diverged);
    assert_eq!(report, analyze(&["h1_rot_1.pcap", "h1_rot_0.pcap"]), "in whatever order");
}

#[test]
fn the_attempts_of_a_retry_are_told_from_the_pair() {
    // Two requests with one copy each; Envoy tried the one that failed three times.
    let outcomes = Outcomes::of("h1_retry.pcap");
    let report = analyze(&["h1_retry.pcap"]);
    report::assert_accounts_close(&report);
    assert_eq!(
        report::outcomes(&report, "primary"),
        not_zero([("compared", 2), ("retried", outcomes.primary_exchanges - 2)])
    );
    assert_eq!(report::outcomes(&report, "shadow"), not_zero([("compared", 2)]));
    check_differences("h1_retry.pcap", &report, &outcomes);
}

#[test]
fn haproxys_mirror_carries_no_id_and_pairs_by_fingerprint() {
    // HAProxy sets the request id on its way to the primary; the copy has left by then.
    let file = "haproxy_mirror.pcap";
    let outcomes = Outcomes::of(file);
    let with = |arguments: &[&str]| -> Value {
        let mut command = analyze_command(&[file], &outcomes);
        let report = serde_json::from_str(&tapdiff::text(command.args(arguments))).unwrap();
        report::assert_accounts_close(&report);
        report
    };
    let by_id = with(&["--mirror", "haproxy"]);
    let unmirrored = not_zero([("unmirrored", outcomes.primary_exchanges)]);
    assert_eq!(report::outcomes(&by_id, "primary"), unmirrored);
    let unkeyed = not_zero([("unkeyed", outcomes.shadow_exchanges)]);
    assert_eq!(report::outcomes(&by_id, "shadow"), unkeyed);

    let by_fingerprint = with(&["--mirror", "haproxy", "--pair-by", "fingerprint"]);
    for leg in ["primary", "shadow"] {
        let compared = not_zero([("compared", outcomes.pairs)]);
        assert_eq!(report::outcomes(&by_fingerprint, leg), compared);
    }
    check_differences(file, &by_fingerprint, &outcomes);
}

#[test]
fn what_the_tap_lost_is_counted_as_incomparable_and_never_reported_as_a_difference() {
    let damaged = [
        "h1_gaps.pcap",
        "h1_snap128.pcap",
        "h1_rot_0.pcap",
        "h1_rot_1.pcap",
        "nginx_mirror.pcap",
        "nginx_mirror_truncated_shadow.pcap",
    ];
    for file in damaged {
        let outcomes = Outcomes::of(file);
        // h1_gaps is h1_mix without some frames: the same was sent.
        let sent_as = if file == "h1_gaps.pcap" { "h1_mix.pcap" } else { file };
        let sent_pairs = Outcomes::of(sent_as).pairs;
        let mut command = analyze_command(&[file], &outcomes);
        if file.starts_with("nginx") {
            command.args(["--mirror", "nginx"]);
        }
        let report: Value = serde_json::from_str(&tapdiff::text(&mut command)).unwrap();
        report::assert_accounts_close(&report);

        // What is found was injected, and no oftener than that.
        let expected = expected_signatures(sent_as);
        for (signature, count) in report::signatures(&report) {
            let sent = expected.get(&signature).copied().unwrap_or(0);
            assert!(count <= sent, "{file}: {signature:?} {count} times, sent {sent} times");
        }

        // Every pair that was sent is compared or incomparable, or one of its halves is seen to
        // be unpaired.
        let judged = report::number(&report, "/pairs/compared")
            + report::counts(&report::service(&report)["pairs"]["incomparable"])
                .values()
                .sum::<u64>();
        let shadow = report::outcomes(&report, "shadow");
        let unpaired: u64 = shadow
            .iter()
            .filter(|(name, _)| !["compared", "incomparable"].contains(&name.as_str()))
            .map(|(_, count)| count)
            .sum();
        assert!(judged <= sent_pairs, "{file}: {judged} pairs of {sent_pairs}");
        assert!(judged + unpaired >= outcomes.pairs, "{file}: {judged} pairs, {shadow:?}");
    }
}

#[test]
fn heads_that_are_whole_pair_even_where_every_body_is_cut() {
    // 128 bytes of each packet hold no whole response head of this traffic, but most request
    // lines: nothing can be compared, and nothing is made up.
    let report = analyze(&["h1_snap128.pcap"]);
    assert_eq!(report::signatures(&report), BTreeMap::new());
    assert_eq!(report::number(&report, "/pairs/diverged"), 0);
}

/// Status, body and noise as outcomes.csv and the rules have them.
fn check_differences(file: &str, report: &Value, outcomes: &Outcomes) {
    let expected = expected_signatures(file);
    let found = report::signatures(report);
    assert_eq!(found, expected, "{file}");

    let sum = |kind: &str, of: &dyn Fn(&Signature) -> bool| -> u64 {
        found.iter().filter(|(s, _)| s.kind == kind && of(s)).map(|(_, n)| n).sum()
    };
    assert_eq!(sum("status", &|_| true), outcomes.status_divergences, "{file}");
    // outcomes.csv leaves the large arrays out.
    let small = |s: &Signature| !s.endpoint.contains("/large/");
    assert_eq!(sum("body", &small), outcomes.body_paths_divergent, "{file}");
    let large = large_pairs(file);
    assert_eq!(report::number(report, "/pairs/diverged"), outcomes.diverged() + large, "{file}");

    // Each pair with noise has it in `x-backend` too; the pair with the other status is not
    // looked into.
    let suppressed = report::suppressed(report);
    let backend = suppressed.get("header:x-backend").copied().unwrap_or(0);
    let same_status = report::number(report, "/pairs/compared") - outcomes.status_divergences;
    assert_eq!(backend, same_status, "{file}: {suppressed:?}");
    for rule in &IGNORE[1..] {
        let count = suppressed.get(*rule).copied().unwrap_or(0);
        assert!(count >= outcomes.pairs_with_noise, "{file}: {rule} in {suppressed:?}");
    }
}

/// The signatures that the rules put into the pairs of a capture.
fn expected_signatures(file: &str) -> BTreeMap<Signature, u64> {
    let mut counts = BTreeMap::new();
    for (method, uri) in pairs(file) {
        let mut add = |kind: &str, path: &str, change: &str, count| {
            let signature = Signature {
                endpoint: shop::endpoint(&method, &uri),
                kind: kind.to_owned(),
                path: path.to_owned(),
                change: change.to_owned(),
            };
            *counts.entry(signature).or_insert(0) += count;
        };
        match uri.as_str() {
            // 132 items on both legs, numbered 0, 1001, 2002, …: three are multiples of 50, two
            // are 1 above a multiple of 100.
            "/api/v1/large/0" => {
                add("body", "/*/price", "value", 3);
                add("body", "/*/tags", "missing", 2);
            }
            // 262 items on the primary, 263 on the shadow, whose documents are shorter: the last
            // is new, and of the items on both legs six and three differ by the rules.
            "/api/v1/large/1" => {
                add("body", "/*", "added", 1);
                add("body", "/*/price", "value", 6);
                add("body", "/*/tags", "missing", 3);
            }
            "/api/v1/notmod/0" => {}
            uri => {
                for difference in shop::differences(&method, uri) {
                    let is_silent = uri.contains("/notmod/") && difference.kind == "body";
                    if !is_silent {
                        add(difference.kind, difference.path, difference.change, 1);
                    }
                }
            }
        }
    }
    counts
}

fn large_pairs(file: &str) -> u64 {
    pairs(file).iter().filter(|(_, uri)| uri.contains("/large/")).count() as u64
}

/// Method and target of every pair in a capture's truth: copies that have an original.
fn pairs(file: &str) -> Vec<(Method, String)> {
    let outcomes = Outcomes::of(file);
    let path = workspace_root().join("tests/pcaps/envoy/truth.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let mut copies = Vec::new();
    let mut originals = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let name = line["file"].as_str().unwrap_or_default();
        if name.rsplit('/').next() != Some(file) {
            continue;
        }
        let (Some(method), Some(uri)) = (line["method"].as_str(), line["uri"].as_str()) else {
            continue;
        };
        let request = (method.to_owned(), uri.to_owned());
        let server = format!("{}:{}", line["dst"].as_str().unwrap(), line["dport"]);
        if server == outcomes.primary {
            *originals.entry(request).or_insert(0_u64) += 1;
        } else {
            copies.push(request);
        }
    }
    copies
        .into_iter()
        .filter(|request| match originals.get_mut(request) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        })
        .map(|(method, uri)| (method.parse().unwrap(), uri))
        .collect()
}

/// A line of outcomes.csv.
struct Outcomes {
    primary: String,
    shadow: String,
    primary_exchanges: u64,
    shadow_exchanges: u64,
    pairs: u64,
    status_divergences: u64,
    pairs_with_body_divergence: u64,
    body_paths_divergent: u64,
    pairs_with_noise: u64,
}

impl Outcomes {
    fn of(file: &str) -> Self {
        let path = workspace_root().join("tests/pcaps/envoy/outcomes.csv");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let line = text
            .lines()
            .find(|line| line.split(',').next() == Some(file))
            .unwrap_or_else(|| panic!("no {file} in {path:?}"));
        let cells: Vec<&str> = line.split(',').collect();
        let number = |index: usize| cells[index].parse().unwrap();
        Self {
            primary: cells[1].to_owned(),
            shadow: cells[2].to_owned(),
            primary_exchanges: number(3),
            shadow_exchanges: number(4),
            pairs: number(5),
            status_divergences: number(6),
            pairs_with_body_divergence: number(7),
            body_paths_divergent: number(8),
            pairs_with_noise: number(9),
        }
    }

    fn diverged(&self) -> u64 {
        self.status_divergences + self.pairs_with_body_divergence
    }
}

fn analyze(files: &[&str]) -> Value {
    let outcomes = Outcomes::of(files[0]);
    serde_json::from_str(&tapdiff::text(&mut analyze_command(files, &outcomes))).unwrap()
}

fn analyze_command(files: &[&str], outcomes: &Outcomes) -> std::process::Command {
    let folder = workspace_root().join("tests/pcaps/envoy/pcaps");
    let captures: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    let bracketed = |address: &str| match address.rsplit_once(':') {
        Some((ip, port)) if ip.contains(':') => format!("[{ip}]:{port}"),
        _ => address.to_owned(),
    };
    let mut command = tapdiff::analyze_command(
        &bracketed(&outcomes.primary),
        &bracketed(&outcomes.shadow),
        &IGNORE,
        &captures,
    );
    for capture in &captures {
        let keys = capture.with_extension("keys.log");
        if keys.exists() {
            command.arg("--keylog").arg(keys);
        }
    }
    command
}

fn not_zero<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().filter(|&(_, n)| n > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}
