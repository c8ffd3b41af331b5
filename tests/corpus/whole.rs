//! The captures as they are: agreed files pass, and every other one is explained.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;

use crate::shared::{Corpus, Entry, Verdict};

/// Files that need what is not there yet: they may fail, and need no row among the explained.
const WAITING: [(&str, &[&str]); 2] = [
    (
        "HTTP/2",
        &[
            "deepflow__grpc-service-name.pcap",
            "ndpi__http2.pcapng",
            "suri__bug-5929-02_http2_multiple_headers.pcap",
            "suri__dns-over-http2-limit.pcap",
            "suri__dns-over-http2-post_dns_over_https_POST.pcap",
            "suri__drop-protocol-change.pcap",
            "suri__http2-compression-bug.pcap",
            "suri__http2-continuation.pcap",
            "suri__http2-deflate_http2_deflate.pcap",
            "suri__http2-keywords.pcap",
            "suri__http2-keywords2.pcap",
            "wswiki__Sample-of-HTTP2--draft-14.pcapng",
            "wswiki__client-grpc-web-proto-http2-send-two-unary.pcapng",
            "wswiki__grpc_person_search_json_with_image.pcapng",
            "wswiki__grpc_person_search_protobuf_with_image.pcapng",
            "h2c_midstream.pcap",
            "h2c_mix.pcap",
        ],
    ),
    (
        "TLS",
        &[
            "hotplace__http_curl_http1_tls12.pcapng",
            "hotplace__http_http1.pcapng",
            "hotplace__pcap_httpserver1-mldsa.pcapng",
            "hotplace__pcap_httpserver2-mldsa.pcapng",
            "pcapfs__pcaps_tls1-aes128-cbc-file_e_large.pcap",
            "pcapsql__tls12-dsb.pcapng",
            "retina__tls_ciphers.pcap",
            "scapy__tls_nss_example.pcap",
            "snet__tls1.3_curl_google.pcap",
            "suri__bypass-depth-disabled.pcap",
            "wswiki__http2-16-ssl.pcapng",
            "tls12_h1.pcap",
            "tls12_h2.pcap",
            "tls13_h1.pcap",
            "tls13_h2.pcap",
        ],
    ),
];

fn waits(name: &str) -> bool {
    WAITING.iter().any(|(_, files)| files.contains(&name))
}

#[test]
fn every_agreed_capture_passes() {
    let Some(corpus) = Corpus::find() else { return };
    for part in ["public", "envoy"] {
        let (entries, verdict) = judged(&corpus, part);
        let failed: Vec<_> = entries
            .iter()
            .filter(|entry| entry.agreed && !waits(&entry.name))
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
            match explained.get(&entry.name) {
                Some(passes) => {
                    assert_eq!(result["pass"] == true, *passes, "{}: {result}", entry.name);
                }
                None => assert!(waits(&entry.name), "DISPUTED.md has no row for {}", entry.name),
            }
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
    for entry in entries.iter().filter(|entry| !waits(&entry.name)) {
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
